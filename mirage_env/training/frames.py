"""Recorded trajectories in memory, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
    """All shards of a folder, or of several, held as bytes; E episodes of T frames.

    Depth and poses are scaled to a camera at ``canonical_height`` metres: the image of a room is that of a scaled room
    from a camera as much higher, so what one image says of metric scale is the height of its camera.

    ValueError if the trajectories differ in length or image size.
    """

    def __init__(self, folders: Path | Sequence[Path], canonical_height: float, limit: int | None = None) -> None:
        folders = [folders] if isinstance(folders, Path) else folders
        paths = [path for folder in folders for path in list_shards(folder)[:limit]]
        for i, path in enumerate(paths):  # one at a time: the whole is large
            part = read_shard(path)
            scale = canonical_height / part.meta["camera_height"]
            if i == 0:
                frames, height, width = part.depth.shape
                self.rgb = torch.empty(len(paths), frames, height, width, 3, dtype=torch.uint8)
                self.depth = torch.empty(len(paths), frames, height, width, dtype=torch.float16)
                self.poses = torch.empty(len(paths), frames, 4, 4)
                self.intrinsics = torch.empty(len(paths), 3, 3)
            if part.rgb.shape != self.rgb.shape[1:]:
                raise ValueError(
                    f"trajectories must have one length and image size, got {tuple(self.rgb.shape[1:])} in {paths[0]} "
                    f"and {part.rgb.shape} in {path}"
                )
            self.rgb[i], self.depth[i] = torch.as_tensor(part.rgb), torch.as_tensor(part.depth * np.float32(scale))
            self.poses[i], self.intrinsics[i] = torch.as_tensor(part.poses), torch.as_tensor(part.intrinsics)
            self.poses[i, :, :3, 3] *= scale

    @property
    def episodes(self) -> int:
        return self.rgb.shape[0]

    @property
    def length(self) -> int:
        return self.rgb.shape[1]

    def view(
        self, episode: Tensor, frame: Tensor, device: torch.device | str = "cpu", mirror: Tensor | None = None
    ) -> View:
        """The views at (episode, frame) index pairs (B,); where ``mirror`` (B,) bool, those of the mirrored world.

        A mirrored world is another room with right and left exchanged, its camera poses with it.
        """
        rgb = self.rgb[episode, frame].to(device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        depth = self.depth[episode, frame].to(device).float()
        pose, K = self.poses[episode, frame].to(device), self.intrinsics[episode].to(device)
        if mirror is not None:
            flip = mirror.to(device)
            rgb = torch.where(flip[:, None, None, None], rgb.flip(-1), rgb)
            depth = torch.where(flip[:, None, None], depth.flip(-1), depth)
            sign = torch.where(flip, -1.0, 1.0)
            axes = torch.stack([sign, *[torch.ones_like(sign)] * 3], dim=1)
            pose = axes[:, :, None] * pose * axes[:, None, :]
            K = K.clone()
            K[:, 0, 2] = torch.where(flip, rgb.shape[-1] - K[:, 0, 2], K[:, 0, 2])
        return View(rgb.contiguous(memory_format=torch.channels_last), depth, pose, K)

    def sample(self, count: int, generator: torch.Generator, device: torch.device | str = "cpu") -> View:
        """``count`` views drawn at random."""
        episode = torch.randint(self.episodes, (count,), generator=generator)
        return self.view(episode, torch.randint(self.length, (count,), generator=generator), device)

    def pairs(
        self, batch: int, max_gap: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> tuple[View, View]:
        """``batch`` times two views of one episode at most ``max_gap`` frames apart, in either order, half mirrored."""
        if self.length < 2:
            raise ValueError("pairs of views need trajectories of at least 2 frames")
        episode = torch.randint(self.episodes, (batch,), generator=generator)
        gap = torch.randint(1, min(max_gap, self.length - 1) + 1, (batch,), generator=generator)
        first = (torch.rand(batch, generator=generator) * (self.length - gap)).long()
        swap = torch.rand(batch, generator=generator) < 0.5
        a, b = torch.where(swap, first + gap, first), torch.where(swap, first, first + gap)
        mirror = torch.rand(batch, generator=generator) < 0.5
        return self.view(episode, a, device, mirror), self.view(episode, b, device, mirror)
