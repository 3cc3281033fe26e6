"""Checked target cameras, and conservative culling of tokens against their frusta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory.store import MAX_GRID, Part

MIN_Z = 1e-6
"""Metres. What is not farther than this in front of the camera is not seen."""


@dataclass(frozen=True)
class Targets:
    """T cameras that look at grids of one size.

    Attributes:
        T_camera_world: (T, 4, 4) float64.
        intrinsics: (T, 3, 3) float64 of the latent grid.
        height, width: cells.
    """

    T_camera_world: Array
    intrinsics: Array
    height: int
    width: int

    def __len__(self) -> int:
        return self.T_camera_world.shape[0]

    def __getitem__(self, which: slice) -> Targets:
        return Targets(self.T_camera_world[which], self.intrinsics[which], self.height, self.width)


def to_numpy(value: Any, name: str) -> Array:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers, got {type(value).__name__}") from error


def check_intrinsics(intrinsics: Any) -> Array:
    """Pinhole matrices (..., 3, 3) as float64, without skew, or one sentence on what is wrong."""
    K = to_numpy(intrinsics, "intrinsics")
    if K.shape[-2:] != (3, 3):
        raise ValueError(f"intrinsics must be a 3x3 pinhole matrix of the latent grid, got shape {K.shape}")
    if not np.isfinite(K).all():
        raise ValueError("intrinsics hold NaN or infinite numbers; a pinhole matrix must be finite")
    zeros = np.abs(K[..., [0, 1, 2, 2], [1, 0, 0, 1]]).max(initial=0.0)
    if not ((K[..., 0, 0] > 0).all() and (K[..., 1, 1] > 0).all() and (K[..., 2, 2] == 1).all() and zeros == 0):
        raise ValueError("intrinsics must read [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive fx and fy")
    return K


def check_size(size: Any) -> tuple[int, int]:
    """Grid size (height, width), or one sentence on what is wrong."""
    try:
        height, width = (int(side) for side in size)
        whole = tuple(size) == (height, width)
    except (TypeError, ValueError):
        raise ValueError(f"size must be two whole numbers (height, width), got {size!r}") from None
    if not whole or not (1 <= height <= MAX_GRID and 1 <= width <= MAX_GRID):
        raise ValueError(f"size must be (height, width) with whole sides from 1 to {MAX_GRID}, got {size!r}")
    return height, width


def targets(poses: Any, intrinsics: Any, size: Any) -> Targets:
    """Checked target cameras from poses (T, 4, 4) or (4, 4), intrinsics (T, 3, 3) or (3, 3) and size (h, w)."""
    T = geometry.check_pose(to_numpy(poses, "poses"), "poses")
    T = T[None] if T.ndim == 2 else T
    if T.ndim != 3:
        raise ValueError(f"poses must have shape (4, 4) or (T, 4, 4), got {T.shape}")
    K = check_intrinsics(intrinsics)
    if K.shape not in ((3, 3), (len(T), 3, 3)):
        raise ValueError(f"intrinsics must have shape (3, 3) or ({len(T)}, 3, 3) for these poses, got {K.shape}")
    height, width = check_size(size)
    return Targets(geometry.invert(T), np.broadcast_to(K, (len(T), 3, 3)), height, width)


def frustum_planes(cameras: Targets) -> Array:
    """World half-spaces (T, 5, 4) as unit normal and offset, whose intersection is each camera's frustum."""
    K, T = cameras.intrinsics, cameras.T_camera_world
    fx, fy, cx, cy = K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2]
    zero, one = np.zeros_like(fx), np.ones_like(fx)
    normals = np.stack(
        [
            np.stack([fx, zero, cx], -1),
            np.stack([-fx, zero, cameras.width - cx], -1),
            np.stack([zero, fy, cy], -1),
            np.stack([zero, -fy, cameras.height - cy], -1),
            np.stack([zero, zero, one], -1),
        ],
        axis=1,
    )
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals @ T[:, :3, :]


def remoteness(cameras: Targets) -> Array:
    """(T,) metres, how far the world's origin is from each camera, along an axis."""
    return np.abs(cameras.T_camera_world[:, :3, 3]).max(axis=1)


def rounding(part: Part, remote: Any) -> Any:
    """Metres, more than float32 rounds the distances of a part's tokens from the ``frustum_planes`` of cameras of
    this ``remoteness``."""
    return 4e-6 * (part.segment.reach + remote) + 1e-6


def in_frustum(part: Part, cameras: Targets, footprint: bool) -> tuple[Tensor, Tensor]:
    """Which camera may see which living token: camera indices (M,) and token indices (M,) in the part, camera-major.

    Never drops a token that a camera sees (its footprint or, without, its centre); may keep some that none does.
    Works in float32, so the result decides only what is worth an exact look.
    """
    planes = frustum_planes(cameras)
    planes[..., 3] += rounding(part, remoteness(cameras))[:, None]
    sphere = part.segment.sphere[:, : part.tokens]
    # Multiply-adds, not a matmul, whose precision is a global switch that training code likes to turn down.
    side = torch.as_tensor(planes, dtype=torch.float32, device=sphere.device).unsqueeze(-1)
    nearest: Tensor | None = None
    for k in range(side.shape[1]):
        distance = torch.addcmul(side[:, k, 3], side[:, k, 0], sphere[0])
        distance.addcmul_(side[:, k, 1], sphere[1]).addcmul_(side[:, k, 2], sphere[2])
        nearest = distance if nearest is None else torch.minimum(nearest, distance, out=nearest)
    assert nearest is not None
    if footprint:
        nearest += sphere[3]
    seen = nearest > 0
    if part.living is not None:
        seen &= part.living.mask
    camera, token = seen.nonzero(as_tuple=True)
    return camera, token
