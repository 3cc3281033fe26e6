"""Scene files made ready for use: what renders them and what the agent walks on."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart
from mirage_env.simulators.mesh.axes import Axis
from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.navigation_cache import open_navigation
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings
from mirage_env.simulators.mesh.rendering import SceneRaycaster, renderer_of
from mirage_env.simulators.mesh.scene import MeshScene, open_scene
from mirage_env.simulators.views import RenderedScene

_SIGHT = 20.0
_PLACES, _HEADINGS = 32, 8


@dataclass(frozen=True, eq=False)
class PreparedScene(RenderedScene):
    """One scene with its ray caster and its navigable space.

    The ray caster is built on first use, so that nobody pays for pixels that are not looked at.
    """

    scene: MeshScene
    navigation: MeshNavigation
    agent_radius: float

    @cached_property
    def raycaster(self) -> SceneRaycaster:
        return renderer_of(self.scene)

    @cached_property
    def default_start(self) -> AgentStart:
        """A place of the largest island with a long free way ahead; the same at every call."""
        rng, island = np.random.default_rng(0), self.navigation.largest_island
        starts = [
            (self.navigation.sample(rng, island), math.tau * k / _HEADINGS - math.pi)
            for _ in range(_PLACES)
            for k in range(_HEADINGS)
        ]
        (x, y, z), yaw = max(starts, key=lambda start: self._free_way(*start))
        return AgentStart((float(x), float(y), float(z)), yaw)

    def _free_way(self, position: Array, yaw: float) -> float:
        end, _ = self.navigation.move(position, _SIGHT * geometry.forward(yaw), allow_sliding=False)
        return float(np.linalg.norm(end - position))


def prepare_scene(
    path: str | os.PathLike[str], agent_radius: float, up: Axis | None = None, front: Axis | None = None
) -> PreparedScene:
    """The scene in this file, ready for an agent of this radius. For the axes and what can be wrong see ``load_scene``.

    Scenes used last stay open in this process, and navigable spaces in the user's cache directory.
    """
    scene = open_scene(path, up, front)
    settings = NavigationSettings(agent_radius=agent_radius)
    navigation = open_navigation(scene.mesh.vertices, scene.mesh.faces, settings)
    return PreparedScene(scene, navigation, agent_radius)
