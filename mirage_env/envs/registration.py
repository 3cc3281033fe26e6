"""The ids of the environments. Entry points are strings, so registering imports none of the code behind them."""

from __future__ import annotations

import gymnasium

ENTRY_POINTS = {
    "Mirage/FreeCamera-v0": "mirage_env.envs.factory:make_free_camera",
    "Mirage/PointNav-v0": "mirage_env.envs.factory:make_point_nav",
}

MAX_EPISODE_STEPS = 500
"""After so many steps ``gymnasium.make`` truncates, unless its own ``max_episode_steps`` says otherwise (-1: never)."""


def register() -> None:
    """Make the ``Mirage/...`` ids known to ``gymnasium.make``. Doing it again changes nothing."""
    for env_id, entry_point in ENTRY_POINTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, entry_point=entry_point, max_episode_steps=MAX_EPISODE_STEPS)
