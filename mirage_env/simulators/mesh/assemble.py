"""The parts of a scene file as one mesh that the ray caster takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.parts import Material, Part
from mirage_env.simulators.raycast import TexturedMesh

_MAX_BLOCK = 8
_BLOCKY_SIDE = 1024


class AlphaMask(NamedTuple):
    """Where a texture has holes: alpha (H, W) uint8 below ``cutoff`` (0..255)."""

    alpha: Array
    cutoff: float


class _Texture(NamedTuple):
    image: Array
    mask: AlphaMask | None
    to_uv: tuple[float, float, float, float]  # scale and offset of u, then of v


def assemble(parts: Sequence[Part], materials: Sequence[Material], T: Array) -> tuple[TexturedMesh, tuple]:
    """One mesh in the world, and for each of its textures the holes, if it has any.

    Args:
        T: T_world_file (4, 4).

    Raises:
        ValueError: there are no faces, or vertices are not finite.
    """
    parts = [p for p in parts if len(p.faces)]
    if not parts:
        raise ValueError("has no faces; a scene needs at least one triangle")
    with np.errstate(invalid="ignore", over="ignore"):
        vertices = np.concatenate([(p.vertices @ T[:3, :3].T + T[:3, 3]).astype(np.float32) for p in parts])
    if not np.isfinite(vertices).all():
        raise ValueError("has vertices at NaN or infinity; they must be finite")
    starts = np.cumsum([0, *(len(p.vertices) for p in parts[:-1])])
    faces = np.concatenate([(p.faces + s).astype(np.int32) for p, s in zip(parts, starts, strict=True)])
    coloured = any(p.colours is not None for p in parts)
    uv, material, light, textures = [], [], [], _Textures(materials)
    for p in parts:
        corners = np.zeros((len(p.faces), 3, 2), np.float32) if p.uv is None else p.uv.astype(np.float32)[p.faces]
        if not np.isfinite(corners).all():
            raise ValueError("has texture coordinates that are NaN or infinite; they must be finite")
        number, (su, ou, sv, ov) = textures.of(p.material, corners)
        uv.append(corners * np.array([su, sv], np.float32) + np.array([ou, ov], np.float32))
        material.append(np.full(len(p.faces), number, np.int32))
        if coloured:
            white = np.ones((len(p.faces), 3, 3), np.float32)
            light.append(white if p.colours is None else p.colours[:, :3].astype(np.float32)[p.faces])
    mesh = TexturedMesh(
        vertices,
        faces,
        np.concatenate(uv),
        np.concatenate(material),
        tuple(t.image for t in textures.made),
        np.concatenate(light) if coloured else None,
    )
    return mesh, tuple(t.mask for t in textures.made)


class _Textures:
    """Repeating RGB textures out of materials; equal ones are made once.

    The ray caster's textures repeat and are filtered. Other ways to wrap are brought into the image: a mirrored image
    twice as large repeats, and a clamped one gets a rim as wide as its faces reach. Hard texels become blocks.
    """

    def __init__(self, materials: Sequence[Material]) -> None:
        self.made: list[_Texture] = []
        self._materials = materials
        self._numbers: dict[tuple, int] = {}

    def of(self, material: int, uv: Array) -> tuple[int, tuple[float, float, float, float]]:
        """The number of the texture for faces with ``uv`` (F, 3, 2), and the map of their coordinates."""
        m = self._materials[material]
        rims = tuple(_rim(uv[..., i]) if wrap == "clamp" else 0.0 for i, wrap in enumerate(m.wrap))
        key = (id(m.image), m.factor, m.cutoff, m.wrap, m.blocky, rims)
        if key not in self._numbers:
            self._numbers[key] = len(self.made)
            self.made.append(_texture(m, rims))
        number = self._numbers[key]
        return number, self.made[number].to_uv


def _rim(u: Array) -> float:
    """How far coordinates reach beyond 0..1, in whole halves of the image up to 2; a texel at least."""
    beyond = max(float(-u.min()), float(u.max()) - 1, 0.0)
    return min(math.ceil(2 * beyond) / 2, 2.0)


def _texture(m: Material, rims: tuple[float, ...]) -> _Texture:
    factor = np.array(m.factor, np.float32)
    image = np.full((1, 1, 4), 255, np.uint8) if m.image is None else m.image
    if (factor != 1).any():
        image = (image * factor + np.float32(0.5)).astype(np.uint8)
    to_uv = [1.0, 0.0, 1.0, 0.0]
    if m.image is not None:
        block = min(_MAX_BLOCK, _BLOCKY_SIDE // max(image.shape[:2])) if m.blocky else 1
        if block > 1:
            image = image.repeat(block, axis=0).repeat(block, axis=1)
        for axis, (wrap, rim) in enumerate(zip(m.wrap, rims, strict=True)):
            rows = 1 - axis
            if wrap == "mirror":
                image = np.concatenate([image, np.flip(image, rows)], axis=rows)
                to_uv[2 * axis] = 0.5
            elif wrap == "clamp":
                size = image.shape[rows]
                pad = max(math.ceil(rim * size), 1)
                image = np.pad(image, [(pad, pad) if i == rows else (0, 0) for i in range(3)], mode="edge")
                to_uv[2 * axis : 2 * axis + 2] = size / (size + 2 * pad), pad / (size + 2 * pad)
    mask = None if m.cutoff is None else AlphaMask(np.ascontiguousarray(image[..., 3]), 255 * m.cutoff)
    return _Texture(np.ascontiguousarray(image[..., :3]), mask, (to_uv[0], to_uv[1], to_uv[2], to_uv[3]))
