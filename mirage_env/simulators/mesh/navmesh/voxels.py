"""A triangle mesh as solid spans in the columns of a grid, and which of their tops can be stood on.

The method is Recast's (M. Mononen, "Recast Navigation", github.com/recastnavigation), as habitat-sim runs it. Sums are
made in float32 and in its order: where a wall lies on the border of two cells, rounding decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.loops import loop
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings

HIGHEST = 0xFFFF
"""Ceiling of a column with nothing above."""

MOST_HEIGHT = 0x1FFF
"""Cells that a column can be high."""

_ZERO = np.float32(0)
_X, _Z = np.int64(0), np.int64(2)  # as constants they would make numba compile loops once for each


class Grid(NamedTuple):
    """Columns of the grid: (x, z) is column ``x + z * width``. low and high (3,) float32 bound the mesh."""

    low: Array
    high: Array
    width: int
    depth: int
    cell: np.float32
    cell_height: np.float32


class Spans(NamedTuple):
    """Solid spans, column by column and upwards.

    Attributes:
        start: (columns + 1,) int32, where each column's spans begin.
        bottom, top: (N,) int32, in cell heights above the grid's low.
        walkable: (N,) bool, whether an agent can stand on the top.
    """

    start: Array
    bottom: Array
    top: Array
    walkable: Array


def grid_of(vertices: Array, settings: NavigationSettings) -> Grid:
    """The grid over vertices (V, 3) float32."""
    low, high = vertices.min(0), vertices.max(0)
    cell, height = np.float32(settings.cell_size), np.float32(settings.cell_height)
    width, depth = (int((high[i] - low[i]) / cell + np.float32(0.5)) for i in (0, 2))
    return Grid(low, high, width, depth, cell, height)


def level_faces(vertices: Array, faces: Array, max_slope_deg: float) -> Array:
    """Which faces (F, 3) are level enough to walk on (F,) and face up."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    (ux, uy, uz), (vx, vy, vz) = (b - a).T, (c - a).T
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    with np.errstate(divide="ignore", invalid="ignore"):
        up = ny * (np.float32(1) / np.sqrt(nx * nx + ny * ny + nz * nz))
    return up > np.cos(np.float32(max_slope_deg) / np.float32(180) * np.float32(np.pi))


def solid_spans(vertices: Array, faces: Array, grid: Grid, settings: NavigationSettings) -> Spans:
    """The spans that the faces fill.

    Args:
        vertices: (V, 3) float32, world.
        faces: (F, 3) int.
    """
    walkable = level_faces(vertices, faces, settings.max_slope_deg)
    pool, first = _rasterise(vertices, faces.astype(np.int32), walkable, *grid, settings.climb_cells)
    return Spans(*_in_order(pool, first))


def standable(spans: Spans, grid: Grid, settings: NavigationSettings) -> Spans:
    """The spans with what an agent cannot stand on, or would stand on at a ledge, taken from the walkable ones."""
    walkable = spans.walkable.copy()
    _over_low_obstacles(spans.start, spans.top, walkable, settings.climb_cells)
    ledges = _ledges(*spans[:3], walkable, grid.width, grid.depth, settings.height_cells, settings.climb_cells)
    walkable &= ~ledges
    ceiling = np.full(len(spans.top), HIGHEST, dtype=np.int64)
    ceiling[:-1] = spans.bottom[1:]
    last = spans.start[1:][np.diff(spans.start) > 0] - 1
    ceiling[last] = HIGHEST
    walkable &= ceiling - spans.top >= settings.height_cells
    return spans._replace(walkable=walkable)


@loop
def _cut(polygon: Any, count: int, axis: int, at: Any, below: Any, above: Any) -> tuple[int, int]:
    """Cut a convex polygon (its first ``count`` rows) at a coordinate; the numbers of corners of both parts."""
    n_below, n_above = 0, 0
    j = count - 1
    for i in range(count):
        di, dj = at - polygon[i, axis], at - polygon[j, axis]
        if (di >= _ZERO) != (dj >= _ZERO):
            s = dj / (dj - di)
            for k in range(3):
                cut = polygon[j, k] + (polygon[i, k] - polygon[j, k]) * s
                below[n_below, k] = cut
                above[n_above, k] = cut
            n_below += 1
            n_above += 1
            keep_below, keep_above = di > _ZERO, di < _ZERO
        else:
            keep_below, keep_above = di >= _ZERO, di <= _ZERO
        for k in range(3):
            if keep_below:
                below[n_below, k] = polygon[i, k]
            if keep_above:
                above[n_above, k] = polygon[i, k]
        n_below += keep_below
        n_above += keep_above
        j = i
    return n_below, n_above


@loop
def _put(pool: Any, first: Any, state: Any, column: int, low: int, high: int, area: int, merge: int) -> Any:
    """Add a span (next, bottom, top, walkable) to a column, joined with those it touches; the pool, which may grow."""
    before, at = -1, first[column]
    while at >= 0 and pool[at, 1] <= high:
        following = pool[at, 0]
        if pool[at, 2] < low:
            before = at
        else:
            low = min(low, pool[at, 1])
            high = max(high, pool[at, 2])
            if abs(high - pool[at, 2]) <= merge:
                area = max(area, pool[at, 3])
            if before >= 0:
                pool[before, 0] = following
            else:
                first[column] = following
            pool[at, 0] = state[1]
            state[1] = at
        at = following
    if state[1] >= 0:
        new = state[1]
        state[1] = pool[new, 0]
    else:
        new = state[0]
        state[0] += 1
        if new >= len(pool):
            larger = np.empty((2 * len(pool), 4), dtype=np.int32)
            for i in range(len(pool)):
                for k in range(4):
                    larger[i, k] = pool[i, k]
            pool = larger
    pool[new, 0] = pool[before, 0] if before >= 0 else first[column]
    pool[new, 1], pool[new, 2], pool[new, 3] = low, high, area
    if before >= 0:
        pool[before, 0] = new
    else:
        first[column] = new
    return pool


@loop
def _rasterise(
    vertices: Any,
    faces: Any,
    walkable: Any,
    low: Any,
    high: Any,
    width: int,
    depth: int,
    cell: Any,
    cell_height: Any,
    merge: int,
) -> Any:
    pool = np.empty((1024, 4), dtype=np.int32)
    first = np.full(width * depth, -1, dtype=np.int32)
    state = np.zeros(2, dtype=np.int64)  # spans in the pool, first free one
    state[1] = -1
    per_cell, per_height = np.float32(1) / cell, np.float32(1) / cell_height
    tall = high[1] - low[1]
    rest, rest2 = np.empty((12, 3), dtype=np.float32), np.empty((12, 3), dtype=np.float32)
    row, row2 = np.empty((12, 3), dtype=np.float32), np.empty((12, 3), dtype=np.float32)
    piece = np.empty((12, 3), dtype=np.float32)
    for f in range(len(faces)):
        for i in range(3):
            for k in range(3):
                rest[i, k] = vertices[faces[f, i], k]
        n_rest = np.int64(3)
        z0 = int((min(rest[0, 2], rest[1, 2], rest[2, 2]) - low[2]) * per_cell)
        z1 = int((max(rest[0, 2], rest[1, 2], rest[2, 2]) - low[2]) * per_cell)
        for z in range(min(max(z0, -1), depth - 1), min(max(z1, 0), depth - 1) + 1):
            n_row, n_rest = _cut(rest, n_rest, _Z, low[2] + np.float32(z) * cell + cell, row, rest2)
            rest, rest2 = rest2, rest
            if n_row < 3 or z < 0:
                continue
            left, right = row[0, 0], row[0, 0]
            for i in range(1, n_row):
                left, right = min(left, row[i, 0]), max(right, row[i, 0])
            x0, x1 = int((left - low[0]) * per_cell), int((right - low[0]) * per_cell)
            if x1 < 0 or x0 >= width:
                continue
            for x in range(min(max(x0, -1), width - 1), min(max(x1, 0), width - 1) + 1):
                n, n_row = _cut(row, n_row, _X, low[0] + np.float32(x) * cell + cell, piece, row2)
                row, row2 = row2, row
                if n < 3 or x < 0:
                    continue
                bottom, top = piece[0, 1], piece[0, 1]
                for i in range(1, n):
                    bottom, top = min(bottom, piece[i, 1]), max(top, piece[i, 1])
                bottom, top = max(bottom - low[1], _ZERO), min(top - low[1], tall)
                if top < _ZERO or bottom > tall:
                    continue
                b = min(max(int(np.floor(bottom * per_height)), 0), MOST_HEIGHT)
                t = min(max(int(np.ceil(top * per_height)), b + 1), MOST_HEIGHT)
                pool = _put(pool, first, state, x + z * width, b, t, int(walkable[f]), merge)
    return pool, first


@loop
def _in_order(pool: Any, first: Any) -> Any:
    start = np.zeros(len(first) + 1, dtype=np.int32)
    for column in range(len(first)):
        at, count = first[column], 0
        while at >= 0:
            count += 1
            at = pool[at, 0]
        start[column + 1] = start[column] + count
    bottom, top = np.empty(start[-1], dtype=np.int32), np.empty(start[-1], dtype=np.int32)
    walkable = np.empty(start[-1], dtype=np.bool_)
    for column in range(len(first)):
        at, i = first[column], start[column]
        while at >= 0:
            bottom[i], top[i], walkable[i] = pool[at, 1], pool[at, 2], pool[at, 3] != 0
            at, i = pool[at, 0], i + 1
    return start, bottom, top, walkable


@loop
def _over_low_obstacles(start: Any, top: Any, walkable: Any, climb: int) -> None:
    """What stands less than a step above a walkable span is walked over, too, but not what stands on that."""
    for column in range(len(start) - 1):
        before = False
        for i in range(start[column], start[column + 1]):
            own = walkable[i]
            if not own and before and top[i] - top[i - 1] <= climb:
                walkable[i] = True
            before = own


@loop
def _ledges(start: Any, bottom: Any, top: Any, walkable: Any, width: int, depth: int, height: int, climb: int) -> Any:
    """Walkable spans beside a drop deeper than a step, or on a slope of more than a step per cell."""
    ledge = np.zeros(len(top), dtype=np.bool_)
    for column in range(len(start) - 1):
        x, z = column % width, column // width
        for i in range(start[column], start[column + 1]):
            if not walkable[i]:
                continue
            floor = top[i]
            ceiling = bottom[i + 1] if i + 1 < start[column + 1] else HIGHEST
            drop, lowest, highest = HIGHEST, floor, floor
            for side in range(4):
                nx, nz = x + (side == 2) - (side == 0), z + (side == 1) - (side == 3)
                if nx < 0 or nz < 0 or nx >= width or nz >= depth:
                    drop = min(drop, -climb - floor)
                    continue
                begin, end = start[nx + nz * width], start[nx + nz * width + 1]
                opening = bottom[begin] if begin < end else HIGHEST
                if min(ceiling, opening) - max(floor, -climb) > height:
                    drop = min(drop, -climb - floor)
                for k in range(begin, end):
                    opening = bottom[k + 1] if k + 1 < end else HIGHEST
                    if min(ceiling, opening) - max(floor, top[k]) > height:
                        drop = min(drop, top[k] - floor)
                        if abs(top[k] - floor) <= climb:
                            lowest, highest = min(lowest, top[k]), max(highest, top[k])
            ledge[i] = drop < -climb or highest - lowest > climb
    return ledge
