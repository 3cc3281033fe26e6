"""The map that turns with the agent: what it shows, where, and that it goes with the episode."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.envs.actions import MOVE_FORWARD, TURN_LEFT
from mirage_env.envs.factory import make_explore, make_point_nav
from mirage_env.envs.local_map import MAP_CELL, SHAPE, SIDE, local_map
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.geometry import Array
from mirage_env.tasks.known_floor import KnownFloor, nothing_known
from mirage_env.tasks.seen_floor import CELL, SeenFloor, marked
from mirage_env.world import WorldModel
from tests.small_world import small_world

SEEN, SOLID, BEEN = range(3)
WAY = [MOVE_FORWARD, TURN_LEFT, MOVE_FORWARD, MOVE_FORWARD, TURN_LEFT] * 4


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return small_world()


def slow_map(known: KnownFloor, position: Array, yaw: float) -> Array:
    """Cell by cell, point by point."""
    found = np.zeros(SHAPE, dtype=np.uint8)
    for k, layer in enumerate(known):
        for row, column, i, j in np.ndindex(SIDE, SIDE, 3, 3):
            ahead = (SIDE / 2 - row - (i + 0.5) / 3) * MAP_CELL
            right = (column + (j + 0.5) / 3 - SIDE / 2) * MAP_CELL
            point = position + ahead * geometry.forward(yaw) + right * geometry.forward(yaw - math.pi / 2)
            r, c = math.floor(point[2] / CELL) - layer.corner[0], math.floor(point[0] / CELL) - layer.corner[1]
            _, height, width = layer.cells.shape
            if 0 <= r < height and 0 <= c < width and layer.cells[0, r, c]:
                found[k, row, column] = 1
    return found


def walked(env: NavigationEnv, actions: list[int]) -> list[Array]:
    return [env.step(action)[0] for action in actions]


def test_the_map_is_that_of_the_known_floor() -> None:
    env = make_explore(simulator="rooms", scenes="toy", resolution=48, observations="local_map", flatten=False)
    env.reset(seed=1)
    shown = walked(env, WAY)[-1]
    known = env.snapshot().progress.floor
    assert known is not None and env.view is not None
    position, yaw = geometry.agent_pose(env.view.pose, env.simulator.camera.height)
    np.testing.assert_array_equal(shown, slow_map(known, position, yaw))
    assert (shown.reshape(3, -1).sum(1) > 10).all()
    assert shown[BEEN, SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].all()


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.2])
def test_what_lies_ahead_and_to_the_left_is_above_and_to_the_left(yaw: float) -> None:
    feet = np.array([1.3, 0.2, -0.7])
    place = feet + 2.0 * geometry.forward(yaw) + 1.0 * geometry.forward(yaw + math.pi / 2)
    corner = math.floor(place[2] / CELL), math.floor(place[0] / CELL)
    known = nothing_known(0.2)
    known = known._replace(solid=marked(known.solid, corner, np.ones((1, 1), dtype=bool), 0.2))
    shown = local_map(known, geometry.camera_pose(feet, yaw, 1.25), 1.25)
    assert not shown[[SEEN, BEEN]].any()
    rows, columns = np.nonzero(shown[SOLID])
    assert abs(rows.mean() - (SIDE / 2 - 2.0 / MAP_CELL)) <= 1 and abs(columns.mean() - (SIDE / 2 - 4)) <= 1


def test_other_storeys_are_not_shown() -> None:
    known = nothing_known(0.0)
    below = known._replace(seen=marked(known.seen, (0, 0), np.ones((5, 5), dtype=bool), 0.0))
    upstairs = below._replace(seen=marked(below.seen, (0, 0), np.ones((1, 1), dtype=bool), 3.0))
    counts = [
        int(local_map(upstairs, geometry.camera_pose((0.2, y, 0.2), 0.0, 1.25), 1.25)[SEEN].sum()) for y in (0.0, 3.0)
    ]
    assert counts[0] > counts[1] > 0


@pytest.mark.parametrize("simulator", ["rooms", "mirage"])
def test_the_floor_goes_with_snapshots_and_files(world: WorldModel, simulator: str, tmp_path: Path) -> None:
    env = make_point_nav(
        simulator=simulator, scenes="toy", model=world, resolution=16, observations=("local_map", "pointgoal")
    )
    env.reset(seed=0)
    walked(env, WAY[:5])
    kept = env.snapshot()
    after = walked(env, WAY[5:10])
    env.restore(kept)
    for one, other in zip(walked(env, WAY[5:10]), after, strict=True):
        np.testing.assert_array_equal(one["local_map"], other["local_map"])
    if simulator == "mirage":
        env.restore(kept)
        env.save(tmp_path / "a.safetensors")
        env.reset(seed=5)
        env.load(tmp_path / "a.safetensors")
        for one, other in zip(walked(env, WAY[5:10]), after, strict=True):
            np.testing.assert_array_equal(one["local_map"], other["local_map"])


def test_one_that_goes_on_without_a_map_begins_one() -> None:
    plain, mapped = (
        make_explore(simulator="rooms", scenes="toy", resolution=16, observations=key) for key in ("pose", "local_map")
    )
    plain.reset(seed=0)
    observed, _ = mapped.restore(plain.snapshot())
    assert observed.any()


def test_noise_of_the_pose_moves_the_map() -> None:
    arguments = {"simulator": "rooms", "scenes": "toy", "resolution": 16, "observations": "local_map"}
    plain = make_explore(**arguments)
    noisy = make_explore(**arguments, randomise={"pose_noise": {"position": 0.3}})
    shown = [env.reset(seed=0)[0] for env in (plain, noisy)]
    assert not np.array_equal(*shown)


def test_damaged_floors_are_refused() -> None:
    arrays = nothing_known(0.0).arrays()
    for name, array in KnownFloor.of_arrays(arrays).arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(ValueError, match="the floor that the agent knows is damaged"):
        KnownFloor.of_arrays(arrays | {"solid.cells": np.zeros((2, 2), dtype=bool)})
    with pytest.raises(KeyError):
        KnownFloor.of_arrays({name: array for name, array in arrays.items() if name != "seen.corner"})
    assert isinstance(KnownFloor.of_arrays(arrays).seen, SeenFloor)
