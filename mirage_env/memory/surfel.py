"""Tokens as planar surfels: what a write derives from its depth grid.

A token is its grid cell extruded onto the plane that it sees. On a plane inverse z-depth is affine in pixel
coordinates, so a token stores it at its centre together with its change per cell; coplanar neighbours then tile their
plane exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env.geometry import Array
from mirage_env.memory.store import KEY_ROW_SHIFT, Tokens

HALF = 0.55
"""Half a cell and a little more: neighbours overlap by a tenth, so that rounding and noisy slopes leave no cracks."""
TRIMMED = 0.25
"""The same on a side beyond which lies a farther surface. Where in the last half cell the silhouette runs is unknown;
drawn in full, surfaces would grow with every view that adds to them, because the nearest of all views wins."""
EDGE = 0.15
"""A neighbour whose inverse depth is lower than the plane's by more than this fraction is on a farther surface."""
JUMP, BEND = 0.3, 0.3
"""A difference of more than JUMP of the inverse depth that bends by more than BEND of itself is an edge, no slope."""
MAX_TILT = 0.6
"""A slope changes inverse depth by at most this fraction of it between the centre and a corner of the cell."""


def inverse_depth_slopes(depth: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse z-depth (h, w) of a z-depth grid (h, w) float64, and its change per cell (2, h, w) to the right and down.

    Each slope is the one-sided difference that bends least when continued one cell further: exact on planes, and cells
    next to a crease or an edge keep the slope of their own surface. It is 0 where no neighbour has a measurement, and
    where all that is known is a jump.
    """
    measured = depth > 0
    inverse = torch.where(measured, 1.0 / depth, 0.0)
    slopes = torch.stack([_slope_to_the_right(inverse, measured), _slope_to_the_right(inverse.T, measured.T).T])
    tilt = slopes.abs().sum(0) * 0.5
    return inverse, slopes * (MAX_TILT * inverse / tilt.clamp(min=1e-300)).clamp(max=1.0)


def _slope_to_the_right(inverse: Tensor, measured: Tensor) -> Tensor:
    width = inverse.shape[1]
    step = torch.where(measured[:, 1:] & measured[:, :-1], inverse.diff(dim=1), torch.inf)
    step = functional.pad(step, (2, 2), value=torch.inf)
    before, left, right, after = (step[:, k : k + width] for k in range(4))
    bend_left, bend_right = _bend(left, before), _bend(right, after)
    take_left = (bend_left < bend_right) | ((bend_left == bend_right) & (left.abs() <= right.abs()))
    slope, bend = torch.where(take_left, left, right), torch.where(take_left, bend_left, bend_right)
    jump = (slope.abs() > JUMP * inverse) & (bend > BEND * slope.abs())
    return torch.where(slope.isinf() | jump, 0.0, slope)


def _bend(step: Tensor, beyond: Tensor) -> Tensor:
    """How much a difference changes one cell further; all of it where that is unknown, infinite where it is itself."""
    return torch.where(step.isinf(), torch.inf, torch.where(beyond.isinf(), step.abs(), (step - beyond).abs()))


def silhouette(inverse: Tensor, slopes: Tensor) -> Tensor:
    """(h, w) uint8, the sides of each cell beyond which lies a farther surface: 1 left, 2 right, 4 above, 8 below."""
    height, width = inverse.shape
    around = functional.pad(inverse, (1, 1, 1, 1))
    sides = torch.zeros(height, width, dtype=torch.uint8, device=inverse.device)
    for bit, (right, down) in enumerate(((-1, 0), (1, 0), (0, -1), (0, 1))):
        beyond = around[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        expected = torch.minimum(inverse, inverse + right * slopes[0] + down * slopes[1])
        sides |= ((beyond > 0) & (beyond < (1.0 - EDGE) * expected)).to(torch.uint8) << bit
    return sides


def tokens_from_view(
    latents: Tensor,
    depth: Tensor,
    imagined: Tensor,
    intrinsics: Array,
    T_world_camera: Array,
    write: Tensor,
    dtype: torch.dtype,
) -> Tokens:
    """The tokens of one view, in row-major order of their cells.

    Args:
        latents: (C, h, w).
        depth: (h, w) float64 in metres, 0 where nothing was measured; slopes use all of it.
        imagined: (h, w) from 0 (seen) to 1 (imagined).
        intrinsics: (3, 3) of the grid.
        T_world_camera: (4, 4).
        write: (h, w) bool, the cells to make tokens of; each has a depth.
        dtype: of the stored latents.
    """
    inverse, slopes = inverse_depth_slopes(depth)
    row, col = write.nonzero(as_tuple=True)
    plane = torch.stack([inverse[row, col], slopes[0, row, col], slopes[1, row, col]])
    lift = torch.as_tensor(lift_matrix(intrinsics, T_world_camera), device=depth.device)
    u, v = col.double() + 0.5, row.double() + 0.5
    centre = lift_points(lift, u, v, plane[0]).to(torch.float32)
    radius = torch.zeros_like(u, dtype=torch.float64)
    for du in (-HALF, HALF):
        for dv in (-HALF, HALF):
            corner = lift_points(lift, u + du, v + dv, plane[0] + du * plane[1] + dv * plane[2])
            radius = torch.maximum(radius, (corner - centre).square().sum(0).sqrt())
    return Tokens(
        sphere=torch.cat([centre, (radius[None] * 1.001).to(torch.float32)]),
        plane=plane.to(torch.float32),
        trim=silhouette(inverse, slopes)[row, col],
        key=row << KEY_ROW_SHIFT | col,
        latents=latents[:, row, col].T.to(dtype),
        imagined=imagined[row, col].to(torch.float32),
        lift=lift.reshape(1, 12),
    )


def lift_matrix(intrinsics: Array, T_world_camera: Array) -> Array:
    """(3, 4) matrix [R K^-1 | camera centre]: (u, v, 1, inverse depth) to the world point divided by its depth."""
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    R = T_world_camera[:3, :3]
    lift = T_world_camera[:3].copy()
    lift[:, 0], lift[:, 1] = R[:, 0] / fx, R[:, 1] / fy
    lift[:, 2] = R[:, 2] - R[:, 0] * (cx / fx) - R[:, 1] * (cy / fy)
    return lift


def lift_points(lift: Tensor, u: Tensor, v: Tensor, inverse: Tensor) -> Tensor:
    """World points (3, n) of grid positions (n,) and inverse depths (n,)."""
    columns = lift[:, :, None]
    return (columns[:, 0] * u + columns[:, 1] * v + columns[:, 2]) / inverse + columns[:, 3]
