"""The observation ``goal_place``: what it tells, in truth and imagination; it goes with snapshots and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env.envs.factory import make_image_nav
from mirage_env.envs.observations import pointgoal
from mirage_env.tasks.goal_place import picture_in, place_of
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.exact_world import exact_world
from tests.small_world import small_world

WAY = (1, 2, 2, 1, 3, 1, 2, 2, 2, 1)


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    with one_thread():
        yield small_world()


def made(model: Any, simulator: str = "rooms", **more: Any) -> Any:
    arguments = {"scenes": "toy", "model": model, "resolution": 32, "observations": "goal_place"}
    return make_image_nav(simulator=simulator, **arguments | more)


def walked(env: Any, actions: tuple[int, ...]) -> list[Any]:
    return [env.step(action)[0] for action in actions]


@pytest.mark.parametrize("simulator", ["rooms", "mirage"])
def test_it_tells_where_the_picture_lies_on_the_map_of_the_episode(world: WorldModel, simulator: str) -> None:
    env = made(world, simulator)
    env.reset(seed=0)
    for action in WAY:
        observed = env.step(action)[0]
        progress = env.snapshot().progress
        picture = picture_in(world, progress.state.image, env.simulator.camera)
        place = place_of(picture, progress.surfaces, world.recognition)
        if place is None:
            assert not observed.any()
            continue
        goal = np.array([place.position[0], 0.0, place.position[1]])
        np.testing.assert_array_equal(observed[:2], pointgoal(env.view.pose, 1.25, goal))
        assert observed[2] == np.float32(place.trust)
        assert env.observation_space.contains(observed)


@pytest.mark.parametrize("simulator", ["rooms", "mirage"])
def test_it_goes_with_snapshots_and_files(world: WorldModel, simulator: str, tmp_path: Path) -> None:
    env = made(world, simulator)
    env.reset(seed=0)
    walked(env, WAY[:5])
    kept = env.snapshot()
    after = walked(env, WAY[5:])
    env.restore(kept)
    np.testing.assert_array_equal(walked(env, WAY[5:]), after)
    if simulator == "mirage":
        env.restore(kept)
        env.save(tmp_path / "a.safetensors")
        env.reset(seed=5)
        env.load(tmp_path / "a.safetensors")
        np.testing.assert_array_equal(walked(env, WAY[5:]), after)


def test_one_that_goes_on_without_a_map_begins_one(world: WorldModel) -> None:
    plain, mapped = made(world, observations="goal_latent"), made(world, observations=("goal_place", "local_map"))
    plain.reset(seed=0)
    mapped.restore(plain.snapshot())
    progress = mapped.snapshot().progress
    assert progress.surfaces is not None and progress.floor is not None
    mapped.step(1)
    again = mapped.snapshot().progress.surfaces
    mapped.restore(mapped.snapshot())
    assert mapped.snapshot().progress.surfaces is again  # what is known already is not told twice


def test_noise_of_the_pose_moves_the_map(world: WorldModel) -> None:
    plain, noisy = made(world), made(world, randomise={"pose_noise": {"position": 0.5}})
    maps = []
    for env in (plain, noisy):
        env.reset(seed=0)
        env.step(1)
        maps.append(env.snapshot().progress.surfaces)
    assert maps[0].sums.shape != maps[1].sums.shape or not np.array_equal(maps[0].sums, maps[1].sums)


def test_models_that_know_no_surfaces_again_are_refused(world: WorldModel) -> None:
    with pytest.raises(ValueError, match="goal_place needs a world model that was fitted"):
        made(exact_world())
    with pytest.raises(ValueError, match="'exact' was not fitted"):
        picture_in(exact_world(), np.zeros((32, 32, 3), np.uint8), made(world).simulator.camera)
