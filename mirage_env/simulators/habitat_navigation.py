"""habitat-sim's navigation mesh, walked and measured behind the names that ``MeshNavigation`` has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.points import checked_point, float32_point, stopped
from mirage_env.simulators.reachable import FloorCells, lattice


class HabitatNavigation:
    """habitat-sim's ``PathFinder``. For what arguments and results mean see ``MeshNavigation``.

    Args:
        new_path: makes an empty ``ShortestPath``.
        pathfinder: of a simulator that is open.
    """

    def __init__(self, new_path: Any, pathfinder: Any) -> None:
        self._new_path, self.pathfinder = new_path, pathfinder

    @property
    def largest_island(self) -> int:
        """The number of the island of most area."""
        return max(range(self.pathfinder.num_islands), key=self.pathfinder.island_area)

    def is_navigable(self, position: Any) -> bool:
        point = float32_point(position)
        return point is not None and bool(self.pathfinder.is_navigable(point))

    def snap(self, position: Any) -> Array:
        point = checked_point(position, "position")
        place = np.array(self.pathfinder.snap_point(point), dtype=np.float64)
        if not np.isfinite(place).all():
            x, y, z = point.tolist()
            raise ValueError(f"no navigable place is near ({x:.2f}, {y:.2f}, {z:.2f})")
        return place

    def move(self, position: Any, displacement: Any, allow_sliding: bool = True) -> tuple[Array, bool]:
        """As an agent of habitat-sim moves: from its own place to what ``try_step`` leaves of the way."""
        start = checked_point(position, "position")
        goal = start + checked_point(displacement, "displacement")
        step = self.pathfinder.try_step if allow_sliding else self.pathfinder.try_step_no_sliding
        return stopped(start, goal, np.array(step(start, goal), dtype=np.float32))

    def geodesic_distance(self, a: Any, b: Any) -> float:
        path = self._path(a, b)
        return math.inf if path is None else float(path.geodesic_distance)

    def shortest_path(self, a: Any, b: Any) -> Array:
        path = self._path(a, b)
        return np.empty((0, 3)) if path is None else np.array(path.points, dtype=np.float64).reshape(-1, 3)

    def sample(self, rng: np.random.Generator, island: int | None = None) -> Array:
        """habitat-sim draws by C's global generator, which is seeded from ``rng`` first."""
        self.pathfinder.seed(int(rng.integers(2**31 - 1)))
        place = self.pathfinder.get_random_navigable_point(island_index=-1 if island is None else island)
        return np.array(place, dtype=np.float64)

    def island_radius(self, position: Any) -> float:
        point = float32_point(position)
        return 0.0 if point is None else max(0.0, float(self.pathfinder.island_radius(point)))

    def reachable_cells(self, position: Any, cell: float) -> FloorCells:
        """habitat-sim samples its map from a corner of its own: cells are as the sample nearest to their centre."""
        point, bounds = checked_point(position, "position"), self.pathfinder.get_bounds()
        islands = np.asarray(self.pathfinder.get_topdown_island_view(cell, float(point[1])))
        low, high = (np.asarray(bound, dtype=np.float64)[::2] for bound in bounds)
        corner, shape = lattice(low, high, cell)
        sampled = [
            np.rint((first + np.arange(count) + 0.5) - start / cell).astype(np.int64)
            for first, count, start in zip(corner, shape, low[::-1], strict=True)
        ]
        inside = [(at >= 0) & (at < count) for at, count in zip(sampled, islands.shape, strict=True)]
        cells = np.zeros(shape, dtype=bool)
        ours = islands == self.pathfinder.get_island(point)
        cells[np.ix_(*inside)] = ours[np.ix_(*(at[ok] for at, ok in zip(sampled, inside, strict=True)))]
        return FloorCells(cells, corner)

    def _path(self, a: Any, b: Any) -> Any:
        """habitat-sim's path, or None where there is none."""
        start, end = float32_point(a), float32_point(b)
        if start is None or end is None:
            return None
        path = self._new_path()
        path.requested_start, path.requested_end = start, end
        return path if self.pathfinder.find_path(path) else None
