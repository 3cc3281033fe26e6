"""Vectors of environments from the arguments of ``gymnasium.make_vec``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from gymnasium.vector import AutoresetMode

from mirage_env.envs import factory
from mirage_env.envs.playlist import make_playlist
from mirage_env.envs.vector import NavigationVectorEnv
from mirage_env.envs.vector_input import check_autoreset_mode, check_num_envs
from mirage_env.envs.worlds import make_tour, world_of
from mirage_env.simulators.base import Simulator
from mirage_env.simulators.tour import Tour
from mirage_env.tasks.explore import Explore
from mirage_env.tasks.free_camera import FreeCamera
from mirage_env.tasks.image_nav import ImageNav
from mirage_env.tasks.point_nav import PointNav
from mirage_env.tasks.task import Task


def make_vec(
    task: Task,
    num_envs: int,
    *,
    simulator: str | Simulator | Sequence[Simulator] = "mirage",
    model: Any = "tiny",
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    max_episode_steps: int | None = None,
    episodes: Any = None,
    scenes_dir: Any = None,
    episode_order: str = "file",
    tour: int | Tour = 0,
    **arguments: Any,
) -> NavigationVectorEnv:
    """``num_envs`` worlds in which this task is to be done, stepped as one batch.

    Args:
        num_envs: at least 1.
        simulator: as for ``factory.make``, or a sequence of ``num_envs`` simulators, one per world.
        model: as for ``factory.make``; loaded once for all worlds.
        autoreset_mode: what happens when an episode ends, see ``NavigationVectorEnv``.
        max_episode_steps: truncate after so many steps; None or -1: never. ``gymnasium.make_vec`` gives 500 unless it
            is told otherwise.
        episodes, scenes_dir, episode_order: as for ``factory.make``; world i plays every ``num_envs``-th episode, from
            the i-th on.
        tour: as for ``factory.make``; what is remembered of a scene is shared by all worlds.
        arguments: the others of ``factory.make``, the same for all worlds.

    Raises:
        TypeError, ValueError, FileNotFoundError: one sentence on the first argument that is wrong.
    """
    count = check_num_envs(num_envs)
    mode = check_autoreset_mode(autoreset_mode)
    limit = None if max_episode_steps == -1 else max_episode_steps
    listed = {"episodes": None, "scenes_dir": scenes_dir, "episode_order": episode_order}
    playlist = None if episodes is None else make_playlist(episodes, scenes_dir, episode_order)
    shared = make_tour(tour) or 0
    envs = []
    for i, one in enumerate(_one_per_world(simulator, count)):
        if playlist is not None:
            listed["episodes"] = dataclasses.replace(playlist, world=i, worlds=count)
        envs.append(
            factory.make(task, simulator=one, model=model, max_episode_steps=limit, tour=shared, **listed, **arguments)
        )
        model = world_of(envs[0].simulator) or model
    return NavigationVectorEnv(envs, mode)


def make_vec_free_camera(num_envs: int = 1, **arguments: Any) -> NavigationVectorEnv:
    """Worlds of ``Mirage/FreeCamera-v0``. Arguments: see ``make_vec``."""
    return make_vec(FreeCamera(), num_envs, **arguments)


def make_vec_point_nav(
    num_envs: int = 1, observations: str | Sequence[str] = ("rgb", "pointgoal"), **arguments: Any
) -> NavigationVectorEnv:
    """Worlds of ``Mirage/PointNav-v0``. Arguments: see ``make_vec``."""
    return make_vec(PointNav(), num_envs, observations=observations, **arguments)


def make_vec_explore(
    num_envs: int = 1, reward_per_m2: float = 1.0, slack: float = 0.001, **arguments: Any
) -> NavigationVectorEnv:
    """Worlds of ``Mirage/Explore-v0``. Arguments: see ``factory.make_explore`` and ``make_vec``."""
    return make_vec(Explore(reward_per_m2, slack), num_envs, **arguments)


def make_vec_image_nav(
    num_envs: int = 1,
    observations: str | Sequence[str] = ("rgb", "imagegoal"),
    success_distance: float = 1.0,
    **arguments: Any,
) -> NavigationVectorEnv:
    """Worlds of ``Mirage/ImageNav-v0``. Arguments: see ``factory.make_image_nav`` and ``make_vec``."""
    return make_vec(ImageNav.within(success_distance), num_envs, observations=observations, **arguments)


def _one_per_world(simulator: Any, count: int) -> list[Any]:
    """The simulator of each world: a name for all, or one object each."""
    if isinstance(simulator, str):
        return [simulator] * count
    given = list(simulator) if isinstance(simulator, Sequence) else [simulator]
    different = len({id(one) for one in given})
    if len(given) != count or different < count:
        raise ValueError(
            f"every world needs a simulator of its own: give a name, or a sequence of {count} different simulators, "
            f"got {different}"
        )
    return given
