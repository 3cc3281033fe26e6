"""A simulator gets the camera and the light that were drawn for an episode."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from mirage_env.lighting import Lighting
from mirage_env.simulators.base import Camera


class Equipment(NamedTuple):
    """What an agent sees with.

    Attributes:
        camera: of the simulator.
        source_camera: of the true simulator behind an imagined one; None without one.
        lighting: None: as it is.
    """

    camera: Camera
    source_camera: Camera | None
    lighting: Lighting | None

    def altered(self, changes: dict[str, float], lighting: Lighting | None) -> Equipment:
        """With other heights and fields of view, both cameras alike: one robot takes the start view and goes on."""
        source = self.source_camera
        return Equipment(
            dataclasses.replace(self.camera, **changes),
            None if source is None else dataclasses.replace(source, **changes),
            lighting,
        )


def equipment_of(simulator: Any) -> Equipment:
    """What a simulator has now."""
    source = getattr(simulator, "source", None)
    return Equipment(simulator.camera, None if source is None else source.camera, getattr(simulator, "lighting", None))


def equip(simulator: Any, equipment: Equipment) -> None:
    """Let this simulator, and the one it takes start views from, see so from now on."""
    for one, camera in ((simulator, equipment.camera), (getattr(simulator, "source", None), equipment.source_camera)):
        if one is not None:
            one.camera = camera
            if hasattr(one, "lighting"):
                one.lighting = equipment.lighting


def can_be_lit(simulator: Any) -> bool:
    """Whether views of the simulator, and of the one it takes start views from, can be seen in another light."""
    return all(hasattr(one, "lighting") for one in (simulator, getattr(simulator, "source", None)) if one is not None)
