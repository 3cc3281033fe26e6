"""True views, rendered when somebody looks at them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

from mirage_env.geometry import Array
from mirage_env.lighting import Lighting, relit
from mirage_env.simulators.base import Camera
from mirage_env.simulators.raycast import Overlay, Raycaster


class RenderedScene(ABC):
    """A scene that has been made ready."""

    @cached_property
    @abstractmethod
    def raycaster(self) -> Raycaster:
        """What renders it, built on first use."""


class RenderedView:
    """A true view whose pixels are rendered when they are first looked at, and kept.

    Args:
        scene: what is seen.
        pose: T_world_camera (4, 4).
        camera: of the pixels.
        samples: of colour per pixel.
        lighting: the light in which it is seen; None: as it is.
    """

    def __init__(
        self, scene: RenderedScene, pose: Array, camera: Camera, samples: int, lighting: Lighting | None = None
    ) -> None:
        self._scene, self._camera, self._samples, self._lighting = scene, camera, samples, lighting
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
            seen = self._pose[None], self._camera, self._samples, self.overlay, self._lighting
            images, depths = render(self._scene, *seen)
            rgb, self._depth = images[0], depths[0]
            self._rgb = rgb
        return rgb

    @property
    def depth(self) -> Array:
        """z-depth (H, W) float32 in metres, 0 where nothing is hit."""
        depth = self._depth
        if depth is None:
            self._depth = depth = render_depth(self._scene, self._pose[None], self._camera, self.overlay)[0]
        return depth

    @property
    def overlay(self) -> Overlay | None:
        """What is shown besides the scene."""
        return None


def render(
    scene: RenderedScene,
    poses: Array,
    camera: Camera,
    samples: int,
    overlay: Overlay | None = None,
    lighting: Lighting | None = None,
) -> tuple[Array, Array]:
    """Images (B, H, W, 3) uint8 and z-depth (B, H, W) float32 from poses (B, 4, 4)."""
    size = camera.resolution
    rgb, depth = scene.raycaster.render(poses, camera.intrinsics, size, size, samples=samples, overlay=overlay)
    assert rgb is not None
    return relit(rgb, lighting), depth


def render_depth(scene: RenderedScene, poses: Array, camera: Camera, overlay: Overlay | None = None) -> Array:
    """z-depth (B, H, W) float32 from poses (B, 4, 4)."""
    size = camera.resolution
    return scene.raycaster.render(poses, camera.intrinsics, size, size, rgb=False, overlay=overlay)[1]
