"""Randomised environments, true and imagined: what changes, what does not, and that equal seeds give equal bits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector.utils import iterate

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env import geometry
from mirage_env.envs.factory import make_free_camera, make_point_nav
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.observations import pointgoal
from mirage_env.envs.randomisation.wrappers import Randomise, RandomiseVector
from mirage_env.envs.vector_factory import make_vec_point_nav
from mirage_env.lighting import Lighting, relit
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.exact_world import exact_world
from tests.same_bits import assert_same

SIZE = 32
WORLDS = ("mirage", "rooms")
KEYS = ("rgb", "depth", "latent", "memory", "visible", "pointgoal", "pose", "odometry")
ALL = {
    "pose_noise": {"position": 0.1, "heading_deg": 5},
    "actuation": "locobot",
    "camera_height": (1.0, 1.5),
    "hfov": (60, 100),
    "lighting": {"brightness": (0.5, 1.5), "contrast": (0.8, 1.2), "temperature": (3500, 9000)},
}


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    with one_thread():
        yield exact_world()


def made(world: WorldModel, simulator: str, randomise: Any = None, make: Any = make_point_nav, **more: Any) -> Any:
    arguments = {"simulator": simulator, "scenes": "toy", "model": world, "resolution": SIZE, "observations": KEYS}
    return make(**arguments | {"randomise": randomise} | more)


def walked(env: Any, seed: int | None = 0, actions: Any = (1, 2, 1, 3, 1)) -> list[Any]:
    return [env.reset(seed=seed), *(env.step(action) for action in actions)]


@pytest.mark.parametrize("simulator", WORLDS)
def test_same_seed_and_actions_give_the_same_bits_and_others_do_not(world: WorldModel, simulator: str) -> None:
    env = made(world, simulator, ALL)
    first = walked(env)
    assert_same(walked(made(world, simulator, ALL)), first)
    assert_same(walked(env), first)
    poses = [walked(made(world, simulator, ALL | {"seed": seed}))[-1][-1]["pose"] for seed in (0, 1)]
    assert not np.allclose(*poses, atol=0.005)


@pytest.mark.parametrize("simulator", WORLDS)
def test_episodes_are_those_of_the_plain_environment(world: WorldModel, simulator: str) -> None:
    plain, env = made(world, simulator), made(world, simulator, ALL)
    for seed in (0, None, None):
        begun, other = plain.reset(seed=seed)[1], env.reset(seed=seed)[1]
        np.testing.assert_array_equal(plain.goal, env.goal)
        feet = [
            geometry.agent_pose(info["pose"], one.simulator.camera.height)
            for info, one in ((begun, plain), (other, env))
        ]
        np.testing.assert_allclose(feet[0][0], feet[1][0], atol=1e-5)
        assert feet[0][1] == pytest.approx(feet[1][1], abs=1e-5)


@pytest.mark.parametrize("simulator", WORLDS)
def test_a_range_of_one_value_is_that_camera(world: WorldModel, simulator: str) -> None:
    drawn = made(world, simulator, {"camera_height": 1.4, "hfov": (70, 70)})
    assert_same(walked(drawn), walked(made(world, simulator, camera_height=1.4, hfov=70)))


@pytest.mark.parametrize("simulator", WORLDS)
def test_cameras_are_drawn_anew_and_evenly(world: WorldModel, simulator: str) -> None:
    env = made(world, simulator, {"camera_height": (1.0, 1.5), "hfov": (60, 100)}, observations="pose")
    cameras = []
    for seed in range(40):
        env.reset(seed=seed)
        cameras.append((env.simulator.camera.height, env.simulator.camera.hfov))
        assert getattr(env.simulator, "source", env.simulator).camera == env.simulator.camera
    drawn = (np.array(cameras) - [1.0, 60]) / [0.5, 40]
    assert ((drawn >= 0) & (drawn <= 1)).all()
    np.testing.assert_allclose(drawn.mean(0), 0.5, atol=5 * math.sqrt(1 / 12 / 40))
    np.testing.assert_allclose(drawn.std(0), math.sqrt(1 / 12), rtol=0.3)


def test_the_light_falls_on_every_true_view(world: WorldModel) -> None:
    light = {"brightness": 0.6, "contrast": 1.1, "temperature": 4000}
    plain = walked(made(world, "rooms", render_mode="rgb_array"))
    env = made(world, "rooms", {"lighting": light}, render_mode="rgb_array")
    for (seen, *_), (lit, *_) in zip(plain, walked(env), strict=True):
        np.testing.assert_array_equal(lit["rgb"], relit(seen["rgb"], Lighting(**light)))
        np.testing.assert_array_equal(lit["depth"], seen["depth"])
        assert not np.allclose(lit["latent"], seen["latent"], atol=0.01)
    np.testing.assert_array_equal(env.render(), lit["rgb"])


def test_the_light_falls_on_the_view_that_an_imagined_world_begins_with(world: WorldModel) -> None:
    light = Lighting(0.6, 1.1, 4000)
    image = made(world, "rooms", observations="rgb").reset(seed=0)[0]
    begun, _ = made(world, "mirage").reset(seed=0, options={"image": relit(image, light), "goal": (0.0, 0.0, -1.0)})
    env = made(world, "mirage", {"lighting": light._asdict()})
    lit, _ = env.reset(seed=0, options={"image": image, "goal": (0.0, 0.0, -1.0)})
    assert_same(lit, begun)
    # In a scene, the source's view is lit before the world sees it.
    opened, _ = env.reset(seed=0)
    assert (
        np.abs(opened["rgb"].astype(float) - relit(image, light)).mean()
        < 0.5 * np.abs(opened["rgb"].astype(float) - image).mean()
    )


def test_a_photograph_is_taken_by_the_plain_camera(world: WorldModel) -> None:
    image = made(world, "rooms", observations="rgb").reset(seed=0)[0]
    env = made(world, "mirage", {"camera_height": 1.5, "hfov": 60}, make=make_free_camera, observations="rgb")
    _, info = env.reset(seed=0, options={"image": image})
    assert info["pose"][1, 3] == pytest.approx(1.5)
    np.testing.assert_allclose(env.state.intrinsics, geometry.intrinsics(SIZE, SIZE, 60))
    opening = env.simulator.snapshot().opening
    assert (opening.hfov, opening.camera_height) == (90.0, 1.25)
    assert env.simulator.occupancy.floor_height == pytest.approx(0.0)


@pytest.mark.parametrize("simulator", WORLDS)
def test_pose_noise_touches_what_sensors_tell_and_nothing_else(world: WorldModel, simulator: str) -> None:
    plain = walked(made(world, simulator))
    noisy = walked(made(world, simulator, {"pose_noise": {"position": 0.2, "heading_deg": 10}}))
    for k, ((seen, *rest), (sensed, *others)) in enumerate(zip(plain, noisy, strict=True)):
        assert_same(others, rest)
        for key in KEYS:
            changed = key in ("pointgoal", "pose") or (key == "odometry" and k > 0)
            assert np.array_equal(sensed[key], seen[key]) is not changed


def test_pose_noise_is_distributed_as_it_was_asked_for(world: WorldModel) -> None:
    noise = {"position": 0.2, "heading_deg": 10}
    env = made(world, "rooms", {"pose_noise": noise}, observations=("pose", "pointgoal"), flatten=False)
    _, info = env.reset(seed=0)
    start = info["pose"].astype(np.float64)
    errors = []
    for k in range(600):
        observed, *_, info = env.step(2)
        believed = start @ observed["pose"]
        error = geometry.invert(info["pose"].astype(np.float64)) @ believed
        apart = believed[:3, 3] - info["pose"][:3, 3]
        errors.append((apart[0], apart[2], math.atan2(error[0, 2], error[2, 2])))
        assert abs(apart[1]) < 1e-5
        if k % 100 == 0:  # the goal is told from the same wrong place
            np.testing.assert_allclose(observed["pointgoal"], pointgoal(believed, 1.25, env.goal), atol=1e-4)
    np.testing.assert_allclose(np.mean(errors, axis=0), 0.0, atol=5 * 0.2 / math.sqrt(600))
    np.testing.assert_allclose(np.std(errors, axis=0), [0.2, 0.2, math.radians(10)], rtol=0.15)
    assert abs(np.corrcoef(np.array(errors)[1:, 0], np.array(errors)[:-1, 0])[0, 1]) < 0.2


@pytest.mark.parametrize("simulator", WORLDS)
def test_a_restored_environment_draws_what_it_drew(world: WorldModel, simulator: str) -> None:
    env = made(world, simulator, ALL)
    last = walked(env)[-1]
    there = env.snapshot()
    then = [*(env.step(action) for action in (1, 2, 1)), env.reset(), env.step(1)]
    for other in (env, made(world, simulator, ALL)):
        other.reset(seed=9)
        assert_same(other.restore(there), (last[0], last[-1]))
        assert_same([*(other.step(action) for action in (1, 2, 1)), other.reset(), other.step(1)], then)


def test_a_loaded_environment_draws_what_it_drew(world: WorldModel, tmp_path: Path) -> None:
    env, path = made(world, "mirage", ALL), tmp_path / "episode.safetensors"
    last = walked(env)[-1]
    env.save(path)
    other = made(world, "mirage", ALL)
    assert_same(other.load(path), (last[0], last[-1]))
    assert_same([other.step(1), other.reset()], [env.step(1), env.reset()])


def test_a_snapshot_of_another_randomisation_is_refused_and_changes_nothing(world: WorldModel, tmp_path: Path) -> None:
    env, path = made(world, "mirage", ALL), tmp_path / "episode.safetensors"
    env.reset(seed=0)
    env.save(path)
    for settings in (None, ALL | {"seed": 1}):
        other = made(world, "mirage", settings)
        other.reset(seed=3)
        before, camera = other.snapshot(), other.simulator.camera
        with pytest.raises(ValueError, match="of an environment randomised otherwise"):
            other.restore(env.snapshot())
        with pytest.raises(ValueError, match="of an environment randomised otherwise"):
            other.load(path)
        assert other.snapshot().progress is before.progress and other.simulator.camera == camera
    true = made(world, "rooms", ALL)
    true.reset(seed=5)
    camera = true.simulator.camera
    with pytest.raises(TypeError):
        true.restore(env.snapshot())
    assert true.simulator.camera == camera


@pytest.mark.parametrize("simulator", WORLDS)
def test_a_world_draws_the_same_alone_and_in_a_vector(world: WorldModel, simulator: str) -> None:
    venv = made(world, simulator, ALL, make_vec_point_nav, num_envs=3, max_episode_steps=3)
    given = [venv.reset(seed=5), *(venv.step(np.array([1, 2, 1])) for _ in range(6))]
    for i, seed in enumerate((5, 6, 7)):
        env = made(world, simulator, ALL, max_episode_steps=3)
        alone = [env.reset(seed=seed)]
        for _ in range(6):
            ended = len(alone[-1]) == 5 and (alone[-1][2] or alone[-1][3])
            alone.append(env.reset() if ended else env.step((1, 2, 1)[i]))
        for (together, *_), (own, *_) in zip(given, alone, strict=True):
            assert_same(list(iterate(venv.observation_space, together))[i], own)


@pytest.mark.parametrize("simulator", WORLDS)
def test_wrappers_do_what_the_argument_does(world: WorldModel, simulator: str) -> None:
    wanted = walked(made(world, simulator, ALL))
    assert_same(walked(Randomise(made(world, simulator), **ALL)), wanted)
    venv = RandomiseVector(made(world, simulator, make=make_vec_point_nav, num_envs=2), **ALL)
    observed, infos = venv.reset(seed=0)
    np.testing.assert_array_equal(infos["pose"][0], wanted[0][1]["pose"])
    np.testing.assert_array_equal(observed["rgb"][0], wanted[0][0]["rgb"])
    running = made(world, simulator)
    running.reset(seed=0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        Randomise(running, **ALL).step(1)


@pytest.mark.parametrize("actions", ["discrete", "velocity"])
@pytest.mark.parametrize("simulator", WORLDS)
def test_gymnasiums_checker_passes(world: WorldModel, simulator: str, actions: str) -> None:
    env = gymnasium.make(
        "Mirage/PointNav-v0", simulator=simulator, scenes="toy", model=world, resolution=SIZE, observations=KEYS,
        actions=actions, randomise=ALL,
    )  # fmt: skip
    check_env(env.unwrapped)


def test_a_start_pose_means_the_place_below_it(world: WorldModel) -> None:
    env: NavigationEnv = made(world, "rooms", {"camera_height": 1.5}, observations="pose")
    env.reset(seed=0)
    start = geometry.camera_pose(env.simulator.agent.position, 0.3, 1.25)
    _, info = env.reset(seed=1, options={"pose": start})
    np.testing.assert_allclose(info["pose"][:3, 3] - start[:3, 3], [0, 0.25, 0], atol=1e-5)
