"""Small scene files for tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import trimesh

SIZE = (6.0, 5.0, 2.6)
"""Metres along x and z, and up, of ``box_room``; its floor is centred at the origin."""


def box_room(path: Path) -> Path:
    """A y-up room of ``SIZE`` that faces inwards, with a table of 1 m in its middle; each side has a colour of its own.

    A ``stage_config.json`` beside it says which way is up.
    """
    room, table = _pieces()
    for mesh, seed in ((room, 0), (table, 1)):
        colours = np.random.default_rng(seed).integers(40, 250, (len(mesh.faces) // 2, 4), dtype=np.uint8)
        mesh.visual.face_colors = np.repeat(colours | np.array([0, 0, 0, 255], dtype=np.uint8), 2, axis=0)
    trimesh.util.concatenate([room, table]).export(path)
    return _stand_up(path)


def flat_room(path: Path) -> Path:
    """The room of ``box_room`` with a material per piece, as habitat-sim wants them: it lights what has none."""
    room, table = _pieces()
    for mesh, colour in ((room, (180, 60, 90, 255)), (table, (30, 140, 200, 255))):
        mesh.visual = trimesh.visual.TextureVisuals(
            material=trimesh.visual.material.PBRMaterial(baseColorFactor=colour)
        )
    trimesh.Scene({"room": room, "table": table}).export(path)
    return _stand_up(path)


def _pieces() -> tuple[trimesh.Trimesh, trimesh.Trimesh]:
    width, depth, height = SIZE
    room = trimesh.creation.box((width, height, depth))
    room.apply_translation((0, height / 2, 0))
    room.invert()
    table = trimesh.creation.box((1.0, 0.8, 1.0))
    table.apply_translation((0, 0.4, 0))
    return room, table


def _stand_up(path: Path) -> Path:
    config = {"render_asset": path.name, "up": [0, 1, 0], "front": [0, 0, -1]}
    path.with_name(f"{path.stem}.stage_config.json").write_text(json.dumps(config))
    return path
