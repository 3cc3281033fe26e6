"""Standing, walking and finding ways on small scenes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from shapely.geometry import Polygon

from mirage_env.geometry import Array
from mirage_env.simulators.heading import ahead, heading, turned, yaw_of
from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.navmesh.build import build_navmesh
from mirage_env.simulators.mesh.navmesh.loops import plain
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings
from mirage_env.simulators.mesh.navmesh.surface import height_on, step
from mirage_env.simulators.navigation import PolygonNavigation
from tests.simulators.mesh.small_meshes import Mesh, box, bumpy, floor, joined, room, two_storeys


def navigation(mesh: Mesh, **settings: float) -> MeshNavigation:
    return MeshNavigation(build_navmesh(*mesh, NavigationSettings(**settings)))


@pytest.fixture(scope="module")
def hall() -> MeshNavigation:
    return navigation(two_storeys())


@pytest.fixture(scope="module")
def furnished() -> MeshNavigation:
    return navigation(room(6.0, 5.0, box((-1, 0, -2.4), (-0.8, 2, 1.2)), box((0.9, 0, -1), (1.8, 1, 0.3))))


def free_floor(ways: MeshNavigation) -> shapely.Geometry:
    rings = zip(ways.mesh.corners, ways.mesh.sides, strict=True)
    return shapely.union_all([Polygon(corners[:n, [0, 2]]) for corners, n in rings])


def test_storeys_are_joined_by_a_ramp(hall: MeshNavigation) -> None:
    down, up = np.array([4.0, 0.2, 0.0]), np.array([4.0, 2.45, 0.0])
    assert hall.is_navigable(down)
    assert hall.is_navigable(up)
    assert not hall.is_navigable([4.0, 1.3, 0.0])
    assert hall.island(down) == hall.island(up)
    # Back to the foot of the ramp, up it and on to the place above.
    assert 12 < hall.geodesic_distance(down, up) < 16
    path = hall.shortest_path(down, up)
    assert path[:, 1].max() > 2.3
    assert path[:, 1].min() < 0.3
    assert len(hall.floor_heights) >= 2
    ground, gallery = hall.top_down(0.2), hall.top_down(2.45)
    assert ground.sum() > gallery.sum() > 1000
    assert ground.shape == (80, 240)
    assert gallery[:, :120].sum() < gallery[:, 120:].sum()


def test_heights_on_borders_are_found_in_place(hall: MeshNavigation) -> None:
    """A move asks for the height of its end in the array that holds it. habitat-sim tells what it should be."""
    mesh = hall.mesh
    slopes = np.ptp(mesh.triangles[..., 1], axis=1) > 0.1
    asked = 0
    for polygon in np.flatnonzero(np.add.reduceat(slopes, mesh.triangle_start[:-1]) > 0):
        corners = mesh.corners[polygon, : mesh.sides[polygon]]
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            for share in np.linspace(0, 1, 41, dtype=np.float32):
                place = a + share * (b - a)
                apart = np.empty(3, dtype=np.float32)
                if height_on(mesh, polygon, place, apart):
                    height_on(mesh, polygon, place, place)
                    np.testing.assert_array_equal(place, apart)
                    asked += 1
    assert asked > 50


def test_storeys_without_a_ramp_are_islands_of_their_own() -> None:
    ways = navigation(two_storeys(with_ramp=False))
    assert len(ways.islands) == 2
    down, up = [4.0, 0.2, 0.0], [4.0, 2.45, 0.0]
    assert ways.island(down) != ways.island(up)
    assert ways.geodesic_distance(down, up) == math.inf
    assert ways.shortest_path(down, up).shape == (0, 3)
    assert ways.snap([4.0, 1.6, 0.0], ways.island(down))[1] < 0.5
    assert ways.snap([4.0, 1.0, 0.0], ways.island(up))[1] > 2


@pytest.mark.parametrize(("height", "reached"), [(0.15, True), (0.3, False)])
def test_steps_up_to_the_climb_are_walked_over(height: float, reached: bool) -> None:
    ways = navigation(room(6.0, 3.0, box((0, 0, -1.5), (3, height, 1.5))))
    low, high = [-1.5, 0.05, 0.0], [1.5, height + 0.05, 0.0]
    assert math.isfinite(ways.geodesic_distance(low, high)) == reached
    assert len(ways.islands) == (1 if reached else 2)
    end, collided = ways.move(ways.snap([-0.4, 0.05, 0.0]), [1.2, 0, 0])
    assert collided != reached
    assert (end[0] > 0.7) == reached


def test_neither_under_nor_on_a_low_table() -> None:
    top = box((-0.5, 0.6, -0.5), (0.5, 0.7, 0.5))
    ways = navigation(room(5.0, 4.0, top))
    assert not ways.is_navigable([0, 0.05, 0])
    assert not ways.is_navigable([0, 0.75, 0])
    assert len(ways.islands) == 1
    # Round the table, not through it.
    assert 3 < ways.geodesic_distance([-1.5, 0.05, 0], [1.5, 0.05, 0]) < 4
    assert not ways.top_down(0.05)[35:45, 45:55].any()


def test_a_table_that_is_high_enough_is_walked_under() -> None:
    ways = navigation(room(5.0, 4.0, box((-0.5, 1.9, -0.5), (0.5, 2.0, 0.5))))
    assert ways.geodesic_distance([-1.5, 0.05, 0], [1.5, 0.05, 0]) == pytest.approx(3, abs=0.01)


def test_a_wider_agent_has_less_room() -> None:
    mesh = room(4, 3)
    areas = [navigation(mesh, agent_radius=radius).floor_area for radius in (0.1, 0.18, 0.4)]
    assert areas[0] > areas[1] > areas[2] > 0


def test_walls_stop_or_turn_aside(furnished: MeshNavigation) -> None:
    start = furnished.snap([2.0, 0.05, 2.0])
    free, collided = furnished.move(start, [-0.3, 0, -0.1])
    assert not collided
    assert free == pytest.approx(start + [-0.3, 0, -0.1], abs=1e-6)
    ahead_of_wall = furnished.snap([2.65, 0.05, 1.0])
    slid, collided = furnished.move(ahead_of_wall, [0.25, 0, 0.25])
    assert collided
    assert slid[2] == pytest.approx(ahead_of_wall[2] + 0.25, abs=1e-5)
    stopped, collided = furnished.move(ahead_of_wall, [0.25, 0, 0.25], allow_sliding=False)
    assert collided
    assert stopped[0] == pytest.approx(slid[0], abs=1e-5)
    assert stopped[2] < slid[2]


def test_collided_is_habitats_rule(furnished: MeshNavigation) -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        place, angle = furnished.sample(rng), rng.uniform(0, math.tau)
        way = np.array([0.25 * math.cos(angle), 0, 0.25 * math.sin(angle)], dtype=np.float32)
        end, collided = furnished.move(place, way, bool(rng.integers(2)))
        moved = end - place
        assert collided == (moved @ moved + 1e-5 < float(way @ way))
        assert furnished.is_navigable(end)
        seen.add(collided)
    assert seen == {True, False}


def test_no_walk_leaves_the_floor_or_its_island() -> None:
    for mesh in (room(5.0, 4.0, box((-0.5, 0, -0.5), (0.5, 2, 0.5))), bumpy(3), two_storeys()):
        ways = navigation(mesh)
        rng = np.random.default_rng(1)
        place = ways.sample(rng, ways.largest_island)
        for n in range(150):
            angle = rng.uniform(0, math.tau)
            place, _ = ways.move(place, [0.25 * math.cos(angle), 0, 0.25 * math.sin(angle)], n % 2 == 0)
            assert ways.is_navigable(place)
            assert ways.island(place) == ways.largest_island


def test_paths_are_nearly_the_shortest_there_are(furnished: MeshNavigation) -> None:
    exact = PolygonNavigation(free_floor(furnished).buffer(1e-4, join_style="mitre"), (), 0.0)
    rng = np.random.default_rng(2)
    ratios = []
    for _ in range(60):
        a, b = furnished.sample(rng), furnished.sample(rng)
        ratios.append(furnished.geodesic_distance(a, b) / exact.geodesic_distance(a, b))
        path = furnished.shortest_path(a, b)
        assert path[0] == pytest.approx(a, abs=1e-3)
        assert path[-1] == pytest.approx(b, abs=1e-3)
        assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(furnished.geodesic_distance(a, b))
    assert min(ratios) > 0.998
    assert np.median(ratios) < 1.01
    assert max(ratios) < 1.25


def test_distances_of_many_points_are_those_of_each(furnished: MeshNavigation) -> None:
    rng = np.random.default_rng(3)
    points, goal = np.array([furnished.sample(rng) for _ in range(5)]), furnished.sample(rng)
    assert furnished.geodesic_distances(points, goal).tolist() == [furnished.geodesic_distance(p, goal) for p in points]
    assert furnished.geodesic_distance(goal, goal) == 0


def test_samples_are_navigable_and_spread_evenly(furnished: MeshNavigation) -> None:
    rng = np.random.default_rng(4)
    points = np.array([furnished.sample(rng) for _ in range(400)])
    assert all(furnished.is_navigable(point) for point in points)
    west = free_floor(furnished).intersection(shapely.box(-9, -9, 0, 9)).area / free_floor(furnished).area
    assert np.mean(points[:, 0] < 0) == pytest.approx(west, abs=0.08)
    assert np.array_equal(furnished.sample(np.random.default_rng(5)), furnished.sample(np.random.default_rng(5)))


def test_map_of_a_room_agrees_with_asking_each_point(furnished: MeshNavigation) -> None:
    image = furnished.top_down(0.05, meters_per_pixel=0.25)
    low = furnished.mesh.low
    asked: Array = np.array(
        [
            [
                furnished.is_navigable([low[0] + np.float32(0.25) * c, 0.05, low[2] + np.float32(0.25) * r])
                for c in range(image.shape[1])
            ]
            for r in range(image.shape[0])
        ]
    )
    assert (image != asked).mean() < 0.01
    assert image.any()


def test_plain_and_compiled_steps_agree(furnished: MeshNavigation) -> None:
    rng = np.random.default_rng(6)
    for n in range(6):
        place = furnished.sample(rng).astype(np.float32)
        goal = place + rng.normal(0, 0.4, 3).astype(np.float32) * np.array([1, 0, 1], np.float32)
        ends = np.empty((2, 3), dtype=np.float32)
        step(furnished.mesh, place, goal, n % 2 == 0, ends[0])
        plain(step)(furnished.mesh, place, goal, n % 2 == 0, ends[1])
        assert ends[0] == pytest.approx(ends[1], abs=1e-6)


def test_headings_turn_as_habitats() -> None:
    rotation = heading(0.0)
    for n in range(36):
        assert yaw_of(rotation) % math.tau == pytest.approx(math.radians(10 * n), abs=1e-4)
        forward = ahead(rotation, 0.25)
        assert np.linalg.norm(forward) == pytest.approx(0.25, abs=1e-6)
        assert forward == pytest.approx(
            [-0.25 * math.sin(math.radians(10 * n)), 0, -0.25 * math.cos(math.radians(10 * n))], abs=1e-5
        )
        rotation = turned(rotation, 10)
    assert abs(rotation[0]) == pytest.approx(1, abs=1e-6)


def test_places_far_from_the_floor(furnished: MeshNavigation) -> None:
    assert not furnished.is_navigable([np.nan, 0, 0])
    assert furnished.island([0, 50, 0]) == -1
    with pytest.raises(ValueError, match=r"^no navigable place is near \(0.00, 50.00, 0.00\)$"):
        furnished.snap([0, 50, 0])
    with pytest.raises(ValueError, match=r"^displacement must be three finite numbers"):
        furnished.move([0, 0, 0], [math.inf, 0, 0])
    with pytest.raises(ValueError, match=r"^no part of island 7 is navigable"):
        furnished.sample(np.random.default_rng(0), island=7)
    assert furnished.geodesic_distance([0, 0, 0], [np.nan, 0, 0]) == math.inf


def test_meshes_without_a_floor_are_refused() -> None:
    vertices, faces = room()
    with pytest.raises(ValueError, match=r'no floor of this mesh .* say so by up="z"'):
        build_navmesh(*joined(box((0, 0, 0), (4, 3, 0.05))))
    with pytest.raises(ValueError, match="no floor of this mesh"):
        build_navmesh(*joined(floor(0.3, 0.3)))
    with pytest.raises(ValueError, match="no faces"):
        build_navmesh(vertices, faces[:0])
    broken = vertices.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match=rf"^1 of {len(vertices)} vertices have coordinates that are not finite"):
        build_navmesh(broken, faces)
    with pytest.raises(ValueError, match=r"^faces must index"):
        build_navmesh(vertices, faces + len(vertices))
    with pytest.raises(ValueError, match=r"^vertices must be numbers of shape"):
        build_navmesh(vertices[:, :2], faces)
    with pytest.raises(ValueError, match="check its units"):
        build_navmesh(1000 * vertices, faces)
    with pytest.raises(ValueError, match="check its units"):
        build_navmesh(np.array([(-3e38, 0, 0), (3e38, 0, 0), (0, 0, 3)]), np.array([(0, 1, 2)]))
