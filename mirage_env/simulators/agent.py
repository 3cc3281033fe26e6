"""Where an agent is, and where its motions take it: nothing about what it sees."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, CameraMotion, FloorMotion, Motion


class Place(NamedTuple):
    """Where an agent is.

    Attributes:
        position: feet (x, y, z) in metres.
        yaw: radians in [-pi, pi].
        free_pose: T_world_camera as 16 numbers, row by row, while the camera is not where a level agent carries it.
    """

    position: tuple[float, float, float]
    yaw: float
    free_pose: tuple[float, ...] | None = None

    def pose(self, camera_height: float) -> Array:
        """T_world_camera (4, 4) float64."""
        if self.free_pose is not None:
            return np.array(self.free_pose).reshape(4, 4)
        return geometry.camera_pose(self.position, self.yaw, camera_height)

    @classmethod
    def of_camera(cls, pose: Array, camera_height: float) -> Place:
        """The place of an agent below a camera T_world_camera (4, 4)."""
        (x, y, z), yaw = geometry.agent_pose(pose, camera_height)
        place = cls((float(x), float(y), float(z)), yaw)
        level = np.allclose(place.pose(camera_height), pose, atol=1e-6)
        return place if level else place._replace(free_pose=tuple(np.asarray(pose, dtype=np.float64).ravel().tolist()))


class Proposal(NamedTuple):
    """Where a motion leads: the place, its camera T_world_camera (4, 4) float64, and whether the agent collided."""

    place: Place
    pose: Array
    collided: bool


class Floor(Protocol):
    """What an agent walks on; see ``GridNavigation``."""

    def snap(self, position: Any) -> Array: ...

    def move(self, position: Any, displacement: Any, allow_sliding: bool = True) -> tuple[Array, bool]: ...


def go(
    navigation: Floor,
    place: Place,
    motion: Motion,
    floor_height: float | None,
    camera_height: float,
    sliding: bool,
) -> Proposal:
    """Where a motion takes an agent; looks at nothing but the floor.

    A ``FloorMotion`` of a camera that was moved freely goes on from the nearest free floor below it, level again: at
    ``floor_height``, or, where floors have several (None), from the one nearest to its feet.

    Raises:
        TypeError, ValueError: one sentence on a motion that makes no sense.
    """
    if isinstance(motion, FloorMotion):
        check_finite(motion)
        at, collided = np.array(place.position), False
        if place.free_pose is not None:
            at = navigation.snap((at[0], at[1] if floor_height is None else floor_height, at[2]))
        if motion.forward or motion.left:
            way = geometry.arc_displacement(place.yaw, motion.forward, motion.turn, motion.left)
            at, collided = navigation.move(at, way, sliding)
        moved = Place(_three(at), math.remainder(place.yaw + motion.turn, math.tau))
        return Proposal(moved, moved.pose(camera_height), collided)
    if isinstance(motion, CameraMotion):
        change = geometry.check_pose(motion.T_camera_next, "T_camera_next")
        if change.shape != (4, 4):
            raise ValueError(f"T_camera_next must be one 4x4 matrix, got shape {change.shape}")
        pose = place.pose(camera_height) @ change
        below, yaw = geometry.agent_pose(pose, camera_height)
        return Proposal(Place(_three(below), yaw, tuple(pose.ravel().tolist())), pose, False)
    raise TypeError(f"a motion must be a FloorMotion or a CameraMotion, got {type(motion).__name__}")


def check_finite(motion: FloorMotion) -> None:
    """Raise ValueError for a motion that leads nowhere."""
    if not all(map(math.isfinite, (motion.forward, motion.turn, motion.left))):
        raise ValueError(
            f"a FloorMotion must be finite, got forward {motion.forward}, turn {motion.turn} and left {motion.left}"
        )


def checked_start(start: Any) -> tuple[tuple[float, float, float], float]:
    """Feet position and yaw of an ``AgentStart``.

    Raises:
        TypeError, ValueError: it is none, or not finite.
    """
    if not isinstance(start, AgentStart):
        raise TypeError(f"start must be an AgentStart(position, yaw), got {type(start).__name__}")
    position = np.asarray(start.position, dtype=np.float64)
    if position.shape != (3,) or not np.isfinite(position).all() or not math.isfinite(start.yaw):
        raise ValueError(f"a start needs three finite coordinates and a finite yaw, got {start}")
    return _three(position), float(start.yaw)


def _three(point: Array) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])
