"""What the world loop shows itself: views along recorded trajectories, imagined step by step and written back.

A network that only ever saw clean memories drifts once its own output comes back to it. Rollouts of the model trained
so far, set beside the truth, are what it is trained on next (in the way of DAgger, Ross et al. 2011).
"""

from __future__ import annotations

import math

import torch
from tqdm import tqdm

from mirage_env import depth as depths
from mirage_env.frame import Frame, to_uint8
from mirage_env.geometry import Array
from mirage_env.state import WorldState
from mirage_env.training.frames import Trajectories, View
from mirage_env.training.readouts import Readouts, whole_trajectory
from mirage_env.training.warp import grid_intrinsics
from mirage_env.world import WorldModel

_WORLDS = 8


@torch.no_grad()
def make_rollouts(frames: Trajectories, world: WorldModel, per_episode: int, steps: int, seed: int) -> Readouts:
    """``per_episode`` views of a rollout of ``steps`` steps through every trajectory, beside the truth.

    Worlds start from one view or from two, half of them with true depth, at a random frame.

    ValueError for trajectories of fewer than two frames.
    """
    if frames.length < 2:
        raise ValueError(f"rollouts need trajectories of at least 2 frames, got {frames.length}")
    steps = min(steps, frames.length - 1)
    parts = []
    for first in tqdm(range(0, frames.episodes, _WORLDS), desc="rollouts", unit=f"{_WORLDS} episodes"):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + first)
        episodes = range(first, min(first + _WORLDS, frames.episodes))
        views = [whole_trajectory(frames, episode, generator) for episode in episodes]
        begins = [int(torch.randint(frames.length - steps, (), generator=generator)) for _ in views]
        states = [_start(world, view, k, generator) for view, k in zip(views, begins, strict=True)]
        wanted = [set((torch.randperm(steps, generator=generator)[:per_episode] + 1).tolist()) for _ in views]
        for step in range(1, steps + 1):
            poses = torch.stack([view.pose[k + step] for view, k in zip(views, begins, strict=True)])
            states, shown = world.step_batch(states, poses.numpy())
            for view, k, chosen, frame in zip(views, begins, wanted, shown, strict=True):
                if step in chosen:
                    parts.append(_beside_truth(world, view, k + step, frame))
    return Readouts.concatenate(parts)


def _start(world: WorldModel, view: View, at: int, generator: torch.Generator) -> WorldState:
    rgb: Array = to_uint8(view.rgb[at : at + 1])[0]
    K = view.intrinsics[at]
    hfov = math.degrees(2 * math.atan(rgb.shape[1] / 2 / float(K[0, 0])))
    depth = view.depth[at].numpy() if torch.rand((), generator=generator) < 0.5 else None
    seed = int(torch.randint(2**31, (), generator=generator))
    state = world.start(rgb, hfov, depth, view.pose[at].numpy(), seed, resolution=rgb.shape[1])
    other = int(torch.randint(len(view.rgb), (), generator=generator))
    if torch.rand((), generator=generator) < 0.3:
        more = None if depth is None else view.depth[other].numpy()
        state = world.observe(state, to_uint8(view.rgb[other : other + 1])[0], view.pose[other].numpy(), more)
    return state


def _beside_truth(world: WorldModel, view: View, at: int, frame: Frame) -> Readouts:
    latents = world.codec.encode(view.rgb[at : at + 1])
    visible = frame.visible[None]
    return Readouts(
        latents=latents,
        depth=depths.to_grid(view.depth[at : at + 1], world.codec.stride),
        readout=frame.memory[None],
        readout_depth=frame.grid_depth[None] * visible,
        visible=visible,
        imagined=frame.imagined[None] * visible,
        shown=frame.latents[None],
        intrinsics=grid_intrinsics(view.intrinsics[at : at + 1], world.codec.stride),
    ).half()
