"""How an episode begins that no file lists."""

from __future__ import annotations

import dataclasses

import numpy as np

from mirage_env import geometry
from mirage_env.envs.options import ResetOptions
from mirage_env.envs.worlds import begin_with_image, episode_source
from mirage_env.simulators.base import Camera, Simulator, View
from mirage_env.tasks.episode import Episode, three
from mirage_env.tasks.task import Task


def begin_episode(
    simulator: Simulator, task: Task, asked: ResetOptions, camera: Camera, rng: np.random.Generator
) -> tuple[View, Episode, Simulator | None]:
    """Begin what the options of a reset ask for.

    Args:
        camera: the one that the options speak of, whatever was drawn for the simulator's.
        rng: decides the scene, start and goal.

    Returns:
        The first view, the episode, and the true simulator with its scene open; None where a world began with an image.

    Raises:
        ValueError: one sentence on an episode that there cannot be.
    """
    source = episode_source(simulator)
    if asked.image is not None or source is None:
        view = simulator.reset() if asked.image is None else begin_with_image(simulator, asked, camera)
        position, _ = geometry.agent_pose(view.pose, simulator.camera.height)
        goal = task.choose_goal(simulator, position, rng, asked.goal)
        return view, Episode(None, None, None if goal is None else three(goal), goal_image=asked.goal_image), None
    scene = asked.scene
    scenes = getattr(source, "scenes", None)
    if scene is None and scenes is not None:
        scene = scenes[int(rng.integers(len(scenes)))]
    episode = task.sample_episode(source, scene, rng, asked.start(camera.height), asked.goal)
    view = simulator.reset(scene, episode.start)
    right = view.pose[1, 3] - simulator.camera.height + camera.height
    if asked.pose is not None and abs(right - asked.pose[1, 3]) > 0.01:
        raise ValueError(
            f"the start camera must be camera_height = {camera.height} m above the floor; its pose says "
            f"y = {asked.pose[1, 3]:.2f} m, where {right:.2f} m would be right"
        )
    return view, dataclasses.replace(episode, goal_image=asked.goal_image), source
