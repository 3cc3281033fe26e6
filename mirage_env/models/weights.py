"""Folders of weights: the bundled ones, local ones, and those on the Hugging Face hub.

A folder holds ``mirage.json`` (format, which classes, denoiser steps) and one diffusers folder per part: ``codec``,
``depth_model``, ``denoiser``; and ``recognition.safetensors``, where it was fitted by what surfaces are known again.
Only safetensors are read, and only classes named in ``CLASSES`` are made: nothing is executed. Parameters are float16
on disk, to keep the package small, and float32 in use.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from diffusers.models.modeling_utils import ModelMixin
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mirage_env.files import atomic_write, writable_folder
from mirage_env.models.protocols import Codec, Denoiser, DepthModel
from mirage_env.models.recognition import FILE as RECOGNITION
from mirage_env.models.recognition import Recognition, load_recognition, save_recognition
from mirage_env.models.tiny import TinyCodec, TinyDenoiser, TinyDepth

FORMAT = "mirage_env.WorldModel"
VERSION = 1
BUNDLED = Path(__file__).parent / "weights"
CLASSES: dict[str, type[ModelMixin]] = {c.__name__: c for c in (TinyCodec, TinyDepth, TinyDenoiser)}
PARTS = ("codec", "depth_model", "denoiser")
WEIGHTS = "diffusion_pytorch_model.safetensors"
"""The file name that diffusers' ``from_pretrained`` looks for."""


@dataclass(frozen=True)
class Parts:
    """The parts of one world model."""

    codec: Codec
    depth_model: DepthModel
    denoiser: Denoiser
    denoiser_steps: int = 1
    recognition: Recognition | None = None


def bundled() -> list[str]:
    """Names of the models in the package."""
    return sorted(path.parent.name for path in BUNDLED.glob("*/mirage.json"))


def find(name: str | Path) -> Path:
    """The folder of a bundled model, a local one, or a snapshot from the hub; one sentence if there is none."""
    if str(name) in bundled():
        return BUNDLED / str(name)
    if Path(name).is_dir():
        return Path(name)
    if isinstance(name, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.startswith("."):
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
        except Exception as error:  # the hub raises a dozen unrelated classes: offline, missing, gated, …
            raise FileNotFoundError(f"model {name!r} is no local folder and could not be had from the hub") from error
    known = ", ".join(bundled()) or "none"
    raise FileNotFoundError(f"unknown model {name!r}: bundled models are {known}; or give a folder or hub id")


def load(name: str | Path) -> Parts:
    """The parts of a model, in evaluation mode, float32."""
    folder = find(name)
    path = folder / "mirage.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no model folder: it has no mirage.json; write one with save_pretrained")
    try:
        settings: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise ValueError(f"{path} does not describe a {FORMAT}")
    if settings.get("version") != VERSION:
        found = settings.get("version")
        raise ValueError(f"{folder} has format version {found}, this mirage_env reads {VERSION}: update the older one")
    steps = settings.get("denoiser_steps", 1)
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"{path} gives denoiser_steps {steps!r}, which must be a whole number of at least 1")
    parts = {part: _load_part(folder / part, str(settings.get(part))) for part in PARTS}
    channels = {part: module.config["channels"] for part, module in parts.items()}
    if len(set(channels.values())) != 1:
        raise ValueError(f"the parts of {folder} do not fit each other: their latent channels are {channels}")
    return Parts(
        cast(Codec, parts["codec"]),
        cast(DepthModel, parts["depth_model"]),
        cast(Denoiser, parts["denoiser"]),
        steps,
        load_recognition(folder, next(iter(channels.values()))),
    )


def _load_part(folder: Path, class_name: str) -> Any:
    if class_name not in CLASSES:
        raise ValueError(f"{folder.name} is of unknown class {class_name!r}; known are {', '.join(CLASSES)}")
    for file in ("config.json", WEIGHTS):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"the weights are incomplete: {folder / file} is missing")
    try:
        config = dict(json.loads((folder / "config.json").read_text()))
        model = cast(Any, CLASSES[class_name]).from_config(config)
    except Exception as error:  # whatever a constructor makes of settings that it was not made for
        raise ValueError(f"{folder / 'config.json'} does not describe a {class_name}: {error}") from error
    try:
        tensors = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ValueError(f"{folder} holds a truncated or damaged weights file: {error}") from error
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if expected != found:
        wrong = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ValueError(f"{folder} holds weights of another architecture than its config: {wrong[0]}{others}")
    model.load_state_dict({name: value.to(model.state_dict()[name].dtype) for name, value in tensors.items()})
    return model.eval().requires_grad_(False)


def save(parts: Parts, folder: Path) -> None:
    """Write a model folder. ``mirage.json`` goes first and comes last, so that a folder is either whole or refused.

    Raises:
        TypeError: a part is not of one of ``CLASSES``.
        ValueError: a parameter is NaN, infinite or too large for float16.
        OSError: the folder cannot be made or written.
    """
    settings: dict[str, Any] = {"format": FORMAT, "version": VERSION, "denoiser_steps": parts.denoiser_steps}
    tensors = {}
    for part in PARTS:
        module = getattr(parts, part)
        settings[part] = type(module).__name__
        if settings[part] not in CLASSES:
            raise TypeError(f"{part} is a {settings[part]}; only {', '.join(CLASSES)} can be saved")
        tensors[part] = _small(module, part)
    writable_folder(folder)
    (folder / "mirage.json").unlink(missing_ok=True)
    for part in PARTS:
        getattr(parts, part).save_config(writable_folder(folder / part))
        with atomic_write(folder / part / WEIGHTS) as path:
            save_file(tensors[part], path, {"format": "pt"})
    if parts.recognition is not None:
        save_recognition(parts.recognition, folder)
    else:
        (folder / RECOGNITION).unlink(missing_ok=True)
    with atomic_write(folder / "mirage.json") as path:
        path.write_text(json.dumps(settings, indent=1))


def _small(module: nn.Module, part: str) -> dict[str, Tensor]:
    """The module's tensors as they are stored: parameters in float16; buffers, which are few, as they are."""
    parameters = {name for name, _ in module.named_parameters()}
    tensors = {}
    for name, value in module.state_dict().items():
        small = value.detach().cpu().to(torch.float16 if name in parameters else value.dtype)
        if not bool(torch.isfinite(small).all()):
            raise ValueError(f"{name} of the {part} holds NaN, infinite or too large numbers for float16")
        tensors[name] = small.contiguous(memory_format=torch.contiguous_format)
    return tensors
