"""The recipe of the tiny model: codec, then what its latents look like through the memory, then depth and denoiser."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirage_env.files import atomic_write, writable_folder
from mirage_env.models import weights
from mirage_env.models.tiny import TinyCodec, TinyDenoiser, TinyDepth
from mirage_env.training.codec import codec_losses, validate_codec
from mirage_env.training.denoiser import denoiser_losses, validate_denoiser
from mirage_env.training.depth import depth_losses, validate_depth
from mirage_env.training.frames import Trajectories
from mirage_env.training.loop import Settings, load_average, train
from mirage_env.training.readouts import Readouts, make_readouts, saved_source

STAGES = ("codec", "readouts", "depth", "denoiser")


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, besides the data."""

    channels: int = 16
    codec_widths: tuple[int, ...] = (48, 96)
    codec_blocks: tuple[int, ...] = (1, 3)
    depth_widths: tuple[int, ...] = (64, 96, 160)
    denoiser_widths: tuple[int, ...] = (96, 144, 192)
    denoiser_steps: int = 1
    max_gap: int = 8
    warp_weight: float = 6.0
    readouts_per_episode: int = 16
    codec: Settings = field(default_factory=lambda: Settings(steps=12_000, batch=12, learning_rate=1e-3))
    depth: Settings = field(default_factory=lambda: Settings(steps=6_000, batch=24, learning_rate=5e-4))
    denoiser: Settings = field(default_factory=lambda: Settings(steps=10_000, batch=24, learning_rate=5e-4))

    @classmethod
    def from_json(cls, path: str | Path) -> Recipe:
        """Defaults overridden by a JSON file of the same fields; unknown names are refused."""
        try:
            given: dict[str, Any] = json.loads(Path(path).read_text())
        except ValueError as error:
            raise ValueError(f"{path} is not valid JSON: {error}") from error
        return _override(cls(), given)

    def save(self, path: Path) -> None:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self), indent=1))


def _override(default: Any, given: Any) -> Any:
    names = [f.name for f in dataclasses.fields(default)]
    if not isinstance(given, dict):
        raise ValueError(f"training settings must be a JSON object with names among {', '.join(names)}, got {given!r}")
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in names:
            raise ValueError(f"unknown training setting {name!r}; known are {', '.join(names)}")
        present = getattr(default, name)
        if dataclasses.is_dataclass(present):
            changes[name] = _override(present, value)
        elif isinstance(present, tuple):
            if not (isinstance(value, list) and value and all(type(v) is int and v > 0 for v in value)):
                raise ValueError(f"the training setting {name} must be a list of whole numbers above 0, got {value!r}")
            changes[name] = tuple(value)
        else:
            wanted = (int, float) if isinstance(present, float) else (type(present),)
            if type(value) not in wanted:
                raise ValueError(f"the training setting {name} must be a {wanted[-1].__name__}, got {value!r}")
            changes[name] = value
    return dataclasses.replace(default, **changes)


def train_stages(
    data: Path,
    validation: Path,
    out: Path,
    recipe: Recipe,
    stages: tuple[str, ...] = STAGES,
    minutes: float = math.inf,
    limit: int | None = None,
) -> None:
    """Run stages in order, each going on from its checkpoint in ``out``; write ``out/model`` when all parts are there.

    Args:
        data, validation: folders of shards, from disjoint scenes.
        minutes: of wall time for this call; a later call goes on.
        limit: at most so many trajectories.
    """
    unknown = set(stages) - set(STAGES)
    if unknown:
        raise ValueError(f"unknown stage {min(unknown)!r}; stages are {', '.join(STAGES)}")
    writable_folder(out)
    recipe.save(out / "recipe.json")
    deadline = time.monotonic() + 60 * minutes
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(recipe.codec.seed)

    def left() -> float:
        return (deadline - time.monotonic()) / 60

    codec = TinyCodec(recipe.channels, recipe.codec_widths, recipe.codec_blocks)
    height = TinyDepth.canonical_height
    held_out = Trajectories(validation, height)
    frames = Trajectories(data, height, limit) if {"codec", "readouts"} & set(stages) else held_out
    if "codec" in stages:
        train(
            codec.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
            codec_losses(frames, recipe.codec.batch, recipe.max_gap, recipe.warp_weight, device=device),
            recipe.codec,
            out / "codec",
            left(),
            lambda model: validate_codec(model, held_out),
        )
        if left() <= 0:
            return
    load_average(codec, out / "codec")
    codec = codec.cpu()
    codec.fit_statistics(held_out.sample(256, torch.Generator().manual_seed(0)).rgb)
    if "readouts" in stages:
        for name, views, seed in (("readouts-val", held_out, 1), ("readouts", frames, 0)):
            path = out / f"{name}.safetensors"
            source = f"{_fingerprint(codec.state_dict(), views.poses)}, {recipe.readouts_per_episode} per trajectory"
            if saved_source(path) != source:
                make_readouts(views, codec, recipe.readouts_per_episode, seed).save(path, source)
    if not {"depth", "denoiser"} & set(stages) or left() <= 0:
        return
    samples, unseen = (Readouts.load(out / f"readouts{which}.safetensors") for which in ("", "-val"))
    depth_model = TinyDepth(recipe.channels, recipe.depth_widths)
    denoiser = TinyDenoiser(recipe.channels, recipe.denoiser_widths)
    if "depth" in stages:
        losses = depth_losses(samples, recipe.depth.batch, device=device)
        depth_model.to(device)  # type: ignore[arg-type]
        train(depth_model, losses, recipe.depth, out / "depth", left(), lambda m: validate_depth(m, unseen))
    if "denoiser" in stages and left() > 0:
        losses = denoiser_losses(samples, recipe.denoiser.batch, device=device)
        denoiser.to(device)  # type: ignore[arg-type]
        train(denoiser, losses, recipe.denoiser, out / "denoiser", left(), lambda m: validate_denoiser(m, unseen))
    if all((out / part / "checkpoint.pt").exists() for part in ("depth", "denoiser")):
        load_average(depth_model, out / "depth")
        load_average(denoiser, out / "denoiser")
        parts = weights.Parts(codec, depth_model.cpu(), denoiser.cpu(), recipe.denoiser_steps)
        weights.save(parts, out / "model")


def _fingerprint(codec: dict[str, Tensor], poses: Tensor) -> str:
    """Tells codecs and sets of trajectories apart."""
    digest = hashlib.sha256()
    for value in (*codec.values(), poses):
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
