"""The compiled counterparts of ``mirage_env.cracks``."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mirage_env.cracks import AROUND, REACH, SAME_SURFACE, SLITS
from mirage_env.geometry import Array
from mirage_env.kernels import kernel

_SAME_SURFACE = np.float32(SAME_SURFACE)


def gap_cells(visible: Tensor) -> tuple[Tensor, Tensor]:
    """As ``cracks.gap_cells``."""
    cracks, slits = visible.new_zeros(visible.shape), visible.new_zeros(visible.shape)
    _find(visible.contiguous().numpy(), cracks.numpy(), slits.numpy())
    return cracks, slits


def close_cracks(
    cracks: Tensor, visible: Tensor, latents: Tensor, depth: Tensor, imagined: Tensor, least: Tensor
) -> None:
    """As ``cracks.close_cracks``."""
    _close(cracks.numpy(), visible.numpy(), latents.numpy(), depth.numpy(), imagined.numpy(), least.numpy())


@kernel
def _any_near(grid: Array, row: int, col: int, reach: int) -> bool:
    height, width = grid.shape
    for r in range(max(row - reach, 0), min(row + reach + 1, height)):
        for c in range(max(col - reach, 0), min(col + reach + 1, width)):
            if grid[r, c]:
                return True
    return False


@kernel
def _find(visible: Array, cracks: Array, slits: Array) -> None:
    views, height, width = visible.shape
    for view in range(views):
        shown, count, wide = visible[view], 0, False
        for row in range(height):
            for col in range(width):
                if shown[row, col]:
                    continue
                around = 0
                for r in range(max(row - 1, 0), min(row + 2, height)):
                    for c in range(max(col - 1, 0), min(col + 2, width)):
                        around += shown[r, c]
                if around >= AROUND:
                    cracks[view, row, col] = True
                else:
                    count += 1
                    wide = wide or not _any_near(shown, row, col, REACH)
        if count > 0 and not wide and np.float32(count) / np.float32(height * width) <= np.float32(SLITS):
            for row in range(height):
                for col in range(width):
                    slits[view, row, col] = not shown[row, col] and not cracks[view, row, col]


@kernel
def _close(cracks: Array, visible: Array, latents: Array, depth: Array, imagined: Array, least: Array) -> None:
    views, height, width = visible.shape
    covered, after = np.empty((height, width), dtype=np.bool_), np.empty((height, width), dtype=np.bool_)
    for view in range(views):
        if not cracks[view].any():
            continue
        covered[:] = visible[view]
        for _ in range(REACH):
            after[:] = covered
            for row in range(height):
                for col in range(width):
                    if cracks[view, row, col] and not covered[row, col] and _any_near(covered, row, col, 1):
                        _continue(covered, latents[view], depth[view], imagined[view], least[view], row, col)
                        after[row, col] = True
            covered[:] = after


@kernel
def _continue(covered: Array, latents: Array, depth: Array, imagined: Array, least: Array, row: int, col: int) -> None:
    """Fill one cell from the covered ones around it."""
    height, width = covered.shape
    rows, cols = np.empty(8, dtype=np.int64), np.empty(8, dtype=np.int64)
    count = 0
    for r in range(max(row - 1, 0), min(row + 2, height)):
        for c in range(max(col - 1, 0), min(col + 2, width)):
            if covered[r, c]:
                rows[count], cols[count] = r, c
                count += 1
    z = np.empty(count, dtype=np.float32)
    for i in range(count):
        z[i] = depth[rows[i], cols[i]]
    z.sort()
    middle = z[(count - 1) // 2]
    doubt, same = np.float32(0.0), 0
    for i in range(count):
        r, c = rows[i], cols[i]
        if abs(depth[r, c] - middle) <= _SAME_SURFACE * middle:
            rows[same], cols[same] = r, c
            doubt = max(doubt, imagined[r, c])
            same += 1
    weight = np.float32(1.0) / np.float32(same)
    for k in range(latents.shape[0]):
        total = np.float32(0.0)
        for i in range(same):
            total += latents[k, rows[i], cols[i]] * weight
        latents[k, row, col] = total
    depth[row, col] = middle
    imagined[row, col] = max(doubt, least[row, col])
