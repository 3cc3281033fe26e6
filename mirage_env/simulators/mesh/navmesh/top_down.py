"""Maps of a navigable space, seen from above."""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.simulators.mesh.navmesh.loops import loop
from mirage_env.simulators.mesh.navmesh.surface import nearest

_ASIDE = np.float32(1e-2)


@loop
def top_down_islands(mesh: Any, height: Any, pixel: Any, max_y_offset: Any, rows: int, columns: int) -> Any:
    """The island at each point (rows, columns) int32 of a lattice at a height, -1 where the agent cannot stand."""
    found = np.full((rows, columns), -1, dtype=np.int32)
    point, place = np.empty(3, dtype=np.float32), np.empty(3, dtype=np.float32)
    point[1] = height
    point[2] = mesh.low[2]
    for r in range(rows):
        point[0] = mesh.low[0]
        for c in range(columns):
            p = nearest(mesh, point, -1, place)
            if p >= 0 and abs(place[1] - height) <= max_y_offset:
                dx, dz = point[0] - place[0], point[2] - place[2]
                if np.sqrt(dx * dx + dz * dz) <= _ASIDE:
                    found[r, c] = mesh.island[p]
            point[0] += pixel
        point[2] += pixel
    return found
