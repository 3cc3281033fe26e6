"""Episodes: where an agent starts, and where it is to go."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Simulator
from mirage_env.tasks.measures import SUCCESS_DISTANCE

STARTS_PER_GOAL = 8
GOALS = 64


@dataclass(frozen=True)
class Episode:
    """One start, and one goal if the task has any.

    Attributes:
        scene: what ``Simulator.reset`` takes; None: the present one.
        start: where the agent begins; None: where the simulator puts it.
        goal: (x, y, z) on the floor, metres, world frame; None without a goal.
        geodesic_distance: metres from start to goal along the floor; ``inf`` without a goal.
        goal_yaw: radians, which way a goal image looks; None: the task chooses. Of ImageNav.
        goal_image: (H, W, 3) uint8, shown instead of the view from the goal; None: that view. Of ImageNav.
    """

    scene: Any
    start: AgentStart | None
    goal: tuple[float, float, float] | None = None
    geodesic_distance: float = math.inf
    goal_yaw: float | None = None
    goal_image: Array | None = field(default=None, compare=False)


def sample_start(simulator: Simulator, rng: np.random.Generator) -> AgentStart:
    """A navigable point of the present scene and any yaw, both uniform."""
    return _start(simulator.sample_navigable_point(rng), rng)


def sample_episode(
    simulator: Simulator,
    scene: Any,
    rng: np.random.Generator,
    min_distance: float = 1.0,
    max_distance: float = 30.0,
    start: AgentStart | None = None,
    goal: Any = None,
) -> Episode:
    """A start and a goal in ``scene`` that lie between ``min_distance`` and ``max_distance`` metres of floor apart.

    Opens the scene. An episode is never solved at its start and its goal can always be reached.

    Args:
        simulator: the world in which the way must exist.
        scene: None: the present one.
        rng: decides everything.
        min_distance: at least ``SUCCESS_DISTANCE``.
        start: a fixed start; None: sampled.
        goal: a fixed goal (3,); None: sampled. When both are fixed, only ``check_distance`` limits their distance.

    Raises:
        ValueError: for distances that make no sense, or no such pair in ``GOALS * STARTS_PER_GOAL`` tries.
    """
    if not SUCCESS_DISTANCE <= min_distance <= max_distance:
        raise ValueError(
            f"an episode needs {SUCCESS_DISTANCE} <= min_distance <= max_distance metres, "
            f"got {min_distance} and {max_distance}"
        )
    simulator.reset(scene, start)
    if start is not None and goal is not None:
        distance = check_distance(simulator.geodesic_distance(np.array(start.position), np.asarray(goal)))
        return Episode(scene, start, three(goal), distance)
    for _ in range(GOALS):
        candidate = simulator.sample_navigable_point(rng) if goal is None else np.asarray(goal, dtype=np.float64)
        for _ in range(STARTS_PER_GOAL):
            place = simulator.sample_navigable_point(rng) if start is None else np.array(start.position)
            if goal is None and start is not None:
                candidate = simulator.sample_navigable_point(rng)
            # What an imagined world knows of a wall between the two is nothing: they must differ without it, too.
            if np.linalg.norm((place - candidate)[[0, 2]]) < 2 * SUCCESS_DISTANCE:
                continue
            distance = float(simulator.geodesic_distance(place, candidate))
            if min_distance <= distance <= max_distance:
                return Episode(scene, _start(place, rng) if start is None else start, three(candidate), distance)
    raise ValueError(
        f"no start and goal between {min_distance} and {max_distance} metres of floor apart were found in scene "
        f"{scene!r}; choose another scene, start or goal"
    )


def sample_goal(
    simulator: Simulator,
    position: Array,
    rng: np.random.Generator,
    min_distance: float = 1.0,
    max_distance: float = 30.0,
) -> Array:
    """A goal (3,) in the present scene between the two distances from ``position`` (3,); moves nothing.

    Raises:
        ValueError: when none turns up in ``GOALS * STARTS_PER_GOAL`` tries.
    """
    for _ in range(GOALS * STARTS_PER_GOAL):
        goal = simulator.sample_navigable_point(rng)
        if min_distance <= simulator.geodesic_distance(position, goal) <= max_distance:
            return np.asarray(goal, dtype=np.float64)
    raise ValueError(
        f"no floor between {min_distance} and {max_distance} metres away is known from this start; "
        "give a goal (x, y, z), or a view that shows more floor"
    )


def check_distance(distance: float, least: float = SUCCESS_DISTANCE) -> float:
    """The metres from start to goal; ValueError for a goal that cannot be reached, or nearer than ``least``."""
    if not math.isfinite(distance):
        raise ValueError(
            "there is no way along the floor from the start to the goal; choose a goal that can be reached"
        )
    if distance < least:
        raise ValueError(
            f"the goal lies {distance:.2f} m from the start, so the episode would start solved; "
            f"choose one at least {least} m away"
        )
    return float(distance)


def _start(place: Array, rng: np.random.Generator) -> AgentStart:
    return AgentStart(three(place), float(rng.uniform(-math.pi, math.pi)))


def three(point: Array) -> tuple[float, float, float]:
    """A point (3,) as numbers."""
    return float(point[0]), float(point[1]), float(point[2])
