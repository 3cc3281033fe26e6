"""Furniture for living, sleeping, eating and working, each piece built from a few primitives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.rooms.palette import Palette
from mirage_env.simulators.rooms.shapes import Shape

Tint = tuple[float, float, float]


@dataclass
class Piece:
    """A piece of furniture: its shape, footprint width (x) and depth (z), height, and the lights that it carries.

    ``lights`` are (position (3,), radius, strength) in the piece's frame.
    """

    shape: Shape
    width: float
    depth: float
    height: float
    lights: list[tuple[Array, float, float]] = field(default_factory=list)


Maker = Callable[[Palette, np.random.Generator], Piece]


def pick(rng: np.random.Generator, *options: str) -> str:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def legs(s: Shape, w: float, d: float, h: float, material: str, thick: float, kind: str) -> None:
    """Four legs under a top of w x d at height h: "square", "round" or "taper"."""
    for x in (-1, 1):
        for z in (-1, 1):
            cx, cz = x * (w / 2 - thick), z * (d / 2 - thick)
            if kind == "square":
                s.box((thick, h, thick), (cx, h / 2, cz), material, turn_uv=True, skip="-y +y")
            else:
                low = thick * (0.28 if kind == "taper" else 0.45)
                s.lathe([(low, 0), (thick * 0.5, h)], material, centre=(cx, 0, cz), segments=8)


def table(
    p: Palette, rng: np.random.Generator, w: float | None = None, d: float | None = None, h: float = 0.75
) -> Piece:
    """A dining table."""
    s, wood = Shape(), pick(rng, "wood", "wood", "wood2")
    w = float(rng.uniform(1.2, 1.8)) if w is None else w
    d = float(rng.uniform(0.8, 0.95)) if d is None else d
    top = float(rng.uniform(0.025, 0.045))
    s.box((w, top, d), (0, h - top / 2, 0), wood, bevel=0.008)
    kind = pick(rng, "square", "taper", "round")
    material = pick(rng, wood, wood, "metal")
    legs(s, w - 0.04, d - 0.04, h - top, material, float(rng.uniform(0.05, 0.075)), kind)
    if kind != "round":
        for z in (-1, 1):
            s.box((w - 0.22, 0.07, 0.02), (0, h - top - 0.035, z * (d / 2 - 0.08)), material)
        for x in (-1, 1):
            s.box((0.02, 0.07, d - 0.22), (x * (w / 2 - 0.08), h - top - 0.035, 0), material)
    return Piece(s, w, d, h)


def chair(p: Palette, rng: np.random.Generator) -> Piece:
    """A dining chair; it faces +z."""
    s = Shape()
    wood, seat = pick(rng, "wood", "wood2", "metal"), pick(rng, "wood", "cloth", "accent0", "accent1")
    w, d, h, top = 0.44, 0.44, 0.45, float(rng.uniform(0.82, 0.98))
    legs(s, w, d, h, wood, 0.035, pick(rng, "square", "round"))
    if seat in ("wood",):
        s.box((w, 0.03, d), (0, h, 0), seat, bevel=0.01)
    else:
        s.box((w, 0.02, d), (0, h - 0.015, 0), wood)
        s.box((w - 0.01, 0.05, d - 0.01), (0, h + 0.02, 0), seat, bevel=0.018)
    style = pick(rng, "slats", "panel", "bars")
    z = -d / 2 + 0.02
    for x in (-1, 1):
        s.box((0.035, top - h, 0.03), (x * (w / 2 - 0.02), (top + h) / 2, z), wood, turn_uv=True)
    if style == "slats":
        for y in (0.2, 0.55, 0.88):
            s.box((w - 0.06, 0.06, 0.018), (0, h + y * (top - h), z), wood)
    elif style == "panel":
        s.box((w - 0.06, (top - h) * 0.6, 0.035), (0, h + (top - h) * 0.66, z), seat, bevel=0.012)
    else:
        s.box((w - 0.06, 0.06, 0.02), (0, top - 0.03, z), wood)
        for x in (-0.11, 0.0, 0.11):
            s.box((0.02, top - h - 0.05, 0.014), (x, (top + h) / 2 - 0.03, z), wood, turn_uv=True)
    return Piece(s, w, d, top)


def sofa(p: Palette, rng: np.random.Generator, seats: int | None = None) -> Piece:
    """A sofa (or armchair, one seat) with base, arms, seat and back cushions, pillows and feet."""
    s = Shape()
    n = int(rng.integers(2, 4)) if seats is None else seats
    cloth = pick(rng, "cloth", "cloth", "leather", "cloth2")
    seat_w, arm = float(rng.uniform(0.58, 0.7)), float(rng.uniform(0.12, 0.22))
    w, d = n * seat_w + 2 * arm, float(rng.uniform(0.82, 0.95))
    foot, base, back = float(rng.uniform(0.06, 0.14)), 0.2, float(rng.uniform(0.74, 0.9))
    arm_h = float(rng.uniform(0.55, 0.66))
    seat_top = foot + base + 0.14
    legs(s, w - 0.06, d - 0.06, foot, pick(rng, "wood", "metal"), 0.05, "taper")
    s.box((w - 0.02, base, d - 0.04), (0, foot + base / 2, 0), cloth, bevel=0.02)
    for x in (-1, 1):
        s.box(
            (arm, arm_h - foot, d - 0.02),
            (x * (w / 2 - arm / 2), (arm_h + foot) / 2, 0),
            cloth,
            bevel=min(0.06, arm / 3),
        )
    s.box(
        (w - 2 * arm + 0.02, back - foot - 0.1, 0.18),
        (0, (back - 0.1 + foot) / 2 + 0.04, -d / 2 + 0.1),
        cloth,
        bevel=0.05,
    )
    for i in range(n):
        x = (i - (n - 1) / 2) * seat_w
        s.box((seat_w - 0.012, 0.15, d - 0.24), (x, foot + base + 0.07, 0.09), cloth, bevel=0.04)
        s.box(
            (seat_w - 0.02, back - seat_top + 0.04, 0.17),
            (x, (back + seat_top) / 2 + 0.02, -d / 2 + 0.25),
            cloth,
            bevel=0.06,
            pitch=-0.2,
        )
    for x in rng.permutation([-1, 1])[: int(rng.integers(0, 3))] if n > 1 else ():
        s.pillow(
            (0.42, 0.42, 0.16),
            (x * (w / 2 - arm - 0.22), seat_top + 0.2, -d / 2 + 0.4),
            f"accent{rng.integers(4)}",
            pitch=-0.35,
            yaw=-x * 0.25,
            roundness=0.55,
        )
    if n > 1 and rng.uniform() < 0.25:
        s.box(
            (0.5, 0.012, d * 0.6),
            (rng.uniform(-0.3, 0.3), seat_top + 0.01, 0.1),
            f"accent{rng.integers(4)}",
            bevel=0.004,
        )
    return Piece(s, w, d, back)


def armchair(p: Palette, rng: np.random.Generator) -> Piece:
    """A one-seat sofa."""
    return sofa(p, rng, 1)


def coffee_table(p: Palette, rng: np.random.Generator) -> Piece:
    """A low table, round or square, with things on it."""
    s = Shape()
    h = float(rng.uniform(0.36, 0.45))
    if rng.uniform() < 0.4:
        r = float(rng.uniform(0.36, 0.46))
        wood = pick(rng, "wood", "wood2", "marble")
        s.lathe([(0, h - 0.035), (r, h - 0.035), (r, h), (0, h)], wood, segments=20, sharp=True)
        for a in range(3):
            t = a * 2.094 + 0.3
            s.lathe(
                [(0.014, 0), (0.024, h - 0.03)],
                pick(rng, "wood", "metal"),
                centre=(0.68 * r * np.cos(t), 0, 0.68 * r * np.sin(t)),
                segments=7,
            )
        w = d = 2 * r
    else:
        w, d = float(rng.uniform(0.85, 1.15)), float(rng.uniform(0.5, 0.65))
        wood = pick(rng, "wood", "wood2", "wood")
        s.box((w, 0.04, d), (0, h - 0.02, 0), wood, bevel=0.008)
        legs(s, w - 0.03, d - 0.03, h - 0.04, pick(rng, wood, "metal"), 0.05, pick(rng, "square", "taper"))
        if rng.uniform() < 0.6:
            s.box((w - 0.14, 0.02, d - 0.14), (0, 0.15, 0), wood)
    for i in range(int(rng.integers(1, 4))):
        s.box(
            (0.24, 0.025, 0.17),
            (-0.12, h + 0.0125 + 0.025 * i, 0.03),
            "paper",
            colour(rng),
            yaw=float(rng.normal(0, 0.2)),
        )
    vase(s, rng, (0.16, h, -0.04), 0.5)
    return Piece(s, w, d, h)


def colour(rng: np.random.Generator, low: float = 0.25, high: float = 0.9) -> Tint:
    """A random quiet tint, for books and other small things."""
    base = float(rng.uniform(low, high))
    r, g, b = np.clip(base + rng.normal(0, 0.12, 3), 0.06, 0.95)
    return float(r), float(g), float(b)


def vase(s: Shape, rng: np.random.Generator, at: tuple[float, float, float], scale: float = 1.0) -> None:
    """A turned vase."""
    h, r = float(rng.uniform(0.22, 0.34)) * scale, float(rng.uniform(0.07, 0.11)) * scale
    belly, neck = float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.3, 0.6))
    s.lathe(
        [(0.6 * r, 0), (r, belly * h), (neck * r, 0.85 * h), (neck * r * 1.25, h)], "ceramic", colour(rng, 0.35), at, 10
    )


def bed(p: Palette, rng: np.random.Generator) -> Piece:
    """A bed with headboard (at -z), mattress, blanket and pillows."""
    s = Shape()
    double = rng.uniform() < 0.7
    w, d = (float(rng.uniform(1.45, 1.75)) if double else 1.0), 2.08
    wood, head = pick(rng, "wood", "wood2"), float(rng.uniform(0.85, 1.2))
    leg = float(rng.uniform(0.08, 0.16))
    legs(s, w, d, leg + 0.02, wood, 0.06, "square")
    s.box((w, 0.2, d - 0.04), (0, leg + 0.1, 0.0), wood, bevel=0.012)
    if rng.uniform() < 0.5:
        s.box((w + 0.04, head - leg, 0.05), (0, (head + leg) / 2, -d / 2 + 0.03), wood, bevel=0.012)
    else:
        n = 3 if double else 2
        for i in range(n):
            s.box(
                (w / n - 0.006, head - 0.3, 0.1),
                ((i - (n - 1) / 2) * w / n, (head + 0.3) / 2, -d / 2 + 0.05),
                "cloth2",
                bevel=0.035,
            )
    top = leg + 0.2 + 0.2
    s.box((w - 0.05, 0.2, d - 0.12), (0, top - 0.1, 0.02), "linen", bevel=0.05)
    blanket, fold = pick(rng, "accent0", "accent1", "accent2", "cloth", "linen"), float(rng.uniform(0.5, 0.75))
    s.box((w + 0.02, 0.25, d - fold - 0.02), (0, top - 0.09, fold / 2 + 0.03), blanket, bevel=0.05)
    s.box((w + 0.03, 0.05, 0.22), (0, top + 0.035, -d / 2 + fold + 0.2), "linen", bevel=0.02)
    if rng.uniform() < 0.5:
        s.box((w + 0.04, 0.27, 0.45), (0, top - 0.09, d / 2 - 0.45), f"accent{rng.integers(4)}", bevel=0.05)
    for i in range(2 if double else 1):
        x = (i - 0.5) * w * 0.48 if double else 0.0
        s.pillow((min(0.62, w * 0.42), 0.16, 0.42), (x, top + 0.08, -d / 2 + 0.36), "linen", roundness=0.5, pitch=0.25)
        if rng.uniform() < 0.4:
            s.pillow(
                (0.4, 0.36, 0.14), (x, top + 0.2, -d / 2 + 0.6), f"accent{rng.integers(4)}", pitch=-0.4, roundness=0.55
            )
    return Piece(s, w + 0.04, d, head)


def table_setting(table: Piece, p: Palette, rng: np.random.Generator) -> None:
    """Things on a dining table: a runner, a bowl or vase, plates and cups, or nothing."""
    s, h, draw = table.shape, table.height, rng.uniform()
    if draw < 0.15:
        return
    if draw < 0.5:
        s.box((table.width * 0.7, 0.004, 0.32), (0, h + 0.002, 0), f"accent{rng.integers(4)}")
    if draw < 0.75:
        vase(s, rng, (float(rng.uniform(-0.15, 0.15)), h, 0.0), 0.85)
    else:
        s.lathe(
            [(0.05, h), (0.13, h + 0.06), (0.12, h + 0.06), (0.04, h + 0.015), (0, h + 0.012)],
            "ceramic",
            colour(rng),
            segments=12,
        )
        for i in range(3):
            a = i * 2.1
            s.pillow(
                (0.075, 0.07, 0.075),
                (0.05 * np.cos(a), h + 0.055, 0.05 * np.sin(a)),
                "ceramic",
                ((0.8, 0.25, 0.15), (0.85, 0.6, 0.15), (0.5, 0.65, 0.2))[i],
                roundness=1.0,
                detail=4,
            )
    if draw > 0.35:
        for x in (-1, 1):
            for z in (-1, 1):
                at = (x * table.width * 0.23, 0.0, z * (table.depth / 2 - 0.17))
                s.lathe([(0.07, h), (0.12, h + 0.016), (0.0, h + 0.006)], "ceramic", (0.97, 0.97, 0.95), at, 12)
                s.lathe(
                    [(0.03, h), (0.036, h + 0.09), (0.03, h + 0.085), (0, h + 0.01)],
                    "ceramic",
                    colour(rng, 0.5, 0.95),
                    (at[0] + 0.17, 0.0, at[2] - z * 0.06),
                    8,
                )
