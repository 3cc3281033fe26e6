"""Policies by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym

from mirage_env.policies.base import POLICY_FILE, Policy
from mirage_env.policies.frontier import FrontierPolicy
from mirage_env.policies.seek import SeekPolicy
from mirage_env.policies.shortest_path import ShortestPathFollower
from mirage_env.policies.simple import ForwardPolicy, NoisyPolicy, RandomPolicy

_NAMED: dict[str, Callable[[gym.Env[Any, Any], int], Policy]] = {
    "random": lambda env, seed: RandomPolicy(env.action_space, seed),
    "forward": lambda env, seed: ForwardPolicy(env),
    "bounce": lambda env, seed: ForwardPolicy(env, bounces=True),
    "frontier": lambda env, seed: FrontierPolicy(env),
    "seek": lambda env, seed: SeekPolicy(env),
    "shortest-path": lambda env, seed: ShortestPathFollower(env),
}
NAMES = tuple(_NAMED)
_NEEDS = {"seek": ("ImageNav", ("goal_place",))}


def needs(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The one task that a known policy is for, or None, and the observations that it goes by; with noise or without."""
    return _NEEDS.get(name.partition(":")[0], (None, ()))


def make_policy(name: str | Path, env: gym.Env[Any, Any], seed: int = 0) -> Policy:
    """A policy for an environment.

    Args:
        name: "random", "forward", "bounce", "frontier", "seek" or "shortest-path"; any of them with noise, such as
            "shortest-path:0.3", which acts by chance with this probability; or the folder of a learned policy.
        env: the environment in which it is to act.
        seed: of what it does by chance.

    Raises:
        TypeError, ValueError: there is no such policy, or it does not fit the environment.
    """
    if isinstance(name, Path) or (isinstance(name, str) and (Path(name) / POLICY_FILE).is_file()):
        from mirage_env.policies.learned import load_policy

        return load_policy(name, seed)
    if not isinstance(name, str):
        raise TypeError(f"a policy is a name or a folder, got {type(name).__name__}")
    kind, colon, noise = name.partition(":")
    if kind not in _NAMED:
        raise ValueError(
            f"unknown policy {name!r}; valid are {', '.join(NAMES)}, these with noise such as 'frontier:0.3', or a "
            f"folder with {POLICY_FILE}"
        )
    policy = _NAMED[kind](env, seed)
    return NoisyPolicy(policy, env.action_space, _probability(name, noise), seed) if colon else policy


def _probability(name: str, noise: str) -> float:
    try:
        return float(noise)
    except ValueError:
        raise ValueError(f"the noise of a policy must be a probability, as in 'frontier:0.3', got {name!r}") from None
