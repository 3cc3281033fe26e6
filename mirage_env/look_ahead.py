"""Where to look before imagining: towards what is unknown, so that it is imagined in large pieces.

A turning camera uncovers its surroundings strip by strip. Imagined strip by strip, they are made of pieces that know
only the edge of the one before; imagined from a view that is turned towards the unknown, a wall is one wall. It is
also cheaper, because the next steps find what they show in the memory.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mirage_env import geometry
from mirage_env.cracks import SLITS
from mirage_env.geometry import Array

LEAST, MOST = SLITS, 0.6
"""Share of unseen cells from which, and up to which, looking ahead pays: fewer are a gap, more are a view in itself."""
ASIDE = np.radians(10.0)
"""The unseen cells must lie at least so far to one side, on average."""


def ahead_poses(
    visible: Tensor, intrinsics: Array, poses: Array, angle: float, threshold: float = 0.0
) -> tuple[Array, Array]:
    """Poses turned towards what a memory does not show.

    Args:
        visible: (B, h, w) bool.
        intrinsics: (B, 3, 3) of the grids.
        poses: T_world_camera (B, 4, 4).
        angle: radians to turn by.
        threshold: views of which at most this share is unseen are left alone, too.

    Returns:
        Which of the B cameras should look ahead, ascending (N,) int64, and their poses (N, 4, 4) float32.
    """
    unseen = ~visible.cpu().numpy()
    share = unseen.mean((1, 2))
    which = ((share >= LEAST) & (share <= MOST) & (share > threshold)).nonzero()[0]
    rays = geometry.unproject(geometry.pixel_grid(*unseen.shape[1:]), 1.0, intrinsics[which, None, None])
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    mean = (rays * unseen[which, ..., None]).sum((1, 2))
    aside = np.hypot(mean[:, 0], mean[:, 1])
    at = (np.arctan2(aside, mean[:, 2]) >= ASIDE).nonzero()[0]
    which, (x, y) = which[at], (mean[at, k] / aside[at] for k in (0, 1))
    zero = np.zeros_like(x)
    # A turn about an axis across the line of sight: to the right about +Y (down), upwards about +X (right).
    turns = [geometry.exp_twist(twist) for twist in np.stack([zero, zero, zero, -y * angle, x * angle, zero], axis=1)]
    turned = [poses[i] @ turn for i, turn in zip(which, turns, strict=True)]
    return which, np.array(turned, dtype=np.float32).reshape(-1, 4, 4)
