"""Furniture that holds things: shelves with books, cabinets, wardrobes, desks, television stands."""

from __future__ import annotations

import numpy as np

from mirage_env.simulators.rooms.furniture import Piece, colour, legs, pick, vase
from mirage_env.simulators.rooms.palette import Palette
from mirage_env.simulators.rooms.shapes import Shape


def books(
    s: Shape, rng: np.random.Generator, x0: float, x1: float, y: float, z: float, room: float, p: Palette
) -> None:
    """A row of standing books from x0 to x1 on a board at height y, backs at z, at most ``room`` metres high."""
    x = x0
    while x < x1 - 0.02:
        w, h, d = float(rng.uniform(0.02, 0.05)), float(rng.uniform(0.6, 0.92)) * room, float(rng.uniform(0.14, 0.2))
        h = min(h, 0.3)
        if x + w > x1:
            break
        tint = (
            p.accents[int(rng.integers(4))] * rng.uniform(0.5, 1.1)
            if rng.uniform() < 0.45
            else np.array(colour(rng, 0.2, 0.85))
        )
        s.box((w - 0.002, h, d), (x + w / 2, y + h / 2, z - d / 2), "paper", tuple(tint), skip="-y -z")
        x += w if rng.uniform() < 0.95 else w + 0.03


def things(
    s: Shape, rng: np.random.Generator, x: float, y: float, z: float, room: float, width: float, p: Palette
) -> None:
    """One object on a board: a vase, a box, a ball, a small frame, or lying books."""
    kind = pick(rng, "vase", "box", "ball", "frame", "pile", "pot")
    scale = min(1.0, room / 0.32, width / 0.2)
    tint = tuple(p.accents[int(rng.integers(4))])
    if kind == "vase":
        vase(s, rng, (x, y, z), scale * 0.85)
    elif kind == "box":
        w, h = float(rng.uniform(0.16, 0.24)) * scale, float(rng.uniform(0.12, 0.2)) * scale
        s.box((w, h, 0.2), (x, y + h / 2, z), pick(rng, "wood2", "accent1", "cloth"), bevel=0.006)
    elif kind == "ball":
        r = 0.07 * scale
        s.lathe(
            [(r * np.sin(a), y + r - r * np.cos(a)) for a in np.linspace(0.3, np.pi, 6)], "ceramic", tint, (x, 0, z), 9
        )
    elif kind == "frame":
        h, w = 0.22 * scale, 0.17 * scale
        s.box((w, h, 0.015), (x, y + h / 2, z), pick(rng, "wood", "black"), yaw=float(rng.normal(0, 0.15)))
        s.sheet(
            (x - w / 2 + 0.015, y + 0.015, z + 0.012),
            (w - 0.03, 0, 0),
            (0, h - 0.03, 0),
            f"art{rng.integers(6)}",
            fit=True,
        )
    elif kind == "pile":
        for i in range(int(rng.integers(2, 5))):
            s.box(
                (0.22 * scale, 0.03, 0.15),
                (x, y + 0.015 + 0.03 * i, z),
                "paper",
                colour(rng),
                yaw=float(rng.normal(0, 0.12)),
            )
    else:
        s.lathe([(0.04 * scale, y), (0.055 * scale, y + 0.09 * scale)], "terracotta", (1, 1, 1), (x, 0, z), 9)
        s.pillow((0.17 * scale, 0.14 * scale, 0.17 * scale), (x, y + 0.14 * scale, z), "leaf", roundness=0.9)


def bookshelf(p: Palette, rng: np.random.Generator) -> Piece:
    """Open shelves full of books and objects."""
    s, wood = Shape(), pick(rng, "wood", "wood2")
    w, h, d = (
        float(rng.uniform(0.6, 1.1)),
        float(rng.choice([0.8, 1.2, 1.6, 1.85, 2.05])),
        float(rng.uniform(0.26, 0.33)),
    )
    t, foot = 0.025, float(rng.choice([0.0, 0.06]))
    shelves = max(2, round((h - foot) / 0.36))
    pitch = (h - foot - t) / shelves
    for x in (-1, 1):
        s.box((t, h, d), (x * (w / 2 - t / 2), h / 2, 0), wood, turn_uv=True, skip="-y")
    s.box((w - 2 * t, h - foot, 0.01), (0, (h + foot) / 2, -d / 2 + 0.006), wood, (0.85, 0.85, 0.85), skip="-y")
    for i in range(shelves + 1):
        y = foot + i * pitch
        s.box((w - 2 * t, t, d - 0.01), (0, y + t / 2, 0.0), wood)
        if i == shelves:
            break
        x, end = -w / 2 + t + 0.01, w / 2 - t - 0.01
        while x < end - 0.12:
            span = float(min(rng.uniform(0.2, 0.6), end - x))
            if rng.uniform() < 0.68:
                books(s, rng, x, x + span, y + t, d / 2 - float(rng.uniform(0.02, 0.08)), pitch - t, p)
            elif rng.uniform() < 0.75:
                things(s, rng, x + span / 2, y + t, 0.02, pitch - t - 0.03, span, p)
            x += span + 0.02
    if h < 1.3:
        things(s, rng, float(rng.uniform(-0.25, 0.25)) * w, h, 0, 0.4, 0.3, p)
    return Piece(s, w, d, h)


def _fronts(
    s: Shape, material: str, w: float, y0: float, y1: float, z: float, columns: int, rows: int, handle: str
) -> None:
    """A grid of doors or drawers with gaps between and handles on them."""
    cw, ch = w / columns, (y1 - y0) / rows
    for i in range(columns):
        for j in range(rows):
            x, y = -w / 2 + (i + 0.5) * cw, y0 + (j + 0.5) * ch
            s.box((cw - 0.008, ch - 0.008, 0.018), (x, y, z + 0.009), material, bevel=0.004, skip="-z", turn_uv=ch > cw)
            if handle == "bar":
                if ch > cw * 1.1:
                    side = 1 if i % 2 == 0 else -1
                    s.box((0.012, min(0.2, ch * 0.3), 0.018), (x + side * (cw / 2 - 0.045), y, z + 0.035), "metal")
                else:
                    s.box((min(0.2, cw * 0.35), 0.012, 0.018), (x, y + ch * 0.2, z + 0.035), "metal")
            elif handle == "knob":
                side = 1 if i % 2 == 0 else -1
                kx = x + side * (cw / 2 - 0.05) if ch > cw * 1.1 else x
                s.box((0.03, 0.03, 0.025), (kx, y, z + 0.03), "metal", bevel=0.01)


def cabinet(
    p: Palette,
    rng: np.random.Generator,
    w: float | None = None,
    h: float | None = None,
    d: float = 0.42,
    top: bool = True,
) -> Piece:
    """A sideboard or chest of drawers with things on top."""
    s, wood = Shape(), pick(rng, "wood", "wood2")
    w = float(rng.uniform(0.8, 1.6)) if w is None else w
    h = float(rng.uniform(0.7, 0.95)) if h is None else h
    foot = float(rng.choice([0.04, 0.12, 0.16]))
    legs(s, w - 0.04, d - 0.04, foot, pick(rng, wood, "metal"), 0.045, pick(rng, "square", "taper"))
    s.box((w, h - foot, d - 0.02), (0, (h + foot) / 2, -0.01), wood, bevel=0.004)
    front = pick(rng, wood, wood, "wood2", "fronts")
    columns = max(1, round(w / 0.5))
    _fronts(
        s,
        front,
        w - 0.03,
        foot + 0.02,
        h - 0.03,
        d / 2 - 0.02,
        columns,
        pick_rows(rng, h),
        pick(rng, "bar", "knob", "none"),
    )
    if top:
        for x in np.linspace(-0.36, 0.36, max(1, round(w / 0.4))) * w:
            if rng.uniform() < 0.7:
                things(s, rng, float(x), h, float(rng.uniform(-0.05, 0.05)), 0.4, 0.3, p)
    return Piece(s, w, d, h)


def pick_rows(rng: np.random.Generator, h: float) -> int:
    """How many drawers or doors lie one above the other in a cabinet of this height."""
    return int(rng.choice([1, 2, 3, 4])) if h > 0.6 else int(rng.choice([1, 2]))


def nightstand(p: Palette, rng: np.random.Generator) -> Piece:
    """A bedside table with a lamp or a pile of books."""
    piece = cabinet(p, rng, float(rng.uniform(0.38, 0.5)), float(rng.uniform(0.45, 0.58)), 0.38, top=False)
    if rng.uniform() < 0.75:
        table_lamp(piece, rng, (0.0, piece.height, -0.03))
    else:
        things(piece.shape, rng, 0.0, piece.height, 0, 0.3, 0.2, p)
    return piece


def table_lamp(piece: Piece, rng: np.random.Generator, at: tuple[float, float, float]) -> None:
    """A small lamp that stands on the piece, lit or not."""
    s, (x, y, z) = piece.shape, at
    h, r, lit = float(rng.uniform(0.34, 0.45)), float(rng.uniform(0.1, 0.14)), rng.uniform() < 0.7
    body = [(0.06, y), (0.06, y + 0.015), (0.015, y + 0.03), (0.015, y + h - 0.1)]
    if rng.uniform() < 0.5:
        body = [(0.05, y), (0.085, y + 0.09), (0.03, y + 0.2), (0.015, y + h - 0.1)]
    s.lathe(body, pick(rng, "ceramic", "metal", "wood"), colour(rng, 0.6, 0.95), (x, 0, z), 9)
    s.lathe(
        [(r, y + h - 0.17), (r * float(rng.uniform(0.6, 1.0)), y + h)],
        "shade",
        centre=(x, 0, z),
        segments=12,
        emission=1.12 if lit else None,
    )
    if lit:
        piece.lights.append((np.array([x, y + h - 0.08, z]), r + 0.03, 0.5))


def wardrobe(p: Palette, rng: np.random.Generator) -> Piece:
    """A tall wardrobe with two to four doors."""
    s, wood = Shape(), pick(rng, "wood", "wood2", "fronts")
    n = int(rng.integers(2, 5))
    w, h, d = n * float(rng.uniform(0.45, 0.52)), float(rng.uniform(1.95, 2.2)), float(rng.uniform(0.54, 0.62))
    s.box((w, h, d - 0.02), (0, h / 2, -0.01), wood, skip="-y")
    _fronts(s, wood, w - 0.02, 0.08, h - 0.03, d / 2 - 0.02, n, 1, pick(rng, "bar", "knob"))
    if rng.uniform() < 0.4:
        x = (int(rng.integers(n)) - (n - 1) / 2) * (w - 0.02) / n
        s.sheet((x - 0.16, 0.25, d / 2 + 0.001), (0.32, 0, 0), (0, h - 0.5, 0), "mirror", fit=True)
    return Piece(s, w, d, h)


def tv_stand(p: Palette, rng: np.random.Generator) -> Piece:
    """A low cabinet with a television."""
    piece = cabinet(p, rng, float(rng.uniform(1.2, 1.8)), float(rng.uniform(0.42, 0.55)), 0.4, top=False)
    s, h = piece.shape, piece.height
    w = float(rng.uniform(0.95, 1.3))
    th = w * 9 / 16
    s.box((0.3, 0.015, 0.18), (0, h + 0.008, 0), "black")
    s.box((0.08, 0.08, 0.04), (0, h + 0.05, 0), "black")
    s.box((w, th, 0.045), (0, h + 0.08 + th / 2, 0), "black", bevel=0.008)
    s.sheet((-w / 2 + 0.015, h + 0.095, 0.024), (w - 0.03, 0, 0), (0, th - 0.03, 0), "screen", fit=True, emission=1.0)
    for x in (-1, 1):
        if rng.uniform() < 0.5 and piece.width / 2 > w / 2 + 0.1:
            things(s, rng, x * (piece.width / 2 - 0.1), h, 0, 0.3, 0.16, p)
    return Piece(s, piece.width, piece.depth, h + 0.1 + th)


def desk(p: Palette, rng: np.random.Generator) -> Piece:
    """A desk with a monitor, keyboard, papers and a lamp; one sits on its +z side."""
    s, wood = Shape(), pick(rng, "wood", "wood2")
    w, d, h = float(rng.uniform(1.2, 1.6)), float(rng.uniform(0.6, 0.75)), 0.74
    s.box((w, 0.035, d), (0, h - 0.018, 0), wood, bevel=0.006)
    if rng.uniform() < 0.5:
        s.box((0.42, h - 0.08, d - 0.08), (w / 2 - 0.24, (h - 0.04) / 2 + 0.02, 0), wood)
        sub = Shape()
        _fronts(sub, pick(rng, wood, "fronts"), 0.4, 0.06, h - 0.06, d / 2 - 0.04, 1, 3, "bar")
        s.place(sub, w / 2 - 0.24, 0)
        for z in (-1, 1):
            s.box((0.04, h - 0.03, 0.04), (-w / 2 + 0.05, (h - 0.03) / 2, z * (d / 2 - 0.05)), pick(rng, wood, "metal"))
    else:
        legs(s, w - 0.04, d - 0.04, h - 0.03, pick(rng, wood, "metal"), 0.05, pick(rng, "square", "taper"))
    mw = float(rng.uniform(0.5, 0.7))
    mh = mw * 0.6
    s.box((0.2, 0.012, 0.16), (0, h + 0.006, -0.12), "black")
    s.box((0.04, 0.14, 0.03), (0, h + 0.07, -0.15), "black")
    s.box((mw, mh, 0.03), (0, h + 0.12 + mh / 2, -0.13), "black", bevel=0.006)
    s.sheet(
        (-mw / 2 + 0.01, h + 0.13, -0.114), (mw - 0.02, 0, 0), (0, mh - 0.02, 0), "desktop", fit=True, emission=0.95
    )
    s.box((0.42, 0.018, 0.14), (0, h + 0.009, 0.12), pick(rng, "black", "paper"), bevel=0.005)
    s.box((0.21, 0.006, 0.3), (-w * 0.33, h + 0.003, 0.06), "paper", yaw=float(rng.normal(0, 0.2)))
    piece = Piece(s, w, d, h + 0.12 + mh)
    if rng.uniform() < 0.6:
        table_lamp(piece, rng, (-w / 2 + 0.16, h, -d / 2 + 0.18))
    things(s, rng, w / 2 - 0.18, h, -d / 2 + 0.2, 0.35, 0.2, p)
    return piece


def office_chair(p: Palette, rng: np.random.Generator) -> Piece:
    """A swivel chair on a star foot."""
    s, cloth = Shape(), pick(rng, "black", "cloth", "leather", "accent0")
    for i in range(5):
        a = i * 2 * np.pi / 5
        s.box((0.27, 0.035, 0.04), (0.14 * np.cos(a), 0.07, -0.14 * np.sin(a)), "black", yaw=a)
        s.box((0.05, 0.05, 0.04), (0.27 * np.cos(a), 0.025, -0.27 * np.sin(a)), "black", yaw=a, bevel=0.012)
    s.lathe([(0.03, 0.07), (0.025, 0.44)], "metal", segments=8)
    s.box((0.48, 0.08, 0.47), (0, 0.48, 0), cloth, bevel=0.03)
    s.box((0.06, 0.2, 0.02), (0, 0.56, -0.25), "black")
    s.box((0.44, float(rng.uniform(0.42, 0.56)), 0.07), (0, 0.86, -0.23), cloth, bevel=0.028, pitch=-0.1)
    for x in (-1, 1):
        s.box((0.04, 0.2, 0.04), (x * 0.25, 0.6, 0), "black")
        s.box((0.06, 0.03, 0.26), (x * 0.25, 0.7, 0.0), "black", bevel=0.01)
    return Piece(s, 0.58, 0.58, 1.1)
