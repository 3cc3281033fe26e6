"""Exploring in environments: the same in truth and imagination, alone and among many, before and after a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from mirage_env.envs.factory import make_explore, make_free_camera
from mirage_env.envs.vector_factory import make_vec_explore
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.box_room import pose, room_view
from tests.exact_world import exact_world
from tests.same_bits import assert_same

SIZE = 32
WALK = 14 * [2] + [1, 2, 1, 1, 3, 1, 1, 2]


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    """Without convolutions, so that its batches are exact on any machine."""
    with one_thread():
        yield exact_world()


def arguments(world: WorldModel, simulator: str = "mirage", **others: Any) -> dict[str, Any]:
    return {
        "simulator": simulator,
        "scenes": "toy",
        "model": world,
        "resolution": SIZE,
        "observations": "pose",
        **others,
    }


@pytest.mark.parametrize("simulator", ["mirage", "rooms"])
def test_rewards_add_up_to_the_floor_that_was_seen(simulator: str, world: WorldModel) -> None:
    env = make_explore(reward_per_m2=3.0, slack=0.5, **arguments(world, simulator))
    _, info = env.reset(seed=4)
    first, total, areas = info["explored_area"], 0.0, [info["explored_area"]]
    for action in WALK:
        _, reward, terminated, _, info = env.step(action)
        total += reward
        areas.append(info["explored_area"])
        assert not terminated and 0 <= info["coverage"] <= 1
    assert areas == sorted(areas) and areas[-1] > first
    assert total == pytest.approx(3.0 * (areas[-1] - first) - 0.5 * len(WALK))
    *_, terminated, truncated, info = env.step(0)
    assert (terminated, truncated, info["success"], info["spl"], info["distance_to_goal"]) == (
        True,
        False,
        False,
        0.0,
        math.inf,
    )


def test_a_vector_gives_what_its_worlds_give_alone(world: WorldModel) -> None:
    options = arguments(world, max_episode_steps=18)
    venv, alone = make_vec_explore(3, **options), SyncVectorEnv([lambda: make_explore(**options)] * 3)
    assert_same(venv.reset(seed=5), alone.reset(seed=5))
    areas = []
    for action in WALK:
        given = venv.step(np.full(3, action))
        assert_same(given, alone.step(np.full(3, action)))
        areas.append(given[-1]["explored_area"])
    assert (np.max(areas, axis=0) > 0).any() and (areas[-1] < np.max(areas, axis=0)).any()


@pytest.mark.parametrize("simulator", ["mirage", "rooms"])
def test_a_snapshot_knows_what_was_seen(simulator: str, world: WorldModel) -> None:
    env = make_explore(**arguments(world, simulator))
    env.reset(seed=3)
    for action in WALK:
        env.step(action)
    there = env.snapshot()
    first = [env.step(action) for action in WALK]
    env.restore(there)
    assert_same([env.step(action) for action in WALK], first)
    assert env.restore(there)[1]["explored_area"] == there.progress.state.seen.area


def test_a_file_knows_what_was_seen(world: WorldModel, tmp_path: Path) -> None:
    env, other = (make_explore(**arguments(world)) for _ in range(2))
    env.reset(seed=3)
    last = [env.step(action) for action in WALK][-1]
    env.save(tmp_path / "episode")
    assert_same(other.load(tmp_path / "episode"), (last[0], last[-1]))
    assert last[-1]["explored_area"] > 0 and last[-1]["coverage"] > 0
    assert_same([other.step(action) for action in WALK], [env.step(action) for action in WALK])
    with pytest.raises(ValueError, match="it is of Explore, this environment of FreeCamera"):
        make_free_camera(**arguments(world)).load(tmp_path / "episode")
    free = make_free_camera(**arguments(world))
    free.reset(seed=0)
    with pytest.raises(ValueError, match="the snapshot is of FreeCamera, this environment of Explore"):
        env.restore(free.snapshot())


def test_of_a_photograph_no_truth_is_known(world: WorldModel) -> None:
    image, depth = room_view(pose(), SIZE)
    env = make_explore(**arguments(world))
    alone = ImaginedSimulator(world, camera=env.simulator.camera)
    for one in (env, make_explore(**arguments(world) | {"simulator": alone})):
        _, info = one.reset(seed=1, options={"image": image, "depth": depth})
        assert math.isnan(info["coverage"]) and info["explored_area"] > 0
