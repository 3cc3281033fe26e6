"""No task: look around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Simulator
from mirage_env.tasks.episode import Episode, sample_start
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.task import Task


@dataclass(frozen=True)
class FreeCamera(Task):
    """Reward 0; an episode has no goal and never terminates. See ``Task``."""

    name: ClassVar[str] = "FreeCamera"
    has_goal: ClassVar[bool] = False
    stop_ends: ClassVar[bool] = False

    def sample_episode(
        self,
        simulator: Simulator,
        scene: Any,
        rng: np.random.Generator,
        start: AgentStart | None = None,
        goal: Array | None = None,
    ) -> Episode:
        """A place in this scene, uniform over its floor, and any yaw."""
        if start is None:
            simulator.reset(scene)
            start = sample_start(simulator, rng)
        return Episode(scene, start)

    def choose_goal(
        self, simulator: Simulator, position: Array, rng: np.random.Generator, goal: Array | None = None
    ) -> None:
        """None."""

    def succeeded(self, now: Progress) -> bool:
        """Never."""
        return False

    def reward(self, before: Progress, now: Progress) -> float:
        """0."""
        return 0.0
