"""What an agent can bump into in an imagined world: a grid over the floor, filled from the memory's own geometry."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, SpatialMemory
from mirage_env.memory.patches import Surfels
from mirage_env.simulators.kernels import compiled

CELL = 0.05
"""Metres per cell."""
ANKLE, HEAD = 0.12, 1.5
"""What lies between these heights above the floor is in the way, m."""
FLOOR_BAND = 0.1
"""Surfaces this close to the height of the floor are floor, m."""
LEVEL_BAND = 0.3
"""So are level surfels (within 37 degrees) this close to it: floor whose depth is off by up to a quarter, m. What
really stands on the floor shows its upright sides as well."""
LEVEL = 0.8
STREAK_SINE = 0.07
"""Surfels seen at a flatter angle than this (sine of the angle between surface and viewing ray) are streaks."""
REACH = 0.15
"""Metres from its middle up to which a surfel is in the way on a side where no neighbour continues it. Seen from afar
at a flat angle it is half a metre long, and would shut the way beside it: with whole surfels, of views all round at
eight places of a home, one of eight true ways was."""
FAR = 20.0
"""Metres from the camera beyond which depth says nothing about where an agent could walk."""

SPACING = 0.8
"""Cells between samples of a surfel, at most."""
MAX_SAMPLES = 40
"""Of one surfel along either of its sides; larger ones are sampled less densely."""
_GROWTH = 32
_GRIDS = ("solid", "guessed", "floor", "clear", "stood")


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _no_cells() -> Array:
    return _frozen(np.zeros((0, 0), dtype=bool))


@dataclass(frozen=True, eq=False)
class OccupancyGrid:
    """An occupancy grid of one memory, as a value: ``extended`` returns a new one.

    Each token is a surfel, sampled more densely than the cells. A cell is floor where a sample lies at the height of
    the floor, an obstacle where another one lies between ankle and head height (if it was imagined, only where no
    camera saw the floor); everything else is unknown. Obstacles reach from the middle of a surfel to its border only
    towards neighbours that continue it. Left out are streaks between the two surfaces of a depth edge: surfels nearly
    parallel to the ray that saw them, and those that bridge a nearer and a farther neighbour, neither of which
    continues their plane; and what was imagined where a camera saw that there is nothing.

    Rows go with world z, columns with x; the lattice is anchored at the world's origin, so a grid depends on the tokens
    only, not on how often it was extended.

    Attributes:
        floor_height: world y of the floor in metres.
        cell: metres per cell.
        row, column: lattice index of cell (0, 0), whose corner lies at world z = row * cell, x = column * cell.
        solid, guessed: (H, W) bool, cells in which something stands that a camera saw, or that was imagined. Read-only.
        floor, clear: (H, W) bool, cells with floor; those in which a camera saw it. Read-only.
        stood: (H, W) bool, cells that an agent's body filled, see ``standing``. Read-only.
        tokens: how many of the memory's tokens were rasterised.
        removed: how many the memory had removed by then.
        believed: how much in doubt an imagined surface may be, from 0 to 1, to count as ``guessed``: 1 all, 0 none.
    """

    floor_height: float
    cell: float = CELL
    row: int = 0
    column: int = 0
    solid: Array = field(default_factory=_no_cells)
    guessed: Array = field(default_factory=_no_cells)
    floor: Array = field(default_factory=_no_cells)
    clear: Array = field(default_factory=_no_cells)
    stood: Array = field(default_factory=_no_cells)
    tokens: int = 0
    removed: int = 0
    believed: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.floor_height):
            raise ValueError(f"floor_height must be a finite height in metres, got {self.floor_height!r}")
        if not (math.isfinite(self.cell) and self.cell > 0):
            raise ValueError(f"cell must be a positive size in metres, got {self.cell!r}")
        if not 0 <= self.believed <= 1:
            raise ValueError(f"believed must be a doubt from 0 to 1, got {self.believed!r}")

    @property
    def obstacle(self) -> Array:
        """Cells (H, W) in which something stands. What was imagined does not, where a camera saw the floor."""
        return _frozen(self.solid | self.guessed & ~self.clear)

    @property
    def blocked(self) -> Array:
        """Cells (H, W) that an agent cannot touch: obstacles, but for those where one stood."""
        return self.obstacle & ~self.stood

    def blocks_as(self, other: OccupancyGrid) -> bool:
        """Whether the same cells of the same lattice are blocked, as is plain to see: grids that may differ do not."""
        place = (self.row, self.column, self.cell) == (other.row, other.column, other.cell)
        return place and all(
            getattr(self, name) is getattr(other, name) for name in ("solid", "guessed", "clear", "stood")
        )

    @property
    def origin(self) -> Array:
        """World x and z (2,) of the corner of cell (0, 0)."""
        return np.array([self.column, self.row]) * self.cell

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """World x0, x1, z1, z0 of the grid: matplotlib's ``extent`` of an image whose rows go with z."""
        (x, z), (rows, columns) = self.origin, self.obstacle.shape
        return float(x), float(x + columns * self.cell), float(z + rows * self.cell), float(z)

    def extended(self, memory: SpatialMemory) -> OccupancyGrid:
        """The grid with the tokens that the memory holds beyond those known; itself where there are none.

        After the memory removed or replaced tokens, all that it holds is rasterised anew; where an agent stood stays.

        Raises:
            TypeError: it is not a ``LatentMemory``: other memories have no surface to walk into.
            ValueError: the memory holds fewer tokens than were rasterised: it is another one.
        """
        if not isinstance(memory, LatentMemory):
            raise TypeError(f"obstacles are known from a LatentMemory, got a {type(memory).__name__}")
        if memory.removed != self.removed:
            none = _frozen(np.zeros_like(self.floor))
            anew = replace(self, solid=none, guessed=none, floor=none, clear=none, tokens=0, removed=memory.removed)
            return anew.extended(memory)
        count = len(memory)
        if count < self.tokens:
            raise ValueError(f"this grid knows {self.tokens} tokens, but this memory holds {count}: it is another one")
        if count == self.tokens:
            return self
        cells, level, seen = self._sampled(memory)
        if not len(cells):
            return replace(self, tokens=count)
        grid = self._grown(cells.min(0), cells.max(0))
        at = cells - (grid.row, grid.column)
        marks = {"solid": ~level & seen, "guessed": ~level & ~seen, "floor": level, "clear": level & seen}
        grids = {}
        for name, mark in marks.items():
            if mark.any():
                marked = getattr(grid, name).copy()
                marked[at[mark, 0], at[mark, 1]] = True
                grids[name] = _frozen(marked)
        return replace(grid, tokens=count, **grids)

    def standing(self, position: Any, radius: float) -> OccupancyGrid:
        """The grid of a world in which an agent of this radius stands at position (3,): its body fills that place.

        For geometry that is imagined around an agent only after it came there.
        """
        reach = max(radius, self.cell) + self.cell
        centre = np.array([float(position[2]), float(position[0])])
        low, high = (np.floor((centre + d) / self.cell).astype(np.int64) for d in (-reach, reach))
        grid = self._grown(low, high)
        rows, columns = np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1)
        dz, dx = (rows + 0.5) * self.cell - centre[0], (columns + 0.5) * self.cell - centre[1]
        stood = grid.stood.copy()
        part = stood[low[0] - grid.row :, low[1] - grid.column :][: len(rows), : len(columns)]
        part |= dz[:, None] ** 2 + dx**2 <= reach**2
        return replace(grid, stood=_frozen(stood))

    def _sampled(self, memory: LatentMemory) -> tuple[Array, Array, Array]:
        """Lattice cells (S, 2) that the new tokens mark, whether as floor (S,), and whether a camera saw it (S,)."""
        surfels = memory.surfels(self.tokens)
        doubted = surfels.imagined > self.believed
        if not bool(doubted.any()):
            points, cells, level, seen = self._marks(surfels)
        else:
            # What is too doubtful to stand in the way may be floor.
            believed, other = self._marks(surfels.where(~doubted)), self._marks(surfels.where(doubted))
            floor = other[2]
            points, cells, level, seen = (np.concatenate([a, b[floor]]) for a, b in zip(believed, other, strict=True))
        doubtful = np.flatnonzero(~seen)
        if len(doubtful):
            right = seen.copy()
            right[doubtful] = ~memory.looked_through(points[doubtful]).cpu().numpy()
            cells, level, seen = cells[right], level[right], seen[right]
        return cells, level, seen

    def _marks(self, surfels: Surfels) -> tuple[Array, Array, Array, Array]:
        """Points (S, 3) on surfels that matter, their lattice cells, whether they are floor, and if a camera saw them.

        Compiled loops leave out what the grid knows already.
        """
        kernels = compiled()
        if kernels is not None:
            known = self.row, self.column, self.solid, self.guessed, self.floor, self.clear
            columns = [column.cpu().numpy() for column in surfels]
            return kernels.samples.sample(*columns, self.floor_height, self.cell, *known)
        points, sure, flat, seen = surface_samples(surfels, self.floor_height, self.cell)
        height = points[:, 1] - self.floor_height
        level = (np.abs(height) <= FLOOR_BAND) | (flat & (np.abs(height) <= LEVEL_BAND))
        there = level | (height >= ANKLE) & (height <= HEAD) & sure
        points, level, seen = points[there], level[there], seen[there]
        return points, np.floor(points[:, ::2] / self.cell).astype(np.int64)[:, ::-1], level, seen

    def _grown(self, low: Array, high: Array) -> OccupancyGrid:
        """The same grid, large enough to hold the lattice cells from low to high (both included)."""
        old = np.array([self.row, self.column])
        shape = np.array(self.floor.shape)
        first, last = low // _GROWTH * _GROWTH, (high // _GROWTH + 1) * _GROWTH
        if self.floor.size:
            first, last = np.minimum(first, old), np.maximum(last, old + shape)
            if (first == old).all() and (last == old + shape).all():
                return self
        else:
            old = first
        (top, left), (rows, columns), grids = old - first, shape, {}
        for name in _GRIDS:
            grids[name] = np.zeros(last - first, dtype=bool)
            grids[name][top : top + rows, left : left + columns] = getattr(self, name)
            _frozen(grids[name])
        return replace(self, row=int(first[0]), column=int(first[1]), **grids)


def surface_samples(surfels: Surfels, floor_height: float, cell: float) -> tuple[Array, Array, Array, Array]:
    """Points on surfels that matter to an agent on this floor.

    Returns world points (S, 3), whether each is near its surfel's middle or towards a neighbour that continues it (S,),
    whether it lies on a level surfel (S,), and whether a camera saw it (S,).

    Streaks are left out, and so are surfels wholly outside the heights that matter. Samples of a surfel are at most
    0.8 cells apart (farther on surfels larger than 32 cells).
    """
    position, u, v, viewpoint = (
        t.cpu().numpy().astype(np.float64)
        for t in (surfels.positions, surfels.tangents_u, surfels.tangents_v, surfels.viewpoints)
    )
    ray = position - viewpoint
    distance = np.sqrt((ray**2).sum(1))
    normal = np.cross(u, v)
    normal /= np.maximum(np.sqrt((normal**2).sum(1)), 1e-12)[:, None]
    sine = np.abs((normal * ray).sum(1)) / np.maximum(distance, 1e-12)
    streak = (sine < STREAK_SINE) | surfels.bridges.cpu().numpy()
    reach = (np.abs(u[:, 1]) + np.abs(v[:, 1])) / 2
    height = position[:, 1] - floor_height
    keep = ~streak & (distance <= FAR) & (height + reach >= -LEVEL_BAND) & (height - reach <= HEAD)
    position, u, v, flat = position[keep], u[keep], v[keep], np.abs(normal[keep, 1]) > LEVEL
    extents = surfels.extents.cpu().numpy().astype(np.float64)[keep]
    start_u, size_u = -extents[:, 0], extents[:, 0] + extents[:, 1]
    start_v, size_v = -extents[:, 2], extents[:, 2] + extents[:, 3]
    long_u, long_v = (np.sqrt((tangent**2).sum(1)) for tangent in (u, v))
    n_u, n_v = (
        np.clip(np.ceil(length / (SPACING * cell)), 1, MAX_SAMPLES).astype(np.int64)
        for length in (long_u * size_u, long_v * size_v)
    )
    count = n_u * n_v
    surfel = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(surfel)) - np.repeat(np.cumsum(count) - count, count)
    i, j = step % n_u[surfel], step // n_u[surfel]
    a = start_u[surfel] + (i + 0.5) * (size_u / n_u)[surfel]
    b = start_v[surfel] + (j + 0.5) * (size_v / n_v)[surfel]
    points, flat = position[surfel] + a[:, None] * u[surfel] + b[:, None] * v[surfel], flat[surfel]
    continued, sure = surfels.continued.cpu().numpy()[keep][surfel], np.ones(len(surfel), dtype=bool)
    for along, long, before in ((a, long_u, 0), (b, long_v, 2)):
        towards = np.where(along < 0, continued[:, before], continued[:, before + 1])
        sure &= (np.abs(along) * long[surfel] <= REACH) | towards
    seen = surfels.imagined.cpu().numpy()[keep][surfel] == 0
    return points, sure, flat, seen
