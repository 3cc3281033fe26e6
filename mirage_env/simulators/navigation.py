"""Exact navigation on a floor plan: free space, motion with collisions, geodesic distances and shortest paths.

Positions are feet positions (3,) in metres, world frame; the floor plan is the (x, z) plane. y is kept as it comes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points

from mirage_env.geometry import Array
from mirage_env.simulators.reachable import FloorCells, lattice
from mirage_env.simulators.visibility import Boundary, DistanceField, VisibilityGraph

ARC_SEGMENTS = 4
"""Straight pieces per quarter turn of an obstacle's corner: at most 2 % of the agent's radius from the true arc."""

COLLISION_SLACK = 1e-5
"""Habitat's: an agent collided when the squares of the moved and the requested distance (m²) differ by more."""

_SKIN = 1e-5
_CORE = 2e-6
_SMALLEST_ISLAND = 0.01
_MAX_SLIDES = 4
_MAX_FIELDS = 64


class PolygonNavigation:
    """A disc-shaped agent on a floor with obstacles.

    The free space holds every place the agent's centre can take: the floor without the obstacles, eroded by
    ``agent_radius``. Obstacle corners are eroded round, because the agent is a disc: sharp (mitre) joins would forbid
    free floor at every corner and lengthen each turn around one by up to a quarter. Room corners stay sharp either way.
    Islands are kept, but for specks under 0.01 m².

    Args:
        floor: walkable floor in the (x, z) plane, walls excluded.
        obstacles: footprints of what stands on it.
        agent_radius: metres, 0 or more.

    Raises:
        ValueError: when no free space is left.
    """

    def __init__(self, floor: BaseGeometry, obstacles: Iterable[BaseGeometry] = (), agent_radius: float = 0.18) -> None:
        if not (math.isfinite(agent_radius) and agent_radius >= 0):
            raise ValueError(f"agent_radius must be 0 or more metres, got {agent_radius!r}")
        self.agent_radius = float(agent_radius)
        self.floor = floor
        ground = floor.difference(shapely.union_all(list(obstacles)))
        self.free = _polygons(ground.buffer(-self.agent_radius, quad_segs=ARC_SEGMENTS, join_style="round"))
        if self.free.is_empty:
            raise ValueError(f"an agent of radius {agent_radius} m has no free space on this floor")
        self._core = self.free.buffer(-_CORE, join_style="mitre")
        shapely.prepare(self.free)
        shapely.prepare(self._core)
        boundary = Boundary.of(self.free)
        ends = boundary.start + boundary.direction * boundary.length[:, None]
        self._low, self._high = np.minimum(boundary.start, ends), np.maximum(boundary.start, ends)
        self._edges = np.column_stack([boundary.start, boundary.direction, boundary.normal, boundary.length])
        self._fields: OrderedDict[bytes, DistanceField] = OrderedDict()

    @property
    def islands(self) -> tuple[Polygon, ...]:
        """The connected parts of the free space in the (x, z) plane, largest first."""
        return tuple(self.free.geoms)

    @cached_property
    def graph(self) -> VisibilityGraph:
        """The visibility graph of the free space; built when the first geodesic distance is asked for."""
        return VisibilityGraph(self.free)

    def is_navigable(self, position: Any) -> bool:
        """Whether the agent can stand at position (3,); false for NaN."""
        return bool(shapely.intersects_xy(self.free, float(position[0]), float(position[2])))

    def island(self, position: Any) -> int:
        """Index into ``islands`` of the part that holds position (3,), -1 where the agent cannot stand."""
        point = Point(float(position[0]), float(position[2]))
        return next((i for i, part in enumerate(self.free.geoms) if part.intersects(point)), -1)

    def reachable_cells(self, position: Any, cell: float) -> FloorCells:
        """See ``reachable_floor``."""
        part = self.free.geoms[max(self.island(position), 0)]
        x0, z0, x1, z1 = part.bounds
        corner, (rows, columns) = lattice((x0, z0), (x1, z1), cell)
        z, x = ((first + np.arange(count) + 0.5) * cell for first, count in zip(corner, (rows, columns), strict=True))
        shapely.prepare(part)
        return FloorCells(shapely.contains_xy(part, *np.meshgrid(x, z)), corner)

    def snap(self, position: Any) -> Array:
        """The navigable position (3,) nearest to position (3,); itself where it is navigable."""
        x, y, z = _finite(position, "position")
        if shapely.intersects_xy(self.free, x, z):
            return np.array([x, y, z])
        near = nearest_points(self._core, Point(x, z))[0]
        return np.array([near.x, y, near.y])

    def sample(self, rng: np.random.Generator) -> Array:
        """A navigable position (3,) with y = 0, uniform over the area of the free space."""
        corners, cumulative = self._triangles
        a, b, c = corners[np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")]
        u, v = rng.random(2)
        if u + v > 1:
            u, v = 1 - u, 1 - v
        x, z = a + u * (b - a) + v * (c - a)
        return self.snap((x, 0.0, z))

    @cached_property
    def _triangles(self) -> tuple[Array, Array]:
        parts = shapely.get_parts(shapely.constrained_delaunay_triangles(self._core))
        corners = shapely.get_coordinates(parts).reshape(-1, 4, 2)[:, :3]
        return corners, np.cumsum(shapely.area(parts))

    def geodesic_distance(self, a: Any, b: Any) -> float:
        """Metres along the floor from a (3,) to b (3,); ``inf`` where there is no way or one of them is not navigable.

        Distances to the same ``b`` are cheap after the first.
        """
        return float(self.geodesic_distances(np.asarray(a, dtype=np.float64)[None], b)[0])

    def geodesic_distances(self, points: Any, goal: Any) -> Array:
        """Geodesic distances (N,) from points (N, 3) to one goal (3,)."""
        points = np.asarray(points, dtype=np.float64)
        result = np.full(len(points), np.inf)
        field = self._field(goal)
        inside, flat = self._inside(points[:, ::2])
        if field is not None and inside.any():
            distance, _ = self.graph.first_nodes(field, flat[inside])
            straight = points[inside, ::2] - np.asarray(goal, dtype=np.float64)[::2]
            result[inside] = np.maximum(distance, np.hypot(straight[:, 0], straight[:, 1]))
        return result

    def shortest_path(self, a: Any, b: Any) -> Array:
        """The corners (N, 3) of a shortest path, both ends included; (0, 3) where there is no way."""
        field = self._field(b)
        a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
        inside, flat = self._inside(a[None, ::2])
        if field is None or not inside[0]:
            return np.zeros((0, 3))
        node = int(self.graph.first_nodes(field, flat)[1][0])
        if node < 0:
            return np.zeros((0, 3))
        corners = [a]
        while node != len(field.nodes) - 1:
            corners.append(np.array([field.nodes[node, 0], a[1], field.nodes[node, 1]]))
            node = int(field.next_node[node])
        return np.stack([*corners, b])

    def _field(self, goal: Any) -> DistanceField | None:
        flat = np.asarray(goal, dtype=np.float64)[::2]
        key = flat.tobytes()
        if key in self._fields:
            self._fields.move_to_end(key)
            return self._fields[key]
        inside, flat = self._inside(flat[None])
        if not inside[0]:
            return None
        self._fields[key] = field = self.graph.field(flat[0])
        if len(self._fields) > _MAX_FIELDS:
            self._fields.popitem(last=False)
        return field

    def _inside(self, points: Array) -> tuple[Array, Array]:
        """Which of points (N, 2) are navigable, and the points, moved strictly inside where they touch the boundary."""
        core = shapely.contains_xy(self._core, points[:, 0], points[:, 1])
        if core.all():
            return core, points
        points = points.copy()
        inside = core | shapely.intersects_xy(self.free, points[:, 0], points[:, 1])
        for i in np.flatnonzero(inside & ~core):
            near = nearest_points(self._core, Point(points[i]))[0]
            points[i] = near.x, near.y
        return inside, points

    def move(self, position: Any, displacement: Any, allow_sliding: bool = True) -> tuple[Array, bool]:
        """Move the agent until it meets the boundary, then (if allowed) on along the wall, as Habitat does.

        Where the way is blocked, what is left of the displacement is projected on the wall that was hit; at most
        4 times. Nothing is stepped over: the collision test is continuous.

        Args:
            position: navigable (3,).
            displacement: (3,) metres; its y is ignored.
            allow_sliding: False stops at the first contact.

        Returns:
            The new position (3,), always navigable, and whether the agent collided:
            ``moved**2 + 1e-5 < requested**2``, Habitat's rule.

        Raises:
            ValueError: for a position that is not navigable, or numbers that are not finite.
        """
        x, y, z = _finite(position, "position")
        dx, _, dz = _finite(displacement, "displacement")
        if not shapely.intersects_xy(self.free, x, z):
            raise ValueError(f"the agent cannot move from ({x:.3f}, {y:.3f}, {z:.3f}), which is not navigable")
        reach = math.hypot(dx, dz) + _SKIN
        near = ((self._low <= (x + reach, z + reach)) & (self._high >= (x - reach, z - reach))).all(1)
        edges = self._edges[near].tolist()
        new_x, new_z = _slide(x, z, dx, dz, edges, _MAX_SLIDES if allow_sliding else 0)
        if not shapely.intersects_xy(self.free, new_x, new_z):
            new_x, new_z = x, z
        moved = (new_x - x) ** 2 + (new_z - z) ** 2
        return np.array([new_x, y, new_z]), moved + COLLISION_SLACK < dx * dx + dz * dz


def _slide(x: float, z: float, dx: float, dz: float, edges: list[list[float]], slides: int) -> tuple[float, float]:
    """Move (x, z) by (dx, dz), sliding on contact with edges: (start, direction, inward normal, length) each."""
    for _ in range(slides + 1):
        nearest, hit = 1.0 + 1e-9, None
        tiny = 1e-9 * math.hypot(dx, dz)
        for edge in edges:
            ax, az, ex, ez, nx, nz, length = edge
            approach = -(dx * nx + dz * nz)
            if approach <= tiny:
                continue
            height = (x - ax) * nx + (z - az) * nz
            if height < -1e-6:
                continue
            contact = height / approach
            if contact >= nearest:
                continue
            along = (x + contact * dx - ax) * ex + (z + contact * dz - az) * ez
            if -1e-9 <= along <= length + 1e-9:
                nearest, hit = contact, (nx, nz, height, approach)
        if hit is None:
            return x + dx, z + dz
        nx, nz, height, approach = hit
        # Stopping a hair before the wall keeps rounding from ever carrying the agent through it.
        free = max((height - _SKIN) / approach, 0.0)
        x, z = x + free * dx, z + free * dz
        dx, dz = (1.0 - free) * dx, (1.0 - free) * dz
        into = dx * nx + dz * nz
        dx, dz = dx - into * nx, dz - into * nz
        if math.hypot(dx, dz) < 1e-7:
            break
    return x, z


def _polygons(geometry: BaseGeometry) -> MultiPolygon:
    """The polygons of any geometry, largest first, without specks."""
    parts = [p for p in shapely.get_parts(geometry, return_index=False) if isinstance(p, Polygon)]
    return MultiPolygon(sorted((p for p in parts if p.area > _SMALLEST_ISLAND), key=lambda p: -p.area))


def _finite(vector: Any, name: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(v) for v in vector)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be three numbers (x, y, z) in metres, got {vector!r}") from error
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise ValueError(f"{name} must be finite, got ({x}, {y}, {z})")
    return x, y, z
