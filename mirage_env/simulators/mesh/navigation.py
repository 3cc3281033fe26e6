"""Navigation on the floors of a triangle mesh: where an agent can stand, how it moves, and shortest paths.

Positions are feet positions (3,) in metres, world frame. Unlike in the other simulators y counts: a scene may have
several storeys. The navigable floor lies up to one cell height (0.2 m) above that of the mesh, as it does in Habitat.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.build import NavMesh
from mirage_env.simulators.mesh.navmesh.corridors import find_path
from mirage_env.simulators.mesh.navmesh.surface import nearest, step
from mirage_env.simulators.mesh.navmesh.top_down import top_down_islands
from mirage_env.simulators.points import checked_point, float32_point, stopped
from mirage_env.simulators.reachable import FloorCells, lattice

MAX_Y_OFFSET = 0.5
"""Metres above or below the floor up to which a position counts as on it, as in Habitat."""

_ASIDE = 1e-2
_MAX_PATHS = 4096
_MAX_CELLS = 16


class Island(NamedTuple):
    """A connected part of the navigable space.

    Attributes:
        area: m², along the floor.
        height: (2,) metres, the lowest and the highest floor.
        radius: metres, the furthest corner from the mean of its polygons' corners.
    """

    area: float
    height: tuple[float, float]
    radius: float


class MeshNavigation:
    """An agent on a ``NavMesh``. All results depend on the arguments alone.

    Motion and geodesic distances follow Habitat's rules; positions are float32, as there. Distances are lengths of
    Detour's paths, which are shortest through the polygons that its search picks: up to a few percent longer than the
    shortest there is, and not quite the same both ways.
    """

    def __init__(self, mesh: NavMesh) -> None:
        self.mesh = mesh
        self._paths: OrderedDict[bytes, Array] = OrderedDict()
        self._cells: dict[tuple[int, float, float], FloorCells] = {}

    @cached_property
    def islands(self) -> tuple[Island, ...]:
        """The connected parts of the navigable space, numbered as in Habitat."""
        mesh = self.mesh
        of_triangle = np.repeat(mesh.island, np.diff(mesh.triangle_start))
        usable = np.repeat(mesh.usable, np.diff(mesh.triangle_start))
        area = np.bincount(of_triangle, self._areas * usable, minlength=int(mesh.island.max()) + 1)
        found = []
        for name in range(len(area)):
            corners = mesh.corners[mesh.island == name]
            corners = corners[np.arange(corners.shape[1]) < mesh.sides[mesh.island == name][:, None]]
            y = mesh.triangles[of_triangle == name][..., 1]
            radius = np.linalg.norm(corners - corners.mean(0), axis=1).max()
            found.append(Island(float(area[name]), (float(y.min()), float(y.max())), float(radius)))
        return tuple(found)

    @property
    def floor_area(self) -> float:
        """Navigable area in m², along the floor."""
        return float(sum(island.area for island in self.islands))

    @property
    def largest_island(self) -> int:
        """The number of the island of most area."""
        return max(range(len(self.islands)), key=lambda i: self.islands[i].area)

    @cached_property
    def floor_heights(self) -> tuple[float, ...]:
        """Heights in metres on which floors lie, lowest first: those that hold at least 5 % of the area."""
        heights = np.round(self.mesh.triangles[..., 1].mean(1) / 0.1).astype(np.int64)
        present, which = np.unique(heights, return_inverse=True)
        share = np.bincount(which, self._areas) / self._areas.sum()
        flat = [float(self.mesh.triangles[which == i][..., 1].mean()) for i in np.flatnonzero(share >= 0.05)]
        return tuple(flat) if len(present) else ()

    @cached_property
    def _areas(self) -> Array:
        a, b, c = (self.mesh.triangles[:, i].astype(np.float64) for i in range(3))
        return np.linalg.norm(np.cross(b - a, c - b), axis=1) / 2

    def is_navigable(self, position: Any, max_y_offset: float = MAX_Y_OFFSET) -> bool:
        """Whether the agent can stand at position (3,), which may be that far above or below the floor."""
        point = float32_point(position)
        if point is None:
            return False
        place = np.empty(3, dtype=np.float32)
        if nearest(self.mesh, point, -1, place) < 0:
            return False
        off = place.astype(np.float64) - point
        return abs(off[1]) <= max_y_offset and math.hypot(off[0], off[2]) <= _ASIDE

    def island(self, position: Any) -> int:
        """The number of the island nearest to position (3,); -1 where none is within 2 m aside and 4 m up or down."""
        point = float32_point(position)
        if point is None:
            return -1
        found = nearest(self.mesh, point, -1, np.empty(3, dtype=np.float32))
        return int(self.mesh.island[found]) if found >= 0 else -1

    def island_radius(self, position: Any) -> float:
        """Metres from the middle of the island nearest to position (3,) to its furthest corner; 0 where none is."""
        found = self.island(position)
        return self.islands[found].radius if found >= 0 else 0.0

    def snap(self, position: Any, island: int | None = None) -> Array:
        """The navigable position (3,) nearest to position (3,), on any island or on one.

        Raises:
            ValueError: there is none within 2 m aside and 4 m up or down, or the position is not finite.
        """
        point = checked_point(position, "position")
        place = np.empty(3, dtype=np.float32)
        if nearest(self.mesh, point, -1 if island is None else island, place) < 0:
            x, y, z = point.tolist()
            where = "" if island is None else f" of island {island}"
            raise ValueError(f"no navigable place{where} is near ({x:.2f}, {y:.2f}, {z:.2f})")
        return place.astype(np.float64)

    def sample(self, rng: np.random.Generator, island: int | None = None) -> Array:
        """A navigable position (3,), uniform over the area of all islands or of one."""
        mesh = self.mesh
        chosen = np.repeat(mesh.usable & ((mesh.island == island) | (island is None)), np.diff(mesh.triangle_start))
        cumulative = np.cumsum(self._areas * chosen)
        if not len(cumulative) or cumulative[-1] <= 0:
            raise ValueError(f"no part of island {island} is navigable; there are {len(self.islands)} islands")
        a, b, c = mesh.triangles[np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")]
        u, v = rng.random(2)
        if u + v > 1:
            u, v = 1 - u, 1 - v
        return self.snap(a + u * (b - a) + v * (c - a), island)

    def geodesic_distance(self, a: Any, b: Any) -> float:
        """Metres along the floor from a (3,) to b (3,); ``inf`` where there is no way.

        Positions beside the floor count from the nearest place on it, as in Habitat.
        """
        path = self._path(a, b)
        return float(np.sqrt((np.diff(path, axis=0) ** 2).sum(1)).sum()) if len(path) else math.inf

    def geodesic_distances(self, points: Any, goal: Any) -> Array:
        """Geodesic distances (N,) from points (N, 3) to one goal (3,)."""
        return np.array([self.geodesic_distance(point, goal) for point in np.asarray(points, dtype=np.float64)])

    def shortest_path(self, a: Any, b: Any) -> Array:
        """The corners (N, 3) of a shortest path, both ends included; (0, 3) where there is no way."""
        return self._path(a, b).astype(np.float64)

    def move(self, position: Any, displacement: Any, allow_sliding: bool = True) -> tuple[Array, bool]:
        """Move the agent towards position + displacement, until walls stop it or along them, as Habitat does.

        Args:
            position: (3,).
            displacement: (3,) metres, level in Habitat; where the floor rises or falls, the agent follows it.
            allow_sliding: False stops where the straight way meets a wall.

        Returns:
            The new position (3,), float32 values, and whether the agent collided, by Habitat's rule; see ``stopped``.

        Raises:
            ValueError: for numbers that are not finite.
        """
        start = checked_point(position, "position")
        goal = start + checked_point(displacement, "displacement")
        end = np.empty(3, dtype=np.float32)
        step(self.mesh, start, goal, bool(allow_sliding), end)
        return stopped(start, goal, end)

    def top_down(self, height: float, meters_per_pixel: float = 0.05, max_y_offset: float = MAX_Y_OFFSET) -> Array:
        """Where the agent can stand (H, W) bool near a height, as Habitat's ``get_topdown_view``.

        Row h and column w stand for the point ``mesh.low + (w * meters_per_pixel, …, h * meters_per_pixel)``.
        """
        return self.top_down_islands(height, meters_per_pixel, max_y_offset) >= 0

    def top_down_islands(
        self, height: float, meters_per_pixel: float = 0.05, max_y_offset: float = MAX_Y_OFFSET
    ) -> Array:
        """The island (H, W) int32 at each point of ``top_down``, -1: none."""
        if not (math.isfinite(height) and math.isfinite(meters_per_pixel) and meters_per_pixel > 0):
            raise ValueError(f"a map needs a height and metres per pixel > 0, got {height!r} and {meters_per_pixel!r}")
        pixel = np.float32(meters_per_pixel)
        span = self.mesh.high - self.mesh.low
        rows, columns = int(span[2] / pixel), int(span[0] / pixel)
        return top_down_islands(self.mesh, np.float32(height), pixel, np.float32(max_y_offset), rows, columns)

    def reachable_cells(self, position: Any, cell: float) -> FloorCells:
        """See ``reachable_floor``; of the floor within ``MAX_Y_OFFSET`` of the position's height."""
        island = self.island(position)
        key = (island, round(float(position[1]), 3), float(cell))
        if key not in self._cells:
            low, high = self.mesh.low[::2], self.mesh.high[::2]
            corner, (rows, columns) = lattice(low, high, cell)
            z, x = (corner + 0.5) * cell
            moved = self.mesh._replace(low=np.array([x, self.mesh.low[1], z], dtype=np.float32))
            height, offset = np.float32(position[1]), np.float32(MAX_Y_OFFSET)
            found = top_down_islands(moved, height, np.float32(cell), offset, rows, columns)
            if len(self._cells) >= _MAX_CELLS:
                self._cells.clear()
            cells = (found == island) & (island >= 0)
            cells.flags.writeable = False  # for they are kept
            self._cells[key] = FloorCells(cells, corner)
        return self._cells[key]

    def _path(self, a: Any, b: Any) -> Array:
        a, b = float32_point(a), float32_point(b)
        if a is None or b is None:
            return np.empty((0, 3), dtype=np.float32)
        key = a.tobytes() + b.tobytes()
        if key not in self._paths:
            self._paths[key] = find_path(self.mesh, a, b)
            if len(self._paths) > _MAX_PATHS:
                self._paths.popitem(last=False)
        return self._paths[key]
