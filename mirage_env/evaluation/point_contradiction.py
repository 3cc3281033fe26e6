"""Which coloured points a camera looks straight through, much as latent memories decide it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env import geometry
from mirage_env.evaluation.point_splat import NEAREST, Points, render
from mirage_env.geometry import Array
from mirage_env.memory.contradiction import COVERED


def contradicted_points(
    points: Points, K: Array, T_world_camera: Array, depth: Tensor, evidence: Tensor, margin: Tensor, stride: int
) -> Tensor:
    """(N,) bool: points that a camera looks straight through.

    They lie in front of all that the view measured in the nine cells around them, and together fill half of a cell
    there. ``memory.contradiction`` asks four cells only, but as planes: points have no slopes to go with that.

    Args:
        K: (3, 3) of the grid.
        T_world_camera: (4, 4).
        depth: (h, w) metres, 0 = unknown.
        evidence: (h, w) bool, the cells that may refute.
        margin: (h, w), fraction of inverse depth.
        stride: pixels per side of a cell.
    """
    height, width = depth.shape
    T = torch.as_tensor(geometry.invert(T_world_camera), dtype=torch.float32)
    pixel, z = geometry.project(geometry.transform(T, points.position), torch.as_tensor(K, dtype=torch.float32))
    col, row = pixel.floor().unbind(-1)
    inside = (z > NEAREST) & (col >= 0) & (col < width) & (row >= 0) & (row < height)
    cell = (row * width + col).where(inside, 0.0).to(torch.int64)
    inverse = torch.where(depth > 0, 1 / depth.clamp_min(1e-6), math.inf)
    nearest = functional.max_pool2d(inverse[None], 3, stride=1, padding=1)[0]
    limit = torch.where(evidence, nearest * (1 + margin), math.inf).reshape(-1)
    near = inside & (1 / z > limit[cell])
    if not bool(near.any()):
        return near
    drawn = render(
        Points(*(column[near] for column in points)),
        geometry.invert(T_world_camera),
        geometry.scale_intrinsics(K, stride),
        (height * stride, width * stride),
    )
    share = functional.avg_pool2d((drawn.point >= 0).float()[None], stride)
    filled = functional.max_pool2d(share, 3, stride=1, padding=1)[0] >= COVERED
    return near & filled.reshape(-1)[cell]
