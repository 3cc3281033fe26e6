"""Free space, motion and geodesics on floor plans: known distances, slow references, and what always holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from shapely import affinity
from shapely.geometry import LineString, Point, box

from mirage_env.geometry import Array
from mirage_env.simulators.navigation import PolygonNavigation
from mirage_env.simulators.rooms.toy import toy_home

RADIUS = 0.18
FLOOR = box(0, 0, 5, 4)


@st.composite
def navigations(draw: st.DrawFn) -> PolygonNavigation:
    """A 5 x 4 m room with up to eight boxes in it, axis-aligned or turned, overlapping or not."""
    obstacles = []
    for _ in range(draw(st.integers(0, 8))):
        w, h = draw(st.floats(0.1, 1.5)), draw(st.floats(0.1, 1.5))
        angle = draw(st.sampled_from([0.0, 0.0, 45.0, 90.0]) | st.floats(0, 180))
        # A coarse grid makes walls in line, touching boxes and other degenerate plans likely.
        x, z = draw(st.integers(0, 20)) * 0.25, draw(st.integers(0, 16)) * 0.25
        obstacles.append(affinity.translate(affinity.rotate(box(-w / 2, -h / 2, w / 2, h / 2), angle), x, z))
    try:
        return PolygonNavigation(FLOOR, obstacles, RADIUS)
    except ValueError:
        assume(False)
        raise


def toy_navigation() -> PolygonNavigation:
    home = toy_home()
    return PolygonNavigation(home.floor, home.obstacles, RADIUS)


def points(navigation: PolygonNavigation, seed: int, count: int) -> Array:
    rng = np.random.default_rng(seed)
    return np.stack([navigation.sample(rng) for _ in range(count)])


def reference_distance(navigation: PolygonNavigation, a: Array, b: Array) -> float:
    """Every corner joined with every other it sees, as shapely judges it; no pruning, no tolerances but one."""
    free = navigation.free.buffer(1e-7, join_style="mitre")
    nodes = np.concatenate([[a[::2], b[::2]], shapely.get_coordinates(navigation.free)])
    i, j = np.triu_indices(len(nodes), 1)
    lines = shapely.linestrings(np.stack([nodes[i], nodes[j]], axis=1))
    shapely.prepare(free)
    seen = np.asarray(shapely.covers(free, lines))
    graph = coo_array(
        (np.asarray(shapely.length(lines))[seen] + 1e-15, (i[seen], j[seen])), shape=(len(nodes),) * 2
    ).tocsr()
    return float(dijkstra(graph, directed=False, indices=0)[1])


def grid_distance(navigation: PolygonNavigation, a: Array, b: Array, cell: float = 0.02) -> float:
    """Dijkstra over a fine grid with eight neighbours: never much shorter, and at most 8.3 % longer."""
    x0, z0, x1, z1 = navigation.free.bounds
    x, z = np.meshgrid(np.arange(x0, x1, cell), np.arange(z0, z1, cell))
    inside = shapely.intersects_xy(navigation.free, x, z)
    index = np.arange(x.size).reshape(x.shape)
    rows, columns, weights = [], [], []
    for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, -dr or None), slice(max(0, -dc), -dc if dc > 0 else None))
        there = (slice(dr, None), slice(max(0, dc), dc if dc < 0 else None))
        both = inside[here] & inside[there]
        rows.append(index[here][both])
        columns.append(index[there][both])
        weights.append(np.full(both.sum(), cell * math.hypot(dr, dc)))
    data = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    graph = coo_array(data, shape=(x.size,) * 2).tocsr()
    start, end = (
        index.ravel()[np.where(inside, np.hypot(x - p[0], z - p[2]), np.inf).argmin()] for p in (a, b)
    )  # fmt: skip
    return float(dijkstra(graph, directed=False, indices=start)[end])


def test_free_space_of_the_toy_room_has_the_area_of_its_formula() -> None:
    cube = 1.36**2 - (4 - math.pi) * RADIUS**2
    assert toy_navigation().free.area == pytest.approx(3.64 * 5.64 - cube, abs=0.005)


def test_geodesic_around_the_toy_cube_is_two_tangents_two_arcs_and_a_straight_piece() -> None:
    distance = math.hypot(0.5, 1.0)
    tangent = math.sqrt(distance**2 - RADIUS**2)
    arc = RADIUS * (math.atan2(0.5, 1.0) + math.asin(RADIUS / distance))
    expected = 2 * (tangent + arc) + 1.0
    actual = toy_navigation().geodesic_distance((1.0, 0.0, -2.5), (1.0, 0.0, 0.5))
    assert actual == pytest.approx(expected, rel=0.005)
    assert actual < expected


def test_geodesic_in_sight_is_the_straight_line() -> None:
    navigation = toy_navigation()
    assert navigation.geodesic_distance((-1.5, 0, -2.5), (-1.5, 0, 2.5)) == pytest.approx(5.0, abs=1e-12)
    assert navigation.geodesic_distance((0, 0, 0), (0, 0, 0)) == 0.0
    assert navigation.geodesic_distance((-1.82, 0, -2.82), (-1.82, 0, 2.82)) == pytest.approx(5.64, abs=1e-4)


@given(navigation=navigations(), seed=st.integers(0, 2**32 - 1))
def test_geodesics_agree_with_the_slow_reference(navigation: PolygonNavigation, seed: int) -> None:
    a, b = points(navigation, seed, 2)
    assert navigation.geodesic_distance(a, b) == pytest.approx(reference_distance(navigation, a, b), abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_geodesics_agree_with_a_fine_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = [box(x, z, x + 0.8, z + 0.5) for x, z in rng.uniform([0, 0], [4.2, 3.5], (7, 2))]
    navigation = PolygonNavigation(FLOOR, boxes, RADIUS)
    for a, b in points(navigation, seed, 6).reshape(3, 2, 3):
        exact, grid = navigation.geodesic_distance(a, b), grid_distance(navigation, a, b)
        if math.isinf(exact):
            assert math.isinf(grid)
        else:
            assert exact - 0.03 <= grid <= 1.083 * exact + 0.06


@given(navigation=navigations(), seed=st.integers(0, 2**32 - 1))
def test_geodesics_are_a_metric_at_least_as_long_as_the_line_of_sight(navigation: PolygonNavigation, seed: int) -> None:
    a, b, c = points(navigation, seed, 3)
    ab, ba = navigation.geodesic_distance(a, b), navigation.geodesic_distance(b, a)
    assert ab == pytest.approx(ba, abs=1e-9)
    assert ab >= math.dist(a, b) - 1e-9  # rounding
    assert ab <= navigation.geodesic_distance(a, c) + navigation.geodesic_distance(c, b) + 1e-9
    assert math.isinf(ab) == (navigation.island(a) != navigation.island(b))


@given(navigation=navigations(), seed=st.integers(0, 2**32 - 1))
def test_many_distances_at_once_are_those_of_single_queries(navigation: PolygonNavigation, seed: int) -> None:
    goal, *others = points(navigation, seed, 12)
    together = navigation.geodesic_distances(np.stack([*others, [9.0, 0.0, 9.0]]), goal)
    np.testing.assert_allclose(together[:-1], [navigation.geodesic_distance(p, goal) for p in others], atol=1e-12)
    assert together[-1] == math.inf


@given(navigation=navigations(), seed=st.integers(0, 2**32 - 1))
def test_shortest_paths_stay_on_free_floor_and_have_the_geodesic_length(
    navigation: PolygonNavigation, seed: int
) -> None:
    a, b = points(navigation, seed, 2)
    path, distance = navigation.shortest_path(a, b), navigation.geodesic_distance(a, b)
    if math.isinf(distance):
        assert path.shape == (0, 3)
        return
    np.testing.assert_array_equal(path[[0, -1]], [a, b])
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(distance, abs=1e-4)
    assert navigation.free.buffer(1e-5).covers(LineString(path[:, ::2]))


def test_rooms_without_a_door_are_islands() -> None:
    navigation = PolygonNavigation(shapely.union_all([box(0, 0, 3, 3), box(3.2, 0, 5, 3)]), (), RADIUS)
    a, b = np.array([1.0, 0, 1]), np.array([4.0, 0, 1])
    assert [navigation.island(p) for p in (a, b, (3.1, 0, 1))] == [0, 1, -1]
    assert navigation.islands[0].area > navigation.islands[1].area
    assert navigation.geodesic_distance(a, b) == math.inf
    assert navigation.geodesic_distance(a, (3.1, 0, 1)) == math.inf
    assert navigation.geodesic_distance((3.1, 0, 1), a) == math.inf
    assert navigation.shortest_path(a, b).shape == (0, 3)


@pytest.mark.parametrize(("width", "passable"), [(0.38, True), (0.34, False)])
def test_a_doorway_lets_the_agent_through_when_it_is_wider_than_the_agent(width: float, passable: bool) -> None:
    rooms = [box(0, 0, 2, 2), box(2.2, 0, 4, 2), box(1.9, 1 - width / 2, 2.3, 1 + width / 2)]
    navigation = PolygonNavigation(shapely.union_all(rooms), (), RADIUS)
    distance = navigation.geodesic_distance((1, 0, 1), (3, 0, 1))
    assert distance == (pytest.approx(2.0) if passable else math.inf)


@given(
    navigation=navigations(),
    seed=st.integers(0, 2**32 - 1),
    step=st.sampled_from([0.001, 0.05, 0.25, 0.25, 2.0]),
    sliding=st.booleans(),
)
def test_moves_stay_on_free_floor_and_go_no_further_than_asked(
    navigation: PolygonNavigation, seed: int, step: float, sliding: bool
) -> None:
    rng = np.random.default_rng(seed)
    position, heading = navigation.sample(rng), 0.0
    free = navigation.free.buffer(1e-6)
    for k in range(40):
        # Keeping a heading runs into walls and corners, right angles run along them.
        if k % 5 == 0:
            heading = float(rng.choice([rng.uniform(0, math.tau), rng.integers(4) * math.pi / 2]))
        way = step * np.array([math.cos(heading), 0.0, math.sin(heading)])
        new, collided = navigation.move(position, way, sliding)
        moved = math.dist(new, position)
        assert navigation.is_navigable(new)
        assert moved <= step + 1e-9
        assert collided == (moved**2 + 1e-5 < step**2) or moved**2 + 1e-5 == pytest.approx(step**2, rel=1e-9)
        if sliding:  # through a wall or obstacle the way round would be longer
            assert navigation.geodesic_distance(position, new) <= step + 1e-4
        else:
            assert free.covers(LineString([position[::2], new[::2]]))
            assert np.linalg.norm(np.cross(way, new - position)) < 1e-9
        if not collided and moved > step - 1e-9:
            np.testing.assert_allclose(new, position + way, atol=1e-9)
        position = new


@pytest.mark.parametrize("degrees", [5, 30, 60, 85])
@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_an_agent_at_a_wall_slides_by_the_part_of_its_motion_along_the_wall(degrees: float, turn: float) -> None:
    room = affinity.rotate(box(-3, -3, 3, 3), turn, origin=(0, 0), use_radians=True)
    navigation = PolygonNavigation(room, (), RADIUS)
    along, into = (np.array([math.cos(turn + q), 0, math.sin(turn + q)]) for q in (0.0, math.pi / 2))
    at_wall, _ = navigation.move(2.0 * into, 5.0 * into)
    np.testing.assert_allclose(at_wall, 2.82 * into, atol=2e-5)
    angle = math.radians(degrees)
    new, collided = navigation.move(at_wall, 0.25 * (math.cos(angle) * along + math.sin(angle) * into))
    np.testing.assert_allclose(new, at_wall + 0.25 * math.cos(angle) * along, atol=1e-6)
    assert collided
    stuck, collided = navigation.move(at_wall, 0.25 * (math.cos(angle) * along + math.sin(angle) * into), False)
    np.testing.assert_allclose(stuck, at_wall, atol=1e-6)
    assert collided


def test_an_agent_comes_to_rest_in_a_corner() -> None:
    navigation = PolygonNavigation(FLOOR, (), RADIUS)
    position = np.array([2.0, 0.0, 2.0])
    for _ in range(30):
        position, collided = navigation.move(position, (0.2, 0.0, 0.15))
    assert collided
    np.testing.assert_allclose(position, [5 - RADIUS, 0, 4 - RADIUS], atol=3e-5)


def test_sliding_carries_an_agent_round_an_obstacle() -> None:
    navigation = PolygonNavigation(box(-3, -3, 3, 3), [Point(0, 0).buffer(0.3, quad_segs=32)], RADIUS)
    position = np.array([-2.0, 0.0, 0.05])
    for _ in range(30):
        position, _ = navigation.move(position, (0.25, 0.0, 0.0))
    assert position[0] == pytest.approx(3 - RADIUS, abs=1e-3)


def test_the_collision_flag_forgives_what_habitat_forgives() -> None:
    navigation = PolygonNavigation(FLOOR, (), RADIUS)
    near = 4 - RADIUS - 0.25
    assert navigation.move((2.0, 0, near - 0.01), (0, 0, 0.25))[1] is False
    assert navigation.move((2.0, 0, near), (0, 0, 0.25))[1] is False
    assert navigation.move((2.0, 0, near + 0.01), (0, 0, 0.25))[1] is True
    assert navigation.move((2.0, 0, 4 - RADIUS), (0, 0, 0.003))[1] is False
    assert navigation.move((2.0, 0, 2.0), (0, 0, 0))[1] is False


def test_a_long_move_does_not_jump_over_a_thin_wall() -> None:
    navigation = PolygonNavigation(box(-3, -3, 3, 3), [box(-0.005, -3, 0.005, 3)], RADIUS)
    new, collided = navigation.move((-1.0, 0, 0), (3.0, 0, 0.1))
    assert collided
    assert new[0] == pytest.approx(-0.005 - RADIUS, abs=2e-4)


@given(navigation=navigations(), x=st.floats(-2, 7), z=st.floats(-2, 6))
def test_snapping_finds_the_nearest_free_place(navigation: PolygonNavigation, x: float, z: float) -> None:
    snapped = navigation.snap((x, 0.3, z))
    assert navigation.is_navigable(snapped)
    assert snapped[1] == 0.3
    assert math.dist((x, z), snapped[::2]) == pytest.approx(navigation.free.distance(Point(x, z)), abs=1e-4)
    if navigation.is_navigable((x, 0, z)):
        np.testing.assert_array_equal(snapped, [x, 0.3, z])


def test_samples_are_uniform_over_the_area_and_repeat_with_the_seed() -> None:
    navigation = toy_navigation()
    sampled = points(navigation, 7, 4000)
    np.testing.assert_array_equal(sampled[:5], points(navigation, 7, 5))
    assert all(navigation.is_navigable(p) for p in sampled)
    for region in (box(-2, -3, 0, 0), box(0, -3, 2, 0), box(-2, 0, 2, 1)):
        share = shapely.contains_xy(region, sampled[:, 0], sampled[:, 2]).mean()
        expected = navigation.free.intersection(region).area / navigation.free.area
        assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / len(sampled)))


def test_positions_rounded_to_float32_stay_usable() -> None:
    navigation = PolygonNavigation(affinity.translate(FLOOR, 7.3, 9.1), (), RADIUS)
    at_wall, _ = navigation.move(navigation.snap((9.0, 0, 11.0)), (0.0, 0.0, 5.0))
    rounded = at_wall.astype(np.float32)
    assert navigation.is_navigable(rounded)
    assert math.isfinite(navigation.geodesic_distance(rounded, (9.0, 0, 11.0)))


def test_bad_input_gives_one_sentence() -> None:
    navigation = PolygonNavigation(FLOOR, (), RADIUS)
    with pytest.raises(ValueError, match="no free space on this floor"):
        PolygonNavigation(box(0, 0, 0.3, 4), (), RADIUS)
    with pytest.raises(ValueError, match="agent_radius must be 0 or more metres, got -1"):
        PolygonNavigation(FLOOR, (), -1)
    with pytest.raises(ValueError, match="not navigable"):
        navigation.move((9, 0, 9), (0.1, 0, 0))
    with pytest.raises(ValueError, match="displacement must be finite"):
        navigation.move((1, 0, 1), (math.nan, 0, 0))
    with pytest.raises(ValueError, match="position must be three numbers"):
        navigation.snap((1, 2))
    assert not navigation.is_navigable((math.nan, 0, 1))
    assert navigation.geodesic_distance((math.nan, 0, 1), (1, 0, 1)) == math.inf
