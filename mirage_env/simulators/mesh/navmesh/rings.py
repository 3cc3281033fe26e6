"""Polygons with whole-number corners: what lies left of what, and holes joined to the outline around them.

Corners are tuples (x, height, z); the outline runs so that the inside lies where ``in_cone`` says. After J. O'Rourke,
"Computational Geometry in C", 1998, as Recast uses it. Plain Python: contours have few corners, and whole
numbers are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

Corner = tuple[int, int, int]
Ring = Sequence[Corner]


def join_holes(outline: Ring, holes: Sequence[Ring]) -> tuple[list[Corner], list[int]]:
    """The outline with the holes joined by the shortest cuts that cross nothing, and the holes that cannot be."""
    outline = list(outline)
    leftmost = [min(range(len(hole)), key=lambda k, hole=hole: (hole[k][0], hole[k][2])) for hole in holes]
    order = sorted(range(len(holes)), key=lambda i: (holes[i][leftmost[i]][0], holes[i][leftmost[i]][2]))
    # By a slip that decides on cuts, Recast leaves out the edges at one corner too many: what it reads is kept here.
    skipped = [0] * (len(outline) + sum(map(len, holes)))
    left_over = []
    for turn, i in enumerate(order):
        cut = _cut(outline, holes, order, turn, leftmost[i], skipped)
        if cut is None:
            left_over.append(i)
            continue
        a, b = cut
        outline = [*outline[a:], *outline[: a + 1], *holes[i][b:], *holes[i][: b + 1]]
    return outline, left_over


def _cut(
    outline: Ring, holes: Sequence[Ring], order: list[int], turn: int, corner: int, skipped: list[int]
) -> tuple[int, int] | None:
    """The corners of outline and hole between which a cut crosses nothing."""
    hole = holes[order[turn]]
    for _ in range(len(hole)):
        point = hole[corner]
        facing = [
            i
            for i, at in enumerate(outline)
            if in_cone(outline[i - 1], at, outline[i + 1 if i + 1 < len(outline) else 0], point)
        ]
        facing.sort(key=lambda i: squared_length(outline[i], point))
        skipped[: len(facing)] = facing
        for a in facing:
            if _crosses(outline[a], point, outline, skipped[turn]):
                continue
            if not any(_crosses(outline[a], point, holes[k], -1) for k in order[turn:]):
                return a, corner
        corner = (corner + 1) % len(hole)
    return None


def twice_area(ring: Ring) -> int:
    """Twice the signed area of a ring, seen from above; negative for holes."""
    return sum(a[0] * b[2] - b[0] * a[2] for a, b in zip(ring, [ring[-1], *ring[:-1]], strict=True))


def squared_length(a: Corner, b: Corner) -> int:
    """Squared distance, seen from above."""
    return (b[0] - a[0]) ** 2 + (b[2] - a[2]) ** 2


def side_of(a: Corner, b: Corner, c: Corner) -> int:
    """Negative where c lies left of the line from a to b, 0 on it."""
    return (b[0] - a[0]) * (c[2] - a[2]) - (c[0] - a[0]) * (b[2] - a[2])


def same_place(a: Corner, b: Corner) -> bool:
    """Whether a stands over b."""
    return a[0] == b[0] and a[2] == b[2]


def in_cone(before: Corner, at: Corner, after: Corner, point: Corner, loose: bool = False) -> bool:
    """Whether the way from a corner to a point begins inside the polygon; loosely: or along its border."""
    if side_of(before, at, after) <= 0:
        least = 1 if loose else 0
        return side_of(at, point, before) < least and side_of(point, at, after) < least
    return not (side_of(at, point, after) <= 0 and side_of(point, at, before) <= 0)


def meets(a: Corner, b: Corner, c: Corner, d: Corner, loose: bool = False) -> bool:
    """Whether the segments ab and cd have a point in common; loosely: whether they cross in their insides."""
    abc, abd = side_of(a, b, c), side_of(a, b, d)
    if (abc > 0 and abd > 0) or (abc < 0 and abd < 0):
        return False
    cda, cdb = side_of(c, d, a), side_of(c, d, b)
    if abc and abd and cda and cdb:
        return (cda < 0) != (cdb < 0)
    if loose:
        return False
    return (
        (not abc and _between(a, b, c))
        or (not abd and _between(a, b, d))
        or (not cda and _between(c, d, a))
        or (not cdb and _between(c, d, b))
    )


def _between(a: Corner, b: Corner, c: Corner) -> bool:
    """Whether c, on the line through a and b, lies from a to b."""
    k = 0 if a[0] != b[0] else 2
    return a[k] <= c[k] <= b[k] or a[k] >= c[k] >= b[k]


def _crosses(a: Corner, b: Corner, ring: Ring, skip: int) -> bool:
    n = len(ring)
    for i in range(n):
        k = i + 1 if i + 1 < n else 0
        p, q = ring[i], ring[k]
        if skip in (i, k) or same_place(a, p) or same_place(b, p) or same_place(a, q) or same_place(b, q):
            continue
        if meets(a, b, p, q):
            return True
    return False
