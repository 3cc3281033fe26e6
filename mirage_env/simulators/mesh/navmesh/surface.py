"""Walking over convex polygons: the nearest place, motion with and without sliding, by Detour's and Habitat's rules.

Float32 throughout: whether an agent that stands at a wall is inside or outside of it is a matter of rounding. Sources:
M. Mononen, Detour (github.com/recastnavigation); habitat-sim, ``PathFinder::tryStep``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.simulators.mesh.navmesh.loops import loop

_ZERO, _ONE, _HALF, _FAR = np.float32(0), np.float32(1), np.float32(0.5), np.float32(3.4e38)
_FLAT = np.float32(1e-6)
_REACH, _REACH_UP = np.float32(2), np.float32(4)
_AROUND = np.float32(0.001)
_NUDGE = np.float32(1e-4)
_MOST_POLYGONS = 256
_MOST_WAITING, _MOST_MET = 48, 64


@loop
def put(point: Any, out: Any) -> None:
    """Copy a point (3,) into out."""
    for k in range(3):
        out[k] = point[k]


@loop
def inside(point: Any, corners: Any, n: int) -> bool:
    """Whether a point lies in a polygon, seen from above."""
    result = False
    j = n - 1
    for i in range(n):
        a, b = corners[i], corners[j]
        if (a[2] > point[2]) != (b[2] > point[2]) and point[0] < (b[0] - a[0]) * (point[2] - a[2]) / (b[2] - a[2]) + a[
            0
        ]:
            result = not result
        j = i
    return result


@loop
def off_edge(point: Any, p: Any, q: Any) -> Any:
    """Squared distance of a point to the segment pq seen from above, and where on it the nearest place is, 0 to 1."""
    sx, sz, dx, dz = q[0] - p[0], q[2] - p[2], point[0] - p[0], point[2] - p[2]
    squared, t = sx * sx + sz * sz, sx * dx + sz * dz
    if squared > _ZERO:
        t = t / squared
    t = min(max(t, _ZERO), _ONE)
    dx, dz = p[0] + t * sx - point[0], p[2] + t * sz - point[2]
    return dx * dx + dz * dz, t


@loop
def _on_triangles(mesh: Any, polygon: int, point: Any, borders: bool, out: Any) -> None:
    """The nearest place, seen from above, on all edges of a polygon's triangles, or on those of its border.

    ``out`` may be the point itself.
    """
    least, along = _FAR, _ZERO
    triangle, corner = -1, 0
    for t in range(mesh.triangle_start[polygon], mesh.triangle_start[polygon + 1]):
        for k in range(3):
            e = (k + 2) % 3
            if borders and not mesh.border[t, e]:
                continue
            a, b = mesh.triangles[t, e], mesh.triangles[t, k]
            off, at = off_edge(point, a, b)
            if off < least:
                least, along, triangle, corner = off, at, t, k
    if triangle >= 0:
        a, b = mesh.triangles[triangle, (corner + 2) % 3], mesh.triangles[triangle, corner]
        for i in range(3):
            out[i] = a[i] + (b[i] - a[i]) * along


@loop
def height_on(mesh: Any, polygon: int, point: Any, out: Any) -> bool:
    """Put a point (3,) on a polygon's floor into out; False, and out untouched, where it is not over it."""
    if not inside(point, mesh.corners[polygon], mesh.sides[polygon]):
        return False
    for t in range(mesh.triangle_start[polygon], mesh.triangle_start[polygon + 1]):
        a, b, c = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
        ux, uy, uz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        vx, vy, vz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        wx, wz = point[0] - a[0], point[2] - a[2]
        area = ux * vz - uz * vx
        if abs(area) < _FLAT:
            continue
        u, v = vz * wx - vx * wz, ux * wz - uz * wx
        if area < _ZERO:
            area, u, v = -area, -u, -v
        if u >= _ZERO and v >= _ZERO and u + v <= area:
            out[0], out[1], out[2] = point[0], a[1] + (uy * u + vy * v) / area, point[2]
            return True
    x, z = point[0], point[2]
    _on_triangles(mesh, polygon, point, False, out)
    out[0], out[2] = x, z
    return True


@loop
def nearest(mesh: Any, point: Any, island: int, out: Any) -> int:
    """The polygon nearest to a point, and into out the place on it; -1: none in the box of 4 x 8 x 4 m around it.

    Over a polygon, heights up to a step count as none. ``island`` restricts the search, -1: any.
    """
    box = np.empty(6, dtype=np.int64)
    for k in range(3):
        reach = _REACH_UP if k == 1 else _REACH
        low = min(max(point[k] - reach, mesh.low[k]), mesh.high[k]) - mesh.low[k]
        high = min(max(point[k] + reach, mesh.low[k]), mesh.high[k]) - mesh.low[k]
        per_cell = _ONE / mesh.cell[0]
        box[k], box[k + 3] = int(per_cell * low) & 0xFFFE, int(per_cell * high + _ONE) | 1
    found, least = -1, _FAR
    place = np.empty(3, dtype=np.float32)
    for n in range(len(mesh.order)):
        p = mesh.order[n]
        if not mesh.usable[p] or (island >= 0 and mesh.island[p] != island):
            continue
        apart = False
        for k in range(3):
            apart = apart or box[k] > mesh.boxes[n, k + 3] or box[k + 3] < mesh.boxes[n, k]
        if apart:
            continue
        if height_on(mesh, p, point, place):
            off = max(abs(point[1] - place[1]) - mesh.cell[1], _ZERO)
            off = off * off
        else:
            _on_triangles(mesh, p, point, True, place)
            dx, dy, dz = point[0] - place[0], point[1] - place[1], point[2] - place[2]
            off = dx * dx + dy * dy + dz * dz
        if off < least:
            found, least = p, off
            put(place, out)
    return found


@loop
def _slide(mesh: Any, start: int, point: Any, goal: Any, out: Any, visited: Any) -> int:
    """Move over the surface towards goal as near as walls allow; the polygons visited and their number."""
    middle = np.empty(3, dtype=np.float32)
    length = _ZERO
    for k in range(3):
        middle[k] = point[k] + (goal[k] - point[k]) * _HALF
        length += (goal[k] - point[k]) * (goal[k] - point[k])
    around = np.sqrt(length) / np.float32(2) + _AROUND
    around = around * around
    seen = np.full(len(mesh.sides), -2, dtype=np.int32)
    waiting = np.empty(_MOST_WAITING, dtype=np.int32)
    waiting[0], first, count = start, 0, 1
    seen[start] = -1
    met = np.zeros(len(mesh.sides), dtype=np.bool_)
    met[start], n_met = True, 1
    best, least = -1, _FAR
    put(point, out)
    while count > 0:
        p = waiting[first]
        first, count = (first + 1) % _MOST_WAITING, count - 1
        n, corners = mesh.sides[p], mesh.corners[p]
        if inside(goal, corners, n):
            best = p
            put(goal, out)
            break
        for i in range(n):
            j = (i + n - 1) % n
            other = mesh.neighbours[p, j]
            if other < 0 or not mesh.usable[other]:
                off, at = off_edge(goal, corners[j], corners[i])
                if off < least:
                    best, least = p, off
                    for k in range(3):
                        out[k] = corners[j, k] + (corners[i, k] - corners[j, k]) * at
                continue
            if not met[other]:
                if n_met >= _MOST_MET:
                    continue
                met[other] = True
                n_met += 1
            if seen[other] == -2:
                off, at = off_edge(middle, corners[j], corners[i])
                if off <= around and count < _MOST_WAITING:
                    seen[other] = p
                    waiting[(first + count) % _MOST_WAITING] = other
                    count += 1
    length_of_way, p = 0, best
    while p >= 0:
        length_of_way += 1
        p = seen[p]
    p = best
    for i in range(length_of_way - 1, -1, -1):
        if i < _MOST_POLYGONS:
            visited[i] = p
        p = seen[p]
    return min(length_of_way, _MOST_POLYGONS)


@loop
def _first_wall(mesh: Any, visited: Any, count: int, point: Any, goal: Any, out: Any) -> None:
    """Of the places where the straight way meets walls of the polygons visited, the one nearest to the goal."""
    least = _FAR
    for v in range(count):
        p = visited[v]
        n = mesh.sides[p]
        for j in range(n):
            if mesh.neighbours[p, j] >= 0:
                continue
            a, b = mesh.corners[p, j], mesh.corners[p, (j + 1) % n]
            ux, uz, vx, vz = b[0] - a[0], b[2] - a[2], goal[0] - point[0], goal[2] - point[2]
            wx, wz = a[0] - point[0], a[2] - point[2]
            cross = uz * vx - ux * vz
            if abs(cross) < _FLAT:
                continue
            s, t = (vz * wx - vx * wz) / cross, (uz * wx - ux * wz) / cross
            if not (_ZERO <= t <= _ONE and _ZERO <= s <= _ONE):
                continue
            x, z = a[0] + (b[0] - a[0]) * s, a[2] + (b[2] - a[2]) * s
            off = (goal[0] - x) * (goal[0] - x) + (goal[2] - z) * (goal[2] - z)
            if off < least:
                least = off
                out[0], out[1], out[2] = x, a[1] + (b[1] - a[1]) * s, z


@loop
def step(mesh: Any, point: Any, goal: Any, sliding: bool, out: Any) -> None:
    """Into out: where an agent at point comes to that wants to goal, all (3,) float32."""
    put(point, out)
    begin, end = np.empty(3, dtype=np.float32), np.empty(3, dtype=np.float32)
    start, target = nearest(mesh, point, -1, begin), nearest(mesh, goal, -1, end)
    if start < 0 or target < 0 or mesh.island[start] != mesh.island[target]:
        return
    visited = np.empty(_MOST_POLYGONS, dtype=np.int32)
    count = _slide(mesh, start, begin, goal, end, visited)
    if count == 0:
        return
    put(end, out)
    if not sliding:
        _first_wall(mesh, visited, count, begin, goal, out)
    last = visited[count - 1]
    height_on(mesh, last, out, out)
    target = nearest(mesh, out, -1, end)
    if target < 0 or mesh.island[target] != mesh.island[start]:
        # Through a wall without thickness to another island: a little back into the polygon the agent is in.
        n = mesh.sides[last]
        toward = np.zeros(3, dtype=np.float32)
        for i in range(n):
            for k in range(3):
                toward[k] += mesh.corners[last, i, k]
        length = _ZERO
        for k in range(3):
            toward[k] = toward[k] / np.float32(n) - out[k]
            length += toward[k] * toward[k]
        for k in range(3):
            out[k] += _NUDGE * (toward[k] * (_ONE / np.sqrt(length)))
