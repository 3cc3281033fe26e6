"""The navigable space of a triangle mesh: convex polygons with neighbours, heights and islands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.contours import contours_of
from mirage_env.simulators.mesh.navmesh.detail import Detail, detail_of
from mirage_env.simulators.mesh.navmesh.floors import eroded, linked_floors
from mirage_env.simulators.mesh.navmesh.polygons import Polygons, polygons_of
from mirage_env.simulators.mesh.navmesh.regions import merged_regions
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings
from mirage_env.simulators.mesh.navmesh.voxels import MOST_HEIGHT, Grid, grid_of, solid_spans, standable
from mirage_env.simulators.mesh.navmesh.watershed import watershed

_MOST_COLUMNS = 1 << 26
_SMALLEST_AREA = 1e-5


class NavMesh(NamedTuple):
    """Convex polygons that an agent's feet can be on. All arrays are read only.

    Attributes:
        low, high: (3,) float32, bounds of the mesh.
        sides: (P,) int32, corners per polygon.
        corners: (P, 6, 3) float32, world; those after the last are 0.
        neighbours: (P, 6) int32, the polygon beyond the edge from corner i to the next; -1: none.
        triangle_start: (P + 1,) int32, where each polygon's triangles begin.
        triangles: (T, 3, 3) float32, world: the heights inside the polygons.
        border: (T, 3) bool, whether the edge of a triangle from corner i to the next lies on its polygon's border.
        usable: (P,) bool; polygons without area are not.
        island: (P,) int32, the connected part that each polygon belongs to.
        order: (P + 1,) int32, the order in which polygons are looked through, as in Detour; the first comes once more.
        boxes: (P + 1, 6) int32, low and high x, y, z in cells of the polygons in that order.
        cell: (2,) float32, cell size and the height that is stepped over.
    """

    low: Array
    high: Array
    sides: Array
    corners: Array
    neighbours: Array
    triangle_start: Array
    triangles: Array
    border: Array
    usable: Array
    island: Array
    order: Array
    boxes: Array
    cell: Array


def build_navmesh(vertices: Array, faces: Array, settings: NavigationSettings | None = None) -> NavMesh:
    """The navigable space of a mesh, as habitat-sim makes it with Recast.

    Args:
        vertices: (V, 3) metres, world frame, +Y up.
        faces: (F, 3) int, indices of vertices, counter-clockwise from the front.

    Raises:
        ValueError: for a mesh without faces, coordinates that are not finite, indices out of range, a mesh too large
            for the cells, and one without a floor that the agent can stand on.
    """
    settings = NavigationSettings() if settings is None else settings
    vertices, faces = checked_mesh(vertices, faces)
    _check_extent(vertices, settings)
    grid = grid_of(vertices, settings)
    if grid.width < 1 or grid.depth < 1:
        raise no_floor(vertices, settings)
    spans = standable(solid_spans(vertices, faces, grid, settings), grid, settings)
    floors = eroded(linked_floors(spans, grid, settings), settings)
    region, count = watershed(floors)
    region, count = merged_regions(floors, region, count, settings)
    polygons = polygons_of(contours_of(floors, region, settings))
    if not len(polygons.polygons):
        raise no_floor(vertices, settings)
    detail = detail_of(polygons, floors, region, grid, settings)
    return assembled(polygons, detail, grid, settings)


def checked_mesh(vertices: Array, faces: Array) -> tuple[Array, Array]:
    """Vertices (V, 3) float32 and faces (F, 3) int32, checked."""
    vertices, faces = np.asarray(vertices), np.asarray(faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.issubdtype(vertices.dtype, np.number):
        raise ValueError(f"vertices must be numbers of shape (V, 3), got {vertices.dtype} {vertices.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3 or not np.issubdtype(faces.dtype, np.integer):
        raise ValueError(f"faces must be whole numbers of shape (F, 3), got {faces.dtype} {faces.shape}")
    if not len(faces):
        raise ValueError("the mesh has no faces, so there is no floor to stand on")
    vertices = np.ascontiguousarray(vertices, dtype=np.float32)
    if not np.isfinite(vertices).all():
        bad = int((~np.isfinite(vertices).all(1)).sum())
        raise ValueError(f"{bad} of {len(vertices)} vertices have coordinates that are not finite; repair the mesh")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f"faces must index the {len(vertices)} vertices, got {int(faces.min())} to {int(faces.max())}")
    return vertices, np.ascontiguousarray(faces, dtype=np.int32)


def _check_extent(vertices: Array, settings: NavigationSettings) -> None:
    x, y, z = (vertices.max(0).astype(np.float64) - vertices.min(0)).tolist()
    columns = (x / settings.cell_size) * (z / settings.cell_size)
    if columns > _MOST_COLUMNS or y > MOST_HEIGHT * settings.cell_height:
        raise ValueError(
            f"the mesh is {x:.4g} m wide, {y:.4g} m high and {z:.4g} m deep, too large for cells of "
            f"{settings.cell_size:g} x {settings.cell_height:g} m; check its units, or take larger cells"
        )


def no_floor(vertices: Array, settings: NavigationSettings) -> ValueError:
    """What to say of a mesh that cannot be stood on."""
    x, y, z = (vertices.max(0) - vertices.min(0)).tolist()
    return ValueError(
        f"no floor of this mesh ({x:.1f} m wide, {y:.1f} m high, {z:.1f} m deep) can be stood on by an agent "
        f"{settings.agent_height:g} m high with radius {settings.agent_radius:g} m; if it is drawn with another axis "
        'up, say so by up="z" or up="y", and check that its units are metres and its floor faces up'
    )


def assembled(polygons: Polygons, detail: Detail, grid: Grid, settings: NavigationSettings) -> NavMesh:
    """Polygons on the grid as a ``NavMesh`` in metres."""
    scale = np.array([grid.cell, grid.cell_height, grid.cell], dtype=np.float32)
    present = polygons.polygons >= 0
    world = grid.low + polygons.corners.astype(np.float32) * scale
    corners = np.where(present[..., None], world[polygons.polygons], np.float32(0))
    edge = np.cross(detail.corners[:, 1] - detail.corners[:, 0], detail.corners[:, 2] - detail.corners[:, 1])
    total = np.concatenate([[0], np.cumsum(np.linalg.norm(edge, axis=1) / 2)])
    area = np.diff(total[detail.start])
    boxes = _boxes(detail, grid)
    # Detour's search tree ends in a node too many, all zeros: the first polygon is also found from the low corner.
    order = np.array([*_search_order(boxes, np.arange(len(boxes))), 0], dtype=np.int32)
    boxes = boxes[order]
    boxes[-1] = 0
    high = grid.high.copy()
    high[1] += settings.height_cells * grid.cell_height
    return NavMesh(
        grid.low,
        high,
        present.sum(1).astype(np.int32),
        corners,
        polygons.neighbours,
        detail.start,
        detail.corners,
        detail.border,
        area >= _SMALLEST_AREA,
        _islands(polygons.neighbours),
        order,
        boxes,
        np.array([grid.cell, settings.max_climb], dtype=np.float32),
    )


def _boxes(detail: Detail, grid: Grid) -> Array:
    """Bounds (P, 6) of the polygons in cells, all three axes by the cell size; Detour lifts them by a cell height."""
    first = detail.start[:-1]
    low = np.minimum.reduceat(detail.corners.min(1), first)
    high = np.maximum.reduceat(detail.corners.max(1), first)
    lift = np.array([0, grid.cell_height, 0], dtype=np.float32)
    per_cell = np.float32(1) / grid.cell
    bounds = [((bound + lift - grid.low) * per_cell).astype(np.int64) for bound in (low, high)]
    return np.concatenate(bounds, axis=1).clip(0, 0xFFFF).astype(np.int32)


def _search_order(boxes: Array, these: Array) -> list[int]:
    """Detour's order: halves sorted along the longest side of the bounds, over and over."""
    if len(these) == 1:
        return [int(these[0])]
    size = boxes[these, 3:].max(0) - boxes[these, :3].min(0)
    axis = 0
    for other in (1, 2):
        if size[other] > size[axis]:
            axis = other
    these = these[np.argsort(boxes[these, axis], kind="stable")]
    half = len(these) // 2
    return _search_order(boxes, these[:half]) + _search_order(boxes, these[half:])


def _islands(neighbours: Array) -> Array:
    """The connected part of each polygon (P,), numbered in the order of the polygons."""
    island = np.full(len(neighbours), -1, dtype=np.int32)
    count = 0
    for first in range(len(neighbours)):
        if island[first] >= 0:
            continue
        stack = [first]
        island[first] = count
        while stack:
            for other in neighbours[stack.pop()].tolist():
                if other >= 0 and island[other] < 0:
                    island[other] = count
                    stack.append(other)
        count += 1
    return island
