"""Point-goal navigation: go to a point, and say so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Simulator
from mirage_env.tasks.episode import Episode, check_distance, sample_episode, sample_goal
from mirage_env.tasks.measures import SUCCESS_DISTANCE, success
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.task import Task


@dataclass(frozen=True)
class PointNav(Task):
    """Come within ``success_distance`` of a goal along the floor and call stop, which ends the episode. See ``Task``.

    reward = (previous distance − distance) + (success_bonus if solved) − (failure_cost if stopped elsewhere) − slack

    Args:
        success_distance: metres of floor.
        success_bonus: reward for a solved episode.
        slack: what each step costs.
        failure_cost: what it costs to call stop elsewhere.
        min_distance, max_distance: metres of floor between the starts and goals that are sampled.
    """

    name: ClassVar[str] = "PointNav"
    has_goal: ClassVar[bool] = True
    stop_ends: ClassVar[bool] = True

    success_distance: float = SUCCESS_DISTANCE
    success_bonus: float = 2.5
    slack: float = 0.001
    min_distance: float = 1.0
    max_distance: float = 30.0
    failure_cost: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.failure_cost < math.inf:
            raise ValueError(f"failure_cost must be a finite number of at least 0, got {self.failure_cost!r}")
        least = max(self.success_distance, SUCCESS_DISTANCE)
        if not (self.success_distance > 0 and least <= self.min_distance <= self.max_distance):
            raise ValueError(
                f"{self.name} needs success_distance > 0 and max(success_distance, 0.2) <= min_distance <= "
                f"max_distance, got {self.success_distance}, {self.min_distance} and {self.max_distance} m"
            )

    def sample_episode(
        self,
        simulator: Simulator,
        scene: Any,
        rng: np.random.Generator,
        start: AgentStart | None = None,
        goal: Array | None = None,
    ) -> Episode:
        """A start and a goal in this scene, the goal reachable and not yet reached."""
        return sample_episode(simulator, scene, rng, self.min_distance, self.max_distance, start, goal)

    def choose_goal(
        self, simulator: Simulator, position: Array, rng: np.random.Generator, goal: Array | None = None
    ) -> Array:
        """A goal (3,) that this simulator knows a way to from ``position`` (3,); see ``sample_goal``."""
        if goal is None:
            return sample_goal(simulator, position, rng, self.min_distance, self.max_distance)
        check_distance(simulator.geodesic_distance(position, goal), self.success_distance)
        return goal

    def succeeded(self, now: Progress) -> bool:
        """Stop was called with the goal nearer than ``success_distance``."""
        return success(now.stopped, now.distance, self.success_distance)

    def reward(self, before: Progress, now: Progress) -> float:
        """See the class."""
        progress = before.finite_distance - now.finite_distance
        ended = self.success_bonus if self.succeeded(now) else -self.failure_cost if now.stopped else 0.0
        return progress + ended - self.slack
