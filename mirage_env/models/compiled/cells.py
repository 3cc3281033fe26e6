"""What stands between convolutions: bringing images into place, group normalisation, attention."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.models.compiled.convolution import clear_border
from mirage_env.models.compiled.lanes import (
    LANES,
    ROWS,
    after,
    exp,
    largest,
    load,
    pointer,
    product,
    silu,
    splat,
    store,
    total,
)


@kernel
def unshuffled(image: Array, patch: int, out: Array, border: int) -> None:
    """Put an image (C, H, W) into the corner of ``out`` (rows, columns, channels ≥ C · patch²), zeros around it.

    Patches of cells become channels, as in ``nn.PixelUnshuffle``.
    """
    channels, height, width = image.shape[0], image.shape[1] // patch, image.shape[2] // patch
    out[:] = 0.0
    for y in range(height):
        for x in range(width):
            k = 0
            for c in range(channels):
                for down in range(patch):
                    for right in range(patch):
                        out[y + border, x + border, k] = image[c, y * patch + down, x * patch + right]
                        k += 1


@kernel
def shuffled(image: Array, patch: int, out: Array) -> None:
    """Take (C, H, W) out of the corner of an image (rows, columns, channels ≥ C · patch²): ``nn.PixelShuffle``."""
    channels, height, width = out.shape[0], out.shape[1] // patch, out.shape[2] // patch
    for y in range(height):
        for c in range(channels):
            for down in range(patch):
                for x in range(width):
                    for right in range(patch):
                        k = (c * patch + down) * patch + right
                        out[c, y * patch + down, x * patch + right] = image[y, x, k]


@kernel
def normalised(
    image: Array,
    groups: int,
    eps: float,
    weight: Array,
    bias: Array,
    change: Array,
    activate: bool,
    out: Array,
    border: int,
) -> None:
    """Group normalisation of an image (rows, columns, channels) into the corner of ``out``, which has a border.

    Args:
        weight, bias: per channel.
        change: (1, 1, 2 · channels), scales and then shifts that are applied then; or empty.
        activate: a SiLU follows.
    """
    height, columns, channels = image.shape
    cells, size, factors = height * columns, channels // groups, change.ravel()
    slope_, offset_ = np.empty(channels, dtype=np.float32), np.empty(channels, dtype=np.float32)
    source, target, slope, offset = pointer(image), pointer(out), pointer(slope_), pointer(offset_)
    for k in range(0, channels, LANES):
        found = splat(0.0)
        for cell in range(cells):
            found = found + load(source, cell * channels + k)
        store(offset, k, found)
    for group in range(groups):
        mean = 0.0
        for c in range(group * size, (group + 1) * size):
            mean += offset_[c]
        offset_[group * size : (group + 1) * size] = mean / (size * cells)
    for k in range(0, channels, LANES):
        found, mean_ = splat(0.0), load(offset, k)
        for cell in range(cells):
            distance = load(source, cell * channels + k) - mean_
            found = found + distance * distance
        store(slope, k, found)
    for group in range(groups):
        variance = 0.0
        for c in range(group * size, (group + 1) * size):
            variance += slope_[c]
        slope_[group * size : (group + 1) * size] = 1.0 / math.sqrt(variance / (size * cells) + eps)
    for c in range(channels):
        slope_[c] *= weight[c]
        offset_[c] = bias[c] - offset_[c] * slope_[c]
        if len(factors):
            slope_[c] *= 1.0 + factors[c]
            offset_[c] = offset_[c] * (1.0 + factors[c]) + factors[channels + c]
    pitch = out.shape[1]
    if border:
        clear_border(target, out.shape[0], pitch, channels, height, columns)
    for y in range(height):
        for x in range(columns):
            at, to = (y * columns + x) * channels, ((y + border) * pitch + x + border) * channels
            for k in range(0, channels, LANES):
                value = load(source, at + k) * load(slope, k) + load(offset, k)
                if activate:
                    value = silu(value)
                store(target, to + k, value)


@kernel
def attended(qkv: Array, heads: int, out: Array) -> None:
    """Softmax attention over all tokens: of queries, keys and values (tokens, 3 · channels) into (tokens, channels)."""
    tokens, channels = out.shape
    size = channels // heads
    across, deep = (tokens + LANES - 1) // LANES * LANES, (size + LANES - 1) // LANES * LANES
    down = (tokens + ROWS - 1) // ROWS * ROWS
    keys_, values_ = np.zeros(across * size, dtype=np.float32), np.zeros(deep * tokens, dtype=np.float32)
    shares_, mixed_ = np.empty(down * across, dtype=np.float32), np.empty(ROWS * deep, dtype=np.float32)
    asks_, looks_ = np.empty(down, dtype=np.int64), np.minimum(np.arange(down), tokens - 1) * across
    zero_ = np.zeros(1, dtype=np.int64)
    keys, values, shares, mixed = pointer(keys_), pointer(values_), pointer(shares_), pointer(mixed_)
    given, asks, looks, zero = pointer(qkv), pointer(asks_), pointer(looks_), pointer(zero_)
    scale = np.float32(1.0 / math.sqrt(size))
    for head in range(heads):
        q, k, v = head * size, channels + head * size, 2 * channels + head * size
        for token in range(tokens):
            for c in range(size):
                keys_[(token // LANES * size + c) * LANES + token % LANES] = qkv[token, k + c] * scale
                values_[(c // LANES * tokens + token) * LANES + c % LANES] = qkv[token, v + c]
        for i in range(down):
            asks_[i] = min(i, tokens - 1) * 3 * channels + q
        for r in range(0, down, ROWS):
            for j in range(0, across, LANES):
                product(
                    given, after(asks, r), zero, 1, size, after(keys, j * size), 1, keys, shares, r * across + j, across
                )
        for i in range(tokens):
            row = i * across
            shares_[row + tokens : row + across] = -np.inf
            most = load(shares, row)
            for j in range(LANES, across, LANES):
                most = largest(most, load(shares, row + j))
            store(mixed, 0, most)
            peak, whole = splat(mixed_[:LANES].max()), splat(0.0)
            for j in range(0, across, LANES):
                share = exp(load(shares, row + j) - peak)
                whole = whole + share
                store(shares, row + j, share)
            part = splat(np.float32(1.0) / total(whole))
            for j in range(0, across, LANES):
                store(shares, row + j, load(shares, row + j) * part)
        for r in range(0, down, ROWS):
            for j in range(0, deep, LANES):
                product(shares, after(looks, r), zero, 1, tokens, after(values, j * tokens), 1, values, mixed, j, deep)
            for i in range(min(ROWS, tokens - r)):
                for c in range(size):
                    out[r + i, q + c] = mixed_[i * deep + c]
