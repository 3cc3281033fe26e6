"""Where an agent could go, as cells of the floor: what coverage is measured against."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import Simulator


class FloorCells(NamedTuple):
    """Cells of a floor on a lattice anchored at the world's origin: cell (r, c) covers x from c to c + 1 and z from r
    to r + 1 cells.

    Attributes:
        cells: (H, W) bool.
        corner: (2,) int64, row and column on the lattice of cells[0, 0].
    """

    cells: Array
    corner: Array


def reachable_floor(simulator: Simulator, position: Array, cell: float) -> FloorCells | None:
    """Cells whose centres an agent at ``position`` (3,) can walk to, of the storey that it stands on.

    Args:
        simulator: a true one, with its scene open.
        position: where the agent can stand, metres, world frame.
        cell: metres.

    Returns:
        None where the simulator has no map of its scene.
    """
    navigation: Any = getattr(simulator, "navigation", None)
    find = getattr(simulator, "reachable_cells", None) or getattr(navigation, "reachable_cells", None)
    return None if find is None else find(position, cell)


def lattice(low: Any, high: Any, cell: float) -> tuple[Array, tuple[int, int]]:
    """Corner (row, column) and shape of the lattice's cells over the floor from low to high (x, z), metres."""
    first = np.floor(np.asarray(low, dtype=np.float64)[::-1] / cell).astype(np.int64)
    last = np.ceil(np.asarray(high, dtype=np.float64)[::-1] / cell).astype(np.int64)
    rows, columns = np.maximum(last - first, 1).tolist()
    return first, (rows, columns)
