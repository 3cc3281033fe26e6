"""Policies by name."""

from __future__ import annotations

import pytest

from mirage_env.envs.factory import make_point_nav
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.policies import (
    ForwardPolicy,
    FrontierPolicy,
    NoisyPolicy,
    Policy,
    RandomPolicy,
    ShortestPathFollower,
    make_policy,
)


@pytest.fixture(scope="module")
def env() -> NavigationEnv:
    return make_point_nav(
        simulator="rooms", scenes="toy", resolution=32, observations="pose", forward_step=0.2, turn_angle_deg=15
    )


def test_every_name_gives_its_policy(env: NavigationEnv) -> None:
    kinds = {
        "random": RandomPolicy,
        "forward": ForwardPolicy,
        "frontier": FrontierPolicy,
        "shortest-path": ShortestPathFollower,
    }
    for name, kind in kinds.items():
        policy = make_policy(name, env)
        assert isinstance(policy, kind) and isinstance(policy, Policy)
        noisy = make_policy(f"{name}:0.25", env, seed=4)
        assert isinstance(noisy, NoisyPolicy) and isinstance(noisy.policy, kind) and noisy.epsilon == 0.25


def test_the_sizes_of_steps_are_those_of_the_environment(env: NavigationEnv) -> None:
    follower = make_policy("shortest-path", env)
    assert isinstance(follower, ShortestPathFollower) and follower.forward_step == 0.2
    observed, info = env.reset(seed=0)
    ended = False
    while not ended:
        observed, _, ended, _, info = env.step(follower.act(observed, info))
    assert info["success"] and info["spl"] > 0.85


@pytest.mark.parametrize("name", ["oracle", "", "frontier-0.3"])
def test_an_unknown_name_is_refused_with_the_valid_ones(name: str, env: NavigationEnv) -> None:
    with pytest.raises(ValueError, match="valid are random, forward, bounce, frontier, seek, shortest-path, these"):
        make_policy(name, env)


def test_noise_must_be_a_probability(env: NavigationEnv) -> None:
    with pytest.raises(ValueError, match=r"must be a probability, as in .*, got 'random:much'"):
        make_policy("random:much", env)
    with pytest.raises(ValueError, match="from 0 to 1, got 2"):
        make_policy("random:2", env)
    with pytest.raises(TypeError, match="a name or a folder, got int"):
        make_policy(7, env)  # type: ignore[arg-type]
