"""Polygons with whole-number corners: what lies left of what, and holes joined to the outline around them.

Corners are rows (x, height, z); the outline runs so that the inside lies where ``left`` says. After J. O'Rourke,
"Computational Geometry in C", 1998, as Recast uses it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.loops import loop


def join_holes(outline: Array, holes: list[Array]) -> tuple[Array, list[int]]:
    """The outline with the holes joined by the shortest cuts that cross nothing, and the holes that cannot be.

    Args:
        outline: (K, 3) int64.
        holes: (K_i, 3) int64 each.
    """
    leftmost = [int(np.lexsort((hole[:, 2], hole[:, 0]))[0]) for hole in holes]
    order = sorted(range(len(holes)), key=lambda i: (holes[i][leftmost[i], 0], holes[i][leftmost[i], 2]))
    # Recast leaves out the edges at one corner too many, by a slip that decides on cuts: this keeps what it reads there.
    skipped = np.zeros(len(outline) + sum(map(len, holes)), dtype=np.int64)
    left_over = []
    for turn, i in enumerate(order):
        cut = _cut(outline, holes, order, turn, leftmost[i], skipped)
        if cut is None:
            left_over.append(i)
            continue
        a, b = cut
        hole = holes[i]
        outline = np.concatenate([outline[a:], outline[: a + 1], hole[b:], hole[: b + 1]])
        holes = [*holes[:i], hole[:0], *holes[i + 1 :]]
    return outline, left_over


def _cut(
    outline: Array, holes: list[Array], order: list[int], turn: int, corner: int, skipped: Array
) -> tuple[int, int] | None:
    """The corners of outline and hole between which a cut crosses nothing."""
    hole = holes[order[turn]]
    for _ in range(len(hole)):
        point = hole[corner]
        facing = _facing(outline, point)
        off = outline[facing] - point
        facing = facing[np.argsort(off[:, 0] ** 2 + off[:, 2] ** 2, kind="stable")]
        skipped[: len(facing)] = facing
        for a in facing.tolist():
            if _crosses(outline[a], point, outline, int(skipped[turn])):
                continue
            if not any(_crosses(outline[a], point, holes[k], -1) for k in order[turn:]):
                return a, corner
        corner = (corner + 1) % len(hole)
    return None


@loop
def side_of(a: Any, b: Any, c: Any) -> int:
    """Negative where c lies left of the line from a to b, 0 on it."""
    return (b[0] - a[0]) * (c[2] - a[2]) - (c[0] - a[0]) * (b[2] - a[2])


@loop
def crosses_properly(a: Any, b: Any, c: Any, d: Any) -> bool:
    """Whether the insides of the segments ab and cd cross in one point."""
    abc, abd, cda, cdb = side_of(a, b, c), side_of(a, b, d), side_of(c, d, a), side_of(c, d, b)
    if abc == 0 or abd == 0 or cda == 0 or cdb == 0:
        return False
    return (abc < 0) != (abd < 0) and (cda < 0) != (cdb < 0)


@loop
def _between(a: Any, b: Any, c: Any) -> bool:
    if side_of(a, b, c) != 0:
        return False
    k = 0 if a[0] != b[0] else 2
    return a[k] <= c[k] <= b[k] or a[k] >= c[k] >= b[k]


@loop
def meets(a: Any, b: Any, c: Any, d: Any) -> bool:
    """Whether the segments ab and cd have a point in common."""
    if crosses_properly(a, b, c, d):
        return True
    return _between(a, b, c) or _between(a, b, d) or _between(c, d, a) or _between(c, d, b)


@loop
def same_place(a: Any, b: Any) -> bool:
    """Whether a stands over b."""
    return a[0] == b[0] and a[2] == b[2]


@loop
def in_cone(before: Any, at: Any, after: Any, point: Any) -> bool:
    """Whether the way from a corner to a point begins inside the polygon."""
    if side_of(before, at, after) <= 0:
        return side_of(at, point, before) < 0 and side_of(point, at, after) < 0
    return not (side_of(at, point, after) <= 0 and side_of(point, at, before) <= 0)


@loop
def _facing(outline: Any, point: Any) -> Any:
    n = len(outline)
    facing = np.empty(n, dtype=np.int64)
    count = 0
    for i in range(n):
        if in_cone(outline[i - 1 if i > 0 else n - 1], outline[i], outline[i + 1 if i + 1 < n else 0], point):
            facing[count] = i
            count += 1
    return facing[:count].copy()


@loop
def _crosses(a: Any, b: Any, polygon: Any, skip: int) -> bool:
    n = len(polygon)
    for i in range(n):
        k = i + 1 if i + 1 < n else 0
        if skip == i or skip == k:
            continue
        p, q = polygon[i], polygon[k]
        if same_place(a, p) or same_place(b, p) or same_place(a, q) or same_place(b, q):
            continue
        if meets(a, b, p, q):
            return True
    return False
