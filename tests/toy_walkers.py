"""Cheap policies of differing strength for tests of their evaluation, in views of 32 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.envs.actions import STOP
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.evaluation.contestants import Contestant
from mirage_env.policies.shortest_path import ShortestPathFollower

BODY = {"resolution": 32}


class NoisyFollower:
    """Follows the shortest path, and with probability ``noise`` takes any action but stop."""

    def __init__(self, env: NavigationEnv, seed: int, noise: float) -> None:
        self.follower = ShortestPathFollower(env)
        self.rng, self.noise = np.random.default_rng(seed), noise

    def reset(self) -> None:
        """Nothing."""

    def act(self, obs: Any, info: dict[str, Any]) -> int:
        """An action."""
        any_action, chance = int(self.rng.integers(1, 4)), self.rng.random()
        return any_action if chance < self.noise else self.follower.act(obs, info)


class Always:
    """Takes one action for ever."""

    def __init__(self, action: int) -> None:
        self.action = action

    def reset(self) -> None:
        """Nothing."""

    def act(self, obs: Any, info: dict[str, Any]) -> int:
        """The action."""
        return self.action


def noisy(noise: float) -> Contestant:
    return Contestant(f"oracle:{noise}", lambda env, seed: NoisyFollower(env, seed, noise), body=BODY)


def always(action: int) -> Contestant:
    return Contestant(f"always-{action}", lambda env, seed: Always(action), body=BODY)


def stopping() -> Contestant:
    return always(STOP)
