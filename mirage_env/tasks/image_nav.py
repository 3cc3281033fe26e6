"""Image-goal navigation: go to where a picture was taken, and say so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.images import fit_square
from mirage_env.simulators.base import AgentStart, Simulator, View
from mirage_env.tasks.episode import Episode, check_distance
from mirage_env.tasks.measures import SUCCESS_DISTANCE, success
from mirage_env.tasks.point_nav import PointNav
from mirage_env.tasks.progress import Progress


class GoalView(NamedTuple):
    """What the agent is shown of its goal.

    Attributes:
        image: (H, W, 3) uint8.
        yaw: () float64, radians, which way its camera looks; NaN where the image is one's own.
    """

    image: Array
    yaw: Array


@dataclass(frozen=True)
class ImageNav(PointNav):
    """Come within ``success_distance`` of where the goal image was taken and call stop. See ``PointNav``.

    The goal image is the view of the agent's own camera from the goal: a true one where there is a true scene, even if
    the agent's world is imagined; where a world began with an image alone, one imagined on a fork of it. Which way it
    looks is the episode's ``goal_yaw``, else drawn. An episode may also bring an image of its own.

    1 m is the field's rule (Zhu et al. 2017; Habitat's ImageNav). ``info`` has the stricter one beside it:
        success_strict: whether stop was called within 0.2 m of the goal, as in PointNav.
    """

    name: ClassVar[str] = "ImageNav"
    has_goal_image: ClassVar[bool] = True

    success_distance: float = 1.0
    min_distance: float = 1.5
    max_distance: float = 10.0

    @classmethod
    def within(cls, success_distance: float) -> ImageNav:
        """The task with this ``success_distance``; goals that are sampled lie further off, at least 1.5 m."""
        if not (isinstance(success_distance, int | float) and 0 < success_distance < cls.max_distance / 1.5):
            most = cls.max_distance / 1.5
            raise ValueError(f"success_distance must be above 0 and below {most:.1f} metres, got {success_distance!r}")
        return cls(float(success_distance), min_distance=max(cls.min_distance, 1.5 * success_distance))

    def sample_episode(
        self,
        simulator: Simulator,
        scene: Any,
        rng: np.random.Generator,
        start: AgentStart | None = None,
        goal: Array | None = None,
    ) -> Episode:
        """As in ``PointNav``; with both given, they are at least ``success_distance`` apart."""
        episode = super().sample_episode(simulator, scene, rng, start, goal)
        check_distance(episode.geodesic_distance, self.success_distance)
        return episode

    def begin(
        self, simulator: Simulator, source: Simulator | None, view: View, episode: Episode, rng: np.random.Generator
    ) -> GoalView:
        """The goal's view. It is drawn which way it looks even where that is not asked for, so that what is drawn next
        is the same."""
        assert episode.goal is not None
        drawn, camera = float(rng.uniform(-math.pi, math.pi)), simulator.camera
        if episode.goal_image is not None:
            return _goal_view(fit_square(episode.goal_image, camera.resolution), math.nan)
        yaw = drawn if episode.goal_yaw is None else episode.goal_yaw
        pose = geometry.camera_pose(episode.goal, yaw, camera.height)
        return _goal_view(_seen_from(simulator, source, pose), yaw)

    def loaded(self, arrays: dict[str, Array]) -> GoalView:
        image, yaw = arrays["image"], arrays["yaw"]
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or yaw.shape != () or len(arrays) != 2:
            raise ValueError("its goal is no image (H, W, 3) uint8 with one yaw")
        return _goal_view(image, float(yaw))

    def measures(self, now: Progress) -> dict[str, Any]:
        return {"success_strict": success(now.stopped, now.distance, SUCCESS_DISTANCE)}


def _goal_view(image: Array, yaw: float) -> GoalView:
    view = GoalView(np.array(image), np.array(yaw))
    for array in view:
        array.flags.writeable = False
    return view


def _seen_from(simulator: Any, source: Any, pose: Array) -> Array:
    """The image (H, W, 3) from T_world_camera (4, 4): of the true scene, if there is one."""
    if source is None:
        return simulator.view_from(pose).rgb
    if not hasattr(source, "render_views"):
        raise TypeError(f"ImageNav sees its goals by render_views of the simulator; {type(source).__name__} has none")
    return source.render_views(pose[None])[0][0]
