"""Shortest paths over convex polygons: A* from polygon to polygon, then a taut string through their edges.

Detour's method, so that lengths are Habitat's: a polygon stands for the middle of the edge by which it is first
entered. The string is M. Mononen's "simple stupid funnel algorithm".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.simulators.mesh.navmesh.loops import loop
from mirage_env.simulators.mesh.navmesh.surface import inside, nearest, off_edge, put

_ZERO, _HALF, _FAR = np.float32(0), np.float32(0.5), np.float32(3.4e38)
_GREED = np.float32(0.999)
_SAME = np.float32((1.0 / 16384.0) ** 2)
_CLOSE = np.float32(0.001) * np.float32(0.001)


@loop
def _apart(a: Any, b: Any) -> Any:
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    return np.sqrt(dx * dx + dy * dy + dz * dz)


@loop
def _turn(a: Any, b: Any, c: Any) -> Any:
    return (c[0] - a[0]) * (b[2] - a[2]) - (b[0] - a[0]) * (c[2] - a[2])


@loop
def _same(a: Any, b: Any) -> bool:
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    return dx * dx + dy * dy + dz * dz < _SAME


@loop
def _rise(heap: Any, total: Any, at: int, node: int) -> None:
    up = (at - 1) // 2
    while at > 0 and total[heap[up]] > total[node]:
        heap[at] = heap[up]
        at, up = up, (up - 1) // 2
    heap[at] = node


@loop
def _corridor(mesh: Any, start: int, goal: int, begin: Any, end: Any, way: Any) -> int:
    """The polygons from start to goal, and how many; 0: none."""
    n = len(mesh.sides)
    cost, total = np.zeros(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
    place = np.empty((n, 3), dtype=np.float32)
    before = np.full(n, -1, dtype=np.int32)
    state = np.zeros(n, dtype=np.int8)  # 0 not met, 1 waiting, 2 done
    heap = np.empty(n + 1, dtype=np.int32)
    put(begin, place[start])
    total[start] = _apart(begin, end) * _GREED
    heap[0], count = start, 1
    state[start] = 1
    while count > 0:
        p = heap[0]
        count -= 1
        last, at, child = heap[count], 0, 1
        while child < count:
            if child + 1 < count and total[heap[child]] > total[heap[child + 1]]:
                child += 1
            heap[at] = heap[child]
            at, child = child, 2 * child + 1
        _rise(heap, total, at, last)
        state[p] = 2
        if p == goal:
            break
        for e in range(mesh.sides[p]):
            other = mesh.neighbours[p, e]
            if other < 0 or other == before[p] or not mesh.usable[other]:
                continue
            if state[other] == 0:
                a, b = mesh.corners[p, e], mesh.corners[p, (e + 1) % mesh.sides[p]]
                for k in range(3):
                    place[other, k] = (a[k] + b[k]) * _HALF
            new = cost[p] + _apart(place[p], place[other])
            ahead = _ZERO
            if other == goal:
                new = new + _apart(place[other], end)
            else:
                ahead = _apart(place[other], end) * _GREED
            if state[other] != 0 and new + ahead >= total[other]:
                continue
            before[other], cost[other], total[other] = p, new, new + ahead
            if state[other] == 1:
                at = 0
                while heap[at] != other:
                    at += 1
                _rise(heap, total, at, other)
            else:
                state[other] = 1
                _rise(heap, total, count, other)
                count += 1
    if state[goal] != 2:
        return 0
    length, p = 0, goal
    while p >= 0:
        length += 1
        p = before[p]
    p = goal
    for i in range(length - 1, -1, -1):
        way[i] = p
        p = before[p]
    return length


@loop
def _onto(mesh: Any, polygon: int, point: Any, out: Any) -> None:
    """A point, or the nearest on a polygon's border where it is outside, seen from above."""
    n, corners = mesh.sides[polygon], mesh.corners[polygon]
    put(point, out)
    if inside(point, corners, n):
        return
    least = _FAR
    for i in range(n):
        a, b = corners[i], corners[(i + 1) % n]
        off, at = off_edge(point, a, b)
        if off < least:
            least = off
            for k in range(3):
                out[k] = a[k] + (b[k] - a[k]) * at


@loop
def _pull(mesh: Any, way: Any, size: int, begin: Any, end: Any, path: Any) -> int:
    """The corners of the taut string from begin to end through the polygons of a way, and how many."""
    put(begin, path[0])
    count = 1
    apex, left, right = begin.copy(), begin.copy(), begin.copy()
    at_left, at_right = 0, 0
    i = 0
    while i < size and size > 1:
        near, far = end, end  # the ends of the edge to pass, left and right
        if i + 1 < size:
            n = mesh.sides[way[i]]
            for e in range(n):
                if mesh.neighbours[way[i], e] == way[i + 1]:
                    near, far = mesh.corners[way[i], e], mesh.corners[way[i], (e + 1) % n]
                    break
            if i == 0 and off_edge(apex, near, far)[0] < _CLOSE:
                i += 1
                continue
        turned = False
        if _turn(apex, right, far) <= _ZERO:
            if _same(apex, right) or _turn(apex, left, far) > _ZERO:
                put(far, right)
                at_right = i
            else:
                put(left, apex)
                i, turned = at_left, True
        if not turned and _turn(apex, left, near) >= _ZERO:
            if _same(apex, left) or _turn(apex, right, near) < _ZERO:
                put(near, left)
                at_left = i
            else:
                put(right, apex)
                i, turned = at_right, True
        if turned:
            if not _same(path[count - 1], apex):
                put(apex, path[count])
                count += 1
            put(apex, left)
            put(apex, right)
            at_left, at_right = i, i
        i += 1
    if not _same(path[count - 1], end):
        put(end, path[count])
        count += 1
    return count


@loop
def find_path(mesh: Any, a: Any, b: Any) -> Any:
    """The corners (N, 3) float32 of the path from a to b, both (3,) float32; (0, 3) where there is none."""
    begin, end = np.empty(3, dtype=np.float32), np.empty(3, dtype=np.float32)
    start, goal = nearest(mesh, a, -1, begin), nearest(mesh, b, -1, end)
    if start < 0 or goal < 0:
        return np.empty((0, 3), dtype=np.float32)
    if begin[0] == end[0] and begin[1] == end[1] and begin[2] == end[2]:
        ends = np.empty((2, 3), dtype=np.float32)
        put(begin, ends[0])
        put(begin, ends[1])
        return ends
    if mesh.island[start] != mesh.island[goal]:
        return np.empty((0, 3), dtype=np.float32)
    way = np.empty(len(mesh.sides), dtype=np.int32)
    way[0], size = start, 1
    if start != goal:
        size = _corridor(mesh, start, goal, begin, end, way)
    if size == 0:
        return np.empty((0, 3), dtype=np.float32)
    _onto(mesh, start, a, begin)
    _onto(mesh, goal, b, end)
    path = np.empty((2 * size + 2, 3), dtype=np.float32)
    return path[: _pull(mesh, way, size, begin, end, path)].copy()
