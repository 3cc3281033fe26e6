"""Homes made ready for use: what renders them and what the agent walks on, kept for the scenes used last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import shapely
from shapely.geometry import Point

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart
from mirage_env.simulators.navigation import PolygonNavigation
from mirage_env.simulators.raycast import Raycaster
from mirage_env.simulators.rooms.home import Home, generate_home
from mirage_env.simulators.rooms.splits import TOY, Scene
from mirage_env.simulators.rooms.toy import toy_home
from mirage_env.simulators.views import RenderedScene

KEPT_HOMES = 8
"""How many homes stay ready in a process, shared by all its simulators, unless ``keep_homes`` says otherwise."""

_SIGHT = 20.0


@dataclass(frozen=True)
class PreparedHome(RenderedScene):
    """One home with its ray caster and its navigation geometry.

    The ray caster is built on first use, so that nobody pays for pixels that are not looked at.
    """

    home: Home
    navigation: PolygonNavigation

    @cached_property
    def raycaster(self) -> Raycaster:
        return Raycaster(self.home.mesh)

    @cached_property
    def face_colours(self) -> Array:
        """What each face looks like on the whole, (F, 3) float32: its texture's mean colour, 0..1, times its light."""
        mesh = self.home.mesh
        colours = np.array([texture.mean((0, 1)) / 255 for texture in mesh.textures])[mesh.material]
        if mesh.light is not None:
            colours = colours * mesh.light.reshape(len(colours), 3, -1).mean(1)
        return np.minimum(colours, 1.0).astype(np.float32)

    @cached_property
    def default_start(self) -> AgentStart:
        """A roomy place of the largest island, facing the way that is free the longest; the same at every call."""
        rng = np.random.default_rng(self.home.seed)
        largest = self.navigation.islands[0]
        shapely.prepare(largest)
        places = [self.navigation.sample(rng) for _ in range(64)]
        places = [p for p in places if largest.intersects(Point(p[0], p[2]))] or [_inside(largest)]
        best = max(places, key=lambda p: largest.boundary.distance(Point(p[0], p[2])))
        yaws = [math.tau * k / 16 for k in range(16)]
        yaw = max(yaws, key=lambda yaw: self._free_way(best, yaw))
        return AgentStart((float(best[0]), 0.0, float(best[2])), yaw)

    def _free_way(self, position: Array, yaw: float) -> float:
        end, _ = self.navigation.move(position, _SIGHT * geometry.forward(yaw), allow_sliding=False)
        return float(np.linalg.norm(end - position))


def _inside(polygon: shapely.Polygon) -> Array:
    point = polygon.representative_point()
    return np.array([point.x, 0.0, point.y])


def prepare_home(scene: Scene, agent_radius: float) -> PreparedHome:
    """The home of this scene (a seed or "toy"), ready for an agent of this radius."""
    return _kept(scene, agent_radius)


def keep_homes(count: int) -> None:
    """Keep so many homes ready from now on, 20 MB each: a new one takes a second or two to generate.

    Raises:
        ValueError: for less than one.
    """
    global _kept
    if count < 1:
        raise ValueError(f"at least 1 home must be kept, got {count}")
    _kept = lru_cache(maxsize=count)(_prepare)


def _prepare(scene: Scene, agent_radius: float) -> PreparedHome:
    home = toy_home() if scene == TOY else generate_home(int(scene))
    return PreparedHome(home, PolygonNavigation(home.floor, home.obstacles, agent_radius))


_kept = lru_cache(maxsize=KEPT_HOMES)(_prepare)
