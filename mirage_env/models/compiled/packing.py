"""Weights in the order in which the products read them, kept beside the modules that they belong to."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from torch import nn

from mirage_env.geometry import Array
from mirage_env.models.compiled.lanes import LANES, whole_vectors

_RATE = {1: 0.64, 2: 0.84, 3: 1.0}
"""How fast products of so many vectors are, about."""
_FREQUENCIES = (
    np.array(
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]],
    )
    / 24
)
"""Three weights of a line, as they are multiplied in ``winograd``: G of Lavin & Gray (2016)."""


class Packed(NamedTuple):
    """Weights (panels, taps, depth, vectors · LANES) and bias, flat, channels filled up with zeros.

    Attributes:
        vectors: in a row of a panel.
        depth, channels: read and made.
    """

    weight: Array
    bias: Array
    vectors: int
    depth: int
    channels: int


_kept: WeakKeyDictionary[nn.Module, dict[tuple[bool, bool], tuple[Any, Any]]] = WeakKeyDictionary()


def packed(module: nn.Module, winograd: bool = False, shuffle: bool = False) -> Any:
    """``Packed`` weights of a convolution or linear layer; those of a normalisation as arrays.

    They are packed again when a tensor was replaced or changed in place. For a ``shuffle``, the channels that go to
    one of the four cells of a block follow each other.
    """
    weight, bias = module._parameters["weight"], module._parameters["bias"]
    assert weight is not None and bias is not None
    now, how = (weight._version, weight.data_ptr(), bias._version, bias.data_ptr()), (winograd, shuffle)
    kept = _kept.setdefault(module, {})
    if how in kept and kept[how][0] == now:
        return kept[how][1]
    arrays = weight.detach().numpy().copy(), bias.detach().numpy().copy()
    if shuffle:
        arrays = _by_parts(arrays[0]), _by_parts(arrays[1])
    result = arrays if isinstance(module, nn.GroupNorm) else _pack(*arrays, winograd)
    kept[how] = now, result
    return result


def _by_parts(array: Array) -> Array:
    return np.concatenate([array[part::4] for part in range(4)])


def _pack(weight: Array, bias: Array, winograd: bool) -> Packed:
    channels, depth = weight.shape[:2]
    if winograd:
        taps = np.einsum("ai,kcij,bj->abck", _FREQUENCIES, weight, _FREQUENCIES).reshape(36, depth, channels)
    else:
        taps = weight.reshape(channels, depth, -1).transpose(2, 1, 0)
    vectors = panel_of(-(-channels // LANES))
    wide = vectors * LANES
    missing = -channels % wide
    panels = np.pad(taps, ((0, 0), (0, 0), (0, missing))).reshape(len(taps), depth, -1, wide).transpose(2, 0, 1, 3)
    flat = whole_vectors((panels.size,))
    flat[:] = panels.ravel()
    return Packed(flat, np.pad(bias, (0, missing)), vectors, depth, channels)


@cache
def panel_of(vectors: int) -> int:
    """How many vectors of so many to multiply at once."""
    return min(_RATE, key=lambda n: -(-vectors // n) * n / _RATE[n])
