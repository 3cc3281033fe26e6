"""Metric scale of a single view from the height of its camera above the floor."""

from __future__ import annotations

import torch
from torch import Tensor

from mirage_env import geometry


def floor_scale(depth: Tensor, intrinsics: Tensor, pose: Tensor, camera_height: float) -> float | None:
    """Factor that brings the floor in ``depth`` (h, w) ``camera_height`` metres below the camera; None without a floor.

    The floor is the lowest level that many cells of a view share: each cell that looks down votes for its distance
    below the camera, and the votes of cells whose neighbours in the column above lie at the same level count.

    Args:
        depth: z-depth of a latent grid in metres, any scale.
        intrinsics: of that grid (3, 3).
        pose: T_world_camera (4, 4); its rotation tells where down is.
    """
    pixels = torch.as_tensor(geometry.pixel_grid(*depth.shape), dtype=torch.float64)
    points = geometry.unproject(pixels, depth.double(), intrinsics.double())
    below = -(points @ pose[:3, :3].double().T)[..., 1]
    level = (below[1:] - below[:-1]).abs() < 0.03 * below[1:].abs()
    votes = below[1:][level & (below[1:] > 0) & (depth[1:] > 0)]
    if len(votes) < 0.02 * depth.numel():
        return None
    # Tables and beds are level too, but the floor is lowest: take the lowest tenth of the votes, but not its extremes.
    return camera_height / float(votes.quantile(0.9))
