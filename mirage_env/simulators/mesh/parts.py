"""What readers of scene files give: triangles in the file's frame, and the materials they wear."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mirage_env.geometry import Array

MAX_FACES = 40_000_000
"""More triangles than any indoor scene has: a file that repeats meshes beyond it would only exhaust memory."""

_MAX_TEXELS = 1 << 30
_MAX_SIDE = 16_384


class Material(NamedTuple):
    """How a surface looks without light.

    Attributes:
        image: (H, W, 4) uint8 RGBA, or None for the factor alone.
        factor: (4,) RGBA in 0..1 that multiplies the image.
        cutoff: alpha below it is a hole; None: alpha means nothing.
        wrap: what lies beyond the image's columns and rows: "repeat", "clamp" or "mirror" each.
        blocky: whether magnified texels keep hard edges (nearest instead of linear).
    """

    image: Array | None = None
    factor: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    cutoff: float | None = None
    wrap: tuple[str, str] = ("repeat", "repeat")
    blocky: bool = False


UNDRESSED = Material(factor=(0.61, 0.517, 0.368, 1.0))
"""Of surfaces without a material. habitat-sim lights them alone, white ones or by their vertex colours, by the
environment map that it brings: a little different from all sides, and so on average (measured in a coloured room)."""


class Part(NamedTuple):
    """Triangles of one material.

    Attributes:
        vertices: (V, 3) float64 in the file's frame, node transforms applied.
        faces: (F, 3) indices; the front is where corners run counter-clockwise.
        uv: (V, 2), (0, 0) the image's top left corner; None: (0, 0) everywhere.
        colours: (V, 4) RGBA in 0..1 that multiply the material; None: white.
        material: index of the material.
    """

    vertices: Array
    faces: Array
    uv: Array | None
    colours: Array | None
    material: int


class SceneParts(NamedTuple):
    """A scene file, read.

    Attributes:
        parts: all its triangles.
        materials: what ``Part.material`` counts in.
        digest: hexadecimal digest of all bytes that were read: the file, its buffers and its images.
        files: what was read.
    """

    parts: list[Part]
    materials: list[Material]
    digest: str
    files: tuple[Path, ...]


class TexelBudget:
    """Refuses images before they are decoded when they, or all together, would fill the memory."""

    def __init__(self) -> None:
        self._left = _MAX_TEXELS

    def spend(self, image: Image.Image, name: str) -> None:
        """ValueError if ``image`` is out of all proportion."""
        width, height = image.size
        self._left -= width * height
        if max(width, height) > _MAX_SIDE:
            raise ValueError(f"{name} is {width}x{height} pixels; textures may have up to {_MAX_SIDE} a side")
        if self._left < 0:
            raise ValueError(f"the textures up to {name} hold over {_MAX_TEXELS:,} texels together; shrink them")


def rgba(image: Image.Image) -> Array:
    """A decoded image as (H, W, 4) uint8; grey becomes R = G = B, as in habitat-sim."""
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    return np.array(image.convert("RGBA"))
