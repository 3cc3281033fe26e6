"""The worlds that agents are trained and judged in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import gymnasium as gym

import mirage_env  # noqa: F401  registers the environments
from agents.settings import TrainSettings
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.vector import NavigationVectorEnv
from mirage_env.evaluation.contestants import WORLD
from mirage_env.simulators.rooms.prepared import KEPT_HOMES, keep_homes
from mirage_env.simulators.rooms.splits import resolve_scenes

ONLY_IMAGINED = (*WORLD, "start_from")
"""Arguments of ``gymnasium.make`` that a true world has no use for."""


def some_of(scenes: Any, count: int, simulator: str) -> Any:
    """The first ``count`` homes of a split or range (0: all); scene files as they are."""
    if simulator != "rooms" or not count:
        return scenes
    return resolve_scenes(scenes)[:count]


def keep_ready(settings: TrainSettings) -> None:
    """Let the homes of a run stay ready: a new one takes longer to generate than an episode to walk."""
    if settings.truth == "rooms":
        homes = settings.homes or KEPT_HOMES
        keep_homes(homes + settings.evaluation_homes + settings.num_envs)


def make_training(settings: TrainSettings) -> NavigationVectorEnv:
    """The worlds that a run learns in."""
    scenes = some_of(settings.scenes, settings.homes, settings.truth)
    arguments = {"max_episode_steps": settings.max_episode_steps, "autoreset_mode": "SameStep", **settings.env}
    worlds = _make(settings, settings.simulator, scenes, arguments)
    if settings.failure_cost:
        for env in worlds.envs:
            task: Any = env.task
            env.task = dataclasses.replace(task, failure_cost=settings.failure_cost)
    return worlds


def make_truth(settings: TrainSettings, scenes: Any = None) -> Sequence[NavigationEnv]:
    """True environments in which a run is judged; their scenes: ``scenes``, or those of the settings."""
    if scenes is None:
        scenes = some_of(settings.evaluation_scenes, settings.evaluation_homes, settings.truth)
    arguments = {name: value for name, value in settings.env.items() if name not in ONLY_IMAGINED}
    arguments |= {"max_episode_steps": settings.evaluation_max_steps, "autoreset_mode": "Disabled"}
    return _make(settings, settings.truth, scenes, arguments).envs


def _make(settings: TrainSettings, simulator: str, scenes: Any, arguments: dict[str, Any]) -> NavigationVectorEnv:
    venv = gym.make_vec(
        settings.env_id,
        num_envs=settings.num_envs,
        simulator=simulator,
        scenes=scenes,
        observations=settings.observations,
        actions=settings.actions,
        flatten=False,
        **arguments,
    )
    assert isinstance(venv, NavigationVectorEnv)
    return venv
