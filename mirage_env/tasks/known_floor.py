"""What a robot with a depth camera and odometry knows of the floor: what it saw, what stands there, where it was."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera
from mirage_env.tasks.seen_floor import ABOVE, CELL, REACH, SeenFloor, floor_in_view, frozen, marked, no_floor

HEAD = 1.5
"""Metres over the floor up to which what stands there is in the way."""

_SPAN = math.ceil(REACH / CELL)


class KnownFloor(NamedTuple):
    """Values on the lattice of ``seen_floor``.

    Attributes:
        seen: floor that was seen.
        solid: where something stands.
        settled: cells that hold nothing more to find out: where the agent was, and what it gave up.
    """

    seen: SeenFloor
    solid: SeenFloor
    settled: SeenFloor

    def arrays(self) -> dict[str, Array]:
        """The arrays of all layers by name, such as "seen.cells", for files."""
        layers = self._asdict().items()
        return {f"{name}.{field}": array for name, layer in layers for field, array in layer._asdict().items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, Array]) -> KnownFloor:
        """What ``arrays`` took apart; KeyError or ValueError where it is damaged."""
        layers = {}
        for name in cls._fields:
            layer = SeenFloor(*(frozen(arrays[f"{name}.{field}"]) for field in SeenFloor._fields))
            storeys = len(layer.heights)
            shaped = layer.cells.ndim == 3 and len(layer.cells) == storeys > 0 and layer.corner.shape == (2,)
            if not shaped or layer.cells.dtype != np.bool_ or layer.corner.dtype != np.int64:
                raise ValueError("the floor that the agent knows is damaged")
            layers[name] = layer
        return cls(**layers)


class Sight(NamedTuple):
    """What one view shows of the floor: cells (N, N) bool around the camera.

    Attributes:
        corner: row and column on the lattice of the first cell.
        solid: in which something stands, see ``solid_in_view``.
        floor: whose floor is seen, see ``seen_floor.floor_in_view``.
        height: metres, of the feet of the agent that sees it.
    """

    corner: tuple[int, int]
    solid: Array
    floor: Array
    height: float


def sighted(view: Any, camera: Camera) -> Sight:
    """What a view shows, with ``depth`` (H, W) and ``pose`` T_world_camera (4, 4)."""
    seen = view.depth, view.pose, camera.intrinsics, camera.height
    # Both lattices of cells lie around the camera alike.
    (corner, solid), (_, floor) = solid_in_view(*seen), floor_in_view(*seen)
    return Sight(corner, solid, floor, float(view.pose[1, 3]) - camera.height)


def nothing_known(height: float) -> KnownFloor:
    """Of a storey of this height in metres."""
    return KnownFloor(*(no_floor(height) for _ in KnownFloor._fields))


def look(known: KnownFloor, view: Any, camera: Camera) -> KnownFloor:
    """What is known after a view, with ``depth`` (H, W) and ``pose`` T_world_camera (4, 4)."""
    return told(known, sighted(view, camera), view.pose)


def told(known: KnownFloor, sight: Sight, pose: Array) -> KnownFloor:
    """What is known after a sight from ``pose`` T_world_camera (4, 4)."""
    seen = marked(known.seen, sight.corner, sight.floor, sight.height)
    solid = marked(known.solid, sight.corner, sight.solid, sight.height)
    return settle(known._replace(seen=seen, solid=solid), pose, sight.height)


def settle(known: KnownFloor, at: Array, height: float, radius: float = 0.2) -> KnownFloor:
    """With the cells within ``radius`` metres of a place settled: of a pose (4, 4) or a point (3,)."""
    x, z = (at[0, 3], at[2, 3]) if at.shape == (4, 4) else (at[0], at[2])
    corner, disc = _disc(float(x), float(z), radius)
    return known._replace(settled=marked(known.settled, corner, disc, height))


def bumped(known: KnownFloor, position: Array, way: Array) -> KnownFloor:
    """After a step from ``position`` along ``way`` (3,) metres was blocked: something stands at its end."""
    one = np.ones((1, 1), dtype=bool)
    return known._replace(solid=marked(known.solid, cell_of(position + way), one, float(position[1])))


def cell_of(place: Array) -> tuple[int, int]:
    """Row and column on the lattice of the cell that a place (3,) lies in."""
    return math.floor(place[2] / CELL), math.floor(place[0] / CELL)


def solid_in_view(depth: Array, pose: Array, K: Array, camera_height: float) -> tuple[tuple[int, int], Array]:
    """The cells in which a view shows something from ``ABOVE`` to ``HEAD`` metres over the floor plane.

    Arguments and results are those of ``floor_in_view``.
    """
    T = np.asarray(pose, dtype=np.float64)
    height, width = depth.shape
    right = (np.arange(width) + 0.5 - K[0, 2]) / K[0, 0]
    down = ((np.arange(height) + 0.5 - K[1, 2]) / K[1, 1])[:, None]
    x, y, z = (depth * (T[i, 0] * right + (T[i, 1] * down + T[i, 2])) for i in range(3))
    over = y + camera_height
    solid = (depth > 0) & (over > ABOVE) & (over < HEAD) & (x * x + z * z < REACH**2)
    row, column = math.floor(T[2, 3] / CELL) - _SPAN, math.floor(T[0, 3] / CELL) - _SPAN
    rows = np.floor((z[solid] + T[2, 3]) / CELL).astype(np.int64) - row
    columns = np.floor((x[solid] + T[0, 3]) / CELL).astype(np.int64) - column
    shown = np.zeros((2 * _SPAN + 1, 2 * _SPAN + 1), dtype=bool)
    shown[rows, columns] = True
    return (row, column), shown


def _disc(x: float, z: float, radius: float) -> tuple[tuple[int, int], Array]:
    reach = math.ceil(radius / CELL) + 1
    row, column = math.floor(z / CELL) - reach, math.floor(x / CELL) - reach
    offsets = (np.arange(2 * reach + 1) + 0.5) * CELL
    away_z, away_x = row * CELL + offsets - z, column * CELL + offsets - x
    return (row, column), away_z[:, None] ** 2 + away_x**2 <= radius**2
