"""Another light on an image: exposure, contrast and colour temperature, pixel by pixel."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mirage_env.geometry import Array

DAYLIGHT = 6500.0
"""Kelvin; the white of sRGB, in which images are left as they are."""
WARMEST, COLDEST = 2500.0, 15000.0
"""Kelvin."""

_XYZ_TO_SRGB = np.array(
    [[3.2406255, -1.5372080, -0.4986286], [-0.9689307, 1.8757561, 0.0415175], [0.0557101, -0.2040211, 1.0569959]]
)
"""IEC 61966-2-1."""


class Lighting(NamedTuple):
    """A light; the defaults leave images as they are.

    Attributes:
        brightness: factor on linear light, as a longer exposure gives it.
        contrast: factor on the difference from mid-grey, of the encoded values.
        temperature: of the illuminant in kelvin, seen by a camera balanced for 6500 K: lower is redder.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    temperature: float = DAYLIGHT


def relit(images: Array, lighting: Lighting | None) -> Array:
    """Images (..., 3) uint8 sRGB in this light; None: as they are."""
    if lighting is None:
        return images
    lit = np.empty_like(images)
    for channel, values in enumerate(_table(lighting)):
        np.take(values, images[..., channel], out=lit[..., channel], mode="clip")
    return lit


@lru_cache(maxsize=256)
def _table(lighting: Lighting) -> Array:
    """The new value (3, 256) uint8 of every value of every channel."""
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    gains = lighting.brightness * _white(lighting.temperature) / _white(DAYLIGHT)
    lit = np.clip(gains[:, None] * linear, 0.0, 1.0)
    lit = np.where(lit <= 0.0031308, 12.92 * lit, 1.055 * lit ** (1 / 2.4) - 0.055)
    return np.clip(np.rint(255 * ((lit - 0.5) * lighting.contrast + 0.5)), 0, 255).astype(np.uint8)


def _white(kelvin: float) -> Array:
    """Linear sRGB (3,) of a black body of this temperature, at luminance 1.

    The cubic fit to the Planckian locus of Kim et al. (US patent 7024034), 2222 to 25000 K.
    """
    t = 1000.0 / kelvin
    if kelvin <= 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    return _XYZ_TO_SRGB @ np.array([x / y, 1.0, (1 - x - y) / y])
