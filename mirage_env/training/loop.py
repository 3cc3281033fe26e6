"""One resumable training loop for all stages: checkpoints, a log as JSON lines, curves as PNG."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from llvmlite.binding import get_host_cpu_features
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from mirage_env.files import atomic_write

Losses = dict[str, Tensor]
"""Named scalars of one step; ``"loss"`` is the one that is minimised, the others are logged."""


@dataclass(frozen=True)
class Settings:
    """How one stage is optimised: AdamW, linear warm-up, cosine decay to zero, an exponential average that is kept."""

    steps: int
    batch: int
    learning_rate: float = 1e-3
    warmup: int = 200
    weight_decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.998
    seed: int = 0
    log_every: int = 50
    save_every: int = 250
    bf16: bool = True
    """Whether networks run in bfloat16, where the device does so itself."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"the training setting {name} must be at least 1, got {getattr(self, name)}")

    def rate(self, step: int) -> float:
        """Learning rate of one step, counted from 0."""
        ramp = min(1.0, (step + 1) / max(1, self.warmup))
        return self.learning_rate * ramp * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))


def train(
    model: nn.Module,
    losses: Callable[[nn.Module, torch.Generator], Losses],
    settings: Settings,
    folder: Path,
    minutes: float = math.inf,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
) -> nn.Module:
    """Train ``model`` in place of its last checkpoint in ``folder``, and return the averaged model.

    A step draws everything from a generator seeded with (seed, step), so a resumed run sees the batches that an
    unbroken one would have seen. Ctrl-C, or ``minutes`` used up, saves and stops; the same call goes on.

    Raises:
        ValueError: the checkpoint in ``folder`` is damaged or of another architecture.
        KeyboardInterrupt: after saving.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = next(model.parameters()).device
    model.train()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.average), use_buffers=True)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
    )
    start = _resume(folder, model, average, optimiser, device)
    bf16 = settings.bf16 and computes_bf16(device)
    deadline = time.monotonic() + 60 * minutes
    sums: dict[str, float] = {}
    summed = 0
    bar = tqdm(range(start, settings.steps), initial=start, total=settings.steps, desc=folder.name, unit="step")
    done = start
    try:
        for step in bar:
            generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
            for group in optimiser.param_groups:
                group["lr"] = settings.rate(step)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                parts = losses(model, generator)
            parts["loss"].backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            if torch.isfinite(norm):
                optimiser.step()
                average.update_parameters(model)
            done = step + 1
            optimiser.zero_grad(set_to_none=True)
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            summed += 1
            if done % settings.log_every == 0 or done == settings.steps:
                record: dict[str, Any] = {"step": done, "rate": settings.rate(step), "time": time.time()}
                record |= {name: total / summed for name, total in sums.items()}
                sums, summed = {}, 0
                if validate is not None and (done % settings.save_every == 0 or done == settings.steps):
                    record |= {f"val_{k}": v for k, v in validate(average.module.eval()).items()}
                _log(folder, record)
                bar.set_postfix({k: f"{v:.3g}" for k, v in record.items() if k not in ("step", "time", "rate")})
            if done % settings.save_every == 0 or done == settings.steps or time.monotonic() > deadline:
                _save(folder, done, model, average, optimiser, settings)
            if time.monotonic() > deadline:
                break
    except KeyboardInterrupt:
        _save(folder, done, model, average, optimiser, settings)
        raise
    plot_curves(folder)
    return average.module.eval()


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 by itself. Processors that only pretend to take five times as long."""
    if device.type != "cpu":
        return True
    features = get_host_cpu_features()
    return any(features.get(name, False) for name in ("amx-bf16", "avx512bf16", "bf16"))


def load_average(model: nn.Module, folder: Path) -> nn.Module:
    """The averaged weights of the checkpoint in ``folder`` put into ``model``, in evaluation mode.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ValueError: it is damaged or of another architecture.
    """
    path = folder / "checkpoint.pt"
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}: run the training stage {folder.name!r} first")
    state = _read(path, torch.device("cpu"))
    weights = {k.removeprefix("module."): v for k, v in state["average"].items() if k.startswith("module.")}
    with _same_architecture(path):
        model.load_state_dict(weights)
    return model.eval()


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, OSError, UnpicklingError) as error:
        raise ValueError(f"{path} is damaged or is no checkpoint; remove it to train that stage anew") from error
    if not isinstance(state, dict) or not {"step", "model", "average", "optimiser"} <= state.keys():
        raise ValueError(f"{path} is no checkpoint of mirage-env train")
    return state


@contextmanager
def _same_architecture(path: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path} comes from a network of another architecture; train into another folder") from error


def _resume(
    folder: Path, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, device: torch.device
) -> int:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    state = _read(path, device)
    with _same_architecture(path):
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def _save(
    folder: Path,
    step: int,
    model: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: Settings,
) -> None:
    state = {
        "step": step,
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "settings": asdict(settings),
    }
    with atomic_write(folder / "checkpoint.pt") as path:
        torch.save(state, path)


def _log(folder: Path, record: dict[str, Any]) -> None:
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def read_log(folder: Path) -> list[dict[str, float]]:
    """The records of ``log.jsonl``; where a resumed run wrote a step again, its last record."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    return list({r["step"]: r for r in map(json.loads, lines)}.values())


def plot_curves(folder: Path) -> None:
    """Draw ``curves.png`` from ``log.jsonl``: one panel per logged quantity, validation beside training."""
    if not (folder / "log.jsonl").exists():
        return
    from matplotlib.figure import Figure

    records = read_log(folder)
    names = sorted({n.removeprefix("val_") for r in records for n in r if n not in ("step", "time")})
    figure = Figure(figsize=(4 * min(4, len(names)), 3 * math.ceil(len(names) / 4)), layout="constrained")
    for i, name in enumerate(names):
        axes = figure.add_subplot(math.ceil(len(names) / 4), min(4, len(names)), i + 1)
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            points = [(r["step"], r[key]) for r in records if key in r]
            if points:
                axes.plot(*zip(*points, strict=True), label=label)
        axes.set(title=name, xlabel="step")
        axes.legend()
    with atomic_write(folder / "curves.png") as path:
        figure.savefig(path, dpi=80, format="png")
