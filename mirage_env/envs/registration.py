"""The ids of the environments. Entry points are strings, so registering imports none of the code behind them."""

from __future__ import annotations

import gymnasium

ENTRY_POINTS = {
    "Mirage/Explore-v0": "mirage_env.envs.factory:make_explore",
    "Mirage/FreeCamera-v0": "mirage_env.envs.factory:make_free_camera",
    "Mirage/ImageNav-v0": "mirage_env.envs.factory:make_image_nav",
    "Mirage/PointNav-v0": "mirage_env.envs.factory:make_point_nav",
}

VECTOR_ENTRY_POINTS = {
    "Mirage/Explore-v0": "mirage_env.envs.vector_factory:make_vec_explore",
    "Mirage/FreeCamera-v0": "mirage_env.envs.vector_factory:make_vec_free_camera",
    "Mirage/ImageNav-v0": "mirage_env.envs.vector_factory:make_vec_image_nav",
    "Mirage/PointNav-v0": "mirage_env.envs.vector_factory:make_vec_point_nav",
}

MAX_EPISODE_STEPS = 500
"""After so many steps ``gymnasium.make`` and ``make_vec`` truncate, unless their own ``max_episode_steps`` says
otherwise (-1: never)."""


def register() -> None:
    """Make the ``Mirage/...`` ids known to ``gymnasium.make`` and ``make_vec``. Doing it again changes nothing."""
    for env_id, entry_point in ENTRY_POINTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point=entry_point,
                vector_entry_point=VECTOR_ENTRY_POINTS[env_id],
                max_episode_steps=MAX_EPISODE_STEPS,
            )
