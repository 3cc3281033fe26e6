"""Navigation on grids, against toy grids with known distances, slow references, and exact polygons."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env.simulators.clearance import DEEP, NEAR, clearance
from mirage_env.simulators.grid_navigation import GridNavigation
from mirage_env.simulators.navigation import PolygonNavigation
from mirage_env.simulators.rooms.toy import toy_home

CELL, RADIUS = 0.05, 0.18


def p(x: float, z: float) -> np.ndarray:
    return np.array([x, 0.0, z])


def empty(rows: int = 60, columns: int = 60) -> np.ndarray:
    return np.zeros((rows, columns), dtype=bool)


def toy_grid() -> GridNavigation:
    """The toy room (x ±2, z ±3, a cube x 0.5..1.5, z -1.5..-0.5), drawn as the surfaces that a camera would see."""
    home = toy_home()
    lines = shapely.union_all([home.floor.boundary, *(o.boundary for o in home.obstacles)])
    points = shapely.get_coordinates(shapely.segmentize(lines, 0.02))
    origin = np.array([-3.0, -4.0])
    at = np.floor((points - origin) / CELL).astype(int)
    blocked = np.zeros((160, 120), dtype=bool)
    blocked[at[:, 1], at[:, 0]] = True
    return GridNavigation(blocked, origin, CELL, RADIUS)


@pytest.fixture(scope="module")
def toy() -> GridNavigation:
    return toy_grid()


@pytest.fixture(scope="module")
def exact() -> PolygonNavigation:
    home = toy_home()
    return PolygonNavigation(home.floor, home.obstacles, RADIUS)


# Clearance.


def test_clearance_is_the_distance_to_the_nearest_obstacle_centre_less_the_radius() -> None:
    rng = np.random.default_rng(0)
    blocked = rng.random((20, 24)) < 0.03
    field = clearance(blocked, 3.6, True, (0, 0), blocked.shape).field
    obstacles, free = np.argwhere(blocked), np.argwhere(~blocked)
    for r, c in np.ndindex(blocked.shape):
        if blocked[r, c]:
            inside = np.sqrt(((free - (r, c)) ** 2).sum(1)).min()
            expected = -(inside - 1) - 3.6
        else:
            expected = np.sqrt(((obstacles - (r, c)) ** 2).sum(1)).min() - 3.6
        assert field[r, c] == pytest.approx(np.clip(expected, -DEEP - 3.6, NEAR), abs=1e-12)


@pytest.mark.parametrize("outside_free", [True, False])
def test_a_window_is_a_cut_of_the_whole_field(outside_free: bool) -> None:
    rng = np.random.default_rng(1)
    blocked = rng.random((50, 40)) < 0.02
    blocked[10:30, 5:25] = True
    whole = clearance(blocked, 3.6, outside_free, (-20, -20), (70, 60))
    for low, high in (((-5, 3), (12, 20)), ((8, 8), (22, 15)), ((40, 30), (66, 58)), ((-19, -20), (-12, -9))):
        window = clearance(blocked, 3.6, outside_free, low, high)
        cut = whole.field[low[0] + 20 : high[0] + 20, low[1] + 20 : high[1] + 20]
        np.testing.assert_array_equal(window.field, cut)


# Where an agent can stand.


def test_an_agent_keeps_its_radius_from_an_obstacle() -> None:
    blocked = empty()
    blocked[30, 30] = True  # its centre lies at (1.525, 1.525)
    navigation = GridNavigation(blocked, (0, 0), CELL, RADIUS)
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        way = np.array([math.cos(angle), 0, math.sin(angle)])
        assert not navigation.is_navigable(p(1.525, 1.525) + (RADIUS - 0.02) * way)
        assert navigation.is_navigable(p(1.525, 1.525) + (RADIUS + 0.02) * way)
    assert not navigation.is_navigable((math.nan, 0, 0))


def test_beyond_the_grid_all_is_free_or_all_is_blocked() -> None:
    for outside_free in (True, False):
        navigation = GridNavigation(empty(), (0, 0), CELL, RADIUS, outside_free)
        assert navigation.is_navigable(p(-50, 3)) == outside_free
        assert navigation.is_navigable(p(1.5, 1.5))
        assert navigation.is_navigable(p(0.1, 1.5)) == outside_free
    nothing = GridNavigation(np.zeros((0, 0), dtype=bool), (0, 0), CELL, RADIUS)
    assert nothing.geodesic_distance(p(0, 0), p(3, 4)) == pytest.approx(5)
    assert nothing.sample(np.random.default_rng(0)) is None


def test_snapping_finds_the_nearest_free_place(toy: GridNavigation, exact: PolygonNavigation) -> None:
    np.testing.assert_array_equal(toy.snap(p(0, 0)), p(0, 0))
    for x, z in ((1.95, 0.0), (0.45, -1.0), (-1.9, 2.9)):
        there = toy.snap((x, 0.3, z))
        assert toy.is_navigable(there) and there[1] == 0.3
        assert math.dist(there[::2], exact.snap((x, 0.3, z))[::2]) < 0.12
    with pytest.raises(ValueError, match="navigable"):
        GridNavigation(np.ones((5, 5), dtype=bool), (0, 0), CELL, RADIUS, outside_free=False).snap(p(0, 0))


def test_samples_are_navigable_on_the_mask_and_reachable(toy: GridNavigation) -> None:
    mask = np.zeros_like(toy.blocked)
    mask[20:140, 20:60] = True  # x < 0
    rngs = [np.random.default_rng(3) for _ in range(2)]
    points = [[toy.sample(rng, mask, p(0, 0)) for _ in range(200)] for rng in rngs]
    np.testing.assert_array_equal(points[0], points[1])
    points = np.array(points[0])
    assert all(toy.is_navigable(q) for q in points)
    assert (points[:, 0] <= 0.03).all() and (np.abs(points[:, 2]) < 3).all()
    # Uniform: as many in each half of the room.
    assert abs((points[:, 2] > 0).mean() - 0.5) < 0.1
    # From outside the room, the room cannot be reached.
    assert toy.sample(rngs[0], mask, p(5, 5)) is None


# Distances.


def test_a_straight_way_is_as_long_as_the_straight_line() -> None:
    navigation = GridNavigation(empty(), (0, 0), CELL, RADIUS)
    for a, b in (((0.33, 0.2), (2.7, 2.1)), ((-4, 1), (9, 2)), ((1, 1), (1, 1))):
        assert navigation.geodesic_distance(p(*a), p(*b)) == pytest.approx(math.dist(a, b), abs=1e-12)


def test_the_way_round_a_wall_touches_its_end() -> None:
    blocked = empty(100, 100)
    blocked[0:60, 50] = True  # a wall from z = 0 to 3 at x = 2.525, free at both ends
    navigation = GridNavigation(blocked, (0, 0), CELL, RADIUS, outside_free=False)
    a, b = p(1.5, 1.0), p(3.5, 1.0)
    # Two tangents to the circle round the wall's end, and the half circle between them.
    run, rise = 1.025, 2.975 - 1.0
    hypotenuse = math.hypot(run, rise)
    tangent = math.sqrt(hypotenuse**2 - RADIUS**2)
    # Seen from the end, a and b are 2 atan(run / rise) apart, and each tangent point acos(R / hypotenuse) from them.
    arc = 2 * math.pi - 2 * math.atan2(run, rise) - 2 * math.acos(RADIUS / hypotenuse)
    assert navigation.geodesic_distance(a, b) == pytest.approx(2 * tangent + RADIUS * arc, rel=0.02)
    path = navigation.shortest_path(a, b)
    np.testing.assert_array_equal(path[0], a)
    np.testing.assert_array_equal(path[-1], b)
    assert path[:, 2].max() == pytest.approx(2.975 + RADIUS, abs=0.08)
    length = np.sqrt((np.diff(path, axis=0) ** 2).sum(1)).sum()
    assert length == pytest.approx(navigation.geodesic_distance(a, b), abs=1e-9)


def test_distances_agree_with_exact_polygons(toy: GridNavigation, exact: PolygonNavigation) -> None:
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(60):
        a, b = exact.sample(rng), exact.sample(rng)
        if toy.is_navigable(a) and toy.is_navigable(b):
            true, found = exact.geodesic_distance(a, b), toy.geodesic_distance(a, b)
            assert found >= math.dist(a, b) - 1e-9
            errors.append((found - true) / max(true, 0.5))
    assert len(errors) > 40
    assert np.abs(errors).max() < 0.03 and np.abs(errors).mean() < 0.01


def test_distances_hardly_depend_on_the_direction(toy: GridNavigation, exact: PolygonNavigation) -> None:
    for b in (p(1.0, -2.4), p(1.75, -1.0), p(-1.5, 2.5)):
        for a in (p(1.0, -0.2), p(0.2, -1.0)):
            assert toy.geodesic_distance(a, b) == pytest.approx(toy.geodesic_distance(b, a), rel=0.02)


def test_there_is_no_way_into_a_closed_room_or_an_obstacle(toy: GridNavigation) -> None:
    assert toy.geodesic_distance(p(0, 0), p(5, 5)) == math.inf
    assert toy.geodesic_distance(p(5, 5), p(0, 0)) == math.inf
    assert toy.geodesic_distance(p(0, 0), p(1.95, 0)) == math.inf
    assert toy.geodesic_distance(p(0, 0), (math.nan, 0, 0)) == math.inf
    assert toy.shortest_path(p(0, 0), p(5, 5)).shape == (0, 3)


def test_far_beyond_the_grid_the_way_leads_round_what_is_in_it() -> None:
    blocked = empty(40, 40)
    blocked[:, 20] = True  # x = 1.025, z 0..2
    navigation = GridNavigation(blocked, (0, 0), CELL, RADIUS)
    found = navigation.geodesic_distance(p(-3, 1), p(5, 1))
    corner = 0.975 + RADIUS
    least = 2 * math.sqrt(4.025**2 + 0.975**2)
    assert least < found < math.hypot(4.025 - RADIUS, corner) * 2 + 2 * RADIUS + 0.1
    assert navigation.geodesic_distance(p(-3, 6), p(5, 6)) == pytest.approx(8)
    # Asked from inside the grid, the same wall stands in the way.
    assert navigation.geodesic_distance(p(0.5, 1), p(5, 1)) > 4.6


def test_answers_do_not_depend_on_what_was_asked_before(toy: GridNavigation) -> None:
    pairs = [(p(1.0, -0.2), p(1.0, -2.4)), (p(-1.5, 2.0), p(1.7, -2.0)), (p(0.2, -1.0), p(1.75, -1.0))]
    for a, b in reversed(pairs):
        toy.geodesic_distance(a, b)
    used = [toy.geodesic_distance(a, b) for a, b in pairs]
    assert used == [toy_grid().geodesic_distance(a, b) for a, b in pairs]
    np.testing.assert_array_equal(toy.geodesic_distances([a for a, _ in pairs[:1]], pairs[0][1]), used[:1])


# Motion.


@pytest.mark.parametrize("outside_free", [True, False])
def test_one_piece_is_seen_as_it_is_among_many(outside_free: bool) -> None:
    rng = np.random.default_rng(0)
    blocked = rng.random((30, 40)) < 0.02
    paths = GridNavigation(blocked, (0.0, 0.0), CELL, RADIUS / 2, outside_free).paths
    places, others = rng.uniform((-9, -9), (39, 49), (2, 200, 2))
    alone = [paths.sees_one(place, other) for place, other in zip(places, others, strict=True)]
    assert alone == [bool(paths.sees(place, other[None])[0]) for place, other in zip(places, others, strict=True)]
    assert 5 < sum(alone) < 195


def test_corners_that_are_remembered_give_the_same_way(toy: GridNavigation) -> None:
    rng = np.random.default_rng(1)
    goal = p(1.7, -2.6)
    starts = [toy.sample(rng) for _ in range(40)]
    ways = [toy.shortest_path(start, goal) for start in starts]
    assert max(map(len, ways)) > 2
    for start, way in zip(starts, ways, strict=True):
        assert start is not None
        np.testing.assert_array_equal(toy_grid().shortest_path(start, goal), way)


def test_free_motion_is_exact(toy: GridNavigation) -> None:
    way = np.array([0.123456789, 0.5, -0.2])
    moved, collided = toy.move((-0.5, 0.7, 0.5), way)
    np.testing.assert_array_equal(moved, [-0.5 + 0.123456789, 0.7, 0.5 - 0.2])
    assert not collided


def test_walking_into_a_wall_stops_at_the_radius(toy: GridNavigation) -> None:
    for sliding in (True, False):
        moved, collided = toy.move(p(-1.7, 1.0), p(-0.25, 0), sliding)
        assert collided
        assert moved[0] == pytest.approx(-2.0 + RADIUS, abs=CELL) and moved[2] == pytest.approx(1.0, abs=1e-6)


def test_walking_askew_into_a_wall_slides_along_it_or_stops(toy: GridNavigation) -> None:
    start, way = p(-1.79, 1.0), p(-0.2, 0.2)
    slid, collided = toy.move(start, way, True)
    assert collided and slid[2] == pytest.approx(1.2, abs=0.03) and slid[0] == pytest.approx(-1.8, abs=0.04)
    stopped, collided = toy.move(start, way, False)
    assert collided and stopped[2] < 1.08
    np.testing.assert_allclose((stopped - start)[0], -(stopped - start)[2], atol=1e-9)


def test_sliding_along_a_slanted_wall_is_smooth() -> None:
    blocked = empty(120, 120)
    rows = np.round(0.577 * np.arange(120) + 20).astype(int)
    blocked[rows, np.arange(120)] = True  # a wall at 30 degrees
    navigation = GridNavigation(blocked, (0, 0), CELL, RADIUS)
    at = p(1.0, 1.0)
    for _ in range(30):
        at, _ = navigation.move(at, p(0.1, 0.1))
    along = np.array([math.cos(math.pi / 6), 0, math.sin(math.pi / 6)])
    # 45 degrees towards a wall at 30: the part along the wall is cos 15 of each step.
    assert np.dot(at - p(1.0, 1.0), along) > 0.95 * 30 * math.hypot(0.1, 0.1) * math.cos(math.radians(15))


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.booleans())
def test_no_motion_ends_inside_an_obstacle_or_is_longer_than_asked(seed: int, sliding: bool) -> None:
    rng = np.random.default_rng(seed)
    navigation = GridNavigation(rng.random((40, 40)) < 0.01, (-1, -1), CELL, RADIUS)
    at = navigation.snap(p(*rng.uniform(-1, 1, 2)))
    for _ in range(6):
        way = p(*rng.normal(0, 0.2, 2))
        new, collided = navigation.move(at, way, sliding)
        assert navigation.is_navigable(new)
        moved = ((new - at) ** 2).sum()
        assert moved <= (way**2).sum() + 1e-9
        assert collided == (moved + 1e-5 < (way**2).sum()) or abs(moved + 1e-5 - (way**2).sum()) < 1e-9
        if not sliding:
            assert abs((new - at)[0] * way[2] - (new - at)[2] * way[0]) < 1e-9
        at = new


@pytest.mark.parametrize("sliding", [True, False])
def test_motion_agrees_with_exact_polygons(toy: GridNavigation, exact: PolygonNavigation, sliding: bool) -> None:
    rng = np.random.default_rng(7)
    apart, disagree = [], 0
    for _ in range(200):
        at, angle = exact.sample(rng), rng.uniform(0, 2 * np.pi)
        if toy.is_navigable(at):
            way = 0.25 * np.array([math.cos(angle), 0, math.sin(angle)])
            (one, one_hit), (other, other_hit) = exact.move(at, way, sliding), toy.move(at, way, sliding)
            apart.append(math.dist(one, other))
            disagree += one_hit != other_hit
    assert len(apart) > 150
    assert np.median(apart) < 1e-6 and np.quantile(apart, 0.95) < CELL
    assert disagree < 0.05 * len(apart)
    # Without sliding, walls that are met at a flat angle stop the agent earlier or later by any length.
    assert max(apart) < (CELL if sliding else 0.25)


def test_an_agent_inside_an_obstacle_can_leave_but_not_go_deeper() -> None:
    blocked = empty(80, 80)
    blocked[:, 40:44] = True  # x 2.0..2.2
    navigation = GridNavigation(blocked, (0, 0), CELL, RADIUS)
    inside = p(1.9, 2.0)
    assert not navigation.is_navigable(inside)
    out, collided = navigation.move(inside, p(-0.25, 0))
    np.testing.assert_allclose(out, p(1.65, 2.0))
    assert not collided and navigation.is_navigable(out)
    deeper, collided = navigation.move(inside, p(0.1, 0), allow_sliding=False)
    assert collided and deeper[0] == pytest.approx(1.9, abs=1e-3)
    # In the very middle of something thick every way is open.
    blocked[10:70, 10:70] = True
    buried = GridNavigation(blocked, (0, 0), CELL, RADIUS)
    assert not buried.move(p(2, 2), p(0.25, 0))[1]


def test_input_that_makes_no_sense_is_refused(toy: GridNavigation) -> None:
    for wrong, message in (
        (lambda: GridNavigation(np.zeros((3, 3)), (0, 0), CELL), "bool"),
        (lambda: GridNavigation(empty(), (0, 0), 0.0), "cell"),
        (lambda: GridNavigation(empty(), (0, 0), CELL, math.nan), "agent_radius"),
        (lambda: toy.move((0, math.nan, 0), p(0, 0)), "position must be finite"),
        (lambda: toy.move(p(0, 0), (1, 2)), "displacement must be three numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
