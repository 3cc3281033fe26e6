"""A simulator gets the camera and the light that were drawn for an episode."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from mirage_env.lighting import Lighting
from mirage_env.simulators.base import Camera, Simulator, View
from mirage_env.simulators.lit import lit


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
    simulator.camera = equipment.camera
    if equipment.source_camera is not None:
        simulator.source.camera = equipment.source_camera
    if hasattr(simulator, "lighting"):
        simulator.lighting = equipment.lighting


def as_seen(view: View, simulator: Simulator, lighting: Lighting | None) -> View:
    """The view in this light, where the simulator itself does not light what it shows."""
    return view if hasattr(simulator, "lighting") else lit(view, lighting)
