"""Exact shortest paths among polygons: a visibility graph over the corners that paths can bend around.

Everything here is two-dimensional: points (N, 2) are (x, z) in metres. A shortest path in a polygon is a chain of
straight pieces that bends only at reflex corners (obstacle corners), and touches each of them tangentially; so the
graph joins reflex corners that see one another along a tangent of both, and few pairs are left to be tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.polygon import orient

from mirage_env.geometry import Array

NODE_OFFSET = 1e-6
"""Graph nodes stand this far (m) inside the free space, so that a path along a wall does not touch the wall: touching
can then count as blocked, which keeps the crossing test free of special cases."""

_ON_LINE = 1e-9
_TANGENT = 1e-7
_CHUNK = 1 << 17


def _rings(free: MultiPolygon) -> Iterator[Array]:
    """Corners (n, 2) of every ring, first not repeated, with the free space on the left of each edge."""
    for polygon in free.geoms:
        oriented = orient(polygon, 1.0)
        for ring in (oriented.exterior, *oriented.interiors):
            yield shapely.get_coordinates(ring)[:-1]


@dataclass(frozen=True)
class Boundary:
    """The directed edges of a free space, which lies to their left.

    Attributes:
        start: (E, 2) first end of each edge.
        direction: (E, 2) unit vectors along the edges.
        length: (E,) metres.
        normal: (E, 2) unit vectors into the free space.
        corners: (V, 2) reflex corners, where a shortest path can bend.
        before, after: (V, 2) the neighbours of those corners on their ring.
        nodes: (V, 2) the corners, moved into the free space by ``NODE_OFFSET``.
    """

    start: Array
    direction: Array
    length: Array
    normal: Array
    corners: Array
    before: Array
    after: Array
    nodes: Array

    @classmethod
    def of(cls, free: MultiPolygon | Polygon) -> Boundary:
        rings = list(_rings(free if isinstance(free, MultiPolygon) else MultiPolygon([free])))
        start = np.concatenate(rings) if rings else np.zeros((0, 2))
        before = np.concatenate([np.roll(r, 1, axis=0) for r in rings]) if rings else start
        after = np.concatenate([np.roll(r, -1, axis=0) for r in rings]) if rings else start
        edge = after - start
        length = np.hypot(edge[:, 0], edge[:, 1])
        direction = edge / length[:, None]
        normal = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
        incoming = start - before
        incoming /= np.hypot(incoming[:, 0], incoming[:, 1])[:, None]
        reflex = incoming[:, 0] * direction[:, 1] - incoming[:, 1] * direction[:, 0] < -1e-6
        bisector = np.stack([-incoming[:, 1], incoming[:, 0]], axis=1) + normal
        bisector /= np.maximum((bisector**2).sum(1) / 2, 0.1)[:, None]
        corners = start[reflex]
        nodes = corners + NODE_OFFSET * bisector[reflex]
        return cls(start, direction, length, normal, corners, before[reflex], after[reflex], nodes)

    def coordinates(self, points: Array) -> tuple[Array, Array]:
        """Of points (N, 2) relative to every edge: height above it and place along it, both (N, E) in metres."""
        height = points @ self.normal.T - (self.start * self.normal).sum(1)
        along = points @ self.direction.T - (self.start * self.direction).sum(1)
        return height, along

    def visible(self, p: Array, q: Array) -> Array:
        """Whether the straight piece from p[i] to q[i] (both (N, 2)) stays in the free space; bool (N,)."""
        clear = np.ones(len(p), dtype=bool)
        step = max(1, _CHUNK // max(1, len(self.length)))
        for i in range(0, len(p), step):
            rows = slice(i, i + step)
            clear[rows] = ~self.blocked(*self.coordinates(p[rows]), *self.coordinates(q[rows]))
        return clear

    def blocked(self, height_p: Array, along_p: Array, height_q: Array, along_q: Array) -> Array:
        """The crossing test behind ``visible``, on what ``coordinates`` gives; (N, E) or (E,) each."""
        crosses = (height_p < -_ON_LINE) != (height_q < -_ON_LINE)
        with np.errstate(divide="ignore", invalid="ignore"):
            where = along_p + height_p / (height_p - height_q) * (along_q - along_p)
        return (crosses & (where >= -_ON_LINE) & (where <= self.length + _ON_LINE)).any(-1)

    def tangent(self, viewer: Array, corner: Array, before: Array, after: Array) -> Array:
        """Whether the line from viewer to corner leaves both neighbours of the corner on one side; all (..., 2)."""
        line = corner - viewer
        line = line / np.maximum(np.sqrt((line**2).sum(-1)), 1e-12)[..., None]
        a, b = before - corner, after - corner
        side_a = line[..., 0] * a[..., 1] - line[..., 1] * a[..., 0]
        side_b = line[..., 0] * b[..., 1] - line[..., 1] * b[..., 0]
        return ~(((side_a > _TANGENT) & (side_b < -_TANGENT)) | ((side_a < -_TANGENT) & (side_b > _TANGENT)))


@dataclass(frozen=True)
class DistanceField:
    """Exact distances to one goal: of the graph's nodes, from which those of any point follow.

    Attributes:
        goal: (2,) metres.
        nodes: (V + 1, 2) the graph's nodes, the goal last.
        distance: (V + 1,) from the nodes to the goal, ``inf`` where there is no way.
        next_node: (V + 1,) the node that follows on the way to the goal, negative at the goal or where there is no way.
    """

    goal: Array
    nodes: Array
    distance: Array
    next_node: Array


class VisibilityGraph:
    """All tangent sight lines between the reflex corners of a free space, with their lengths."""

    def __init__(self, free: MultiPolygon | Polygon) -> None:
        self.boundary = b = Boundary.of(free)
        count = len(b.nodes)
        self._height, self._along = b.coordinates(b.nodes)
        i, j = np.triu_indices(count, 1)
        i, j = self._tangent_pairs(i, j)
        clear = np.ones(len(i), dtype=bool)
        step = max(1, _CHUNK // max(1, len(b.length)))
        for k in range(0, len(i), step):
            a, c = i[k : k + step], j[k : k + step]
            clear[k : k + step] = ~b.blocked(self._height[a], self._along[a], self._height[c], self._along[c])
        self._i, self._j = i[clear], j[clear]
        edge = b.nodes[self._i] - b.nodes[self._j]
        self._weight = np.hypot(edge[:, 0], edge[:, 1])

    def _tangent_pairs(self, i: Array, j: Array) -> tuple[Array, Array]:
        b = self.boundary
        for near, far in ((0, 1), (1, 0)):
            ends = (i, j)
            v = ends[far]
            keep = b.tangent(b.corners[ends[near]], b.corners[v], b.before[v], b.after[v])
            i, j = i[keep], j[keep]
        return i, j

    def field(self, goal: Array) -> DistanceField:
        """Distances to goal (2,), a point strictly inside the free space."""
        b = self.boundary
        count = len(b.nodes)
        seen = np.flatnonzero(b.tangent(goal[None], b.corners, b.before, b.after))
        if len(seen):
            height, along = b.coordinates(goal[None])
            seen = seen[~b.blocked(height, along, self._height[seen], self._along[seen])]
        to_goal = b.nodes[seen] - goal
        rows = np.concatenate([self._i, seen])
        columns = np.concatenate([self._j, np.full(len(seen), count)])
        weights = np.maximum(np.concatenate([self._weight, np.hypot(to_goal[:, 0], to_goal[:, 1])]), 1e-12)
        graph = csr_array((weights, (rows, columns)), shape=(count + 1, count + 1))
        distance, next_node = dijkstra(graph, directed=False, indices=count, return_predecessors=True)
        return DistanceField(goal, np.concatenate([b.nodes, goal[None]]), distance, next_node)

    def first_nodes(self, field: DistanceField, points: Array) -> tuple[Array, Array]:
        """Distances (N,) of points (N, 2) strictly inside the free space, and the first node on the way (N,) or -1.

        The candidates of a point are tried in the order of the length of the way through them, which is a lower bound
        until it is known that the point sees the node; so few sight lines are tested.
        """
        offset = points[:, None, :] - field.nodes
        bound = np.sqrt(offset[..., 0] ** 2 + offset[..., 1] ** 2) + field.distance
        order = np.argsort(bound, axis=1, kind="stable")
        result, node = np.full(len(points), np.inf), np.full(len(points), -1)
        active, tried, width = np.arange(len(points)), 0, 8
        while len(active) and tried < order.shape[1]:
            candidates = order[active, tried : tried + width]
            bounds = np.take_along_axis(bound[active], candidates, axis=1)
            row, column = np.nonzero(np.isfinite(bounds))
            clear = np.zeros(candidates.shape, dtype=bool)
            clear[row, column] = self.boundary.visible(points[active[row]], field.nodes[candidates[row, column]])
            found = clear.any(1)
            first = clear[found].argmax(1)
            result[active[found]] = bounds[found, first]
            node[active[found]] = candidates[found, first]
            active = active[~found & np.isfinite(bounds[:, -1])]
            tried, width = tried + width, 32
        return result, node
