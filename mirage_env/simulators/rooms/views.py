"""True views of a home and of who moves in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mirage_env.geometry import Array
from mirage_env.lighting import Lighting
from mirage_env.simulators.base import Camera
from mirage_env.simulators.raycast import Overlay
from mirage_env.simulators.rooms.crew import Moment
from mirage_env.simulators.rooms.prepared import PreparedHome
from mirage_env.simulators.views import RenderedView, render, render_depth


class HomeView(RenderedView):
    """A true view of a home.

    Args:
        moment: who moves in the home, as they were when the view was taken; None: nobody.
        lighting: see ``RenderedView``.
    """

    def __init__(
        self,
        home: PreparedHome,
        pose: Array,
        camera: Camera,
        samples: int,
        moment: Moment | None = None,
        lighting: Lighting | None = None,
    ) -> None:
        super().__init__(home, pose, camera, samples, lighting)
        self._moment = moment

    @property
    def overlay(self) -> Overlay | None:
        """Who moves."""
        return None if self._moment is None else self._moment.overlay


def render_moments(
    home: PreparedHome,
    poses: Array,
    moments: Sequence[Moment | None],
    camera: Camera,
    samples: int,
    lighting: Lighting | None = None,
) -> tuple[Array, Array]:
    """As ``render``, each pose (B, 4, 4) at its own moment."""
    views = [
        render(home, pose[None], camera, samples, None if moment is None else moment.overlay, lighting)
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
