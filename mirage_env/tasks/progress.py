"""How far an episode has come, as a value."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.tasks.known_floor import KnownFloor
from mirage_env.tasks.surface_map import SurfaceMap


@dataclass(frozen=True, eq=False)
class Progress:
    """An episode so far; what its measures are made of.

    Attributes:
        goal: (3,) on the floor, metres, world frame; None without one.
        start_pose: T_world_camera (4, 4) float32 of the first view.
        position: (3,) where the agent stands.
        distance: metres along the floor to the goal; ``inf`` where there is no way, or no goal.
        finite_distance: the last one that was finite.
        shortest: metres of the shortest way from the start.
        path_length: metres travelled.
        steps: taken.
        stopped, collided: in the last step.
        running: whether the episode goes on.
        state: the task's own, see ``Task.begin``.
        seed: of the episode: what is imagined in it, and what is random in its steps, follows from it.
        left_pose: T_world_camera (4, 4) float32 of the view before the last step; None before the first.
        floor: what the agent knows of the floor, where that is observed.
        surfaces: which surfaces it has seen, where its goal's place is observed.
    """

    goal: Array | None
    start_pose: Array
    position: Array
    distance: float
    finite_distance: float
    shortest: float
    path_length: float = 0.0
    steps: int = 0
    stopped: bool = False
    collided: bool = False
    running: bool = True
    state: Any = None
    seed: int = 0
    left_pose: Array | None = None
    floor: KnownFloor | None = None
    surfaces: SurfaceMap | None = None

    @classmethod
    def begun(
        cls,
        goal: Array | None,
        start_pose: Array,
        position: Array,
        distance: float,
        state: Any = None,
        seed: int = 0,
    ) -> Progress:
        """That of an episode that begins; a goal that no way leads to is measured along the straight line."""
        straight = 0.0 if goal is None else float(np.linalg.norm((goal - position)[[0, 2]]))
        finite = distance if math.isfinite(distance) else straight
        return cls(goal, start_pose, position, distance, finite, max(finite, straight), state=state, seed=seed)

    def moved(self, position: Array, distance: float, collided: bool, state: Any = None) -> Progress:
        """After a motion that ended at ``position`` (3,), so far from the goal, with this state of the task."""
        return dataclasses.replace(
            self,
            position=position,
            distance=distance,
            finite_distance=distance if math.isfinite(distance) else self.finite_distance,
            path_length=self.path_length + float(np.linalg.norm(position - self.position)),
            collided=collided,
            state=state,
        )

    def to_numbers(self) -> dict[str, Any]:
        """Plain lists and numbers by name, for files; all but the task's state and what the agent remembers."""
        told = {name: value for name, value in vars(self).items() if name not in ("state", "floor", "surfaces")}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in told.items()}

    @classmethod
    def from_numbers(
        cls,
        numbers: dict[str, Any],
        state: Any = None,
        floor: KnownFloor | None = None,
        surfaces: SurfaceMap | None = None,
    ) -> Progress:
        """What ``to_numbers`` took apart, with the rest; ValueError, TypeError or KeyError if it is damaged."""
        goal = numbers["goal"]
        arrays = {
            "goal": None if goal is None else np.array(goal, dtype=np.float64).reshape(3),
            "start_pose": np.array(numbers["start_pose"], dtype=np.float32).reshape(4, 4),
            "position": np.array(numbers["position"], dtype=np.float64).reshape(3),
        }
        if numbers.get("left_pose") is not None:
            arrays["left_pose"] = np.array(numbers["left_pose"], dtype=np.float32).reshape(4, 4)
        return cls(**(numbers | arrays), state=state, floor=floor, surfaces=surfaces)
