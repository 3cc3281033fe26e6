"""Exploration: see as much of the floor as there is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera, Simulator, View
from mirage_env.simulators.reachable import FloorCells, reachable_floor
from mirage_env.tasks.episode import Episode
from mirage_env.tasks.goalless import Goalless
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.seen_floor import CELL, SeenFloor, frozen, no_floor, see


class Exploration(NamedTuple):
    """What an episode of ``Explore`` has come to; arrays are read-only.

    Attributes:
        cells, corner, heights: of the floor seen so far, as ``SeenFloor`` has them.
        true_cells, true_corner: where an agent can walk to from the start on the true storey, as ``FloorCells`` has
            them; (0, 0) where no truth is known.
    """

    cells: Array
    corner: Array
    heights: Array
    true_cells: Array
    true_corner: Array

    @property
    def seen(self) -> SeenFloor:
        """The floor seen so far."""
        return SeenFloor(self.cells, self.corner, self.heights)

    @property
    def coverage(self) -> float:
        """Share of the true cells that were seen, 0 to 1; NaN where no truth is known."""
        at = np.argwhere(self.true_cells) + self.true_corner - self.corner
        if not len(at):
            return math.nan
        first = self.cells[0]  # the storey of the start
        at = at[((at >= 0) & (at < first.shape)).all(1)]
        return int(np.count_nonzero(first[at[:, 0], at[:, 1]])) / int(np.count_nonzero(self.true_cells))


@dataclass(frozen=True)
class Explore(Goalless):
    """See new floor, and call stop, which ends the episode, when nothing is left to be seen. See ``Task``.

    reward = reward_per_m2 · (newly seen floor in m²) − slack

    What counts as seen, see ``mirage_env.tasks.seen_floor``; the first view is not paid for. There is no goal, so that
    ``success``, ``spl`` and ``soft_spl`` stay 0. ``info`` has:

        explored_area: m² of floor seen so far, in the world in which the agent walks.
        coverage: which share of the floor that the agent can walk to from its start, on that storey, was seen. The
            floor is that of the true scene, for an imagined world that of the scene that its first view was taken in.
            NaN for a world that began with an image, and where the simulator has no map.

    Args:
        reward_per_m2: what a square metre is worth.
        slack: what each step costs.
    """

    name: ClassVar[str] = "Explore"
    stop_ends: ClassVar[bool] = True

    reward_per_m2: float = 1.0
    slack: float = 0.001

    def __post_init__(self) -> None:
        if not (math.isfinite(self.reward_per_m2) and self.reward_per_m2 > 0 and math.isfinite(self.slack)):
            raise ValueError(
                "Explore needs a finite reward_per_m2 > 0 and a finite slack, "
                f"got {self.reward_per_m2!r} and {self.slack!r}"
            )

    def begin(
        self, simulator: Simulator, source: Simulator | None, view: View, episode: Episode, rng: np.random.Generator
    ) -> Exploration:
        """What the first view shows, and the true floor."""
        position, _ = geometry.agent_pose(view.pose, simulator.camera.height)
        true = None if source is None else reachable_floor(source, position, CELL)
        if true is None:
            true = FloorCells(np.zeros((0, 0), dtype=bool), np.zeros(2, dtype=np.int64))
        seen = see(no_floor(position[1]), view, simulator.camera)
        return Exploration(*seen, frozen(true.cells), frozen(true.corner))

    def advance(self, state: Exploration, view: View, camera: Camera) -> Exploration:
        """With what the view shows."""
        before = state.seen
        seen = see(before, view, camera)
        return state if seen is before else state._replace(**seen._asdict())

    def loaded(self, arrays: dict[str, Array]) -> Exploration:
        """See ``Task.loaded``."""
        state = Exploration(**{name: frozen(arrays[name]) for name in Exploration._fields})
        storeys = len(state.heights)
        shaped = state.cells.ndim == 3 and len(state.cells) == storeys > 0 and state.true_cells.ndim == 2
        corners = state.corner.shape == state.true_corner.shape == (2,)
        if not (shaped and corners and state.cells.dtype == state.true_cells.dtype == np.bool_):
            raise ValueError("the floor that was seen is damaged")
        return state

    def reward(self, before: Progress, now: Progress) -> float:
        """See the class."""
        return self.reward_per_m2 * (now.state.seen.area - before.state.seen.area) - self.slack

    def measures(self, now: Progress) -> dict[str, Any]:
        """``explored_area`` and ``coverage``."""
        return {"explored_area": now.state.seen.area, "coverage": now.state.coverage}
