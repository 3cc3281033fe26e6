"""Surfaces drawn into an occupancy grid; ``simulators.occupancy`` says which, and how densely."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.simulators.occupancy import (
    ANKLE,
    FAR,
    FLOOR_BAND,
    HEAD,
    LEVEL,
    LEVEL_BAND,
    MAX_SAMPLES,
    REACH,
    SPACING,
    STREAK_SINE,
)


@kernel
def sample(
    positions: Array, tangents_u: Array, tangents_v: Array, extents: Array, viewpoints: Array, continued: Array,
    bridges: Array, imagined: Array, floor_height: float, cell: float, row: int, column: int, solid: Array,
    guessed: Array, floor: Array, clear: Array,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Samples of surfels that would change a grid, but for the look at sight lines.

    Returns world points (S, 3), their lattice cells (S, 2) as row and column, whether they are floor (S,) or something
    that stands on it, and whether a camera saw them (S,).
    """
    room, count = 1024, 0
    points, cells = np.empty((room, 3)), np.empty((room, 2), dtype=np.int64)
    level, seen = np.empty(room, dtype=np.bool_), np.empty(room, dtype=np.bool_)
    p, u, v, ray = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    point = np.empty(3)
    for k in range(positions.shape[0]):
        for axis in range(3):
            p[axis], u[axis], v[axis] = positions[k, axis], tangents_u[k, axis], tangents_v[k, axis]
            ray[axis] = p[axis] - np.float64(viewpoints[k, axis])
        distance = math.sqrt(ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2])
        n0, n1, n2 = u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]
        size = max(math.sqrt(n0 * n0 + n1 * n1 + n2 * n2), 1e-12)
        n0, n1, n2 = n0 / size, n1 / size, n2 / size
        sine = abs(n0 * ray[0] + n1 * ray[1] + n2 * ray[2]) / max(distance, 1e-12)
        reach, height = (abs(u[1]) + abs(v[1])) / 2, p[1] - floor_height
        if sine < STREAK_SINE or bridges[k] or not distance <= FAR:
            continue
        if not (height + reach >= -LEVEL_BAND and height - reach <= HEAD):
            continue
        flat, saw = abs(n1) > LEVEL, imagined[k] == 0
        start_u, start_v = -np.float64(extents[k, 0]), -np.float64(extents[k, 2])
        size_u = np.float64(extents[k, 0]) + np.float64(extents[k, 1])
        size_v = np.float64(extents[k, 2]) + np.float64(extents[k, 3])
        long_u, long_v = _length(u), _length(v)
        n_u, n_v = _samples(long_u * size_u, cell), _samples(long_v * size_v, cell)
        if count + n_u * n_v > room:
            more = 2 * room + n_u * n_v
            points, cells = _roomier(points, more), _roomier(cells, more)
            level, seen = _roomier(level, more), _roomier(seen, more)
            room = more
        for j in range(n_v):
            b = start_v + (j + 0.5) * (size_v / n_v)
            for i in range(n_u):
                a = start_u + (i + 0.5) * (size_u / n_u)
                for axis in range(3):
                    point[axis] = p[axis] + a * u[axis] + b * v[axis]
                above = point[1] - floor_height
                is_level = abs(above) <= FLOOR_BAND or (flat and abs(above) <= LEVEL_BAND)
                if not is_level:
                    sure = abs(a) * long_u <= REACH or continued[k, 0 if a < 0 else 1]
                    sure = sure and (abs(b) * long_v <= REACH or continued[k, 2 if b < 0 else 3])
                    if not (sure and above >= ANKLE and above <= HEAD):
                        continue
                r, c = math.floor(point[2] / cell), math.floor(point[0] / cell)
                y, x = r - row, c - column
                if 0 <= y < solid.shape[0] and 0 <= x < solid.shape[1]:
                    # Most of what is written continues what the grid knows.
                    known = floor[y, x] and (clear[y, x] or not saw) if is_level else (solid if saw else guessed)[y, x]
                    if known:
                        continue
                points[count] = point
                cells[count, 0], cells[count, 1], level[count], seen[count] = r, c, is_level, saw
                count += 1
    return points[:count], cells[:count], level[:count], seen[:count]


@kernel
def _length(tangent: Array) -> float:
    return math.sqrt(tangent[0] * tangent[0] + tangent[1] * tangent[1] + tangent[2] * tangent[2])


@kernel
def _samples(length: float, cell: float) -> int:
    return int(min(max(np.ceil(length / (SPACING * cell)), 1.0), float(MAX_SAMPLES)))


@kernel
def _roomier(array: Array, room: int) -> Array:
    larger = np.empty((room,) + array.shape[1:], dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger
