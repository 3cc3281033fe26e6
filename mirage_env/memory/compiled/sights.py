"""What views saw, packed for a look from many points, and the points that lie in front of it in one view."""

from __future__ import annotations

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.memory.store import KEY_MASK, KEY_ROW_SHIFT, KEY_VIEW_SHIFT

SIGHT = 17
"""Numbers per view: camera centre (3), projection (9), the columns and rows of what a camera saw in it (from, below;
from, below), and the least inverse depth that any of it has."""


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
def _lower_bound_near(key: Array, wanted: int, first: int, end: int, guess: int) -> int:
    """``lower_bound`` from ``first`` to ``end``, quicker the nearer it is to the ``guess``."""
    low = high = min(max(guess, first), end)
    step = 1
    while low > first and key[low - 1] >= wanted:
        high, low = low - 1, max(low - 1 - step, first)
        step *= 2
    while high < end and key[high] < wanted:
        low, high = high + 1, min(high + 1 + step, end)
        step *= 2
    return lower_bound(key, wanted, low, high)


@kernel
def before_surface(
    key: Array,
    plane: Array,
    imagined: Array,
    sights: Array,
    starts: Array,
    view: int,
    points: Array,
    count: int,
    nearer: float,
    at: Array,
    cell: Array,
    before: Array,
) -> bool:
    """``sightlines.in_front`` for points (3, count) and one view; ``nearer`` is 1 + margin.

    Sets ``before`` (count,); ``at`` (3, count) float64 and ``cell`` (2, count) int64 are room to work in. False if no
    point is before what the view saw.
    """
    if not _projected(sights[view], points, count, nearer, at, cell, before):
        return False
    number, first, end, some = view << KEY_VIEW_SHIFT, starts[view], starts[view + 1], False
    # Where the view has all cells of its rectangle, tokens are numbered like them. Where some are missing, the numbers
    # of neighbours are mostly off by as much as those of the point before.
    origin = first
    for i in range(count):
        if before[i]:
            wanted, token = number | cell[0, i], origin + cell[1, i]
            if token < first or token >= end or key[token] != wanted:
                token = _lower_bound_near(key, wanted, first, end, token)
                origin = token - cell[1, i]
            before[i] = False
            if token < end and key[token] == wanted and imagined[token] == 0:
                along_u, along_v = np.float64(plane[1, token]), np.float64(plane[2, token])
                before[i] = at[2, i] > (np.float64(plane[0, token]) + at[0, i] * along_u + at[1, i] * along_v) * nearer
                some |= before[i]
    return some


@kernel
def _projected(sight: Array, points: Array, count: int, nearer: float, at: Array, cell: Array, before: Array) -> bool:
    """Where points (3, count) lie in a view; without a branch, so that several are done at a time.

    Args:
        at: (3, count), to be filled: columns and rows to the right of and below the middle of a cell; inverse depth.
        cell: (2, count), to be filled: that cell's key in its view, and its number in the rectangle that the view saw.
        before: (count,), to be filled: whether the point lies before something that was seen, as far as the rectangle
            and the farthest depth in it tell; only then the others mean something.

    Returns:
        False if no point does.
    """
    cx, cy, cz = sight[0], sight[1], sight[2]
    p0, p1, p2, p3, p4, p5 = sight[3], sight[4], sight[5], sight[6], sight[7], sight[8]
    p6, p7, p8 = sight[9], sight[10], sight[11]
    left, right, top, bottom = sight[12], sight[13], sight[14], sight[15]
    width = right - left
    least = sight[16] * nearer if nearer >= 0.0 else -np.inf
    some = 0
    for i in range(count):
        x, y, z = points[0, i] - cx, points[1, i] - cy, points[2, i] - cz
        depth = p6 * x + p7 * y + p8 * z
        u, v, inverse = (p0 * x + p1 * y + p2 * z) / depth, (p3 * x + p4 * y + p5 * z) / depth, 1.0 / depth
        inside = (depth > 1e-6) & (u >= left) & (u < right) & (v >= top) & (v < bottom) & (inverse > least)
        col, row = np.floor(u) if inside else left, np.floor(v) if inside else top
        at[0, i], at[1, i], at[2, i] = u - col - 0.5, v - row - 0.5, inverse
        cell[0, i] = (np.int64(row) << KEY_ROW_SHIFT) | np.int64(col)
        cell[1, i] = np.int64((row - top) * width + (col - left))
        before[i] = inside
        some += inside
    return some > 0
