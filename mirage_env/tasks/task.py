"""What a task is to an environment: a small object without state."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Simulator
from mirage_env.tasks.episode import Episode


class Task(Protocol):
    """Which episodes there are, what a step is worth, and when an episode ends.

    Attributes:
        name: of the task in messages.
        has_goal: whether episodes have a goal. Without one distances are ``inf`` and every measure stays 0.
        stop_ends: whether the agent can call stop; otherwise a stop only means not to move.
    """

    name: ClassVar[str]
    has_goal: ClassVar[bool]
    stop_ends: ClassVar[bool]

    def sample_episode(
        self,
        simulator: Simulator,
        scene: Any,
        rng: np.random.Generator,
        start: AgentStart | None = None,
        goal: Array | None = None,
    ) -> Episode:
        """An episode in this scene of this simulator, with this start and goal (3,) where they are given."""
        ...

    def choose_goal(
        self, simulator: Simulator, position: Array, rng: np.random.Generator, goal: Array | None = None
    ) -> Array | None:
        """A goal (3,) for an agent at ``position`` (3,) in the present scene: ``goal``, checked, if given; or None."""
        ...

    def succeeded(self, stopped: bool, distance: float) -> bool:
        """Whether an agent this far from the goal has solved the episode."""
        ...

    def reward(self, previous_distance: float, distance: float, succeeded: bool) -> float:
        """Of the step that changed the distance to the goal from the one to the other (metres, finite with a goal)."""
        ...
