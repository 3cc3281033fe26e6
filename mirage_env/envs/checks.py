"""Arguments of environments, checked before anything is made."""

from __future__ import annotations

import numpy as np

from mirage_env.tasks.task import Task

RENDER_MODES = ["rgb_array"]


def check_render_mode(render_mode: str | None) -> None:
    """Raise ValueError unless there is such a render mode."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(f"unknown render_mode {render_mode!r}; valid are None, {', '.join(RENDER_MODES)}")


def check_max_episode_steps(steps: int | None) -> None:
    """Raise ValueError unless an episode can have this many steps at most."""
    if steps is not None and (not isinstance(steps, int | np.integer) or steps < 1):
        raise ValueError(f"max_episode_steps must be a positive integer or None, got {steps!r}")


def check_actions_fit(kind: str, task: Task) -> None:
    """Raise ValueError for actions that make no sense in this task."""
    if kind == "camera" and task.stop_ends:
        raise ValueError(
            f"camera actions fly freely, but {task.name} is solved on the floor; "
            "use discrete or velocity actions, or Mirage/FreeCamera-v0"
        )
