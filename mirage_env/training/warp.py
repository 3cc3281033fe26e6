"""The memory's read between two recorded views, differentiable: what a latent must survive."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env import depth as depths
from mirage_env.models.layers import ray_channels
from mirage_env.models.protocols import Sampling
from mirage_env.training.frames import View


def grid_intrinsics(intrinsics: Tensor, stride: int) -> Tensor:
    """K (B, 3, 3) of the latent grids of stride ``stride``."""
    return intrinsics * intrinsics.new_tensor([1 / stride, 1 / stride, 1.0])[:, None]


class Warped(NamedTuple):
    """Latents of one view seen from another: interpolated (B, C, h, w), how, and which cells (B, h, w) are covered."""

    latents: Tensor
    sampling: Sampling
    covered: Tensor


def warp_latents(latents: Tensor, source: View, target: View, stride: int) -> Warped:
    """Latents (B, C, h, w) of ``source`` seen from ``target``, by true depth.

    Each target cell centre is placed on its surface, projected into the source view and interpolated there bilinearly.
    A cell is covered if that point is inside the source image and on the surface that the source sees; the sampling of
    others is 0.
    """
    # Under autocast the products of matrices below would be bfloat16: a tenth of a cell off on average, measured.
    with torch.autocast(latents.device.type, enabled=False):
        return _warp(latents.float(), source, target, stride)


def _warp(latents: Tensor, source: View, target: View, stride: int) -> Warped:
    depth = depths.to_grid(target.depth, stride)
    h, w = depth.shape[-2:]
    directions = ray_channels(grid_intrinsics(target.intrinsics, stride), h, w)
    points = torch.cat([directions, torch.ones_like(directions[:, :1])], dim=1) * depth[:, None]
    source_from_target = torch.linalg.inv(source.pose) @ target.pose
    moved = source_from_target[:, :3, :3] @ points.flatten(2) + source_from_target[:, :3, 3:]
    pixels = (source.intrinsics @ moved).unflatten(2, (h, w))
    z = pixels[:, 2]
    size = pixels.new_tensor([source.depth.shape[-1], source.depth.shape[-2]])
    where = (pixels[:, :2] / z[:, None].clamp_min(1e-3)).permute(0, 2, 3, 1) / size * 2 - 1
    seen = _sample(source.depth[:, None], where, "nearest")[:, 0]
    inside = (where.abs() < 1).all(-1) & (z > 0.05)
    covered = (depth > 0) & inside & ((seen - z).abs() < 0.04 * z)
    cells = ((where + 1) / 2 * where.new_tensor([w, h])).permute(0, 3, 1, 2)
    offset = (cells - cells.floor() - 0.5) * covered[:, None]
    nearest = _sample(latents, where, "nearest") * covered[:, None]
    return Warped(_sample(latents, where, "bilinear"), Sampling(nearest, offset), covered)


def _sample(grid: Tensor, where: Tensor, mode: str) -> Tensor:
    return functional.grid_sample(grid, where, mode=mode, padding_mode="border", align_corners=False)
