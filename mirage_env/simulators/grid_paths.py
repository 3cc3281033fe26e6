"""Shortest paths on a grid: Dijkstra over 16 neighbours, then string pulling, which leaves straight pieces.

Places are lattice coordinates (row, column) in cells; the centre of cell (r, c) is (r, c).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from mirage_env.geometry import Array
from mirage_env.simulators.clearance import Clearance

if TYPE_CHECKING:
    from mirage_env.simulators.kernels import Kernels

TOLERANCE = 0.02
"""Cells by which a straight piece may cut into the inflated obstacles: cell centres on a rough edge are not exact."""

SAMPLING = 0.4
"""Cells between the places of a straight piece that are looked at."""
_STEPS = np.array([(0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (2, -1), (1, -2)])
OFFSETS = np.concatenate([_STEPS, -_STEPS])
"""Steps (16, 2) from a cell to its neighbours."""


class PathField(NamedTuple):
    """Shortest ways from every cell to one goal.

    Attributes:
        goal: (2,) cells.
        distance: (H * W + 1,) cells along the graph, the goal last; ``inf`` where there is no way.
        next_node: (H * W + 1,) the flat cell that follows on the way, -9999 at the end; H * W is the goal.
        next_corner: the corner that follows each corner met so far; filled as paths are asked for.
    """

    goal: Array
    distance: Array
    next_node: Array
    next_corner: dict[int, int]


class GridPaths:
    """Shortest paths through the places of non-negative clearance.

    Args:
        field: clearance, whose border cells have the value of what lies outside.
    """

    def __init__(self, field: Clearance) -> None:
        self.clearance = field
        self.free = field.field >= 0
        self._first = np.array([field.row, field.column])
        self._steps: Array | None = None
        self._flat = np.ascontiguousarray(field.field).ravel()

    def to_goal(self, goal: Array) -> PathField | None:
        """Ways to goal (2,), one pass of Dijkstra; None where the agent cannot stand there."""
        nodes, costs = self.attach(goal)
        if len(nodes) == 0:
            return None
        targets, indptr, lengths = self._graph
        last = self.free.size
        # The goal is one node more, from which the search starts.
        graph = csr_array(
            (
                np.concatenate([lengths, np.maximum(costs, 1e-9)]),
                np.concatenate([targets, nodes]),
                np.concatenate([indptr, [indptr[-1] + len(nodes)]]),
            ),
            shape=(last + 1, last + 1),
        )
        distance, before = dijkstra(graph, indices=last, return_predecessors=True)
        return PathField(np.asarray(goal, dtype=np.float64), distance, before, {})

    def path(self, start: Array, field: PathField) -> Array:
        """Corners (N, 2) of a shortest path from start (2,) to the field's goal; (0, 2) where there is none."""
        start = np.asarray(start, dtype=np.float64)
        if self.clearance.at(*start) < 0:
            return np.zeros((0, 2))
        if self.sees_one(start, field.goal):
            return np.stack([start, field.goal])
        nodes, costs = self.attach(start)
        total = field.distance[nodes] + costs
        if len(nodes) == 0 or not np.isfinite(total.min()):
            return np.zeros((0, 2))
        node = self._corner(start, int(nodes[total.argmin()]), field)
        corners = [start, self._place(node, field)]
        while node != self.free.size:
            # Which corner follows a corner does not depend on how it was reached.
            if node not in field.next_corner:
                field.next_corner[node] = self._corner(corners[-1], int(field.next_node[node]), field)
            node = field.next_corner[node]
            corners.append(self._place(node, field))
        return np.array(corners)

    def sees(self, place: Array, others: Array) -> Array:
        """Whether the straight pieces from place (2,) to others (N, 2) stay free; bool (N,)."""
        way = others - place
        low, high = self._first - 1.0, self._first + np.array(self.free.shape)
        # Only what lies inside the grid needs a look: outside is either free or blocked as a whole.
        if self.clearance.outside < 0 and not (((others >= low) & (others <= high)).all() and (place >= low).all()):
            return np.zeros(len(others), dtype=bool)
        with np.errstate(divide="ignore", invalid="ignore"):
            enter, leave = (low - place) / way, (high - place) / way
        still = way == 0
        inside = (place >= low) & (place <= high)
        near = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(enter, leave)).max(1).clip(0, 1)
        far = np.where(still, np.where(inside, np.inf, -np.inf), np.maximum(enter, leave)).min(1).clip(0, 1)
        span = np.maximum(far - near, 0.0) * np.sqrt((way**2).sum(1))
        count = np.ceil(span / SAMPLING).astype(np.int64) + 1
        piece = np.repeat(np.arange(len(others)), count)
        step = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
        t = near[piece] + (far - near)[piece].clip(0) * step / np.maximum(count[piece] - 1, 1)
        points = place + t[:, None] * way[piece]
        bad = self.clearance.along(points[:, 0], points[:, 1]) < -TOLERANCE
        return np.bincount(piece, weights=bad, minlength=len(others)) == 0

    def sees_one(self, place: Array, other: Array) -> bool:
        """As ``sees``, of one other place (2,)."""
        rows, columns = self.free.shape
        first, last = np.minimum(place, other) - self._first, np.maximum(place, other) - self._first
        if (first < 0).any() or (last >= (rows - 2, columns - 2)).any():
            return bool(self.sees(place, other[None])[0])
        way = other - place
        count = math.ceil(math.sqrt(way[0] ** 2 + way[1] ** 2) / SAMPLING)
        t = np.arange(count + 1) / max(count, 1)
        row, column = place[0] + t * way[0] - self._first[0], place[1] + t * way[1] - self._first[1]
        row0, column0 = np.floor(row), np.floor(column)
        fr, fc = row - row0, column - column0
        at = (row0 * columns + column0).astype(np.int64)
        flat = self._flat
        upper = flat[at] * (1 - fc) + flat[at + 1] * fc
        lower = flat[at + columns] * (1 - fc) + flat[at + columns + 1] * fc
        return not (upper * (1 - fr) + lower * fr < -TOLERANCE).any()

    def steps(self, kernels: Kernels) -> Array:
        """The edges as compiled loops want them, see ``compiled.ways.edges``."""
        if self._steps is None:
            self._steps = np.asarray(kernels.ways.edges(self.clearance.field))
        return self._steps

    @cached_property
    def _graph(self) -> tuple[Array, Array, Array]:
        """Targets, index pointers and lengths (in the manner of CSR) of the edges between free cells."""
        height, width = self.free.shape
        padded = np.pad(self.free, 2)

        def shifted(dr: int, dc: int) -> Array:
            return padded[2 + dr : 2 + dr + height, 2 + dc : 2 + dc + width]

        open_ = np.empty((height, width, len(OFFSETS)), dtype=bool)
        for k, (dr, dc) in enumerate(OFFSETS.tolist()):
            open_[..., k] = self.free & shifted(dr, dc)
            # What a slanted step passes beside must be free too, or it would cut corners.
            if abs(dr) == abs(dc) == 1:
                open_[..., k] &= shifted(dr, 0) | shifted(0, dc)
            elif abs(dr) == 2:
                open_[..., k] &= shifted(dr // 2, 0) & shifted(dr // 2, dc)
            elif abs(dc) == 2:
                open_[..., k] &= shifted(0, dc // 2) & shifted(dr, dc // 2)
        flat = open_.reshape(-1, len(OFFSETS))
        step = (OFFSETS[:, 0] * width + OFFSETS[:, 1]).astype(np.int32)
        length = np.hypot(OFFSETS[:, 0], OFFSETS[:, 1])
        nodes = np.arange(len(flat), dtype=np.int32)
        targets = (nodes[:, None] + step)[flat]
        lengths = np.broadcast_to(length, flat.shape)[flat]
        indptr = np.concatenate([[0], flat.sum(1).cumsum()]).astype(np.int32)
        return targets, indptr, lengths

    def attach(self, place: Array) -> tuple[Array, Array]:
        """Flat cells (n,) that a place (2,) is joined to, how far they are; beyond the grid the border facing it."""
        local = np.asarray(place, dtype=np.float64) - self._first
        shape = np.array(self.free.shape)
        base = np.floor(local).astype(np.int64)
        if ((base >= 0) & (base < shape - 1)).all():
            if self.clearance.at(*np.asarray(place, dtype=np.float64)) < 0:
                return np.zeros(0, dtype=np.int64), np.zeros(0)
            cells = base + np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
        elif self.clearance.outside < 0:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        else:
            rows, columns = np.arange(shape[0]), np.arange(shape[1])
            sides = []
            for axis, other in ((0, columns), (1, rows)):
                edge = 0 if local[axis] < 0 else shape[axis] - 1 if local[axis] >= shape[axis] - 1 else None
                if edge is not None:
                    line = np.full(len(other), edge)
                    sides.append(np.stack([line, other] if axis == 0 else [other, line], axis=1))
            cells = np.concatenate(sides)
        cells = cells[self.free[cells[:, 0], cells[:, 1]]]
        return cells[:, 0] * shape[1] + cells[:, 1], np.sqrt(((cells - local) ** 2).sum(1))

    def _corner(self, place: Array, node: int, field: PathField) -> int:
        """The last node that a straight piece from ``place`` reaches along the way that goes on at ``node``."""
        chain = [node]
        while node != self.free.size:
            node = int(field.next_node[node])
            chain.append(node)
        # Doubling, then halving: what is seen from a place is nearly always an unbroken run of the chain.
        good, step, count = 1, 2, len(chain)
        while step <= count and self.sees_one(place, self._place(chain[step - 1], field)):
            good, step = step, step * 2
        low, high = good, min(step, count + 1)
        while high - low > 1:
            middle = (low + high) // 2
            if self.sees_one(place, self._place(chain[middle - 1], field)):
                low = middle
            else:
                high = middle
        return chain[low - 1]

    def _place(self, node: int, field: PathField) -> Array:
        """Where a node is (2,) in cells."""
        if node == self.free.size:
            return field.goal
        row, column = divmod(node, self.free.shape[1])
        return np.array([row + self._first[0], column + self._first[1]], dtype=np.float64)
