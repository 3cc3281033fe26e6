"""The borders of regions as polygons with few corners (Recast's method)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.floors import Floors
from mirage_env.simulators.mesh.holes import join_holes
from mirage_env.simulators.mesh.loops import loop
from mirage_env.simulators.mesh.settings import NavigationSettings

_REGION = 0xFFFF
_OTHER_FLOOR = 0x20000
_LONGEST = 40000


class Contour(NamedTuple):
    """One border: corners (K, 3) int64 x, height, z in cells, with the region to its right, in region ``region``."""

    corners: Array
    region: int


def contours_of(floors: Floors, region: Array, settings: NavigationSettings) -> list[Contour]:
    """The outlines of all regions, holes joined to them by cuts of no width."""
    found = []
    walls = _walls(floors.links, region)
    points = np.empty((_LONGEST, 4), dtype=np.int64)
    error = np.float32(settings.edge_max_error)
    for cell in np.flatnonzero(walls):
        if walls[cell] == 0 or walls[cell] == 15:  # walked by now, or a lone cell
            walls[cell] = 0
            continue
        count = _walk(floors.links, floors.column, floors.height, floors.free, region, cell, walls, points)
        simple = _simplified(points[:count].copy(), error * error, settings.edge_length_cells)
        corners = _without_repeats(simple)
        if len(corners) >= 3:
            found.append(Contour(corners, int(region[cell])))
    return _holes_joined(found)


def _holes_joined(contours: list[Contour]) -> list[Contour]:
    """Contours in which those that run the other way round, holes, are joined to the outline of their region."""
    outlines: dict[int, int] = {}
    holes: dict[int, list[int]] = {}
    for i, contour in enumerate(contours):
        if twice_area(contour.corners) < -2:
            holes.setdefault(contour.region, []).append(i)
        else:
            outlines[contour.region] = i
    result = list(contours)
    for name in sorted(holes):
        if name in outlines:
            outline = contours[outlines[name]].corners
            joined, left = join_holes(outline, [contours[i].corners for i in holes[name]])
            result[outlines[name]] = Contour(joined, name)
            kept = {holes[name][k] for k in left}
            for i in holes[name]:
                if i not in kept:
                    result[i] = Contour(np.zeros((0, 3), dtype=np.int64), name)
    return [contour for contour in result if len(contour.corners) >= 3]


def twice_area(corners: Array) -> int:
    """Twice the signed area of a contour in square cells; negative for holes."""
    x, z = corners[:, 0], corners[:, 2]
    return int((x * np.roll(z, 1) - np.roll(x, 1) * z).sum())


def _without_repeats(corners: Array) -> Array:
    """Corners without those that stand where the next one does; as Recast looks for them, in one pass."""
    rows = [tuple(row) for row in corners.tolist()]
    i = 0
    while i < len(rows):
        following = rows[i + 1 if i + 1 < len(rows) else 0]
        if rows[i][0] == following[0] and rows[i][2] == following[2]:
            del rows[i]
        i += 1
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


@loop
def _walls(links: Any, region: Any) -> Any:
    """For each cell (N,) the sides, as bits, beyond which its region ends."""
    walls = np.zeros(len(region), dtype=np.uint8)
    for i in range(len(region)):
        if region[i] == 0:
            continue
        for side in range(4):
            a = links[i, side]
            if a < 0 or region[a] != region[i]:
                walls[i] |= 1 << side
    return walls


@loop
def _corner_height(links: Any, height: Any, i: int, side: int) -> int:
    """The highest of the four cells around the corner after a cell's side."""
    turn = (side + 1) & 3
    top = height[i]
    for k in range(2):
        first, second = (side, turn) if k == 0 else (turn, side)
        a = links[i, first]
        if a >= 0:
            top = max(top, height[a])
            b = links[a, second]
            if b >= 0:
                top = max(top, height[b])
    return top


@loop
def _walk(
    links: Any, column: Any, height: Any, free: Any, region: Any, cell: int, walls: Any, points: Any
) -> int:
    """Corners (x, height, z, what lies beyond) around a region, into points; their number. Sides walked are cleared."""
    side = 0
    while walls[cell] & (1 << side) == 0:
        side += 1
    i, turn, count = cell, side, 0
    for _ in range(_LONGEST - 1):
        if walls[i] & (1 << turn):
            points[count, 0] = column[i, 0] + (turn == 1 or turn == 2)
            points[count, 1] = _corner_height(links, height, i, turn)
            points[count, 2] = column[i, 1] + (turn == 0 or turn == 1)
            a = links[i, turn]
            points[count, 3] = 0
            if a >= 0:
                points[count, 3] = region[a]
                if free[a] != free[cell]:
                    points[count, 3] |= _OTHER_FLOOR
            count += 1
            walls[i] &= 255 ^ (1 << turn)
            turn = (turn + 1) & 3
        else:
            a = links[i, turn]
            if a < 0:
                break
            i = a
            turn = (turn + 3) & 3
        if i == cell and turn == side:
            break
    return count


@loop
def _off_segment(x: int, z: int, px: int, pz: int, qx: int, qz: int) -> Any:
    """Squared distance of a point to a segment, float32."""
    sx, sz = np.float32(qx - px), np.float32(qz - pz)
    dx, dz = np.float32(x - px), np.float32(z - pz)
    squared, t = sx * sx + sz * sz, sx * dx + sz * dz
    if squared > np.float32(0):
        t = t / squared
    t = min(max(t, np.float32(0)), np.float32(1))
    dx = np.float32(px) + t * sx - np.float32(x)
    dz = np.float32(pz) + t * sz - np.float32(z)
    return dx * dx + dz * dz


@loop
def _simplified(points: Any, error: Any, longest: int) -> Any:
    """The corners (K, 3) that remain of points (N, 4) with the border nowhere further off than the error (squared)."""
    n = len(points)
    kept = np.empty(n + 2, dtype=np.int64)
    count = 0
    neighbours = False
    for i in range(n):
        neighbours = neighbours or points[i, 3] & _REGION != 0
    if neighbours:
        for i in range(n):
            if (points[i, 3] ^ points[(i + 1) % n, 3]) & (_REGION | _OTHER_FLOOR) != 0:
                kept[count] = i
                count += 1
    if count == 0:
        low, high = 0, 0
        for i in range(n):
            x, z = points[i, 0], points[i, 2]
            if x < points[low, 0] or (x == points[low, 0] and z < points[low, 2]):
                low = i
            if x > points[high, 0] or (x == points[high, 0] and z > points[high, 2]):
                high = i
        kept[0], kept[1], count = low, high, 2
    for tessellate in range(2):
        i = 0
        while i < count:
            a, b = kept[i], kept[(i + 1) % count]
            ax, az, bx, bz = points[a, 0], points[a, 2], points[b, 0], points[b, 2]
            forward = bx > ax or (bx == ax and bz > az)
            add = -1
            if tessellate == 0:
                # Both sides of a border are walked the same way, or they would be simplified differently.
                at, end, step = ((a + 1) % n, b, 1) if forward else ((b + n - 1) % n, a, n - 1)
                if not forward:
                    ax, az, bx, bz = bx, bz, ax, az
                if points[at, 3] & _REGION == 0 or points[at, 3] & _OTHER_FLOOR:
                    worst = np.float32(0)
                    while at != end:
                        off = _off_segment(points[at, 0], points[at, 2], ax, az, bx, bz)
                        if off > worst:
                            worst, add = off, at
                        at = (at + step) % n
                    if not worst > error:
                        add = -1
            elif longest > 0 and points[(a + 1) % n, 3] & _REGION == 0:
                between = b + n - a if b < a else b - a
                if (bx - ax) ** 2 + (bz - az) ** 2 > longest * longest and between > 1:
                    add = (a + (between if forward else between + 1) // 2) % n
            if add >= 0:
                for j in range(count, i + 1, -1):
                    kept[j] = kept[j - 1]
                kept[i + 1] = add
                count += 1
            else:
                i += 1
    corners = np.empty((count, 3), dtype=np.int64)
    for i in range(count):
        corners[i] = points[kept[i], :3]
    return corners
