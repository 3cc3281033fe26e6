"""The least that a policy must beat: chance, and going straight on."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT
from mirage_env.policies.base import Policy, discrete_steps


class RandomPolicy:
    """Acts by chance, each action as likely as another. Fulfils ``Policy``.

    Of discrete actions it never takes stop, unless it is told to: an episode that can end at any step by chance says
    little about anything but its length.

    Args:
        action_space: of the environment; ``Discrete`` or a bounded ``Box``.
        seed: of all episodes to come; ``reset`` goes on with the same generator.
        with_stop: whether stop is an action like the others.
    """

    def __init__(self, action_space: gym.Space[Any], seed: int, with_stop: bool = False) -> None:
        if not isinstance(action_space, gym.spaces.Discrete | gym.spaces.Box):
            raise ValueError(f"a random policy needs discrete actions or a Box of them, got {action_space}")
        if isinstance(action_space, gym.spaces.Box) and not action_space.is_bounded():
            raise ValueError(f"a random policy needs actions with bounds, got {action_space}")
        self.action_space = action_space
        self.with_stop = bool(with_stop)
        self._rng = np.random.default_rng(seed)

    def reset(self) -> None:
        """There is nothing to forget."""

    def act(self, obs: Any, info: dict[str, Any]) -> Any:
        """Any action but stop."""
        space = self.action_space
        if isinstance(space, gym.spaces.Box):
            return self._rng.uniform(space.low, space.high).astype(space.dtype)
        assert isinstance(space, gym.spaces.Discrete)
        first = int(space.start) + (0 if self.with_stop else STOP + 1)
        return int(self._rng.integers(first, int(space.start) + int(space.n)))


class ForwardPolicy:
    """Goes straight on and never stops: the field's forward-only baseline, as in habitat-lab. Fulfils ``Policy``.

    Args:
        env: an environment with discrete actions.
        bounces: whether it turns left by one step where it was blocked, rather than stand before the first wall.
    """

    def __init__(self, env: gym.Env[Any, Any], bounces: bool = False) -> None:
        discrete_steps(env, "a forward policy")
        self.bounces = bool(bounces)

    def reset(self) -> None:
        """There is nothing to forget."""

    def act(self, obs: Any, info: dict[str, Any]) -> int:
        """A step ahead or, of one that bounces, a turn after a collision."""
        return TURN_LEFT if self.bounces and info["collided"] else MOVE_FORWARD


class NoisyPolicy:
    """Does what another policy does, but acts by chance now and then, as ``RandomPolicy`` does: never by a stop.

    The other policy is asked at every step, so that it sees all that happens. Fulfils ``Policy``.

    Args:
        policy: the other one.
        action_space: of the environment.
        epsilon: how likely an action is drawn by chance, 0 to 1.
        seed: of all episodes to come.
    """

    def __init__(self, policy: Policy, action_space: gym.Space[Any], epsilon: float, seed: int) -> None:
        if not 0 <= epsilon <= 1:
            raise ValueError(f"epsilon must be a probability from 0 to 1, got {epsilon!r}")
        self.policy = policy
        self.epsilon = float(epsilon)
        random, self._rng = np.random.default_rng(seed).spawn(2)
        self._random = RandomPolicy(action_space, int(random.integers(2**31)))

    def reset(self) -> None:
        """Forget the episode before."""
        self.policy.reset()

    def act(self, obs: Any, info: dict[str, Any]) -> Any:
        """The other policy's action, or one by chance."""
        action = self.policy.act(obs, info)
        return self._random.act(obs, info) if self._rng.random() < self.epsilon else action
