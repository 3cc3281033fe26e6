"""The plainest home there is: one box room with known measures and one colour per surface, for tests."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon, box

from mirage_env.simulators.raycast import TexturedMesh
from mirage_env.simulators.rooms.home import Home, RoomInfo

COLOURS = {
    "-x": (200, 40, 40),
    "+x": (40, 170, 60),
    "floor": (120, 120, 120),
    "ceiling": (240, 240, 240),
    "-z": (40, 70, 200),
    "+z": (220, 200, 50),
    "obstacle": (170, 60, 180),
}
"""Colour of every surface; walls are named by the side of the room on which they stand."""


def toy_home() -> Home:
    """A room 4 m (x) by 6 m (z), 2.5 m high, centred at the origin, with a 1 m cube on the floor, centred at (1, -1).

    Walls stand at x = ±2 and z = ±3; the cube spans x 0.5..1.5, y 0..1, z -1.5..-0.5. ``COLOURS`` names the colours.
    The mesh has no baked light.
    """
    names = list(COLOURS)
    vertices, faces, material = [], [], []
    parts = [((-2.0, 0.0, -3.0), (2.0, 2.5, 3.0), names[:6]), ((0.5, 0.0, -1.5), (1.5, 1.0, -0.5), ["obstacle"] * 6)]
    for low, high, sides in parts:
        corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        first = 8 * len(vertices)
        for (a, b, c, d), side in zip(quads, sides, strict=True):
            faces += [(first + a, first + b, first + c), (first + a, first + c, first + d)]
            material += [names.index(side)] * 2
        vertices.append(corners)
    room: Polygon = box(-2.0, -3.0, 2.0, 3.0)
    mesh = TexturedMesh(
        vertices=np.concatenate(vertices).astype(np.float32),
        faces=np.array(faces, np.int32),
        uv=np.zeros((len(faces), 3, 2), np.float32),
        material=np.array(material, np.int32),
        textures=tuple(np.full((1, 1, 3), COLOURS[name], np.uint8) for name in names),
        light=None,
    )
    return Home(0, mesh, room, (box(0.5, -1.5, 1.5, -0.5),), (RoomInfo(room, "living", "toy room"),), 2.5)
