"""Depth maps between the resolution of the camera and that of the latent grid."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EDGE = 1.05
"""Two depths whose ratio is larger than this lie on different surfaces."""


def to_grid(depth: Tensor, stride: int) -> Tensor:
    """Depth (B, H, W) of a camera to depth (B, h, w) at the centres of latent cells; 0 means unknown in both.

    The median of each cell in inverse depth, which is exact on planes (inverse depth is affine there) and belongs to the
    larger surface at edges; where both surfaces fill half a cell the nearer one wins, as it occludes. A cell with fewer
    than half of its pixels measured is unknown.
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
    median = (nearer + farther).div(2).where(nearer < EDGE * farther, nearer)
    return (1.0 / median.clamp_min(1e-6)).where((2 * count >= stride * stride) & (median > 0), depth.new_zeros(()))


def to_pixels(depth: Tensor, stride: int) -> Tensor:
    """Depth (B, h, w) at cell centres to depth (B, h·stride, w·stride) at pixel centres; 0 stays unknown.

    Interpolated in inverse depth, which is exact on planes; next to an edge or to the unknown, the depth of the pixel's cell.
    """
    inverse = torch.where(depth > 0, 1.0 / depth.clamp_min(1e-6), 0.0)[:, None]
    own = functional.interpolate(inverse, scale_factor=float(stride), mode="nearest")
    smooth = functional.interpolate(inverse, scale_factor=float(stride), mode="bilinear", align_corners=False)
    chosen = torch.where((smooth / own.clamp_min(1e-6) - 1).abs() < EDGE - 1, smooth, own)[:, 0]
    return torch.where(chosen > 0, 1.0 / chosen.clamp_min(1e-6), 0.0)
