"""Grids of vertices to one textured triangle mesh."""

from __future__ import annotations

import numpy as np

from mirage_env.simulators.raycast import TexturedMesh
from mirage_env.simulators.rooms.shapes import Batch
from mirage_env.simulators.rooms.textures import Material


def triangulate(batches: list[Batch], materials: dict[str, Material]) -> TexturedMesh:
    """Two triangles per cell of every grid, counter-clockwise about the normals; those without area are left out."""
    names = sorted({b.material for b in batches})
    index = {name: i for i, name in enumerate(names)}
    quads, start = [], 0
    for b in batches:
        k, m, n = b.points.shape[:3]
        ids = start + np.arange(k * m * n).reshape(k, m, n)
        corners = np.stack([ids[:, :-1, :-1], ids[:, :-1, 1:], ids[:, 1:, 1:], ids[:, 1:, :-1]], -1).reshape(-1, 4)
        quads.append(corners)
        start += k * m * n
    q = np.concatenate(quads)
    material = np.repeat([index[b.material] for b in batches], [len(c) for c in quads])
    points = np.concatenate([b.points.reshape(-1, 3) for b in batches])
    normals = np.concatenate([b.normals.reshape(-1, 3) for b in batches])
    uv = np.concatenate([(b.uv / np.asarray(materials[b.material].metres)).reshape(-1, 2) for b in batches])
    faces = np.concatenate([q[:, [0, 1, 2]], q[:, [0, 2, 3]]])
    material = np.concatenate([material, material])
    cross = np.cross(points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]])
    flip = (cross * normals[faces].sum(1)).sum(-1) < 0
    faces[flip] = faces[flip][:, ::-1]
    kept = np.linalg.norm(cross, axis=-1) > 1e-9
    faces, material = faces[kept], material[kept]
    return TexturedMesh(
        vertices=points.astype(np.float32),
        faces=faces.astype(np.int32),
        uv=uv[faces].astype(np.float32),
        material=material.astype(np.int32),
        textures=tuple(materials[name].pixels for name in names),
    )
