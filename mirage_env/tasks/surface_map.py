"""Which surfaces an agent has seen, and where: means of what its latents say of them, on a coarse grid of a storey.

The floor plan is divided into cells of ``CELL`` metres on a lattice anchored at the world's origin, as in
``seen_floor``, and each cell into layers between the heights ``LAYERS`` over the floor. An agent keeps the mean of all
that it saw in each of them, within ``REACH`` metres.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.models.recognition import Recognition
from mirage_env.simulators.base import Camera
from mirage_env.tasks.seen_floor import STOREY, frozen, with_room

CELL = 0.2
"""Metres."""
LAYERS = (0.15, 0.9, 1.7)
"""Metres over the floor between the layers: floor, furniture, walls at the height of eyes, ceiling and what is high."""
REACH = 5.0
"""Metres of depth up to which surfaces are kept: those beyond are seen too coarsely."""


class SurfaceMap(NamedTuple):
    """The surfaces seen so far, as a value; arrays are read-only.

    Attributes:
        sums: (L, H, W, K + 1) float32, sums of features of each layer and cell, and how many they are of.
        corner: (2,) int64, row and column on the lattice of sums[:, 0, 0].
        height: () float64, metres, of the feet of the agent on this storey.
    """

    sums: Array
    corner: Array
    height: Array

    @classmethod
    def of_arrays(cls, arrays: dict[str, Array]) -> SurfaceMap:
        """What ``_asdict`` took apart; KeyError or ValueError where it is damaged."""
        known = cls(*(frozen(arrays[name]) for name in cls._fields))
        shaped = known.sums.ndim == 4 and len(known.sums) == len(LAYERS) + 1 and known.corner.shape == (2,)
        if not shaped or known.sums.dtype != np.float32 or known.corner.dtype != np.int64 or known.height.shape != ():
            raise ValueError("the surfaces that the agent knows are damaged")
        return known

    @property
    def means(self) -> Array:
        """Mean features (L, H, W, K) float32, 0 where nothing was seen."""
        return self.sums[..., :-1] / np.maximum(self.sums[..., -1:], 1)

    @property
    def known(self) -> Array:
        """Where something was seen (L, H, W) bool."""
        return self.sums[..., -1] > 0


def no_surfaces(height: float, features: int) -> SurfaceMap:
    """Nothing seen, on a storey of this height in metres."""
    sums = np.zeros((len(LAYERS) + 1, 0, 0, features + 1), np.float32)
    return SurfaceMap(frozen(sums), frozen(np.zeros(2, np.int64)), frozen(np.array(float(height))))


def with_view(known: SurfaceMap | None, view: Any, pose: Array, camera: Camera, recognition: Recognition) -> SurfaceMap:
    """What is known after one more view. On another storey all is forgotten.

    Args:
        known: None: nothing yet.
        view: with ``latents`` (C, h, w) and ``depth`` (H, W) in metres.
        pose: T_world_camera (4, 4), from where it was taken as far as the agent knows.
        camera: that took it.
        recognition: of the model that the latents are of.
    """
    feet = float(pose[1, 3]) - camera.height
    if known is None or abs(feet - float(known.height)) > STOREY:
        known = no_surfaces(feet, recognition.directions.shape[1])
    latents = np.asarray(view.latents.cpu())
    depth = sampled(np.asarray(view.depth), latents.shape[1])
    T = np.asarray(pose, dtype=np.float64)
    K = geometry.scale_intrinsics(camera.intrinsics, latents.shape[1] / camera.resolution)
    points = in_camera(depth, K)
    kept = ((depth > 0) & (depth < REACH)).ravel()
    return added(known, geometry.transform(T, points[kept]), recognition.features(latents)[kept])


def added(known: SurfaceMap, points: Array, features: Array) -> SurfaceMap:
    """With the features (n, K) of surfaces at points (n, 3) in the world."""
    if not len(points):
        return known
    at = np.floor(points[:, [2, 0]] / CELL).astype(np.int64)
    sums, corner = with_room(known.sums, known.corner, at.min(0), at.max(0) + 1)
    sums = sums.copy() if sums is known.sums else sums
    _, height, width, count = sums.shape
    row, column = (at - corner).T
    cell = (layer_of(points[:, 1] - float(known.height)) * height + row) * width + column
    # The cells that are seen are few, and told once each: sums of bins are quicker than adding at places.
    places, which = np.unique(cell, return_inverse=True)
    flat = sums.reshape(-1, count)
    for k in range(count - 1):
        flat[places, k] += np.bincount(which, features[:, k], len(places)).astype(np.float32)
    flat[places, -1] += np.bincount(which, minlength=len(places)).astype(np.float32)
    return known._replace(sums=frozen(sums), corner=frozen(corner))


def layer_of(heights: Array) -> Array:
    """The layers in which heights over the floor in metres lie."""
    return np.digitize(heights, LAYERS)


def in_camera(depth: Array, K: Array) -> Array:
    """Points (h·w, 3) in the camera's frame of depth (h, w) at the centres of cells, of a grid with intrinsics K."""
    return geometry.unproject(geometry.pixel_grid(*depth.shape), depth, K).reshape(-1, 3)


def sampled(depth: Array, cells: int) -> Array:
    """Depth (H, W) at the pixels in the middle of so many cells per side."""
    step = depth.shape[0] // cells
    return depth[step // 2 :: step, step // 2 :: step]
