"""What shading needs to know of each face of a mesh, and of the faces in one view."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from mirage_env.geometry import Array

if TYPE_CHECKING:
    from mirage_env.simulators.raycast import TexturedMesh

_NEAREST_PLANE = 1e-9  # metres; a camera in the plane of a face sees nothing of it, but must not divide by zero


class FaceTable:
    """Planes, texture coordinates and light of the faces of a mesh.

    Texture coordinates are affine over a face, thus affine in position; where a camera ray (x, y, 1) meets the face, at
    depth t, they are ``u = u0 + t (ux x + uy y + uz)``, where the face's plane is ``1 / t = wx x + wy y + wz``.

    Args:
        mesh: a checked mesh.
        sizes: (M, 2) width and height of each texture.
    """

    def __init__(self, mesh: TexturedMesh, sizes: Array) -> None:
        corners = np.asarray(mesh.vertices, dtype=np.float64)[mesh.faces]
        uv = np.asarray(mesh.uv, dtype=np.float64)
        uv = uv - np.floor(uv[:, :1])  # whole repeats change nothing; small numbers keep float32 exact
        self._size = sizes[mesh.material]
        texel = uv * self._size[:, None]
        e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        normal = np.cross(e1, e2)
        squared = np.maximum((normal**2).sum(axis=1, keepdims=True), 1e-300)
        # gradients of the barycentric coordinates
        b1, b2 = np.cross(e2, normal) / squared, np.cross(normal, e1) / squared
        d1, d2 = texel[:, 1] - texel[:, 0], texel[:, 2] - texel[:, 0]
        gradients = d1[:, :, None] * b1[:, None] + d2[:, :, None] * b2[:, None]
        vectors = np.concatenate([gradients, (normal / np.sqrt(squared))[:, None]], axis=1)
        self._vectors = vectors.astype(np.float32)  # (F, 3, 3): gradients of u and v in texels per metre, unit normal
        self._corner = corners[:, 0].astype(np.float32)
        self._texel = texel[:, 0]
        self.material = np.asarray(mesh.material, dtype=np.int64)
        self.light: Array | None = None  # (F, 3 * channels): at corner 0, its change to corner 1 and to corner 2
        if mesh.light is not None:
            self.light = _light_columns(mesh.light)

    @property
    def arrays(self) -> tuple[Array, Array, Array]:
        """Gradients of u and v in texels per metre and the normal (F, 3, 3), corner 0 (F, 3) and its u, v (F, 2)."""
        return self._vectors, self._corner, self._texel

    def relit(self, light: Array) -> FaceTable:
        """The same faces under another light, (F, 3) or (F, 3, 3) factors at their corners."""
        other = copy.copy(self)
        other.light = _light_columns(light)
        return other

    def in_view(self, faces: Array, pose: Array) -> Array:
        """Coefficients (10, V) float32 of faces (V,) in a camera: u0 ux uy uz, v0 vx vy vz (all in texels), wx wy."""
        vectors = self._vectors[faces].astype(np.float64)
        from_corner = pose[:3, 3] - self._corner[faces]
        at_camera = np.einsum("fij,fj->fi", vectors, from_corner)
        vectors = (vectors.reshape(-1, 3) @ pose[:3, :3]).reshape(-1, 3, 3)
        distance = -at_camera[:, 2]
        distance[np.abs(distance) < _NEAREST_PLANE] = _NEAREST_PLANE
        origin, size = self._texel[faces] + at_camera[:, :2], self._size[faces]
        origin -= np.floor(origin / size) * size
        plane = vectors[:, 2, :2] / distance[:, None]
        columns = (origin[:, :1], vectors[:, 0], origin[:, 1:], vectors[:, 1], plane)
        return np.concatenate(columns, axis=1).T.astype(np.float32, order="C")


def _light_columns(light: Array) -> Array:
    light = np.asarray(light, dtype=np.float32).reshape(len(light), 3, -1)
    columns = np.stack([light[:, 0], light[:, 1] - light[:, 0], light[:, 2] - light[:, 0]], axis=1)
    return np.ascontiguousarray(columns.reshape(len(light), -1))


def visible_faces(face: Array, n_faces: int) -> tuple[Array, Array]:
    """The different ones (V,) among the hit faces (N,), ascending, and the index among them of each (N,), both int64.

    np.unique without its sort.
    """
    seen = np.zeros(n_faces, dtype=bool)
    seen[face] = True
    visible = np.flatnonzero(seen)
    rank = np.empty(n_faces, dtype=np.int64)
    rank[visible] = np.arange(len(visible))
    return visible, rank.take(face)
