"""Repeating textures with mip levels in one flat array, sampled by many pixels of many materials at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mirage_env.geometry import Array

Pair = tuple[Array, Array]
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_SHORTEST, _LONGEST = np.float32(1e-12), np.float32(1e12)  # squared length of a footprint in texels
_WEIGHT_UNIT = np.float32(0.5 / 256)  # two probes, and colours in units of 1/256
_SHARPEN = np.float32(2**-0.25)  # bilinear lookups blur too; with this the result is nearest to the mean over the pixel


class TextureAtlas:
    """Textures and their mip levels, filtered with two trilinear probes along the longer axis of a footprint.

    Every level is stored with its first column and row repeated at the end, so that the four neighbours of a bilinear
    lookup need no wrapping of their own.

    Args:
        textures: (H, W, 3) uint8 images of any size.

    Attributes:
        sizes: (M, 2) float64, width and height of each texture in texels.
    """

    def __init__(self, textures: Sequence[Array]) -> None:
        for i, texture in enumerate(textures):
            check_texture(texture, f"textures[{i}]")
        self.sizes = np.array([(t.shape[1], t.shape[0]) for t in textures], dtype=np.float64)
        self._inverse_width, self._inverse_height = np.ascontiguousarray((1 / self.sizes).T, dtype=np.float32)
        pyramids = [self.levels_of(t) for t in textures]
        self._rows = max(len(p) for p in pyramids) + 1  # one more, so that every level has a next
        levels = np.zeros((len(textures), self._rows, 4))  # offset, stride, width, height
        chunks, offset = [], 0
        for i, pyramid in enumerate(pyramids):
            for j, image in enumerate(pyramid):
                h, w = image.shape[:2]
                levels[i, j:] = offset, w + 1, w, h
                padded = np.zeros((h + 1, w + 1, 4), dtype=np.uint8)
                padded[..., :3] = np.pad(image, ((0, 1), (0, 1), (0, 0)), mode="wrap")
                chunks.append(padded.reshape(-1).view(np.uint32))
                offset += (h + 1) * (w + 1)
        slack = int(levels[..., 1].max()) + 2  # neighbours of weight 0 beyond the last level
        self._texels = np.concatenate([*chunks, np.zeros(slack, dtype=np.uint32)])
        columns = levels.reshape(-1, 4).T
        self._offset, self._stride = np.ascontiguousarray(columns[:2], dtype=np.int64)
        self._width, self._height = np.ascontiguousarray(columns[2:], dtype=np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes of all texels, mip levels included."""
        return self._texels.nbytes

    def levels_of(self, texture: Array) -> list[Array]:
        """The mip levels of one texture."""
        return mip_levels(texture)

    def sample(self, material: Array, u: Array, v: Array, across: Pair, down: Pair) -> Array:
        """Colours (3, N) float32 in 0..255.

        Args:
            material: (N,) int64, texture indices.
            u, v: (N,) float32, right and down in texels of the full image; (0.5, 0.5) is the centre of row 0, column 0.
            across, down: two (N,) float32 each, how u and v change over a pixel to the right and over a pixel down.
        """
        squared = across[0] * across[0] + across[1] * across[1]
        squared_down = down[0] * down[0] + down[1] * down[1]
        longer = squared_down > squared
        axis_u, axis_v = np.where(longer, down[0], across[0]), np.where(longer, down[1], across[1])
        # fmin and fmax, other than clip, also turn the NaN of a ray that grazes its face into a number
        length = np.sqrt(np.fmin(np.fmax(np.maximum(squared, squared_down), _SHORTEST), _LONGEST))
        width = np.abs(across[0] * down[1] - across[1] * down[0]) / length
        blur = np.fmin(np.fmax(width, length * _HALF), length)
        spread = _HALF - _HALF * blur / length
        du = spread * np.fmin(np.fmax(axis_u, -length), length)
        dv = spread * np.fmin(np.fmax(axis_v, -length), length)
        inverse_width, inverse_height = self._inverse_width.take(material), self._inverse_height.take(material)
        level = np.log2(np.maximum(blur * _SHARPEN, np.float32(1)))
        level = np.minimum(level, np.float32(self._rows - 2))
        whole = np.floor(level)
        entry = material * self._rows + whole.astype(np.int64)
        coarse = (level - whole) * _WEIGHT_UNIT
        fine = _WEIGHT_UNIT - coarse
        colour = np.zeros((3, len(u)), dtype=np.float32)
        ends = [((u + s * du) * inverse_width, (v + s * dv) * inverse_height) for s in (_ONE, -_ONE)]
        for weight in (fine, coarse):
            size = self._width.take(entry), self._height.take(entry)
            place = self._offset.take(entry), self._stride.take(entry)
            for end in ends:
                self._add_bilinear(colour, weight, *end, size, place)
            entry += 1
        return colour

    def _add_bilinear(self, colour: Array, weight: Array, u: Array, v: Array, size: Pair, place: Pair) -> None:
        """Add ``weight`` times 256 times the bilinear colours at u, v, in repeats, to ``colour`` (3, N)."""
        (width, height), (offset, stride) = size, place
        x = u - _HALF / width
        y = v - _HALF / height
        x = (x - np.floor(x)) * width
        y = (y - np.floor(y)) * height
        column, line = np.floor(x), np.floor(y)
        corner = line.astype(np.int64)
        corner *= stride
        corner += offset
        corner += column.astype(np.int64)
        # Fixed point with 8 bits, as graphics hardware has it: two channels share a word, and weights sum to 256.
        right = ((x - column) * np.float32(256) + _HALF).astype(np.uint32)
        below = ((y - line) * np.float32(256) + _HALF).astype(np.uint32)
        both = (right * below + np.uint32(128)) >> np.uint32(8)
        right -= both
        below -= both
        neither = np.uint32(256) - right
        neither -= below
        neither -= both
        red_blue = np.zeros(len(u), dtype=np.uint32)
        green = np.zeros(len(u), dtype=np.uint32)
        for step, share in ((None, neither), (1, right), (stride - 1, below), (1, both)):
            if step is not None:
                corner += step
            texels = self._texels.take(corner, mode="clip")
            red_blue += (texels & np.uint32(0xFF00FF)) * share
            texels >>= np.uint32(8)
            texels &= np.uint32(0xFF)
            texels *= share
            green += texels
        colour[0] += weight * (red_blue & np.uint32(0xFFFF)).astype(np.float32)
        colour[1] += weight * green.astype(np.float32)
        colour[2] += weight * (red_blue >> np.uint32(16)).astype(np.float32)


def check_texture(texture: Array, name: str) -> None:
    """Raise ValueError unless the texture is a (H, W, 3) uint8 image with at least one texel."""
    a = np.asarray(texture)
    if a.ndim != 3 or a.shape[2] != 3 or a.dtype != np.uint8 or a.size == 0:
        raise ValueError(f"{name} must be a (H, W, 3) uint8 image with a texel, got {a.dtype} of shape {a.shape}")


def mip_levels(image: Array) -> list[Array]:
    """The image (H, W, 3) uint8 and its halvings down to 1x1, each the area average of the one before."""
    levels = [np.asarray(image)]
    exact = levels[0].astype(np.float32)
    while max(exact.shape[:2]) > 1:
        exact = _halve(_halve(exact).swapaxes(0, 1)).swapaxes(0, 1)
        levels.append((exact + np.float32(0.5)).astype(np.uint8))
    return levels


def _halve(image: Array) -> Array:
    """Half as many rows (rounded down, at least one), each the average of what it covers."""
    n = image.shape[0]
    if n == 1:
        return image
    if n % 2 == 0:
        return (image[::2] + image[1::2]) / 2
    area = np.concatenate([np.zeros_like(image[:1], dtype=np.float64), np.cumsum(image, axis=0, dtype=np.float64)])
    edges = np.linspace(0, n, n // 2 + 1)
    row = np.minimum(edges.astype(int), n - 1)
    at_edges = area[row] + (edges - row)[:, None, None] * (area[row + 1] - area[row])
    return ((at_edges[1:] - at_edges[:-1]) * (n // 2 / n)).astype(np.float32)
