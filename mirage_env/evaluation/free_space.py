"""Which floor cameras have seen, and whether imagined and true floor plans agree on it where an agent can be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import Simulator
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.occupancy import ANKLE, CELL, HEAD

_BEHIND = 0.01
_REACH = 10.0


@dataclass(frozen=True)
class SeenSpace:
    """The floor plan of what cameras saw. Rows go with world z, columns with x.

    Attributes:
        origin: (2,) world x and z of the corner of cell (0, 0).
        cell: metres per cell.
        obstacle: (R, C) bool, cells where a camera saw a surface between ankle and head height.
        open: (R, C) bool, cells whose floor a camera saw: what stood there would have hidden it.
        floor_height: world y of the floor in metres.
    """

    origin: Array
    cell: float
    obstacle: Array
    open: Array
    floor_height: float = 0.0

    @property
    def centres(self) -> Array:
        """World x and z (R, C, 2) of the cells' centres."""
        rows, columns = self.open.shape
        grid = geometry.pixel_grid(rows, columns) * self.cell
        return grid + self.origin

    def decided(self, radius: float) -> tuple[Array, Array]:
        """Where what was seen decides whether an agent of this radius (metres) can be there, (R, C) bool each.

        The first says where it decides that one can, because a camera saw all that its disc covers to be open; the
        second where it decides that one cannot, because a camera saw an obstacle within.
        """
        reach = radius / self.cell
        return _distance(~self.open | self.obstacle) > reach, _distance(self.obstacle) <= reach + 0.5

    def at(self, grid: Array, points: Array) -> Array:
        """Values (N,) of a bool grid (R, C) of this plan at world points (N, 2) as (x, z); False beyond it."""
        column, row = np.floor((points - self.origin) / self.cell).astype(np.int64).T
        inside = (row >= 0) & (column >= 0) & (row < grid.shape[0]) & (column < grid.shape[1])
        found = np.zeros(len(points), dtype=bool)
        found[inside] = grid[row[inside], column[inside]]
        return found


def seen_space(
    depth: Any, poses: Any, intrinsics: Any, floor_height: float = 0.0, cell: float = CELL, reach: float = _REACH
) -> SeenSpace:
    """What cameras saw of the floor and of what stands on it, from true depth.

    Args:
        depth: true z-depth (V, H, W) in metres, 0 = unknown.
        poses: T_world_camera (V, 4, 4).
        intrinsics: K (3, 3).
        floor_height: world y of the floor in metres.
        cell: metres.
        reach: metres from a camera within which its depth is used.

    Raises:
        ValueError: shapes disagree, or nothing was seen.
    """
    z = np.asarray(depth, dtype=np.float64)
    T, K = geometry.check_pose(poses, "poses"), np.asarray(intrinsics, dtype=np.float64)
    if z.ndim != 3 or T.shape != (len(z), 4, 4) or K.shape != (3, 3):
        raise ValueError(
            f"seen_space needs depth (V, H, W), poses (V, 4, 4) and intrinsics (3, 3), got {z.shape}, {T.shape} and "
            f"{K.shape}"
        )
    used = (z > 0) & (z <= reach)
    if not used.any():
        raise ValueError(f"no camera saw anything within {reach:g} m")
    rays = geometry.unproject(geometry.pixel_grid(*z.shape[1:]), np.ones(z.shape[1:]), K)
    points = np.einsum("vij,vhwj->vhwi", T[:, :3, :3], rays * z[..., None]) + T[:, None, None, :3, 3]
    height = points[..., 1] - floor_height
    level = points[used][:, ::2]
    low = np.floor(level.min(0) / cell).astype(np.int64) - 1
    shape = (np.floor(level.max(0) / cell).astype(np.int64) - low + 2)[::-1]
    seen = SeenSpace(low * cell, float(cell), np.zeros(shape, bool), np.zeros(shape, bool), float(floor_height))
    solid = points[used & (height >= ANKLE) & (height <= HEAD)][:, ::2]
    column, row = (np.floor(solid / cell).astype(np.int64) - low).T
    seen.obstacle[row, column] = True
    floor = np.insert(seen.centres, 1, floor_height, axis=-1)
    inverse = np.where(used, 1 / np.maximum(z, 1e-6), np.inf)
    for view, T_world_camera in zip(inverse, T, strict=True):
        seen.open[...] |= _shown(geometry.transform(geometry.invert(T_world_camera), floor), view, K)
    return seen


def _shown(points: Array, inverse: Array, K: Array) -> Array:
    """Which camera points (R, C, 3) lie in a view of inverse depth (H, W), and on or before what it shows."""
    ahead = points[..., 2] > 0.05
    pixels, z = geometry.project(np.where(ahead[..., None], points, 1.0), K)
    inside = ahead & (pixels > 0).all(-1) & (pixels < inverse.shape[::-1]).all(-1)
    # Inverse depth is affine on planes: between pixels, too, the floor is exactly where it is.
    there = map_coordinates(inverse, pixels[inside][:, ::-1].T - 0.5, order=1, mode="nearest")
    shown = np.zeros(inside.shape, dtype=bool)
    shown[inside] = z[inside] * there <= 1 + _BEHIND
    return shown


@dataclass(frozen=True)
class FloorAgreement:
    """Where an agent can be, in truth and imagination, over the cells that what was seen decides.

    Attributes:
        iou: intersection over union of the two free spaces; NaN where neither has any.
        free_recall: share of the truly free cells that are free in imagination.
        blocked_recall: share of the truly blocked cells that are blocked in imagination.
        area: m² that were compared.
    """

    iou: float
    free_recall: float
    blocked_recall: float
    area: float


def floor_agreement(truth: Simulator, imagined: ImaginedSimulator, seen: SeenSpace) -> FloorAgreement:
    """Free-space IoU of the floor plans of a true and an imagined simulator, within what cameras have seen.

    Compared is where the agent's centre can be, at the centres of the cells of ``seen``. A cell counts where the
    cameras' views decide about it: truly free ones where they saw all that the agent's disc would cover, truly blocked
    ones where they saw an obstacle within. Both simulators are left as they were.
    """
    can, cannot = seen.decided(truth.agent_radius)
    maybe = np.argwhere(can | cannot)
    places = seen.centres[maybe[:, 0], maybe[:, 1]]
    points = np.insert(places, 1, seen.floor_height, axis=1)
    true_free = np.array([truth.is_navigable(point) for point in points], dtype=bool)
    navigation = imagined.navigation
    lattice = (places - navigation.origin) / navigation.cell - 0.5
    free = navigation.paths.clearance.along(lattice[:, 1], lattice[:, 0]) >= 0
    counted = np.where(true_free, can[maybe[:, 0], maybe[:, 1]], cannot[maybe[:, 0], maybe[:, 1]])
    true_free, free = true_free[counted], free[counted]
    return FloorAgreement(
        iou=_share((true_free & free).sum(), (true_free | free).sum()),
        free_recall=_share((true_free & free).sum(), true_free.sum()),
        blocked_recall=_share((~true_free & ~free).sum(), (~true_free).sum()),
        area=float(counted.sum()) * seen.cell**2,
    )


def _distance(marked: Array) -> Array:
    """Cells (R, C) to the nearest marked one, counting everything beyond the grid as not marked."""
    distance = np.full(marked.shape, math.inf)
    if marked.any():
        distance_transform_edt(~marked, distances=distance)
    return distance


def _share(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else math.nan
