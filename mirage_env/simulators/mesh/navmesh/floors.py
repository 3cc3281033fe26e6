"""The floors of a scene as linked cells, storeys too, and where an agent of some radius can be (Recast's method)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.loops import loop
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings
from mirage_env.simulators.mesh.navmesh.voxels import HIGHEST, Grid, Spans


class Floors(NamedTuple):
    """Cells of floor, column by column and upwards.

    Attributes:
        start: (columns + 1,) int32, where each column's cells begin.
        column: (N, 2) int32, x and z of each cell's column.
        height: (N,) int32, in cell heights above the grid's low.
        links: (N, 4) int32, the cells that can be stepped to in -x, +z, +x, -z; -1 where there is none.
        free: (N,) bool, where the agent's centre can be.
    """

    start: Array
    column: Array
    height: Array
    links: Array
    free: Array


def linked_floors(spans: Spans, grid: Grid, settings: NavigationSettings) -> Floors:
    """The walkable tops of spans, linked to their neighbours; all are free as yet."""
    counts = np.add.reduceat(np.append(spans.walkable, False).astype(np.int32), spans.start[:-1])
    counts[np.diff(spans.start) == 0] = 0
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    columns = np.repeat(np.arange(len(counts)), counts)
    ceiling = np.full(len(spans.top), HIGHEST, dtype=np.int32)
    ceiling[:-1] = spans.bottom[1:]
    ceiling[spans.start[1:][np.diff(spans.start) > 0] - 1] = HIGHEST
    height = spans.top[spans.walkable]
    room = np.clip(ceiling[spans.walkable] - height, 0, 255)
    column = np.stack([columns % grid.width, columns // grid.width], axis=1).astype(np.int32)
    limits = settings.height_cells, settings.climb_cells
    links = _links(start, column, height, room, grid.width, grid.depth, *limits)
    return Floors(start, column, height, links, np.ones(len(height), dtype=np.bool_))


def eroded(floors: Floors, settings: NavigationSettings) -> Floors:
    """Floors on which only cells are free that keep the agent's radius from the edge of the floor."""
    inner = (floors.links >= 0).all(1)
    distance = np.where(inner, 255, 0).astype(np.int32)
    _spread(floors.start, floors.links, distance)
    return floors._replace(free=distance >= 2 * settings.radius_cells)


def distance_field(floors: Floors) -> tuple[Array, int]:
    """Twice the distance in cells to where free floor ends (N,) int32, smoothed, and the greatest before smoothing."""
    across = floors.free[np.maximum(floors.links, 0)] == floors.free[:, None]
    inner = ((floors.links >= 0) & across).all(1)
    distance = np.where(inner, HIGHEST, 0).astype(np.int32)
    _spread(floors.start, floors.links, distance)
    return _smooth(floors.links, distance), int(distance.max(initial=0))


@loop
def _links(start: Any, column: Any, height: Any, room: Any, width: int, depth: int, tall: int, climb: int) -> Any:
    links = np.full((len(height), 4), -1, dtype=np.int32)
    for i in range(len(height)):
        for side in range(4):
            x, z = column[i, 0] + (side == 2) - (side == 0), column[i, 1] + (side == 1) - (side == 3)
            if x < 0 or z < 0 or x >= width or z >= depth:
                continue
            for k in range(start[x + z * width], start[x + z * width + 1]):
                floor, ceiling = max(height[i], height[k]), min(height[i] + room[i], height[k] + room[k])
                if ceiling - floor >= tall and abs(height[k] - height[i]) <= climb:
                    links[i, side] = k
                    break
    return links


@loop
def _spread(start: Any, links: Any, distance: Any) -> None:
    """Chamfer distances, 2 straight and 3 diagonally, from the cells that are 0, in two sweeps, in place."""
    for sweep in range(2):
        columns = len(start) - 1
        # The diagonal neighbour is reached over the straight one.
        a_side, a_turn, b_side, b_turn = (0, 3, 3, 2) if sweep == 0 else (2, 1, 1, 0)
        for n in range(columns):
            column = n if sweep == 0 else columns - 1 - n
            for i in range(start[column], start[column + 1]):
                for pair in range(2):
                    a = links[i, a_side if pair == 0 else b_side]
                    if a < 0:
                        continue
                    distance[i] = min(distance[i], distance[a] + 2)
                    b = links[a, a_turn if pair == 0 else b_turn]
                    if b >= 0:
                        distance[i] = min(distance[i], distance[b] + 3)


@loop
def _smooth(links: Any, distance: Any) -> Any:
    smooth = distance.copy()
    for i in range(len(distance)):
        own = distance[i]
        if own <= 2:
            continue
        total = own
        for side in range(4):
            a = links[i, side]
            if a < 0:
                total += 2 * own
                continue
            total += distance[a]
            b = links[a, (side + 1) & 3]
            total += distance[b] if b >= 0 else own
        smooth[i] = (total + 5) // 9
    return smooth
