"""Kitchens and baths: counters with hob and sink, fridges, wall units; tubs, toilets, basins, washing machines."""

from __future__ import annotations

import numpy as np

from mirage_env.simulators.rooms.furniture import Piece, pick
from mirage_env.simulators.rooms.palette import Palette
from mirage_env.simulators.rooms.shapes import Shape
from mirage_env.simulators.rooms.storage import _fronts, things

MODULE = 0.6


def counter(p: Palette, rng: np.random.Generator, modules: int) -> tuple[Piece, float]:
    """A run of kitchen units with sink, hob over an oven, and small things; and the x of the hob."""
    s, w, d, h = Shape(), modules * MODULE, 0.62, 0.9
    s.box((w, 0.1, d - 0.1), (0, 0.05, -0.03), "black", skip="-y")
    s.box((w, h - 0.14, d - 0.04), (0, 0.1 + (h - 0.14) / 2, -0.02), "fronts", (0.8, 0.8, 0.8))
    order = rng.permutation(modules)
    hob, sink = int(order[0]), int(order[1])
    handle = pick(rng, "bar", "bar", "knob")
    for i in range(modules):
        x, sub = (i - (modules - 1) / 2) * MODULE, Shape()
        if i == hob:
            sub.box((MODULE - 0.01, 0.58, 0.02), (0, 0.48, d / 2 - 0.03), pick(rng, "steel", "black"), bevel=0.005)
            sub.sheet((-0.24, 0.26, d / 2 - 0.019), (0.48, 0, 0), (0, 0.34, 0), "screen", fit=True)
            sub.box((0.44, 0.02, 0.03), (0, 0.65, d / 2), "steel", bevel=0.008)
            for k in range(4):
                sub.box((0.03, 0.03, 0.02), ((k - 1.5) * 0.1, 0.72, d / 2 - 0.012), "black", bevel=0.008)
            sub.sheet((-0.27, h + 0.003, -0.25), (0, 0, 0.5), (0.54, 0, 0), "hob", fit=True)
        elif i == sink or rng.uniform() < 0.6:
            _fronts(sub, "fronts", MODULE, 0.11, h - 0.05, d / 2 - 0.04, 1, 1, handle)
        else:
            _fronts(sub, "fronts", MODULE, 0.11, h - 0.05, d / 2 - 0.04, 1, 3, handle)
        s.place(sub, x, 0)
    sx = (sink - (modules - 1) / 2) * MODULE
    _worktop(s, w, d, h, sx)
    s.lathe([(0.016, h), (0.013, h + 0.26)], "steel", centre=(sx, 0, -0.22), segments=8)
    s.box((0.02, 0.02, 0.17), (sx, h + 0.26, -0.145), "steel", bevel=0.006)
    s.box((0.018, 0.05, 0.018), (sx, h + 0.235, -0.07), "steel")
    for i in range(modules):
        if i not in (hob, sink) and rng.uniform() < 0.75:
            x = (i - (modules - 1) / 2) * MODULE + float(rng.uniform(-0.12, 0.12))
            if rng.uniform() < 0.35:
                _kettle(s, rng, x, h)
            else:
                things(s, rng, x, h, -0.12, 0.35, 0.25, p)
    return Piece(s, w, d, h), (hob - (modules - 1) / 2) * MODULE


def _kettle(s: Shape, rng: np.random.Generator, x: float, h: float) -> None:
    s.lathe(
        [(0.085, h), (0.08, h + 0.1), (0.05, h + 0.19), (0.0, h + 0.2)],
        pick(rng, "steel", "black"),
        centre=(x, 0, -0.1),
    )
    s.box((0.02, 0.14, 0.025), (x + 0.1, h + 0.12, -0.1), "black", bevel=0.006)


def _worktop(s: Shape, w: float, d: float, h: float, sx: float) -> None:
    """A slab with a steel basin let into it at sx."""
    y = h - 0.04
    a, b, z0, z1 = sx - 0.23, sx + 0.23, -0.16, 0.2
    s.box((w, 0.04, d), (0, h - 0.02, 0), "worktop", skip="+y")
    s.solids.pop()
    s.sheet(
        (-w / 2, h, -d / 2),
        (0, 0, d),
        (w, 0, 0),
        "worktop",
        cell=0.3,
        holes=[(z0 + d / 2, a + w / 2, z1 + d / 2, b + w / 2)],
        structure=True,
    )
    depth = 0.16
    bottom = y - depth
    s.sheet((a, bottom, z0), (0, 0, z1 - z0), (b - a, 0, 0), "steel", cell=0.2, tint=(0.85, 0.85, 0.86))
    for origin, u, v in (
        ((a, bottom, z0), (b - a, 0, 0), (0, h - bottom, 0)),
        ((b, bottom, z1), (a - b, 0, 0), (0, h - bottom, 0)),
        ((a, bottom, z1), (0, 0, z0 - z1), (0, h - bottom, 0)),
        ((b, bottom, z0), (0, 0, z1 - z0), (0, h - bottom, 0)),
    ):
        s.sheet(origin, u, v, "steel", tint=(0.9, 0.9, 0.9))


def wall_unit(p: Palette, rng: np.random.Generator, width: float, height: float = 0.68) -> Piece:
    """A kitchen wall unit; its back is at z = 0, its underside at y = 0."""
    s, d = Shape(), 0.34
    s.box((width, height, d - 0.02), (0, height / 2, (d - 0.02) / 2), "fronts", (0.85, 0.85, 0.85))
    _fronts(s, "fronts", width, 0.0, height, d - 0.02, max(1, round(width / 0.5)), 1, pick(rng, "bar", "knob", "none"))
    return Piece(s, width, d, height)


def hood(p: Palette, rng: np.random.Generator, height: float) -> Piece:
    """An extractor hood with its flue up to the ceiling; underside at y = 0, back at z = 0."""
    s = Shape()
    s.box((0.58, 0.07, 0.46), (0, 0.035, 0.23), "steel", bevel=0.006)
    s.box((0.24, max(0.1, height - 0.07), 0.24), (0, 0.07 + (height - 0.07) / 2, 0.13), "steel")
    return Piece(s, 0.58, 0.46, height)


def backsplash(width: float, height: float) -> Piece:
    """Tiles over a worktop; underside at y = 0, back at z = 0."""
    s = Shape()
    s.sheet((-width / 2, 0, 0.006), (width, 0, 0), (0, height, 0), "splash", cell=0.3, structure=True)
    return Piece(s, width, 0.01, height)


def fridge(p: Palette, rng: np.random.Generator) -> Piece:
    """A tall fridge with a freezer."""
    s, w, d, h = Shape(), 0.62, 0.66, float(rng.uniform(1.65, 2.0))
    skin = pick(rng, "steel", "ceramic", "ceramic")
    tint = tuple(p.accents[0]) if skin == "ceramic" and rng.uniform() < 0.2 else (1, 1, 1)
    split = float(rng.choice([0.38, 0.62])) * h
    s.box((w, h - 0.03, d - 0.05), (0, (h + 0.03) / 2, -0.025), skin, tint, bevel=0.01)
    for low, high in ((0.04, split - 0.005), (split + 0.005, h - 0.005)):
        s.box((w - 0.006, high - low, 0.05), (0, (low + high) / 2, d / 2 - 0.03), skin, tint, bevel=0.014)
        y = high - 0.2 if high < split + 0.1 else low + 0.2
        s.box((0.022, min(0.35, (high - low) * 0.6), 0.035), (-w / 2 + 0.06, y, d / 2 + 0.01), "steel", bevel=0.008)
    return Piece(s, w, d, h)


def bathtub(p: Palette, rng: np.random.Generator) -> Piece:
    """A built-in tub: panels outside, a sloping basin inside, tap at one end."""
    s, w, d, h = Shape(), float(rng.uniform(1.55, 1.75)), float(rng.uniform(0.72, 0.8)), 0.56
    rim = 0.07
    s.box((w, h - 0.03, d), (0, (h - 0.03) / 2, 0), pick(rng, "ceramic", "splash"), skip="+y -y")
    s.solids.pop()
    hole = (rim, rim, d - rim, w - rim)
    s.sheet((-w / 2, h, -d / 2), (0, 0, d), (w, 0, 0), "ceramic", cell=0.25, holes=[hole])
    for z in (-1, 1):
        s.box((w, 0.03, 0.02), (0, h - 0.015, z * (d / 2 - 0.01)), "ceramic")
    for x in (-1, 1):
        s.box((0.02, 0.03, d), (x * (w / 2 - 0.01), h - 0.015, 0), "ceramic")
    a, b = w / 2 - rim, d / 2 - rim
    rows = [(1.0, h), (0.97, h - 0.04), (0.9, 0.25), (0.8, 0.16), (0.0, 0.14)]
    t = np.linspace(0, 2 * np.pi, 25)
    c, sn = np.cos(t), np.sin(t)
    box = np.maximum(np.abs(c), np.abs(sn))
    points = np.array(
        [[[a * q * x / m, y, b * q * z / m] for x, z, m in zip(c, sn, box, strict=True)] for q, y in rows]
    )
    inward = -points * np.array([1 / a**2, 0, 1 / b**2])
    inward /= np.maximum(np.linalg.norm(inward, axis=-1, keepdims=True), 1e-6)
    tilt = np.array([0.0, 0.1, 0.3, 0.8, 1.0])[:, None, None]
    normals = inward * (1 - tilt) + np.array([0, 1.0, 0]) * tilt
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    s.add(points[None], normals[None], points[None][..., [0, 2]], "ceramic")
    s.box((0.04, 0.1, 0.04), (-w / 2 + 0.035, h + 0.05, 0), "steel", bevel=0.01)
    s.box((0.13, 0.03, 0.03), (-w / 2 + 0.09, h + 0.1, 0), "steel", bevel=0.008)
    return Piece(s, w, d, h)


def toilet(p: Palette, rng: np.random.Generator) -> Piece:
    """A toilet with its cistern at the wall."""
    s = Shape()
    s.lathe(
        [(0.11, 0), (0.12, 0.1), (0.16, 0.3), (0.185, 0.39)],
        "ceramic",
        centre=(0, 0, 0.1),
        segments=14,
        scale=(1, 1, 1.25),
    )
    s.lathe(
        [(0.185, 0.39), (0.195, 0.41), (0.19, 0.43), (0.0, 0.435)],
        "ceramic",
        (0.97, 0.97, 0.97),
        (0, 0, 0.1),
        14,
        scale=(1, 1, 1.25),
    )
    s.box((0.2, 0.38, 0.24), (0, 0.19, -0.15), "ceramic", bevel=0.03)
    s.box((0.38, 0.36, 0.16), (0, 0.6, -0.25), "ceramic", bevel=0.025)
    s.box((0.4, 0.03, 0.18), (0, 0.795, -0.25), "ceramic", bevel=0.01)
    s.box((0.05, 0.012, 0.05), (0, 0.816, -0.25), "steel")
    return Piece(s, 0.42, 0.68, 0.82)


def vanity(p: Palette, rng: np.random.Generator) -> Piece:
    """A washbasin on a cabinet."""
    s, w, d, h = Shape(), float(rng.uniform(0.6, 1.0)), 0.46, 0.8
    wood = pick(rng, "wood", "fronts", "wood2")
    s.box((w, 0.5, d - 0.03), (0, 0.53, -0.015), wood)
    _fronts(
        s,
        wood,
        w - 0.01,
        0.3,
        0.77,
        d / 2 - 0.03,
        2 if w > 0.75 else 1,
        2 if w <= 0.75 else 1,
        pick(rng, "bar", "knob"),
    )
    s.box((w + 0.01, 0.04, d), (0, h, 0), pick(rng, "marble", "ceramic", "worktop"), bevel=0.006)
    y = h + 0.02
    s.lathe(
        [(0.12, y), (0.19, y + 0.11), (0.2, y + 0.12), (0.185, y + 0.12), (0.12, y + 0.035), (0.0, y + 0.03)],
        "ceramic",
        centre=(0, 0, 0.02),
        segments=16,
        sharp=True,
        scale=(1.1, 1, 0.85),
    )
    s.lathe([(0.014, y), (0.012, y + 0.22)], "steel", centre=(0, 0, -0.17), segments=8)
    s.box((0.02, 0.02, 0.12), (0, y + 0.22, -0.115), "steel", bevel=0.006)
    if w > 0.75:
        things(s, rng, w / 2 - 0.1, y, 0, 0.2, 0.12, p)
    return Piece(s, w, d, 0.95)


def washing_machine(p: Palette, rng: np.random.Generator) -> Piece:
    """A front loader."""
    s, w, d, h = Shape(), 0.6, 0.58, 0.85
    s.box((w, h, d - 0.02), (0, h / 2, -0.01), "ceramic", bevel=0.012)
    sub = Shape()
    sub.lathe([(0.2, 0), (0.2, 0.03), (0.15, 0.035)], "steel", segments=20, sharp=True)
    sub.lathe([(0.15, 0.03), (0.0, 0.02)], "screen", (1.6, 1.6, 1.8), segments=16)
    for b in sub.batches:
        turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
        s.add(b.points @ turn.T + [0, 0.4, d / 2 - 0.02], b.normals @ turn.T, b.uv, b.material, b.tint)
    s.box((w - 0.02, 0.1, 0.012), (0, h - 0.08, d / 2 - 0.016), "ceramic", (0.85, 0.86, 0.88))
    s.box((0.12, 0.05, 0.02), (0.12, h - 0.08, d / 2 - 0.012), "black")
    return Piece(s, w, d, h)


def towel_rail(p: Palette, rng: np.random.Generator) -> Piece:
    """A rail on the wall with a towel; its middle is at y = 0, its back at z = 0."""
    s, w = Shape(), 0.55
    s.box((w, 0.02, 0.02), (0, 0, 0.06), "steel")
    for x in (-1, 1):
        s.box((0.02, 0.02, 0.06), (x * (w / 2 - 0.01), 0, 0.03), "steel")
    s.box((0.4, 0.55, 0.02), (0.02, -0.26, 0.076), "towel", bevel=0.006)
    s.box((0.4, 0.35, 0.02), (0.02, -0.16, 0.045), "towel", bevel=0.006)
    return Piece(s, w, 0.09, 0.6)
