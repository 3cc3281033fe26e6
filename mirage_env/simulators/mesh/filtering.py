"""Textures filtered as OpenGL does it by default: isotropic, trilinear."""

from __future__ import annotations

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.texture import Pair, TextureAtlas

_ONE = np.float32(1)
_WEIGHT_UNIT = np.float32(1 / 256)  # colours come in units of 1/256
_ROUNDING_ERROR = 1e-6
_LONGEST = np.float32(1e18)  # squared length of a footprint in texels


class TrilinearAtlas(TextureAtlas):
    """Textures under ``GL_LINEAR_MIPMAP_LINEAR`` without anisotropy, which is what habitat-sim sets.

    The level of detail is the logarithm of the footprint's longer side (OpenGL 4.6, section 8.14). Levels are made as
    Mesa makes them, which rendered the recordings: each is a bilinear lookup in the one before, rounded up.
    """

    def levels_of(self, texture: Array) -> list[Array]:
        """The mip levels of one texture."""
        levels = [np.asarray(texture)]
        while max(levels[-1].shape[:2]) > 1:
            exact = _halve(_halve(levels[-1].astype(np.float64)).swapaxes(0, 1)).swapaxes(0, 1)
            levels.append(np.ceil(exact - _ROUNDING_ERROR).astype(np.uint8))
        return levels

    @property
    def tables(self) -> tuple[Array, Array, Array, Array, Array]:
        """Texels (T,) uint32, then the place of the first, the row length, width and height of (texture, level)."""
        places = (a.reshape(-1, self._rows) for a in (self._offset, self._stride, self._width, self._height))
        return (self._texels, *places)

    def sample(self, material: Array, u: Array, v: Array, across: Pair, down: Pair) -> Array:
        """Colours (3, N) float32 in 0..255; arguments as ``TextureAtlas.sample`` has them."""
        squared = np.fmax(across[0] * across[0] + across[1] * across[1], down[0] * down[0] + down[1] * down[1])
        level = np.float32(0.5) * np.log2(np.fmin(np.fmax(squared, _ONE), _LONGEST))
        level = np.minimum(level, np.float32(self._rows - 2))
        whole = np.floor(level)
        entry = material * self._rows + whole.astype(np.int64)
        coarse = (level - whole) * _WEIGHT_UNIT
        u, v = u * self._inverse_width.take(material), v * self._inverse_height.take(material)
        colour = np.zeros((3, len(u)), dtype=np.float32)
        for weight in (_WEIGHT_UNIT - coarse, coarse):
            size = self._width.take(entry), self._height.take(entry)
            place = self._offset.take(entry), self._stride.take(entry)
            self._add_bilinear(colour, weight, u, v, size, place)
            entry += 1
        return colour


def _halve(image: Array) -> Array:
    """Half as many rows (rounded down, at least one), each a linear lookup at its centre."""
    n = len(image)
    if n == 1:
        return image
    at = (np.arange(n // 2) + 0.5) * (n / (n // 2)) - 0.5
    row = np.floor(at).astype(int)
    share = (at - row)[:, None, None]
    return image[row] * (1 - share) + image[np.minimum(row + 1, n - 1)] * share
