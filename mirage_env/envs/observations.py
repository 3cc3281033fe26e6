"""What an agent sees: one space and one function per key.

    key        as an array        content
    rgb        (H, W, 3) uint8    the view; decoded only if asked for
    depth      (H, W) float32     z-depth in metres, 0 = unknown
    latent     (C, h, w) float32  latents of the view
    memory     (C, h, w) float32  what the memory showed of it before anything was imagined; 0 where not visible
    visible    (h, w) uint8       1 where the memory showed something
    pointgoal  (2,) float32       distance in metres and angle in radians (positive: left) to the goal, in the floor
                                  plane and the agent's frame (Habitat's pointgoal_with_gps_compass)
    imagegoal  (H, W, 3) uint8    the view at the goal, the same through an episode; of ImageNav
    goal_latent (C, h, w) float32 latents of that view, for policies that look at latents; of ImageNav
    pose       (4, 4) float32     T_start_camera: the camera in the frame of the episode's first camera
    local_map  (3, 32, 32) uint8  what the agent remembers of the floor around it, 8 m square, itself in the middle and
                                  looking up: floor that it saw, what stands there, where it was. See ``local_map``
    goal_place (3,) float32       where in what it has seen its goal's picture was taken: distance, angle (as in
                                  pointgoal), and the probability that this is right within 1 m; zeros while nothing
                                  speaks for any place; of ImageNav. See ``mirage_env.tasks.goal_place``
    odometry   (3,) float32       what the last step did, in the floor plane: metres ahead, metres to the left, radians
                                  to the left; zeros where the agent was blocked, and before the first step

``flatten`` makes a vector of everything that is no image, row by row (``numpy.ravel``): learning libraries take arrays
with two or three axes for images, and stable-baselines3's checker warns about those that are not uint8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from mirage_env import geometry
from mirage_env.envs.local_map import SHAPE, local_map
from mirage_env.geometry import Array
from mirage_env.models.recognition import Recognition
from mirage_env.tasks.goal_place import Picture, place_of
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.task import Task

MAX_DEPTH = 100.0
MAX_DISTANCE = 1000.0
MAX_LATENT = 100.0
"""Bounds of the spaces, in metres, metres and standard deviations; observations are clipped to them."""


class Layout(NamedTuple):
    """Sizes of observations.

    Attributes:
        resolution: height and width of views in pixels.
        channels: of latents; None without a model.
        grid: height and width of the latent grid in cells; None without a model.
        encode: the model's, an image (H, W, 3) uint8 to its latents (C, h, w); None without a model.
        recognition: the model's; None without one.
        surfaces: of an image (H, W, 3) uint8 that the agent's camera took; None without ``recognition``.
    """

    resolution: int
    channels: int | None = None
    grid: int | None = None
    encode: Callable[[Array], Array] | None = None
    recognition: Recognition | None = None
    surfaces: Callable[[Array], Picture] | None = None


class Moment(NamedTuple):
    """What there is to observe.

    Attributes:
        view: a ``View``, for latent keys one with latents, memory and visible.
        episode: so far.
        camera_height: metres.
        sensed: T_world_camera (4, 4) as the agent's sensors tell it; None: that of the view.
        left: T_world_camera (4, 4) as they told it before the last step; None before the first.
    """

    view: Any
    episode: Progress
    camera_height: float
    sensed: Array | None = None
    left: Array | None = None

    @property
    def pose(self) -> Array:
        """T_world_camera (4, 4) as far as the agent knows."""
        return self.view.pose if self.sensed is None else self.sensed


def pointgoal(pose: Array, camera_height: float, goal: Array) -> Array:
    """Distance in metres and angle in radians (2,) float32 from the agent to a goal (3,), in the floor plane.

    Args:
        pose: T_world_camera (4, 4).
        camera_height: metres.
        goal: world frame.
    """
    position, yaw = geometry.agent_pose(pose, camera_height)
    right, _, back = geometry.rotation_y(yaw).T @ (np.asarray(goal, dtype=np.float64) - position)
    return np.array([min(math.hypot(right, back), MAX_DISTANCE), math.atan2(-right, -back)], dtype=np.float32)


def odometry(left: Array, pose: Array) -> Array:
    """Metres ahead, metres to the left, and radians to the left (3,) float32 between two poses, on the floor.

    Args:
        left, pose: T_world_camera (4, 4) before and after.
    """
    (before, yaw), (after, turned) = (geometry.agent_pose(one, 0.0) for one in (left, pose))
    right, _, back = geometry.rotation_y(yaw).T @ (after - before)
    turn = math.remainder(turned - yaw, math.tau)
    return np.clip([-back, -right, turn], -MAX_DISTANCE, MAX_DISTANCE).astype(np.float32)


def _rgb(moment: Moment) -> Array:
    return np.array(moment.view.rgb, dtype=np.uint8)


def _depth(moment: Moment) -> Array:
    return np.clip(moment.view.depth, 0.0, MAX_DEPTH, dtype=np.float32)


def _latent(moment: Moment) -> Array:
    return np.clip(moment.view.latents.cpu().numpy(), -MAX_LATENT, MAX_LATENT, dtype=np.float32)


def _memory(moment: Moment) -> Array:
    return np.clip(moment.view.memory.cpu().numpy(), -MAX_LATENT, MAX_LATENT, dtype=np.float32)


def _visible(moment: Moment) -> Array:
    return moment.view.visible.cpu().numpy().astype(np.uint8)


def _pointgoal(moment: Moment) -> Array:
    assert moment.episode.goal is not None
    return pointgoal(moment.pose, moment.camera_height, moment.episode.goal)


def _imagegoal(moment: Moment) -> Array:
    return np.array(moment.episode.state.image)


def _of_goal_image(found: Callable[[Array], Any]) -> Callable[[Moment], Any]:
    """Reads what is found in the goal image, when an episode's first observation asks for it."""
    known: list[tuple[Array, Any]] = []

    def read(moment: Moment) -> Any:
        image = moment.episode.state.image
        if not known or known[0][0] is not image:
            known[:] = [(image, found(image))]
        return known[0][1]

    return read


def _goal_latent(layout: Layout) -> Callable[[Moment], Array]:
    assert layout.encode is not None
    latents = _of_goal_image(layout.encode)
    return lambda moment: np.clip(latents(moment), -MAX_LATENT, MAX_LATENT, dtype=np.float32)


def _goal_place(layout: Layout) -> Callable[[Moment], Array]:
    recognition = layout.recognition
    assert layout.surfaces is not None and recognition is not None
    surfaces = _of_goal_image(layout.surfaces)

    def read(moment: Moment) -> Array:
        assert moment.episode.surfaces is not None
        place = place_of(surfaces(moment), moment.episode.surfaces, recognition)
        if place is None:
            return np.zeros(3, dtype=np.float32)
        there = np.array([place.position[0], 0.0, place.position[1]])
        return np.append(pointgoal(moment.pose, moment.camera_height, there), np.float32(place.trust))

    return read


def _pose(moment: Moment) -> Array:
    T_start_camera = geometry.invert(moment.episode.start_pose.astype(np.float64)) @ moment.pose
    return np.clip(T_start_camera, -MAX_DISTANCE, MAX_DISTANCE).astype(np.float32)


def _odometry(moment: Moment) -> Array:
    return np.zeros(3, dtype=np.float32) if moment.left is None else odometry(moment.left, moment.pose)


def _local_map(moment: Moment) -> Array:
    assert moment.episode.floor is not None
    return local_map(moment.episode.floor, moment.pose, moment.camera_height)


def _image_box(layout: Layout) -> spaces.Box:
    return spaces.Box(0, 255, (layout.resolution, layout.resolution, 3), np.uint8)


def _latent_box(layout: Layout) -> spaces.Box:
    assert layout.channels is not None and layout.grid is not None
    return spaces.Box(-MAX_LATENT, MAX_LATENT, (layout.channels, layout.grid, layout.grid), np.float32)


def _visible_box(layout: Layout) -> spaces.Box:
    assert layout.grid is not None
    return spaces.Box(0, 1, (layout.grid, layout.grid), np.uint8)


def _depth_box(layout: Layout) -> spaces.Box:
    return spaces.Box(0.0, MAX_DEPTH, (layout.resolution, layout.resolution), np.float32)


def _pointgoal_box(layout: Layout) -> spaces.Box:
    high = np.array([MAX_DISTANCE, math.pi], dtype=np.float32)
    return spaces.Box(np.array([0.0, -high[1]], dtype=np.float32), high, dtype=np.float32)


def _pose_box(layout: Layout) -> spaces.Box:
    return spaces.Box(-MAX_DISTANCE, MAX_DISTANCE, (4, 4), np.float32)


def _local_map_box(layout: Layout) -> spaces.Box:
    return spaces.Box(0, 1, SHAPE, np.uint8)


def _goal_place_box(layout: Layout) -> spaces.Box:
    high = np.array([MAX_DISTANCE, math.pi, 1.0], dtype=np.float32)
    return spaces.Box(np.array([0.0, -high[1], 0.0], dtype=np.float32), high, dtype=np.float32)


def _odometry_box(layout: Layout) -> spaces.Box:
    high = np.array([MAX_DISTANCE, MAX_DISTANCE, math.pi], dtype=np.float32)
    return spaces.Box(-high, high, dtype=np.float32)


_KEYS: dict[str, tuple[Callable[[Layout], spaces.Box], Callable[[Moment], Array]]] = {
    "rgb": (_image_box, _rgb),
    "depth": (_depth_box, _depth),
    "latent": (_latent_box, _latent),
    "memory": (_latent_box, _memory),
    "visible": (_visible_box, _visible),
    "pointgoal": (_pointgoal_box, _pointgoal),
    "pose": (_pose_box, _pose),
    "imagegoal": (_image_box, _imagegoal),
    "local_map": (_local_map_box, _local_map),
    "odometry": (_odometry_box, _odometry),
}
_OF_GOAL_IMAGES: dict[str, tuple[Callable[[Layout], spaces.Box], Callable[[Layout], Callable[[Moment], Array]]]] = {
    "goal_latent": (_latent_box, _goal_latent),
    "goal_place": (_goal_place_box, _goal_place),
}
"""Whose readers are made for one environment: they keep what they found in a picture."""
KEYS = (*_KEYS, *_OF_GOAL_IMAGES)
MEMORY_KEYS = frozenset({"memory", "visible"})
LATENT_KEYS = MEMORY_KEYS | {"latent", *_OF_GOAL_IMAGES}
GOAL_IMAGE_KEYS = frozenset({"imagegoal", *_OF_GOAL_IMAGES})
IMAGE_KEYS = frozenset({"rgb", "imagegoal"})


@dataclass(frozen=True, eq=False)
class Observations:
    """What is observed.

    Attributes:
        space: a Dict, or the Box of the one key that was named by a bare string.
        observe: new arrays that describe a moment.
        keys: what is observed, in the order given.
    """

    space: spaces.Space[Any]
    observe: Callable[[Moment], Any]
    keys: tuple[str, ...]


def check_keys(names: str | Sequence[str], task: Task) -> tuple[str, ...]:
    """The keys, in the order given; ValueError for names that do not exist and keys that the task does not have."""
    if not isinstance(names, str | Sequence):
        raise TypeError(f"observations must be a name or a sequence of names, got {type(names).__name__}")
    keys = (names,) if isinstance(names, str) else tuple(names)
    unknown = [key for key in keys if key not in KEYS]
    if unknown or not keys:
        wrong = ", ".join(map(repr, unknown)) if unknown else "no observations"
        raise ValueError(f"{'unknown observations ' if unknown else ''}{wrong}; valid are {', '.join(KEYS)}")
    if len(set(keys)) < len(keys):
        raise ValueError(f"each observation can be named once, got {', '.join(keys)}")
    of_images = [key for key in keys if key in GOAL_IMAGE_KEYS]
    if of_images and not task.has_goal_image:
        raise ValueError(
            f"{of_images[0]} is an observation of ImageNav, and {task.name} has no goal image; use Mirage/ImageNav-v0, "
            "or leave it out"
        )
    if "pointgoal" in keys and not task.has_goal:
        raise ValueError(f"pointgoal needs a goal and {task.name} has none; use Mirage/PointNav-v0, or leave it out")
    return keys


def make_observations(names: str | Sequence[str], task: Task, layout: Layout, flatten: bool = True) -> Observations:
    """The observations with these names; a bare string gives its Box alone.

    Raises:
        ValueError: see ``check_keys``; and for latent keys without a model.
    """
    keys = check_keys(names, task)
    without = LATENT_KEYS & set(keys)
    if without and layout.channels is None:
        raise ValueError(f"{', '.join(sorted(without))} need a world model; the simulator must have one")
    if "goal_place" in keys and layout.recognition is None:
        raise ValueError(
            "goal_place needs a world model that was fitted by what surfaces are known again, such as tiny; see "
            "mirage_env.training.recognition"
        )
    flat = set(keys) - IMAGE_KEYS if flatten else set()
    made = {key: (box, reader(layout)) for key, (box, reader) in _OF_GOAL_IMAGES.items() if key in keys}
    known = _KEYS | made
    boxes = {key: known[key][0](layout) for key in keys}
    boxes = {key: _flat_box(box) if key in flat else box for key, box in boxes.items()}
    readers = {key: _flattened(known[key][1]) if key in flat else known[key][1] for key in keys}
    if isinstance(names, str):
        return Observations(boxes[names], readers[names], keys)
    space = spaces.Dict(dict[str, spaces.Space[Any]](boxes))
    return Observations(space, lambda moment: {key: reader(moment) for key, reader in readers.items()}, keys)


def _flattened(reader: Callable[[Moment], Array]) -> Callable[[Moment], Array]:
    return lambda moment: reader(moment).ravel()


def _flat_box(box: spaces.Box) -> spaces.Box:
    return spaces.Box(box.low.ravel(), box.high.ravel(), dtype=box.dtype.type)
