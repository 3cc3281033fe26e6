"""Views of scene files as habitat-sim renders them: unlit, trilinear, back faces culled, black where nothing is."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np

from mirage_env import kernels
from mirage_env.geometry import Array
from mirage_env.simulators.mesh.alpha import Holes
from mirage_env.simulators.mesh.filtering import TrilinearAtlas
from mirage_env.simulators.mesh.scene import MeshScene
from mirage_env.simulators.raycast import Raycaster

ShadingPath = Literal["fastest", "numpy"]

NEAR = np.float32(0.01)
"""Metres to the near plane of habitat-sim's cameras; what lies before it is not seen."""
_NO_LIGHT = np.zeros((1, 0), np.float32)

_choice = kernels.Choice[ShadingPath]("views are shaded", "numpy")
shading_by = _choice.by


class SceneRaycaster(Raycaster):
    """Renders a scene file.

    Args:
        scene: what to render.
        alpha_test: whether alpha below the cutoff of a MASK material is a hole in colour and depth, as glTF says.
            habitat-sim shows such texels like all others (it never sets its shader's alpha mask); False does so too.
            Blended materials are opaque in both.
    """

    def __init__(self, scene: MeshScene, alpha_test: bool = True) -> None:
        self._trilinear = TrilinearAtlas(scene.mesh.textures)
        super().__init__(scene.mesh, cull_backfaces=True, atlas=self._trilinear)
        holes = Holes(scene.mesh, scene.masks) if alpha_test else None
        self._holes = holes if holes else None

    def _seen_through(self, hits: dict[str, Array], directions: Array) -> Array:
        """Indices of the hits on back faces, before the near plane and in holes."""
        loops = _loops()
        if loops is not None:
            rows = loops.seen_through(hits["primID"], hits["tfar"], hits["Ng"], directions, NEAR)
        else:
            through = (np.einsum("ij,ij->i", directions, hits["Ng"]) > 0) | (hits["tfar"] < NEAR)
            rows = np.flatnonzero(through & (hits["primID"] >= 0))
        if self._holes is None:
            return rows
        return np.union1d(rows, self._holes.at(hits["primID"], hits["u"], hits["v"]))

    def _shade(
        self,
        hits: dict[str, Array],
        pose: Array,
        camera_rays: Array,
        K: Array,
        colour: Array,
        material: Array,
        light: Array | None,
    ) -> None:
        loops = _loops()
        if loops is None:
            super()._shade(hits, pose, camera_rays, K, colour, material, light)
            return
        table = self._surface
        loops.shade(
            hits["primID"],
            hits["tfar"],
            hits["u"],
            hits["v"],
            camera_rays,
            np.ascontiguousarray(pose, dtype=np.float64),
            1 / K[[0, 1], [0, 1]],
            *table.arrays,
            table.material,
            *self._trilinear.tables,
            _NO_LIGHT if table.light is None else table.light,
            self._background + np.float32(0.5),
            colour,
            material,
            np.empty((0, len(camera_rays)), np.float32) if light is None else light,
        )


def renderer_of(scene: MeshScene, alpha_test: bool = True) -> SceneRaycaster:
    """The scene's ray caster, made once and kept for as long as the scene is."""
    with _making:
        made = _made.setdefault(scene, {})
        if alpha_test not in made:
            made[alpha_test] = SceneRaycaster(scene, alpha_test)
        return made[alpha_test]


_made: WeakKeyDictionary[MeshScene, dict[bool, SceneRaycaster]] = WeakKeyDictionary()
_making = threading.Lock()


def _loops() -> ModuleType | None:
    return kernels.load("mirage_env.simulators.compiled.shading") if _choice.fastest else None
