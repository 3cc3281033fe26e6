"""The compiled counterpart of ``patches.surfels_of`` for one part."""

from __future__ import annotations

import numpy as np
import torch

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.memory.patches import BRIDGE, SAME_PLANE, Surfels
from mirage_env.memory.store import KEY_MASK, KEY_ROW_SHIFT, KEY_VIEW_SHIFT, Tokens
from mirage_env.memory.surfel import TRIMMED

_SAME_PLANE, _BRIDGE = np.float32(SAME_PLANE), np.float32(BRIDGE)


def part_surfels(tokens: Tokens, first: int) -> Surfels:
    """The surfels of the tokens of one part from its ``first`` on."""
    count = tokens.key.shape[0] - first
    places = np.empty((4, count, 3), dtype=np.float32)
    extents, continued = np.empty((count, 4), dtype=np.float32), np.empty((count, 4), dtype=np.bool_)
    bridges = np.empty(count, dtype=np.bool_)
    _fill(
        tokens.sphere.numpy(), tokens.plane.numpy(), tokens.trim.numpy(), tokens.key.numpy(), tokens.lift.numpy(),
        first, places, extents, continued, bridges,
    )  # fmt: skip
    positions, tangents_u, tangents_v, viewpoints = torch.from_numpy(places)
    return Surfels(
        positions=positions,
        tangents_u=tangents_u,
        tangents_v=tangents_v,
        extents=torch.from_numpy(extents),
        viewpoints=viewpoints,
        continued=torch.from_numpy(continued),
        bridges=torch.from_numpy(bridges),
        imagined=tokens.imagined[first:].clone(),
    )


@kernel
def _fill(
    sphere: Array, plane: Array, trim: Array, keys: Array, lifts: Array, first: int, places: Array, extents: Array,
    continued: Array, bridges: Array,
) -> None:  # fmt: skip
    for k in range(first, keys.shape[0]):
        i, key = k - first, keys[k]
        u, v = (key & KEY_MASK) + 0.5, (key >> KEY_ROW_SHIFT & KEY_MASK) + 0.5
        lift = lifts[key >> KEY_VIEW_SHIFT]
        inverse, slope_u, slope_v = np.float64(plane[0, k]), np.float64(plane[1, k]), np.float64(plane[2, k])
        for axis in range(3):
            along_u, along_v = lift[4 * axis], lift[4 * axis + 1]
            # The world point is ray / inverse + centre; both the ray and the inverse depth are affine in (u, v).
            ray = along_u * u + along_v * v + lift[4 * axis + 2]
            places[0, i, axis] = sphere[axis, k]
            places[1, i, axis] = (along_u - ray / inverse * slope_u) / inverse
            places[2, i, axis] = (along_v - ray / inverse * slope_v) / inverse
            places[3, i, axis] = lift[4 * axis + 3]
        for side in range(4):
            extents[i, side] = TRIMMED if trim[k] >> side & 1 else 0.5
        bridges[i] = False
        for axis in range(2):
            step = 1 << KEY_ROW_SHIFT if axis else 1
            before, flush_before = _continues(keys, plane, k, -step, axis + 1)
            after, flush_after = _continues(keys, plane, k, step, axis + 1)
            continued[i, 2 * axis], continued[i, 2 * axis + 1] = flush_before, flush_after
            if before >= 0 and after >= 0 and not flush_before and not flush_after:
                rise_before, rise_after = plane[0, before] - plane[0, k], plane[0, after] - plane[0, k]
                between = rise_before * rise_after < 0
                bridges[i] |= between and abs(rise_before - rise_after) > _BRIDGE * plane[0, k]


@kernel
def _continues(keys: Array, plane: Array, k: int, step: int, axis: int) -> tuple[int, bool]:
    """The number of the neighbour of token ``k`` along a column or row (-1: none), and if it continues its plane."""
    other = _number(keys, keys[k] + step)
    if other < 0:
        return other, False
    inverse, slope = plane[0, k], plane[axis, k]
    rise, along = plane[0, other] - inverse, slope if step > 0 else -slope
    return other, max(abs(rise - along), abs(plane[axis, other] - slope)) <= _SAME_PLANE * inverse


@kernel
def _number(keys: Array, wanted: int) -> int:
    """The number of the token with this key; -1: there is none."""
    at = int(np.searchsorted(keys, wanted))
    return at if at < keys.shape[0] and keys[at] == wanted else -1
