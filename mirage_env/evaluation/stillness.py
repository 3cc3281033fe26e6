"""Whether a picture stands still while the camera does, and is the same again after the camera turned right round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirage_env import geometry
from mirage_env.evaluation.metrics import psnr
from mirage_env.geometry import Array
from mirage_env.state import WorldState
from mirage_env.world import Imagine, WorldModel

STEPS = 32
"""Of standing still."""


@dataclass(frozen=True)
class Stillness:
    """N steps at one pose.

    Attributes:
        rgb: the first view, and those of the steps (N + 1, H, W, 3) uint8.
        to_first: PSNR in dB (N,) of each step's view against the first; infinite where they are equal.
        to_previous: against the one before.
        written: tokens that the steps added to the memory.
    """

    rgb: Array
    to_first: Array
    to_previous: Array
    written: int

    def summary(self) -> dict[str, float]:
        """``last_to_first``, the least of both series, and how many tokens were written."""
        return {
            "last_to_first": float(self.to_first[-1]),
            "least_to_first": float(self.to_first.min()),
            "least_to_previous": float(self.to_previous.min()),
            "written": float(self.written),
        }


def stand_still(
    world: WorldModel, state: WorldState, pose: Any = None, steps: int = STEPS, imagine: Imagine = "new"
) -> Stillness:
    """Step to one pose again and again.

    Args:
        state: a world; it stays as it is.
        pose: T_world_camera (4, 4) of the camera; None: that of the state. Where it is elsewhere, or the state's last
            view came from another camera, the first view is that of one step there, which is not counted.
        steps: at least 1.
        imagine: see ``WorldModel.step_batch``.

    Raises:
        ValueError: fewer than one step, or a pose that is not one.
    """
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise ValueError(f"standing still takes a whole number of steps, at least 1, got {steps!r}")
    pose = state.pose if pose is None else geometry.check_pose(pose)
    if np.allclose(pose, state.pose, atol=1e-6) and state.latents.ndim == 3:
        frame = world.frame(state)
    else:
        state, frame = world.step(state, pose, imagine)
    views, tokens = [frame.rgb], len(state.memory)
    for _ in range(steps):
        state, frame = world.step(state, pose, imagine)
        views.append(frame.rgb)
    rgb = np.stack(views)
    return Stillness(
        rgb=rgb,
        to_first=psnr(rgb[1:], np.broadcast_to(rgb[:1], rgb[1:].shape)),
        to_previous=psnr(rgb[1:], rgb[:-1]),
        written=len(state.memory) - tokens,
    )


@dataclass(frozen=True)
class Revisit:
    """The views of one turn on the spot, seen twice.

    Attributes:
        first, second: (N, H, W, 3) uint8 at the same headings, the first of them where the turn began.
        again: PSNR in dB (N,) of the second against the first; infinite where they are equal.
    """

    first: Array
    second: Array
    again: Array

    def summary(self) -> dict[str, float]:
        """``start``: at the heading where the turn began; ``mean``, ``least`` over all headings (of finite values)."""
        finite = self.again[np.isfinite(self.again)]
        return {
            "start": float(self.again[0]),
            "mean": float(finite.mean()) if len(finite) else math.inf,
            "least": float(self.again.min()),
        }


def turn_on_the_spot(world: WorldModel, state: WorldState, turns: int = 36, imagine: Imagine = "new") -> Revisit:
    """Turn right round to the left on the spot, then once more, and compare what is seen at the same headings.

    Args:
        state: a world; it stays as it is. The turn begins at its pose, about the world's vertical.
        turns: per round, at least 2.
        imagine: see ``WorldModel.step_batch``.
    """
    if isinstance(turns, bool) or not isinstance(turns, int | np.integer) or turns < 2:
        raise ValueError(f"a turn on the spot takes a whole number of steps, at least 2, got {turns!r}")
    poses = np.repeat(np.asarray(state.pose, dtype=np.float64)[None], turns, axis=0)
    for k in range(turns):
        poses[k, :3, :3] = geometry.rotation_y(math.tau * k / turns) @ poses[k, :3, :3]
    views = []
    for pose in [*poses, *poses]:
        state, frame = world.step(state, pose, imagine)
        views.append(frame.rgb)
    first, second = np.stack(views[:turns]), np.stack(views[turns:])
    return Revisit(first, second, psnr(second, first))
