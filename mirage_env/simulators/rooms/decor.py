"""What makes a room lived in: lamps, plants, pictures, curtains, rugs, radiators."""

from __future__ import annotations

import numpy as np

from mirage_env.simulators.rooms.furniture import Piece, pick
from mirage_env.simulators.rooms.palette import Palette
from mirage_env.simulators.rooms.shapes import WHITE, Shape


def ceiling_lamp(p: Palette, rng: np.random.Generator, lit: bool) -> Piece:
    """A lamp hanging from y = 0 down: a shade on a cord, a globe, a flat disc or a row of spots."""
    s, kind = Shape(), pick(rng, "shade", "globe", "disc", "disc", "spots")
    glow = 1.13 if lit else None
    if kind == "disc":
        r = float(rng.uniform(0.16, 0.26))
        s.lathe([(0, -0.09), (r, -0.085), (r, 0)], "ceramic", centre=(0, 0, 0), segments=16, sharp=True, emission=glow)
        drop, radius = 0.2, r
    elif kind == "spots":
        s.box((0.9, 0.03, 0.06), (0, -0.015, 0), "metal")
        for x in (-0.36, 0.0, 0.36):
            s.lathe([(0, -0.16), (0.045, -0.16), (0.035, -0.03)], "metal", centre=(x, 0, 0), segments=9, sharp=True)
            s.lathe([(0.0, -0.163), (0.038, -0.163)], "ceramic", centre=(x, 0, 0), segments=9, emission=glow)
        drop, radius = 0.25, 0.3
    else:
        drop = float(rng.uniform(0.4, 0.6))
        s.lathe([(0.006, -drop), (0.006, 0)], "black", segments=5)
        s.lathe([(0.0, -0.03), (0.05, -0.03), (0.05, 0)], "metal", segments=10, sharp=True)
        if kind == "globe":
            r = float(rng.uniform(0.13, 0.2))
            ring = [(r * np.sin(a), -drop - r * np.cos(a)) for a in np.linspace(0, np.pi, 8)]
            s.lathe(ring, "ceramic", segments=12, emission=glow)
            radius = r + 0.04
        else:
            r = float(rng.uniform(0.17, 0.26))
            top = r * float(rng.uniform(0.2, 0.9))
            s.lathe(
                [(r, -drop - 0.1), (top, -drop + 0.1)],
                pick(rng, "shade", "shade", "accent0", "metal"),
                segments=14,
                emission=glow and 1.05,
            )
            s.lathe([(0, -drop - 0.08), (r * 0.9, -drop - 0.08)], "ceramic", segments=12, emission=glow)
            radius = r + 0.05
        drop += 0.12
    piece = Piece(s, 0.4, 0.4, 0.0)
    if lit:
        piece.lights.append((np.array([0.0, -drop - 0.06, 0.0]), radius, 2.2))
    return piece


def floor_lamp(p: Palette, rng: np.random.Generator) -> Piece:
    """A standing lamp."""
    s, h, r = Shape(), float(rng.uniform(1.4, 1.7)), float(rng.uniform(0.16, 0.22))
    metal = pick(rng, "metal", "wood", "black")
    lit = rng.uniform() < 0.7
    if rng.uniform() < 0.6:
        s.lathe([(0.14, 0), (0.14, 0.02), (0.0, 0.03)], metal, segments=12, sharp=True)
        s.lathe([(0.014, 0.02), (0.014, h - 0.2)], metal, segments=7)
    else:
        for a in (0.3, 2.4, 4.5):
            top, foot = (
                np.array([0.03 * np.cos(a), h - 0.25, 0.03 * np.sin(a)]),
                np.array([0.2 * np.cos(a), 0, 0.2 * np.sin(a)]),
            )
            for side in (np.array([np.sin(a), 0, -np.cos(a)]), np.array([np.cos(a), 0, np.sin(a)])):
                s.sheet(foot - side * 0.014, side * 0.028, top - foot, metal)
    s.lathe(
        [(r, h - 0.28), (r * float(rng.uniform(0.55, 1.0)), h)], "shade", segments=14, emission=1.1 if lit else None
    )
    piece = Piece(s, 0.42, 0.42, h)
    if lit:
        piece.lights.append((np.array([0.0, h - 0.12, 0.0]), r + 0.04, 0.9))
    return piece


def plant(p: Palette, rng: np.random.Generator) -> Piece:
    """A plant in a pot: broad leaves, a palm, upright blades or a bush."""
    s, kind = Shape(), pick(rng, "broad", "palm", "blades", "bush")
    r, ph = float(rng.uniform(0.13, 0.19)), float(rng.uniform(0.24, 0.36))
    tint = tuple(p.accents[int(rng.integers(4))]) if rng.uniform() < 0.35 else (0.9, 0.9, 0.88)
    pot, tint = ("ceramic", tint) if rng.uniform() < 0.65 else ("terracotta", WHITE)
    s.lathe([(r * 0.72, 0), (r, ph), (r * 0.9, ph), (r * 0.88, ph - 0.03)], pot, tint, segments=12, sharp=True)
    s.lathe([(r * 0.9, ph - 0.03), (0, ph - 0.03)], "soil", segments=10)
    tone = float(rng.uniform(0.75, 1.25))
    if kind == "bush":
        h = float(rng.uniform(0.45, 0.9))
        s.lathe([(0.018, ph - 0.03), (0.012, ph + h * 0.7)], "wood", segments=5)
        for _ in range(9):
            a, q = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.16)
            size = float(rng.uniform(0.18, 0.28))
            g = tone * float(rng.uniform(0.75, 1.2))
            s.pillow(
                (size, size * 0.8, size),
                (q * np.cos(a), ph + h * rng.uniform(0.55, 1.0), q * np.sin(a)),
                "leaf",
                (g, g, g),
                roundness=0.95,
                detail=5,
            )
        return Piece(s, 0.5, 0.5, ph + h + 0.1)
    number = {"broad": 14, "palm": 16, "blades": 12}[kind]
    height = {"broad": (0.35, 0.8), "palm": (0.6, 1.0), "blades": (0.4, 0.75)}[kind]
    top = 0.0
    for i in range(number):
        a = i * 2.4 + rng.normal(0, 0.2)
        h = float(rng.uniform(*height))
        reach = {"broad": rng.uniform(0.1, 0.26), "palm": rng.uniform(0.2, 0.36), "blades": rng.uniform(0.02, 0.09)}[
            kind
        ]
        width = {"broad": rng.uniform(0.07, 0.12), "palm": 0.045, "blades": 0.03}[kind]
        _leaf(s, a, ph - 0.03, h, float(reach), float(width), kind, tone * float(rng.uniform(0.7, 1.2)))
        top = max(top, ph + h)
    return Piece(s, 0.5, 0.5, top)


def _leaf(s: Shape, angle: float, y0: float, h: float, reach: float, width: float, kind: str, tone: float) -> None:
    """A bent strip from the soil outwards, widest where its kind is."""
    t = np.linspace(0, 1, 6)
    bend = {"broad": t**2.2, "palm": t**1.8, "blades": t**1.3}[kind]
    rise = {"broad": 1 - (1 - t) ** 1.6, "palm": np.sin(t * 2.0) / np.sin(2.0) * (1 - 0.12 * t), "blades": t}[kind]
    wide = {
        "broad": np.where(t < 0.45, 0.012, width * np.sin(np.clip((t - 0.4) / 0.6, 0, 1) * np.pi) ** 0.7),
        "palm": width * np.sin(0.15 + t * 2.9),
        "blades": width * (1.05 - t),
    }[kind]
    out = np.array([np.cos(angle), 0, np.sin(angle)])
    side = np.array([-np.sin(angle), 0, np.cos(angle)])
    middle = out * (0.03 + reach * bend)[:, None] + np.array([0, 1.0, 0]) * (y0 + h * rise)[:, None]
    points = middle[:, None] + side * (wide[:, None] * np.array([-1.0, 1.0]))[..., None]
    along = np.gradient(middle, axis=0)
    normal = np.cross(side, along)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    normal *= np.where(normal[:, 1:2] < 0, -1, 1)
    normals = np.repeat(normal[:, None], 2, axis=1)
    uv = np.stack(np.broadcast_arrays(t[:, None] * h, np.array([0, width * 2])), -1)
    s.add(points[None], normals[None], uv[None], "leaf", (tone, tone, tone))


def picture(p: Palette, rng: np.random.Generator, w: float, h: float, image: str) -> Piece:
    """A framed picture whose middle is at y = 0, its back at z = 0."""
    s, f = Shape(), float(rng.uniform(0.015, 0.035))
    frame = pick(rng, "wood", "wood2", "black", "metal")
    d = 0.025
    for x in (-1, 1):
        s.box((f, h, d), (x * (w / 2 - f / 2), 0, d / 2), frame, turn_uv=True, skip="-z")
    for y in (-1, 1):
        s.box((w - 2 * f, f, d), (0, y * (h / 2 - f / 2), d / 2), frame, skip="-z")
    s.sheet((-w / 2 + f, -h / 2 + f, 0.013), (w - 2 * f, 0, 0), (0, h - 2 * f, 0), image, cell=0.3, fit=True)
    s.batches[-1].structure = True
    s.solids.append((np.array([0.0, 0.0, 0.0065]), np.array([w / 2, h / 2, 0.0065]), 0.0, 0))
    return Piece(s, w, d, h)


def wall_clock(p: Palette, rng: np.random.Generator) -> Piece:
    """A square clock on the wall."""
    w = float(rng.uniform(0.24, 0.34))
    return picture(p, rng, w, w, "clock")


def wall_shelf(p: Palette, rng: np.random.Generator) -> Piece:
    """A board on the wall with books and objects; its underside is at y = 0."""
    from mirage_env.simulators.rooms.storage import books, things

    s, w, d = Shape(), float(rng.uniform(0.7, 1.2)), 0.24
    s.box((w, 0.03, d), (0, 0.015, d / 2), pick(rng, "wood", "wood2"), bevel=0.004)
    split = float(rng.uniform(0.2, 0.6)) * w - w / 2
    books(s, rng, split, w / 2 - 0.04, 0.03, d - 0.03, 0.3, p)
    things(s, rng, (split - w / 2) / 2, 0.03, d / 2, 0.3, max(0.12, split + w / 2), p)
    return Piece(s, w, d, 0.4)


def curtain(width: float, height: float, material: str, rng: np.random.Generator) -> Piece:
    """A gathered curtain from y = 0 up to its height, its back at z = 0."""
    s, n = Shape(), max(13, int(width / 0.025))
    t = np.linspace(0, 1, n)
    waves = width / float(rng.uniform(0.085, 0.13))
    z = 0.085 + 0.018 * np.sin(2 * np.pi * waves * t + rng.uniform(0, 6))
    rows = np.linspace(0, 1, 5)
    narrow = 1 - 0.12 * np.sin(rows * np.pi)[:, None]
    points = np.stack(np.broadcast_arrays((t - 0.5) * width * narrow, rows[:, None] * height, z), -1)
    dz = np.gradient(z, t * width)
    normal = np.stack([-dz, 0 * dz, np.ones(n)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    uv = np.stack(np.broadcast_arrays(t * width * 1.4, rows[:, None] * height), -1)
    s.add(points[None], np.broadcast_to(normal, points.shape)[None], uv[None], material)
    return Piece(s, width, 0.09, height)


def rod(width: float) -> Piece:
    """A curtain rod at y = 0, its axis 8.5 cm in front of the wall."""
    s = Shape()
    s.box((width, 0.024, 0.024), (0, 0, 0.085), "metal", bevel=0.008)
    for x in (-1, 1):
        s.box((0.05, 0.045, 0.045), (x * width / 2, 0, 0.085), "metal", bevel=0.016)
    return Piece(s, width, 0.08, 0.05)


def radiator(width: float, height: float = 0.55) -> Piece:
    """A ribbed radiator that stands at the wall."""
    s = Shape()
    s.box((width, height, 0.05), (0, 0.12 + height / 2, -0.01), "ceramic", bevel=0.01)
    for x in np.arange(-width / 2 + 0.05, width / 2 - 0.02, 0.075):
        s.box((0.045, height - 0.06, 0.02), (float(x), 0.12 + height / 2, 0.022), "ceramic", bevel=0.008, skip="-z")
    return Piece(s, width, 0.09, height + 0.12)


def rug(width: float, depth: float, image: str) -> Piece:
    """A rug; round ones are not made."""
    s = Shape()
    s.sheet((-width / 2, 0.009, -depth / 2), (0, 0, depth), (width, 0, 0), image, cell=0.2, fit=True)
    s.batches[-1].structure = True
    return Piece(s, width, depth, 0.01)
