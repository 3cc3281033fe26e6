"""The shell of a home: walls, floors, ceilings, doorways with frames, windows with what lies outside, skirting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.rooms.lighting import AreaLight
from mirage_env.simulators.rooms.palette import Palette
from mirage_env.simulators.rooms.plan import WALL, Opening, Plan, Side
from mirage_env.simulators.rooms.shapes import WHITE, Shape

FINE, COARSE = 0.15, 0.22
"""Cells of floors and of walls and ceilings for baked light, metres."""

RECESS = 0.16


@dataclass
class ShellStyle:
    """How the shell looks: casing width, skirting height, window bars, wainscot and tile height per room (0: none)."""

    casing: float
    skirting: float
    bars: tuple[int, int]
    wainscot: tuple[float, ...]
    door_tint: Array
    tiled: tuple[float, ...]


def draw_shell_style(plan: Plan, palette: Palette, rng: np.random.Generator) -> ShellStyle:
    """Random style of the shell."""
    wainscot = tuple(
        float(rng.uniform(0.8, 1.05))
        if kind in ("living", "dining", "bedroom", "studio") and rng.uniform() < 0.16
        else 0.0
        for kind in plan.kinds
    )
    tiled = tuple(float(rng.choice([1.25, 2.0, plan.height])) if kind == "bath" else 0.0 for kind in plan.kinds)
    return ShellStyle(
        casing=float(rng.uniform(0.055, 0.1)),
        skirting=float(rng.uniform(0.06, 0.12)),
        bars=[(1, 1), (2, 1), (2, 2), (2, 3), (1, 2)][rng.choice(5, p=[0.25, 0.35, 0.15, 0.1, 0.15])],
        wainscot=wainscot,
        door_tint=palette.trim,
        tiled=tiled,
    )


def build_shell(plan: Plan, style: ShellStyle, palette: Palette) -> tuple[Shape, list[AreaLight]]:
    """All fixed surfaces, and the daylight that enters through the windows.

    Materials: "wall{r}", "floor{r}", "tile{r}" per room, "ceiling", "trim", "door", "outside{i}" per side of the home.
    """
    home, lights = Shape(), []
    for r, (x0, z0, x1, z1) in enumerate(plan.rooms):
        room = Shape()
        room.sheet((x0, 0, z0), (0, 0, z1 - z0), (x1 - x0, 0, 0), f"floor{r}", FINE, structure=True, uv_world=True)
        room.sheet(
            (x0, plan.height, z0), (x1 - x0, 0, 0), (0, 0, z1 - z0), "ceiling", COARSE, structure=True, uv_world=True
        )
        for k in range(4 * r, 4 * r + 4):
            side, openings = plan.sides[k], plan.openings_of(k)
            _wall(room, side, openings, plan, style, r)
            for o in openings:
                if o.kind == "window":
                    lights.append(_window(room, side, o, style, palette, plan.height, k % 4))
                elif o.kind == "entrance":
                    _entrance(room, side, o, style)
                elif o.kind == "passage" or o.kind == "door":
                    _casing(room, side, o, style)
            _skirting(room, side, openings, style)
        home.place(room, 0, 0, room=r)
    seen = set()
    for o in plan.openings:
        side = plan.sides[o.side]
        if o.kind not in ("door", "passage"):
            continue
        key = tuple(np.round((side.point((o.lo + o.hi) / 2, -WALL / 2)), 2))
        if key not in seen:
            seen.add(key)
            strip = Shape()
            _reveal(strip, side, o, WALL, "trim", floor=f"floor{side.room}")
            home.place(strip, 0, 0, room=side.room)
    return home, lights


def slab(
    shape: Shape,
    side: Side,
    s: tuple[float, float],
    y: tuple[float, float],
    out: tuple[float, float],
    material: str,
    tint: Sequence[float] | Array = WHITE,
    **more: object,
) -> None:
    """A box on a wall: from s[0] to s[1] along it, y[0] to y[1] above the floor, out[0] to out[1] in front of it."""
    a, b = side.point(s[0], out[0]), side.point(s[1], out[1])
    size = np.abs(b - a)
    centre = (a + b) / 2
    shape.box((size[0], y[1] - y[0], size[1]), (centre[0], (y[0] + y[1]) / 2, centre[1]), material, tint, **more)  # type: ignore[arg-type]


def on_wall(side: Side, s: float, y: float, out: float) -> Array:
    """The world point (3,) at ``s`` along the wall, ``y`` above the floor and ``out`` in front of it."""
    x, z = side.point(s, out)
    return np.array([x, y, z])


def _wall(room: Shape, side: Side, openings: list[Opening], plan: Plan, style: ShellStyle, r: int) -> None:
    holes = [(o.lo, o.bottom, o.hi, o.top) for o in openings if o.kind != "entrance"]
    along = np.array([side.direction[0], 0, side.direction[1]]) * side.length
    tiled = style.tiled[r]
    bands = [(0.0, tiled, f"tile{r}"), (tiled, plan.height, f"wall{r}")] if tiled else [(0.0, plan.height, f"wall{r}")]
    for low, high, material in bands:
        if high - low < 1e-3:
            continue
        cut = [(a, max(b, low) - low, c, min(d, high) - low) for a, b, c, d in holes if d > low and b < high]
        room.sheet(
            on_wall(side, 0, low, 0),
            along,
            (0, high - low, 0),
            material,
            COARSE,
            holes=cut,
            structure=True,
            uv_offset=(0.0, -high),
        )
    if style.wainscot[r]:
        _wainscot(room, side, openings, style.wainscot[r])


def _free_spans(side: Side, openings: list[Opening], y0: float, y1: float, margin: float) -> list[tuple[float, float]]:
    """Stretches of the wall without an opening between heights y0 and y1."""
    spans, start = [], 0.0
    for o in sorted((o for o in openings if o.bottom < y1 and o.top > y0), key=lambda o: o.lo):
        if o.lo - margin - start > 0.02:
            spans.append((start, o.lo - margin))
        start = max(start, o.hi + margin)
    if side.length - start > 0.02:
        spans.append((start, side.length))
    return spans


def _skirting(room: Shape, side: Side, openings: list[Opening], style: ShellStyle) -> None:
    for s in _free_spans(side, openings, 0.0, style.skirting, style.casing):
        slab(room, side, s, (0.0, style.skirting), (0.0, 0.015), "trim", skip="-y")


def _wainscot(room: Shape, side: Side, openings: list[Opening], height: float) -> None:
    """Panelling: a rail on top, flat panels framed by thin battens."""
    for s0, s1 in _free_spans(side, openings, 0.0, height, 0.1):
        slab(room, side, (s0, s1), (height, height + 0.05), (0.0, 0.03), "trim")
        along = np.array([side.direction[0], 0, side.direction[1]]) * (s1 - s0)
        room.sheet(on_wall(side, s0, 0, 0.005), along, (0, height, 0), "trim", COARSE, structure=True)
        count = max(1, round((s1 - s0) / 0.6))
        for i in range(count + 1):
            c = s0 + (s1 - s0) * i / count
            slab(
                room, side, (max(s0, c - 0.035), min(s1, c + 0.035)), (0.1, height), (0.0, 0.018), "trim", skip="-y +y"
            )


def _reveal(shape: Shape, side: Side, o: Opening, depth: float, material: str, floor: str | None) -> None:
    """The inner faces of an opening: two jambs, the lintel and its floor or sill."""
    inward = -np.array([side.normal[0], 0, side.normal[1]]) * depth
    along = np.array([side.direction[0], 0, side.direction[1]])
    up = np.array([0.0, o.top - o.bottom, 0.0])
    width = along * (o.hi - o.lo)
    shape.sheet(on_wall(side, o.lo, o.bottom, 0), up, inward, material, COARSE, structure=True)
    shape.sheet(on_wall(side, o.hi, o.bottom, 0), inward, up, material, COARSE, structure=True)
    shape.sheet(on_wall(side, o.lo, o.top, 0), width, inward, material, COARSE, structure=True)
    shape.sheet(
        on_wall(side, o.lo, o.bottom, 0),
        inward,
        width,
        floor or material,
        COARSE,
        structure=True,
        uv_world=floor is not None,
    )
    _face(shape, np.array([side.normal[0], 0, side.normal[1]]), along)


def _face(shape: Shape, normal: Array, along: Array) -> None:
    """Make the last four sheets look into the opening."""
    for batch, want in zip(
        shape.batches[-4:], (along, -along, np.array([0, -1.0, 0]), np.array([0, 1.0, 0])), strict=True
    ):
        batch.normals = np.broadcast_to(want, batch.points.shape)


def _casing(room: Shape, side: Side, o: Opening, style: ShellStyle) -> None:
    """The frame around a doorway, on the room's side of the wall."""
    w, d = style.casing, 0.02
    slab(room, side, (o.lo - w, o.lo), (0.0, o.top + w), (0.0, d), "trim", skip="-y")
    slab(room, side, (o.hi, o.hi + w), (0.0, o.top + w), (0.0, d), "trim", skip="-y")
    slab(room, side, (o.lo, o.hi), (o.top, o.top + w), (0.0, d), "trim")


def _entrance(room: Shape, side: Side, o: Opening, style: ShellStyle) -> None:
    """A closed outer door with panels and a handle."""
    _casing(room, side, o, style)
    slab(room, side, (o.lo, o.hi), (0.0, o.top), (0.0, 0.012), "door", skip="-y", turn_uv=True)
    w = (o.hi - o.lo - 0.36) / 2
    for i in range(2):
        s = o.lo + 0.12 + i * (w + 0.12)
        for y in ((0.18, 0.85), (1.0, o.top - 0.15)):
            slab(room, side, (s, s + w), y, (0.0, 0.024), "door", bevel=0.011, turn_uv=True)
    slab(room, side, (o.hi - 0.1, o.hi - 0.06), (0.95, 1.1), (0.012, 0.03), "metal")
    slab(room, side, (o.hi - 0.19, o.hi - 0.07), (1.04, 1.06), (0.04, 0.06), "metal")


def _window(
    room: Shape, side: Side, o: Opening, style: ShellStyle, palette: Palette, ceiling: float, index: int
) -> AreaLight:
    """Reveal, sill, frame with bars, and the picture of the outside behind it."""
    _reveal(room, side, o, RECESS, "trim", None)
    along = np.array([side.direction[0], 0, side.direction[1]])
    normal = np.array([side.normal[0], 0, side.normal[1]])
    width, height = o.hi - o.lo, o.top - o.bottom
    start = float(side.origin @ side.direction) + o.lo
    room.sheet(
        on_wall(side, o.lo, o.bottom, -RECESS),
        along * width,
        (0, height, 0),
        f"outside{index}",
        emission=1.0,
        uv_offset=(start, ceiling - o.top),
    )
    f, out = 0.05, (-RECESS, -RECESS + 0.05)
    for s in ((o.lo, o.lo + f), (o.hi - f, o.hi)):
        slab(room, side, s, (o.bottom, o.top), out, "trim")
    for y in ((o.bottom, o.bottom + f), (o.top - f, o.top)):
        slab(room, side, (o.lo + f, o.hi - f), y, out, "trim")
    columns, rows = style.bars
    columns += width > 1.5 and columns == 1
    for i in range(1, columns):
        c = o.lo + width * i / columns
        slab(room, side, (c - 0.03, c + 0.03), (o.bottom + f, o.top - f), (out[0], out[1] - 0.01), "trim")
    for i in range(1, rows):
        c = o.bottom + height * i / rows
        slab(room, side, (o.lo + f, o.hi - f), (c - 0.018, c + 0.018), (out[0], out[1] - 0.02), "trim")
    if o.bottom > 0.3:
        slab(room, side, (o.lo - 0.05, o.hi + 0.05), (o.bottom - 0.035, o.bottom), (0.0, 0.06), "trim")
    w = style.casing * 0.8
    for s in ((o.lo - w, o.lo), (o.hi, o.hi + w)):
        slab(room, side, s, (o.bottom, o.top + w), (0.0, 0.016), "trim")
    slab(room, side, (o.lo, o.hi), (o.top, o.top + w), (0.0, 0.016), "trim")
    return AreaLight(
        on_wall(side, o.lo + 0.05, o.bottom + 0.05, 0.02),
        along * (width - 0.1),
        np.array([0, height - 0.1, 0]),
        normal,
        palette.sky * palette.day * 9.0,
        side.room,
    )
