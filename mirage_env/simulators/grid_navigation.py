"""Navigation on a grid of obstacles: where a disc-shaped agent can stand, how it moves, and shortest paths.

Positions are feet positions (3,) in metres, world frame; the floor is the (x, z) plane. y is kept as it comes. Rows of
a grid go with z, columns with x.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from scipy.ndimage import label

from mirage_env.geometry import Array
from mirage_env.simulators.clearance import DEEP, NEAR, Clearance, clearance, slide
from mirage_env.simulators.grid_paths import GridPaths, PathField
from mirage_env.simulators.kernels import compiled
from mirage_env.simulators.path_search import PathSearch

COLLISION_SLACK = 1e-5
"""Habitat's: an agent collided when the squares of the moved and the requested distance (m²) differ by more."""

Kept = TypeVar("Kept")

_MAX_FIELDS = 64
_MAX_PLACES = 256
_THINNEST = 0.75


class GridNavigation:
    """A disc-shaped agent among the blocked cells of a grid.

    An obstacle stands for a point at the centre of its cell, and the agent may come as near to it as its radius;
    between cell centres clearance is interpolated, so motion and sliding are continuous. All results depend on the
    arguments alone, not on what was asked before.

    Args:
        blocked: (H, W) bool. It must not change afterwards; make a new object for new obstacles.
        origin: world x and z of the corner of cell (0, 0).
        cell: metres per cell.
        agent_radius: metres; less than 0.75 cells counts as that, or the agent would slip between diagonal cells.
        outside_free: whether what lies beyond the grid is free (unknown) or blocked.
    """

    def __init__(
        self, blocked: Array, origin: Any, cell: float, agent_radius: float = 0.18, outside_free: bool = True
    ) -> None:
        if blocked.ndim != 2 or blocked.dtype != np.bool_:
            raise ValueError(f"blocked must be a bool grid (H, W), got {blocked.dtype} {blocked.shape}")
        if not (math.isfinite(cell) and cell > 0):
            raise ValueError(f"cell must be a positive size in metres, got {cell!r}")
        if not (math.isfinite(agent_radius) and agent_radius >= 0):
            raise ValueError(f"agent_radius must be 0 or more metres, got {agent_radius!r}")
        self.blocked = blocked
        self.origin = np.asarray(origin, dtype=np.float64)
        self.cell = float(cell)
        self.agent_radius = float(agent_radius)
        self.outside_free = bool(outside_free)
        self._radius = max(agent_radius / cell, _THINNEST)
        self._fields: OrderedDict[bytes, PathField | None] = OrderedDict()
        self._searches: OrderedDict[bytes, PathSearch] = OrderedDict()
        self._standing: dict[tuple[float, float], bool] = {}
        self._latest: tuple[bytes, float] | None = None

    @cached_property
    def paths(self) -> GridPaths:
        """Shortest paths over the grid and a border as wide as the agent's reach; built when first asked for."""
        border = math.ceil(self._radius) + 2 if self.outside_free else 1
        rows, columns = self.blocked.shape
        low, high = (-border, -border), (rows + border, columns + border)
        return GridPaths(clearance(self.blocked, self._radius, self.outside_free, low, high))

    @property
    def navigable(self) -> Array:
        """Where the agent's centre can be (H, W), at the centres of the grid's cells."""
        field, (rows, columns) = self.paths.clearance, self.blocked.shape
        return field.field[-field.row : rows - field.row, -field.column : columns - field.column] >= 0

    def is_navigable(self, position: Any) -> bool:
        """Whether the agent can stand at position (3,); false for NaN."""
        at = r, c = self._lattice(position)
        if not (math.isfinite(r) and math.isfinite(c)):
            return False
        # An agent asks of the same places over and over: its own and its goal.
        if at not in self._standing:
            if len(self._standing) >= _MAX_PLACES:
                self._standing.clear()
            self._standing[at] = self.paths.clearance.at(r, c) >= 0
        return self._standing[at]

    def snap(self, position: Any) -> Array:
        """A navigable position (3,) near position (3,): itself, or the centre of the nearest navigable cell.

        ValueError when there is none at all.
        """
        x, y, z = _finite(position, "position")
        if self.is_navigable((x, y, z)):
            return np.array([x, y, z])
        field, place = self.paths.clearance, self._lattice((x, y, z))
        kernels = compiled(*place)
        if kernels is not None:
            row, column = kernels.ways.nearest_free(field.field, field.row, field.column, *place)
            cells = np.array([(row + field.row, column + field.column)] if row >= 0 else [])
        else:
            cells = np.argwhere(self.paths.free) + (field.row, field.column)
            cells = cells[((cells - place) ** 2).sum(1).argsort(kind="stable")[:1]]
        if not len(cells):
            raise ValueError("no place of this grid is navigable")
        return self._world(cells[0], y)

    def sample(self, rng: np.random.Generator, mask: Array | None = None, here: Any = None) -> Array | None:
        """A navigable position (3,) with y = 0 (or that of ``here``), uniform over the cells; None where there is none.

        Args:
            mask: (H, W) bool, cells that may be chosen; None: all.
            here: (3,), from which the position must be reachable; None: anywhere.
        """
        chosen = self.navigable if mask is None else self.navigable & mask
        if here is not None:
            chosen = chosen & self._reachable(here)
        cells = np.argwhere(chosen)
        if not len(cells):
            return None
        y = 0.0 if here is None else float(here[1])
        cell = cells[rng.integers(len(cells))]
        jitter = rng.uniform(-0.5, 0.5, 2)
        position = self._world(cell + jitter, y)
        # Beside an obstacle part of the cell may be out of reach; its centre never is.
        return position if self.is_navigable(position) else self._world(cell, y)

    def geodesic_distance(self, a: Any, b: Any) -> float:
        """Metres along the floor from a (3,) to b (3,); ``inf`` where there is no way or one of them is not navigable.

        Distances to the same ``b`` are cheap after the first.
        """
        start = np.asarray(a, dtype=np.float64)
        key = start.tobytes() + np.asarray(b, dtype=np.float64).tobytes()
        if self._latest is None or self._latest[0] != key:
            self._latest = key, _length(self._corners(start, b)) * self.cell
        return self._latest[1]

    def geodesic_distances(self, points: Any, goal: Any) -> Array:
        """Geodesic distances (N,) from points (N, 3) to one goal (3,)."""
        lengths = [_length(self._corners(point, goal)) for point in np.asarray(points, dtype=np.float64)]
        return np.array(lengths, dtype=np.float64) * self.cell

    def shortest_path(self, a: Any, b: Any) -> Array:
        """The corners (N, 3) of a shortest path, both ends included; (0, 3) where there is no way."""
        corners = self._corners(a, b)
        if not len(corners):
            return np.zeros((0, 3))
        xz = (corners[:, ::-1] + 0.5) * self.cell + self.origin
        path = np.stack([xz[:, 0], np.full(len(xz), float(a[1])), xz[:, 1]], axis=1)
        path[0], path[-1] = a, b
        return path

    def move(self, position: Any, displacement: Any, allow_sliding: bool = True) -> tuple[Array, bool]:
        """Move the agent until it meets an obstacle, then (if allowed) on along it, as Habitat does.

        An agent that begins inside an obstacle, as can happen where geometry is imagined, moves freely as long as it
        does not go deeper.

        Args:
            position: (3,).
            displacement: (3,) metres; its y is ignored.
            allow_sliding: False stops at the first contact.

        Returns:
            The new position (3,), navigable if the first was, and whether the agent collided:
            ``moved**2 + 1e-5 < requested**2``, Habitat's rule.
        """
        x, y, z = _finite(position, "position")
        dx, _, dz = _finite(displacement, "displacement")
        start, way = self._lattice((x, y, z)), (dz / self.cell, dx / self.cell)
        field = self._window(start, math.hypot(*way))
        r, c = slide(field, start, way, allow_sliding)
        # Adding what was moved, instead of converting the end, keeps a free motion exact.
        free = (r, c) == (start[0] + way[0], start[1] + way[1])
        moved_x, moved_z = (dx, dz) if free else ((c - start[1]) * self.cell, (r - start[0]) * self.cell)
        collided = moved_x**2 + moved_z**2 + COLLISION_SLACK < dx * dx + dz * dz
        return np.array([x + moved_x, y, z + moved_z]), collided

    def _corners(self, a: Any, b: Any) -> Array:
        place, end, paths = self._lattice(a), self._lattice(b), self.paths
        kernels = compiled(*place, *end)
        start, goal = ends = np.array([place, end])
        if kernels is not None:
            found = kernels.ways.sight(*paths.clearance, *place, *end)
            if found == kernels.ways.SEARCH:
                return _kept(self._searches, goal, lambda: PathSearch(paths, goal, kernels)).path(start)
            return ends if found == kernels.ways.STRAIGHT else np.zeros((0, 2))
        if not np.isfinite(ends).all() or min(paths.clearance.at(*start), paths.clearance.at(*goal)) < 0:
            return np.zeros((0, 2))
        if paths.sees_one(start, goal):
            return ends
        field = _kept(self._fields, goal, lambda: paths.to_goal(goal))
        return np.zeros((0, 2)) if field is None else paths.path(start, field)

    def _reachable(self, here: Any) -> Array:
        """Cells (H, W) in the same connected part of the free space as ``here``."""
        paths, (rows, columns) = self.paths, self.blocked.shape
        # Steps pass diagonally between cells, so parts are joined over corners, too.
        parts = np.zeros(paths.free.shape, dtype=np.int32)
        label(paths.free, np.ones((3, 3)), output=parts)
        at = np.array(self._lattice(self.snap(here))) - (paths.clearance.row, paths.clearance.column)
        around = np.floor(at).astype(np.int64) + np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
        around = around.clip(0, np.array(parts.shape) - 1)
        found = parts[around[:, 0], around[:, 1]]
        same = np.isin(parts, found[found > 0])
        r, c = -paths.clearance.row, -paths.clearance.column
        return same[r : r + rows, c : c + columns]

    def _window(self, centre: tuple[float, float], reach: float) -> Clearance:
        size = math.ceil(reach) + 3
        r, c = math.floor(centre[0]), math.floor(centre[1])
        low, high = (r - size, c - size), (r + size + 2, c + size + 2)
        whole = self.paths.clearance
        top, left, bottom, right = (
            low[0] - whole.row,
            low[1] - whole.column,
            high[0] - whole.row,
            high[1] - whole.column,
        )
        if top < 0 or left < 0 or bottom > whole.field.shape[0] or right > whole.field.shape[1]:
            return clearance(self.blocked, self._radius, self.outside_free, low, high)
        return Clearance(whole.field[top:bottom, left:right], *low, NEAR if self.outside_free else -DEEP - self._radius)

    def _lattice(self, position: Any) -> tuple[float, float]:
        return (
            (float(position[2]) - float(self.origin[1])) / self.cell - 0.5,
            (float(position[0]) - float(self.origin[0])) / self.cell - 0.5,
        )

    def _world(self, lattice: Array, y: float) -> Array:
        z, x = (np.asarray(lattice) + 0.5) * self.cell + self.origin[::-1]
        return np.array([x, y, z])


def _kept(found: OrderedDict[bytes, Kept], place: Array, find: Callable[[], Kept]) -> Kept:
    """What was found for a place, the latest ``_MAX_FIELDS`` of them."""
    key = place.tobytes()
    if key not in found:
        found[key] = find()
        if len(found) > _MAX_FIELDS:
            found.popitem(last=False)
    found.move_to_end(key)
    return found[key]


def _length(corners: Array) -> float:
    """Cells along a path (N, 2); ``inf`` where there is none."""
    if len(corners) == 2:
        (r0, c0), (r1, c1) = corners.tolist()
        return math.sqrt((r1 - r0) * (r1 - r0) + (c1 - c0) * (c1 - c0))
    return float(np.sqrt((np.diff(corners, axis=0) ** 2).sum(1)).sum()) if len(corners) else math.inf


def _finite(vector: Any, name: str) -> tuple[float, float, float]:
    try:
        x, y, z = map(float, vector)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be three numbers (x, y, z) in metres, got {vector!r}") from error
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise ValueError(f"{name} must be finite, got ({x}, {y}, {z})")
    return x, y, z
