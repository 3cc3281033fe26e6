"""Imagined surface must not stand where a camera has seen that there is nothing."""

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
    offsets = torch.tensor([[0.0, 0.0], [-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]], dtype=torch.float64)
    pixels = torch.stack([col + 0.5, row + 0.5], dim=-1).double()[:, None] + offsets
    T, lens = torch.as_tensor(pose, dtype=torch.float64), torch.as_tensor(K)

    def blocked(z: Tensor, which: Tensor) -> Tensor:
        points = geometry.transform(T, geometry.unproject(pixels[which], z.double(), lens))
        return memory.looked_through(points.reshape(-1, 3)).view(*which.shape, -1).any(-1)

    moved, keep = depth.clone(), torch.ones_like(imagined)
    wrong = blocked(depth[row, col][:, None], torch.arange(len(row))).nonzero()[:, 0]
    if len(wrong):
        factors = torch.logspace(0, math.log10(FARTHEST), 24)[1:, None]
        farther = depth[row[wrong], col[wrong]] * factors
        free = ~blocked(farther[..., None], wrong.expand(len(factors), -1))
        moved[row[wrong], col[wrong]] = farther.gather(0, free.to(torch.uint8).argmax(0)[None])[0]
    # As the memory will hold it, tilted like its neighbours.
    inverse, slopes = inverse_depth_slopes(moved.double())
    tilted = inverse[row, col, None] + (slopes[:, row, col].T @ offsets.T)
    keep[row, col] = ~blocked(1 / tilted.clamp_min(1e-6), torch.arange(len(row)))
    return moved, keep
