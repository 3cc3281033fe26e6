"""How far an agent's centre is from touching anything on a grid of obstacles, continuously, and motion in that field.

Lattice coordinates (row, column) are floats in cells: the centre of cell (r, c) is (r, c) itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from mirage_env.geometry import Array
from mirage_env.simulators.kernels import compiled

NEAR, DEEP = 2.0, 8.0
"""Cells beyond contact, outwards and inwards, at which clearance saturates; only what lies between decides anything."""

STEP = 0.25
"""Cells between places at which a motion looks for obstacles."""
TOUCH = 1e-3
"""Share of such a step within which the place of a contact is found."""
PUSHES = 8
"""How often a sliding agent is pushed back out of an obstacle, at most."""
SKIN = 1e-3
"""Cells of clearance that a motion leaves, so that its end is free in float32, too."""


class Clearance(NamedTuple):
    """A window of the clearance field.

    Attributes:
        field: (H, W) float64, at cell centres: the distance in cells to the nearest obstacle's centre minus the agent's
            radius; inside obstacles the distance to the nearest cell that is none counts as negative.
        row, column: grid indices of ``field[0, 0]``.
        outside: the clearance of everything beyond the window.
    """

    field: Array
    row: int
    column: int
    outside: float

    def at(self, row: float, column: float) -> float:
        """Clearance in cells at a place, bilinear between cell centres."""
        return _bilinear(self.field, row - self.row, column - self.column, self.outside)

    def along(self, rows: Array, columns: Array) -> Array:
        """Clearance in cells (N,) at places (N,)."""
        r, c = rows - self.row, columns - self.column
        r0, c0 = np.floor(r).astype(np.int64), np.floor(c).astype(np.int64)
        inside = (r0 >= 0) & (c0 >= 0) & (r0 < self.field.shape[0] - 1) & (c0 < self.field.shape[1] - 1)
        result = np.full(r.shape, self.outside)
        r, c, r0, c0 = r[inside], c[inside], r0[inside], c0[inside]
        fr, fc, f = r - r0, c - c0, self.field
        upper = f[r0, c0] * (1 - fc) + f[r0, c0 + 1] * fc
        lower = f[r0 + 1, c0] * (1 - fc) + f[r0 + 1, c0 + 1] * fc
        result[inside] = upper * (1 - fr) + lower * fr
        return result


def clearance(
    blocked: Array, radius: float, outside_free: bool, low: tuple[int, int], high: tuple[int, int]
) -> Clearance:
    """The clearance field over the cells from low to high (excluded), which may lie beyond the grid.

    Args:
        blocked: (H, W) bool.
        radius: of the agent, in cells.
        outside_free: whether everything beyond the grid is free, or all of it is blocked.
        low, high: (row, column) in cells of the grid.
    """
    kernels = compiled(*low, *high)
    if kernels is not None:
        field = np.empty((high[0] - low[0], high[1] - low[1]))
        kernels.clearance.fill(blocked, radius, outside_free, *low, field)
        return Clearance(field, *low, NEAR if outside_free else -DEEP - radius)
    # The distance transform sees as far beyond the window as clearance reaches, so a window equals a cut of the whole.
    margin = math.ceil(radius + max(NEAR, DEEP)) + 1
    r0, c0, r1, c1 = low[0] - margin, low[1] - margin, high[0] + margin, high[1] + margin
    padded = np.full((r1 - r0, c1 - c0), not outside_free)
    rows, columns = blocked.shape
    top, left, bottom, right = max(r0, 0), max(c0, 0), min(r1, rows), min(c1, columns)
    if top < bottom and left < right:
        padded[top - r0 : bottom - r0, left - c0 : right - c0] = blocked[top:bottom, left:right]
    if padded.any():
        field = np.empty(padded.shape)
        distance_transform_edt(~padded, distances=field)
        if not padded.all():
            inside = np.empty(padded.shape)
            distance_transform_edt(padded, distances=inside)
            field -= np.maximum(inside - 1.0, 0.0)
        else:
            field -= DEEP + radius
    else:
        field = np.full(padded.shape, np.inf)
    field = np.clip(field - radius, -DEEP - radius, NEAR)[margin:-margin, margin:-margin]
    return Clearance(field, low[0], low[1], NEAR if outside_free else -DEEP - radius)


def slide(field: Clearance, start: tuple[float, float], way: tuple[float, float], allow: bool) -> tuple[float, float]:
    """Where an agent comes that goes the way (rows, columns) from start, along obstacles if ``allow`` says so.

    It never goes where clearance is negative; one that stands there already never goes deeper.
    """
    length = math.hypot(*way)
    kernels = compiled(field.row, field.column, length)
    if kernels is not None:
        return kernels.clearance.slide(*field, *start, *way, length, allow)
    count = max(1, math.ceil(length / STEP))
    step_r, step_c = way[0] / count, way[1] / count
    r, c = start
    here, touched = field.at(r, c), False
    for _ in range(count):
        floor = min(here, SKIN)
        new_r, new_c = r + step_r, c + step_c
        there = field.at(new_r, new_c)
        if there < floor:
            if not allow:
                new_r, new_c = _contact(field, r, c, step_r, step_c, floor)
                return new_r, new_c
            found = _along_obstacle(field, r, c, step_r, step_c, floor)
            if found is None:
                return r, c
            new_r, new_c, there = found
            touched = True
        r, c, here = new_r, new_c, there
    # Without contact the end is exact: rounding must not add up.
    return (r, c) if touched else (start[0] + way[0], start[1] + way[1])


def _contact(field: Clearance, r: float, c: float, step_r: float, step_c: float, floor: float) -> tuple[float, float]:
    low, high = 0.0, 1.0
    while high - low > TOUCH:
        middle = (low + high) / 2
        if field.at(r + middle * step_r, c + middle * step_c) >= floor:
            low = middle
        else:
            high = middle
    return r + low * step_r, c + low * step_c


def _along_obstacle(
    field: Clearance, r: float, c: float, step_r: float, step_c: float, floor: float
) -> tuple[float, float, float] | None:
    """One step whose part into the obstacle is taken away; None where that leads nowhere."""
    normal_r, normal_c = _gradient(field, r, c)
    into = step_r * normal_r + step_c * normal_c
    if into >= 0:
        return None
    slide_r, slide_c = step_r - into * normal_r, step_c - into * normal_c
    if math.hypot(slide_r, slide_c) < 1e-3 * math.hypot(step_r, step_c):
        return None
    # Bent obstacles and the grid's roughness leave a little to push back out, never more than the step itself.
    new_r, new_c = r + slide_r, c + slide_c
    for _ in range(PUSHES):
        there = field.at(new_r, new_c)
        lack = floor - there
        if lack <= 0:
            onward = (new_r - r) * step_r + (new_c - c) * step_c > 0
            return (new_r, new_c, there) if onward else None
        normal_r, normal_c = _gradient(field, new_r, new_c)
        new_r, new_c = new_r + (1.1 * lack + 1e-6) * normal_r, new_c + (1.1 * lack + 1e-6) * normal_c
    return None


def _gradient(field: Clearance, r: float, c: float) -> tuple[float, float]:
    """Unit direction (rows, columns) in which clearance grows, over a cell to each side; 0 where it is level."""
    gr, gc = field.at(r + 1, c) - field.at(r - 1, c), field.at(r, c + 1) - field.at(r, c - 1)
    size = math.hypot(gr, gc)
    return (gr / size, gc / size) if size > 1e-9 else (0.0, 0.0)


def _bilinear(field: Array, r: float, c: float, outside: float) -> float:
    r0, c0 = math.floor(r), math.floor(c)
    if r0 < 0 or c0 < 0 or r0 >= field.shape[0] - 1 or c0 >= field.shape[1] - 1:
        return outside
    fr, fc = r - r0, c - c0
    upper = field.item(r0, c0) * (1 - fc) + field.item(r0, c0 + 1) * fc
    lower = field.item(r0 + 1, c0) * (1 - fc) + field.item(r0 + 1, c0 + 1) * fc
    return upper * (1 - fr) + lower * fr
