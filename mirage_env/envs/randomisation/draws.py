"""What is drawn for an episode and for its steps.

Every draw follows from the seed of the randomisation, that of the episode and the number of the step alone: there is no
generator to keep, so a restored environment goes on as it did, and episodes are those of the plain environment.
"""

from __future__ import annotations

import math

import numpy as np

from mirage_env import geometry
from mirage_env.envs.randomisation.actuation import with_errors
from mirage_env.envs.randomisation.settings import Randomisation
from mirage_env.geometry import Array
from mirage_env.lighting import Lighting
from mirage_env.simulators.base import FloorMotion, Motion

_HEIGHT, _HFOV, _LIGHT, _MOTION, _POSE = range(5)
"""What a draw is for. Each has numbers of its own, so that leaving one out changes none of the others."""


def drawn_camera(what: Randomisation, episode: int) -> dict[str, float]:
    """``height`` in metres and ``hfov`` in degrees of the camera in this episode, as far as they are randomised."""
    ranges = {"height": (what.camera_height, _HEIGHT), "hfov": (what.hfov, _HFOV)}
    return {
        name: float(_generator(what, episode, purpose).uniform(*given))
        for name, (given, purpose) in ranges.items()
        if given is not None
    }


def drawn_lighting(what: Randomisation, episode: int) -> Lighting | None:
    """The light in this episode; None: as it is."""
    if what.lighting is None:
        return None
    low, high = zip(what.lighting.brightness, what.lighting.contrast, what.lighting.temperature, strict=True)
    return Lighting(*_generator(what, episode, _LIGHT).uniform(low, high).tolist())


def executed(what: Randomisation, motion: Motion, episode: int, step: int) -> Motion:
    """The motion that the agent makes when this one is asked for, in a step counted from 0."""
    still = not isinstance(motion, FloorMotion) or not (motion.forward or motion.turn)
    if what.actuation is None or still:
        return motion
    assert isinstance(motion, FloorMotion)
    return with_errors(motion, what.actuation.errors(motion, _generator(what, episode, _MOTION, step)))


def sensed(what: Randomisation, pose: Array, episode: int, step: int) -> Array:
    """T_world_camera (4, 4) where the agent's sensors say that the camera is, after so many steps."""
    noise = what.pose_noise
    if noise is None:
        return pose
    x, z, turn = _generator(what, episode, _POSE, step).standard_normal(3)
    believed = np.array(pose, dtype=np.float64)
    believed[:3, :3] = geometry.rotation_y(math.radians(noise.heading_deg) * turn) @ believed[:3, :3]
    believed[:3, 3] += noise.position * np.array([x, 0.0, z])
    return believed


def _generator(what: Randomisation, episode: int, purpose: int, step: int = 0) -> np.random.Generator:
    """The stream of this purpose and step: Philox counts draws in its first word and takes the rest as given."""
    return np.random.Generator(np.random.Philox(key=[int(what.seed), episode], counter=[0, step, purpose, 0]))
