"""Shortest paths on a grid; ``simulators.grid_paths`` says what they are.

Cells are numbered in a copy of the grid with two blocked cells added on each side, so that no step leaves it.

All edges but those from the goal are at least one cell long. So cells whose distances have the same whole part cannot
shorten each other's, and are settled in any order: no heap is needed. Distances are what Dijkstra's algorithm gives to
the last bit, since each is the least sum over all ways, added up from the goal on, in whatever order cells are settled.
"""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.simulators.compiled.clearance import at
from mirage_env.simulators.grid_paths import SAMPLING, TOLERANCE

FRAME = 2
"""Blocked cells added on each side."""
NO_WAY, STRAIGHT, SEARCH = 0, 1, 2
"""What ``sight`` finds."""
BUCKETS = 4
"""In which a search keeps cells, by the whole part of their distance: the longest edge is shorter than three cells."""
_DONE = 1 << 60
"""Level of a search that has been everywhere."""
_TURNS, _FAR = math.sqrt(2.0), math.sqrt(5.0)


@kernel
def edges(field: Array) -> Array:
    """Which steps lead on from each cell (H + 4, W + 4) uint16: bit k stands for the k-th of ``grid_paths.OFFSETS``."""
    height, width = field.shape
    free = np.zeros((height + 2 * FRAME, width + 2 * FRAME), dtype=np.int32)
    for r in range(height):
        line, cells = field[r], free[r + FRAME, FRAME : width + FRAME]
        for c in range(width):
            cells[c] = np.int32(1) if line[c] >= 0.0 else np.int32(0)
    steps = np.zeros(free.shape, dtype=np.uint16)
    for r in range(FRAME, height + FRAME):
        _edges_of_row(free[r - 2], free[r - 1], free[r], free[r + 1], free[r + 2], steps[r])
    return steps


@kernel
def _edges_of_row(up2: Array, up1: Array, line: Array, down1: Array, down2: Array, steps: Array) -> None:
    width = line.shape[0] - 2 * FRAME
    found = steps[2 : 2 + width]
    w, here, e = line[1:], line[2:], line[3:]
    nww, nw, n, ne, nee = up1[:width], up1[1:], up1[2:], up1[3:], up1[4:]
    sww, sw, s, se, see = down1[:width], down1[1:], down1[2:], down1[3:], down1[4:]
    nnw, nne, ssw, sse = up2[1:], up2[3:], down2[1:], down2[3:]
    for c in range(width):
        # What a slanted step passes beside must be free too, or it would cut corners.
        bits = e[c] | s[c] << 1 | (se[c] & (s[c] | e[c])) << 2 | (sw[c] & (s[c] | w[c])) << 3
        bits |= (see[c] & e[c] & se[c]) << 4 | (sse[c] & s[c] & se[c]) << 5
        bits |= (ssw[c] & s[c] & sw[c]) << 6 | (sww[c] & w[c] & sw[c]) << 7
        bits |= w[c] << 8 | n[c] << 9 | (nw[c] & (n[c] | w[c])) << 10 | (ne[c] & (n[c] | e[c])) << 11
        bits |= (nww[c] & w[c] & nw[c]) << 12 | (nnw[c] & n[c] & nw[c]) << 13
        bits |= (nne[c] & n[c] & ne[c]) << 14 | (nee[c] & e[c] & ne[c]) << 15
        found[c] = bits * here[c]


@kernel
def _jumps(width: int) -> Array:
    """How the number of a cell changes with each of the steps, in a grid of this width."""
    jumps = np.empty(16, dtype=np.int64)
    jumps[0], jumps[1], jumps[2], jumps[3] = 1, width, width + 1, width - 1
    jumps[4], jumps[5], jumps[6], jumps[7] = width + 2, 2 * width + 1, 2 * width - 1, width - 2
    for k in range(8):
        jumps[k + 8] = -jumps[k]
    return jumps


@kernel
def _lengths() -> Array:
    lengths = np.empty(16)
    for k in range(8):
        lengths[k] = lengths[k + 8] = 1.0 if k < 2 else _TURNS if k < 4 else _FAR
    return lengths


@kernel
def search(
    steps: Array, nodes: Array, costs: Array, distance: Array, order: Array, counts: Array, state: Array, wanted: Array
) -> None:
    """Go on with a search until the distances of the ``wanted`` cells are final; ``inf`` where there is no way.

    Args:
        steps: what ``edges`` gives; cells are numbered along it.
        nodes, costs: the cells (n,) to which the goal is joined, and how far they are, nearest first.
        distance: (cells,), all ``inf`` to begin with.
        order, counts: (4, cells + n) int32 and (4,) int64, cells by the whole part of their distance; counts are 0 to
            begin with.
        state: (2,) int64: the whole part that comes next, that of the first cost to begin with, and how many of
            ``nodes`` were looked at.
        wanted: cells.
    """
    width, flat = steps.shape[1], steps.ravel()
    jumps, lengths = _jumps(width), _lengths()
    level, begun = state[0], state[1]
    while True:
        missing = False
        for i in range(wanted.shape[0]):
            missing |= not distance[wanted[i]] < level
        if not missing or level == _DONE:
            break
        # The goal's own cells join in when their turn comes.
        while begun < nodes.shape[0] and costs[begun] < level + 1:
            if costs[begun] < distance[nodes[begun]]:
                distance[nodes[begun]] = costs[begun]
                order[level % BUCKETS, counts[level % BUCKETS]] = nodes[begun]
                counts[level % BUCKETS] += 1
            begun += 1
        bucket = level % BUCKETS
        for i in range(counts[bucket]):
            here = order[bucket, i]
            if distance[here] < level:
                continue  # it got nearer after it was put here, and was settled before
            leads, so_far = flat[here], distance[here]
            for k in range(16):
                if leads >> k & 1:
                    there, total = here + jumps[k], so_far + lengths[k]
                    before = distance[there]
                    if total < before:
                        distance[there] = total
                        place = int(total)
                        # Infinite distances are in no bucket.
                        if before == np.inf or int(before) != place:
                            order[place % BUCKETS, counts[place % BUCKETS]] = there
                            counts[place % BUCKETS] += 1
        counts[bucket] = 0
        if counts[0] + counts[1] + counts[2] + counts[3] > 0:
            level += 1
        elif begun < nodes.shape[0]:
            level = max(level + 1, math.floor(costs[begun]))
        else:
            level = _DONE
    state[0], state[1] = level, begun


@kernel
def attach(field: Array, row: int, column: int, outside: float, r: float, c: float, nodes: Array, costs: Array) -> int:
    """Number of free cells that a place inside the grid is joined to, and which, and how far they are; -1: outside."""
    height, width = field.shape
    r, c = r - row, c - column
    base_r, base_c = math.floor(r), math.floor(c)
    if not (0 <= base_r < height - 1 and 0 <= base_c < width - 1):
        return -1
    count = 0
    if at(field, 0, 0, outside, r, c) < 0:
        return 0
    for i in range(2):
        for j in range(2):
            there_r, there_c = int(base_r) + i, int(base_c) + j
            if field[there_r, there_c] >= 0:
                nodes[count] = (there_r + FRAME) * (width + 2 * FRAME) + there_c + FRAME
                costs[count] = math.sqrt((there_r - r) * (there_r - r) + (there_c - c) * (there_c - c))
                count += 1
    return count


@kernel
def sees(
    field: Array, row: int, column: int, outside: float, place_r: float, place_c: float, other_r: float, other_c: float
) -> bool:
    """``GridPaths.sees_one``."""
    height, width = field.shape
    way_r, way_c = other_r - place_r, other_c - place_c
    first_r, first_c = min(place_r, other_r) - row, min(place_c, other_c) - column
    last_r, last_c = max(place_r, other_r) - row, max(place_c, other_c) - column
    if first_r < 0 or first_c < 0 or last_r >= height - 2 or last_c >= width - 2:
        return _sees_from_outside(field, row, column, outside, place_r, place_c, other_r, other_c)
    count = math.ceil(math.sqrt(way_r * way_r + way_c * way_c) / SAMPLING)
    for i in range(count + 1):
        t = i / max(count, 1)
        r, c = place_r + t * way_r - row, place_c + t * way_c - column
        r0, c0 = math.floor(r), math.floor(c)
        fr, fc, a, b = r - r0, c - c0, int(r0), int(c0)
        upper = field[a, b] * (1 - fc) + field[a, b + 1] * fc
        lower = field[a + 1, b] * (1 - fc) + field[a + 1, b + 1] * fc
        if upper * (1 - fr) + lower * fr < -TOLERANCE:
            return False
    return True


@kernel
def _sees_from_outside(
    field: Array, row: int, column: int, outside: float, place_r: float, place_c: float, other_r: float, other_c: float
) -> bool:
    """``GridPaths.sees`` of one place: only what lies inside the grid needs a look."""
    low_r, low_c = row - 1.0, column - 1.0
    high_r, high_c = np.float64(row + field.shape[0]), np.float64(column + field.shape[1])
    if outside < 0 and not (
        low_r <= other_r <= high_r and low_c <= other_c <= high_c and place_r >= low_r and place_c >= low_c
    ):
        return False
    near_r, far_r = _within(place_r, other_r - place_r, low_r, high_r)
    near_c, far_c = _within(place_c, other_c - place_c, low_c, high_c)
    near, far = min(max(max(near_r, near_c), 0.0), 1.0), min(max(min(far_r, far_c), 0.0), 1.0)
    way_r, way_c = other_r - place_r, other_c - place_c
    part = max(far - near, 0.0)
    count = math.ceil(part * math.sqrt(way_r * way_r + way_c * way_c) / SAMPLING) + 1
    for i in range(count):
        t = near + part * i / max(count - 1, 1)
        if at(field, row, column, outside, place_r + t * way_r, place_c + t * way_c) < -TOLERANCE:
            return False
    return True


@kernel
def _within(place: float, way: float, low: float, high: float) -> tuple[float, float]:
    """Between which shares of the way along one axis it lies from low to high."""
    if way == 0:
        inside = low <= place <= high
        return (-np.inf, np.inf) if inside else (np.inf, -np.inf)
    enter, leave = (low - place) / way, (high - place) / way
    return min(enter, leave), max(enter, leave)


@kernel
def sight(
    field: Array, row: int, column: int, outside: float, start_r: float, start_c: float, goal_r: float, goal_c: float
) -> int:
    """Whether a straight piece leads from start to goal, a search must tell, or the agent cannot stand at one."""
    if at(field, row, column, outside, start_r, start_c) < 0 or at(field, row, column, outside, goal_r, goal_c) < 0:
        return NO_WAY
    return STRAIGHT if sees(field, row, column, outside, start_r, start_c, goal_r, goal_c) else SEARCH


@kernel
def path(
    field: Array, row: int, column: int, outside: float, steps: Array, goal_nodes: Array, goal_costs: Array,
    distance: Array, start: Array, goal: Array, nodes: Array, costs: Array,
) -> Array | None:  # fmt: skip
    """Corners (N, 2) of a shortest path; (0, 2) where there is none, and None where two ways are equally short.

    The start (2,) is joined to ``nodes`` at ``costs``, whose distances are final.
    """
    best, least = np.int64(-1), np.inf
    for i in range(nodes.shape[0]):
        total = distance[nodes[i]] + costs[i]
        if total < least:
            best, least = nodes[i], total
    if best < 0:
        return np.empty((0, 2))
    chain = _chain(steps, distance, goal_nodes, goal_costs, best)
    count = chain.shape[0]
    if count == 0:
        return None
    places, corners = np.empty((count + 1, 2)), np.empty((count + 2, 2))
    width = steps.shape[1]
    for i in range(count):
        places[i, 0] = chain[i] // width - FRAME + row
        places[i, 1] = chain[i] % width - FRAME + column
    places[count, 0], places[count, 1] = goal[0], goal[1]
    corners[0, 0], corners[0, 1] = start[0], start[1]
    found, first = 1, 0
    while first <= count:
        first = _farthest(field, row, column, outside, corners[found - 1], places, first)
        corners[found, 0], corners[found, 1] = places[first, 0], places[first, 1]
        found, first = found + 1, first + 1
    return corners[:found]


@kernel
def _chain(steps: Array, distance: Array, goal_nodes: Array, goal_costs: Array, first: int) -> Array:
    """The cells (N,) on the shortest way from a cell to the goal; empty where two are as short.

    The next cell is the one by which the distance was first found. Of several, that is the nearest to the goal: it was
    settled first. Among those equally near the order of the search would decide.
    """
    width, flat = steps.shape[1], steps.ravel()
    jumps, lengths = _jumps(width), _lengths()
    chain, count = np.empty(min(int(distance[first]) + 2, flat.shape[0]), dtype=np.int64), 0
    node = first
    while True:
        chain[count] = node
        count += 1
        for i in range(goal_nodes.shape[0]):
            if goal_nodes[i] == node and goal_costs[i] == distance[node]:
                return chain[:count]
        before, nearest, tied = -1, np.inf, False
        for k in range(16):
            if flat[node] >> k & 1:
                there = node + jumps[k]
                if distance[there] + lengths[k] == distance[node]:
                    if distance[there] < nearest:
                        before, nearest, tied = there, distance[there], False
                    elif distance[there] == nearest:
                        tied = True
        if tied:
            return chain[:0]
        node = before


@kernel
def _farthest(field: Array, row: int, column: int, outside: float, place: Array, places: Array, first: int) -> int:
    """The last of ``places`` from the ``first`` on that a straight piece from ``place`` reaches."""
    count = places.shape[0] - first
    # Doubling, then halving: what is seen from a place is nearly always an unbroken run of the chain.
    good, step = 1, 2
    while step <= count and _sees_row(field, row, column, outside, place, places[first + step - 1]):
        good, step = step, step * 2
    low, high = good, min(step, count + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if _sees_row(field, row, column, outside, place, places[first + middle - 1]):
            low = middle
        else:
            high = middle
    return first + low - 1


@kernel
def _sees_row(field: Array, row: int, column: int, outside: float, place: Array, other: Array) -> bool:
    return sees(field, row, column, outside, place[0], place[1], other[0], other[1])


@kernel
def nearest_free(field: Array, row: int, column: int, r: float, c: float) -> tuple[int, int]:
    """The free cell (row, column) that is nearest to a place, the first of several, counted in ``field``; -1: none."""
    height, width = field.shape
    best, best_r, best_c = np.inf, -1, -1
    middle = int(min(max(math.floor(r - row), 0.0), height - 1.0))
    for k in range(max(middle + 1, height - middle)):
        worth = False
        for side in range(2):
            i = middle - k if side == 0 else middle + 1 + k
            if not 0 <= i < height:
                continue
            rise = (i + row - r) * (i + row - r)
            if rise > best:
                continue
            worth = True
            for j in range(width):
                if field[i, j] >= 0:
                    away = rise + (j + column - c) * (j + column - c)
                    if away < best or (away == best and (i < best_r or (i == best_r and j < best_c))):
                        best, best_r, best_c = away, i, j
        if best < np.inf and not worth:
            break
    return best_r, best_c
