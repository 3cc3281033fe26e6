"""Shortest paths to one goal by compiled loops: those of ``GridPaths``, searched no farther than they are asked for.

Ways of the same length, to the last bit, are told apart by nothing but the order in which SciPy's heap gives equal
numbers back. Where a path meets such a choice, SciPy makes it.
"""

from __future__ import annotations

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.grid_paths import GridPaths, PathField
from mirage_env.simulators.kernels import Kernels

_NEXT_TO_GOAL = 1e-9
"""What ``GridPaths.to_goal`` counts for a cell in which the goal itself lies."""


class PathSearch:
    """Shortest ways to one goal. One thread at a time may ask.

    Args:
        paths: over the grid.
        goal: (2,) cells, where the agent can stand.
        kernels: the compiled loops.
    """

    def __init__(self, paths: GridPaths, goal: Array, kernels: Kernels) -> None:
        self.paths = paths
        self.goal = goal
        self._ways = kernels.ways
        self._window = paths.clearance
        self._steps = paths.steps(kernels)
        nodes, costs = self._attach(goal)
        nearest = costs.argsort(kind="stable")
        self._nodes, self._costs = nodes[nearest], np.maximum(costs[nearest], _NEXT_TO_GOAL)
        cells = self._steps.size
        self._distance = np.full(cells, np.inf)
        self._order = np.empty((self._ways.BUCKETS, cells + len(nodes)), dtype=np.int32)
        self._counts = np.zeros(self._ways.BUCKETS, dtype=np.int64)
        self._state = np.array([int(self._costs[0]) if len(nodes) else 0, 0])
        self._by_scipy: PathField | None = None

    def path(self, start: Array) -> Array:
        """Corners (N, 2) of a shortest path from start (2,), where the agent can stand; (0, 2) where there is none.

        The goal must not be in sight.
        """
        if self._by_scipy is not None:
            return self.paths.path(start, self._by_scipy)
        nodes, costs = self._attach(start)
        search = self._steps, self._nodes, self._costs, self._distance
        self._ways.search(*search, self._order, self._counts, self._state, nodes)
        corners = self._ways.path(*self._window, *search, start, self.goal, nodes, costs)
        if corners is not None:
            return corners
        self._by_scipy = self.paths.to_goal(self.goal)
        return np.zeros((0, 2)) if self._by_scipy is None else self.paths.path(start, self._by_scipy)

    def _attach(self, place: Array) -> tuple[Array, Array]:
        """``GridPaths.attach`` with the numbers that cells have here."""
        nodes, costs = np.empty(4, dtype=np.int64), np.empty(4)
        count = self._ways.attach(*self._window, place[0], place[1], nodes, costs)
        if count >= 0:
            return nodes[:count], costs[:count]
        nodes, costs = self.paths.attach(place)
        row, column = np.divmod(nodes, self.paths.free.shape[1])
        frame = self._ways.FRAME
        return (row + frame) * self._steps.shape[1] + column + frame, costs
