"""True views in another light."""

from __future__ import annotations

from mirage_env.geometry import Array
from mirage_env.lighting import Lighting, relit
from mirage_env.simulators.base import View


class LitView:
    """A true view in another light; rendered when its image is first looked at."""

    def __init__(self, view: View, lighting: Lighting) -> None:
        self._view, self._lighting = view, lighting
        self._rgb: Array | None = None

    @property
    def rgb(self) -> Array:
        """Image (H, W, 3) uint8."""
        if self._rgb is None:
            self._rgb = relit(self._view.rgb, self._lighting)
        return self._rgb

    @property
    def depth(self) -> Array:
        """z-depth (H, W) float32 in metres, 0 where nothing is hit."""
        return self._view.depth

    @property
    def pose(self) -> Array:
        """T_world_camera (4, 4) float32."""
        return self._view.pose


def lit(view: View, lighting: Lighting | None) -> View:
    """The view in this light; None: itself."""
    return view if lighting is None else LitView(view, lighting)
