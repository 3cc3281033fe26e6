"""The height of the floor inside convex polygons, as triangles (Recast's detail mesh).

Where the floor between a polygon's corners is further from flat than allowed, corners are added along its edges and
inside it. Sums are float32 in Recast's order, because heights differ by whole cells and the limit is often just that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.delaunay import delaunay, hull_triangles
from mirage_env.simulators.mesh.navmesh.floors import Floors
from mirage_env.simulators.mesh.navmesh.heights import height_at, height_patch
from mirage_env.simulators.mesh.navmesh.loops import loop, plain
from mirage_env.simulators.mesh.navmesh.polygons import Polygons
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings
from mirage_env.simulators.mesh.navmesh.surface import off_edge, put
from mirage_env.simulators.mesh.navmesh.voxels import Grid

_MOST_CORNERS = 127
_MOST_PER_EDGE = 32
_JITTER_X, _JITTER_Z = np.int64(0x8DA6B343), np.int64(0xD8163841)
_ZERO, _ONE, _TWO, _HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
_TINY, _ON_EDGE, _JITTER, _FAR = np.float32(1e-6), np.float32(1e-6), np.float32(0.1), np.float32(3.4e38)


class Detail(NamedTuple):
    """Triangles of polygons.

    Attributes:
        start: (P + 1,) int32, where each polygon's triangles begin.
        corners: (T, 3, 3) float32, world.
        border: (T, 3) bool, whether the edge from corner i to the next lies on the polygon's border.
    """

    start: Array
    corners: Array
    border: Array


def detail_of(polygons: Polygons, floors: Floors, region: Array, grid: Grid, settings: NavigationSettings) -> Detail:
    """The triangles that give the height of each polygon."""
    scale = np.array([grid.cell, grid.cell_height, grid.cell], dtype=np.float32)
    world = grid.low + polygons.corners.astype(np.float32) * scale
    sample = np.float32(settings.detail_sample_distance) * grid.cell
    if settings.detail_sample_distance < 0.9:
        sample = np.float32(0)
    error = np.float32(settings.detail_sample_error) * grid.cell_height
    radius = max(1, int(np.ceil(settings.edge_max_error)))
    part = _parts(floors)
    part_of_region = np.zeros(int(region.max()) + 1, dtype=np.int64)
    part_of_region[region] = part
    start, corners, border = [0], [np.zeros((0, 3, 3), np.float32)], [np.zeros((0, 3), np.bool_)]
    for row, own in zip(polygons.polygons, polygons.region, strict=True):
        ring = row[row >= 0]
        on_grid = polygons.corners[ring]
        x0, z0 = np.maximum(on_grid[:, [0, 2]].min(0) - 1, 0).tolist()
        x1, z1 = np.minimum(on_grid[:, [0, 2]].max(0) + 1, (grid.width, grid.depth)).tolist()
        local = on_grid.astype(np.float32) * scale
        y, connected = int(on_grid[0, 1]), int(part_of_region[own])
        if (on_grid[:, 1] == y).all() and _is_flat(floors, part, connected, (x0, x1, z0, z1), y, grid.width):
            points, triangles = local, plain(hull_triangles)(local, np.roll(np.arange(len(ring)), 1), len(ring))
        else:
            patch = height_patch(*floors[:4], region, on_grid, int(own), x0, x1, z0, z1, grid.width)
            points, triangles = _triangles(local, patch, x0, z0, grid.cell, grid.cell_height, sample, error, radius)
        start.append(start[-1] + len(triangles))
        border.append(plain(_on_border)(points + grid.low, triangles, local + grid.low))
        lifted = points + grid.low + np.array([0, grid.cell_height, 0], dtype=np.float32)
        lifted[: len(ring)] = world[ring]
        corners.append(lifted[triangles])
    return Detail(np.array(start, dtype=np.int32), np.concatenate(corners), np.concatenate(border))


def _is_flat(floors: Floors, part: Array, own: int, box: tuple[int, int, int, int], y: int, width: int) -> bool:
    """Whether all floor in a box of columns that is connected to a part of the floors lies at one height."""
    x0, x1, z0, z1 = box
    rows = [(floors.start[x0 + z * width], floors.start[x1 + z * width]) for z in range(z0, z1)]
    return all((floors.height[a:b][part[a:b] == own] == y).all() for a, b in rows)


def _parts(floors: Floors) -> Array:
    """The connected part of the floors that each cell (N,) belongs to."""
    cells, sides = np.nonzero(floors.links >= 0)
    n = len(floors.height)
    graph = csr_matrix((np.ones(len(cells), dtype=np.int8), (cells, floors.links[cells, sides])), shape=(n, n))
    return connected_components(graph, directed=False)[1]


@loop
def _on_border(points: Any, triangles: Any, ring: Any) -> Any:
    border = np.zeros(triangles.shape, dtype=np.bool_)
    n = len(ring)
    for t in range(len(triangles)):
        for e in range(3):
            a, b = points[triangles[t, e]], points[triangles[t, (e + 1) % 3]]
            for i in range(n):
                p, q = ring[(i + n - 1) % n], ring[i]
                if off_edge(a, p, q)[0] < _ON_EDGE and off_edge(b, p, q)[0] < _ON_EDGE:
                    border[t, e] = True
    return border


@loop
def _off_segment(point: Any, p: Any, q: Any) -> Any:
    """Squared distance of a point to a segment in space."""
    sx, sy, sz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    dx, dy, dz = point[0] - p[0], point[1] - p[1], point[2] - p[2]
    squared, t = sx * sx + sy * sy + sz * sz, sx * dx + sy * dy + sz * dz
    if squared > _ZERO:
        t = t / squared
    t = min(max(t, _ZERO), _ONE)
    dx, dy, dz = p[0] + t * sx - point[0], p[1] + t * sy - point[1], p[2] + t * sz - point[2]
    return dx * dx + dy * dy + dz * dz


@loop
def _edge_samples(
    a: Any, b: Any, room: int, patch: Any, x0: int, z0: int, cell: Any, high: Any, sample: Any, error: Any, radius: int
) -> Any:
    """The points (K, 3) that an edge from a to b needs between its ends to follow the floor."""
    swapped = a[2] > b[2] if abs(a[0] - b[0]) < _TINY else a[0] > b[0]
    if swapped:
        a, b = b, a
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    n = min(1 + int(np.floor(np.sqrt(dx * dx + dz * dz) / sample)), _MOST_PER_EDGE - 1, room)
    points = np.empty((n + 1, 3), dtype=np.float32)
    for k in range(n + 1):
        u = np.float32(k) / np.float32(n)
        points[k, 0], points[k, 1], points[k, 2] = a[0] + dx * u, a[1] + dy * u, a[2] + dz * u
        points[k, 1] = np.float32(height_at(points[k], patch, x0, z0, cell, high, radius)) * high
    kept = np.zeros(n + 1, dtype=np.bool_)
    kept[0], kept[n] = True, True
    k = 0
    while k < n:
        end = k + 1
        while not kept[end]:
            end += 1
        worst, add = _ZERO, -1
        for m in range(k + 1, end):
            off = _off_segment(points[m], points[k], points[end])
            if off > worst:
                worst, add = off, m
        if add >= 0 and worst > error * error:
            kept[add] = True
        else:
            k = end
    kept[0], kept[n] = False, False
    inner = points[kept]
    return inner[::-1].copy() if swapped else inner


@loop
def _least_extent(ring: Any) -> Any:
    least = _FAR
    for i in range(len(ring)):
        k = (i + 1) % len(ring)
        furthest = _ZERO
        for j in range(len(ring)):
            if j != i and j != k:
                furthest = max(furthest, off_edge(ring[j], ring[i], ring[k])[0])
        least = min(least, furthest)
    return np.sqrt(least)


@loop
def _inside_by(point: Any, ring: Any) -> Any:
    """Squared distance to the border of a polygon, negative inside."""
    nearest, inside = _FAR, False
    j = len(ring) - 1
    for i in range(len(ring)):
        a, b = ring[i], ring[j]
        if (a[2] > point[2]) != (b[2] > point[2]) and point[0] < (b[0] - a[0]) * (point[2] - a[2]) / (b[2] - a[2]) + a[
            0
        ]:
            inside = not inside
        nearest = min(nearest, off_edge(point, b, a)[0])
        j = i
    return -nearest if inside else nearest


@loop
def _off_triangles(point: Any, points: Any, triangles: Any) -> Any:
    """How far above or below the triangles a point is; -1 where there are none."""
    least = _FAR
    slack = np.float32(1e-4)
    for t in range(len(triangles)):
        a, b, c = points[triangles[t, 0]], points[triangles[t, 1]], points[triangles[t, 2]]
        ux, uy, uz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        vx, vy, vz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        wx, wz = point[0] - a[0], point[2] - a[2]
        uu, uv, uw = ux * ux + uz * uz, ux * vx + uz * vz, ux * wx + uz * wz
        vv, vw = vx * vx + vz * vz, vx * wx + vz * wz
        area = uu * vv - uv * uv
        if area == _ZERO:
            continue
        s, r = (vv * uw - uv * vw) * (_ONE / area), (uu * vw - uv * uw) * (_ONE / area)
        if s >= -slack and r >= -slack and s + r <= _ONE + slack:
            least = min(least, abs(a[1] + uy * s + vy * r - point[1]))
    return least if least < _FAR else -_ONE


@loop
def _jitter(i: int, factor: int) -> Any:
    return np.float32((i * factor) & 0xFFFF) / np.float32(65535) * _TWO - _ONE


@loop
def _triangles(
    ring: Any, patch: Any, x0: int, z0: int, cell: Any, high: Any, sample: Any, error: Any, radius: int
) -> Any:
    """Corners (K, 3) float32, those of the ring first, and triangles (T, 3) int64 that follow the floor."""
    n = len(ring)
    points = np.empty((_MOST_CORNERS + 1, 3), dtype=np.float32)
    for i in range(n):
        put(ring[i], points[i])
    count, n_hull = n, np.int64(0)
    hull = np.empty(_MOST_CORNERS + 1, dtype=np.int64)
    for i in range(n):
        j = (i + n - 1) % n
        hull[n_hull] = j
        n_hull += 1
        if sample > _ZERO and count < _MOST_CORNERS - 1:
            room = _MOST_CORNERS - 1 - count
            added = _edge_samples(ring[j], ring[i], room, patch, x0, z0, cell, high, sample, error, radius)
            for k in range(len(added)):
                put(added[k], points[count])
                hull[n_hull] = count
                count, n_hull = count + 1, n_hull + 1
    triangles = hull_triangles(points, hull[:n_hull], n)
    if sample == _ZERO or _least_extent(ring) < sample * _TWO:
        return points[:count].copy(), triangles
    low, top = ring[0].copy(), ring[0].copy()
    for i in range(1, n):
        for k in range(3):
            low[k], top[k] = min(low[k], ring[i, k]), max(top[k], ring[i, k])
    sx0, sx1 = int(np.floor(low[0] / sample)), int(np.ceil(top[0] / sample))
    sz0, sz1 = int(np.floor(low[2] / sample)), int(np.ceil(top[2] / sample))
    places = np.empty(((sx1 - sx0) * (sz1 - sz0), 3), dtype=np.float32)
    found = np.int64(0)
    point = np.empty(3, dtype=np.float32)
    for z in range(sz0, sz1):
        for x in range(sx0, sx1):
            point[0], point[1], point[2] = np.float32(x) * sample, (top[1] + low[1]) * _HALF, np.float32(z) * sample
            if _inside_by(point, ring) > -sample / _TWO:
                continue
            height = np.float32(height_at(point, patch, x0, z0, cell, high, radius)) * high
            # Moved a little: Delaunay triangulation of a regular grid is ambiguous.
            places[found, 0] = point[0] + _jitter(found, _JITTER_X) * cell * _JITTER
            places[found, 1] = height
            places[found, 2] = point[2] + _jitter(found, _JITTER_Z) * cell * _JITTER
            found += 1
    used = np.zeros(found, dtype=np.bool_)
    while count < _MOST_CORNERS:
        worst, add = _ZERO, -1
        for i in range(found):
            if not used[i]:
                off = _off_triangles(places[i], points, triangles)
                if off > worst:
                    worst, add = off, i
        if add < 0 or worst <= error:
            break
        used[add] = True
        put(places[add], points[count])
        count += 1
        triangles = delaunay(points[:count], hull[:n_hull])
    return points[:count].copy(), triangles
