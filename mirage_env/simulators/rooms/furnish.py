"""What each kind of room contains, and in which order it claims its place."""

from __future__ import annotations

import numpy as np

from mirage_env.simulators.rooms import decor, extras, fixtures, storage
from mirage_env.simulators.rooms import furniture as f
from mirage_env.simulators.rooms.dressing import dress
from mirage_env.simulators.rooms.layout import Placed, RoomLayout
from mirage_env.simulators.rooms.palette import Palette


def furnish(room: RoomLayout, palette: Palette) -> None:
    """Fill the room with what its kind calls for, then hang, light and dress it."""
    recipe = {
        "living": _living,
        "studio": _studio,
        "bedroom": _bedroom,
        "dining": _dining,
        "kitchen": _kitchen,
        "office": _office,
        "bath": _bath,
    }[room.kind]
    recipe(room, palette)
    _fill(room, palette)
    dress(room, palette)


def _living(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    k = room.try_wall(f.sofa(p, rng), 30, centred=0.4)
    if k >= 0:
        base = room.placed[-1]
        low = f.coffee_table(p, rng)
        reach = base.piece.depth / 2 + 0.38 + low.depth / 2
        put = room.try_beside(base, low, 0.0, reach)
        if rng.uniform() < 0.75:
            _rug(
                room,
                p,
                base,
                reach + 0.05,
                base.piece.width + float(rng.uniform(0.0, 0.6)),
                float(rng.uniform(1.4, 1.9)),
            )
        tv = storage.tv_stand(p, rng)
        if rng.uniform() < 0.8 and room.try_wall(tv, 10, sides=[k ^ 1], centred=0.3) < 0:
            room.try_wall(tv, 8)
        if put and rng.uniform() < 0.6:
            side = float(rng.choice([-1.0, 1.0]))
            room.try_beside(base, f.armchair(p, rng), side * (low.width / 2 + 0.85), reach, -side * (np.pi / 2 + 0.15))
    if min(room.size) > 3.4 and rng.uniform() < 0.45:
        dining_group(room, p)
    for _ in range(int(rng.integers(1, 3))):
        room.try_wall(storage.bookshelf(p, rng), 10, corner=0.4)
    if rng.uniform() < 0.5:
        room.try_wall(storage.cabinet(p, rng), 8)
    if rng.uniform() < 0.6:
        room.try_wall(f.armchair(p, rng), 8, corner=0.6, back=0.15)
    _corners(room, p, 0.65, 0.8)


def _studio(room: RoomLayout, p: Palette) -> None:
    if room.try_wall(f.bed(p, room.rng), 30, corner=0.6) >= 0:
        _nightstands(room, p, room.placed[-1])
    if room.rng.uniform() < 0.6:
        _desk(room, p)
    _living(room, p)


def _bedroom(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    if room.try_wall(f.bed(p, rng), 40, centred=0.6) >= 0:
        base = room.placed[-1]
        _nightstands(room, p, base)
        if rng.uniform() < 0.6:
            _rug(room, p, base, 0.55, base.piece.width + 1.2, 1.6)
    room.try_wall(storage.wardrobe(p, rng), 14, corner=0.6)
    if rng.uniform() < 0.6:
        room.try_wall(storage.cabinet(p, rng), 10)
    if rng.uniform() < 0.35:
        _desk(room, p)
    if rng.uniform() < 0.4:
        room.try_wall(f.armchair(p, rng), 8, corner=0.7, back=0.12)
    if rng.uniform() < 0.4:
        room.try_wall(storage.bookshelf(p, rng), 8, corner=0.5)
    _corners(room, p, 0.3, 0.5)


def _dining(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    dining_group(room, p, centre=rng.uniform() < 0.7)
    for _ in range(int(rng.integers(1, 3))):
        room.try_wall(storage.cabinet(p, rng), 10, centred=0.3)
    if rng.uniform() < 0.5:
        room.try_wall(storage.bookshelf(p, rng), 10)
    _corners(room, p, 0.4, 0.8)


def _kitchen(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    for modules in (6, 5, 4, 3, 2):
        run, hob = fixtures.counter(p, rng, modules)
        k = room.try_wall(run, 10, corner=0.7)
        if k < 0:
            continue
        base = room.placed[-1]
        cold = fixtures.fridge(p, rng)
        side = float(rng.choice([-1.0, 1.0]))
        beside = run.width / 2 + cold.width / 2 + 0.02
        if not (
            room.try_beside(base, cold, side * beside, 0.02, gap=0.005)
            or room.try_beside(base, cold, -side * beside, 0.02, gap=0.005)
        ):
            room.try_wall(cold, 10, corner=0.8)
        _over_counter(room, p, k, base, hob)
        break
    if min(room.size) > 2.8:
        dining_group(room, p, small=room.size[0] * room.size[1] < 14)
    if rng.uniform() < 0.6:
        room.try_wall(storage.cabinet(p, rng), 8)
    _corners(room, p, 0.0, 0.5)


def _over_counter(room: RoomLayout, p: Palette, k: int, base: Placed, hob: float) -> None:
    """Tiles, wall units and a hood over a counter, where there is no window."""
    rng, side, width = room.rng, room.sides[k], base.piece.width
    middle = float((np.array([base.x, base.z]) - side.origin) @ side.direction)
    odds, look = rng.uniform(), int(rng.integers(1 << 30))
    top = min(2.1, room.plan.height - 0.1)
    for i in range(round(width / fixtures.MODULE)):
        u = (i + 0.5) * fixtures.MODULE - width / 2
        lo, hi = middle + u - fixtures.MODULE / 2, middle + u + fixtures.MODULE / 2
        if any(o.lo - 0.1 < hi and o.hi + 0.1 > lo for o in room.openings[k]):
            continue
        if not any(a < hi and b > lo and h > 2.0 for a, b, h in room.wall_used[k]):
            room.hang(fixtures.backsplash(fixtures.MODULE, 0.5), k, middle + u, 0.9)
        if abs(u - hob) < 0.01:
            room.hang(fixtures.hood(p, rng, room.plan.height - 1.5), k, middle + u, 1.5)
        elif odds < 0.55 or (odds < 0.85 and i % 2 == 0):
            unit = fixtures.wall_unit(p, np.random.default_rng(look), fixtures.MODULE - 0.004, top - 1.42)
            room.hang(unit, k, middle + u, 1.42)


def _office(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    _desk(room, p)
    for _ in range(int(rng.integers(1, 4))):
        room.try_wall(storage.bookshelf(p, rng), 10, corner=0.4)
    if rng.uniform() < 0.5:
        room.try_wall(f.armchair(p, rng), 10, corner=0.7, back=0.12)
    if rng.uniform() < 0.4:
        room.try_wall(storage.cabinet(p, rng), 8)
    if rng.uniform() < 0.3:
        room.try_wall(f.sofa(p, rng, 2), 10)
    _corners(room, p, 0.5, 0.7)


def _bath(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    if room.try_wall(fixtures.bathtub(p, rng), 24, corner=1.0, back=0.01) >= 0 and rng.uniform() < 0.6:
        base = room.placed[-1]
        _rug(room, p, base, base.piece.depth / 2 + 0.35, 0.9, 0.55)
    k = room.try_wall(fixtures.vanity(p, rng), 24, back=0.01)
    if k >= 0:
        base = room.placed[-1]
        s = float((np.array([base.x, base.z]) - room.sides[k].origin) @ room.sides[k].direction)
        w, h = float(rng.uniform(0.5, 0.8)), float(rng.uniform(0.6, 0.9))
        if room.wall_free(k, s - w / 2, s + w / 2, 1.1):
            room.hang(decor.picture(p, rng, w, h, "mirror"), k, s, 1.2 + h / 2)
    room.try_wall(fixtures.toilet(p, rng), 24, back=0.01)
    if rng.uniform() < 0.6:
        room.try_wall(fixtures.washing_machine(p, rng), 12, corner=0.8)
    for k in rng.permutation(4):
        s = float(rng.uniform(0.4, max(0.41, room.sides[int(k)].length - 0.4)))
        if room.wall_free(int(k), s - 0.3, s + 0.3, 0.7):
            room.hang(fixtures.towel_rail(p, rng), int(k), s, 1.3)
            break
    _corners(room, p, 0.0, 0.3)


def dining_group(room: RoomLayout, p: Palette, centre: bool = False, small: bool = False) -> bool:
    """A table with chairs around it, somewhere with space."""
    rng = room.rng
    table = f.table(p, rng, *((float(rng.uniform(0.75, 1.0)), 0.75) if small else ()))
    x0, z0, x1, z1 = room.rect
    for attempt in range(25):
        x, z = float(rng.uniform(x0 + 0.8, x1 - 0.8)), float(rng.uniform(z0 + 0.8, z1 - 0.8))
        if centre and attempt < 3:
            x, z = (x0 + x1) / 2, (z0 + z1) / 2
        yaw = float((rng.uniform() < 0.5) ^ (x1 - x0 < z1 - z0)) * np.pi / 2
        if room.try_at(table, x, z, yaw, gap=0.55):
            base = room.placed[-1]
            if rng.uniform() < 0.3:
                _rug(room, p, base, 0.0, table.width + 1.2, table.depth + 1.4)
            _chairs_around(room, p, base)
            f.table_setting(table, p, rng)
            return True
    return False


def _chairs_around(room: RoomLayout, p: Palette, base: Placed) -> None:
    """Chairs on both long sides of a table, partly pushed in, and sometimes at its ends."""
    rng, table = room.rng, base.piece
    chair = f.chair(p, rng)
    per_side = 2 if table.width > 1.1 else 1
    seats = [
        ((i - (per_side - 1) / 2) * table.width * 0.46, s * table.depth / 2, 0.0 if s < 0 else np.pi)
        for i in range(per_side)
        for s in (-1, 1)
    ]
    seats += [(s * table.width / 2, 0.0, -s * np.pi / 2) for s in (-1, 1) if rng.uniform() < 0.3]
    for u, v, turn in seats:
        if rng.uniform() < 0.08:
            continue
        out = float(rng.uniform(0.02, 0.25))
        du, dv = -np.sin(turn) * out, -np.cos(turn) * out
        room.try_beside(base, chair, u + du, v + dv, turn + float(rng.normal(0, 0.07)), under=True)


def _desk(room: RoomLayout, p: Palette) -> None:
    rng = room.rng
    desk = storage.desk(p, rng)
    if room.try_wall(desk, 20, centred=0.2) >= 0:
        base = room.placed[-1]
        room.try_beside(
            base,
            storage.office_chair(p, rng),
            float(rng.uniform(-0.15, 0.15)),
            desk.depth / 2 + float(rng.uniform(0.15, 0.35)),
            np.pi + float(rng.normal(0, 0.4)),
            under=True,
        )


def _nightstands(room: RoomLayout, p: Palette, base: Placed) -> None:
    stand = storage.nightstand(p, room.rng)
    for s in (-1, 1):
        u = s * (base.piece.width / 2 + stand.width / 2 + 0.04)
        room.try_beside(base, stand, u, -base.piece.depth / 2 + stand.depth / 2 + 0.01)


FILLERS: dict[str, tuple[tuple[f.Maker, float], ...]] = {
    "living": (
        (storage.bookshelf, 1.0),
        (storage.cabinet, 1.0),
        (f.armchair, 1.0),
        (extras.ottoman, 0.7),
        (extras.bench, 0.4),
        (extras.side_table, 0.8),
        (extras.chest, 0.4),
        (extras.piano, 0.4),
        (extras.basket, 0.5),
        (decor.plant, 0.8),
    ),
    "bedroom": (
        (storage.cabinet, 1.0),
        (extras.ottoman, 0.6),
        (extras.bench, 0.6),
        (extras.chest, 0.7),
        (extras.basket, 0.7),
        (storage.bookshelf, 0.6),
        (f.armchair, 0.6),
        (decor.plant, 0.6),
    ),
    "dining": (
        (storage.cabinet, 1.0),
        (storage.bookshelf, 0.6),
        (extras.bench, 0.6),
        (extras.piano, 0.4),
        (decor.plant, 0.8),
        (extras.side_table, 0.4),
    ),
    "kitchen": ((storage.cabinet, 1.0), (extras.bench, 0.5), (extras.basket, 0.6), (decor.plant, 0.5)),
    "office": (
        (storage.bookshelf, 1.2),
        (storage.cabinet, 1.0),
        (f.armchair, 0.6),
        (extras.basket, 0.5),
        (extras.chest, 0.4),
        (decor.plant, 0.7),
        (extras.ottoman, 0.4),
    ),
    "bath": ((extras.basket, 1.0), (storage.cabinet, 0.4)),
}
"""What else stands in a room of each kind, with its weight."""


def _fill(room: RoomLayout, p: Palette) -> None:
    """Add pieces along the walls until the room is about as full as its kind usually is."""
    rng = room.rng
    makers = FILLERS["living" if room.kind == "studio" else room.kind]
    weights = np.array([w for _, w in makers])
    target = float(rng.uniform(0.55, 0.78))
    for _ in range(10):
        if room.free < target:
            return
        make = makers[int(rng.choice(len(makers), p=weights / weights.sum()))][0]
        room.try_wall(make(p, rng), 6, corner=0.3, centred=0.2, back=0.03)


def _corners(room: RoomLayout, p: Palette, lamp: float, plant: float) -> None:
    """A floor lamp and plants, mostly in corners, with these odds."""
    rng = room.rng
    if rng.uniform() < lamp:
        room.try_wall(decor.floor_lamp(p, rng), 12, corner=0.6, back=0.04)
    while rng.uniform() < plant:
        room.try_wall(decor.plant(p, rng), 8, corner=0.5, back=0.04)
        plant *= 0.5


def _rug(room: RoomLayout, p: Palette, base: Placed, v: float, width: float, depth: float) -> None:
    """A rug in front of a piece, shifted and cut so that it stays inside the room."""
    x, z = base.point(0.0, v)
    turned = abs(np.sin(base.yaw)) > 0.5
    size = np.minimum([depth, width] if turned else [width, depth], np.array(room.size) - 0.2)
    low, high = room.rect[:2] + 0.08 + size / 2, room.rect[2:] - 0.08 - size / 2
    x, z = np.clip([x, z], low, high)
    w, d = (size[1], size[0]) if turned else (size[0], size[1])
    room.try_rug(decor.rug(float(w), float(d), f"rug{room.rng.integers(2)}"), float(x), float(z), base.yaw)
