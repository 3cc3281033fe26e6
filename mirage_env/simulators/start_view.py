"""The view that an imagined world begins with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirage_env import geometry
from mirage_env.images import load_image
from mirage_env.simulators.base import AgentStart


@dataclass(frozen=True, eq=False)
class StartView:
    """What an imagined world begins with.

    Attributes:
        image: (H, W, 3) uint8, a PIL image or a file name.
        hfov: its horizontal field of view in degrees; None: that of the simulator's camera.
        depth: its z-depth (H, W) in metres, 0 = unknown; None: estimated.
        pose: T_world_camera (4, 4) of the camera that took it; None: level, above the origin, facing -Z.
        camera_height: metres above the floor at which that camera was; None: that of the simulator's camera.
    """

    image: Any
    hfov: float | None = None
    depth: Any = None
    pose: Any = None
    camera_height: float | None = None


def posed(view: StartView, start: AgentStart | None, camera_height: float) -> StartView:
    """The view with its image loaded and its pose told, at this height (metres) above where the agent starts.

    Raises:
        TypeError, ValueError, FileNotFoundError: one sentence on an image, pose or start that makes no sense.
    """
    if start is not None:
        if view.pose is not None:
            raise ValueError("a StartView with a pose says where the agent is; leave out start")
        if not isinstance(start, AgentStart):
            raise TypeError(f"start must be an AgentStart(position, yaw), got {type(start).__name__}")
        if not np.isfinite([*start.position, start.yaw]).all():
            raise ValueError(f"a start needs three finite coordinates and a finite yaw, got {start}")
        pose = geometry.camera_pose(start.position, start.yaw, camera_height)
    elif view.pose is None:
        pose = geometry.camera_pose((0.0, 0.0, 0.0), 0.0, camera_height)
    else:
        pose = geometry.check_pose(view.pose)
        if pose.shape != (4, 4):
            raise ValueError(f"the pose of a StartView must be one 4x4 matrix, got shape {pose.shape}")
    return dataclasses.replace(view, image=load_image(view.image), pose=pose)
