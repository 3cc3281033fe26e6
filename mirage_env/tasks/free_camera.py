"""No task: look around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mirage_env.tasks.goalless import Goalless
from mirage_env.tasks.progress import Progress


@dataclass(frozen=True)
class FreeCamera(Goalless):
    """Reward 0; an episode has no goal and never terminates. See ``Task``."""

    name: ClassVar[str] = "FreeCamera"
    stop_ends: ClassVar[bool] = False

    def reward(self, before: Progress, now: Progress) -> float:
        """0."""
        return 0.0
