"""Pictures of a cloud of coloured points, for the memory of ``rgb_memory.py``.

A point stands for one pixel of the view that saw it, laid onto the surface there. In a target view it is as large and
as slanted as that piece of surface looks from there, so that coming closer leaves no holes. Occlusion is decided first:
the nearest point that covers a pixel's centre says which surface the pixel sees. The points of that surface then blend
with tent weights as wide as they are: seen from where it was taken a picture comes back as it was, from beside it
interpolates bilinearly, and from farther away it is averaged, not aliased.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env.geometry import Array
from mirage_env.memory.view import NOBODY, ordered_key, smallest_key

NEAREST = 0.02
"""Metres. Points nearer to the camera are not drawn."""
SAME_SURFACE = 0.05
"""Points whose depth in a pixel differs by at most this fraction from the nearest one's blend with it."""
HALF = 0.55
"""Half a point and a little more, so that rounding leaves no cracks between neighbours."""
MAX_WIDTH = 12.0
"""A point is drawn at most this many pixels wide."""
DISTRUST = 1e-4
"""Weight of a copied point beside a seen one, and of an imagined one beside a copied one. Alone they count fully."""
UNKNOWN = 127.5
"""Colour where there is nothing at all to continue."""


class Points(NamedTuple):
    """N coloured points in the world.

    Attributes:
        position: (N, 3) float32 metres.
        tangents: (N, 6) float16 metres, how far the surface extends over one pixel of the view that saw the point:
            along its columns (x, y, z), then along its rows.
        colour: (N, 3) uint8.
        imagined: (N,) uint8, 0 where a camera saw it, 255 where it was imagined.
    """

    position: Tensor
    tangents: Tensor
    colour: Tensor
    imagined: Tensor


class Picture(NamedTuple):
    """What one camera sees of the points.

    Attributes:
        colour: (H, W, 3) float32 from 0 to 255; 0 where not ``covered``.
        depth: (H, W) float32 metres, 0 where not ``covered``.
        covered: (H, W) bool.
        imagined: (H, W) float32 from 0 to 1, of the most trusted point shown.
        area: (H, W) float32, how large the finest point shown is, in pixels of this view; infinite where none.
        point: (H, W) int64, the nearest point, -1 where none.
    """

    colour: Tensor
    depth: Tensor
    covered: Tensor
    imagined: Tensor
    area: Tensor
    point: Tensor


class _Splats(NamedTuple):
    """M points as a camera sees them, each a parallelogram: columns of (M,) unless noted.

    Attributes:
        index: int64, the point.
        x, y, z: where it is, in pixels and metres.
        inverse: (4, M), from pixels to the right and down to pixels of the view that saw it, row by row.
        reach_x, reach_y: half the sides of the box around its tent.
        tilt: (2, M) metres, change of z per pixel of the view that saw it, along its columns and rows.
        area: square pixels, negative seen from behind.
    """

    index: Tensor
    x: Tensor
    y: Tensor
    z: Tensor
    inverse: Tensor
    reach_x: Tensor
    reach_y: Tensor
    tilt: Tensor
    area: Tensor


def render(points: Points, T_camera_world: Array, K: Array, size: tuple[int, int]) -> Picture:
    """The picture (H, W) of one camera with the intrinsics K (3, 3).

    Points seen from behind show nothing. Those that a camera saw hide what lies behind them; imagined ones do not.
    """
    height, width = size
    cells = height * width
    splats = _splats(points, T_camera_world, K, size)
    pixel, at, dx, dy = _pairs(splats, size)
    m = splats.inverse[:, at]
    du, dv = m[0] * dx + m[1] * dy, m[2] * dx + m[3] * dy
    z = splats.z[at] + du * splats.tilt[0, at] + dv * splats.tilt[1, at]
    made_up = points.imagined[splats.index].to(torch.float32) / 255
    faces = (splats.area > 0)[at]
    under = (du.abs() <= HALF) & (dv.abs() <= HALF) & (z > NEAREST)

    hides = under & (faces | (made_up == 0)[at])
    best = smallest_key(pixel, torch.where(hides, ordered_key(z, at * 2 + faces), NOBODY), cells)
    # What lies in front of a surface seen from behind, nobody has seen.
    covered = (best != NOBODY) & ((0xFFFFFFFF - (best & 0xFFFFFFFF)) % 2 == 1)
    near = torch.where(covered, (best >> 32).to(torch.int32).view(torch.float32), -1.0)
    nearest = splats.index[((0xFFFFFFFF - (best & 0xFFFFFFFF)) // 2).where(covered, 0)] if len(splats.index) else best

    tent = (1 - du.abs()).clamp_min(0) * (1 - dv.abs()).clamp_min(0)
    shown = faces & ((tent > 0) | under) & ((z - near[pixel]).abs() <= SAME_SURFACE * near[pixel])
    # Of several views of a surface the finest counts most, and imagined ones only where there is no other.
    merit = DISTRUST ** (2 * made_up).ceil() / splats.area.abs().clamp_min(1e-3) ** 2
    weight = torch.where(shown, tent.clamp_min(1e-4) * merit[at], 0.0)
    own = points.colour[splats.index].to(torch.float32)[at]
    columns = torch.cat([own, 1 / z.clamp_min(NEAREST)[:, None], torch.ones_like(z)[:, None]], dim=1)
    sums = torch.zeros(cells, 5).index_add_(0, pixel, columns * weight[:, None])
    mean = torch.where(covered[:, None], sums[:, :4] / sums[:, 4:].clamp_min(1e-30), 0.0)
    area, doubt = (
        torch.full((cells,), math.inf).scatter_reduce_(0, pixel, torch.where(shown, x[at], math.inf), "amin")
        for x in (splats.area, made_up)
    )
    return Picture(
        colour=mean[:, :3].reshape(height, width, 3),
        depth=torch.where(covered, 1 / mean[:, 3].clamp_min(1e-6), 0.0).view(height, width),
        covered=covered.view(height, width),
        imagined=torch.where(covered, doubt, 0.0).view(height, width),
        area=area.view(height, width),
        point=torch.where(covered, nearest, -1).view(height, width),
    )


def _splats(points: Points, T_camera_world: Array, K: Array, size: tuple[int, int]) -> _Splats:
    """The points that the camera may see."""
    height, width = size
    T, lens = (torch.as_tensor(m, dtype=torch.float32) for m in (T_camera_world, K))
    local = points.position @ T[:3, :3].T + T[:3, 3]
    z = local[:, 2].clamp_min(NEAREST)
    x, y = lens[0, 0] * local[:, 0] / z + lens[0, 2], lens[1, 1] * local[:, 1] / z + lens[1, 2]
    inside = (x > -MAX_WIDTH) & (y > -MAX_WIDTH) & (x < width + MAX_WIDTH) & (y < height + MAX_WIDTH)
    index = (inside & (local[:, 2] > NEAREST)).nonzero()[:, 0]
    x, y, z = x[index], y[index], z[index]
    tangents = points.tangents[index].to(torch.float32).view(-1, 2, 3) @ T[:3, :3].T
    tilt = tangents[:, :, 2].T
    # How the image moves per pixel of the view that saw the point, along its columns (u) and its rows (v).
    xu, xv = (lens[0, 0] * tangents[:, :, 0].T - (x - lens[0, 2]) * tilt) / z
    yu, yv = (lens[1, 1] * tangents[:, :, 1].T - (y - lens[1, 2]) * tilt) / z
    area = xu * yv - xv * yu
    xu, xv, yu, yv = _at_least_a_pixel(xu, xv, yu, yv)
    det = xu * yv - xv * yu
    return _Splats(
        index=index,
        x=x,
        y=y,
        z=z,
        inverse=torch.stack([yv, -xv, -yu, xu]) / det,
        reach_x=(xu.abs() + xv.abs()).clamp(max=MAX_WIDTH),
        reach_y=(yu.abs() + yv.abs()).clamp(max=MAX_WIDTH),
        tilt=tilt,
        area=area,
    )


def _at_least_a_pixel(xu: Tensor, xv: Tensor, yu: Tensor, yv: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """2x2 maps with their singular values brought to between 1 and ``MAX_WIDTH``, so that no splat slips through."""
    same, other = torch.complex(xu + yv, yu - xv) / 2, torch.complex(xu - yv, yu + xv) / 2
    large, small = same.abs() + other.abs(), same.abs() - other.abs()
    wide = large.clamp(1.0, MAX_WIDTH)
    narrow = small.abs().clamp(1.0, MAX_WIDTH) * torch.where(small < 0, -1.0, 1.0)
    # A map of the plane is a z + b conj(z) in complex numbers; its singular values are |a| + |b| and |a| - |b|.
    same = torch.polar((wide + narrow) / 2, same.angle())
    other = torch.polar((wide - narrow) / 2, other.angle())
    return same.real + other.real, other.imag - same.imag, same.imag + other.imag, same.real - other.real


def _pairs(splats: _Splats, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All pairs of a pixel and a splat in whose box its centre lies: flat pixel, splat, pixels right and down of it."""
    height, width = size
    first_col = (splats.x - splats.reach_x - 0.5).ceil().clamp_min(0)
    last_col = (splats.x + splats.reach_x - 0.5).floor().clamp_max(width - 1)
    first_row = (splats.y - splats.reach_y - 0.5).ceil().clamp_min(0)
    last_row = (splats.y + splats.reach_y - 0.5).floor().clamp_max(height - 1)
    cols = (last_col - first_col + 1).clamp_min(0).to(torch.int64)
    count = cols * (last_row - first_row + 1).clamp_min(0).to(torch.int64)
    at = torch.repeat_interleave(count)
    step = torch.arange(at.shape[0]) - (count.cumsum(0) - count)[at]
    down = torch.div(step, cols[at], rounding_mode="floor")
    col, row = first_col.to(torch.int64)[at] + step - down * cols[at], first_row.to(torch.int64)[at] + down
    return row * width + col, at, col + 0.5 - splats.x[at], row + 0.5 - splats.y[at]


def close_gaps(picture: Picture) -> Picture:
    """The picture with gaps of at most two pixels between covered pixels filled from around them."""
    covered = picture.covered.to(torch.float32)[None, None]
    framed = functional.pad(covered, (1, 1, 1, 1), mode="replicate")
    grown = functional.max_pool2d(framed, 3, stride=1, padding=1)
    closed = (-functional.max_pool2d(-grown, 3, stride=1))[0, 0] > 0
    gaps = closed & ~picture.covered
    if not bool(gaps.any()):
        return picture
    inverse = torch.where(picture.covered, 1 / picture.depth.clamp_min(1e-6), 0.0)
    values = torch.cat([picture.colour, inverse[..., None], picture.imagined[..., None]], dim=-1).permute(2, 0, 1)[None]
    total = functional.avg_pool2d(covered, 5, stride=1, padding=2, count_include_pad=False)
    mean = functional.avg_pool2d(values * covered, 5, stride=1, padding=2, count_include_pad=False) / total.clamp_min(
        1e-6
    )
    mean = mean[0].permute(1, 2, 0)
    return picture._replace(
        colour=torch.where(gaps[..., None], mean[..., :3], picture.colour),
        depth=torch.where(gaps, 1 / mean[..., 3].clamp_min(1e-6), picture.depth),
        imagined=torch.where(gaps, mean[..., 4], picture.imagined),
        covered=closed,
    )


def continue_colours(colour: Tensor, covered: Tensor) -> Tensor:
    """Pictures (T, H, W, 3) whose uncovered pixels (T, H, W) continue the covered ones smoothly (pull and push).

    Each takes the mean of the smallest block of 2, 4, 8, … pixels around it that holds something, so that an encoder
    meets no edge where knowledge ends.

    Pull-push interpolation: Gortler et al., "The Lumigraph" (SIGGRAPH 1996).
    """
    weight = covered.to(torch.float32)[:, None]
    levels = [(colour.permute(0, 3, 1, 2) * weight, weight)]
    while max(levels[-1][0].shape[-2:]) > 1:
        levels.append(
            (
                functional.avg_pool2d(levels[-1][0], 2, ceil_mode=True, count_include_pad=False),
                functional.avg_pool2d(levels[-1][1], 2, ceil_mode=True, count_include_pad=False),
            )
        )
    filled = torch.full_like(levels[-1][0], UNKNOWN)
    for values, share in reversed(levels):
        if filled.shape[-2:] != values.shape[-2:]:
            filled = functional.interpolate(filled, size=values.shape[-2:], mode="bilinear", align_corners=False)
        own = values / share.clamp_min(1e-6)
        filled = torch.where(share > 0, own, filled)
    return filled.permute(0, 2, 3, 1)
