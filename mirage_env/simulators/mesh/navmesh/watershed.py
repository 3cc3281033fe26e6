"""Free floor divided into regions by flooding its distance field from the middles of rooms outwards (Recast's method).

Vincent & Soille, "Watersheds in Digital Spaces", 1991, in the variant of M. Mononen's Recast: levels two at a time,
and regions that grow at most eight cells before new ones begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.floors import Floors, distance_field
from mirage_env.simulators.mesh.navmesh.loops import loop

_STACKS = 8
_EXPAND = np.int64(8)


def watershed(floors: Floors) -> tuple[Array, int]:
    """The region of each cell (N,) int32, counted from 1, 0: none; and how many there are."""
    distance, deepest = distance_field(floors)
    region = np.zeros(len(distance), dtype=np.int32)
    return region, _flood(floors.links, floors.free, distance, (deepest + 1) & ~1, region)


@loop
def _flood(links: Any, free: Any, distance: Any, level: int, region: Any) -> int:
    n = len(distance)
    reach = np.zeros(n, dtype=np.int32)
    stacks = np.empty((_STACKS, n), dtype=np.int32)
    sizes = np.zeros(_STACKS, dtype=np.int64)
    stack, found = np.empty(n, dtype=np.int32), np.empty((n, 3), dtype=np.int32)
    regions, at = 0, -1
    while level > 0:
        level = max(level - 2, 0)
        at = (at + 1) % _STACKS
        if at == 0:
            for place in range(_STACKS):
                sizes[place] = 0
            for i in range(n):
                if free[i] and region[i] == 0:
                    place = (level >> 1) - (distance[i] >> 1)
                    if place < _STACKS:
                        place = max(place, 0)
                        stacks[place, sizes[place]] = i
                        sizes[place] += 1
        else:
            for j in range(sizes[at - 1]):
                i = stacks[at - 1, j]
                if i >= 0 and region[i] == 0:
                    stacks[at, sizes[at]] = i
                    sizes[at] += 1
        _expand(links, free, level, _EXPAND, region, reach, stacks[at], sizes[at], found)
        for j in range(sizes[at]):
            i = stacks[at, j]
            if i >= 0 and region[i] == 0 and _fill(links, free, distance, i, level, regions + 1, region, reach, stack):
                regions += 1
    count = np.int64(0)
    for i in range(n):
        if free[i] and region[i] == 0:
            stack[count] = i
            count += 1
    _expand(links, free, level, _EXPAND, region, reach, stack, count, found)
    return regions


@loop
def _expand(
    links: Any, free: Any, level: int, most: int, region: Any, reach: Any, stack: Any, count: int, found: Any
) -> None:
    """Grow regions into the cells of stack, ring by ring, for ``most`` rings (level 0: to the end)."""
    for j in range(count):
        if stack[j] >= 0 and region[stack[j]] != 0:
            stack[j] = -1
    rings = 0
    while count > 0:
        failed, n_found = 0, 0
        for j in range(count):
            i = stack[j]
            if i < 0:
                failed += 1
                continue
            own, near = region[i], 0xFFFF
            for side in range(4):
                a = links[i, side]
                if a >= 0 and free[a] == free[i] and region[a] > 0 and reach[a] + 2 < near:
                    own, near = region[a], reach[a] + 2
            if own:
                stack[j] = -1
                found[n_found, 0], found[n_found, 1], found[n_found, 2] = i, own, near
                n_found += 1
            else:
                failed += 1
        for k in range(n_found):
            region[found[k, 0]], reach[found[k, 0]] = found[k, 1], found[k, 2]
        if failed == count:
            break
        if level > 0:
            rings += 1
            if rings >= most:
                break


@loop
def _fill(
    links: Any, free: Any, distance: Any, seed: int, level: int, new: int, region: Any, reach: Any, stack: Any
) -> bool:
    """Give the basin of a seed a new region, but for cells that touch another; whether any cell remained."""
    lowest = max(level - 2, 0)
    stack[0], count, filled = seed, 1, 0
    region[seed], reach[seed] = new, 0
    while count > 0:
        count -= 1
        i = stack[count]
        other = False
        for side in range(4):
            a = links[i, side]
            if a < 0 or free[a] != free[i]:
                continue
            if region[a] != 0 and region[a] != new:
                other = True
                break
            b = links[a, (side + 1) & 3]
            if b >= 0 and free[b] == free[i] and region[b] != 0 and region[b] != new:
                other = True
                break
        if other:
            region[i] = 0
            continue
        filled += 1
        for side in range(4):
            a = links[i, side]
            if a >= 0 and free[a] == free[i] and distance[a] >= lowest and region[a] == 0:
                region[a], reach[a] = new, 0
                stack[count] = a
                count += 1
    return filled > 0
