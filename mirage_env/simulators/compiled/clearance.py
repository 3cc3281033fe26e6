"""The clearance field of a grid and motion in it; ``simulators.clearance`` says what they are."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.simulators.clearance import DEEP, NEAR, PUSHES, SKIN, STEP, TOUCH

_SPLIT = 134217729.0
"""2**27 + 1: what halves the digits of a float64, so that products of halves are exact (Dekker)."""


@kernel
def fill(blocked: Array, radius: float, outside_free: bool, row: int, column: int, field: Array) -> None:
    """Fill ``field`` (H, W), whose first cell is cell (row, column) of the grid ``blocked``, with its clearance.

    Only obstacles that are near enough to make a difference are looked for: first along columns, then along rows.
    """
    near, deep = math.ceil(radius + NEAR), math.ceil(DEEP) + 1
    margin, lowest = max(near, deep), -DEEP - radius
    height, width = field.shape
    inside = _framed(blocked, outside_free, row - margin, column - margin, height + 2 * margin, width + 2 * margin)
    squares = _along_columns(inside, near)
    for r in range(height):
        line, walls = field[r], inside[r + margin, margin : margin + width]
        _along_row(squares[r + margin], margin, near, line)
        for c in range(width):
            line[c] = min(math.sqrt(line[c]) - radius, NEAR)
        for c in range(width):
            if walls[c]:
                depth = max(math.sqrt(np.float64(_depth(inside, r + margin, c + margin, deep))) - 1.0, 0.0)
                line[c] = max(0.0 - depth - radius, lowest)


@kernel
def _framed(blocked: Array, outside_free: bool, row: int, column: int, height: int, width: int) -> Array:
    """The cells (height, width) from cell (row, column) on, which may lie beyond the grid."""
    framed = np.empty((height, width), dtype=np.bool_)
    first, last = min(max(-column, 0), width), max(min(blocked.shape[1] - column, width), 0)
    for r in range(height):
        line = framed[r]
        for c in range(width):
            line[c] = not outside_free
        if 0 <= r + row < blocked.shape[0]:
            cells = blocked[r + row]
            for c in range(first, last):
                line[c] = cells[c + column]
    return framed


@kernel
def _along_columns(inside: Array, most: int) -> Array:
    """Squares (H, W) of how many rows away the nearest obstacle is; at most (most + 1)**2."""
    rows, columns = inside.shape
    far = most + 1.0
    away = np.empty((rows, columns))
    for r in range(rows):
        line, above, walls = away[r], away[max(r - 1, 0)], inside[r]
        for c in range(columns):
            line[c] = 0.0 if walls[c] else min(above[c] + 1.0, far) if r else far
    for r in range(rows - 2, -1, -1):
        line, below = away[r], away[r + 1]
        for c in range(columns):
            line[c] = min(line[c], below[c] + 1.0)
    for r in range(rows):
        line = away[r]
        for c in range(columns):
            line[c] = line[c] * line[c]
    return away


@kernel
def _along_row(squares: Array, margin: int, most: int, least: Array) -> None:
    """Least squared distances (W,), from the squares (W + 2 margin,) of distances along columns."""
    width, here = least.shape[0], squares[margin:]
    for c in range(width):
        least[c] = here[c]
    for step in range(1, most + 1):
        square = np.float64(step * step)
        left, right = squares[margin - step : margin - step + width], squares[margin + step : margin + step + width]
        for c in range(width):
            least[c] = min(least[c], min(left[c], right[c]) + square)


@kernel
def _depth(inside: Array, r: int, c: int, most: int) -> int:
    """The squared distance from an obstacle's cell to the nearest that is none; at least most**2 beyond that."""
    if not (inside[r - 1, c] and inside[r + 1, c] and inside[r, c - 1] and inside[r, c + 1]):
        return 1
    least = most * most
    # Square rings, the nearest first.
    for ring in range(1, most):
        if ring * ring >= least:
            break
        for k in range(-ring, ring + 1):
            edge = inside[r - ring, c + k] and inside[r + ring, c + k]
            if not (edge and inside[r + k, c - ring] and inside[r + k, c + ring]):
                least = min(least, ring * ring + k * k)
    return least


@kernel
def at(field: Array, row: int, column: int, outside: float, r: float, c: float) -> float:
    """``Clearance.at``."""
    r, c = r - row, c - column
    r0, c0 = math.floor(r), math.floor(c)
    if r0 < 0 or c0 < 0 or r0 >= field.shape[0] - 1 or c0 >= field.shape[1] - 1:
        return outside
    i, j = np.int64(r0), np.int64(c0)
    fr, fc = r - r0, c - c0
    upper = field[i, j] * (1 - fc) + field[i, j + 1] * fc
    lower = field[i + 1, j] * (1 - fc) + field[i + 1, j + 1] * fc
    return upper * (1 - fr) + lower * fr


@kernel
def slide(
    field: Array, row: int, column: int, outside: float, r: float, c: float, way_r: float, way_c: float,
    length: float, allow: bool,
) -> tuple[float, float]:  # fmt: skip
    """``simulators.clearance.slide`` from (r, c); ``length`` is that of the way."""
    start_r, start_c = r, c
    count = max(1, math.ceil(length / STEP))
    step_r, step_c = way_r / count, way_c / count
    here, touched = at(field, row, column, outside, r, c), False
    for _ in range(count):
        floor = min(here, SKIN)
        new_r, new_c = r + step_r, c + step_c
        there = at(field, row, column, outside, new_r, new_c)
        if there < floor:
            if not allow:
                return _contact(field, row, column, outside, r, c, step_r, step_c, floor)
            found, new_r, new_c, there = _along_obstacle(field, row, column, outside, r, c, step_r, step_c, floor)
            if not found:
                return r, c
            touched = True
        r, c, here = new_r, new_c, there
    if touched:
        return r, c
    return start_r + way_r, start_c + way_c


@kernel
def _contact(
    field: Array, row: int, column: int, outside: float, r: float, c: float, step_r: float, step_c: float,
    floor: float,
) -> tuple[float, float]:  # fmt: skip
    low, high = 0.0, 1.0
    while high - low > TOUCH:
        middle = (low + high) / 2
        if at(field, row, column, outside, r + middle * step_r, c + middle * step_c) >= floor:
            low = middle
        else:
            high = middle
    return r + low * step_r, c + low * step_c


@kernel
def _along_obstacle(
    field: Array, row: int, column: int, outside: float, r: float, c: float, step_r: float, step_c: float,
    floor: float,
) -> tuple[bool, float, float, float]:  # fmt: skip
    normal_r, normal_c = _gradient(field, row, column, outside, r, c)
    into = step_r * normal_r + step_c * normal_c
    if into >= 0:
        return False, r, c, floor
    slide_r, slide_c = step_r - into * normal_r, step_c - into * normal_c
    if hypot(slide_r, slide_c) < 1e-3 * hypot(step_r, step_c):
        return False, r, c, floor
    new_r, new_c = r + slide_r, c + slide_c
    for _ in range(PUSHES):
        there = at(field, row, column, outside, new_r, new_c)
        lack = floor - there
        if lack <= 0:
            onward = (new_r - r) * step_r + (new_c - c) * step_c > 0
            return onward, new_r, new_c, there
        normal_r, normal_c = _gradient(field, row, column, outside, new_r, new_c)
        new_r, new_c = new_r + (1.1 * lack + 1e-6) * normal_r, new_c + (1.1 * lack + 1e-6) * normal_c
    return False, r, c, floor


@kernel
def _gradient(field: Array, row: int, column: int, outside: float, r: float, c: float) -> tuple[float, float]:
    gr = at(field, row, column, outside, r + 1, c) - at(field, row, column, outside, r - 1, c)
    gc = at(field, row, column, outside, r, c + 1) - at(field, row, column, outside, r, c - 1)
    size = hypot(gr, gc)
    if size > 1e-9:
        return gr / size, gc / size
    return 0.0, 0.0


@kernel
def hypot(a: float, b: float) -> float:
    """The length of (a, b), rounded as well as Python's ``math.hypot`` does it; that of the C library is not always."""
    a, b = max(abs(a), abs(b)), min(abs(a), abs(b))
    if a == 0.0 or not a < 1e150 or a < 1e-150 or b < 1e-150:
        return math.hypot(a, b)
    length = math.sqrt(a * a + b * b)
    # One step of Newton's, from an error that is exact but for its last digits.
    high, low = _square(length)
    high_a, low_a = _square(a)
    high_b, low_b = _square(b)
    error = ((high_a - high) + high_b) + ((low_a - low) + low_b)
    return length + error / (2.0 * length)


@kernel
def _square(a: float) -> tuple[float, float]:
    """a * a as the sum of a float64 and what it lacks."""
    product = a * a
    split = _SPLIT * a
    high = split - (split - a)
    low = a - high
    return product, ((high * high - product) + 2.0 * high * low) + low * low
