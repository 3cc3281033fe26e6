"""The true simulator over scene files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera
from mirage_env.simulators.mesh.axes import Axis
from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.prepared import PreparedScene, prepare_scene
from mirage_env.simulators.scene_simulator import SceneSimulator
from mirage_env.simulators.views import RenderedView, render


class MeshSimulator(SceneSimulator[PreparedScene, RenderedView]):
    """Ground truth: an agent in a scene that a file holds, seen and walked as in habitat-sim.

    Views are unlit; faces are transparent from behind.

    Args:
        scenes: a scene file (.glb, .gltf, .obj or .ply), or several.
        camera, agent_radius, allow_sliding: see ``SceneSimulator``.
        samples: colour samples per pixel, 1 or 4. habitat-sim takes 1.
        up, front: which way up and ahead are in the files, see ``load_scene``; None: as a stage configuration beside
            the file says, else habitat-sim's rule (a bare .glb is z-up).
    """

    def __init__(
        self,
        scenes: Any,
        camera: Camera | None = None,
        agent_radius: float = 0.18,
        allow_sliding: bool = True,
        samples: int = 1,
        up: Axis | None = None,
        front: Axis | None = None,
    ) -> None:
        if samples not in (1, 4):
            raise ValueError(f"samples must be 1 or 4 per pixel, got {samples!r}")
        super().__init__(scene_files(scenes), camera, agent_radius, allow_sliding)
        self.samples = samples
        self.up, self.front = up, front

    def render_views(self, poses: Any) -> tuple[Array, Array]:
        poses = geometry.check_pose(poses, "poses").reshape(-1, 4, 4)
        return render(self._ready(), poses, self.camera, self.samples, lighting=self.lighting)

    @property
    def navigation(self) -> MeshNavigation:
        """The present scene's navigable space."""
        return self._ready().navigation

    def _named(self, scene: Any) -> str:
        (path,) = scene_files(scene)
        return path

    def _prepared(self, scene: str) -> PreparedScene:
        known = self._opened
        if known and self._state and self._state.scene == scene and known.agent_radius == self.agent_radius:
            return known
        return prepare_scene(scene, self.agent_radius, self.up, self.front)

    def _view(self) -> RenderedView:
        pose = self._present().place.pose(self.camera.height).astype(np.float32)
        return RenderedView(self._ready(), pose, self.camera, self.samples, self.lighting)


def scene_files(spec: Any) -> tuple[str, ...]:
    """The scene files that ``spec`` names: a path, or several.

    Raises:
        TypeError, ValueError, FileNotFoundError: one sentence on what is no file.
    """
    several = [spec] if isinstance(spec, str | os.PathLike) else spec
    if not isinstance(several, Sequence):
        raise TypeError(f"scenes must be a scene file or a sequence of them, got {type(spec).__name__}")
    if not several:
        raise ValueError(f"scenes must name at least one scene file, got an empty {type(spec).__name__}")
    for path in several:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"a scene must be the path of a file, got {path!r}")
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no scene file {path}; give a .glb, .gltf, .obj or .ply file")
    return tuple(os.fspath(path) for path in several)
