"""What cameras looked through: imagined surface must not stand there, and where none looked, something may."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory.protocol import SpatialMemory
from mirage_env.memory.surfel import inverse_depth_slopes

FARTHEST = 6.0
"""Imagined surface that cannot be where the networks put it is looked for up to this many times as far."""

FREE_WAY = 1.0
"""Metres of space that no camera looked into, up to which a surface behind it counts as seen."""
DOUBTFUL_WAY = 4.0
"""Metres more at which something unknown in between is as likely as not (0.63)."""
_SAMPLES = 8


def doubtful_ways(memory: SpatialMemory, depth: Tensor, seen: Tensor, K: Array, pose: Array) -> Tensor:
    """How likely something that no camera saw stands between the camera and surface that one saw before.

    From the other side of a wall that was never seen, a memory shows what lies behind the wall. The longer the way to a
    surface leads through space that no camera looked into, the more likely that is: over walks through generated
    homes, for 1 in 30 cells whose way is unknown for less than a metre, 1 in 8 for 2 to 3 m, half for 4 to 6 m.

    Args:
        depth: (h, w) metres.
        seen: (h, w) bool, the cells to ask about.
        K: (3, 3) of the grid.
        pose: T_world_camera (4, 4).

    Returns:
        (M,) from 0 to 1, in the order of ``seen.nonzero()``; 0 for at most ``FREE_WAY``.
    """
    row, col = seen.nonzero(as_tuple=True)
    rays = geometry.unproject(torch.stack([col + 0.5, row + 0.5], dim=-1).double(), torch.ones(()), torch.as_tensor(K))
    length = depth[row, col] * rays.norm(dim=-1)
    at = (length > FREE_WAY).nonzero()[:, 0]
    share = (torch.arange(_SAMPLES, dtype=torch.float64, device=depth.device) + 0.5) / _SAMPLES
    points = rays[at, None] * depth[row[at], col[at]][:, None, None] * share[:, None]
    world = geometry.transform(torch.as_tensor(pose, dtype=torch.float64, device=depth.device), points)
    known = memory.looked_through(world.reshape(-1, 3)).view(len(at), _SAMPLES)
    unknown = (~known).double().mean(1) * length[at]
    doubt = torch.zeros(len(row), device=depth.device)
    doubt[at] = (1 - (-(((unknown - FREE_WAY).clamp_min(0) / DOUBTFUL_WAY) ** 2)).exp()).float()
    return doubt


def behind_seen_space(
    memory: SpatialMemory, depth: Tensor, imagined: Tensor, K: Array, pose: Array
) -> tuple[Tensor, Tensor]:
    """Imagined surface moved away from where a camera saw that there is none.

    Each cell slides along its ray to the nearest depth that no camera has looked through, at most ``FARTHEST`` times as
    far.

    Args:
        depth: (h, w) metres.
        imagined: (h, w) bool, the cells that may be moved.
        K: (3, 3) of the grid.
        pose: T_world_camera (4, 4).

    Returns:
        Depth (h, w), and bool (h, w): False where the memory should not take it, for it would stand in the way still.
    """
    row, col = (imagined & (depth > 0)).nonzero(as_tuple=True)
    # The centre and the corners of a cell: no part of what it adds may stand in the way.
    offsets = torch.tensor(
        [[0.0, 0.0], [-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]], dtype=torch.float64, device=depth.device
    )
    pixels = torch.stack([col + 0.5, row + 0.5], dim=-1).double()[:, None] + offsets
    T, lens = torch.as_tensor(pose, dtype=torch.float64, device=depth.device), torch.as_tensor(K)

    def blocked(z: Tensor, which: Tensor) -> Tensor:
        points = geometry.transform(T, geometry.unproject(pixels[which], z.double(), lens))
        return memory.looked_through(points.reshape(-1, 3)).view(*which.shape, -1).any(-1)

    moved, keep = depth.clone(), torch.ones_like(imagined)
    wrong = blocked(depth[row, col][:, None], torch.arange(len(row), device=depth.device)).nonzero()[:, 0]
    if len(wrong):
        factors = torch.logspace(0, math.log10(FARTHEST), 24, device=depth.device)[1:, None]
        farther = depth[row[wrong], col[wrong]] * factors
        free = ~blocked(farther[..., None], wrong.expand(len(factors), -1))
        moved[row[wrong], col[wrong]] = farther.gather(0, free.to(torch.uint8).argmax(0)[None])[0]
    # As the memory will hold it, tilted like its neighbours.
    inverse, slopes = inverse_depth_slopes(moved.double())
    tilted = inverse[row, col, None] + (slopes[:, row, col].T @ offsets.T)
    keep[row, col] = ~blocked(1 / tilted.clamp_min(1e-6), torch.arange(len(row), device=depth.device))
    return moved, keep
