"""Contours divided into convex polygons that share their edges (Recast's method)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.contours import Contour
from mirage_env.simulators.mesh.holes import crosses_properly, in_cone, meets, same_place, side_of
from mirage_env.simulators.mesh.loops import loop

MOST_CORNERS = 6
_SAME_HEIGHT = 2


class Polygons(NamedTuple):
    """Convex polygons on the grid.

    Attributes:
        corners: (V, 3) int64 x, height, z in cells.
        polygons: (P, 6) int32 corners, clockwise from above; -1 after the last.
        neighbours: (P, 6) int32, the polygon beyond the edge from corner i to the next, -1: none.
        region: (P,) int32.
    """

    corners: Array
    polygons: Array
    neighbours: Array
    region: Array


def polygons_of(contours: list[Contour]) -> Polygons:
    """The convex polygons of contours, neighbours linked."""
    places: dict[tuple[int, int], list[int]] = {}
    corners: list[tuple[int, int, int]] = []
    found, regions = [np.zeros((0, MOST_CORNERS), dtype=np.int32)], []
    for contour in contours:
        triangles = triangulate(contour.corners)
        shared = np.array([_shared(tuple(row), places, corners) for row in contour.corners.tolist()], dtype=np.int32)
        triangles = triangles[
            (triangles[:, 0] != triangles[:, 1])
            & (triangles[:, 0] != triangles[:, 2])
            & (triangles[:, 1] != triangles[:, 2])
        ]
        if not len(triangles):
            continue
        convex = np.full((len(triangles), MOST_CORNERS), -1, dtype=np.int32)
        convex[:, :3] = shared[triangles]
        convex = convex[: _merge(convex, np.array(corners, dtype=np.int64))]
        found.append(convex)
        regions += [contour.region] * len(convex)
    polygons = np.concatenate(found)
    places_of = np.array(corners, dtype=np.int64).reshape(-1, 3)
    return Polygons(places_of, polygons, _neighbours(polygons), np.array(regions, dtype=np.int32))


def _shared(
    corner: tuple[int, int, int], places: dict[tuple[int, int], list[int]], corners: list[tuple[int, int, int]]
) -> int:
    """The number of a corner; the latest one at the same place and up to two cell heights away, or a new one."""
    there = places.setdefault((corner[0], corner[2]), [])
    for i in reversed(there):
        if abs(corners[i][1] - corner[1]) <= _SAME_HEIGHT:
            return i
    there.append(len(corners))
    corners.append(corner)
    return there[-1]


def _neighbours(polygons: Array) -> Array:
    neighbours = np.full(polygons.shape, -1, dtype=np.int32)
    rising: dict[tuple[int, int], list[tuple[int, int]]] = {}
    edges = []
    for p, row in enumerate(polygons.tolist()):
        ring = [corner for corner in row if corner >= 0]
        edges += [(p, i, corner, ring[(i + 1) % len(ring)]) for i, corner in enumerate(ring)]
    for p, i, a, b in edges:
        if a < b:
            rising.setdefault((a, b), []).append((p, i))
    for p, i, a, b in edges:
        # The latest edge between these corners that has no polygon on its other side.
        if a > b and rising.get((b, a)):
            waiting = rising[b, a]
            q, k = waiting[-1]
            waiting.pop()
            if q != p:
                neighbours[p, i], neighbours[q, k] = q, p
    return neighbours


@loop
def _diagonal(corners: Any, ring: Any, n: int, i: int, k: int, loose: bool) -> bool:
    """Whether the segment from ring corner i to k runs inside the polygon; loosely: it may touch others."""
    a, b = corners[ring[i]], corners[ring[k]]
    before, after = corners[ring[i - 1 if i > 0 else n - 1]], corners[ring[i + 1 if i + 1 < n else 0]]
    if not loose:
        if not in_cone(before, a, after, b):
            return False
    elif side_of(before, a, after) <= 0:
        if not (side_of(a, b, before) <= 0 and side_of(b, a, after) <= 0):
            return False
    elif side_of(a, b, after) <= 0 and side_of(b, a, before) <= 0:
        return False
    for j in range(n):
        j1 = j + 1 if j + 1 < n else 0
        if j == i or j1 == i or j == k or j1 == k:
            continue
        p, q = corners[ring[j]], corners[ring[j1]]
        if same_place(a, p) or same_place(b, p) or same_place(a, q) or same_place(b, q):
            continue
        if crosses_properly(a, b, p, q) or (not loose and meets(a, b, p, q)):
            return False
    return True


@loop
def triangulate(corners: Any) -> Any:
    """Triangles (T, 3) int64 of a polygon with corners (K, 3), cut off at the shortest diagonal first."""
    n = len(corners)
    ring = np.arange(n)
    ear = np.zeros(n, dtype=np.bool_)
    triangles = np.empty((max(n - 2, 0), 3), dtype=np.int64)
    count = 0
    for i in range(n):
        ear[(i + 1) % n] = _diagonal(corners, ring, n, i, (i + 2) % n, False)
    while n > 3:
        best, shortest = -1, np.int64(-1)
        for attempt in range(2):
            if best >= 0:
                break
            # Contours that overlap themselves may have no ear; then one that touches the border does, too.
            for i in range(n):
                i1, i2 = (i + 1) % n, (i + 2) % n
                if attempt == 0:
                    fits, k = ear[i1], i2
                else:
                    fits, k = _diagonal(corners, ring, n, i, i2, True), (i + 3) % n
                if fits:
                    p, q = corners[ring[i]], corners[ring[k]]
                    length = (q[0] - p[0]) ** 2 + (q[2] - p[2]) ** 2
                    if shortest < 0 or length < shortest:
                        shortest, best = length, i
        if best < 0:
            return triangles[:count].copy()
        i1, i2 = (best + 1) % n, (best + 2) % n
        triangles[count, 0], triangles[count, 1], triangles[count, 2] = ring[best], ring[i1], ring[i2]
        count += 1
        n -= 1
        for k in range(i1, n):
            ring[k], ear[k] = ring[k + 1], ear[k + 1]
        if i1 >= n:
            i1 = 0
        i = i1 - 1 if i1 > 0 else n - 1
        ear[i] = _diagonal(corners, ring, n, i - 1 if i > 0 else n - 1, i1, False)
        ear[i1] = _diagonal(corners, ring, n, i, (i1 + 1) % n, False)
    triangles[count] = ring[:3]
    return triangles[: count + 1].copy()


@loop
def _count(polygon: Any) -> int:
    n = 0
    while n < MOST_CORNERS and polygon[n] >= 0:
        n += 1
    return n


@loop
def _shared_edge(a: Any, b: Any, corners: Any) -> tuple[int, int, int]:
    """The squared length of the edge that two polygons share and where it is in both; -1 if they cannot be joined."""
    na, nb = _count(a), _count(b)
    if na + nb - 2 > MOST_CORNERS:
        return -1, -1, -1
    ea, eb = -1, -1
    for i in range(na):
        a0, a1 = a[i], a[(i + 1) % na]
        for k in range(nb):
            b0, b1 = b[k], b[(k + 1) % nb]
            if (a0 == b0 and a1 == b1) or (a0 == b1 and a1 == b0):
                ea, eb = i, k
                break
    if ea < 0:
        return -1, -1, -1
    if side_of(corners[a[(ea + na - 1) % na]], corners[a[ea]], corners[b[(eb + 2) % nb]]) >= 0:
        return -1, -1, -1
    if side_of(corners[b[(eb + nb - 1) % nb]], corners[b[eb]], corners[a[(ea + 2) % na]]) >= 0:
        return -1, -1, -1
    p, q = corners[a[ea]], corners[a[(ea + 1) % na]]
    return (p[0] - q[0]) ** 2 + (p[2] - q[2]) ** 2, ea, eb


@loop
def _merge(polygons: Any, corners: Any) -> int:
    """Join polygons (P, 6) over their longest shared edges while they stay convex, in place; how many remain."""
    n = len(polygons)
    # What two polygons share changes only for those that were joined or moved.
    shares = np.empty((n, n, 3), dtype=np.int32)
    for i in range(n):
        for k in range(i + 1, n):
            shares[i, k, 0], shares[i, k, 1], shares[i, k, 2] = _shared_edge(polygons[i], polygons[k], corners)
    while n > 1:
        best, bi, bk = 0, 0, 0
        for i in range(n - 1):
            for k in range(i + 1, n):
                if shares[i, k, 0] > best:
                    best, bi, bk = shares[i, k, 0], i, k
        if best <= 0:
            break
        a, b = polygons[bi].copy(), polygons[bk].copy()
        na, nb, ea, eb = _count(a), _count(b), shares[bi, bk, 1], shares[bi, bk, 2]
        polygons[bi] = -1
        count = 0
        for i in range(na - 1):
            polygons[bi, count] = a[(ea + 1 + i) % na]
            count += 1
        for i in range(nb - 1):
            polygons[bi, count] = b[(eb + 1 + i) % nb]
            count += 1
        n -= 1
        polygons[bk] = polygons[n]
        for changed in (bi, bk):
            if changed >= n:
                continue
            for i in range(n):
                if i != changed:
                    lo, hi = min(i, changed), max(i, changed)
                    shared = _shared_edge(polygons[lo], polygons[hi], corners)
                    shares[lo, hi, 0], shares[lo, hi, 1], shares[lo, hi, 2] = shared
    return n
