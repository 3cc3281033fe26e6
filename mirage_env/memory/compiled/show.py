"""Of all hits in one camera, those that its cells show, and the latents that they show there; see ``raster``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from mirage_env.geometry import Array
from mirage_env.kernels import kernel
from mirage_env.memory.compiled.sights import before_surface, lower_bound
from mirage_env.memory.raster import SAME_PLANE, SAME_SURFACE
from mirage_env.memory.store import KEY_ROW_SHIFT, KEY_VIEW_SHIFT
from mirage_env.memory.view import NOBODY

_FARTHER = 1.0 + SAME_SURFACE
_SAME_PLANE = np.float32(SAME_PLANE)
_ONE = np.float32(1.0)
_LAST = 0xFFFFFFFF


@kernel
def ordered_key(value: float, index: int) -> np.int64:
    """As ``view.ordered_key``, of one positive float32."""
    return (np.int64(np.float32(value).view(np.int32)) << 32) | (_LAST - index)


def as_float(value: Any) -> Any:
    """A latent as float32, stored as such or as the bits of a finite float16 (uint16)."""
    return np.float32(value) if isinstance(value, np.floating) else np.uint16(value).view(np.float16).astype(np.float32)


@overload(as_float, inline="always")
def _as_float(value: Any) -> Any:
    def whole(value: Any) -> Any:
        return value

    def half(value: Any) -> Any:
        # The exponent of a float32 counts from 112 lower; the product is exact, also where the number is subnormal.
        bits = np.uint32(np.uint32(value & 0x7FFF) << np.uint32(13))
        return bits.view(np.float32) * np.float32(2.0**112) * np.float32(1 - (value >> 14 & 2))

    return whole if isinstance(value, types.Float) else half


@kernel
def witnesses(
    whole: Array, exact: Array, single: Array, count: int, first_cell: int, cells: int, lines: Array, behind: Array
) -> int:
    """Per hit (count,) the nearest seen hit behind it in its cell, if that is to be asked for it, else -1.

    It is asked for what is not wholly seen, of jobs whose sight ``lines`` (jobs,) count.

    Returns:
        How many are to be asked.
    """
    nearest = np.full(cells, NOBODY, dtype=np.int64)
    witness = np.full(cells, -1, dtype=np.int64)
    guesses = 0
    for i in range(count):
        if single[1, i] > 0:
            guesses += 1
        elif exact[3, i] > 0:
            cell = whole[0, i] - first_cell
            key = ordered_key(exact[0, i], whole[3, i])
            if key < nearest[cell]:
                nearest[cell], witness[cell] = key, i
    if guesses == 0:
        return 0
    asked = 0
    for i in range(count):
        behind[i] = -1
        if single[1, i] > 0 and lines[whole[1, i]]:
            other = witness[whole[0, i] - first_cell]
            if other >= 0 and exact[0, i] * _FARTHER < exact[0, other]:
                behind[i] = other
                asked += 1
    return asked


@kernel
def veto(
    key: Array,
    plane: Array,
    imagined: Array,
    sights: Array,
    starts: Array,
    job: int,
    lift: Array,
    width: int,
    whole: Array,
    exact: Array,
    count: int,
    first_cell: int,
    behind: Array,
    wrong: Array,
) -> None:
    """Mark hits (count,) in front of what their witness, a token of this ``job``'s part, saw through their place.

    ``lift`` (3, 4) is the camera's, from grid positions and z-depths to world points.
    """
    point, at, before = np.empty((3, 1)), np.empty((3, 1)), np.empty(1, dtype=np.bool_)
    place = np.empty((2, 1), dtype=np.int64)
    for i in range(count):
        other = behind[i]
        if other < 0 or whole[1, other] != job:
            continue
        cell = whole[0, i] - first_cell
        u, v, depth = cell % width + 0.5, cell // width + 0.5, exact[0, i]
        point[0, 0] = (lift[0, 0] * u + lift[0, 1] * v + lift[0, 2]) * depth + lift[0, 3]
        point[1, 0] = (lift[1, 0] * u + lift[1, 1] * v + lift[1, 2]) * depth + lift[1, 3]
        point[2, 0] = (lift[2, 0] * u + lift[2, 1] * v + lift[2, 2]) * depth + lift[2, 3]
        view = key[whole[2, other]] >> KEY_VIEW_SHIFT
        wrong[i] = before_surface(key, plane, imagined, sights, starts, view, point, 1, _FARTHER, at, place, before)


@kernel
def decide(
    whole: Array,
    exact: Array,
    single: Array,
    count: int,
    first_cell: int,
    cells: int,
    wrong: Array,
    chosen: Array,
    back: Array,
) -> int:
    """Fill ``chosen`` with the hits (at most one per cell) that are shown; ``wrong`` (count,), or empty, are left out.

    ``back``, a flat grid of the canvas, is filled where backs of seen surfaces alone are in the cell.

    Returns:
        How many they are.
    """
    near = np.full(cells, np.inf)
    least = np.full(cells, np.inf, dtype=np.float32)
    best = np.full(cells, NOBODY, dtype=np.int64)
    winner = np.full(cells, -1, dtype=np.int64)
    for i in range(count):
        if (exact[3, i] > 0 or single[1, i] == 0) and not (wrong.size and wrong[i]):
            cell = whole[0, i] - first_cell
            near[cell] = min(near[cell], exact[0, i])
    for i in range(count):
        cell = whole[0, i] - first_cell
        if exact[3, i] > 0 and exact[0, i] <= near[cell] * _FARTHER and not (wrong.size and wrong[i]):
            least[cell] = min(least[cell], single[1, i])
    for i in range(count):
        cell = whole[0, i] - first_cell
        shown = exact[3, i] > 0 and exact[0, i] <= near[cell] * _FARTHER and single[1, i] == least[cell]
        if shown and not (wrong.size and wrong[i]):
            key = ordered_key(single[0, i], whole[3, i])
            if key < best[cell]:
                best[cell], winner[cell] = key, i
    found = 0
    for cell in range(cells):
        if winner[cell] >= 0:
            chosen[found] = winner[cell]
            found += 1
        elif near[cell] < np.inf:
            back[first_cell + cell] = np.float32(near[cell])
    return found


@kernel
def blend(
    key: Array,
    plane: Array,
    imagined: Array,
    tokens: int,
    job: int,
    whole: Array,
    exact: Array,
    chosen: Array,
    found: int,
    depth: Array,
    token: Array,
    trust: Array,
    offset: Array,
    cells: Array,
    sources: Array,
    weights: Array,
) -> int:
    """Fill the grids for those of the hits ``chosen`` (found,) that are of this ``job``, all but their latents.

    Args:
        depth, token, trust, offset: flat grids of the canvas; ``trust`` is its ``imagined``.
        cells, sources, weights: (cells,), (cells, 4) int64 and (cells, 4) float32, to be filled: where each goes, and
            the tokens whose latents it mixes, its own first. See ``raster.interpolate``.

    Returns:
        How many they are.
    """
    mine = 0
    for i in range(found):
        hit = chosen[i]
        if whole[1, hit] != job:
            continue
        at, cell = whole[2, hit], whole[0, hit]
        du, dv = exact[1, hit], exact[2, hit]
        depth[cell] = np.float32(exact[0, hit])
        token[cell] = whole[3, hit]
        trust[cell] = imagined[at]
        offset[0, cell], offset[1, cell] = np.float32(du), np.float32(dv)

        su, sv = -1 if du < 0 else 1, -1 if dv < 0 else 1
        across, along = plane[1, at] * np.float32(su), plane[2, at] * np.float32(sv)
        under = key[at] + (sv << KEY_ROW_SHIFT)
        # At most 1024 tokens lie between a cell and the one below or above it.
        span = np.int64(1) << KEY_ROW_SHIFT
        if sv > 0:
            below = lower_bound(key, under, at, min(at + span, tokens))
        else:
            below = lower_bound(key, under, max(at - span, 0), at)
        exists = key[min(below, tokens - 1)] == under
        beside = below + (1 if su > 0 and exists else 0 if su > 0 else -1)
        fu, fv = np.float32(abs(du)), np.float32(abs(dv))
        own = (_ONE - fu) * (_ONE - fv)
        total = own
        sources[mine, 0] = at
        for k in range(3):
            other = at + su if k == 0 else below if k == 1 else beside
            other = min(max(other, 0), tokens - 1)
            step = across if k == 0 else along if k == 1 else across + along
            weight = fu * (_ONE - fv) if k == 0 else (_ONE - fu) * fv if k == 1 else fu * fv
            wanted = key[at] + su if k == 0 else under if k == 1 else under + su
            there = plane[0, other]
            usable = key[other] == wanted and abs(there - (plane[0, at] + step)) <= _SAME_PLANE * there
            weight = weight * (_ONE if usable else np.float32(0.0))
            total = total + weight
            sources[mine, k + 1] = other
            weights[mine, k + 1] = weight
        weights[mine, 0] = own / total
        for k in range(1, 4):
            weights[mine, k] = weights[mine, k] / total
        cells[mine] = cell
        mine += 1
    return mine


@kernel
def mix(
    latents: Array,
    sources: Array,
    weights: Array,
    cells: Array,
    count: int,
    mixed: Array,
    nearest: Array,
) -> None:
    """Weighted sums of latents (tokens, C) into ``mixed`` (cells, C) of the canvas, first sources into ``nearest``."""
    for i in range(count):
        wa, wb, wc, wd = weights[i, 0], weights[i, 1], weights[i, 2], weights[i, 3]
        one, two = latents[sources[i, 0]], latents[sources[i, 1]]
        three, four = latents[sources[i, 2]], latents[sources[i, 3]]
        total, own = mixed[cells[i]], nearest[cells[i]]
        for k in range(latents.shape[1]):
            first = as_float(one[k])
            near = first * wa + as_float(two[k]) * wb
            total[k] = near + as_float(three[k]) * wc + as_float(four[k]) * wd
            own[k] = first


@kernel
def settle(
    key: Array,
    plane: Array,
    imagined: Array,
    latents: Array,
    sights: Array,
    starts: Array,
    tokens: int,
    job: int,
    lines: Array,
    lift: Array,
    width: int,
    whole: Array,
    exact: Array,
    single: Array,
    count: int,
    first_cell: int,
    cells: int,
    depth: Array,
    token: Array,
    trust: Array,
    offset: Array,
    back: Array,
    mixed: Array,
    nearest: Array,
) -> None:
    """All of the above in one go, for a camera that looks at one part; the arguments are theirs."""
    behind, wrong = np.empty(count, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    if witnesses(whole, exact, single, count, first_cell, cells, lines, behind) > 0:
        wrong = np.zeros(count, dtype=np.bool_)
        veto(
            key, plane, imagined, sights, starts, job, lift, width, whole, exact, count, first_cell, behind, wrong
        )  # fmt: skip
    chosen = np.empty(cells, dtype=np.int64)
    found = decide(whole, exact, single, count, first_cell, cells, wrong, chosen, back)
    cell, sources = np.empty(found, dtype=np.int64), np.empty((found, 4), dtype=np.int64)
    weights = np.empty((found, 4), dtype=np.float32)
    n = blend(
        key, plane, imagined, tokens, job, whole, exact, chosen, found,
        depth, token, trust, offset, cell, sources, weights,
    )  # fmt: skip
    mix(latents, sources, weights, cell, n, mixed, nearest)
