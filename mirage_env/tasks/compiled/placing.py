"""Where a picture may have been taken, place by place; ``tasks.goal_place.scores_plain`` says what is computed."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel


@kernel
def scores(
    means: Array,
    known: Array,
    features: Array,
    layers: Array,
    shifts: Array,
    stride: int,
    evidence: Array,
    scale: float,
) -> tuple[Array, Array]:
    """Best sums of evidence over headings (n, m) float32, and which headings they are of (n, m)."""
    _, height, width, count = means.shape
    rows, columns = (height + stride - 1) // stride, (width + stride - 1) // stride
    headings, parts = shifts.shape[0], shifts.shape[1]
    best = np.full((rows, columns), -np.inf, dtype=np.float32)
    which = np.zeros((rows, columns), dtype=np.int64)
    # What each part of the picture says of every cell, once for all headings.
    told = np.zeros((parts, height, width), dtype=np.float32)
    last = len(evidence) - 1
    for g in range(parts):
        layer = layers[g]
        for r in range(height):
            for c in range(width):
                if known[layer, r, c]:
                    squares = np.float32(0.0)
                    for k in range(count):
                        apart = features[g, k] - means[layer, r, c, k]
                        squares += apart * apart
                    told[g, r, c] = evidence[min(int(math.sqrt(squares) * scale), last)]
    total = np.empty((rows, columns), dtype=np.float32)
    for a in range(headings):
        total[:] = np.float32(0.0)
        for g in range(parts):
            down, right = shifts[a, g, 0], shifts[a, g, 1]
            first, past = max(0, -(down // stride)), min(rows, (height - 1 - down) // stride + 1)
            left, end = max(0, -(right // stride)), min(columns, (width - 1 - right) // stride + 1)
            for i in range(first, past):
                line, sums = told[g, i * stride + down], total[i]
                for j in range(left, end):
                    sums[j] += line[j * stride + right]
        for i in range(rows):
            for j in range(columns):
                if total[i, j] > best[i, j]:
                    best[i, j] = total[i, j]
                    which[i, j] = a
    return best, which
