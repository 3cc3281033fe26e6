"""Triangles over a few points inside a convex hull, with the third coordinate up in the middle: (x, y, z), y left out.

Delaunay triangulation from the hull inwards, after P. Bourke's and M. Mononen's accounts of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.simulators.mesh.navmesh.loops import loop

_OPEN, _HULL = np.int64(-1), np.int64(-2)
_ZERO, _ONE, _TWO, _FAR = np.float32(0), np.float32(1), np.float32(2), np.float32(3.4e38)
_float = np.float32  # what a compiled loop gives a plain one is a Python float
_FLAT, _LEFT, _TOLERANCE = np.float32(1e-6), np.float32(1e-5), np.float32(0.001)


@loop
def _apart(a: Any, b: Any) -> Any:
    dx, dz = b[0] - a[0], b[2] - a[2]
    return np.sqrt(dx * dx + dz * dz)


@loop
def _turn(a: Any, b: Any, c: Any) -> Any:
    return (b[0] - a[0]) * (c[2] - a[2]) - (b[2] - a[2]) * (c[0] - a[0])


@loop
def hull_triangles(points: Any, hull: Any, corners: int) -> Any:
    """Triangles (T, 3) of a hull alone, from the ear of least girth on; only its first ``corners`` points make ears."""
    n = len(hull)
    start, left, right, least = 0, 1, n - 1, _FAR
    for i in range(n):
        if hull[i] >= corners:
            continue
        before, after = (i + n - 1) % n, (i + 1) % n
        a, b, c = points[hull[before]], points[hull[i]], points[hull[after]]
        girth = _float(_apart(a, b)) + _float(_apart(b, c)) + _float(_apart(c, a))
        if girth < least:
            start, left, right, least = i, after, before, girth
    triangles = np.empty((n - 2, 3), dtype=np.int64)
    triangles[0, 0], triangles[0, 1], triangles[0, 2] = hull[start], hull[left], hull[right]
    count = 1
    while (left + 1) % n != right:
        further, back = (left + 1) % n, (right + n - 1) % n
        near, far = points[hull[left]], points[hull[right]]
        a, b = points[hull[further]], points[hull[back]]
        by_left = _float(_apart(near, a)) + _float(_apart(a, far))
        by_right = _float(_apart(far, b)) + _float(_apart(near, b))
        middle = further if by_left < by_right else back
        triangles[count, 0], triangles[count, 1], triangles[count, 2] = hull[left], hull[middle], hull[right]
        count += 1
        if by_left < by_right:
            left = further
        else:
            right = back
    return triangles


@loop
def _circle(p: Any, q: Any, r: Any) -> Any:
    """Centre (x, z) and radius of the circle through three points; radius 0 where they lie on a line."""
    ax, az, bx, bz = q[0] - p[0], q[2] - p[2], r[0] - p[0], r[2] - p[2]
    cross = ax * bz - az * bx
    if abs(cross) <= _FLAT:
        return p[0], p[2], _ZERO
    aa, bb = ax * ax + az * az, bx * bx + bz * bz
    x, z = (aa * bz - bb * az) / (_TWO * cross), (bb * ax - aa * bx) / (_TWO * cross)
    return x + p[0], z + p[2], np.sqrt(x * x + z * z)


@loop
def _find(edges: Any, count: int, s: int, t: int) -> int:
    for i in range(count):
        if (edges[i, 0] == s and edges[i, 1] == t) or (edges[i, 0] == t and edges[i, 1] == s):
            return i
    return -1


@loop
def _set_face(edges: Any, i: int, s: int, t: int, face: int) -> None:
    if edges[i, 0] == s and edges[i, 1] == t and edges[i, 2] == _OPEN:
        edges[i, 2] = face
    elif edges[i, 1] == s and edges[i, 0] == t and edges[i, 3] == _OPEN:
        edges[i, 3] = face


@loop
def _overlaps(points: Any, edges: Any, count: int, s: int, t: int) -> bool:
    for i in range(count):
        p, q = edges[i, 0], edges[i, 1]
        if p in (s, t) or q in (s, t):
            continue
        a1, a2 = _turn(points[p], points[q], points[t]), _turn(points[p], points[q], points[s])
        if a1 * a2 < _ZERO:
            a3 = _turn(points[s], points[t], points[p])
            if a3 * (a3 + a2 - a1) < _ZERO:
                return True
    return False


@loop
def _apex(points: Any, edges: Any, count: int, s: int, t: int) -> int:
    """The point that makes the Delaunay triangle to the left of the edge from s to t; -1: none."""
    apex, x, z, radius = -1, _ZERO, _ZERO, -_ONE
    for u in range(len(points)):
        if u in (s, t) or _turn(points[s], points[t], points[u]) <= _LEFT:
            continue
        if radius >= _ZERO:
            dx, dz = points[u, 0] - x, points[u, 2] - z
            off = np.sqrt(dx * dx + dz * dz)
            if off > radius * (_ONE + _TOLERANCE):
                continue
            # On the circle, within rounding: its edges must not cross others.
            if off >= radius * (_ONE - _TOLERANCE) and (
                _overlaps(points, edges, count, s, u) or _overlaps(points, edges, count, t, u)
            ):
                continue
        apex = u
        x, z, radius = _circle(points[s], points[t], points[u])
    return apex


@loop
def delaunay(points: Any, hull: Any) -> Any:
    """Triangles (T, 3) int64 over points (N, 3) float32 inside a hull of some of them."""
    most = 10 * len(points)
    edges = np.empty((most, 4), dtype=np.int64)  # from, to, face on the left, face on the right
    count, faces = np.int64(0), np.int64(0)
    for i in range(len(hull)):
        s, t = hull[(i + len(hull) - 1) % len(hull)], hull[i]
        if _find(edges, count, s, t) < 0:
            edges[count, 0], edges[count, 1], edges[count, 2], edges[count, 3] = s, t, _HULL, _OPEN
            count += 1
    at = 0
    while at < count:
        for side in range(2, 4):
            if edges[at, side] != _OPEN:
                continue
            s, t = (edges[at, 0], edges[at, 1]) if edges[at, 2] == _OPEN else (edges[at, 1], edges[at, 0])
            apex = _apex(points, edges, count, s, t)
            if apex < 0:
                _set_face(edges, at, s, t, _HULL)
                continue
            _set_face(edges, at, s, t, faces)
            for k in range(2):
                p, q = (apex, s) if k == 0 else (t, apex)
                found = _find(edges, count, p, q)
                if found >= 0:
                    _set_face(edges, found, p, q, faces)
                elif count < most:
                    edges[count, 0], edges[count, 1], edges[count, 2], edges[count, 3] = p, q, faces, _OPEN
                    count += 1
            faces += 1
        at += 1
    triangles = np.full((faces, 3), -1, dtype=np.int64)
    for i in range(count):
        for k in range(2):
            face = edges[i, 3 - k]
            s, t = (edges[i, 0], edges[i, 1]) if k == 0 else (edges[i, 1], edges[i, 0])
            if face < 0:
                continue
            if triangles[face, 0] < 0:
                triangles[face, 0], triangles[face, 1] = s, t
            elif triangles[face, 0] == t:
                triangles[face, 2] = s
            elif triangles[face, 1] == s:
                triangles[face, 2] = t
    kept = faces
    i = 0
    while i < kept:
        if triangles[i, 0] < 0 or triangles[i, 1] < 0 or triangles[i, 2] < 0:
            kept -= 1
            for k in range(3):
                triangles[i, k] = triangles[kept, k]
        else:
            i += 1
    return triangles[:kept].copy()
