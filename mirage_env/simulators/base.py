"""What every simulator offers, imagined or true. Tasks, environments and data collection know nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array


@dataclass(frozen=True)
class Camera:
    """The agent's camera: level, ``height`` metres above the agent's feet.

    Attributes:
        resolution: image width and height in pixels (square images).
        hfov: horizontal field of view in degrees.
        height: metres above the floor.
    """

    resolution: int = 128
    hfov: float = 90.0
    height: float = 1.25

    @property
    def intrinsics(self) -> Array:
        """K (3, 3) float64."""
        return geometry.intrinsics(self.resolution, self.resolution, self.hfov)


@dataclass(frozen=True)
class FloorMotion:
    """One motion of an agent on the floor: an arc of ``forward`` metres while it turns ``turn`` radians to the left.

    The displacement points along the mean heading (yaw + turn / 2), and is subject to collisions; turns never collide.
    ``left`` metres are added to it at right angles to that heading: wheels slip sideways.
    """

    forward: float = 0.0
    turn: float = 0.0
    left: float = 0.0


@dataclass(frozen=True)
class CameraMotion:
    """One free motion of the camera, without collisions: ``T_camera_next`` (4, 4) is the next camera in this one."""

    T_camera_next: Array = field(default_factory=lambda: np.eye(4))


Motion = FloorMotion | CameraMotion


@dataclass(frozen=True)
class AgentStart:
    """Where an agent begins: feet position (x, y, z) in metres and yaw in radians."""

    position: tuple[float, float, float]
    yaw: float


class View(Protocol):
    """What a camera sees. True simulators give this much; an imagined ``Frame`` gives more."""

    @property
    def rgb(self) -> Array:
        """Image (H, W, 3) uint8."""
        ...

    @property
    def depth(self) -> Array:
        """z-depth (H, W) float32 in metres, 0 where nothing is hit."""
        ...

    @property
    def pose(self) -> Array:
        """T_world_camera (4, 4) float32."""
        ...


@dataclass(frozen=True)
class CameraView:
    """A true view, rendered."""

    rgb: Array
    depth: Array
    pose: Array


@runtime_checkable
class Simulator(Protocol):
    """A world with an agent in it. Positions are feet positions (3,) in metres, world frame."""

    camera: Camera
    agent_radius: float
    allow_sliding: bool

    def reset(self, scene: Any = None, start: AgentStart | None = None) -> View:
        """Open a scene (None: keep the present one); the agent begins at ``start`` (None: the scene's default)."""
        ...

    def step(self, motion: Motion) -> tuple[View, bool]:
        """Move the agent; the new view, and whether it collided (moved less than asked)."""
        ...

    def snapshot(self) -> Any:
        """The whole state as a value; ``restore`` returns to it any number of times."""
        ...

    def restore(self, snapshot: Any) -> View: ...

    def is_navigable(self, position: Array) -> bool: ...

    def geodesic_distance(self, a: Array, b: Array) -> float:
        """Metres along the floor from a to b; ``inf`` where there is no way."""
        ...

    def sample_navigable_point(self, rng: np.random.Generator) -> Array: ...

    def close(self) -> None: ...
