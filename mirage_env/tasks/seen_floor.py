"""Which floor an agent has seen, from the depth of its views and where they were taken.

The floor plane of a view lies at the agent's feet. It is divided into cells of ``CELL`` metres on a lattice anchored at
the world's origin: cell (r, c) covers x from c to c + 1 and z from r to r + 1 cells. A cell within ``REACH`` metres is
seen where its centre projects into the view and the view's depth there is that of the plane. Whether it is, is asked of
the pixel, for there a surface that is off by a share of its depth is off by the same share of the camera's height: its
surface must lie at most ``ABOVE`` over the plane and ``BELOW`` under it, and rise less than half as steeply as an
upright one towards one of the pixels over and under it.

The tolerances are those at which truth and imagination differ least. Over views of generated homes (128 pixels), 3 % of
the cells that are taken for seen are not, half of them behind the feet of walls, and 2 % are missed; in imagined views,
whose depth is estimated, the seen area is 0.83 of the true one. Without the slope 11 % are not, with ``ABOVE`` halved
0.74 are left. ``BELOW`` is also as wide because Habitat's navigable floor may lie 0.2 m over the one that is drawn.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera

CELL = 0.1
"""Metres."""
REACH = 5.0
"""Metres along the floor up to which it is looked at; at 128 pixels and 90 degrees one of them covers 0.3 m there."""
ABOVE, BELOW = 0.1, 0.25
"""Metres over and under the floor plane at which a surface is floor."""
STEEP = 0.5
"""Share of the rise of an upright surface, from one pixel to the next, from which on a surface is no floor."""
STOREY = 1.0
"""Metres between heights of feet from which on they stand on different storeys."""

_GROWTH = 32
_SPAN = math.ceil(REACH / CELL)
_OFFSETS = (np.arange(-_SPAN, _SPAN + 1) + 0.5) * CELL


class SeenFloor(NamedTuple):
    """The floor seen so far, as a value; arrays are read-only, and shared by what comes after.

    Attributes:
        cells: (S, H, W) bool, the seen cells of each storey.
        corner: (2,) int64, row and column on the lattice of cells[:, 0, 0].
        heights: (S,) float64, metres, of the feet of the agent that saw the storeys first.
    """

    cells: Array
    corner: Array
    heights: Array

    @property
    def area(self) -> float:
        """m² of all storeys."""
        return float(np.count_nonzero(self.cells)) * CELL**2

    @property
    def origin(self) -> Array:
        """World x and z (2,) of the corner of cells[:, 0, 0], metres."""
        return self.corner[::-1] * CELL

    def storey(self, height: float) -> Array:
        """The cells (H, W) of the storey that is nearest to feet at this height in metres."""
        return self.cells[int(np.abs(self.heights - height).argmin())]


def no_floor(height: float) -> SeenFloor:
    """Nothing seen, on a storey of this height in metres."""
    return SeenFloor(*map(frozen, (np.zeros((1, 0, 0), bool), np.zeros(2, np.int64), np.array([float(height)]))))


def see(seen: SeenFloor, view: Any, camera: Camera) -> SeenFloor:
    """What is seen after a view; ``seen`` itself where that shows no new floor.

    Args:
        view: with ``depth`` (H, W) in metres and ``pose`` T_world_camera (4, 4).
        camera: that took it.
    """
    corner, shown = floor_in_view(view.depth, view.pose, camera.intrinsics, camera.height)
    return marked(seen, corner, shown, float(view.pose[1, 3]) - camera.height)


def marked(seen: SeenFloor, corner: tuple[int, int], shown: Array, height: float) -> SeenFloor:
    """With more cells; ``seen`` itself where none of them is new.

    Args:
        corner: row and column on the lattice of shown[0, 0].
        shown: (N, M) bool, which cells to add.
        height: metres, of the feet that stand on their storey.
    """
    if not shown.any():
        return seen
    grown, part, where = _room_for(seen, corner, shown, height)
    if not (part & ~grown.cells[where]).any():
        return seen
    cells = grown.cells.copy()
    cells[where] |= part
    return grown._replace(cells=frozen(cells))


def added(counts: SeenFloor, corner: tuple[int, int], amounts: Array, height: float, most: int) -> SeenFloor:
    """With amounts (N, M) added to the cells, which are whole numbers from -most to most; see ``marked``."""
    if not amounts.any():
        return counts
    grown, part, where = _room_for(counts, corner, amounts, height)
    cells = grown.cells.copy()
    cells[where] = np.clip(cells[where] + part, -most, most)
    return grown._replace(cells=frozen(cells))


def floor_in_view(depth: Array, pose: Array, K: Array, camera_height: float) -> tuple[tuple[int, int], Array]:
    """The cells of the floor plane that a view shows.

    Args:
        depth: z-depth (H, W) in metres, 0 = unknown.
        pose: T_world_camera (4, 4).
        K: intrinsics (3, 3).
        camera_height: metres above the floor plane.

    Returns:
        Row and column on the lattice of the first cell, and which cells (N, N) bool around the camera are seen.
    """
    T = np.asarray(pose, dtype=np.float64)
    row, column = math.floor(T[2, 3] / CELL), math.floor(T[0, 3] / CELL)
    away_z, away_x = row * CELL + _OFFSETS - T[2, 3], column * CELL + _OFFSETS - T[0, 3]
    # Camera coordinates of the cells' centres: sums of what rows and columns of the lattice contribute.
    of_rows, of_columns = np.outer(T[2, :3], away_z), np.outer(T[0, :3], away_x)
    x, y, z = (of_rows[i][:, None] + (of_columns[i] - T[1, i] * camera_height) for i in range(3))
    height, width = depth.shape
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
    inside = (z > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    inside &= away_z[:, None] ** 2 + away_x**2 <= REACH**2
    at = np.flatnonzero(inside)
    pixel = v.ravel()[at].astype(np.int64) * width + u.ravel()[at].astype(np.int64)
    shown = np.zeros(inside.shape, dtype=bool)
    shown.ravel()[at] = _is_floor(depth, T, K, camera_height).ravel()[pixel]
    return (row - _SPAN, column - _SPAN), shown


def _is_floor(depth: Array, T: Array, K: Array, camera_height: float) -> Array:
    """Which pixels (H, W) show a surface on the floor plane."""
    height, width = depth.shape
    right = (np.arange(width, dtype=np.float32) + np.float32(0.5 - K[0, 2])) * np.float32(T[1, 0] / K[0, 0])
    down = (np.arange(height, dtype=np.float32) + np.float32(0.5 - K[1, 2])) * np.float32(T[1, 1] / K[1, 1])
    # How far a ray rises per metre of depth.
    over = depth * (right + (down + np.float32(T[1, 2]))[:, None]) + np.float32(camera_height)
    flat = np.abs(np.diff(over, axis=0)) < depth[1:] * np.float32(STEEP / K[1, 1])
    level = np.zeros(depth.shape, dtype=bool)
    level[1:] |= flat
    level[:-1] |= flat
    return level & (depth > 0) & (over <= ABOVE) & (over >= -BELOW)


def _room_for(
    seen: SeenFloor, corner: tuple[int, int], values: Array, height: float
) -> tuple[SeenFloor, Array, tuple[int | slice, ...]]:
    """The same floor on a grid with room for the values (N, M) that are not 0, the part with these, and its place."""
    rows, columns = np.flatnonzero(values.any(1)), np.flatnonzero(values.any(0))
    part = values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    first = np.array([corner[0] + rows[0], corner[1] + columns[0]])
    seen, storey = _on_storey(seen, height)
    grown = _grown(seen, first, first + part.shape)
    (top, left), (deep, wide) = first - grown.corner, part.shape
    return grown, part, (storey, slice(top, top + deep), slice(left, left + wide))


def _on_storey(seen: SeenFloor, height: float) -> tuple[SeenFloor, int]:
    """The storey of feet at this height, a new one if need be."""
    apart = np.abs(seen.heights - height)
    nearest = int(apart.argmin())
    if apart[nearest] < STOREY:
        return seen, nearest
    cells = np.concatenate([seen.cells, np.zeros_like(seen.cells[:1])])
    return SeenFloor(frozen(cells), seen.corner, frozen(np.append(seen.heights, height))), len(seen.heights)


def with_room(grid: Array, corner: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The same grid (N, H, W, ...) on a lattice, with room for the cells from low to high (excluded), and its corner.

    Args:
        grid: 0 where nothing is known.
        corner: (2,) int64, row and column on the lattice of grid[:, 0, 0].
    """
    first, last = low // _GROWTH * _GROWTH, -(-high // _GROWTH) * _GROWTH
    count, height, width, *rest = grid.shape
    if not grid.size:
        return np.zeros((count, *(last - first), *rest), grid.dtype), first
    end = corner + (height, width)
    first, last = np.minimum(first, corner), np.maximum(last, end)
    if (first == corner).all() and (last == end).all():
        return grid, corner
    around = zip((corner - first).tolist(), (last - end).tolist(), strict=True)
    return np.pad(grid, ((0, 0), *around, *((0, 0) for _ in rest))), first


def _grown(seen: SeenFloor, low: Array, high: Array) -> SeenFloor:
    """The same floor on a grid that holds the lattice cells from low to high (excluded)."""
    cells, corner = with_room(seen.cells, seen.corner, low, high)
    return seen if cells is seen.cells else seen._replace(cells=frozen(cells), corner=frozen(corner))


def frozen(array: Array) -> Array:
    """The array, read-only from now on."""
    array.flags.writeable = False
    return array
