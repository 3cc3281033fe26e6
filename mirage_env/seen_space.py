"""What cameras saw of places besides their surface: where imagined surface must not stand, and where some may."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirage_env.geometry import Array
from mirage_env.memory.paths import inverse_depth_slopes
from mirage_env.memory.protocol import SpatialMemory, look_along
from mirage_env.memory.sightlines import rays_of

FARTHEST = 6.0
"""Imagined surface that cannot be where the networks put it is looked for up to this many times as far."""
BEFORE_BACK = 0.95
"""Imagined surface that hides the back of a seen one stands before it, at this fraction of its depth at most."""

FREE_WAY = 1.0
"""Metres of space that no camera looked into, up to which a surface behind it counts as seen."""
DOUBTFUL_WAY = 4.0
"""Metres more at which something unknown in between is as likely as not (0.63)."""
_SAMPLES = 8


def doubtful_ways(memories: Sequence[SpatialMemory], depth: Tensor, seen: Tensor, K: Array, poses: Array) -> Tensor:
    """How likely something that no camera saw stands between a camera and surface that one saw before.

    From the other side of a wall that was never seen, a memory shows what lies behind the wall. The longer the way to a
    surface leads through space that no camera looked into, the more likely that is: over walks through generated
    homes, for 1 in 30 cells whose way is unknown for less than a metre, 1 in 8 for 2 to 3 m, half for 4 to 6 m.

    Args:
        memories: B, one for each view.
        depth: (B, h, w) metres.
        seen: (B, h, w) bool, the cells to ask about.
        K: (B, 3, 3) of the grids.
        poses: T_world_camera (B, 4, 4).

    Returns:
        (B, h, w) float32 from 0 to 1; 0 for at most ``FREE_WAY``, and where it was not asked.
    """
    batch, height, width = depth.shape
    exact: dict[str, Any] = {"dtype": torch.float64, "device": depth.device}
    z, lens = depth.double(), torch.as_tensor(np.asarray(K), **exact)
    right, down = torch.arange(width, **exact) + 0.5, torch.arange(height, **exact) + 0.5
    x, y = (right - lens[:, :1, 2]) / lens[:, :1, 0], (down - lens[:, 1:2, 2]) / lens[:, 1:2, 1]
    length = z * ((x * x)[:, None, :] + (y * y)[:, :, None] + 1).sqrt()
    world, row, col = (seen & (length > FREE_WAY)).nonzero(as_tuple=True)
    at = (world * height + row) * width + col
    share = (torch.arange(_SAMPLES, **exact) + 0.5) / _SAMPLES
    rays = rays_of(world, torch.stack([right[col], down[row]], dim=-1), z.view(-1)[at, None] * share, K, poses)
    # Summed up one by one: quicker than over a dimension of a few.
    known = functools.reduce(torch.add, look_along(memories, rays).view(torch.uint8).unbind(1))
    unknown = (1 - known.double() / _SAMPLES) * length.view(-1)[at]
    doubt = torch.zeros(batch * height * width, device=depth.device)
    doubt[at] = (1 - (-(((unknown - FREE_WAY).clamp_min(0) / DOUBTFUL_WAY) ** 2)).exp()).float()
    return doubt.view(depth.shape)


def placed(
    memories: Sequence[SpatialMemory], depth: Tensor, back: Tensor | None, imagined: Tensor, K: Array, poses: Array
) -> tuple[Tensor, Tensor]:
    """Imagined surface where all that cameras saw allows it: see ``before_backs`` and ``behind_seen_space``.

    Args:
        back: as in ``MemoryView``; None: no backs are known.
        The others as in ``behind_seen_space``, which says what is returned.
    """
    if back is None:
        return behind_seen_space(memories, depth, imagined, K, poses)
    before = before_backs(depth, back, imagined)
    moved, keep = behind_seen_space(memories, before, imagined, K, poses)
    beyond = imagined & (back > 0) & (moved >= back)
    return torch.where(beyond, before, moved), keep & ~beyond


def before_backs(depth: Tensor, back: Tensor, imagined: Tensor) -> Tensor:
    """Depth (B, h, w) of which no ``imagined`` cell lies behind the ``back`` of a surface that a camera saw.

    From behind, a wall that was seen only from the other side shows nothing, and hides what lies farther away. What is
    imagined there must be its near side. Farther away no read would show it, and the next step imagined it again.
    """
    limit = BEFORE_BACK * back
    return torch.where(imagined & (back > 0) & (depth > limit), limit, depth)


def behind_seen_space(
    memories: Sequence[SpatialMemory], depth: Tensor, imagined: Tensor, K: Array, poses: Array
) -> tuple[Tensor, Tensor]:
    """Imagined surface moved away from where a camera saw that there is none.

    Each cell slides along its ray to the nearest depth that no camera has looked through, at most ``FARTHEST`` times as
    far.

    Args:
        memories: B, one for each view.
        depth: (B, h, w) metres.
        imagined: (B, h, w) bool, the cells that may be moved.
        K: (B, 3, 3) of the grids.
        poses: T_world_camera (B, 4, 4).

    Returns:
        Depth (B, h, w), and bool (B, h, w): False where the memory should not take it, for it would stand in the way
        still.
    """
    world, row, col = (imagined & (depth > 0)).nonzero(as_tuple=True)
    moved, keep, everywhere = depth.clone(), torch.ones_like(imagined), torch.arange(len(row), device=depth.device)
    if not len(row):
        return moved, keep
    # The centre and the corners of a cell: no part of what it adds may stand in the way.
    offsets = torch.tensor(
        [[0.0, 0.0], [-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]], dtype=torch.float64, device=depth.device
    )
    pixels = torch.stack([col + 0.5, row + 0.5], dim=-1).double()[:, None] + offsets

    def blocked(z: Tensor, which: Tensor) -> Tensor:
        """(n, m) for depths (n, 5, m) of n cells."""
        n, corners, m = z.shape
        cameras = world[which].repeat_interleave(corners)
        rays = rays_of(cameras, pixels[which].view(-1, 2), z.reshape(-1, m), K, poses)
        return look_along(memories, rays).view(n, corners, m).any(1)

    first = depth[world, row, col]
    wrong = blocked(first[:, None, None].expand(-1, 5, 1), everywhere).nonzero()[:, 0]
    if len(wrong):
        farther = first[wrong, None] * torch.logspace(0, math.log10(FARTHEST), 24, device=depth.device)[1:]
        free = ~blocked(farther[:, None].expand(-1, 5, -1), wrong)
        chosen = farther.gather(1, free.to(torch.uint8).argmax(1)[:, None])[:, 0]
        moved[world[wrong], row[wrong], col[wrong]] = chosen
    # As the memory will hold it, tilted like its neighbours.
    tilts = torch.zeros(3, *depth.shape, dtype=torch.float64, device=depth.device)
    for i in world.unique().tolist():
        tilts[0, i], tilts[1:, i] = inverse_depth_slopes(moved[i].double())
    inverse, slopes = tilts[0, world, row, col], tilts[1:, world, row, col]
    tilted = inverse[:, None] + slopes.T @ offsets.T
    keep[world, row, col] = ~blocked(1 / tilted.clamp_min(1e-6)[..., None], everywhere)[:, 0]
    return moved, keep
