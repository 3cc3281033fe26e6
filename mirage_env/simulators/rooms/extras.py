"""Smaller and rarer furniture that fills a home: ottomans, benches, side tables, chests, pianos, baskets."""

from __future__ import annotations

import numpy as np

from mirage_env.simulators.rooms.furniture import Piece, legs, pick
from mirage_env.simulators.rooms.palette import Palette
from mirage_env.simulators.rooms.shapes import Shape
from mirage_env.simulators.rooms.storage import table_lamp, things


def ottoman(p: Palette, rng: np.random.Generator) -> Piece:
    """An upholstered stool, round or square."""
    s, cloth = Shape(), pick(rng, "cloth", "cloth2", "leather", "accent0", "accent1", "accent2", "accent3")
    w, h = float(rng.uniform(0.45, 0.65)), float(rng.uniform(0.36, 0.44))
    if rng.uniform() < 0.5:
        r = w / 2
        s.lathe([(r * 0.92, 0.0), (r, 0.06), (r, h - 0.06), (r * 0.9, h), (0, h + 0.01)], cloth, segments=16)
    else:
        legs(s, w - 0.04, w - 0.04, 0.1, pick(rng, "wood", "metal"), 0.04, "taper")
        s.box((w, h - 0.08, w), (0, (h + 0.08) / 2, 0), cloth, bevel=0.05)
    return Piece(s, w, w, h)


def bench(p: Palette, rng: np.random.Generator) -> Piece:
    """A long bench with a cushion."""
    s, w, d, h = Shape(), float(rng.uniform(0.9, 1.4)), 0.38, 0.44
    wood = pick(rng, "wood", "wood2")
    s.box((w, 0.04, d), (0, h - 0.02, 0), wood, bevel=0.006)
    legs(s, w - 0.06, d - 0.04, h - 0.04, pick(rng, wood, "metal"), 0.05, pick(rng, "square", "taper"))
    if rng.uniform() < 0.6:
        s.box(
            (w - 0.04, 0.06, d - 0.02), (0, h + 0.03, 0), pick(rng, "cloth", "accent1", "accent2", "linen"), bevel=0.022
        )
    return Piece(s, w, d, h + 0.06)


def side_table(p: Palette, rng: np.random.Generator) -> Piece:
    """A small round table with a lamp or an object."""
    s, r, h = Shape(), float(rng.uniform(0.2, 0.28)), float(rng.uniform(0.48, 0.62))
    top = pick(rng, "wood", "wood2", "marble")
    s.lathe([(0, h - 0.025), (r, h - 0.025), (r, h), (0, h)], top, segments=16, sharp=True)
    s.lathe([(0.02, 0.02), (0.02, h - 0.02)], pick(rng, "wood", "metal"), segments=8)
    s.lathe([(r * 0.7, 0), (r * 0.7, 0.015), (0, 0.02)], pick(rng, "metal", "wood"), segments=14, sharp=True)
    piece = Piece(s, 2 * r, 2 * r, h)
    if rng.uniform() < 0.6:
        table_lamp(piece, rng, (0.0, h, 0.0))
    else:
        things(s, rng, 0.0, h, 0.0, 0.35, 0.25, p)
    return piece


def chest(p: Palette, rng: np.random.Generator) -> Piece:
    """A trunk with a lid and straps."""
    s, w, d, h = Shape(), float(rng.uniform(0.75, 1.05)), 0.48, float(rng.uniform(0.4, 0.5))
    wood = pick(rng, "wood", "wood2", "leather")
    s.box((w, h - 0.12, d), (0, (h - 0.12) / 2, 0), wood, bevel=0.01)
    s.box((w + 0.02, 0.11, d + 0.02), (0, h - 0.06, 0), wood, (0.9, 0.9, 0.9), bevel=0.03)
    for x in (-1, 1):
        s.box((0.05, h, d + 0.03), (x * w * 0.3, h / 2 + 0.002, 0), "metal", (0.6, 0.6, 0.6), bevel=0.012, skip="-y")
    s.box((0.07, 0.09, 0.02), (0, h - 0.14, d / 2 + 0.012), "metal")
    return Piece(s, w + 0.02, d + 0.04, h)


def piano(p: Palette, rng: np.random.Generator) -> Piece:
    """An upright piano."""
    s, w, h = Shape(), 1.45, 1.18
    skin = pick(rng, "black", "wood", "wood2")
    s.box((w, h, 0.34), (0, h / 2, -0.14), skin, bevel=0.01, skip="-y")
    s.box((w, 0.14, 0.26), (0, 0.67, 0.14), skin, bevel=0.008)
    s.box((w - 0.14, 0.025, 0.15), (0, 0.745, 0.18), "ceramic")
    for i in range(36):
        if i % 7 not in (2, 6):
            s.box((0.02, 0.02, 0.09), (-w / 2 + 0.09 + (i + 0.5) * (w - 0.18) / 36, 0.765, 0.15), "black", skip="-y -z")
    for x in (-1, 1):
        s.box((0.06, 0.6, 0.06), (x * (w / 2 - 0.05), 0.3, 0.22), skin)
        s.box((0.07, 0.16, 0.27), (x * (w / 2 - 0.035), 0.72, 0.14), skin, bevel=0.01)
    s.sheet((-0.22, 0.82, 0.034), (0.44, 0, 0), (0, 0.26, 0), "paper")
    s.box((0.6, 0.02, 0.06), (0, 0.82, 0.05), skin)
    things(s, rng, float(rng.uniform(-0.5, 0.5)), h, -0.14, 0.35, 0.25, p)
    return Piece(s, w, 0.62, h)


def basket(p: Palette, rng: np.random.Generator) -> Piece:
    """A woven basket, empty or with a blanket in it."""
    s, r, h = Shape(), float(rng.uniform(0.17, 0.25)), float(rng.uniform(0.3, 0.45))
    s.lathe([(r * 0.8, 0), (r, h * 0.5), (r * 0.95, h), (r * 0.9, h), (r * 0.85, h - 0.08)], "wicker", segments=14)
    if rng.uniform() < 0.6:
        s.pillow((r * 1.7, 0.16, r * 1.7), (0, h - 0.03, 0), f"accent{rng.integers(4)}", roundness=0.8)
    else:
        s.lathe([(r * 0.86, h - 0.08), (0, h - 0.08)], "wicker", (0.5, 0.5, 0.5), segments=12)
    return Piece(s, 2 * r, 2 * r, h + 0.05)
