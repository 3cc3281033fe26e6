"""Points, chunk by chunk, that lie in front of what any view saw; see ``sightlines``."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.memory.compiled.sights import before_surface

CHUNK = 512
"""Points that are looked at together."""
FEW = 2
"""Up to so many views are asked without looking first whether they can see any point of a chunk."""
FRUSTUM = 14
"""Numbers per frustum that is compared with whole chunks: see ``_seeing``."""
SLACK = 1e-9
"""Of quick looks at chunks, more than the exact ones at points may be off by rounding."""


@kernel
def look_through(
    key: Array,
    plane: Array,
    imagined: Array,
    sights: Array,
    starts: Array,
    views: int,
    points: Array,
    nearer: float,
    found: Array,
) -> None:
    """Set ``found`` (N,) where a view has something behind the point (N, 3) that a camera saw; see ``sightlines``."""
    order, frusta = _seeing(sights, views)
    left, index = np.empty((3, CHUNK)), np.empty(CHUNK, dtype=np.int64)
    at, cell, before = np.empty((3, CHUNK)), np.empty((2, CHUNK), dtype=np.int64), np.empty(CHUNK, dtype=np.bool_)
    for start in range(0, points.shape[0], CHUNK):
        count = 0
        for i in range(start, min(start + CHUNK, points.shape[0])):
            if not found[i]:
                left[0, count], left[1, count], left[2, count] = points[i, 0], points[i, 1], points[i, 2]
                index[count] = i
                count += 1
        _look(key, plane, imagined, sights, starts, order, frusta, left, index, count, nearer, at, cell, before, found)


@kernel
def look_along(
    key: Array,
    plane: Array,
    imagined: Array,
    sights: Array,
    starts: Array,
    views: int,
    pixels: Array,
    depth: Array,
    K: Array,
    T: Array,
    nearer: float,
    found: Array,
) -> None:
    """``look_through`` at ``sightlines.places`` of one camera.

    Args:
        pixels: (n, 2).
        depth: (n, m).
        K, T: (3, 3) of the camera and T_world_camera (4, 4), float64.
        found: (n * m,).
    """
    order, frusta = _seeing(sights, views)
    left, index = np.empty((3, CHUNK)), np.empty(CHUNK, dtype=np.int64)
    at, cell, before = np.empty((3, CHUNK)), np.empty((2, CHUNK), dtype=np.int64), np.empty(CHUNK, dtype=np.bool_)
    t00, t01, t02, t03 = T[0, 0], T[0, 1], T[0, 2], T[0, 3]
    t10, t11, t12, t13 = T[1, 0], T[1, 1], T[1, 2], T[1, 3]
    t20, t21, t22, t23 = T[2, 0], T[2, 1], T[2, 2], T[2, 3]
    rays, steps = depth.shape
    count = 0
    for ray in range(rays):
        across, along = (pixels[ray, 0] - K[0, 2]) / K[0, 0], (pixels[ray, 1] - K[1, 2]) / K[1, 1]
        for step in range(steps):
            i = ray * steps + step
            if found[i]:
                continue
            z = depth[ray, step]
            x, y = across * z, along * z
            left[0, count] = t00 * x + t01 * y + t02 * z + t03
            left[1, count] = t10 * x + t11 * y + t12 * z + t13
            left[2, count] = t20 * x + t21 * y + t22 * z + t23
            index[count] = i
            count += 1
            if count == CHUNK:
                _look(
                    key, plane, imagined, sights, starts, order, frusta, left, index, count, nearer, at, cell, before,
                    found,
                )  # fmt: skip
                count = 0
    _look(key, plane, imagined, sights, starts, order, frusta, left, index, count, nearer, at, cell, before, found)


@kernel
def _look(
    key: Array,
    plane: Array,
    imagined: Array,
    sights: Array,
    starts: Array,
    order: Array,
    frusta: Array,
    left: Array,
    index: Array,
    count: int,
    nearer: float,
    at: Array,
    cell: Array,
    before: Array,
    found: Array,
) -> None:
    """Set ``found[index]`` of those of the points ``left`` (3, count) that lie before what a view saw.

    Views are asked in their ``order``, in which each then comes to the front that knew of a point: mostly, few know
    most. ``at``, ``cell`` and ``before`` are room to work in.
    """
    x, y, z, radius = _ball(left, count) if frusta.size and count > 0 else (0.0, 0.0, 0.0, 0.0)
    for turn in range(len(order)):
        if count == 0:
            return
        view = order[turn, 0]
        if frusta.size and _out_of_view(frusta[order[turn, 1]], sights[view], x, y, z, radius, nearer):
            continue
        if not before_surface(key, plane, imagined, sights, starts, view, left, count, nearer, at, cell, before):
            continue
        kept = 0
        for i in range(count):
            if before[i]:
                found[index[i]] = True
            else:
                left[0, kept], left[1, kept], left[2, kept], index[kept] = left[0, i], left[1, i], left[2, i], index[i]
                kept += 1
        count, rank = kept, order[turn, 1]
        for k in range(turn, 0, -1):
            order[k, 0], order[k, 1] = order[k - 1, 0], order[k - 1, 1]
        order[0, 0], order[0, 1] = view, rank


@kernel
def _seeing(sights: Array, views: int) -> tuple[Array, Array]:
    """Views of which a camera saw something, newest first, with numbers of their own (n, 2), and their frusta.

    A frustum (FRUSTUM,) has the normals of its four sides, each of length 1 and pointing inwards (4 x 3), the change of
    z per metre, and how much rounding may change distances from the sides, as a fraction. There are none for ``FEW``
    views.
    """
    count = 0
    for view in range(views):
        count += sights[view, 12] < sights[view, 13]
    order = np.empty((count, 2), dtype=np.int64)
    for view in range(views):
        if sights[view, 12] < sights[view, 13]:
            count -= 1
            order[count, 0], order[count, 1] = view, count
    frusta = np.empty((len(order) if len(order) > FEW else 0, FRUSTUM))
    for k in range(len(frusta)):
        sight, frustum = sights[order[k, 0]], frusta[k]
        ahead = math.sqrt(sight[9] * sight[9] + sight[10] * sight[10] + sight[11] * sight[11])
        frustum[12], frustum[13] = ahead, 0.0
        for side in range(4):
            axis, border, sign = 3 + 3 * (side // 2), sight[12 + side], 1.0 - 2.0 * (side % 2)
            length = along = 0.0
            for j in range(3):
                frustum[3 * side + j] = sign * (sight[axis + j] - border * sight[9 + j])
                length += frustum[3 * side + j] * frustum[3 * side + j]
                along += sight[axis + j] * sight[axis + j]
            length = math.sqrt(length)
            for j in range(3):
                frustum[3 * side + j] /= length
            frustum[13] = max(frustum[13], SLACK * (math.sqrt(along) + abs(border) * ahead) / length)
    return order, frusta


@kernel
def _ball(points: Array, count: int) -> tuple[float, float, float, float]:
    """Centre and radius of a ball around the points (3, count)."""
    x0, x1, y0, y1, z0, z1 = np.inf, -np.inf, np.inf, -np.inf, np.inf, -np.inf
    for i in range(count):
        x, y, z = points[0, i], points[1, i], points[2, i]
        x0, x1, y0, y1, z0, z1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y), min(z0, z), max(z1, z)
    x, y, z = (x1 - x0) / 2, (y1 - y0) / 2, (z1 - z0) / 2
    return x0 + x, y0 + y, z0 + z, math.sqrt(x * x + y * y + z * z)


@kernel
def _out_of_view(frustum: Array, sight: Array, x: float, y: float, z: float, radius: float, nearer: float) -> bool:
    """Whether nothing in a ball lies before what a view saw: it is beside its frustum, or farther than all of that."""
    right, down, ahead = x - sight[0], y - sight[1], z - sight[2]
    size = abs(right) + abs(down) + abs(ahead) + radius
    reach = radius + frustum[13] * size
    for side in range(0, 12, 3):
        if frustum[side] * right + frustum[side + 1] * down + frustum[side + 2] * ahead + reach < 0.0:
            return True
    depth, reach = sight[9] * right + sight[10] * down + sight[11] * ahead, frustum[12] * (radius + SLACK * size)
    return depth + reach < 0.0 or (nearer >= 0.0 and depth > reach and (depth - reach) * sight[16] * nearer > 1.0)
