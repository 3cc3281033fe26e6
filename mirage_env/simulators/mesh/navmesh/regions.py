"""Regions that are too small: left out where nothing larger joins them, else joined to a neighbour (Recast's rules)."""

from __future__ import annotations

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.floors import Floors
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings

_LONGEST = 40000


class _Region:
    """A region while regions are joined: neighbours in the order of its border, and regions above or below it."""

    def __init__(self, name: int) -> None:
        self.name = name
        self.cells = 0
        self.overlaps = False
        self.around: list[int] = []
        self.storeys: set[int] = set()

    def may_join(self, other: _Region) -> bool:
        return self.around.count(other.name) <= 1 and other.name not in self.storeys

    def rename(self, old: int, new: int) -> None:
        if old in self.storeys:
            self.storeys.remove(old)
            self.storeys.add(new)
        if old in self.around:
            self.around = _without_repeats([new if name == old else name for name in self.around])

    def take(self, other: _Region) -> bool:
        """Join ``other`` where the borders of both meet first; False where they do not."""
        if other.name not in self.around or self.name not in other.around:
            return False
        i, j = self.around.index(other.name), other.around.index(self.name)
        around = self.around[i + 1 :] + self.around[:i] + other.around[j + 1 :] + other.around[:j]
        self.around = _without_repeats(around)
        self.storeys |= other.storeys
        self.cells += other.cells
        other.cells, other.around = 0, []
        return True


def merged_regions(floors: Floors, region: Array, count: int, settings: NavigationSettings) -> tuple[Array, int]:
    """The regions (N,) int32 after joining, numbered anew from 1, and how many there are; 0 is left out."""
    regions = _described(floors, region, count)
    _drop_small(regions, int(np.float32(settings.region_min_size) ** 2))
    _join_small(regions, int(np.float32(settings.region_merge_size) ** 2))
    numbers = {0: 0}
    for one in regions[1:]:
        if one.name:
            numbers.setdefault(one.name, len(numbers))
    renumber = np.array([numbers[one.name] for one in regions], dtype=np.int32)
    return renumber[region], len(numbers) - 1


def _described(floors: Floors, region: Array, count: int) -> list[_Region]:
    regions = [_Region(name) for name in range(count + 1)]
    for one, cells in zip(regions, np.bincount(region, minlength=count + 1), strict=True):
        one.cells = int(cells)
    for a, b in _stacked(floors.start, region):
        if a == b:
            regions[a].overlaps = True
        regions[a].storeys.add(int(b))
    # One region's border is walked from its first cell beside something else.
    beside = np.where(floors.links >= 0, region[np.maximum(floors.links, 0)], 0)
    cells, sides = np.nonzero((beside != region[:, None]) & (region[:, None] > 0))
    names, first = np.unique(region[cells], return_index=True)
    for name, i in zip(names, first, strict=True):
        around = _walk(floors.links, region, int(cells[i]), int(sides[i]))
        regions[name].around = _without_repeats(around)
    return regions


def _stacked(start: Array, region: Array) -> Array:
    """Pairs (P, 2) of regions that have cells in the same column, both ways round."""
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    layers = np.diff(start)
    for offset in range(1, int(layers.max(initial=0))):
        lower = np.concatenate([start[:-1][layers > k + offset] + k for k in range(int(layers.max()) - offset)])
        found = np.stack([region[lower], region[lower + offset]], axis=1)
        found = np.unique(found[(found > 0).all(1)], axis=0)
        pairs += [found, found[:, ::-1]]
    return np.concatenate(pairs)


def _drop_small(regions: list[_Region], least: int) -> None:
    seen = [False] * len(regions)
    seen[0] = True
    for i in range(1, len(regions)):
        if seen[i] or not regions[i].cells:
            continue
        seen[i] = True
        stack, group = [i], []
        while stack:
            group.append(stack.pop())
            for k in regions[group[-1]].around:
                if not seen[k]:
                    seen[k] = True
                    stack.append(k)
        if sum(regions[k].cells for k in group) < least:
            for k in group:
                regions[k].cells, regions[k].name = 0, 0


def _join_small(regions: list[_Region], small: int) -> None:
    joined = True
    while joined:
        joined = False
        for one in regions:
            if not one.name or one.overlaps or not one.cells or (one.cells > small and 0 in one.around):
                continue
            best = None
            for k in one.around:
                other = regions[k]
                if not other.name or other.overlaps or (best is not None and other.cells >= best.cells):
                    continue
                if one.may_join(other) and other.may_join(one):
                    best = other
            if best is None or best.name == one.name:
                continue
            # The neighbour may itself have been joined to another, whose name it then carries.
            old, new = one.name, best.name
            if regions[new].take(one):
                for any_one in regions:
                    if any_one.name == old:
                        any_one.name = new
                    if any_one.name:
                        any_one.rename(old, new)
                joined = True


def _without_repeats(around: list[int]) -> list[int]:
    """A ring of names without equal ones beside each other."""
    around = list(around)
    i = 0
    while i < len(around) and len(around) > 1:
        if around[i] == around[(i + 1) % len(around)]:
            del around[i]
        else:
            i += 1
    return around


def _walk(links: Array, region: Array, cell: int, side: int) -> list[int]:
    """The regions met along the border of a cell's region, from one side of the cell around."""
    own, i, turn = region[cell], cell, side
    met: list[int] = []
    for _ in range(_LONGEST):
        beside = int(links[i, turn])
        other = int(region[beside]) if beside >= 0 else 0
        if other != own:
            if not met or other != met[-1]:
                met.append(other)
            turn = (turn + 1) & 3
        else:
            i, turn = beside, (turn + 3) & 3
        if i == cell and turn == side:
            break
    return met
