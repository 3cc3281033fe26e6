"""What is installed: versions, bundled models, devices, environments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium

from mirage_env.evaluation import provenance
from mirage_env.models import weights


def collect_info() -> dict[str, Any]:
    """Versions, device, bundled models (bytes, parts, summary of the model card) and registered environment ids."""
    return {
        "versions": provenance.versions(),
        "device": provenance.device(),
        "models": {name: _model_info(weights.BUNDLED / name) for name in weights.bundled()},
        "environments": sorted(name for name in gymnasium.registry if name.startswith("Mirage/")),
    }


def describe(info: dict[str, Any]) -> str:
    """The same for people."""
    device = info["device"]
    gpus = ", ".join(device["gpus"]) or "no GPU"
    lines = [
        "versions      " + ", ".join(f"{name} {version}" for name, version in info["versions"].items()),
        f"device        {device['processor']}, {device['cores']} cores, {gpus}",
    ]
    for name, model in info["models"].items():
        lines.append(
            f"model         {name}: {model['bytes'] / 1e6:.1f} MB, {model['parameters'] / 1e6:.1f} M parameters"
        )
        lines += [f"              {model['summary']}"] if model["summary"] else []
    if not info["models"]:
        lines.append("model         none bundled")
    lines += [f"environment   {name}" for name in info["environments"]]
    return "\n".join(lines)


def _model_info(folder: Path) -> dict[str, Any]:
    files = sorted(folder.rglob("*.safetensors"))
    return {
        "bytes": sum(path.stat().st_size for path in files),
        "parameters": sum(_parameters(path) for path in files),
        "summary": _summary(folder / "README.md") or _summary(folder.parent / "README.md"),
    }


def _parameters(path: Path) -> int:
    import math

    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def _summary(card: Path) -> str:
    """The first paragraph of a model card, without its front matter and headings."""
    if not card.is_file():
        return ""
    text = card.read_text(encoding="utf-8")
    if text.startswith("---"):
        text = text.partition("---")[2].partition("\n---")[2]
    paragraphs = (part.strip() for part in text.split("\n\n"))
    return " ".join(next((p for p in paragraphs if p and not p.startswith(("#", "|", "!"))), "").split())
