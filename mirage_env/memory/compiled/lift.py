"""The compiled counterparts of what a write derives from its grids: ``surfel`` and ``writable``."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.memory.store import KEY_ROW_SHIFT, Tokens
from mirage_env.memory.surfel import BEND, EDGE, HALF, JUMP, MAX_TILT, lift_matrix


def inverse_depth_slopes(depth: Tensor) -> tuple[Tensor, Tensor]:
    """As ``surfel.inverse_depth_slopes``."""
    inverse, slopes = np.empty(depth.shape), np.empty((2, *depth.shape))
    _inverse_depth_slopes(_grid(depth), inverse, slopes)
    return torch.from_numpy(inverse), torch.from_numpy(slopes)


def flying_cells(depth: Tensor) -> Tensor:
    """As ``writable.flying_cells``."""
    flying = np.zeros(depth.shape, dtype=np.bool_)
    _flying_cells(_grid(depth), flying)
    return torch.from_numpy(flying)


def tokens_from_view(
    latents: Tensor,
    depth: Tensor,
    imagined: Tensor,
    intrinsics: Array,
    T_world_camera: Array,
    write: Tensor,
    dtype: torch.dtype,
) -> Tokens:
    """As ``surfel.tokens_from_view``."""
    inverse, slopes = np.empty(depth.shape), np.empty((2, *depth.shape))
    _inverse_depth_slopes(_grid(depth), inverse, slopes)
    at = write.reshape(-1).nonzero()[:, 0]
    count, lift = len(at), lift_matrix(intrinsics, T_world_camera)
    sphere, plane = np.empty((4, count), dtype=np.float32), np.empty((3, count), dtype=np.float32)
    trim, key = np.empty(count, dtype=np.uint8), np.empty(count, dtype=np.int64)
    _lift_cells(at.numpy(), inverse, slopes, lift, sphere, plane, trim, key)
    return Tokens(
        sphere=torch.from_numpy(sphere),
        plane=torch.from_numpy(plane),
        trim=torch.from_numpy(trim),
        key=torch.from_numpy(key),
        latents=latents.flatten(1).index_select(1, at).T.to(dtype),
        imagined=imagined.reshape(-1)[at].to(torch.float32),
        lift=torch.from_numpy(lift.reshape(1, 12)),
    )


def _grid(depth: Tensor) -> Array:
    return np.ascontiguousarray(depth.to(torch.float64).numpy())


@kernel
def _inverse_depth_slopes(depth: Array, inverse: Array, slopes: Array) -> None:
    height, width = depth.shape
    for row in range(height):
        for col in range(width):
            inverse[row, col] = 1.0 / depth[row, col] if depth[row, col] > 0 else 0.0
    for row in range(height):
        for col in range(width):
            here = inverse[row, col]
            along_u = _slope(
                _step(inverse, row, col - 2, 0, 1),
                _step(inverse, row, col - 1, 0, 1),
                _step(inverse, row, col, 0, 1),
                _step(inverse, row, col + 1, 0, 1),
                here,
            )
            along_v = _slope(
                _step(inverse, row - 2, col, 1, 0),
                _step(inverse, row - 1, col, 1, 0),
                _step(inverse, row, col, 1, 0),
                _step(inverse, row + 1, col, 1, 0),
                here,
            )
            tilt = (abs(along_u) + abs(along_v)) * 0.5
            most = min(MAX_TILT * here / max(tilt, 1e-300), 1.0)
            slopes[0, row, col], slopes[1, row, col] = along_u * most, along_v * most


@kernel
def _step(inverse: Array, row: int, col: int, down: int, right: int) -> float:
    """From a cell to the one below or right of it; infinite where one of them was not measured or is none."""
    if row < 0 or col < 0 or row + down >= inverse.shape[0] or col + right >= inverse.shape[1]:
        return np.inf
    here, there = inverse[row, col], inverse[row + down, col + right]
    return there - here if here > 0 and there > 0 else np.inf


@kernel
def _bend(step: float, beyond: float) -> float:
    if math.isinf(step):
        return np.inf
    return abs(step) if math.isinf(beyond) else abs(step - beyond)


@kernel
def _slope(before: float, left: float, right: float, after: float, here: float) -> float:
    bend_left, bend_right = _bend(left, before), _bend(right, after)
    take_left = bend_left < bend_right or (bend_left == bend_right and abs(left) <= abs(right))
    slope, bend = (left, bend_left) if take_left else (right, bend_right)
    jump = abs(slope) > JUMP * here and bend > BEND * abs(slope)
    return 0.0 if math.isinf(slope) or jump else slope


@kernel
def _lift_cells(
    at: Array, inverse: Array, slopes: Array, lift: Array, sphere: Array, plane: Array, trim: Array, key: Array
) -> None:
    """Fill the columns of tokens (``store.Tokens``) of the cells ``at`` (n,)."""
    width = inverse.shape[1]
    centre = np.empty(3, dtype=np.float32)
    for i in range(len(at)):
        row, col = at[i] // width, at[i] % width
        u, v = col + 0.5, row + 0.5
        w, gu, gv = inverse[row, col], slopes[0, row, col], slopes[1, row, col]
        for k in range(3):
            centre[k] = (lift[k, 0] * u + lift[k, 1] * v + lift[k, 2]) / w + lift[k, 3]
            sphere[k, i] = centre[k]
        radius = 0.0
        for du in (-HALF, HALF):
            for dv in (-HALF, HALF):
                corner = w + du * gu + dv * gv
                total = 0.0
                for k in range(3):
                    x = (lift[k, 0] * (u + du) + lift[k, 1] * (v + dv) + lift[k, 2]) / corner + lift[k, 3]
                    total += (x - centre[k]) * (x - centre[k])
                radius = max(radius, math.sqrt(total))
        sphere[3, i] = radius * 1.001
        plane[0, i], plane[1, i], plane[2, i] = w, gu, gv
        sides = 0
        if _farther(inverse, row, col - 1, w, w - gu):
            sides |= 1
        if _farther(inverse, row, col + 1, w, w + gu):
            sides |= 2
        if _farther(inverse, row - 1, col, w, w - gv):
            sides |= 4
        if _farther(inverse, row + 1, col, w, w + gv):
            sides |= 8
        trim[i] = sides
        key[i] = (row << KEY_ROW_SHIFT) | col


@kernel
def _farther(inverse: Array, row: int, col: int, here: float, continued: float) -> bool:
    """Whether the cell shows a farther surface than that of its neighbour ``here``, ``continued`` to it."""
    if row < 0 or col < 0 or row >= inverse.shape[0] or col >= inverse.shape[1]:
        return False
    beyond = inverse[row, col]
    return beyond > 0 and beyond < (1.0 - EDGE) * min(here, continued)


@kernel
def _flying_cells(depth: Array, flying: Array) -> None:
    height, width = depth.shape
    inverse = np.empty((height, width))
    for row in range(height):
        for col in range(width):
            inverse[row, col] = 1.0 / depth[row, col] if depth[row, col] > 0 else np.nan
    for row in range(height):
        for col in range(2, width - 2):
            flying[row, col] = _flies(
                inverse[row, col - 2],
                inverse[row, col - 1],
                inverse[row, col],
                inverse[row, col + 1],
                inverse[row, col + 2],
            )
    for row in range(2, height - 2):
        for col in range(width):
            flying[row, col] |= _flies(
                inverse[row - 2, col],
                inverse[row - 1, col],
                inverse[row, col],
                inverse[row + 1, col],
                inverse[row + 2, col],
            )


@kernel
def _flies(two_left: float, left: float, here: float, right: float, two_right: float) -> bool:
    # Comparisons with NaN are false, which leaves out every cell with an unmeasured neighbour.
    before, rise, fall, after = left - two_left, here - left, right - here, two_right - right
    jumps = abs(rise) > EDGE * max(here, left) and abs(fall) > EDGE * max(here, right)
    apart = abs(before - rise) > BEND * abs(rise) and abs(after - fall) > BEND * abs(fall)
    return rise * fall > 0 and jumps and apart
