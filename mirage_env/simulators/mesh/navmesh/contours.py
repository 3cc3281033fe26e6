"""The borders of regions as polygons with few corners (Recast's method)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navmesh.floors import Floors
from mirage_env.simulators.mesh.navmesh.rings import Corner, join_holes, twice_area
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings

_OTHER_FLOOR = 0x20000
_REGION = 0xFFFF
_LONGEST = 40000


class Contour(NamedTuple):
    """One border: corners (x, height, z) in cells around a region."""

    corners: list[Corner]
    region: int


def contours_of(floors: Floors, region: Array, settings: NavigationSettings) -> list[Contour]:
    """The outlines of all regions, holes joined to them by cuts of no width."""
    found = []
    beyond = np.where(floors.links >= 0, region[np.maximum(floors.links, 0)], 0)
    walls = (((beyond != region[:, None]) & (region[:, None] > 0)) << np.arange(4)).sum(1).astype(np.uint8)
    for cell in np.flatnonzero(walls).tolist():
        if walls[cell] == 0 or walls[cell] == 15:  # walked by now, or a lone cell
            walls[cell] = 0
            continue
        points = _walk(floors, region, cell, walls)
        kept = _simplified(points, settings.edge_max_error, settings.edge_length_cells)
        corners = _without_repeats([tuple(points[k, :3].tolist()) for k in kept])
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
    result: list[Contour | None] = list(contours)
    for name, these in holes.items():
        if name not in outlines:
            continue
        joined, left = join_holes(contours[outlines[name]].corners, [contours[i].corners for i in these])
        result[outlines[name]] = Contour(joined, name)
        for k, i in enumerate(these):
            if k not in left:
                result[i] = None
    return [contour for contour in result if contour is not None]


def _without_repeats(corners: list[Corner]) -> list[Corner]:
    """Corners without those that stand where the next one does; as Recast looks for them, in one pass."""
    corners = list(corners)
    i = 0
    while i < len(corners):
        following = corners[i + 1 if i + 1 < len(corners) else 0]
        if corners[i][0] == following[0] and corners[i][2] == following[2]:
            del corners[i]
        i += 1
    return corners


def _corner_height(floors: Floors, i: int, side: int) -> int:
    """The highest of the four cells around the corner after a cell's side."""
    links, height = floors.links, floors.height
    turn = (side + 1) & 3
    top = height[i]
    for first, second in ((side, turn), (turn, side)):
        a = links[i, first]
        if a >= 0:
            top = max(top, height[a])
            b = links[a, second]
            if b >= 0:
                top = max(top, height[b])
    return top


def _walk(floors: Floors, region: Array, cell: int, walls: Array) -> Array:
    """Corners (K, 4) int64 (x, height, z, what lies beyond) around a region. Sides that were walked are cleared."""
    links, column, free = floors.links, floors.column, floors.free
    side = 0
    while walls[cell] & (1 << side) == 0:
        side += 1
    i, turn = cell, side
    points = []
    for _ in range(_LONGEST):
        a = int(links[i, turn])
        if walls[i] & (1 << turn):
            beyond = 0
            if a >= 0:
                beyond = int(region[a]) | (_OTHER_FLOOR if free[a] != free[cell] else 0)
            x, z = column[i, 0] + (turn in (1, 2)), column[i, 1] + (turn in (0, 1))
            points.append((x, _corner_height(floors, i, turn), z, beyond))
            walls[i] &= 255 ^ (1 << turn)
            turn = (turn + 1) & 3
        else:
            if a < 0:
                break
            i, turn = a, (turn + 3) & 3
        if i == cell and turn == side:
            break
    return np.array(points, dtype=np.int64)


def _off_segment(x: Array, z: Array, p: Array, q: Array) -> Array:
    """Squared distances (N,) float32 of points to the segment between p and q, seen from above."""
    (px, _, pz), (qx, _, qz) = p[:3].astype(np.float32), q[:3].astype(np.float32)
    x, z = x.astype(np.float32), z.astype(np.float32)
    sx, sz = qx - px, qz - pz
    squared, t = sx * sx + sz * sz, sx * (x - px) + sz * (z - pz)
    if squared > 0:
        t = t / squared
    t = t.clip(0, 1)
    dx, dz = px + t * sx - x, pz + t * sz - z
    return dx * dx + dz * dz


def _simplified(points: Array, error: float, longest: int) -> list[int]:
    """Which of points (N, 4) remain so that the border is nowhere further off than error cells."""
    n = len(points)
    beyond = points[:, 3]
    kept: list[int] = []
    if (beyond & _REGION).any():
        kept = np.flatnonzero((beyond ^ np.roll(beyond, -1)) & (_REGION | _OTHER_FLOOR)).tolist()
    if not kept:
        order = np.lexsort((points[:, 2], points[:, 0]))
        low, high = points[order[0]], points[order[-1]]
        kept = [int(np.flatnonzero((points[:, [0, 2]] == one[[0, 2]]).all(1))[0]) for one in (low, high)]
    outer = ((beyond & _REGION) == 0) | ((beyond & _OTHER_FLOOR) != 0)
    limit = np.float32(error) * np.float32(error)
    i = 0
    while i < len(kept):
        add = _furthest(points, outer, kept[i], kept[(i + 1) % len(kept)], limit)
        if add < 0:
            i += 1
        else:
            kept.insert(i + 1, add)
    i = 0
    while i < len(kept) and longest > 0:
        a, b = kept[i], kept[(i + 1) % len(kept)]
        along = points[b] - points[a]
        between = (b - a) % n if b != a else 0
        too_long = along[0] ** 2 + along[2] ** 2 > longest * longest and between > 1
        if beyond[(a + 1) % n] & _REGION == 0 and too_long:
            kept.insert(i + 1, (a + (between if _forward(along) else between + 1) // 2) % n)
        else:
            i += 1
    return kept


def _forward(along: Array) -> bool:
    return bool(along[0] > 0 or (along[0] == 0 and along[2] > 0))


def _furthest(points: Array, outer: Array, a: int, b: int, limit: np.float32) -> int:
    """The point between two that is furthest from their segment, if further than the limit (squared); else -1."""
    n = len(points)
    # Both sides of a border are walked the same way, or they would be simplified differently.
    if _forward(points[b] - points[a]):
        start, end, way = a, b, 1
    else:
        start, end, way = b, a, -1
    if not outer[(start + way) % n]:
        return -1
    count = (way * (end - start) - 1) % n
    between = (start + way * np.arange(1, count + 1)) % n
    if not len(between):
        return -1
    off = _off_segment(points[between, 0], points[between, 2], points[start], points[end])
    worst = int(off.argmax())
    return int(between[worst]) if off[worst] > limit else -1
