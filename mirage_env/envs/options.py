"""The options of ``reset``, checked before anything happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.images import load_depth, load_image
from mirage_env.simulators.base import AgentStart
from mirage_env.tasks.task import Task

if TYPE_CHECKING:
    from mirage_env.envs.playlist import Playlist

OPTIONS = ("scene", "pose", "goal", "image", "depth", "hfov", "episode", "goal_image")


@dataclass(frozen=True, eq=False)
class ResetOptions:
    """How an episode is to begin; None: the environment chooses.

    Attributes:
        scene: what ``Simulator.reset`` takes.
        pose: T_world_camera (4, 4) of the start camera; level, if no image is given.
        goal: (3,) on the floor, metres, world frame.
        image: (H, W, 3) uint8 that the world begins with.
        depth: its z-depth (H, W) in metres, 0 = unknown.
        hfov: its field of view in degrees.
        episode: index into the playlist.
        goal_image: (H, W, 3) uint8 that the agent is shown of its goal.
    """

    scene: Any = None
    pose: Array | None = None
    goal: Array | None = None
    image: Array | None = None
    depth: Array | None = None
    hfov: float | None = None
    episode: int | None = None
    goal_image: Array | None = None

    def start(self, camera_height: float) -> AgentStart | None:
        """The agent whose camera is at ``pose``."""
        if self.pose is None:
            return None
        (x, y, z), yaw = geometry.agent_pose(self.pose, camera_height)
        return AgentStart((float(x), float(y), float(z)), yaw)


def check_options(
    options: Mapping[str, Any] | None, task: Task, imagined: bool, playlist: Playlist | None = None
) -> ResetOptions:
    """The options as values of the right kind.

    Args:
        options: of ``reset``; None values count as absent.
        task: decides whether there is a goal.
        imagined: whether the world is imagined, so that it can begin with an image.
        playlist: the episodes of a file that are played, if any.

    Raises:
        TypeError, ValueError, FileNotFoundError: one sentence on the first thing that is wrong.
    """
    if options is None:
        return ResetOptions()
    if not isinstance(options, Mapping):
        raise TypeError(f"options of reset must be a dictionary, got {type(options).__name__}")
    unknown = [str(name) for name in options if name not in OPTIONS]
    if unknown:
        raise ValueError(f"unknown reset option {', '.join(map(repr, unknown))}; valid are {', '.join(OPTIONS)}")
    given = {name: value for name, value in options.items() if value is not None}
    if playlist is not None:
        return _of_playlist(given, playlist)
    if "episode" in given:
        raise ValueError('episodes can be picked only from a file of them; make the environment with episodes="..."')
    if "image" in given and not imagined:
        raise ValueError('a world can begin with an image only when it is imagined; use simulator="mirage"')
    if "image" in given and "scene" in given:
        raise ValueError("an episode begins with an image or in a scene; give one of the two options")
    described = [name for name in ("depth", "hfov") if name in given]
    if described and "image" not in given:
        raise ValueError(f"{' and '.join(described)} can only describe an image; give the option image, too")
    if "goal" in given:
        given["goal"] = _check_goal(given["goal"], task)
    if "goal_image" in given:
        given["goal_image"] = _check_goal_image(given["goal_image"], task, "goal" in given)
    if "pose" in given:
        given["pose"] = _check_start_pose(given["pose"], level="image" not in given)
    if "image" in given:
        given["image"] = load_image(given["image"])
    if "depth" in given:
        given["depth"] = load_depth(given["depth"], given["image"].shape[:2])
    if "hfov" in given:
        geometry.check_hfov(given["hfov"])
        given["hfov"] = float(given["hfov"])
    return ResetOptions(**given)


def _of_playlist(given: dict[str, Any], playlist: Playlist) -> ResetOptions:
    others = [repr(name) for name in given if name != "episode"]
    if others:
        raise ValueError(
            f"the episodes of a file say how each begins: the option episode picks one, {', '.join(others)} would "
            "contradict it"
        )
    return ResetOptions(episode=playlist.find(given["episode"]) if given else None)


def _check_goal(goal: Any, task: Task) -> Array:
    if not task.has_goal:
        raise ValueError(f"{task.name} has no goal; leave the option goal out, or use Mirage/PointNav-v0")
    try:
        point = np.asarray(goal, dtype=np.float64)
    except (TypeError, ValueError):
        point = np.empty(0)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise ValueError(f"goal must be three finite coordinates (x, y, z) in metres on the floor, got {goal!r}")
    return point


def _check_goal_image(image: Any, task: Task, has_place: bool) -> Array:
    if not task.has_goal_image:
        raise ValueError(f"{task.name} shows no goal image; leave the option goal_image out, or use Mirage/ImageNav-v0")
    if not has_place:
        raise ValueError("a goal_image says nothing of where it was taken; give the option goal (x, y, z), too")
    return load_image(image)


def _check_start_pose(pose: Any, level: bool) -> Array:
    T = geometry.check_pose(pose)
    if T.shape != (4, 4):
        raise ValueError(f"pose must be one 4x4 matrix T_world_camera, got shape {T.shape}")
    if level and not np.allclose(T[:3, 1], [0.0, -1.0, 0.0], atol=1e-3):
        raise ValueError("the start camera must be level: the second column of its pose must begin with (0, -1, 0)")
    return T
