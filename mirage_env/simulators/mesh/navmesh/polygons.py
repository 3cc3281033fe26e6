"""Contours divided into convex polygons that share their edges (Recast's method)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.contours import Contour
from mirage_env.simulators.mesh.navmesh.rings import Corner
from mirage_env.simulators.mesh.navmesh.triangulate import MOST_CORNERS, convex_polygons, triangles_of

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
    corners: list[Corner] = []
    rings: list[list[int]] = []
    regions: list[int] = []
    for contour in contours:
        triangles = triangles_of(contour.corners)
        shared = [_shared(corner, places, corners) for corner in contour.corners]
        solid = [[shared[a], shared[b], shared[c]] for a, b, c in triangles if a != b and a != c and b != c]
        found = convex_polygons(solid, corners)
        rings += found
        regions += [contour.region] * len(found)
    polygons = np.full((len(rings), MOST_CORNERS), -1, dtype=np.int32)
    for row, ring in zip(polygons, rings, strict=True):
        row[: len(ring)] = ring
    places_of = np.array(corners, dtype=np.int64).reshape(-1, 3)
    return Polygons(places_of, polygons, _neighbours(rings), np.array(regions, dtype=np.int32))


def _shared(corner: Corner, places: dict[tuple[int, int], list[int]], corners: list[Corner]) -> int:
    """The number of a corner; the latest one at the same place and up to two cell heights away, or a new one."""
    there = places.setdefault((corner[0], corner[2]), [])
    for i in reversed(there):
        if abs(corners[i][1] - corner[1]) <= _SAME_HEIGHT:
            return i
    there.append(len(corners))
    corners.append(corner)
    return there[-1]


def _neighbours(rings: list[list[int]]) -> Array:
    neighbours = np.full((len(rings), MOST_CORNERS), -1, dtype=np.int32)
    edges = [(p, i, a, ring[(i + 1) % len(ring)]) for p, ring in enumerate(rings) for i, a in enumerate(ring)]
    rising: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for p, i, a, b in edges:
        if a < b:
            rising.setdefault((a, b), []).append((p, i))
    for p, i, a, b in edges:
        # The latest edge between these corners that has no polygon on its other side.
        if a > b and rising.get((b, a)):
            q, k = rising[b, a].pop()
            if q != p:
                neighbours[p, i], neighbours[q, k] = q, p
    return neighbours
