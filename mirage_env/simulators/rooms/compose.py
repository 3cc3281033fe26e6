"""A home before its materials and light: plan, colours, shapes, lamps, and where furniture stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapely.geometry import Polygon

from mirage_env.simulators.rooms.furnish import furnish
from mirage_env.simulators.rooms.layout import Placed, RoomLayout
from mirage_env.simulators.rooms.lighting import AreaLight, Lamp, Sun
from mirage_env.simulators.rooms.palette import Palette, draw_palette
from mirage_env.simulators.rooms.plan import Plan, draw_plan
from mirage_env.simulators.rooms.shapes import Shape
from mirage_env.simulators.rooms.shell import build_shell, draw_shell_style


@dataclass(frozen=True)
class Draft:
    """A home without materials and light. ``obstacles`` are footprints in (x, z) of what stands on the floor."""

    plan: Plan
    palette: Palette
    shape: Shape
    lights: list[AreaLight | Lamp]
    sun: Sun | None
    obstacles: list[Polygon]


def compose(layout_rng: np.random.Generator, style_rng: np.random.Generator) -> Draft:
    """Draw a plan and a style, build the shell, and furnish every room."""
    plan = draw_plan(layout_rng)
    palette = draw_palette(style_rng)
    shape, panes = build_shell(plan, draw_shell_style(plan, palette, style_rng), palette)
    lights: list[AreaLight | Lamp] = list(panes)
    obstacles: list[Polygon] = []
    for r in range(len(plan.rooms)):
        layout = RoomLayout(plan, r, layout_rng)
        furnish(layout, palette)
        obstacles += layout.footprints
        for item in layout.placed:
            shape.place(item.piece.shape, item.x, item.z, item.yaw, item.y, room=r)
            lights += [
                _lamp(item, position, radius, strength, palette, r) for position, radius, strength in item.piece.lights
            ]
    return Draft(plan, palette, shape, lights, _sun(palette, style_rng), obstacles)


def _sun(palette: Palette, rng: np.random.Generator) -> Sun | None:
    """The sun of a clear day or a low one; none under clouds or at dusk."""
    azimuth, up = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.95) if palette.weather == 0 else rng.uniform(0.22, 0.4)
    if palette.weather == 1 or palette.day < 0.4:
        return None
    direction = np.array([np.cos(azimuth) * np.cos(up), np.sin(up), np.sin(azimuth) * np.cos(up)])
    warm = np.array([1.1, 1.0, 0.85]) if palette.weather == 0 else np.array([1.25, 0.95, 0.62])
    return Sun(direction, warm * palette.day * 15.0)


def _lamp(item: Placed, position: np.ndarray, radius: float, strength: float, palette: Palette, room: int) -> Lamp:
    x, z = item.point(position[0], position[2])
    return Lamp(np.array([x, item.y + position[1], z]), radius, palette.light * strength, room)
