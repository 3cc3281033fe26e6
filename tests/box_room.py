"""True views of an empty box room, 6 x 3 x 6 m, whose walls are coloured by a smooth function of the place."""

from __future__ import annotations

import math

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from tests.memory.scenes import room_depth, world_points


def room_view(pose: Array, size: int = 32, hfov: float = 90.0, width: int | None = None) -> tuple[Array, Array]:
    """Image (size, width, 3) uint8 and z-depth (size, width) float32 from a camera inside the room."""
    width = size if width is None else width
    K = geometry.intrinsics(width, size, hfov)
    depth = room_depth(pose, K, (size, width))
    waves = np.sin(world_points(depth, pose, K) * [2.0, 3.0, 2.5] + [0.0, 1.0, 2.0])
    return np.round(127.5 + 127.5 * waves).astype(np.uint8), depth.astype(np.float32)


def pose(x: float = 0.0, z: float = 0.0, turned_deg: float = 0.0) -> Array:
    """A level camera 1.25 m above the floor, turned left from -Z."""
    return geometry.camera_pose((x, 0.0, z), math.radians(turned_deg), 1.25)
