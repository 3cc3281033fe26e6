"""The heading of an agent as Habitat keeps it: a float32 quaternion that each turn multiplies.

Whether an agent that touches a wall without sliding comes off it again can hang on the last bit of its direction. Who
wants Habitat's very steps keeps the quaternion, not an angle.
"""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array


def heading(yaw: float) -> Array:
    """Unit quaternion (4,) float32, wxyz, of a yaw in radians."""
    return np.array([math.cos(yaw / 2), 0, math.sin(yaw / 2), 0], dtype=np.float32)


def turned(rotation: Array, turn_deg: float) -> Array:
    """A rotation about +Y (4,) float32, wxyz, turned left by degrees."""
    half = np.float32(np.float32(turn_deg) * np.float32(np.pi / 180)) / np.float32(2)
    w, y = np.float32(math.cos(half)), np.float32(math.sin(half))
    w, y = rotation[0] * w - rotation[2] * y, rotation[0] * y + rotation[2] * w
    length = np.sqrt(y * y + w * w)
    return np.array([w / length, 0, y / length, 0], dtype=np.float32)


def ahead(rotation: Array, distance: float) -> Array:
    """Displacement (3,) float32 of ``distance`` metres forward (-Z at yaw 0) for a rotation about +Y."""
    w, y = np.float32(rotation[0]), np.float32(rotation[2])
    back = np.array([np.float32(2) * (w * y), 0, np.float32(1) - np.float32(2) * (y * y)], dtype=np.float32)
    return back * np.float32(-distance)


def yaw_of(rotation: Array) -> float:
    """Yaw in radians of a rotation about +Y."""
    return 2 * math.atan2(float(rotation[2]), float(rotation[0]))
