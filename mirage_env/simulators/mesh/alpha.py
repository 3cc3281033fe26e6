"""Which points of a mesh are holes in an alpha-tested texture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.assemble import AlphaMask
from mirage_env.simulators.raycast import TexturedMesh


class Holes:
    """The faces of a mesh whose textures have holes (``alphaMode: MASK``).

    Args:
        masks: for each texture its alpha and cutoff; None: it has no holes.
    """

    def __init__(self, mesh: TexturedMesh, masks: Sequence[AlphaMask | None]) -> None:
        holed = [m is not None and bool((m.alpha < m.cutoff).any()) for m in masks]
        self._masks = masks
        self._material = mesh.material
        self._uv = mesh.uv
        self._maybe = np.array(holed, dtype=bool)[mesh.material]

    def __bool__(self) -> bool:
        return bool(self._maybe.any())

    def at(self, face: Array, across: Array, along: Array) -> Array:
        """Indices of hits (N,) that lie in a hole.

        Args:
            face: (N,) hit faces, -1 for none.
            across, along: (N,) barycentric coordinates of corners 1 and 2.
        """
        rows = np.flatnonzero((face >= 0) & self._maybe[np.maximum(face, 0)])
        if not len(rows):
            return rows
        f, b1, b2 = face[rows], across[rows, None], along[rows, None]
        corners = self._uv[f]
        uv = corners[:, 0] + b1 * (corners[:, 1] - corners[:, 0]) + b2 * (corners[:, 2] - corners[:, 0])
        hole = np.zeros(len(rows), dtype=bool)
        material = self._material[f]
        for m in np.unique(material):
            mask, here = self._masks[m], material == m
            assert mask is not None
            hole[here] = bilinear(mask.alpha, uv[here]) < mask.cutoff
        return rows[hole]


def bilinear(image: Array, uv: Array) -> Array:
    """Values (N,) of a repeating image (H, W) at (N, 2), (0, 0) its top left corner and (1, 1) its bottom right one."""
    h, w = image.shape
    x, y = (uv * (w, h) - 0.5).T
    c, r = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    x, y = x - c, y - r
    c0, c1, r0, r1 = c % w, (c + 1) % w, r % h, (r + 1) % h
    top = image[r0, c0] * (1 - x) + image[r0, c1] * x
    return top * (1 - y) + (image[r1, c0] * (1 - x) + image[r1, c1] * x) * y
