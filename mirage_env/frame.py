"""One view of an imagined world. Pixels are decoded only when someone looks at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirage_env.depth import to_pixels
from mirage_env.geometry import Array
from mirage_env.models.protocols import Sampling


@dataclass(frozen=True, eq=False)
class Frame:
    """What the world shows from one pose.

    Attributes:
        latents: of the whole view (C, h, w) float32; 0 in cells left empty.
        memory: what the memory showed of it before anything was imagined (C, h, w); 0 where not ``visible``.
        visible: cells that the memory showed (h, w) bool.
        imagined: per cell (h, w) float32: 0 = seen by a camera or left empty; above 0 = imagined, now or in an earlier
            step, and the share of the latents' variance that was left open then, up to 1 = no better than a guess.
        grid_depth: z-depth at the cell centres (h, w) float32 in metres, 0 in cells left empty.
        pose: T_world_camera (4, 4) float32.
        stride: pixels per cell, along each side.
        decode: latents (B, C, h, w), and their sampling, to images (B, 3, H, W) in [-1, 1].
        sampling: how the latents were read from the memory, (C, h, w) and (2, h, w), which sharpens the image; or None.
    """

    latents: Tensor
    memory: Tensor
    visible: Tensor
    imagined: Tensor
    grid_depth: Tensor
    pose: Array
    stride: int
    decode: Callable[[Tensor, Sampling | None], Tensor]
    sampling: Sampling | None = None

    @cached_property
    def rgb(self) -> Array:
        """Image (H, W, 3) uint8, decoded on first use; cells left empty are black."""
        return _decoded([self])[0]

    @cached_property
    def depth(self) -> Array:
        """z-depth (H, W) float32 in metres at camera resolution; 0 in cells left empty."""
        return to_pixels(self.grid_depth[None], self.stride)[0].cpu().numpy()

    @property
    def imagined_fraction(self) -> float:
        """Mean of ``imagined`` over the view."""
        return float(self.imagined.mean())


def decode_together(frames: Sequence[Frame]) -> None:
    """Decode what nobody has looked at yet, frames of one codec and size in one pass: ``rgb`` then finds it done."""
    groups: dict[Any, list[Frame]] = {}
    for frame in {id(frame): frame for frame in frames if "rgb" not in vars(frame)}.values():
        groups.setdefault((frame.decode, frame.latents.shape, frame.sampling is None), []).append(frame)
    for group in groups.values():
        for frame, image in zip(group, _decoded(group), strict=True):
            vars(frame)["rgb"] = image


@torch.no_grad()
def _decoded(frames: Sequence[Frame]) -> list[Array]:
    """Images (H, W, 3) uint8 of frames of one codec and size."""
    samplings = [frame.sampling for frame in frames if frame.sampling is not None]
    sampling = Sampling(*(torch.stack(grids) for grids in zip(*samplings, strict=True))) if samplings else None
    images = list(to_uint8(frames[0].decode(torch.stack([frame.latents for frame in frames]), sampling)))
    for frame, image in zip(frames, images, strict=True):
        empty = frame.grid_depth == 0
        if empty.any():
            image[empty.repeat_interleave(frame.stride, 0).repeat_interleave(frame.stride, 1).cpu().numpy()] = 0
    return images


@torch.no_grad()
def to_uint8(images: Tensor) -> Array:
    """Images (B, 3, H, W) in [-1, 1] to (B, H, W, 3) uint8."""
    scaled = images.float().clamp(-1, 1).add(1).mul(127.5).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def from_uint8(images: Array) -> Tensor:
    """Images (B, H, W, 3) uint8 to (B, 3, H, W) float32 in [-1, 1]."""
    # Pillow's pictures are read-only, of which torch warns.
    return torch.as_tensor(np.require(images, requirements="W")).permute(0, 3, 1, 2).float().div(127.5).sub(1)
