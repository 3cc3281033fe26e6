"""What a policy is to those who run episodes."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import gymnasium as gym

from mirage_env.envs.actions import MOVE_FORWARD, TURN_LEFT
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.simulators.base import FloorMotion

POLICY_FILE = "policy.json"
"""What a folder must hold to be that of a learned policy."""


@runtime_checkable
class Policy(Protocol):
    """Acts from observations; what it remembers lasts from one ``reset`` to the next."""

    def reset(self) -> None:
        """Forget the episode before."""
        ...

    def act(self, obs: Any, info: dict[str, Any]) -> Any:
        """The action of the environment's action space, given what ``reset`` or ``step`` returned last."""
        ...


def discrete_steps(env: gym.Env[Any, Any], who: str) -> tuple[NavigationEnv, float, float]:
    """The environment itself, the metres of its step ahead and the radians of its turns.

    Raises:
        TypeError, ValueError: it is no such environment, or has no discrete actions; ``who`` begins the sentence.
    """
    world = env.unwrapped
    if not isinstance(world, NavigationEnv):
        raise TypeError(f"{who} needs an environment of this package, got {type(world).__name__}")
    if world.actions.kind != "discrete":
        raise ValueError(f"{who} takes discrete actions, got {world.action_space}")
    ahead, aside = (world.actions.command(action).motion for action in (MOVE_FORWARD, TURN_LEFT))
    assert isinstance(ahead, FloorMotion) and isinstance(aside, FloorMotion)
    return world, ahead.forward, aside.turn
