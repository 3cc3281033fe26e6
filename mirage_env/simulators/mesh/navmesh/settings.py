"""What the navigable space of a mesh is made for."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

_LIMITS = {
    "cell_size": (0.005, 1.0),
    "cell_height": (0.005, 1.0),
    "agent_height": (0.05, 20.0),
    "agent_radius": (0.0, 5.0),
    "max_climb": (0.0, 5.0),
    "max_slope_deg": (0.0, 85.0),
    "region_min_size": (0.0, 1000.0),
    "region_merge_size": (0.0, 1000.0),
    "edge_max_length": (0.0, 1000.0),
    "edge_max_error": (0.1, 10.0),
    "detail_sample_distance": (0.0, 100.0),
    "detail_sample_error": (0.0, 100.0),
}


@dataclass(frozen=True)
class NavigationSettings:
    """Agent and grid, with Habitat's defaults (its ``NavMeshSettings``), but for the radius that this project uses.

    The radius is rounded up, the climb down and the height up to whole cells, as Habitat does.

    Attributes:
        cell_size: metres on the floor per cell.
        cell_height: metres of height per cell; the navigable floor lies up to this far above the mesh.
        agent_height: metres that must be free above the floor.
        agent_radius: metres to keep from everything that cannot be stood on.
        max_climb: metres, the highest step that is walked over.
        max_slope_deg: degrees, the steepest walkable slope.
        region_min_size: cells; parts of fewer cells than the square of this are left out.
        region_merge_size: cells; regions of fewer cells than the square of this are joined to a neighbour if possible.
        edge_max_length: metres, above which a border edge is divided.
        edge_max_error: cells that a simplified border may leave the true one.
        detail_sample_distance: cells between samples of the floor's height, 0: none.
        detail_sample_error: cell heights that the floor between samples may be off.
    """

    cell_size: float = 0.05
    cell_height: float = 0.2
    agent_height: float = 1.5
    agent_radius: float = 0.18
    max_climb: float = 0.2
    max_slope_deg: float = 45.0
    region_min_size: float = 20.0
    region_merge_size: float = 20.0
    edge_max_length: float = 12.0
    edge_max_error: float = 1.3
    detail_sample_distance: float = 6.0
    detail_sample_error: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = _LIMITS[field.name]
            real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
            if not real or not math.isfinite(value) or not low <= value <= high:
                raise ValueError(f"{field.name} must be a number from {low:g} to {high:g}, got {value!r}")

    # Habitat counts in float32; what 0.2 / 0.2 or 0.15 / 0.05 round to there decides on whole cells.
    @property
    def height_cells(self) -> int:
        """Cells that must be free above the floor."""
        return math.ceil(np.float32(self.agent_height) / np.float32(self.cell_height))

    @property
    def climb_cells(self) -> int:
        """Cells of the highest step."""
        return math.floor(np.float32(self.max_climb) / np.float32(self.cell_height))

    @property
    def radius_cells(self) -> int:
        """Cells to keep from obstacles."""
        return math.ceil(np.float32(self.agent_radius) / np.float32(self.cell_size))

    @property
    def edge_length_cells(self) -> int:
        """Cells above which a border edge is divided."""
        return int(np.float32(self.edge_max_length) / np.float32(self.cell_size))
