"""Analytic scenes whose depth and latents are known everywhere: one plane, two planes, a box room."""

from __future__ import annotations

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array

ROOM_LOW, ROOM_HIGH = np.array([-3.0, 0.0, -3.0]), np.array([3.0, 3.0, 3.0])


def rays(K: Array, size: tuple[int, int]) -> Array:
    """Directions (h, w, 3) with z = 1 through the cell centres, in the camera."""
    return geometry.unproject(geometry.pixel_grid(*size), np.ones(size), K)


def plane_depth(normal: Array, offset: float, pose: Array, K: Array, size: tuple[int, int]) -> Array:
    """z-depth (h, w) of the world plane normal . X = offset; 0 where it is not in front."""
    directions = rays(K, size) @ pose[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (offset - normal @ pose[:3, 3]) / (directions @ normal)
    return np.where(np.isfinite(z) & (z > 0.05) & (z < 100), z, 0.0)


def room_depth(pose: Array, K: Array, size: tuple[int, int]) -> Array:
    """z-depth (h, w) inside an empty box of 6 x 3 x 6 m."""
    directions = rays(K, size) @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        distance = np.where(
            directions > 0, (ROOM_HIGH - pose[:3, 3]) / directions, (ROOM_LOW - pose[:3, 3]) / directions
        )
    return distance.min(-1)


def look(yaw: float = 0.0, x: float = 0.0, y: float = 0.0, z: float = 0.0, pitch: float = 0.0) -> Array:
    """Camera pose at (x, y, z) that looks along -Z, turned left by yaw and up by pitch."""
    T = geometry.camera_pose((x, y, z), yaw, 0.0)
    c, s = np.cos(pitch), np.sin(pitch)
    tilt = np.eye(4)
    tilt[:3, :3] = [[1, 0, 0], [0, c, -s], [0, s, c]]
    return T @ tilt


def random_room_pose(rng: np.random.Generator) -> Array:
    x, z = rng.uniform(-2.2, 2.2, 2)
    return look(rng.uniform(-np.pi, np.pi), x, rng.uniform(0.5, 2.0), z, rng.uniform(-0.4, 0.4))


def world_points(depth: Array, pose: Array, K: Array) -> Array:
    """World points (h, w, 3) of a depth grid."""
    return geometry.transform(pose, geometry.unproject(geometry.pixel_grid(*depth.shape), depth, K))
