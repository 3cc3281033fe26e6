"""From cells to convex polygons: what always holds of borders, triangles, neighbours and heights."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import Polygon

from mirage_env.simulators.mesh.navmesh.build import NavMesh, build_navmesh
from mirage_env.simulators.mesh.navmesh.rings import join_holes, meets, twice_area
from mirage_env.simulators.mesh.navmesh.triangulate import convex_polygons, triangles_of
from tests.simulators.mesh.small_meshes import bumpy, room, two_storeys


def flat(corners: list[tuple[int, int, int]]) -> Polygon:
    return Polygon([(x, z) for x, _, z in corners])


def star(seed: int, n: int) -> list[tuple[int, int, int]]:
    """A polygon with whole-number corners around the origin, in the order that contours have."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.choice(360, n, replace=False)) * np.pi / 180
    radius = rng.integers(20, 60, n)
    return [(int(r * np.cos(a)), 0, int(r * np.sin(a))) for a, r in zip(angle, radius, strict=True)][::-1]


@pytest.mark.parametrize("seed", range(8))
def test_triangles_fill_a_polygon_without_overlap(seed: int) -> None:
    ring = star(seed, 5 + 3 * seed)
    if not flat(ring).is_valid:
        ring = star(seed + 100, 5 + 3 * seed)
    assert twice_area(ring) > 0
    triangles = triangles_of(ring)
    assert len(triangles) == len(ring) - 2
    parts = [flat([ring[i] for i in triangle]) for triangle in triangles]
    assert sum(part.area for part in parts) == pytest.approx(flat(ring).area)
    assert shapely.union_all(parts).area == pytest.approx(flat(ring).area)
    convex = convex_polygons([list(triangle) for triangle in triangles], ring)
    assert len(convex) <= len(triangles)
    for polygon in convex:
        shape = flat([ring[i] for i in polygon])
        assert 3 <= len(polygon) <= 6
        assert shape.convex_hull.area == pytest.approx(shape.area)
    assert sum(flat([ring[i] for i in polygon]).area for polygon in convex) == pytest.approx(flat(ring).area)


def test_holes_are_joined_to_their_outline() -> None:
    square = [(0, 0, 0), (0, 0, 30), (30, 0, 30), (30, 0, 0)]
    holes = [[(x, 0, z), (x + 5, 0, z), (x + 5, 0, z + 5), (x, 0, z + 5)] for x, z in ((4, 4), (20, 20), (12, 5))]
    assert twice_area(square) > 0 > twice_area(holes[0])
    joined, left = join_holes(square, holes)
    assert not left
    assert twice_area(joined) == 2 * (900 - 75)
    triangles = triangles_of(joined)
    assert sum(flat([joined[i] for i in triangle]).area for triangle in triangles) == 900 - 75


def test_segments_meet() -> None:
    a, b = (0, 0, 0), (4, 0, 0)
    assert meets(a, b, (2, 0, -1), (2, 0, 1))
    assert meets(a, b, (2, 0, 0), (2, 0, 1))
    assert not meets(a, b, (2, 0, 0), (2, 0, 1), loose=True)
    assert not meets(a, b, (5, 0, -1), (5, 0, 1))
    assert meets(a, b, (2, 0, 0), (6, 0, 0))


def polygons(mesh: NavMesh) -> list[Polygon]:
    return [Polygon(corners[:n, [0, 2]]) for corners, n in zip(mesh.corners, mesh.sides, strict=True)]


@pytest.mark.parametrize("vertices_faces", [room(), two_storeys(), bumpy(1), bumpy(2, things=12)])
def test_what_holds_of_every_space(vertices_faces: tuple[np.ndarray, np.ndarray]) -> None:
    mesh = build_navmesh(*vertices_faces)
    for p, shape in enumerate(polygons(mesh)):
        assert shape.convex_hull.area == pytest.approx(shape.area, rel=1e-4)
        for i in range(mesh.sides[p]):
            other = mesh.neighbours[p, i]
            edge = mesh.corners[p, i], mesh.corners[p, (i + 1) % mesh.sides[p]]
            if other >= 0:
                back = np.flatnonzero(mesh.neighbours[other] == p)
                ends = [(mesh.corners[other, k], mesh.corners[other, (k + 1) % mesh.sides[other]]) for k in back]
                assert any(np.array_equal(edge[0], b) and np.array_equal(edge[1], a) for a, b in ends)
                assert mesh.island[other] == mesh.island[p]
        # Its triangles cover a polygon.
        triangles = mesh.triangles[mesh.triangle_start[p] : mesh.triangle_start[p + 1]]
        covered = shapely.union_all([Polygon(corners[:, [0, 2]]) for corners in triangles])
        assert covered.area == pytest.approx(shape.area, rel=2e-2)
    assert set(mesh.order.tolist()) == set(range(len(mesh.sides)))


def test_polygons_are_convex_pieces_of_the_free_floor() -> None:
    mesh = build_navmesh(*room(4.0, 3.0))
    free = shapely.union_all(polygons(mesh))
    # Walls of 0.1 m, and the radius of 0.18 m in whole cells beyond the cells that they touch.
    west, north, east, south = free.bounds
    assert west == pytest.approx(-2 + 0.3, abs=0.051)
    assert east == pytest.approx(2 - 0.3, abs=0.051)
    assert north == pytest.approx(-1.5 + 0.3, abs=0.051)
    assert south == pytest.approx(1.5 - 0.3, abs=0.051)
    assert free.area == pytest.approx((east - west) * (south - north), rel=1e-3)
