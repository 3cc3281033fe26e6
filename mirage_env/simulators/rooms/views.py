"""True views of a home and of who moves in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera
from mirage_env.simulators.raycast import Overlay
from mirage_env.simulators.rooms.crew import Moment
from mirage_env.simulators.rooms.prepared import PreparedHome


class RenderedView:
    """A true view whose pixels are rendered when they are first looked at, and kept.

    Args:
        moment: who moves in the home, as they were when the view was taken; None: nobody.
    """

    def __init__(
        self, home: PreparedHome, pose: Array, camera: Camera, samples: int, moment: Moment | None = None
    ) -> None:
        self._home, self._camera, self._samples, self._moment = home, camera, samples, moment
        self._pose = pose
        self._rgb: Array | None = None
        self._depth: Array | None = None

    @property
    def pose(self) -> Array:
        """T_world_camera (4, 4) float32."""
        return self._pose

    @property
    def rgb(self) -> Array:
        """Image (H, W, 3) uint8."""
        rgb = self._rgb
        if rgb is None:
            images, depths = render(self._home, self._pose[None], self._camera, self._samples, self._overlay)
            rgb, self._depth = images[0], depths[0]
            self._rgb = rgb
        return rgb

    @property
    def depth(self) -> Array:
        """z-depth (H, W) float32 in metres, 0 where nothing is hit."""
        depth = self._depth
        if depth is None:
            self._depth = depth = render_depth(self._home, self._pose[None], self._camera, self._overlay)[0]
        return depth

    @property
    def _overlay(self) -> Overlay | None:
        return None if self._moment is None else self._moment.overlay


def render(
    home: PreparedHome, poses: Array, camera: Camera, samples: int, overlay: Overlay | None = None
) -> tuple[Array, Array]:
    """Images (B, H, W, 3) uint8 and z-depth (B, H, W) float32 from poses (B, 4, 4)."""
    size = camera.resolution
    rgb, depth = home.raycaster.render(poses, camera.intrinsics, size, size, samples=samples, overlay=overlay)
    assert rgb is not None
    return rgb, depth


def render_depth(home: PreparedHome, poses: Array, camera: Camera, overlay: Overlay | None = None) -> Array:
    """z-depth (B, H, W) float32 from poses (B, 4, 4)."""
    size = camera.resolution
    return home.raycaster.render(poses, camera.intrinsics, size, size, rgb=False, overlay=overlay)[1]


def render_moments(
    home: PreparedHome, poses: Array, moments: Sequence[Moment | None], camera: Camera, samples: int
) -> tuple[Array, Array]:
    """As ``render``, each pose (B, 4, 4) at its own moment."""
    views = [
        render(home, pose[None], camera, samples, None if moment is None else moment.overlay)
        for pose, moment in zip(poses, moments, strict=True)
    ]
    size = camera.resolution
    if not views:
        return np.zeros((0, size, size, 3), np.uint8), np.zeros((0, size, size), np.float32)
    return np.concatenate([rgb for rgb, _ in views]), np.concatenate([depth for _, depth in views])


def mover_pixels(home: PreparedHome, pose: Array, moment: Moment, camera: Camera, samples: int | None) -> Array:
    """Which pixels (H, W) bool of the view from one pose (4, 4) show a mover in their centres.

    With ``samples``, all pixels that look other than without movers: those in shadows and at smoothed edges, too.
    """
    static, moving = (render_depth(home, pose[None], camera, overlay)[0] for overlay in (None, moment.overlay))
    shown = static != moving
    if samples is None:
        return shown
    without, _ = render(home, pose[None], camera, samples)
    with_movers, _ = render(home, pose[None], camera, samples, moment.overlay)
    return shown | (without[0] != with_movers[0]).any(-1)
