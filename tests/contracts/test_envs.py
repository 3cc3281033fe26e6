"""What every environment promises: the checkers of Gymnasium and stable-baselines3 find nothing, not even a warning.

Combinations that make no sense are refused by name instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3.common.env_checker import check_env as check_stable_baselines

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env.envs.actions import KINDS
from mirage_env.envs.observations import KEYS
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.small_world import small_world

IDS = ("Mirage/PointNav-v0", "Mirage/ImageNav-v0", "Mirage/FreeCamera-v0", "Mirage/Explore-v0")
SIMULATORS = ("mirage", "rooms")


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    with one_thread():
        yield small_world()


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def make(env_id: str, simulator: Any, world: WorldModel, **arguments: Any) -> gymnasium.Env:
    return gymnasium.make(env_id, simulator=simulator, scenes="toy", model=world, resolution=36, **arguments)


def refusal(env_id: str, actions: str, key: str) -> str | None:
    """What the message says about a combination that makes no sense."""
    task = env_id.removeprefix("Mirage/").removesuffix("-v0")
    if key in ("imagegoal", "goal_latent", "goal_place") and task != "ImageNav":
        return f"{key} is an observation of ImageNav"
    if task in ("FreeCamera", "Explore") and key == "pointgoal":
        return f"pointgoal needs a goal and {task} has none"
    if task != "FreeCamera" and actions == "camera":
        return f"camera actions fly freely, but {task} is solved on the floor"
    return None


def check(env: gymnasium.Env) -> None:
    check_gymnasium(env.unwrapped)
    check_stable_baselines(env, skip_render_check=False)


@pytest.mark.parametrize("actions", KINDS)
@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("env_id", IDS)
def test_checkers_pass_with_every_kind_of_action(env_id: str, simulator: str, actions: str, world: WorldModel) -> None:
    if refusal(env_id, actions, "rgb") is not None:
        return
    keys = tuple(key for key in KEYS if refusal(env_id, actions, key) is None)
    env = make(env_id, simulator, world, actions=actions, observations=keys, render_mode="rgb_array")
    assert isinstance(env.observation_space, spaces.Dict)
    assert set(env.observation_space.spaces) == set(keys)
    check(env)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("env_id", IDS)
def test_checkers_pass_with_every_observation(env_id: str, simulator: str, key: str, world: WorldModel) -> None:
    if refusal(env_id, "discrete", key) is not None:
        return
    env = make(env_id, simulator, world, observations=key)
    assert isinstance(env.observation_space, spaces.Box)
    check(env)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("actions", KINDS)
@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("env_id", IDS)
def test_a_combination_is_made_or_refused_by_name(
    env_id: str, simulator: str, actions: str, key: str, world: WorldModel
) -> None:
    message = refusal(env_id, actions, key)
    if message is None:
        make(env_id, simulator, world, actions=actions, observations=key).close()
    else:
        with pytest.raises(ValueError, match=message):
            make(env_id, simulator, world, actions=actions, observations=key)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_gymnasiums_checker_passes_for_unflattened_arrays(simulator: str, world: WorldModel) -> None:
    check_gymnasium(make("Mirage/ImageNav-v0", simulator, world, observations=KEYS, flatten=False).unwrapped)


@pytest.mark.parametrize(("imagine", "start_depth"), [("always", "estimated"), ("new", "true"), ("never", "true")])
def test_checkers_pass_however_the_world_is_imagined(imagine: str, start_depth: str, world: WorldModel) -> None:
    check(make("Mirage/PointNav-v0", "mirage", world, imagine=imagine, start_depth=start_depth))


@pytest.mark.parametrize("keys", [("rgb", "pointgoal"), ("memory", "visible", "latent")])
def test_checkers_pass_for_a_simulator_object(keys: tuple[str, ...], world: WorldModel) -> None:
    simulator = RoomsSimulator("toy", Camera(36))
    check_stable_baselines(make("Mirage/PointNav-v0", simulator, world, observations=keys))


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("env_id", IDS)
def test_several_run_in_one_vector(env_id: str, simulator: str, world: WorldModel) -> None:
    venv = gymnasium.make_vec(
        env_id, 2, simulator=simulator, scenes="toy", model=world, resolution=36, max_episode_steps=3
    )
    venv.action_space.seed(0)
    _, infos = venv.reset(seed=0)
    assert infos["pose"].shape == (2, 4, 4)
    for _ in range(5):
        venv.step(venv.action_space.sample())
    venv.close()
