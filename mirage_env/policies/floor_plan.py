"""Where an agent can go, and what is still to be seen, as far as it knows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation, label

from mirage_env.geometry import Array
from mirage_env.simulators.grid_navigation import GridNavigation
from mirage_env.tasks.known_floor import KnownFloor
from mirage_env.tasks.seen_floor import CELL, SeenFloor

MARGIN = 10
"""Cells of unknown floor around what is known."""
SMALLEST = 4
"""Cells of a frontier, at least; fewer are gaps between pixels."""


class Plan(NamedTuple):
    """The storey on which an agent stands, made ready for searching ways.

    Attributes:
        navigation: over what stands there; unknown floor is free.
        frontier: (H, W) of unknown cells in which the agent could stand, beside known ones: how many of them are joined
            there; 0 elsewhere.
    """

    navigation: GridNavigation
    frontier: Array


def plan(known: KnownFloor, position: Array, radius: float, blind: float) -> Plan:
    """What is known of the storey on which an agent of this radius stands at ``position`` (3,).

    Frontiers border on floor that it knows a way to; what is within ``blind`` metres counts as a way for that.
    """
    height = float(position[1])
    layers = [layer for layer in known if layer.cells.size]
    low = np.min([layer.corner for layer in layers], axis=0) - MARGIN
    high = np.max([layer.corner + layer.cells.shape[1:] for layer in layers], axis=0) + MARGIN
    seen, solid, settled = (_cut(layer, height, low, high) for layer in known)
    navigation = GridNavigation(solid, low[::-1] * CELL, CELL, radius)
    free = navigation.navigable
    found = seen | settled
    parts = np.zeros(free.shape, dtype=np.int32)
    row, column = np.floor(position[[2, 0]] / CELL).astype(np.int64) - low
    rows, columns = np.ogrid[: free.shape[0], : free.shape[1]]
    near = (rows - row) ** 2 + (columns - column) ** 2 <= (blind / CELL) ** 2
    label(free & (found | near), output=parts)
    beside: Array = binary_dilation(found & np.isin(parts, parts[near & (parts > 0) & found]))
    label(free & ~found & beside, np.ones((3, 3)), output=parts)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return Plan(navigation, np.where(sizes >= SMALLEST, sizes, 0)[parts])


def _cut(layer: SeenFloor, height: float, low: Array, high: Array) -> Array:
    """A storey's cells (H, W) from low to high (excluded) on the lattice, which hold all of them."""
    cells = np.zeros(high - low, dtype=bool)
    top, left = layer.corner - low
    if layer.cells.size:
        _, rows, columns = layer.cells.shape
        cells[top : top + rows, left : left + columns] = layer.storey(height)
    return cells
