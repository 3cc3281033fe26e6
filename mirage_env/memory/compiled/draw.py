"""Tokens of one part drawn into one camera: exact culling block by block, then every cell centre that they cover."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.memory.cameras import MIN_Z
from mirage_env.memory.raster import MAX_SPAN
from mirage_env.memory.store import KEY_MASK, KEY_ROW_SHIFT, KEY_VIEW_SHIFT
from mirage_env.memory.surfel import HALF, TRIMMED

BLOCK = 64
"""Tokens that are culled together, neighbours in storage: one or two rows of a view."""
_NEARLY_HALF = HALF * (1 + 1e-9)
_REACH = MAX_SPAN / 2


@kernel
def bound_blocks(sphere: Array, first: int, last: int, bounds: Array) -> None:
    """Bounding spheres (blocks, 4) float64 of the blocks ``first`` to ``last`` (excluded)."""
    for block in range(first, last):
        at = block * BLOCK
        for k in range(3):
            low = high = np.float64(sphere[k, at])
            for i in range(at + 1, at + BLOCK):
                low, high = min(low, np.float64(sphere[k, i])), max(high, np.float64(sphere[k, i]))
            bounds[block, k] = (low + high) / 2
        radius = 0.0
        for i in range(at, at + BLOCK):
            x, y, z = sphere[0, i] - bounds[block, 0], sphere[1, i] - bounds[block, 1], sphere[2, i] - bounds[block, 2]
            radius = max(radius, math.sqrt(x * x + y * y + z * z) + sphere[3, i])
        bounds[block, 3] = radius * (1 + 1e-9)


@kernel
def _outside(planes: Array, x: float, y: float, z: float, radius: float) -> bool:
    """Whether a sphere lies wholly outside one of the half-spaces (5, 4)."""
    for k in range(planes.shape[0]):
        if planes[k, 3] + planes[k, 0] * x + planes[k, 1] * y + planes[k, 2] * z + radius <= 0.0:
            return True
    return False


@kernel
def draw(
    sphere: Array,
    plane: Array,
    trim: Array,
    key: Array,
    imagined: Array,
    lift: Array,
    bounds: Array,
    numbers: Array,
    tokens: int,
    blocks: int,
    P: Array,
    planes: Array,
    margin: float,
    height: int,
    width: int,
    first_cell: int,
    job: int,
    base: int,
    count: int,
    whole: Array,
    exact: Array,
    single: Array,
) -> int:
    """Append all hits (see ``raster.Hits``) of one part's tokens in one camera to columns that hold ``count`` already.

    Args:
        sphere, trim, key, imagined, lift: of the segment, whole; ``plane`` is NaN where tokens are dead.
        bounds: from ``bound_blocks``, of the first ``blocks`` blocks.
        numbers: (tokens,) int64, of the part's tokens among those that live in it, or empty where all do.
        tokens: of the part.
        P: (3, 4) K [R | t].
        planes: (5, 4) half-spaces of the frustum, which a sphere must miss by the ``margin`` to be left out.
        first_cell, job, base: numbers of the camera's first cell, of the job, and of the part's first living token.
        whole: (4, room) int64: cell, job, token, index.
        exact: (4, room) float64: z, du, dv, magnification.
        single: (2, room) float32: resampling, doubt.

    Returns:
        How many hits there are now; where that is more than there is room for, the last ones are missing.
    """
    room = whole.shape[1]
    H = np.empty((3, 4))
    current = np.int64(-1)
    for start in range(0, tokens, BLOCK):
        block = start // BLOCK
        if block < blocks and _outside(planes, bounds[block, 0], bounds[block, 1], bounds[block, 2], bounds[block, 3]):
            continue
        for token in range(start, min(start + BLOCK, tokens)):
            if np.isnan(plane[0, token]):
                continue
            if _outside(
                planes,
                np.float64(sphere[0, token]),
                np.float64(sphere[1, token]),
                np.float64(sphere[2, token]),
                sphere[3, token] + margin,
            ):
                continue
            view = key[token] >> KEY_VIEW_SHIFT
            if view != current:
                current = view
                for i in range(3):
                    for j in range(4):
                        H[i, j] = P[i, 0] * lift[view, j] + P[i, 1] * lift[view, 4 + j] + P[i, 2] * lift[view, 8 + j]
                    H[i, 3] += P[i, 3]
            u, v = (key[token] & KEY_MASK) + 0.5, (key[token] >> KEY_ROW_SHIFT & KEY_MASK) + 0.5
            inverse, gu, gv = np.float64(plane[0, token]), np.float64(plane[1, token]), np.float64(plane[2, token])
            q0w = H[2, 0] * u + H[2, 1] * v + H[2, 2] + H[2, 3] * inverse
            aw, bw = H[2, 0] + gu * H[2, 3], H[2, 1] + gv * H[2, 3]
            right, down = aw * HALF, bw * HALF
            w0, w1, w2, w3 = q0w + right + down, q0w + right - down, q0w - right + down, q0w - right - down
            foremost = max(max(w0, w1), max(w2, w3))
            if not foremost > 0.0:
                continue
            front = min(min(w0, w1), min(w2, w3)) > 1e-6 * foremost
            q0x = H[0, 0] * u + H[0, 1] * v + H[0, 2] + H[0, 3] * inverse
            ax, bx = H[0, 0] + gu * H[0, 3], H[0, 1] + gv * H[0, 3]
            first_col, last_col = _span(q0x, ax, bx, q0w, w0, w1, w2, w3, foremost, front, width)
            if not last_col >= first_col:
                continue
            q0y = H[1, 0] * u + H[1, 1] * v + H[1, 2] + H[1, 3] * inverse
            ay, by = H[1, 0] + gu * H[1, 3], H[1, 1] + gv * H[1, 3]
            first_row, last_row = _span(q0y, ay, by, q0w, w0, w1, w2, w3, foremost, front, height)
            if not last_row >= first_row:
                continue
            for row in range(np.int64(first_row), np.int64(last_row) + 1):
                for col in range(np.int64(first_col), np.int64(last_col) + 1):
                    # (q0 + du a + dv b) parallel to (x, y, 1), solved for the offset.
                    x, y = col + 0.5, row + 0.5
                    ux, vx, cx = ax - x * aw, bx - x * bw, x * q0w - q0x
                    uy, vy, cy = ay - y * aw, by - y * bw, y * q0w - q0y
                    det = ux * vy - vx * uy
                    across, along = cx * vy - vx * cy, ux * cy - cx * uy
                    # Most cells beside the surfel are told without dividing.
                    if max(abs(across), abs(along)) > _NEARLY_HALF * abs(det):
                        continue
                    du, dv = across / det, along / det
                    w = q0w + du * aw + dv * bw
                    z = w / (inverse + du * gu + dv * gv)
                    if not (abs(du) <= HALF and abs(dv) <= HALF and z > MIN_Z) or _trimmed(trim[token], du, dv):
                        continue
                    if count < room:
                        ux, vx, uy, vy = ux / w, vx / w, uy / w, vy / w
                        bent = (ux - 1.0) * (ux - 1.0) + vx * vx + uy * uy + (vy - 1.0) * (vy - 1.0)
                        whole[0, count] = first_cell + row * width + col
                        whole[1, count] = job
                        whole[2, count] = token
                        whole[3, count] = base + (numbers[token] if numbers.size else token)
                        exact[0, count] = z
                        exact[1, count] = du
                        exact[2, count] = dv
                        exact[3, count] = ux * vy - vx * uy
                        single[0, count] = np.float32(1.0) + np.float32(bent)
                        single[1, count] = np.ceil(np.float32(2.0) * imagined[token])
                    count += 1
    return count


@kernel
def _span(
    q0: float,
    a: float,
    b: float,
    q0w: float,
    w0: float,
    w1: float,
    w2: float,
    w3: float,
    foremost: float,
    front: bool,
    side: int,
) -> tuple[float, float]:
    """First and last column (or row) whose centres a surfel may cover, along one of the image's axes; see ``raster``.

    q0, a, b are the homogeneous coordinate and its derivatives, w0 to w3 the depths of the corners.
    """
    a, b = a * HALF, b * HALF
    low, high = -np.inf, np.inf
    if front:
        x0, x1, x2, x3 = (q0 + a + b) / w0, (q0 + a - b) / w1, (q0 - a + b) / w2, (q0 - a - b) / w3
        low, high = min(min(x0, x1), min(x2, x3)), max(max(x0, x1), max(x2, x3))
    if q0w > 0.0:
        centre = q0 / q0w
    elif w0 == foremost:
        centre = (q0 + a + b) / w0
    elif w1 == foremost:
        centre = (q0 + a - b) / w1
    elif w2 == foremost:
        centre = (q0 - a + b) / w2
    else:
        centre = (q0 - a - b) / w3
    first = max(max(np.ceil(low - 0.5), np.floor(centre - _REACH)), 0.0)
    last = min(min(np.floor(high - 0.5), np.ceil(centre + _REACH)), side - 1.0)
    return first, last


@kernel
def _trimmed(trim: int, du: float, dv: float) -> bool:
    across = (trim & 1 != 0 and du < -TRIMMED) or (trim & 2 != 0 and du > TRIMMED)
    along = (trim & 4 != 0 and dv < -TRIMMED) or (trim & 8 != 0 and dv > TRIMMED)
    return across or along
