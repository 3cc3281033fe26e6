"""Bodies that move: rigid parts on joints, their surfaces, and how they hold themselves in a stride."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.raycast import Raycaster, TexturedMesh
from mirage_env.simulators.rooms.lighting import LIFT, openness
from mirage_env.simulators.rooms.meshing import triangulate
from mirage_env.simulators.rooms.shapes import Shape
from mirage_env.simulators.rooms.textures import Material
from mirage_env.simulators.texture import TextureAtlas

VIGOURS = 3
"""Steps from standing to walking."""

_OPENNESS_RAYS = 48
_DARKEST = 0.3  # of the light that reaches a fully covered corner
_KEPT_POSTURES = 256

Gait = Callable[[float, float], Array]
"""Joint angles (J,) in radians at a share of the stride, 0..1, and a vigour from 0 (standing) to 1 (walking)."""


class Part(NamedTuple):
    """A rigid part: its shape, the joint it turns about (x axis through ``pivot``), and the part that carries it."""

    shape: Shape
    pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)
    parent: int = -1


@dataclass(frozen=True)
class Posture:
    """How a body holds itself, in its own frame.

    Attributes:
        vertices, normals: (V, 3) float32; the lowest vertex is at y = 0.
        caster: shows it, without light.
    """

    vertices: Array
    normals: Array
    caster: Raycaster


@dataclass(frozen=True, eq=False)
class Body:
    """A body in its own frame: feet at the origin, +Y up, facing -Z like an agent of yaw 0.

    Strides are cut into a few postures, so that each is made ready for rendering once.

    Attributes:
        kind: "box" or "person".
        mesh: all parts at rest, without light.
        normals: (V, 3) unit vectors.
        albedo: (V, 3) factor of the light: tint, and the share of the surroundings that the vertex sees.
        glow: (V,) fixed light of what shines by itself, -1 elsewhere.
        part: (V,) the part of each vertex, ascending.
        pivots: (J, 3) where each part turns; ``parents`` (J,) what carries it, -1: nothing.
        gait: see ``Gait``.
        stride: metres after which the gait repeats, in ``phases`` postures.
        footprint: half width and half depth in metres of what stands on the floor, for its shadow.
        low, high: (3,) corners of a box that holds it in all postures.
    """

    kind: str
    mesh: TexturedMesh
    normals: Array
    albedo: Array
    glow: Array
    part: Array
    pivots: Array
    parents: tuple[int, ...]
    gait: Gait
    stride: float
    phases: int
    footprint: tuple[float, float]
    low: Array = field(default_factory=lambda: np.zeros(3))
    high: Array = field(default_factory=lambda: np.zeros(3))

    def posture(self, travelled: float, vigour: float) -> Posture:
        """How it holds itself after so many metres at a vigour from 0, standing, to 1, walking."""
        level = round(vigour * VIGOURS)
        phase = math.floor(self.phases * (travelled / self.stride % 1.0)) % self.phases if level else 0
        return _posture(self, phase, level)

    @cached_property
    def atlas(self) -> TextureAtlas:
        """The mesh's textures, ready for rendering."""
        return TextureAtlas(self.mesh.textures)


@lru_cache(maxsize=_KEPT_POSTURES)
def _posture(body: Body, phase: int, level: int) -> Posture:
    vertices, normals = bend(body, phase / body.phases, level / VIGOURS)
    return Posture(vertices, normals, Raycaster(replace(body.mesh, vertices=vertices), atlas=body.atlas))


def assemble(
    kind: str,
    parts: list[Part],
    materials: dict[str, Material],
    gait: Gait,
    stride: float,
    phases: int,
    footprint: tuple[float, float],
) -> Body:
    """A body of its parts; each comes after the one that carries it. See ``Body`` for the other arguments."""
    batches = [batch for part in parts for batch in part.shape.batches]
    sizes = [batch.points.size // 3 for batch in batches]
    mesh = triangulate(batches, materials)
    normals = np.concatenate([batch.normals.reshape(-1, 3) for batch in batches])
    tint = np.repeat([batch.tint for batch in batches], sizes, axis=0)
    counts = [sum(batch.points.size // 3 for batch in part.shape.batches) for part in parts]
    light = _DARKEST + (1 - _DARKEST) * _openness(mesh, normals)
    body = Body(
        kind=kind,
        mesh=mesh,
        normals=normals.astype(np.float32),
        albedo=(tint * light[:, None]).astype(np.float32),
        glow=np.repeat([-1.0 if b.emission is None else b.emission for b in batches], sizes).astype(np.float32),
        part=np.repeat(np.arange(len(parts)), counts),
        pivots=np.array([part.pivot for part in parts], dtype=np.float64),
        parents=tuple(part.parent for part in parts),
        gait=gait,
        stride=stride,
        phases=phases,
        footprint=footprint,
    )
    bent = [bend(body, phase / phases, v / VIGOURS)[0] for phase in range(phases) for v in range(VIGOURS + 1)]
    ends = np.array([(v.min(0), v.max(0)) for v in bent], dtype=np.float64)
    return replace(body, low=ends[:, 0].min(0), high=ends[:, 1].max(0))


def bend(body: Body, share: float, vigour: float) -> tuple[Array, Array]:
    """Vertices and normals (V, 3) float32 of a body at a share of its stride, in its own frame.

    It is lowered until its lowest point touches the floor, as walkers sink when they stretch their legs.
    """
    angles = body.gait(share, vigour)
    vertices, normals = np.empty_like(body.mesh.vertices), np.empty_like(body.normals)
    edges = np.concatenate([[0], np.cumsum(np.bincount(body.part, minlength=len(angles)))])
    placed: list[tuple[Array, Array]] = []
    for j, (angle, pivot, parent) in enumerate(zip(angles.tolist(), body.pivots, body.parents, strict=True)):
        c, s = math.cos(angle), math.sin(angle)
        rotation = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
        offset = pivot - rotation @ pivot
        if parent >= 0:
            carrier, shift = placed[parent]
            rotation, offset = carrier @ rotation, carrier @ offset + shift
        placed.append((rotation, offset))
        own = slice(edges[j], edges[j + 1])
        turned = rotation.T.astype(np.float32)
        vertices[own] = body.mesh.vertices[own] @ turned + offset.astype(np.float32)
        normals[own] = body.normals[own] @ turned
    vertices[:, 1] -= vertices[:, 1].min()
    return vertices, normals


def _openness(mesh: TexturedMesh, normals: Array) -> Array:
    """Share (V,) of its surroundings that each vertex of a body sees that stands on a floor."""
    plate = np.array([[-3, 0, -3], [-3, 0, 3], [3, 0, 3], [3, 0, -3]], dtype=np.float32)
    n = len(mesh.vertices)
    ground = np.array([[n, n + 1, n + 2], [n, n + 2, n + 3]], dtype=np.int32)
    faces = np.concatenate([mesh.faces, ground])
    scene = replace(
        mesh,
        vertices=np.concatenate([mesh.vertices, plate]),
        faces=faces,
        uv=np.zeros((len(faces), 3, 2), np.float32),
        material=np.zeros(len(faces), np.int32),
        textures=(np.zeros((1, 1, 3), np.uint8),),
    )
    return openness(mesh.vertices + LIFT * normals, normals, Raycaster(scene), _OPENNESS_RAYS, 0.37)
