"""Where furniture goes: against walls and around tables, clear of doorways, and never cutting a room in two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from shapely.geometry import Polygon

from mirage_env.geometry import Array, rotation_y
from mirage_env.simulators.rooms.furniture import Piece
from mirage_env.simulators.rooms.plan import Plan, Side

CELL = 0.05
CLEARANCE = 0.28
"""Metres that stay free around every way through a room; more than any agent's radius here."""
DOOR_DEPTH = 0.85
MIN_FREE = 0.42


@dataclass(frozen=True)
class Placed:
    """A piece in its place: its origin at (x, y, z), turned left by ``yaw``."""

    piece: Piece
    x: float
    z: float
    yaw: float
    y: float = 0.0

    def point(self, u: float, v: float) -> tuple[float, float]:
        """The world (x, z) of the point (u, v) in the piece's frame."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return float(self.x + c * u + s * v), float(self.z - s * u + c * v)


class RoomLayout:
    """The furniture of one room. Every ``try_`` method places a piece if it fits, and says whether it did."""

    def __init__(self, plan: Plan, room: int, rng: np.random.Generator) -> None:
        self.plan, self.room, self.rng = plan, room, rng
        self.kind = plan.kinds[room]
        self.rect = plan.rooms[room]
        self.sides: list[Side] = [s for s in plan.sides if s.room == room]
        self.openings = [plan.openings_of(4 * room + k) for k in range(4)]
        self.placed: list[Placed] = []
        self.footprints: list[Polygon] = []
        self.taken: list[Array] = []
        self.rugs: list[Array] = []
        self.doors: list[Array] = []
        self.wall_used: list[list[tuple[float, float, float]]] = [[], [], [], []]
        """Per side, what stands before the wall: from, to, height."""
        self.door_points: list[Array] = []
        for k, openings in enumerate(self.openings):
            for o in openings:
                if o.kind != "window":
                    self.doors.append(self._rect(k, o.lo - 0.1, o.hi + 0.1, DOOR_DEPTH))
                    self.door_points.append(self.sides[k].point((o.lo + o.hi) / 2, CLEARANCE + 0.05))
        x0, z0, x1, z1 = self.rect
        self._xs = np.arange(x0 + CELL / 2, x1, CELL)
        self._zs = np.arange(z0 + CELL / 2, z1, CELL)
        self._walk = np.ones((len(self._xs), len(self._zs)), bool)
        self._floor = self._walk.copy()
        self._paint(self._walk, np.array([x0, z0, x1, z1]), -CLEARANCE, keep_inside=True)

    @property
    def size(self) -> tuple[float, float]:
        """Extents of the room along x and z, metres."""
        return float(self.rect[2] - self.rect[0]), float(self.rect[3] - self.rect[1])

    @property
    def free(self) -> float:
        """Share of the floor that nothing stands on."""
        return float(self._floor.mean())

    def try_at(
        self, piece: Piece, x: float, z: float, yaw: float, gap: float = 0.03, under: Array | None = None
    ) -> bool:
        """Place the piece's centre at (x, z), ``gap`` metres from others but for the one with bounds ``under``."""
        aabb, polygon = footprint(piece, x, z, yaw)
        x0, z0, x1, z1 = self.rect
        if aabb[0] < x0 + 0.005 or aabb[1] < z0 + 0.005 or aabb[2] > x1 - 0.005 or aabb[3] > z1 - 0.005:
            return False
        others = [t for t in self.taken if under is None or not np.array_equal(t, under)]
        if any(_overlap(aabb, o, gap) for o in others) or any(_overlap(aabb, o, 0.0) for o in self.doors):
            return False
        floor, walk = self._floor.copy(), self._walk.copy()
        self._paint(floor, aabb, 0.0)
        self._paint(walk, aabb, CLEARANCE)
        if floor.mean() < MIN_FREE or not self._connected(walk):
            return False
        self._floor, self._walk = floor, walk
        self.taken.append(aabb)
        self.footprints.append(polygon)
        self.placed.append(Placed(piece, x, z, yaw))
        for k, side in enumerate(self.sides):
            corners = (np.array([[aabb[0], aabb[1]], [aabb[2], aabb[3]]]) - side.origin) @ np.stack(
                [side.direction, side.normal], 1
            )
            if corners[:, 1].min() < 0.6:
                self.wall_used[k].append((corners[:, 0].min(), corners[:, 0].max(), piece.height))
        return True

    def try_wall(
        self,
        piece: Piece,
        tries: int = 12,
        sides: list[int] | None = None,
        corner: float = 0.0,
        back: float = 0.02,
        centred: float = 0.0,
    ) -> int:
        """Stand the piece with its back to a wall; the side it stands at, or -1.

        ``corner`` and ``centred`` are the odds of a corner and of the middle of the wall. Tall pieces avoid windows.
        """
        order = list(range(4)) if sides is None else sides
        for _ in range(tries):
            k = order[int(self.rng.integers(len(order)))]
            side = self.sides[k]
            room = side.length - piece.width - 0.06
            if room < 0:
                continue
            draw = self.rng.uniform()
            s = piece.width / 2 + 0.03 + float(self.rng.uniform(0, room))
            if draw < corner:
                s = piece.width / 2 + 0.03 + room * float(self.rng.integers(2))
            elif draw < corner + centred:
                s = side.length / 2
            if self._before_window(k, s - piece.width / 2, s + piece.width / 2, piece.height):
                continue
            x, z = side.point(s, piece.depth / 2 + back)
            if self.try_at(piece, float(x), float(z), float(np.arctan2(*side.normal))):
                return k
        return -1

    def try_beside(
        self, base: Placed, piece: Piece, u: float, v: float, turn: float = 0.0, gap: float = 0.02, under: bool = False
    ) -> bool:
        """Place a piece at (u, v) in the frame of one that was placed, turned left by ``turn`` against it."""
        x, z = base.point(u, v)
        return self.try_at(
            piece, x, z, base.yaw + turn, gap, footprint(base.piece, base.x, base.z, base.yaw)[0] if under else None
        )

    def decorate(self, piece: Piece, x: float, z: float, yaw: float = 0.0, y: float = 0.0) -> None:
        """Place something that takes no floor: on a wall, on a table, on the ceiling, a rug."""
        self.placed.append(Placed(piece, x, z, yaw, y))

    def hang(self, piece: Piece, k: int, s: float, y: float, out: float = 0.0) -> None:
        """Fix something to side k at ``s`` along it and ``y`` above the floor; that stretch of wall is used then."""
        x, z = self.sides[k].point(s, out)
        self.decorate(piece, float(x), float(z), float(np.arctan2(*self.sides[k].normal)), y)
        self.wall_used[k].append((s - piece.width / 2, s + piece.width / 2, self.plan.height))

    def wall_free(self, k: int, lo: float, hi: float, bottom: float) -> bool:
        """Whether the wall between lo and hi has no opening, and nothing before it that is higher than ``bottom``."""
        if lo < 0.1 or hi > self.sides[k].length - 0.1:
            return False
        if any(o.lo - 0.12 < hi and o.hi + 0.12 > lo for o in self.openings[k]):
            return False
        return not any(a < hi and b > lo and h > bottom for a, b, h in self.wall_used[k])

    def try_rug(self, piece: Piece, x: float, z: float, yaw: float) -> bool:
        """Lay a rug unless it would lie over another."""
        aabb, _ = footprint(piece, x, z, yaw)
        if any(_overlap(aabb, other, 0.05) for other in self.rugs):
            return False
        self.rugs.append(aabb)
        self.decorate(piece, x, z, yaw)
        return True

    def _before_window(self, k: int, lo: float, hi: float, height: float) -> bool:
        return any(
            o.kind == "window" and o.lo < hi and o.hi > lo and height > o.bottom + 0.08 for o in self.openings[k]
        )

    def _rect(self, k: int, lo: float, hi: float, depth: float) -> Array:
        a, b = self.sides[k].point(lo), self.sides[k].point(hi, depth)
        return np.concatenate([np.minimum(a, b), np.maximum(a, b)])

    def _paint(self, grid: Array, rect: Array, grow: float, keep_inside: bool = False) -> None:
        """Clear the cells whose centres lie in the grown rectangle (or outside of it)."""
        i = (self._xs > rect[0] - grow) & (self._xs < rect[2] + grow)
        j = (self._zs > rect[1] - grow) & (self._zs < rect[3] + grow)
        inside = i[:, None] & j[None]
        grid &= inside if keep_inside else ~inside

    def _connected(self, walk: Array) -> bool:
        """Whether all doors open into one free area that holds nearly all free cells."""
        labels, count = ndimage.label(walk)  # type: ignore[misc]
        if count == 0:
            return False
        sizes = np.bincount(labels.ravel())[1:]
        main = int(sizes.argmax()) + 1
        if sizes[main - 1] < 0.93 * sizes.sum():
            return False
        for x, z in self.door_points:
            i = int(np.clip((x - self.rect[0]) / CELL, 0, len(self._xs) - 1))
            j = int(np.clip((z - self.rect[1]) / CELL, 0, len(self._zs) - 1))
            if labels[i, j] != main:
                return False
        return True


def footprint(piece: Piece, x: float, z: float, yaw: float) -> tuple[Array, Polygon]:
    """Bounds (x0, z0, x1, z1) and outline in (x, z) of a piece that stands at (x, z)."""
    w, d = piece.width / 2, piece.depth / 2
    corners = np.array([[-w, 0, -d], [w, 0, -d], [w, 0, d], [-w, 0, d]]) @ rotation_y(yaw).T
    points = corners[:, [0, 2]] + [x, z]
    return np.concatenate([points.min(0), points.max(0)]), Polygon(np.round(points, 6))


def _overlap(a: Array, b: Array, gap: float) -> bool:
    return bool(a[0] < b[2] + gap and b[0] < a[2] + gap and a[1] < b[3] + gap and b[1] < a[3] + gap)
