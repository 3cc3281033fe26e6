"""What stands on the floor, by the evidence of many views: an occupancy grid (Moravec and Elfes 1985).

Depth is wrong where a pixel, or a cell of latents, lies on the border of two surfaces, and elsewhere in the next view.
A map that believes every view once and for all closes doors with such errors: a frontier policy with such a map reached
0.92 of 24 goals with exact depth, and 0.67 with the same depth rounded to the cells of latents.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera
from mirage_env.tasks.known_floor import solid_in_view
from mirage_env.tasks.seen_floor import CELL, SeenFloor, added, floor_in_view, frozen

THING, FLOOR = 4, -1
"""What a view weighs that shows something in a cell, or floor: under tables, too, floor is seen."""
STANDS = 12
"""From which weight on something stands there: three views, if none shows floor."""
MOST = 120
"""Weight of a cell at most, either way, so that what came or went is believed in time."""


def nothing(height: float) -> SeenFloor:
    """Of a storey of this height in metres; cells are weights (S, H, W) int16."""
    empty = np.zeros((1, 0, 0), np.int16), np.zeros(2, np.int64), np.array([float(height)])
    return SeenFloor(*map(frozen, empty))


def weighed(evidence: SeenFloor, view: Any, camera: Camera) -> SeenFloor:
    """After a view, with ``depth`` (H, W) in metres and ``pose`` T_world_camera (4, 4)."""
    sight = view.depth, view.pose, camera.intrinsics, camera.height
    (corner, thing), (_, floor) = solid_in_view(*sight), floor_in_view(*sight)
    weight = THING * thing.astype(np.int16) + FLOOR * floor
    return added(evidence, corner, weight, float(view.pose[1, 3]) - camera.height, MOST)


def bumped(evidence: SeenFloor, position: Array, way: Array) -> SeenFloor:
    """After a step from ``position`` along ``way`` (3,) metres was blocked: something stands at its end."""
    x, _, z = np.floor((position + way) / CELL).astype(int)
    return added(evidence, (z, x), np.full((1, 1), 2 * MOST, np.int16), float(position[1]), MOST)


def standing(evidence: SeenFloor) -> SeenFloor:
    """The cells, bool, in which something stands."""
    return evidence._replace(cells=frozen(evidence.cells >= STANDS))
