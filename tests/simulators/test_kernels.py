"""Compiled navigation gives what NumPy and SciPy give, bit for bit, and stands back where it cannot run."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.kernels import load
from mirage_env.memory import LatentMemory
from mirage_env.simulators import kernels
from mirage_env.simulators.clearance import clearance, slide
from mirage_env.simulators.compiled.clearance import hypot
from mirage_env.simulators.grid_navigation import GridNavigation
from mirage_env.simulators.grid_paths import OFFSETS, GridPaths
from mirage_env.simulators.kernels import NavigationPath
from mirage_env.simulators.occupancy import OccupancyGrid
from mirage_env.simulators.path_search import PathSearch

CELL = 0.05
PATHS: tuple[NavigationPath, NavigationPath] = ("fastest", "scipy")


def by_both(ask: Callable[[], Any]) -> tuple[Any, Any]:
    """What compiled loops say, and what NumPy and SciPy do."""
    answers = []
    for path in PATHS:
        with kernels.navigating_by(path):
            answers.append(ask())
    return answers[0], answers[1]


def obstacles(rng: np.random.Generator) -> Array:
    """Crumbs, blobs, thick and thin walls, or pillars on a lattice."""
    blocked = np.zeros(rng.integers(1, 70, 2), dtype=bool)
    kind = rng.integers(4)
    if kind == 0:
        return rng.random(blocked.shape) < rng.choice([0.002, 0.02, 0.1])
    if kind == 1:
        return binary_dilation(rng.random(blocked.shape) < 0.004, iterations=int(rng.integers(1, 12)))
    if kind == 2:
        blocked[:: rng.integers(9, 20), :: rng.integers(9, 20)] = True
        return blocked
    for _ in range(rng.integers(1, 8)):
        r, c, length = *rng.integers(blocked.shape), rng.integers(1, 50)
        blocked[(r, slice(c, c + length)) if rng.random() < 0.5 else (slice(r, r + length), c)] = True
    return blocked


def somewhere(rng: np.random.Generator, blocked: Array, origin: Array) -> Array:
    """A place (3,) on a grid or up to a metre beside it; often in the very middle or on the border of a cell."""
    cells = rng.uniform(-20, np.array(blocked.shape[::-1]) + 20.0)
    kind = rng.random()
    cells = np.floor(cells) + 0.5 if kind < 0.3 else np.floor(cells) if kind < 0.4 else cells
    return np.array([origin[0] + cells[0] * CELL, 0.3, origin[1] + cells[1] * CELL])


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000), radius=st.floats(0.0, 9.0), outside_free=st.booleans())
def test_clearance_has_the_bits_of_scipys_distances(seed: int, radius: float, outside_free: bool) -> None:
    rng = np.random.default_rng(seed)
    blocked = obstacles(rng)
    low = rng.integers(-30, 40, 2)
    size = rng.integers(1, 60, 2)
    low, high = tuple(low.tolist()), tuple((low + size).tolist())
    fast, slow = by_both(lambda: clearance(blocked, radius, outside_free, low, high))
    assert fast.field.tobytes() == slow.field.tobytes() and fast[1:] == slow[1:]


@settings(max_examples=100)
@given(seed=st.integers(0, 100_000), allow=st.booleans())
def test_motion_has_the_same_bits(seed: int, allow: bool) -> None:
    rng = np.random.default_rng(seed)
    blocked = obstacles(rng)
    field = clearance(blocked, rng.choice([3.6, 0.75]), True, (-3, -4), (blocked.shape[0] + 3, blocked.shape[1] + 4))
    for _ in range(20):
        start, way = rng.uniform(-6, np.array(blocked.shape) + 6.0), rng.normal(0, 4, 2)
        if rng.random() < 0.5:
            way *= 5 / np.hypot(*way)
        start, way = tuple(start.tolist()), tuple(way.tolist())
        fast, slow = by_both(lambda start=start, way=way: slide(field, start, way, allow))
        assert fast == slow


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_lengths_are_rounded_as_python_does_it(a: float, b: float) -> None:
    assert hypot(a, b) == math.hypot(a, b)
    assert hypot(a * 1e-155, b) == math.hypot(a * 1e-155, b)


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000), radius=st.sampled_from([0.0, 0.1, 0.18, 0.4]), outside_free=st.booleans())
def test_paths_places_and_moves_have_the_same_bits(seed: int, radius: float, outside_free: bool) -> None:
    rng = np.random.default_rng(seed)
    blocked, origin = obstacles(rng), rng.choice([0.0, -1.0, 0.7317], 2)
    navigations = {path: GridNavigation(blocked, origin, CELL, radius, outside_free) for path in PATHS}
    goals = [somewhere(rng, blocked, origin) for _ in range(3)]
    starts = [somewhere(rng, blocked, origin) for _ in range(5)]
    ways = rng.normal(0, 0.2, (5, 3))
    sliding = bool(rng.random() < 0.7)

    def ask(navigation: GridNavigation) -> list[Any]:
        said: list[Any] = []
        for goal in goals:
            try:
                said.append(navigation.snap(goal).tobytes())
                goal = navigation.snap(goal)
            except ValueError as error:
                said.append(str(error))
            for start in starts:
                said.append(navigation.shortest_path(start, goal).tobytes())
                said.append(navigation.geodesic_distance(start, goal))
            said.append(navigation.geodesic_distances(starts, goal).tobytes())
        for start, way in zip(starts, ways, strict=True):
            end, collided = navigation.move(start, way, sliding)
            said += [end.tobytes(), collided, navigation.is_navigable(end)]
        return said

    with kernels.navigating_by("scipy"):
        slow = ask(navigations["scipy"])
    assert ask(navigations["fastest"]) == slow


def test_the_steps_between_cells_are_the_edges_of_scipys_graph() -> None:
    rng = np.random.default_rng(3)
    field = clearance(rng.random((30, 40)) < 0.02, 2.5, True, (-5, -5), (35, 45))
    paths = GridPaths(field)
    compiled = kernels.compiled()
    assert compiled is not None
    frame = compiled.ways.FRAME
    steps = paths.steps(compiled)[frame:-frame, frame:-frame].ravel()
    targets, indptr, _ = paths._graph
    width = paths.free.shape[1]
    for cell in range(paths.free.size):
        leads = [k for k in range(16) if steps[cell] >> k & 1]
        there = cell + OFFSETS[leads, 0] * width + OFFSETS[leads, 1]
        np.testing.assert_array_equal(there, targets[indptr[cell] : indptr[cell + 1]])


def test_distances_to_a_goal_are_dijkstras_however_far_a_search_went_first() -> None:
    rng = np.random.default_rng(4)
    paths = GridPaths(clearance(rng.random((40, 50)) < 0.01, 3.6, True, (-6, -6), (46, 56)))
    compiled = kernels.compiled()
    assert compiled is not None
    goal = np.array([22.3, 30.2])
    field, search, frame = paths.to_goal(goal), PathSearch(paths, goal, compiled), compiled.ways.FRAME
    assert field is not None
    expected = np.pad(field.distance[:-1].reshape(paths.free.shape), frame, constant_values=np.inf)
    for start in ([24.2, 27.0], [14.1, 35.5], [-40.0, 12.0]):
        assert paths.clearance.at(*start) >= 0
        search.path(np.array(start))
        found = search._distance.reshape(expected.shape)
        # What was not settled yet may be too far, never too near.
        settled = found < search._state[0]
        assert settled.any()
        np.testing.assert_array_equal(found[settled], expected[settled])
        assert (found >= expected).all()
    assert (found == expected).all()


def test_of_two_ways_of_one_length_scipys_is_taken() -> None:
    """Round a pillar in the middle between start and goal, on either side."""
    blocked = np.zeros((41, 41), dtype=bool)
    blocked[20, 20] = True
    cell = 1 / 16  # exact, as the centres of cells are then
    start, goal = np.array([4.5, 0, 20.5]) * cell, np.array([36.5, 0, 20.5]) * cell
    navigations = [GridNavigation(blocked, (0.0, 0.0), cell, 0.25) for _ in PATHS]
    with kernels.navigating_by("scipy"):
        expected = navigations[1].shortest_path(start, goal)
    np.testing.assert_array_equal(navigations[0].shortest_path(start, goal), expected)
    (search,) = navigations[0]._searches.values()
    assert search._by_scipy is not None
    # Far enough beside the axis of symmetry one way is shorter, and nobody needs to ask.
    beside = GridNavigation(blocked, (0.0, 0.0), cell, 0.25)
    assert len(beside.shortest_path(start + 0.101, goal + 0.113)) > 2
    assert all(search._by_scipy is None for search in beside._searches.values())


@pytest.mark.parametrize("far", [1e4, 1e9, 1e15, 1e30, math.nan, math.inf])
@pytest.mark.parametrize("outside_free", [True, False])
def test_places_out_of_this_world_are_treated_alike(far: float, outside_free: bool) -> None:
    blocked = np.zeros((30, 30), dtype=bool)
    blocked[4:28, 15] = True
    here, there = np.array([0.3, 0.0, 0.7]), np.array([far, 0.0, 0.7])

    def ask() -> list[Any]:
        navigation = GridNavigation(blocked, (0.0, 0.0), CELL, outside_free=outside_free)
        said: list[Any] = [navigation.is_navigable(there)]
        for a, b in ((here, there), (there, here), (there, there)):
            said += [navigation.geodesic_distance(a, b), navigation.shortest_path(a, b).tobytes()]
        if math.isfinite(far):
            said += [navigation.snap(there).tobytes(), navigation.move(there, here)[0].tobytes()]
        return said

    with np.errstate(invalid="ignore"):  # NumPy's numbers of cells overflow, which does no harm
        fast, slow = by_both(ask)
    np.testing.assert_equal(fast, slow)


def test_the_first_of_the_nearest_free_cells_is_taken() -> None:
    blocked = np.zeros((21, 21), dtype=bool)
    blocked[6:15, 6:15] = True
    for middle in ((10.5, 10.5), (10.0, 10.0), (10.5, 9.0)):
        place = np.array([middle[0], 0.0, middle[1]]) / 16
        fast, slow = by_both(lambda place=place: GridNavigation(blocked, (0.0, 0.0), 1 / 16, 0.0).snap(place))
        np.testing.assert_array_equal(fast, slow)


@settings(max_examples=25)
@given(st.integers(0, 100_000))
def test_grids_of_a_memory_are_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    K = geometry.intrinsics(20, 16, 90.0)
    memory = LatentMemory(1)
    believed = float(rng.choice([0.0, 0.4, 1.0]))
    grids = dict.fromkeys(PATHS, OccupancyGrid(float(rng.normal(0, 0.1)), believed=believed))
    for step in range(6):
        pose = geometry.camera_pose(rng.normal(0, 0.5, 3), rng.uniform(-np.pi, np.pi), 1.25)
        pose = pose @ geometry.exp_twist([0, 0, 0, *rng.normal(0, 0.2, 3)])
        depth = rng.uniform(1.0, 4.0) + 0.02 * rng.standard_normal((16, 20)).cumsum(1)
        depth[rng.random(depth.shape) < 0.1] *= 0.6
        imagined = 0.0 if rng.random() < 0.4 else (rng.random(depth.shape) < 0.7) * rng.random(depth.shape)
        memory.write(torch.zeros(1, 16, 20), depth.clip(0.2), K, pose, imagined=imagined, merge=False if step else None)
        if step == 2:
            grids = {path: grid.standing(pose[:3, 3], 0.18) for path, grid in grids.items()}
        for path, grid in grids.items():
            with kernels.navigating_by(path):
                grids[path] = grid.extended(memory)
        fast, slow = grids.values()
        assert (fast.row, fast.column, fast.tokens, fast.removed) == (slow.row, slow.column, slow.tokens, slow.removed)
        for name in ("solid", "guessed", "floor", "clear", "stood", "blocked"):
            np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name), name)
    assert slow.solid.any() or slow.guessed.any() or slow.floor.any() or not len(memory)


def test_only_grids_that_share_what_blocks_are_told_to_block_alike() -> None:
    memory = LatentMemory(1)
    K, pose = geometry.intrinsics(16, 16, 90.0), geometry.camera_pose((0, 0, 0), 0.0, 0.75)
    memory.write(torch.zeros(1, 16, 16), np.full((16, 16), 2.0), K, pose, imagined=1.0)
    grid = OccupancyGrid(0.0).extended(memory)
    assert grid.blocks_as(grid) and not grid.blocks_as(OccupancyGrid(0.0))
    memory.write(torch.zeros(1, 16, 16), np.full((16, 16), 2.0), K, pose, imagined=1.0, merge=False)
    again = grid.extended(memory)
    assert again.tokens > grid.tokens and again.blocks_as(grid) and np.array_equal(again.blocked, grid.blocked)
    assert not grid.standing((0.0, 0.0, 0.0), 0.18).blocks_as(grid)


@pytest.fixture
def no_numba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "numba", None)
    load.cache_clear()
    yield
    load.cache_clear()


def test_without_numba_scipy_navigates(no_numba: None) -> None:
    assert kernels.compiled() is None
    blocked = np.zeros((40, 40), dtype=bool)
    blocked[:30, 20] = True
    navigation = GridNavigation(blocked, (0.0, 0.0), CELL)
    assert navigation.geodesic_distance((0.5, 0, 0.5), (1.5, 0, 0.5)) > 1.5
    assert navigation.move((0.8, 0, 0.5), (0.25, 0, 0))[1]
    assert not navigation._searches


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(ValueError, match="'fastest' or 'scipy', got 'numba'"), kernels.navigating_by("numba"):  # type: ignore[arg-type]
        pass
    assert kernels.compiled() is not None
    with kernels.navigating_by("scipy"):
        assert kernels.compiled() is None
