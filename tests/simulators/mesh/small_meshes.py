"""Small scenes made of boxes and planks, y up, the floor's top at 0."""

from __future__ import annotations

import numpy as np
import trimesh

from mirage_env.geometry import Array

Mesh = tuple[Array, Array]

FLOOR_THICKNESS = 0.15
"""Heights count in cells of 0.2 m from the lowest point: a floor 0.15 m above it lies at 0.2 m."""


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> trimesh.Trimesh:
    """The box between two corners."""
    a, b = np.array(low), np.array(high)
    made = trimesh.creation.box(b - a)
    made.apply_translation((a + b) / 2)
    return made


def floor(width: float, depth: float) -> trimesh.Trimesh:
    """A floor around the origin."""
    return box((-width / 2, -FLOOR_THICKNESS, -depth / 2), (width / 2, 0, depth / 2))


def walls(width: float, depth: float, height: float = 2.5) -> list[trimesh.Trimesh]:
    """Four walls of 0.1 m around a floor, standing on it."""
    x, z = width / 2, depth / 2
    return [
        box((-x, 0, -z), (x, height, -z + 0.1)),
        box((-x, 0, z - 0.1), (x, height, z)),
        box((-x, 0, -z), (-x + 0.1, height, z)),
        box((x - 0.1, 0, -z), (x, height, z)),
    ]


def plank(start: tuple[float, float, float], end: tuple[float, float, float], width: float) -> trimesh.Trimesh:
    """A sloping plank from start to end along x, both in the middle of its upper side."""
    (x0, y0, z0), (x1, y1, _) = start, end
    w = width / 2
    top = [(x0, y0, z0 - w), (x0, y0, z0 + w), (x1, y1, z0 + w), (x1, y1, z0 - w)]
    return trimesh.Trimesh(top, [(0, 1, 2), (0, 2, 3)], process=False)


def joined(*parts: trimesh.Trimesh) -> Mesh:
    """Vertices (V, 3) float32 and faces (F, 3)."""
    whole = trimesh.util.concatenate(list(parts))
    return np.asarray(whole.vertices, dtype=np.float32), np.asarray(whole.faces)


def room(width: float = 4.0, depth: float = 3.0, *things: trimesh.Trimesh) -> Mesh:
    """A room with things in it."""
    return joined(floor(width, depth), *walls(width, depth), *things)


def two_storeys(with_ramp: bool = True) -> Mesh:
    """A hall of 12 x 4 m, a gallery at 2.4 m over its right end, and a ramp of 27° up to it."""
    parts = [floor(12, 4), *walls(12, 4, 5.0), box((2.0, 2.25, -2), (6, 2.4, 2))]
    if with_ramp:
        parts.append(plank((-2.7, 0.0, 0.0), (2.1, 2.4, 0.0), 1.6))
    return joined(*parts)


def bumpy(seed: int = 0, size: float = 6.0, things: int = 6) -> Mesh:
    """Uneven ground with turned boxes on it."""
    rng = np.random.default_rng(seed)
    n = 24
    x, z = np.meshgrid(np.linspace(-size / 2, size / 2, n), np.linspace(-size / 2, size / 2, n), indexing="ij")
    y = 0.4 * np.sin(x) * np.cos(1.3 * z) + rng.normal(0, 0.02, x.shape)
    i, k = np.meshgrid(np.arange(n - 1), np.arange(n - 1), indexing="ij")
    a = (i * n + k).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + n], 1), np.stack([a + 1, a + n + 1, a + n], 1)])
    parts = [trimesh.Trimesh(np.stack([x, y, z], -1).reshape(-1, 3), faces, process=False)]
    for _ in range(things):
        made = trimesh.creation.box(rng.uniform(0.2, 1.2, 3))
        made.apply_transform(trimesh.transformations.rotation_matrix(rng.uniform(0, 3), [0, 1, 0]))
        made.apply_translation([*rng.uniform(-2.5, 2.5, 1), 0.3, *rng.uniform(-2.5, 2.5, 1)])
        parts.append(made)
    return joined(*parts)
