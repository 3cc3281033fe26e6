"""Scene files made ready for use: what renders them and what the agent walks on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from mirage_env.simulators.mesh.axes import Axis
from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.navigation_cache import open_navigation
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings
from mirage_env.simulators.mesh.rendering import SceneRaycaster, renderer_of
from mirage_env.simulators.mesh.scene import MeshScene, open_scene
from mirage_env.simulators.views import RenderedScene


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
