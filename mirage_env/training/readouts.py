"""What the real memory shows of recorded views: the data that the denoiser and the depth model learn from.

The frozen codec encodes recorded trajectories, a few views of each are written to a ``LatentMemory``, and other views
of the same trajectory are read from it. The result is small and is kept on disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from mirage_env import depth as depths
from mirage_env.files import atomic_write
from mirage_env.memory import LatentMemory
from mirage_env.memory.io import read_tensors
from mirage_env.models.protocols import Codec
from mirage_env.training.frames import Trajectories, View
from mirage_env.training.loop import computes_bf16
from mirage_env.training.warp import grid_intrinsics

FORMAT, VERSION = "mirage_env.Readouts", 3
MAX_VIEWS, MAX_AHEAD = 8, 16
"""A memory holds at most so many consecutive views, and is read at most so many frames after the last of them."""
DEPTH_NOISE, POSE_NOISE = 0.04, (0.004, 0.01)
"""Relative depth error, and (radians, metres) per axis of pose error, with which half of the memories are written."""


@dataclass(frozen=True)
class Readouts:
    """N target views with what a memory shows of them; float16 at rest.

    Attributes:
        latents: of the true view (N, C, h, w); depth: true, at cell centres (N, h, w), 0 unknown.
        readout, readout_depth, visible: what the memory shows (N, C, h, w), (N, h, w), (N, h, w) bool.
        imagined: how uncertain that is (N, h, w), 0 where a camera saw it.
        intrinsics: of the latent grids (N, 3, 3) float32.
    """

    latents: Tensor
    depth: Tensor
    readout: Tensor
    readout_depth: Tensor
    visible: Tensor
    imagined: Tensor
    intrinsics: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def at(self, index: Tensor, device: torch.device | str = "cpu") -> Readouts:
        """The samples of one batch, in float32, on ``device``."""
        parts = (getattr(self, f.name)[index].to(device) for f in fields(self))
        return Readouts(*(p if p.dtype == torch.bool else p.float() for p in parts))

    def spread(self, count: int, device: torch.device | str = "cpu") -> Readouts:
        """At most ``count`` samples, evenly spread over all, as ``at`` gives them."""
        return self.at(torch.linspace(0, len(self) - 1, min(count, len(self))).long(), device)

    def half(self) -> Readouts:
        """The same, as it is kept: grids in float16, intrinsics in float32."""
        small = {f.name: getattr(self, f.name) for f in fields(self)}
        return Readouts(**{k: v if k == "intrinsics" or v.dtype == torch.bool else v.half() for k, v in small.items()})

    def save(self, path: Path, source: str = "") -> None:
        """Write one safetensors file; ``source`` says what the readouts were made from."""
        tensors = {f.name: getattr(self, f.name).contiguous() for f in fields(self)}
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, {"format": FORMAT, "version": str(VERSION), "source": source})

    @classmethod
    def load(cls, path: Path) -> Readouts:
        """What ``save`` wrote; FileNotFoundError or ValueError for a missing, truncated, foreign or newer file."""
        if not path.is_file():
            stage = path.stem.removesuffix("-val")
            raise FileNotFoundError(f"there are no {stage} {path}: run the training stage {stage!r} first")
        tensors, metadata = read_tensors(path, FORMAT, VERSION)
        if metadata["version"] != str(VERSION):
            raise ValueError(f"{path} was made by an older mirage_env: remove it and run the training stage again")
        return cls(*(tensors[f.name] for f in fields(cls)))

    @classmethod
    def concatenate(cls, parts: list[Readouts]) -> Readouts:
        return cls(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def saved_source(path: Path) -> str | None:
    """The ``source`` with which readouts were saved at ``path``; None if no readable file is there."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("source")
    except (SafetensorError, OSError):
        return None


@torch.no_grad()
def make_readouts(frames: Trajectories, codec: Codec, per_episode: int, seed: int) -> Readouts:
    """Readouts of at most ``per_episode`` views in every trajectory, half of them from a memory of one view alone.

    Half of the trajectories are mirrored, and half of the memories are written with errors of depth and pose.

    ValueError for trajectories of fewer than 10 frames.
    """
    if frames.length <= MAX_VIEWS + 1:
        raise ValueError(f"readouts need trajectories of at least {MAX_VIEWS + 2} frames, got {frames.length}")
    parts = []
    for episode in tqdm(range(frames.episodes), desc="readouts", unit="episode"):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + episode)
        view = whole_trajectory(frames, episode, generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=computes_bf16(view.rgb.device)):
            latents = codec.encode(view.rgb)
        depth = depths.to_grid(view.depth, codec.stride)
        K = grid_intrinsics(view.intrinsics, codec.stride)
        for count in (1, int(torch.randint(2, MAX_VIEWS + 1, (), generator=generator))):
            memory = LatentMemory(channels=codec.channels)
            first = int(torch.randint(max(1, frames.length - MAX_VIEWS - MAX_AHEAD), (), generator=generator))
            wrong = bool(torch.rand((), generator=generator) < 0.5)
            for i in range(first, first + count):
                z, pose = depth[i], view.pose[i]
                if wrong:
                    z, pose = depth_error(z, generator), pose_error(pose, generator)
                memory.write(latents[i], z, K[i], pose)
            reach = min(MAX_AHEAD, frames.length - first - count)
            targets = first + count + torch.randperm(reach, generator=generator)[: per_episode // 2]
            seen = memory.read(view.pose[targets], K[first], size=tuple(depth.shape[-2:]))
            parts.append(
                Readouts(
                    latents=latents[targets],
                    depth=depth[targets],
                    readout=seen.latents,
                    readout_depth=seen.depth,
                    visible=seen.visible,
                    imagined=seen.imagined,
                    intrinsics=K[targets],
                ).half()
            )
    return Readouts.concatenate(parts)


def whole_trajectory(frames: Trajectories, episode: int, generator: torch.Generator) -> View:
    """All views of one trajectory, mirrored or not at random."""
    mirror = torch.rand((), generator=generator) < 0.5
    every = torch.arange(frames.length)
    return frames.view(torch.full_like(every, episode), every, mirror=mirror.expand(frames.length))


def depth_error(depth: Tensor, generator: torch.Generator, amount: float = DEPTH_NOISE) -> Tensor:
    """Depth (h, w) with a relative error: half of it smooth over the view, half per cell; unknown cells stay 0."""
    coarse = torch.randn(1, 1, 3, 3, generator=generator)
    smooth = functional.interpolate(coarse, size=depth.shape, mode="bicubic", align_corners=True)[0, 0]
    own = torch.randn(depth.shape, generator=generator)
    return depth * (amount * (smooth + own) / math.sqrt(2)).exp()


def pose_error(pose: Tensor, generator: torch.Generator, amount: tuple[float, float] = POSE_NOISE) -> Tensor:
    """T_world_camera (4, 4) turned and moved a little, by normal (radians, metres) per axis."""
    turn = torch.randn(3, generator=generator) * amount[0]
    skew = torch.zeros(3, 3)
    skew[0, 1], skew[0, 2], skew[1, 2] = -turn[2], turn[1], -turn[0]
    wrong = pose.clone()
    wrong[:3, :3] = pose[:3, :3] @ torch.linalg.matrix_exp(skew - skew.T)
    wrong[:3, 3] += torch.randn(3, generator=generator) * amount[1]
    return wrong
