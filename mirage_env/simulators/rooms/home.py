"""A furnished home, generated from a seed: what the simulator ``rooms`` renders and the agent walks in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from shapely.geometry import MultiPolygon, Polygon, box

from mirage_env.simulators.raycast import Raycaster, TexturedMesh
from mirage_env.simulators.rooms.compose import Draft, compose
from mirage_env.simulators.rooms.lighting import bake
from mirage_env.simulators.rooms.materials import draw_materials
from mirage_env.simulators.rooms.meshing import triangulate
from mirage_env.simulators.rooms.textures import Material


@dataclass(frozen=True)
class RoomInfo:
    """One room.

    Attributes:
        polygon: its floor in the (x, z) plane, metres, walls and doorways excluded.
        kind: "living", "studio", "dining", "kitchen", "bedroom", "bath" or "office".
        name: unique within the home, such as "bedroom 2".
    """

    polygon: Polygon
    kind: str
    name: str


@dataclass(frozen=True)
class Home:
    """One generated home.

    Attributes:
        seed: what it was generated from; the same seed gives the same home forever.
        mesh: everything visible, y-up, floor at y = 0, metres.
        floor: walkable floor of all rooms and doorways in the (x, z) plane; walls excluded, furniture not subtracted.
        obstacles: footprints in (x, z) of everything that stands on the floor below 1.5 m, tables with their tops.
        rooms: the rooms.
        ceiling_height: metres.
    """

    seed: int
    mesh: TexturedMesh
    floor: Polygon | MultiPolygon
    obstacles: tuple[Polygon, ...]
    rooms: tuple[RoomInfo, ...]
    ceiling_height: float


def generate_home(seed: int) -> Home:
    """The home of this seed (an integer, 0 or above): the same bits every time, about a second of work on one core."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"a home is generated from a seed that is an integer of 0 or above, got {seed!r}")
    streams = np.random.SeedSequence(int(seed)).spawn(4)
    layout_rng, style_rng, texture_rng, light_rng = (np.random.default_rng(s) for s in streams)
    draft = compose(layout_rng, style_rng)
    plan = draft.plan
    mesh = _lit_mesh(draft, draw_materials(plan, draft.palette, texture_rng), light_rng)
    names = [f"{kind} {1 + plan.kinds[:r].count(kind)}" for r, kind in enumerate(plan.kinds)]
    rooms = tuple(RoomInfo(box(*plan.rooms[r]), plan.kinds[r], names[r]) for r in range(len(names)))
    return Home(int(seed), mesh, plan.floor, tuple(draft.obstacles), rooms, plan.height)


def _lit_mesh(draft: Draft, materials: dict[str, Material], rng: np.random.Generator) -> TexturedMesh:
    """The triangles of a draft with its light baked in."""
    batches, kinds = draft.shape.batches, draft.plan.kinds
    mesh = triangulate(batches, materials)
    caster = Raycaster(replace(mesh, textures=(np.ones((1, 1, 3), np.uint8),), material=np.zeros_like(mesh.material)))
    floors = np.array([materials[f"floor{r}"].pixels.mean((0, 1)) / 255 for r in range(len(kinds))])
    light = bake(batches, caster, draft.shape.solids, draft.lights, draft.sun, draft.plan.neighbours, floors, rng)
    tints = np.repeat([b.tint for b in batches], [b.points.size // 3 for b in batches], axis=0)
    return replace(mesh, light=(light * tints)[mesh.faces].astype(np.float32))
