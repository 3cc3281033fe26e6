"""Convolutions of one image, with stride 1.

Images lie as (rows, columns, channels), flat, channels filled up with zeros to whole vectors. What a 3x3 convolution
reads has a border of one cell of zeros, and more of them below and to the right, up to whole tiles.

``direct`` gathers the product's rows from the image. ``winograd`` is F(4x4, 3x3) of Lavin & Gray (2016), which
multiplies four times less: tiles of 6x6 cells are transformed, each of their 36 numbers meets its own matrix, and what
comes out is transformed to 4x4 cells. A few tiles at a time go all the way, so that they stay in the processor's cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.models.compiled.lanes import (
    LANES,
    ROWS,
    after,
    load,
    pointer,
    product,
    scratch,
    silu,
    splat,
    store,
)

TILES = 32
"""Tiles that are multiplied together."""


class Target(NamedTuple):
    """How results are stored: in images of ``columns`` and ``channels``.

    With ``shuffle``, four parts of the product's channels go to the cells of 2x2 blocks. ``pitch`` counts the columns
    of the activated image, with its border. The others say which arrays there are.
    """

    columns: int
    channels: int
    shuffle: bool
    pitch: int
    adds: bool
    plain: bool
    active: bool


@kernel
def _place(to: Any, k: int) -> Any:
    """Of the k-th channel of a product: the channel it becomes, and the cell of a 2x2 block that a pixel shuffle puts
    it in."""
    if not to.shuffle:
        return k, 0, 0
    part = k // to.channels
    return k - part * to.channels, part // 2, part % 2


@kernel
def clear_border(image: Any, rows: int, pitch: int, channels: int, height: int, columns: int) -> None:
    """Zeros around the ``height`` x ``columns`` cells of an image that has a border."""
    for y in range(rows):
        for x in range(pitch):
            if y == 0 or y > height or x == 0 or x > columns:
                for k in range(0, channels, LANES):
                    store(image, (y * pitch + x) * channels + k, splat(0.0))


@kernel
def _emit(value: Any, y: int, x: int, k: int, to: Any, bias: Any, residual: Any, plain: Any, active: Any) -> None:
    """One vector of results to cell (y, x) and channel k of ``plain`` and, through SiLU, of ``active``."""
    value = value + bias
    at = (y * to.columns + x) * to.channels + k
    if to.adds:
        value = value + load(residual, at)
    if to.plain:
        store(plain, at, value)
    if to.active:
        store(active, ((y + 1) * to.pitch + x + 1) * to.channels + k, silu(value))


@kernel
def direct(
    image: Array,
    rows: Array,
    taps: Array,
    depth: int,
    weight: Array,
    vectors: int,
    cells: int,
    columns: int,
    lanes: int,
    to: Target,
    bias: Array,
    residual: Array,
    plain: Array,
    active: Array,
) -> None:
    """A convolution as one product of matrices.

    Args:
        image: what is read; ``rows`` (≥ cells, whole blocks of ``ROWS``) says where each cell of the result begins in
            it, ``taps`` where the cells lie that it looks at, ``depth`` how many channels they have.
        weight: (panels, taps, depth, vectors · LANES).
        cells, columns: of the result, and of one of its rows.
        lanes: channels of the result, in whole vectors.
        to: how results are stored.
        bias: per channel.
        residual, plain, active: what is added, and where results go without and after a SiLU; empty where ``to`` says
            that they are not.
    """
    wide, count, spread = vectors * LANES, len(taps), 2 if to.shuffle else 1
    block_ = np.empty(ROWS * wide + LANES, dtype=np.float32)
    block, image_, rows_, taps_, weight_ = (
        scratch(block_),
        pointer(image),
        pointer(rows),
        pointer(taps),
        pointer(weight),
    )
    bias_, residual_, plain_, active_ = pointer(bias), pointer(residual), pointer(plain), pointer(active)
    if to.active:
        clear_border(active_, active.shape[0], to.pitch, to.channels, cells // columns * spread, to.columns)
    for first in range(0, lanes, wide):
        panel = after(weight_, first * count * depth)
        for r in range(0, cells, ROWS):
            soon = after(panel, (wide + min(r // ROWS, vectors - 1) * LANES) * count * depth)
            product(image_, after(rows_, r), taps_, count, depth, panel, vectors, soon, block, 0, wide)
            for k in range(0, min(wide, lanes - first), LANES):
                channel, down, right = _place(to, first + k)
                offset = load(bias_, first + k)
                for i in range(min(ROWS, cells - r)):
                    y, x = (r + i) // columns * spread + down, (r + i) % columns * spread + right
                    _emit(load(block, i * wide + k), y, x, channel, to, offset, residual_, plain_, active_)


@kernel
def _to_frequencies(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Six cells of a line, as they are multiplied."""
    even, odd = e - c * 4.0, d - b * 4.0
    wide, skew = e - c, (d - b) * 2.0
    return a * 4.0 - c * 5.0 + e, even + odd, even - odd, wide + skew, wide - skew, b * 4.0 - d * 5.0 + f


@kernel
def _from_frequencies(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """The four cells of a line that six products stand for."""
    sum1, difference1, sum2, difference2 = b + c, b - c, d + e, d - e
    return (
        a + sum1 + sum2,
        difference1 + difference2 * 2.0,
        sum1 + sum2 * 4.0,
        difference1 + difference2 * 8.0 + f,
    )


@kernel
def _tile_in(image: Any, at: int, channels: int, pitch: int, part: Any, out: Any, o: int, step: int) -> None:
    """The 36 vectors of the 6x6 cells from ``at`` on, to every ``step``-th place from ``o`` on."""
    down = pitch * channels
    for j in range(6):
        p = at + j * channels
        line = _to_frequencies(
            load(image, p),
            load(image, p + down),
            load(image, p + 2 * down),
            load(image, p + 3 * down),
            load(image, p + 4 * down),
            load(image, p + 5 * down),
        )
        p = j * LANES
        store(part, p, line[0])
        store(part, p + 6 * LANES, line[1])
        store(part, p + 12 * LANES, line[2])
        store(part, p + 18 * LANES, line[3])
        store(part, p + 24 * LANES, line[4])
        store(part, p + 30 * LANES, line[5])
    for i in range(6):
        p = i * 6 * LANES
        line = _to_frequencies(
            load(part, p),
            load(part, p + LANES),
            load(part, p + 2 * LANES),
            load(part, p + 3 * LANES),
            load(part, p + 4 * LANES),
            load(part, p + 5 * LANES),
        )
        p = o + i * 6 * step
        store(out, p, line[0])
        store(out, p + step, line[1])
        store(out, p + 2 * step, line[2])
        store(out, p + 3 * step, line[3])
        store(out, p + 4 * step, line[4])
        store(out, p + 5 * step, line[5])


@kernel
def _tile_out(products: Any, at: int, step: int, part: Any) -> None:
    """The 4x4 vectors of results, one after the other in ``part``, of 36 products, every ``step``-th from ``at`` on."""
    for j in range(6):
        p = at + j * step
        line = _from_frequencies(
            load(products, p),
            load(products, p + 6 * step),
            load(products, p + 12 * step),
            load(products, p + 18 * step),
            load(products, p + 24 * step),
            load(products, p + 30 * step),
        )
        p = j * LANES
        store(part, p, line[0])
        store(part, p + 6 * LANES, line[1])
        store(part, p + 12 * LANES, line[2])
        store(part, p + 18 * LANES, line[3])
    for i in range(4):
        p = i * 6 * LANES
        line = _from_frequencies(
            load(part, p),
            load(part, p + LANES),
            load(part, p + 2 * LANES),
            load(part, p + 3 * LANES),
            load(part, p + 4 * LANES),
            load(part, p + 5 * LANES),
        )
        p = i * 4 * LANES  # what stands there has been read
        store(part, p, line[0])
        store(part, p + LANES, line[1])
        store(part, p + 2 * LANES, line[2])
        store(part, p + 3 * LANES, line[3])


@kernel
def winograd(
    image: Array,
    channels: int,
    pitch: int,
    depth: int,
    weight: Array,
    vectors: int,
    height: int,
    columns: int,
    lanes: int,
    to: Target,
    bias: Array,
    residual: Array,
    plain: Array,
    active: Array,
) -> None:
    """A 3x3 convolution with fewer products.

    Args:
        image: with its border, ``pitch`` columns and ``channels``, of which the first ``depth`` count.
        weight: (panels, 36, depth, vectors · LANES).
        height, columns: of the result.
        The others as in ``direct``.
    """
    wide, spread = vectors * LANES, 2 if to.shuffle else 1
    across = (columns + 3) // 4
    tiles = (height + 3) // 4 * across
    # A vector more between the 36 planes: otherwise all would fall into one set of the cache.
    step_in, step_out = TILES * channels + LANES, TILES * wide + LANES
    in_, out_ = np.empty(36 * step_in + LANES, dtype=np.float32), np.empty(36 * step_out + LANES, dtype=np.float32)
    part_, rows_, zero_ = (
        np.empty(37 * LANES, dtype=np.float32),
        np.arange(TILES) * channels,
        np.zeros(1, dtype=np.int64),
    )
    tiles_in, tiles_out, part, rows, zero = scratch(in_), scratch(out_), scratch(part_), pointer(rows_), pointer(zero_)
    image_, weight_, bias_ = pointer(image), pointer(weight), pointer(bias)
    residual_, plain_, active_ = pointer(residual), pointer(plain), pointer(active)
    if to.active:
        clear_border(active_, active.shape[0], to.pitch, to.channels, height * spread, to.columns)
    for start in range(0, tiles, TILES):
        count = min(TILES, tiles - start)
        for t in range(count):
            at = ((start + t) // across * 4 * pitch + (start + t) % across * 4) * channels
            for k in range(0, channels, LANES):
                _tile_in(image_, at + k, channels, pitch, part, tiles_in, t * channels + k, step_in)
        for first in range(0, lanes, wide):
            for i in range(36):
                left, panel = after(tiles_in, i * step_in), after(weight_, (first * 36 + i * wide) * depth)
                for r in range(0, count, ROWS):
                    o, soon = (
                        i * step_out + r * wide,
                        after(panel, (wide + min(r // ROWS, vectors - 1) * LANES) * depth),
                    )
                    product(left, after(rows, r), zero, 1, depth, panel, vectors, soon, tiles_out, o, wide)
            for k in range(0, min(wide, lanes - first), LANES):
                channel, down, right = _place(to, first + k)
                offset = load(bias_, first + k)
                for t in range(count):
                    y, x = (start + t) // across * 4, (start + t) % across * 4
                    _tile_out(tiles_out, t * wide + k, step_out, part)
                    for i in range(min(4, height - y)):
                        for j in range(min(4, columns - x)):
                            value, row, column = load(part, (4 * i + j) * LANES), y + i, x + j
                            row, column = row * spread + down, column * spread + right
                            _emit(value, row, column, channel, to, offset, residual_, plain_, active_)
