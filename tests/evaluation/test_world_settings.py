"""Settings of imagined worlds by name, and worlds that are told part of the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mirage_env.envs.actions import MOVE_FORWARD, TURN_LEFT
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.evaluation.informed import InformedSimulator, points_occupancy
from mirage_env.evaluation.places import Place
from mirage_env.evaluation.rgb_memory import RGBMemory
from mirage_env.evaluation.trial import plan_episodes
from mirage_env.evaluation.trials import walk
from mirage_env.evaluation.trivial_memories import NoMemory
from mirage_env.evaluation.world_settings import world_setting, world_settings
from mirage_env.memory import LatentMemory
from mirage_env.simulators.imagined import ImaginedSimulator
from tests.small_world import small_world
from tests.toy_walkers import noisy


def envs_of(setting: str, count: int = 1) -> list[NavigationEnv]:
    place = Place("rooms", "toy", world_setting(setting, small_world()), max_episode_steps=40)
    return place.make_envs(noisy(0.0), "PointNav", count)


def memory_of(env: NavigationEnv) -> Any:
    return env.state.memory


def test_settings_make_the_worlds_that_they_name() -> None:
    world = small_world()
    assert world_setting("default", world).world is world
    assert world_setting("denoiser-steps=3", world).world.denoiser_steps == 3 and world.denoiser_steps == 1
    assert world_setting("no-look-ahead", world).world.look_ahead == 0 < world.look_ahead
    assert isinstance(world_setting("memory-off", world).world.new_memory(), NoMemory)
    assert isinstance(world_setting("rgb-memory", world).world.new_memory(), RGBMemory)
    rules = world_setting("no-merge", world).world.new_memory()
    assert isinstance(rules, LatentMemory) and not rules.rules.merge
    assert world_setting("imagine=always", world, {"imagine": "never"}).arguments == {"imagine": "always"}
    assert world_setting("tour=6", world).arguments == {"tour": 6}
    several = world_setting("start-views=4+true-depth+memory-off", world, {"imagine": "never"})
    assert several.arguments == {"imagine": "never", "num_start_views": 4, "start_depth": "true"}
    assert isinstance(several.world.new_memory(), NoMemory)
    both = world_setting("true-views+true-collisions", world)
    assert both.informed == {"true_views": True, "true_collisions": True}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("dream", "unknown setting 'dream'; valid are default, memory-off, .*denoiser-steps=N.* or several joined by"),
        ("default=2", "unknown setting 'default=2'"),
        ("start-views", "unknown setting 'start-views'"),
        ("tour=0", "tour takes a whole number from 1 to 32, got .0."),
        ("start-views=9", "start-views takes a whole number from 1 to 8, got '9'"),
        ("depth-noise=much", "depth-noise takes a number from 0 to 1, got 'much'"),
        ("denoiser-steps=1.5", "denoiser-steps takes a whole number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        world_setting(setting, small_world())


def test_settings_are_named_once() -> None:
    with pytest.raises(ValueError, match="name at least one setting"):
        world_settings([], small_world())
    with pytest.raises(ValueError, match="each setting can be named once"):
        world_settings(["default", "default"], small_world())
    with pytest.raises(ValueError, match="unknown imagine 'sometimes'"):
        envs_of("imagine=sometimes")


def test_noise_of_the_start_depth_is_of_the_size_asked_for_and_comes_back() -> None:
    depths = {}
    for setting in ("true-depth", "depth-noise=0.2", "depth-noise=0.2+start-views=2"):
        (env,) = envs_of(setting)
        env.reset(seed=1)
        first = np.asarray(env.view.grid_depth)
        env.reset(seed=1)
        np.testing.assert_array_equal(np.asarray(env.view.grid_depth), first)
        depths[setting] = first
    seen = (depths["true-depth"] > 0) & (depths["depth-noise=0.2"] > 0)
    error = depths["depth-noise=0.2"][seen] / depths["true-depth"][seen] - 1
    assert 0.1 < error.std() < 0.3
    assert np.isfinite(depths["depth-noise=0.2+start-views=2"]).all()


def test_a_world_that_is_told_all_is_the_truth() -> None:
    plans = plan_episodes(2, ["toy"], 3, 2)
    place = Place("rooms", "toy", world_setting("true-depth+true-views+true-collisions", small_world()), 40)
    told = list(walk(place.make_envs(noisy(0.2), "PointNav", 2), noisy(0.2).make, plans))
    true = list(walk(Place("rooms", "toy", None, 40).make_envs(noisy(0.2), "PointNav", 2), noisy(0.2).make, plans))
    for a, b in zip(sorted(told, key=lambda t: t.index), sorted(true, key=lambda t: t.index), strict=True):
        assert (a.actions, a.collisions, a.success) == (b.actions, b.collisions, b.success)
        np.testing.assert_allclose(a.positions, b.positions, atol=1e-3)
        assert a.measures["imagined_fraction"] < 0.1
    # With walls of its own, the same world stops the agent elsewhere or lets it through.
    (alone,) = envs_of("true-depth")
    assert type(alone.simulator) is ImaginedSimulator


def test_true_views_are_the_sources_and_the_memory_is_told_them() -> None:
    (env,) = envs_of("true-depth+true-views")
    env.reset(seed=2)
    before = len(memory_of(env))
    for _ in range(9):
        env.step(TURN_LEFT)
    simulator: Any = env.simulator
    rgb, depth = simulator.source.render_views(env.view.pose[None])
    with torch.no_grad():
        latents = simulator.world.codec.encode(torch.as_tensor(rgb).permute(0, 3, 1, 2) / 127.5 - 1)
    torch.testing.assert_close(env.view.latents, latents[0].half().float(), atol=2e-2, rtol=2e-2)
    assert env.view.imagined_fraction == 0
    assert np.abs(env.view.depth - depth[0]).mean() < 0.3
    assert len(memory_of(env)) > before and env.state.steps == 9


def test_a_world_from_a_photo_alone_cannot_be_told_the_truth() -> None:
    with pytest.raises(ValueError, match="only where it has a source"):
        InformedSimulator(ImaginedSimulator(small_world()), true_views=True)


def test_an_agent_walks_into_the_points_of_an_rgb_memory() -> None:
    (env,) = envs_of("rgb-memory+true-depth+imagine=never")
    pose = {"pose": np.array([[1, 0, 0, 0], [0, -1, 0, 1.25], [0, 0, -1, 0], [0, 0, 0, 1.0]])}
    env.reset(seed=0, options={"scene": "toy", **pose, "goal": (0.0, 0.0, -2.5)})
    collided = [env.step(MOVE_FORWARD)[4]["collided"] for _ in range(14)]
    x, _, z = env.view.pose[:3, 3]
    # The toy room's wall stands at z = -3; the body's radius is 0.18 m.
    assert abs(x) < 0.3 and -3.0 < z < -2.4 and collided[-1] and not any(collided[:8])
    simulator: Any = env.simulator
    grid = points_occupancy(simulator.occupancy, memory_of(env))
    np.testing.assert_array_equal(grid.blocked, simulator.occupancy.blocked)


def test_without_a_memory_nothing_is_in_the_way() -> None:
    (env,) = envs_of("memory-off+imagine=never")
    env.reset(seed=0)
    assert not any(env.step(MOVE_FORWARD)[4]["collided"] for _ in range(30))
