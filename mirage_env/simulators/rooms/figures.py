"""Bodies at their places in a home, lit by it, and laid over its views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from mirage_env.geometry import Array, invert, rotation_y, transform
from mirage_env.simulators.raycast import Raycaster, Samples, TexturedMesh
from mirage_env.simulators.rooms.bodies import Body, Posture
from mirage_env.simulators.rooms.movers import MoverState
from mirage_env.simulators.rooms.prepared import PreparedHome

_LIGHT_RAYS = 96
_WHITE = 1.65  # factor of a surface whose surroundings show mid grey; as bright as the generator's own furniture there
_COLOUR_CAST = 0.5  # how much of the surroundings' hue the light carries
_NEAR = 0.05
_SHADOW_REACH = 0.45
_SHADOW_HEIGHT = 0.3
_MATERIALS = 1 << 20  # added to a body's materials, so that none equals one of the home's


@dataclass(frozen=True, eq=False)
class Figure:
    """One body at one moment. What it takes to see it is made on first use, and kept."""

    home: PreparedHome
    body: Body
    state: MoverState

    @property
    def posture(self) -> Posture:
        """How it holds itself."""
        return self.body.posture(self.state.travelled, self.state.vigour)

    @cached_property
    def T_world_body(self) -> Array:
        """(4, 4) float64."""
        T = np.eye(4)
        T[:3, :3] = rotation_y(self.state.yaw)
        T[[0, 2], 3] = self.state.x, self.state.z
        return T

    @cached_property
    def light(self) -> Array:
        """Light (F, 3, 3) float32 at the corners of its faces."""
        place = (self.state.x, 0.55 * float(self.body.high[1]), self.state.z)
        cube = incident_light(self.home, place).astype(np.float32)
        normals = self.posture.normals @ self.T_world_body[:3, :3].T.astype(np.float32)
        light = np.minimum(normals, 0) ** 2 @ cube[0::2] + np.maximum(normals, 0) ** 2 @ cube[1::2]
        light = np.minimum(light, 1.1) * self.body.albedo
        return np.where(self.body.glow[:, None] >= 0, self.body.glow[:, None], light)[self.body.mesh.faces]

    @cached_property
    def caster(self) -> Raycaster:
        """Shows it, in its own frame."""
        return self.posture.caster.relit(self.light)

    @cached_property
    def mesh(self) -> TexturedMesh:
        """Its surface in the world frame, lit."""
        vertices = transform(self.T_world_body, self.posture.vertices).astype(np.float32)
        return replace(self.body.mesh, vertices=vertices, light=self.light)


class FiguresOverlay:
    """Shows figures and the soft shadows at their feet; an ``Overlay`` for the ray caster of their home.

    Each is traced in its own frame, with the camera moved there, and wins where it is nearer than what was seen.
    """

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._figures = tuple(figures)

    def cover(self, seen: Samples, pose: Array, camera_rays: Array, K: Array, rgb: bool) -> None:
        """See ``Overlay``."""
        for number, figure in enumerate(self._figures):
            body = figure.body
            T_body_camera = invert(figure.T_world_body) @ pose
            reach = np.array([body.footprint[0], 0.0, body.footprint[1]]) + (_SHADOW_REACH, 0.0, _SHADOW_REACH)
            low, high = np.minimum(body.low, -reach), np.maximum(body.high, reach)
            rows = _rays_to(low, high, T_body_camera, camera_rays, seen.depth)
            if not len(rows):
                continue
            if rgb:
                _darken(seen, rows, T_body_camera, camera_rays[rows], body)
            depth = figure.posture.caster.sample(T_body_camera, camera_rays[rows], K, rgb=False).depth
            behind = seen.depth[rows]
            nearer = (depth > 0) & ((behind == 0) | (depth < behind))
            won = rows[nearer]
            seen.depth[won] = depth[nearer]
            if not (rgb and len(won)):
                continue
            front = figure.caster.sample(T_body_camera, camera_rays[won], K)  # shading costs more than tracing again
            seen.colour[:, won] = front.colour
            seen.material[won] = front.material + (number + 1) * _MATERIALS
            if seen.light is not None and front.light is not None:
                seen.light[:, won] = front.light if len(front.light) == len(seen.light) else front.light.mean(0)


def incident_light(home: PreparedHome, place: tuple[float, float, float]) -> Array:
    """Light (6, 3) that surfaces facing -x, +x, -y, +y, -z and +z get at a place of a home.

    The home's own lit surfaces shine on it, as in an ambient cube (McTaggart, Half-Life 2 shading, GDC 2004). The unit
    is that of baked light: a factor of the texture's colour.
    """
    directions, weights = _sphere(_LIGHT_RAYS)
    origins = np.broadcast_to(np.asarray(place, dtype=np.float32), directions.shape)
    face, _ = home.raycaster.first_hits(origins, directions)
    shown = np.where(face[:, None] >= 0, home.face_colours[np.maximum(face, 0)], 0)
    cube = weights @ shown
    grey = cube.mean(-1, keepdims=True)
    return _WHITE * (grey + _COLOUR_CAST * (cube - grey))


@lru_cache(maxsize=1)
def _sphere(count: int) -> tuple[Array, Array]:
    """Directions (count, 3) float32 all around, and their cosine weights (6, count) for the faces of a cube."""
    k = np.arange(count) + 0.5
    y, phi = 1 - 2 * k / count, k * math.pi * (3 - math.sqrt(5))
    r = np.sqrt(1 - y * y)
    directions = np.stack([r * np.cos(phi), y, r * np.sin(phi)], axis=1)
    axes = np.repeat(np.eye(3), 2, axis=0) * np.tile([-1.0, 1.0], 3)[:, None]
    weights = np.maximum(axes @ directions.T, 0)
    return directions.astype(np.float32), weights / weights.sum(axis=1, keepdims=True)


def _rays_to(low: Array, high: Array, T_box_camera: Array, camera_rays: Array, depth: Array) -> Array:
    """Indices of the camera rays that may meet a box (two corners) before they meet what they see at ``depth``."""
    ends = np.stack([low, high])
    corners = np.array([(ends[i, 0], ends[j, 1], ends[k, 2]) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    x, y, z = transform(invert(T_box_camera), corners).T
    if z.max() < _NEAR:
        return np.zeros(0, dtype=np.int64)
    may = (depth == 0) | (depth > np.float32(z.min()))
    if z.min() >= _NEAR:  # all of it is ahead, so it is seen inside the outline of its corners
        u, v = x / z, y / z
        may &= (camera_rays[:, 0] >= u.min()) & (camera_rays[:, 0] <= u.max())
        may &= (camera_rays[:, 1] >= v.min()) & (camera_rays[:, 1] <= v.max())
    return np.flatnonzero(may)


def _darken(seen: Samples, rows: Array, T_body_camera: Array, rays: Array, body: Body) -> None:
    """Darken in place what lies on the floor near a body, as if less light came in under and around it."""
    depth = seen.depth[rows]
    R, at = T_body_camera[:3, :3].astype(np.float32), T_body_camera[:3, 3].astype(np.float32)
    height = depth * (rays @ R[1]) + at[1]
    low = np.flatnonzero((depth > 0) & (height < _SHADOW_HEIGHT))
    if not len(low):
        return
    depth, height, rays = depth[low], height[low], rays[low]
    out_x = np.maximum(np.abs(depth * (rays @ R[0]) + at[0]) - np.float32(0.85 * body.footprint[0]), 0)
    out_z = np.maximum(np.abs(depth * (rays @ R[2]) + at[2]) - np.float32(0.85 * body.footprint[1]), 0)
    squared = out_x * out_x + out_z * out_z
    wide = np.float32(0.16 + 0.1 * min(float(body.high[1]), 1.0))
    shade = np.float32(0.42) * np.exp(-squared / np.float32(0.08**2)) + np.float32(0.26) * np.exp(-squared / wide**2)
    fade = np.maximum(1 - np.maximum(height, 0) / np.float32(_SHADOW_HEIGHT), 0)
    seen.colour[:, rows[low]] *= 1 - shade * fade * fade
