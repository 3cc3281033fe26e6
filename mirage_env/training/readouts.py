"""What the real memory shows of recorded views: the data that the denoiser and the depth model learn from.

The frozen codec encodes recorded trajectories, a few views of each are written to a ``LatentMemory``, and other views
of the same trajectory are read from it. The result is small and is kept on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from mirage_env import depth as depths
from mirage_env.files import atomic_write
from mirage_env.memory import LatentMemory
from mirage_env.memory.io import read_tensors
from mirage_env.models.protocols import Codec
from mirage_env.training.frames import Trajectories
from mirage_env.training.warp import grid_intrinsics

FORMAT, VERSION = "mirage_env.Readouts", 1
MAX_VIEWS, MAX_AHEAD = 8, 16
"""A memory holds at most so many consecutive views, and is read at most so many frames after the last of them."""


@dataclass(frozen=True)
class Readouts:
    """N target views with what a memory shows of them; float16 at rest.

    Attributes:
        latents: of the true view (N, C, h, w); depth: true, at cell centres (N, h, w), 0 unknown.
        readout, readout_depth, visible: what the memory shows (N, C, h, w), (N, h, w), (N, h, w) bool.
        intrinsics: of the latent grids (N, 3, 3) float32.
    """

    latents: Tensor
    depth: Tensor
    readout: Tensor
    readout_depth: Tensor
    visible: Tensor
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

    def save(self, path: Path, source: str = "") -> None:
        """Write one safetensors file; ``source`` says what the readouts were made from."""
        tensors = {f.name: getattr(self, f.name).contiguous() for f in fields(self)}
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, {"format": FORMAT, "version": str(VERSION), "source": source})

    @classmethod
    def load(cls, path: Path) -> Readouts:
        """What ``save`` wrote; FileNotFoundError or ValueError for a missing, truncated, foreign or newer file."""
        if not path.is_file():
            raise FileNotFoundError(f"there are no readouts {path}: run the training stage 'readouts' first")
        tensors, _ = read_tensors(path, FORMAT, VERSION)
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

    ValueError for trajectories of fewer than 10 frames.
    """
    if frames.length <= MAX_VIEWS + 1:
        raise ValueError(f"readouts need trajectories of at least {MAX_VIEWS + 2} frames, got {frames.length}")
    parts = []
    for episode in tqdm(range(frames.episodes), desc="readouts", unit="episode"):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + episode)
        view = frames.view(torch.full((frames.length,), episode), torch.arange(frames.length))
        with torch.autocast("cpu", torch.bfloat16):
            latents = codec.encode(view.rgb)
        depth = depths.to_grid(view.depth, codec.stride)
        K = grid_intrinsics(view.intrinsics, codec.stride)
        for count in (1, int(torch.randint(2, MAX_VIEWS + 1, (), generator=generator))):
            memory = LatentMemory(channels=codec.channels)
            first = int(torch.randint(max(1, frames.length - MAX_VIEWS - MAX_AHEAD), (), generator=generator))
            for i in range(first, first + count):
                memory.write(latents[i], depth[i], K[i], view.pose[i])
            reach = min(MAX_AHEAD, frames.length - first - count)
            targets = first + count + torch.randperm(reach, generator=generator)[: per_episode // 2]
            seen = memory.read(view.pose[targets], K[first], size=tuple(depth.shape[-2:]))
            parts.append(
                Readouts(
                    latents[targets].half(),
                    depth[targets].half(),
                    seen.latents.half(),
                    seen.depth.half(),
                    seen.visible,
                    K[targets],
                )
            )
    return Readouts.concatenate(parts)
