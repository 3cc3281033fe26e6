"""Small scene files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

SIZE = (6.0, 5.0, 2.6)
"""Metres along x and z, and up, of ``box_room``; its floor is centred at the origin."""


def box_room(path: Path) -> Path:
    """A y-up room of ``SIZE`` that faces inwards, with a table of 1 m in its middle; each side has a colour of its own.

    A ``stage_config.json`` beside it says which way is up.
    """
    width, depth, height = SIZE
    room = trimesh.creation.box((width, height, depth))
    room.apply_translation((0, height / 2, 0))
    room.invert()
    table = trimesh.creation.box((1.0, 0.8, 1.0))
    table.apply_translation((0, 0.4, 0))
    for mesh, seed in ((room, 0), (table, 1)):
        colours = np.random.default_rng(seed).integers(40, 250, (len(mesh.faces) // 2, 4), dtype=np.uint8)
        mesh.visual.face_colors = np.repeat(colours | np.array([0, 0, 0, 255], dtype=np.uint8), 2, axis=0)
    trimesh.util.concatenate([room, table]).export(path)
    path.with_name(f"{path.stem}.stage_config.json").write_text('{"up": [0, 1, 0], "front": [0, 0, -1]}')
    return path
