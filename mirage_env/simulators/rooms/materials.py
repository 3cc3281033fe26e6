"""All materials of one home: what each name that the shell and the furniture use looks like."""

from __future__ import annotations

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.rooms import artwork
from mirage_env.simulators.rooms import textures as tx
from mirage_env.simulators.rooms.palette import Palette, oklch, wall_colour
from mirage_env.simulators.rooms.plan import Plan
from mirage_env.simulators.rooms.textures import Material


def draw_materials(plan: Plan, p: Palette, rng: np.random.Generator) -> dict[str, Material]:
    """Materials by name: "wall{r}", "floor{r}" and "tile{r}" per room, and those of furniture."""
    m: dict[str, Material] = {}
    boards = _wood_floor(p, rng)
    for r, kind in enumerate(plan.kinds):
        m[f"wall{r}"] = _wall(kind, p, rng)
        m[f"floor{r}"] = _floor(kind, boards, p, rng)
        if kind == "bath":
            m[f"tile{r}"] = _wall_tiles(p, rng)
    white = np.array([0.95, 0.95, 0.94])
    m["ceiling"] = Material(tx.plaster(p.ceiling, rng, contrast=0.6), (1.5, 1.5))
    m["trim"] = Material(tx.plaster(p.trim, rng, 64, 0.5), (0.5, 0.5))
    m["door"] = Material(tx.grain(p.wood if rng.uniform() < 0.5 else p.trim, rng, 128, 0.7), (1.2, 0.5))
    m["wood"] = Material(tx.grain(p.wood, rng), (1.1, 0.6))
    m["wood2"] = Material(tx.grain(p.wood2, rng, contrast=0.4 if p.wood2.min() > 0.8 else 1.0), (1.1, 0.6))
    m["metal"] = Material(tx.plaster(p.metal, rng, 64, 1.5), (0.3, 0.3))
    m["steel"] = Material(tx.plaster((0.72, 0.73, 0.74), rng, 64, 1.2), (0.3, 0.3))
    m["cloth"] = Material(tx.weave(p.cloth, rng, contrast=1.1), (0.22, 0.22))
    m["cloth2"] = Material(tx.weave(p.cloth2, rng, contrast=1.1), (0.22, 0.22))
    m["leather"] = Material(
        tx.leather(oklch(float(rng.uniform(0.3, 0.6)), 0.06, float(rng.uniform(40, 75))), rng), (0.5, 0.5)
    )
    for i, accent in enumerate(p.accents):
        second = white if i % 2 else p.accents[(i + 1) % 4]
        draw = rng.integers(4)
        if draw == 0:
            pixels, size = tx.stripes(accent, second, rng, 128, 4), (0.3, 0.3)
        elif draw == 1 and i > 0:
            pixels, size = tx.trellis(accent, second, rng, 128, 2), (0.24, 0.24)
        else:
            pixels, size = tx.weave(accent, rng), (0.22, 0.22)
        m[f"accent{i}"] = Material(pixels, size)
    m["linen"] = Material(tx.weave(white * rng.uniform(0.92, 1.0), rng, contrast=0.4), (0.3, 0.3))
    m["ceramic"] = Material(tx.plaster(white, rng, 64, 0.5), (0.5, 0.5))
    m["paper"] = Material(tx.plaster((0.96, 0.96, 0.95), rng, 64, 0.8), (0.3, 0.3))
    m["black"] = Material(tx.plaster((0.09, 0.09, 0.10), rng, 64, 1.0), (0.5, 0.5))
    m["marble"] = Material(tx.marble((0.92, 0.91, 0.90), (0.5, 0.5, 0.52), rng), (0.9, 0.9))
    m["leaf"] = Material(tx.plaster((0.27, 0.45, 0.20), rng, 64, 6.0), (0.2, 0.2))
    m["terracotta"] = Material(tx.plaster((0.72, 0.44, 0.31), rng, 64, 2.0), (0.4, 0.4))
    m["wicker"] = Material(tx.weave((0.62, 0.47, 0.30), rng, threads=16, contrast=2.2), (0.2, 0.2))
    m["towel"] = Material(tx.carpet(p.accents[2], rng, 64), (0.15, 0.15))
    m["splash"] = _wall_tiles(p, rng)
    fronts = (
        p.wood
        if rng.uniform() < 0.35
        else oklch(float(rng.uniform(0.35, 0.93)), float(rng.choice([0.01, 0.05])), p.hue)
    )
    m["fronts"] = Material(tx.grain(fronts, rng, 128, 0.5), (0.8, 0.6))
    top = rng.integers(3)
    m["worktop"] = (
        m["marble"],
        Material(tx.grain(p.wood, rng, 256), (1.2, 0.5)),
        Material(tx.concrete((0.32, 0.32, 0.33), rng, 128), (0.8, 0.8)),
    )[top]
    m["shade"] = Material(tx.weave((0.96, 0.90, 0.78), rng, contrast=0.5), (0.3, 0.3))
    once = (1.0, 1.0)
    for i in range(4):
        m[f"outside{i}"] = Material(artwork.outside(p, rng, plan.height), artwork.OUTSIDE_METRES)
    for i in range(6):
        m[f"art{i}"] = Material(artwork.art(p, rng), once)
    for i in range(2):
        m[f"rug{i}"] = Material(artwork.rug(p, rng), once)
    m["desktop"] = Material(artwork.desktop(rng), once)
    m["screen"] = Material(artwork.dark_screen(rng), once)
    m["hob"] = Material(artwork.hob(rng), once)
    m["mirror"] = Material(artwork.mirror(p), once)
    m["clock"] = Material(artwork.clock(rng), once)
    m["soil"] = Material(tx.carpet((0.22, 0.16, 0.12), rng, 64), (0.1, 0.1))
    return m


def _wood_floor(p: Palette, rng: np.random.Generator) -> Material:
    if rng.uniform() < 0.3:
        return Material(tx.herringbone(p.floor_wood, rng), (0.85, 0.85))
    turned = tx.planks(p.floor_wood, rng, rows=int(rng.choice([6, 8])), variety=float(rng.uniform(0.04, 0.09)))
    return Material(turned if rng.uniform() < 0.5 else turned.swapaxes(0, 1).copy(), (1.1, 1.1))


def _floor(kind: str, boards: Material, p: Palette, rng: np.random.Generator) -> Material:
    light = oklch(float(rng.uniform(0.72, 0.9)), float(rng.uniform(0.005, 0.03)), float(rng.choice([80.0, p.hue])))
    dark = oklch(float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.005, 0.05)), float(rng.choice([60.0, p.hue])))
    grout = np.clip(light * 0.8, 0, 1)
    draw = rng.uniform()
    if kind in ("bath", "kitchen"):
        if draw < 0.35:
            return Material(tx.tiles(light, dark, rng, second=dark), (1.2, 1.2))
        if draw < 0.8:
            return Material(tx.tiles(light if draw < 0.6 else dark, grout, rng), (1.6, 1.6))
        return boards if kind == "kitchen" else Material(tx.tiles(light, grout, rng, across=8, down=8), (0.8, 0.8))
    if kind in ("bedroom", "office") and draw < 0.35:
        return Material(
            tx.carpet(
                oklch(float(rng.uniform(0.5, 0.85)), float(rng.uniform(0.01, 0.07)), float(rng.choice([70.0, p.hue]))),
                rng,
            ),
            (1.0, 1.0),
        )
    if draw > 0.93:
        return Material(tx.concrete((0.62, 0.61, 0.59), rng), (2.5, 2.5))
    if draw > 0.86:
        return Material(tx.tiles(light, grout, rng), (2.0, 2.0))
    return boards


def _wall(kind: str, p: Palette, rng: np.random.Generator) -> Material:
    paint = wall_colour(p, rng)
    draw = rng.uniform()
    shift = 0.86 if paint.mean() > 0.55 else 1.25
    second = np.clip(paint * shift + rng.normal(0, 0.012, 3), 0, 1)
    if kind in ("bath", "kitchen") or draw < 0.55:
        return Material(tx.plaster(paint, rng), (1.6, 1.6))
    if draw < 0.63:
        if rng.uniform() < 0.5:
            return Material(tx.brick((0.88, 0.87, 0.85), (0.78, 0.77, 0.75), rng, variety=0.02), (0.95, 0.62))
        return Material(tx.brick((0.62, 0.37, 0.29), (0.76, 0.73, 0.69), rng), (0.95, 0.62))
    if draw < 0.68:
        return Material(tx.concrete((0.68, 0.67, 0.66), rng), (2.6, 2.6))
    if draw < 0.76:
        return Material(tx.stripes(paint, second, rng), (0.64, 0.64))
    if draw < 0.84:
        return Material(tx.damask(paint, second, rng), (0.75, 0.75))
    if draw < 0.89:
        return Material(tx.dots(paint, second, rng), (0.5, 0.5))
    if draw < 0.95:
        return Material(tx.trellis(paint, second, rng), (0.9, 0.9))
    return Material(tx.leaves(paint, second, rng), (0.6, 0.6))


def _wall_tiles(p: Palette, rng: np.random.Generator) -> Material:
    colour = oklch(float(rng.uniform(0.78, 0.95)), float(rng.choice([0.005, 0.03, 0.07])), p.hue)
    grout: Array = np.clip(colour * 0.82, 0, 1)
    if rng.uniform() < 0.5:
        return Material(tx.tiles(colour, grout, rng, across=4, down=8, offset=0.5), (0.8, 0.8))
    return Material(tx.tiles(colour, grout, rng, across=4, down=4), (0.8, 0.8))
