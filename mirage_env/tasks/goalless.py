"""What tasks without a goal have in common."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Simulator
from mirage_env.tasks.episode import Episode, sample_start
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.task import Task


class Goalless(Task):
    """A task whose episodes begin anywhere and lead nowhere: none is ever solved. See ``Task``."""

    has_goal: ClassVar[bool] = False

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
