"""What stands on the floor, by the evidence of many views: an occupancy grid (Moravec and Elfes 1985).

Depth is wrong where a pixel, or a cell of latents, lies on the border of two surfaces, and elsewhere in the next view.
A map that believes every view once and for all closes doors with such errors: a frontier policy with such a map reached
0.92 of 24 goals with exact depth, and 0.67 with the same depth rounded to the cells of latents.
"""

from __future__ import annotations

import numpy as np

from mirage_env.geometry import Array
from mirage_env.tasks.known_floor import Sight, cell_of
from mirage_env.tasks.seen_floor import SeenFloor, added, frozen, no_floor

THING, FLOOR = 4, -1
"""What a view weighs that shows something in a cell, or floor: under tables, too, floor is seen."""
STANDS = 12
"""From which weight on something stands there: three views, if none shows floor."""
MOST = 120
"""Weight of a cell at most, either way, so that what came or went is believed in time."""


def nothing(height: float) -> SeenFloor:
    """Of a storey of this height in metres; cells are weights (S, H, W) int16."""
    floor = no_floor(height)
    return floor._replace(cells=frozen(floor.cells.astype(np.int16)))


def weighed(evidence: SeenFloor, sight: Sight) -> SeenFloor:
    """After what one more view shows."""
    weight = THING * sight.solid.astype(np.int16) + FLOOR * sight.floor
    return added(evidence, sight.corner, weight, sight.height, MOST)


def bumped(evidence: SeenFloor, position: Array, way: Array) -> SeenFloor:
    """After a step from ``position`` along ``way`` (3,) metres was blocked: something stands at its end."""
    sure = np.full((1, 1), 2 * MOST, np.int16)
    return added(evidence, cell_of(position + way), sure, float(position[1]), MOST)


def standing(evidence: SeenFloor) -> SeenFloor:
    """The cells, bool, in which something stands."""
    return evidence._replace(cells=frozen(evidence.cells >= STANDS))
