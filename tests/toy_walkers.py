"""Cheap policies of differing strength for tests of their evaluation, in views of 32 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT
from mirage_env.evaluation.contestants import Contestant
from mirage_env.tasks.measures import SUCCESS_DISTANCE

BODY = {"resolution": 32}


class GoalSeeker:
    """Turns to the goal and goes there in a straight line; with probability ``noise`` any action but stop."""

    def __init__(self, seed: int, noise: float) -> None:
        self.rng, self.noise = np.random.default_rng(seed), noise

    def reset(self) -> None:
        """Nothing."""

    def act(self, obs: Any, info: dict[str, Any]) -> int:
        """An action."""
        any_action, chance = int(self.rng.integers(1, 4)), self.rng.random()
        distance, angle = obs["pointgoal"]
        if chance < self.noise:
            return any_action
        if distance < SUCCESS_DISTANCE:
            return STOP
        return MOVE_FORWARD if abs(angle) < 0.1 else TURN_LEFT if angle > 0 else TURN_RIGHT


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
    return Contestant(f"seeker:{noise}", lambda env, seed: GoalSeeker(seed, noise), body=BODY)


def always(action: int) -> Contestant:
    return Contestant(f"always-{action}", lambda env, seed: Always(action), body=BODY)


def stopping() -> Contestant:
    return always(STOP)
