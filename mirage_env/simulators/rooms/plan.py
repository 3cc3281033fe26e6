"""Floor plans: rooms as rectangles with real walls between them, doorways that join them all, and windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.ops import unary_union

from mirage_env.geometry import Array

WALL = 0.14
"""Thickness of the walls between rooms, metres."""

AREAS = {
    "living": (17.0, 30.0),
    "kitchen": (9.5, 15.0),
    "bedroom": (11.0, 17.0),
    "dining": (11.0, 17.0),
    "office": (8.5, 14.0),
    "bath": (5.5, 8.5),
}
"""Floor area per kind of room, square metres."""

HOMES = {
    1: (("living",), ("living",), ("studio",), ("bedroom",), ("office",), ("kitchen",)),
    2: (("living", "kitchen"), ("living", "bedroom"), ("living", "dining"), ("bedroom", "bath"), ("living", "office")),
    3: (("living", "kitchen", "bedroom"), ("living", "kitchen", "bath"), ("living", "bedroom", "office")),
    4: (
        ("living", "kitchen", "bedroom", "bath"),
        ("living", "dining", "kitchen", "bedroom"),
        ("living", "kitchen", "office", "bedroom"),
    ),
    5: (
        ("living", "kitchen", "bedroom", "bath", "bedroom"),
        ("living", "kitchen", "bedroom", "bath", "office"),
        ("living", "dining", "kitchen", "bedroom", "bath"),
    ),
}
"""Kinds of rooms that make a home of 1 to 5 rooms."""


@dataclass(frozen=True)
class Side:
    """One wall of a room seen from inside: from ``origin`` (x, z) along ``direction``, facing ``normal``, metres."""

    room: int
    origin: Array
    direction: Array
    normal: Array
    length: float
    exterior: bool

    def point(self, s: float, out: float = 0.0) -> Array:
        """The floor point (x, z) ``s`` metres along the wall and ``out`` metres in front of it."""
        return self.origin + s * self.direction + out * self.normal


@dataclass(frozen=True)
class Opening:
    """A hole in one side of a room: from ``lo`` to ``hi`` along the side and ``bottom`` to ``top`` above the floor.

    ``kind`` is "door" (a framed doorway), "passage" (a wide opening), "window" or "entrance" (a closed outer door).
    """

    side: int
    lo: float
    hi: float
    bottom: float
    top: float
    kind: str


@dataclass(frozen=True)
class Plan:
    """Rooms (n, 4) as x0, z0, x1, z1 between the wall faces, their kinds, four sides each, and all openings.

    A doorway appears twice in ``openings``, once per room that it joins; ``doorways`` are their floors, wall to wall.
    """

    rooms: Array
    kinds: tuple[str, ...]
    sides: tuple[Side, ...]
    openings: tuple[Opening, ...]
    doorways: tuple[tuple[float, float, float, float], ...]
    height: float

    @property
    def floor(self) -> Polygon | MultiPolygon:
        """Rooms and doorways as one polygon in (x, z)."""
        return unary_union([box(*r) for r in self.rooms] + [box(*d) for d in self.doorways]).buffer(0)

    @property
    def neighbours(self) -> list[list[int]]:
        """Per room, the rooms that it shares a doorway with."""
        at = [sorted({r for r, rect in enumerate(self.rooms) if _touch(rect, d)}) for d in self.doorways]
        return [sorted({b for pair in at if a in pair for b in pair if b != a}) for a in range(len(self.rooms))]

    def openings_of(self, side: int) -> list[Opening]:
        """Every opening in this side."""
        return [o for o in self.openings if o.side == side]


def _touch(a: Array, b: tuple[float, float, float, float]) -> bool:
    """Whether two rectangles x0, z0, x1, z1 meet or overlap."""
    slack = 2e-3
    return bool(a[0] < b[2] + slack and b[0] < a[2] + slack and a[1] < b[3] + slack and b[1] < a[3] + slack)


def draw_plan(rng: np.random.Generator) -> Plan:
    """A random plan of 1 to 5 rooms, centred at the origin."""
    count = int(rng.choice([1, 2, 3, 4, 5], p=[0.2, 0.22, 0.22, 0.2, 0.16]))
    kinds = HOMES[count][rng.integers(len(HOMES[count]))]
    height = float(np.round(rng.uniform(2.4, 2.85), 2))
    while True:
        areas = np.array([rng.uniform(*AREAS["living" if kind == "studio" else kind]) for kind in kinds])
        aspect = rng.uniform(0.7, 1.45)
        width = float(np.sqrt(areas.sum() * aspect))
        depth = float(areas.sum() / width)
        outer = (-width / 2, -depth / 2, width / 2, depth / 2)
        rooms = np.zeros((count, 4))
        _slice(outer, list(rng.permutation(count)), areas, rooms, rng)
        plan = _finish(np.round(rooms, 3), np.round(outer, 3), kinds, height, rng)
        if plan is not None:
            return plan


def _slice(rect: tuple[float, ...], members: list[int], areas: Array, rooms: Array, rng: np.random.Generator) -> None:
    """Cut ``rect`` across its longer side into two groups of rooms in proportion to their areas, and so on."""
    x0, z0, x1, z1 = rect
    if len(members) == 1:
        rooms[members[0]] = rect
        return
    cut = int(rng.integers(1, len(members)))
    first, second = members[:cut], members[cut:]
    share = areas[first].sum() / areas[members].sum()
    if x1 - x0 > z1 - z0:
        m = x0 + share * (x1 - x0)
        halves = (x0, z0, m - WALL / 2, z1), (m + WALL / 2, z0, x1, z1)
    else:
        m = z0 + share * (z1 - z0)
        halves = (x0, z0, x1, m - WALL / 2), (x0, m + WALL / 2, x1, z1)
    for half, group in zip(halves, (first, second), strict=True):
        _slice(half, group, areas, rooms, rng)


def _sides(room: int, rect: Array, outer: Array) -> list[Side]:
    x0, z0, x1, z1 = rect
    spec = [
        ((x0, z1), (0, -1), (1, 0), z1 - z0, x0 == outer[0]),
        ((x1, z0), (0, 1), (-1, 0), z1 - z0, x1 == outer[2]),
        ((x0, z0), (1, 0), (0, 1), x1 - x0, z0 == outer[1]),
        ((x1, z1), (-1, 0), (0, -1), x1 - x0, z1 == outer[3]),
    ]
    return [
        Side(room, np.array(o, float), np.array(d, float), np.array(n, float), float(length), bool(exterior))
        for o, d, n, length, exterior in spec
    ]


def _finish(rooms: Array, outer: Array, kinds: tuple[str, ...], height: float, rng: np.random.Generator) -> Plan | None:
    """Doors and windows for these rectangles, or None where a room is too narrow or cannot be reached."""
    spans = np.stack([rooms[:, 2] - rooms[:, 0], rooms[:, 3] - rooms[:, 1]], -1)
    least = np.array([2.0 if kind == "bath" else 2.6 for kind in kinds])
    if (spans.min(-1) < least).any() or (spans.max(-1) / spans.min(-1) > 2.1).any():
        return None
    sides = [side for i, rect in enumerate(rooms) for side in _sides(i, rect, outer)]
    joints = _doorways(rooms, kinds, rng)
    if joints is None:
        return None
    openings: list[Opening] = []
    doorways = []
    top = float(np.round(rng.uniform(2.0, 2.1), 2))
    for i, j, axis, lo, hi, near, far, kind in joints:
        head = top if kind == "door" else min(top + 0.15, height - 0.2)
        doorways.append((lo, near, hi, far) if axis == 0 else (near, lo, far, hi))
        for room, name in ((i, 3 if axis == 0 else 1), (j, 2 if axis == 0 else 0)):
            index = 4 * room + name
            ends = [
                float((np.array(p) - sides[index].origin) @ sides[index].direction)
                for p in (((lo, 0), (hi, 0)) if axis == 0 else ((0, lo), (0, hi)))
            ]
            openings.append(Opening(index, min(ends), max(ends), 0.0, head, kind))
    openings += _windows(sides, kinds, openings, top, height, rng)
    return Plan(rooms, kinds, tuple(sides), tuple(openings), tuple(doorways), height)


Joint = tuple[int, int, int, float, float, float, float, str]


def _doorways(rooms: Array, kinds: tuple[str, ...], rng: np.random.Generator) -> list[Joint] | None:
    """A spanning tree of doorways that prefers the living room and makes a bath a dead end; sometimes one more."""
    candidates = []
    for i in range(len(rooms)):
        for j in range(len(rooms)):
            for axis, (end, start, lo, hi) in enumerate(((3, 1, 0, 2), (2, 0, 1, 3))):
                shared = min(rooms[i][hi], rooms[j][hi]), max(rooms[i][lo], rooms[j][lo])
                if i != j and abs(rooms[i][end] + WALL - rooms[j][start]) < 2e-3 and shared[0] - shared[1] > 1.4:
                    main = "living" in (kinds[i], kinds[j])
                    candidates.append((rng.uniform() - main, i, j, axis, shared[1], shared[0]))
    group = list(range(len(rooms)))
    joints: list[Joint] = []
    baths: set[int] = set()
    for _, i, j, axis, lo, hi in sorted(candidates):
        new = group[i] != group[j]
        bath = [r for r in (i, j) if kinds[r] == "bath"]
        if baths.intersection(bath) or len(bath) == 2 or not (new or (not bath and rng.uniform() < 0.3)):
            continue
        baths.update(bath)
        group = [group[i] if g == group[j] else g for g in group]
        open_kinds = {"living", "dining", "kitchen"}
        wide = {kinds[i], kinds[j]} <= open_kinds and hi - lo > 2.6 and rng.uniform() < 0.5
        width = rng.uniform(1.5, min(2.2, hi - lo - 0.9)) if wide else rng.uniform(0.85, 1.05)
        margin = 0.3 if wide else 0.16
        start = rng.uniform(lo + margin, hi - margin - width)
        end, begin = (3, 1) if axis == 0 else (2, 0)
        near, far = float(rooms[i][end]), float(rooms[j][begin])
        joints.append((i, j, axis, float(start), float(start + width), near, far, "passage" if wide else "door"))
    return joints if len(set(group)) == 1 else None


def _windows(
    sides: list[Side], kinds: tuple[str, ...], doors: list[Opening], top: float, height: float, rng: np.random.Generator
) -> list[Opening]:
    """Windows in outer walls, and one closed entrance door."""
    found: list[Opening] = []
    order = rng.permutation(len(sides))
    entrance = next(
        (
            int(k)
            for k in order
            if sides[k].exterior
            and sides[k].length > 3
            and kinds[sides[k].room] in ("living", "kitchen", "dining", "office")
        ),
        -1,
    )
    sill = float(rng.uniform(0.7, 0.95))
    head = float(min(height - 0.22, rng.uniform(2.05, 2.35)))
    for k, side in enumerate(sides):
        kind = kinds[side.room]
        if not side.exterior:
            continue
        free_from = 0.35
        if k == entrance:
            lo = float(rng.uniform(0.3, 0.6))
            found.append(Opening(k, lo, lo + 0.92, 0.0, top, "entrance"))
            free_from = lo + 0.92 + 0.35
        span = side.length - 0.35 - free_from
        if span < 0.7 or rng.uniform() < 0.15 or any(d.side == k for d in doors):
            continue
        if kind == "bath":
            width = min(float(rng.uniform(0.6, 0.9)), span)
            lo = free_from + float(rng.uniform(0, span - width))
            found.append(Opening(k, lo, lo + width, 1.35, head, "window"))
            continue
        number = 1 if span < 3.0 else int(rng.integers(1, 3))
        low = 0.08 if kind == "living" and rng.uniform() < 0.3 else (1.05 if kind == "kitchen" else sill)
        pitch = span / number
        width = float(min(pitch - 0.3, rng.uniform(1.0, 1.9)))
        for n in range(number):
            lo = free_from + n * pitch + (pitch - width) / 2
            found.append(Opening(k, lo, lo + width, low, head, "window"))
    return found
