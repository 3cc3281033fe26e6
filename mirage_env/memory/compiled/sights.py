"""What views saw, packed for a look from many points, and the points that lie in front of it."""

from __future__ import annotations

import numpy as np

from mirage_env.geometry import Array
from mirage_env.memory.compiled.kernel import kernel
from mirage_env.memory.store import KEY_MASK, KEY_ROW_SHIFT, KEY_VIEW_SHIFT

SIGHT = 17
"""Numbers per view: camera centre (3), projection (9), the columns and rows of what a camera saw in it (from, below;
from, below), and the least inverse depth that any of it has."""
CHUNK = 256
SLACK = 1e-9
"""Of quick looks, more than the exact ones may be off by rounding."""


@kernel
def pack_views(
    key: Array,
    plane: Array,
    imagined: Array,
    lift: Array,
    project: Array,
    first: int,
    tokens: int,
    views: int,
    sights: Array,
    starts: Array,
) -> None:
    """Fill ``sights`` (V, SIGHT) and ``starts`` (V + 1,), where each view's tokens start, from view ``first`` on.

    ``tokens`` are those of the ``views`` so far; ``starts[first]`` is known already.
    """
    at = starts[first]
    for view in range(first, views):
        sight = sights[view]
        for k in range(3):
            sight[k] = lift[view, 4 * k + 3]
        for k in range(9):
            sight[3 + k] = project[view, k]
        sight[12], sight[13], sight[14], sight[15], sight[16] = np.inf, -np.inf, np.inf, -np.inf, np.inf
        starts[view] = at
        while at < tokens and key[at] >> KEY_VIEW_SHIFT == view:
            if imagined[at] == 0:
                col, row = np.float64(key[at] & KEY_MASK), np.float64(key[at] >> KEY_ROW_SHIFT & KEY_MASK)
                inverse, gu, gv = np.float64(plane[0, at]), np.float64(plane[1, at]), np.float64(plane[2, at])
                least = inverse - 0.5 * (abs(gu) + abs(gv))
                sight[12], sight[13] = min(sight[12], col), max(sight[13], col + 1.0)
                sight[14], sight[15] = min(sight[14], row), max(sight[15], row + 1.0)
                sight[16] = min(sight[16], least - 1e-9 * (inverse + abs(gu) + abs(gv)))
            at += 1
        starts[view + 1] = at


@kernel
def lower_bound(key: Array, wanted: int, low: int, high: int) -> int:
    """The first place from ``low`` on whose key is not below ``wanted``, ``high`` if there is none before."""
    while low < high:
        middle = (low + high) >> 1
        if key[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def before_surface(
    key: Array,
    plane: Array,
    imagined: Array,
    sights: Array,
    starts: Array,
    view: int,
    x: float,
    y: float,
    z: float,
    nearer: float,
) -> bool:
    """``sightlines.in_front`` for one point and one view; ``nearer`` is 1 + margin."""
    sight = sights[view]
    right, down, ahead = x - sight[0], y - sight[1], z - sight[2]
    depth = sight[9] * right + sight[10] * down + sight[11] * ahead
    if not depth > 1e-6:
        return False
    u = (sight[3] * right + sight[4] * down + sight[5] * ahead) / depth
    if not (u >= sight[12] and u < sight[13]):
        return False
    v = (sight[6] * right + sight[7] * down + sight[8] * ahead) / depth
    if not (v >= sight[14] and v < sight[15]):
        return False
    inverse = 1.0 / depth
    if nearer >= 0.0 and not inverse > sight[16] * nearer:
        return False
    col, row = np.int64(np.floor(u)), np.int64(np.floor(v))
    wanted = (view << KEY_VIEW_SHIFT) | (row << KEY_ROW_SHIFT) | col
    # Where the view has all cells of its rectangle, it is here.
    first, end = starts[view], starts[view + 1]
    at = first + np.int64((row - sight[14]) * (sight[13] - sight[12]) + (col - sight[12]))
    if at >= end or key[at] != wanted:
        at = lower_bound(key, wanted, first, end)
        if at == end or key[at] != wanted:
            return False
    if imagined[at] != 0:
        return False
    surface = (
        np.float64(plane[0, at])
        + (u - col - 0.5) * np.float64(plane[1, at])
        + (v - row - 0.5) * np.float64(plane[2, at])
    )
    return inverse > surface * nearer


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
    left = np.empty((3, CHUNK))
    index = np.empty(CHUNK, dtype=np.int64)
    maybe = np.empty(CHUNK, dtype=np.bool_)
    for start in range(0, points.shape[0], CHUNK):
        count = 0
        for i in range(start, min(start + CHUNK, points.shape[0])):
            if not found[i]:
                left[0, count], left[1, count], left[2, count], index[count] = (
                    points[i, 0],
                    points[i, 1],
                    points[i, 2],
                    i,
                )
                count += 1
        # The newest views first: mostly, few views know most.
        for view in range(views - 1, -1, -1):
            if count > 0 and _worth_a_look(sights[view], left, count, nearer, maybe):
                kept = 0
                for i in range(count):
                    x, y, z = left[0, i], left[1, i], left[2, i]
                    if maybe[i] and before_surface(key, plane, imagined, sights, starts, view, x, y, z, nearer):
                        found[index[i]] = True
                    else:
                        left[0, kept], left[1, kept], left[2, kept], index[kept] = x, y, z, index[i]
                        kept += 1
                count = kept


@kernel
def _worth_a_look(sight: Array, points: Array, count: int, nearer: float, maybe: Array) -> bool:
    """Mark those of the points (3, count) that may lie before what a view saw; without a division or a branch.

    Never leaves out one that does. False if there are none.
    """
    cx, cy, cz = sight[0], sight[1], sight[2]
    p0, p1, p2, p3, p4, p5, p6, p7, p8 = (
        sight[3],
        sight[4],
        sight[5],
        sight[6],
        sight[7],
        sight[8],
        sight[9],
        sight[10],
        sight[11],
    )
    u0, u1, v0, v1 = sight[12] - SLACK, sight[13] + SLACK, sight[14] - SLACK, sight[15] + SLACK
    farthest = sight[16] * nearer * (1 - SLACK) if nearer >= 0.0 else -np.inf
    some = 0
    for i in range(count):
        right, down, ahead = points[0, i] - cx, points[1, i] - cy, points[2, i] - cz
        x, y = p0 * right + p1 * down + p2 * ahead, p3 * right + p4 * down + p5 * ahead
        z = p6 * right + p7 * down + p8 * ahead
        # The columns and rows are those of ``before_surface`` times the depth z.
        inside = (z > 0.0) & (x >= u0 * z) & (x <= u1 * z) & (y >= v0 * z) & (y <= v1 * z) & (farthest * z <= 1.0)
        maybe[i] = inside
        some += inside
    return some > 0
