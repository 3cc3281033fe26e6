"""Which pixels of a view need more than one sample."""

from __future__ import annotations

import numpy as np

from mirage_env.geometry import Array

# Second difference of inverse depth, relative. On a plane it is 0, for inverse depth is affine in the pixel there.
_BEND = 0.02
_LIGHT_STEP = 0.1


def edge_pixels(depth: Array, material: Array, light: Array | None) -> Array:
    """Pixels (H, W) bool on either side of a silhouette, a crease, or a change of material or light.

    Args:
        depth: z-depth (H, W), 0 where nothing is hit.
        material: (H, W) integer, the same number for all pixels that hit nothing.
        light: (C, H, W) factors of the texture's colour, or None.
    """
    inverse = np.divide(1, depth, out=np.zeros_like(depth), where=depth > 0)
    edges = np.zeros(depth.shape, dtype=bool)
    # Transposed views let one loop serve both directions.
    for d, i, m, e, li in (
        (depth, inverse, material, edges, light),
        (depth.T, inverse.T, material.T, edges.T, None if light is None else light.swapaxes(1, 2)),
    ):
        step = i[1:] - i[:-1]
        differ = m[1:] != m[:-1]
        if li is not None:
            differ |= (np.abs(li[:, 1:] - li[:, :-1]) > _LIGHT_STEP).any(axis=0)
        e[1:] |= differ
        e[:-1] |= differ
        if len(d) > 2:
            bent = np.abs(step[1:] - step[:-1]) * d[1:-1] > _BEND
            e[1:-1] |= bent
            e[0] |= bent[0]
            e[-1] |= bent[-1]
    return edges
