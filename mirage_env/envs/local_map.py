"""What an agent remembers of the floor around it, as a small map that turns with it: the observation ``local_map``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera
from mirage_env.tasks.known_floor import KnownFloor, look, nothing_known
from mirage_env.tasks.seen_floor import CELL, SeenFloor

SIDE = 32
"""Cells of the map per side."""
MAP_CELL = 0.25
"""Metres per cell of the map."""
SHAPE = (len(KnownFloor._fields), SIDE, SIDE)
"""Floor that was seen, what stands there, where the agent was."""

_FINE = 3
"""Points per cell and side at which the known floor is looked up: closer than its cells, so that none is missed."""


class Sighting(NamedTuple):
    """What an agent saw, from where it believes to stand: z-depth (H, W) in metres and T_world_camera (4, 4)."""

    depth: Array
    pose: Array


def remembered(known: KnownFloor | None, view: Any, pose: Array, camera: Camera) -> KnownFloor:
    """What is known of the floor after a view that was taken, as far as the agent knows, at ``pose`` (4, 4)."""
    if known is None:
        known = nothing_known(float(pose[1, 3]) - camera.height)
    return look(known, Sighting(view.depth, pose), camera)


def local_map(known: KnownFloor, pose: Array, camera_height: float) -> Array:
    """The known floor around a camera T_world_camera (4, 4).

    Returns:
        (3, SIDE, SIDE) uint8, 1 where floor was seen, where something stands, and where the agent was. The agent is in
        the middle and looks towards row 0; column 0 is to its left.
    """
    position, yaw = geometry.agent_pose(pose, camera_height)
    steps = (np.arange(_FINE * SIDE) + 0.5) * (MAP_CELL / _FINE) - 0.5 * SIDE * MAP_CELL
    ahead, right = geometry.forward(yaw), geometry.forward(yaw - np.pi / 2)
    z = position[2] - steps[:, None] * ahead[2] + steps * right[2]
    x = position[0] - steps[:, None] * ahead[0] + steps * right[0]
    at = np.floor(np.stack([z, x]) / CELL).astype(np.int64)
    fine = np.stack([_looked_up(layer, at, float(position[1])) for layer in known])
    coarse = np.asarray(fine.reshape(len(fine), SIDE, _FINE, SIDE, _FINE).any((2, 4)))
    return coarse.astype(np.uint8)


def _looked_up(layer: SeenFloor, at: Array, height: float) -> Array:
    """Which of the lattice cells ``at`` (2, N, M), rows and columns, are set on the storey at this height."""
    cells = layer.storey(height)
    row, column = at - layer.corner[:, None, None]
    inside = (row >= 0) & (row < cells.shape[0]) & (column >= 0) & (column < cells.shape[1])
    found = np.zeros(inside.shape, dtype=bool)
    found[inside] = cells[row[inside], column[inside]]
    return found
