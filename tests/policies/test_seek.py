"""The seeking policy: it explores until it trusts a place, goes there, and takes the best one where nothing is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mirage_env.envs.factory import make_image_nav
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.observations import pointgoal
from mirage_env.evaluation.contestants import contestant
from mirage_env.policies import NoisyPolicy, SeekPolicy, make_policy


@pytest.fixture(scope="module")
def env() -> NavigationEnv:
    return make_image_nav(simulator="rooms", scenes="toy", resolution=32, observations="goal_place")


def told(env: NavigationEnv, trust: float) -> np.ndarray:
    """The true place of the goal, trusted so far."""
    assert env.view is not None and env.goal is not None
    return np.append(pointgoal(env.view.pose, env.simulator.camera.height, env.goal), np.float32(trust))


def walked(env: NavigationEnv, seed: int, trust: Any) -> tuple[dict[str, Any], int]:
    """The info at the end of an episode in which the place is trusted so far after each number of steps, and these."""
    policy = SeekPolicy(env)
    _, info = env.reset(seed=seed)
    for step in range(400):
        action = policy.act({"goal_place": told(env, trust(step))}, info)
        _, _, terminated, _, info = env.step(action)
        if terminated:
            return info, step
    return info, 400


def test_it_goes_to_a_place_that_it_trusts() -> None:
    env = make_image_nav(simulator="rooms", scenes="toy", resolution=64, observations="goal_place")
    ended = [walked(env, seed, lambda _: 0.9) for seed in range(4)]
    assert sum(info["success"] for info, _ in ended) >= 3
    assert np.mean([info["spl"] for info, _ in ended]) > 0.5
    later = walked(env, 0, lambda step: 0.9 if step >= 40 else 0.1)
    assert later[0]["success"] and later[1] >= 40


def test_where_nothing_is_left_to_explore_it_takes_the_best_place() -> None:
    env = make_image_nav(simulator="rooms", scenes="toy", resolution=64, observations="goal_place")
    ended = [walked(env, seed, lambda _: 0.1) for seed in range(3)]
    assert sum(info["success"] for info, _ in ended) >= 2
    walked(env, 0, lambda _: 0.0)  # of no place at all
    assert not env.running


def test_it_is_a_policy_by_name_with_what_it_goes_by(env: NavigationEnv) -> None:
    assert isinstance(make_policy("seek", env), SeekPolicy)
    noisy = make_policy("seek:0.5", env)
    assert isinstance(noisy, NoisyPolicy) and isinstance(noisy.policy, SeekPolicy)
    found = contestant("seek:0.5")
    assert (found.task, found.env_arguments("ImageNav")["observations"]) == ("ImageNav", ("goal_place",))
    observed, info = env.reset(seed=0)
    assert make_policy("seek", env).act(observed, info) in range(4)


def test_it_needs_the_observation() -> None:
    blind = make_image_nav(simulator="rooms", scenes="toy", resolution=32, observations="pose")
    with pytest.raises(ValueError, match="goes by the observation goal_place"):
        SeekPolicy(blind)
