"""The follower of shortest paths."""

from __future__ import annotations

import gymnasium
import pytest

from mirage_env.envs.factory import make_point_nav
from mirage_env.policies import Policy, ShortestPathFollower


def test_it_solves_episodes_in_a_true_room_nearly_without_detours() -> None:
    env = gymnasium.make("Mirage/PointNav-v0", simulator="rooms", scenes="toy", resolution=32)
    follower = ShortestPathFollower(env)
    assert isinstance(follower, Policy)
    for seed in range(5):
        observation, info = env.reset(seed=seed)
        follower.reset()
        ended = False
        while not ended:
            observation, _, terminated, truncated, info = env.step(follower.act(observation, info))
            ended = terminated or truncated
        assert info["success"] and info["spl"] > 0.85


def test_it_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="takes discrete actions"):
        ShortestPathFollower(make_point_nav(simulator="rooms", scenes="toy", resolution=32, actions="velocity"))
    with pytest.raises(TypeError, match="whose simulator has a navigation"):
        ShortestPathFollower(gymnasium.make("CartPole-v1"))
