"""Recorded trajectories in memory, and batches of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mirage_env.data.shards import list_shards, read_shard


@dataclass(frozen=True)
class View:
    """A batch of recorded views on one device.

    Attributes:
        rgb: (B, 3, H, W) float32 in [-1, 1].
        depth: (B, H, W) float32 metres, 0 unknown, as seen from a camera at the canonical height.
        pose: T_world_camera (B, 4, 4) float32, translations scaled like the depth.
        intrinsics: (B, 3, 3) float32.
    """

    rgb: Tensor
    depth: Tensor
    pose: Tensor
    intrinsics: Tensor


class Trajectories:
    """All shards of a folder, held as bytes; E episodes of T frames.

    Depth and poses are scaled to a camera at ``canonical_height`` metres: the image of a room is that of a scaled room
    from a camera as much higher, so what one image says of metric scale is the height of its camera.

    ValueError if the trajectories differ in length or image size.
    """

    def __init__(self, folder: Path, canonical_height: float, limit: int | None = None) -> None:
        parts = [read_shard(path) for path in list_shards(folder)[:limit]]
        shapes = {p.rgb.shape for p in parts}
        if len(shapes) != 1:
            raise ValueError(f"trajectories of {folder} must have one length and image size, got {sorted(shapes)}")
        self.rgb = torch.stack([torch.as_tensor(p.rgb) for p in parts])
        scale = torch.tensor([canonical_height / p.meta["camera_height"] for p in parts], dtype=torch.float32)
        self.depth = torch.stack([torch.as_tensor(p.depth) for p in parts]).mul_(scale[:, None, None, None]).half()
        self.poses = torch.stack([torch.as_tensor(p.poses) for p in parts])
        self.poses[..., :3, 3] *= scale[:, None, None]
        self.intrinsics = torch.stack([torch.as_tensor(p.intrinsics) for p in parts])

    @property
    def episodes(self) -> int:
        return self.rgb.shape[0]

    @property
    def length(self) -> int:
        return self.rgb.shape[1]

    def view(self, episode: Tensor, frame: Tensor, device: torch.device | str = "cpu") -> View:
        """The views at (episode, frame) index pairs, each (B,)."""
        rgb = self.rgb[episode, frame].to(device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        depth = self.depth[episode, frame].to(device).float()
        pose, K = self.poses[episode, frame].to(device), self.intrinsics[episode].to(device)
        return View(rgb.contiguous(memory_format=torch.channels_last), depth, pose, K)

    def sample(self, count: int, generator: torch.Generator, device: torch.device | str = "cpu") -> View:
        """``count`` views drawn at random."""
        episode = torch.randint(self.episodes, (count,), generator=generator)
        return self.view(episode, torch.randint(self.length, (count,), generator=generator), device)

    def pairs(
        self, batch: int, max_gap: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> tuple[View, View]:
        """Two views of one episode at most ``max_gap`` frames apart, in either order; ``batch`` times."""
        if self.length < 2:
            raise ValueError("pairs of views need trajectories of at least 2 frames")
        episode = torch.randint(self.episodes, (batch,), generator=generator)
        gap = torch.randint(1, min(max_gap, self.length - 1) + 1, (batch,), generator=generator)
        first = (torch.rand(batch, generator=generator) * (self.length - gap)).long()
        swap = torch.rand(batch, generator=generator) < 0.5
        a, b = torch.where(swap, first + gap, first), torch.where(swap, first, first + gap)
        return self.view(episode, a, device), self.view(episode, b, device)
