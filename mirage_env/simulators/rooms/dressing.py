"""What hangs: ceiling lamps, curtains, radiators under windows, pictures, shelves and clocks on free walls."""

from __future__ import annotations

import numpy as np

from mirage_env.simulators.rooms import decor
from mirage_env.simulators.rooms.layout import RoomLayout
from mirage_env.simulators.rooms.palette import Palette
from mirage_env.simulators.rooms.plan import Opening


def dress(room: RoomLayout, p: Palette) -> None:
    """Everything that takes no floor, and radiators."""
    _radiators(room)
    _ceiling(room, p)
    _curtains(room, p)
    _walls(room, p)


def _windows(room: RoomLayout) -> list[tuple[int, Opening]]:
    return [(k, o) for k in range(4) for o in room.openings[k] if o.kind == "window"]


def _radiators(room: RoomLayout) -> None:
    for k, o in _windows(room):
        if o.bottom > 0.68 and room.rng.uniform() < 0.6:
            piece = decor.radiator(min(1.3, (o.hi - o.lo) * 0.85))
            x, z = room.sides[k].point((o.lo + o.hi) / 2, 0.075)
            room.try_at(piece, float(x), float(z), float(np.arctan2(*room.sides[k].normal)), gap=0.01)


def _ceiling(room: RoomLayout, p: Palette) -> None:
    """One lamp in the middle, or one in each half of a long room; over the table where there is one."""
    rng, (w, d) = room.rng, room.size
    lit = rng.uniform() < 0.7 or p.day < 0.4 or not _windows(room)
    lamp = decor.ceiling_lamp(p, rng, lit)
    x, z = (room.rect[0] + room.rect[2]) / 2, (room.rect[1] + room.rect[3]) / 2
    offsets = [(0.0, 0.0)]
    if max(w, d) > 5.2:
        offsets = [(-w / 4, 0.0), (w / 4, 0.0)] if w > d else [(0.0, -d / 4), (0.0, d / 4)]
    for dx, dz in offsets:
        room.decorate(lamp, x + dx, z + dz, 0.0, room.plan.height)


def _curtains(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    odds = {"bath": 0.0, "kitchen": 0.3, "office": 0.5}.get(room.kind, 0.8)
    if rng.uniform() > odds:
        return
    cloth = f"accent{rng.integers(4)}" if rng.uniform() < 0.55 else "linen"
    for k, o in _windows(room):
        width = float(np.clip((o.hi - o.lo) * rng.uniform(0.22, 0.32), 0.22, 0.45))
        blocked = any(a < o.hi + 0.2 and b > o.lo - 0.2 for a, b, _ in room.wall_used[k])
        bottom = max(0.02, o.bottom - 0.12) if blocked and o.bottom > 0.3 else 0.02
        head = min(o.top + 0.14, room.plan.height - 0.04)
        others = [q for q in room.openings[k] if q is not o]
        done = []
        for sign, edge in ((-1, o.lo), (1, o.hi)):
            middle = edge + sign * (width / 2 - 0.1)
            span = (middle - width / 2, middle + width / 2)
            if (
                span[0] < 0.02
                or span[1] > room.sides[k].length - 0.02
                or any(q.lo < span[1] and q.hi > span[0] for q in others)
            ):
                continue
            done.append((middle, width))
        if len(done) == 2:
            for middle, w in done:
                room.hang(decor.curtain(w, head - bottom, cloth, rng), k, middle, bottom)
            room.hang(decor.rod(o.hi - o.lo + 2 * width), k, (o.lo + o.hi) / 2, head)


def _walls(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    for k in rng.permutation(4):
        k = int(k)
        length = room.sides[k].length
        for _ in range(int(rng.integers(1, 4))):
            draw = rng.uniform()
            if room.kind == "bath" and draw > 0.3:
                continue
            if draw < 0.72:
                _pictures(room, p, k, length)
            elif draw < 0.84 and room.kind != "bath":
                shelf = decor.wall_shelf(p, rng)
                _try_hang(room, shelf, k, float(rng.uniform(1.25, 1.5)), 0.0)
            elif draw < 0.92:
                _try_hang(room, decor.wall_clock(p, rng), k, float(rng.uniform(1.7, 1.95)), 0.2)
            else:
                w, h = float(rng.uniform(0.4, 0.7)), float(rng.uniform(0.6, 1.2))
                _try_hang(room, decor.picture(p, rng, w, h, "mirror"), k, 1.5, h / 2)


def _pictures(room: RoomLayout, p: Palette, k: int, length: float) -> None:
    """One large picture, or a row of two or three alike."""
    rng = room.rng
    count = int(rng.choice([1, 2, 3], p=[0.6, 0.2, 0.2]))
    w = float(rng.uniform(0.5, 1.15)) if count == 1 else float(rng.uniform(0.3, 0.45))
    h = float(np.clip(w * rng.uniform(0.65, 1.4), 0.3, 1.0))
    gap, y = 0.08, float(rng.uniform(1.5, 1.65))
    total = count * w + (count - 1) * gap
    for _ in range(4):
        if length - total < 0.4:
            return
        s = float(rng.uniform(0.2 + total / 2, length - 0.2 - total / 2))
        if room.wall_free(k, s - total / 2, s + total / 2, y - h / 2 - 0.06):
            for i in range(count):
                piece = decor.picture(p, rng, w, h, f"art{rng.integers(6)}")
                room.hang(piece, k, s + (i - (count - 1) / 2) * (w + gap), y)
            return


def _try_hang(room: RoomLayout, piece: decor.Piece, k: int, y: float, below: float) -> None:
    room_left = room.sides[k].length - piece.width - 0.3
    if room_left <= 0:
        return
    s = 0.15 + piece.width / 2 + float(room.rng.uniform(0, room_left))
    if room.wall_free(k, s - piece.width / 2 - 0.05, s + piece.width / 2 + 0.05, y - below - 0.05):
        room.hang(piece, k, s, y)
