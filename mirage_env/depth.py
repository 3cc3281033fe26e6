"""Depth maps between the resolution of the camera and that of the latent grid."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EDGE = 1.05
"""Neighbouring depths whose ratio is larger than this lie on different surfaces, or on one that is seen at a slant."""


def to_grid(depth: Tensor, stride: int) -> Tensor:
    """Depth (B, H, W) of a camera to depth (B, h, w) at the centres of latent cells; 0 means unknown in both.

    The median of each cell in inverse depth, which is exact on planes (inverse depth is affine there) and belongs to
    the larger surface at edges; where both surfaces fill half a cell the nearer one wins, as it occludes. A cell with
    fewer than half of its pixels measured is unknown.
    """
    b, height, width = depth.shape
    cells = depth.reshape(b, height // stride, stride, width // stride, stride)
    cells = cells.permute(0, 1, 3, 2, 4).reshape(b, height // stride, width // stride, stride * stride)
    known = cells > 0
    inverse = known / cells.clamp_min(1e-6)
    count = known.sum(-1)
    ordered = inverse.sort(dim=-1, descending=True).values  # the unknown, 0, come last
    nearer = ordered.gather(-1, ((count - 1).clamp_min(0) // 2)[..., None])[..., 0]
    farther = ordered.gather(-1, (count // 2).clamp_max(stride * stride - 1)[..., None])[..., 0]
    # Along a slanted plane depths are spread evenly; at an edge that halves the cell, most of the spread is one jump.
    spread = ordered[..., 0] - ordered.gather(-1, (count - 1).clamp_min(0)[..., None])[..., 0]
    smooth = (nearer < EDGE * farther) | (2 * (nearer - farther) < spread)
    median = (nearer + farther).div(2).where(smooth, nearer)
    return (1.0 / median.clamp_min(1e-6)).where((2 * count >= stride * stride) & (median > 0), depth.new_zeros(()))


def to_pixels(depth: Tensor, stride: int) -> Tensor:
    """Depth (B, h, w) at cell centres to depth (B, h·stride, w·stride) at pixel centres; 0 stays unknown.

    Each cell is a plane through its centre, affine in inverse depth, with the smaller of the slopes to its neighbours
    on either side: exact on planes of at least three cells, and surfaces never mix at edges.
    """
    inverse = torch.where(depth > 0, 1.0 / depth.clamp_min(1e-6), 0.0)
    across = (torch.arange(stride, dtype=depth.dtype, device=depth.device) + 0.5) / stride - 0.5
    rise = _slope(inverse.transpose(1, 2)).transpose(1, 2)[:, :, None, :, None] * across[:, None, None]
    run = _slope(inverse)[:, :, None, :, None] * across
    # A slope that would take a cell's depth beyond twice its centre's is an edge.
    pixels = (inverse[:, :, None, :, None] + rise + run).clamp_min(inverse[:, :, None, :, None] / 2)
    pixels = pixels.reshape(depth.shape[0], depth.shape[1] * stride, depth.shape[2] * stride)
    return torch.where(pixels > 0, 1.0 / pixels.clamp_min(1e-6), 0.0)


def _slope(values: Tensor) -> Tensor:
    """Change of ``values`` (B, h, w) per column: the smaller of the two to either side, 0 where their signs differ.

    At a border the next difference inwards stands in for the one that is missing.
    """
    if values.shape[2] < 3:
        return torch.zeros_like(values)
    steps = functional.pad(values.diff(dim=2), (1, 1), mode="reflect")
    left, right = steps[..., :-1], steps[..., 1:]
    smaller = torch.where(left.abs() < right.abs(), left, right)
    return torch.where(left * right > 0, smaller, torch.zeros_like(values))
