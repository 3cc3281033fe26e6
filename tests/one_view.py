"""What tests of the world loop share: one view of a box room, a world that begins with it, equality bit for bit."""

from __future__ import annotations

from typing import Any

import torch

from mirage_env.frame import Frame
from mirage_env.world import WorldModel, WorldState
from tests.box_room import pose, room_view

SIZE = 32
IMAGE, DEPTH = room_view(pose(), SIZE)
TURN = [pose(turned_deg=angle) for angle in (40.0, 80.0, 40.0, 0.0)]


def begin(world: WorldModel, **options: Any) -> WorldState:
    return world.start(IMAGE, **{"resolution": SIZE, "depth": DEPTH} | options)


def same_memory(a: WorldState, b: WorldState) -> bool:
    return len(a.memory) == len(b.memory) and all(
        torch.equal(x, y) for x, y in zip(a.memory._columns(), b.memory._columns(), strict=True)
    )


def same_frame(a: Frame, b: Frame) -> bool:
    names = ("latents", "memory", "visible", "imagined", "grid_depth")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)
