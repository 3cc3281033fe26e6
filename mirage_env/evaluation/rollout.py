"""One walk seen twice: what is true from each pose, and what a world model imagines from the first view alone."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mirage_env import depth as depths
from mirage_env import geometry
from mirage_env.evaluation.metrics import psnr
from mirage_env.frame import Frame, from_uint8, to_uint8
from mirage_env.geometry import Array
from mirage_env.state import WorldState
from mirage_env.world import Imagine, WorldModel

_BATCH = 16


@dataclass(frozen=True)
class Rollout:
    """What was imagined along N poses; the first is where the world was started.

    Attributes:
        poses: T_world_camera (N, 4, 4) float64.
        rgb: imagined views (N, H, W, 3) uint8, the first of them the start image through the codec.
        depth: their z-depth (N, H, W) float32 in metres.
        readout: what the memory alone showed, decoded without the denoiser (N, H, W, 3); black where not ``visible``.
        visible: pixels that the memory showed before anything was imagined (N, H, W) bool.
        imagined: share (N,) of each view that no camera saw: imagined now or in an earlier step.
        tokens, nbytes: of the memory after each step (N,).
        milliseconds: of each step without decoding (N,); the first is the start.
        state: the world after the last step.
    """

    poses: Array
    rgb: Array
    depth: Array
    readout: Array
    visible: Array
    imagined: Array
    tokens: Array
    nbytes: Array
    milliseconds: Array
    state: WorldState


def roll_out(
    world: WorldModel,
    image: Any,
    poses: Any,
    *,
    hfov: float = 90.0,
    frame_hfov: float | None = None,
    resolution: int = 128,
    camera_height: float | None = None,
    depth: Any = None,
    seed: int = 0,
    imagine: Imagine = "new",
    on_step: Callable[[int], object] | None = None,
) -> Rollout:
    """Start a world from one image at the first pose and imagine it from the others, one after another.

    Args:
        image: as for ``WorldModel.start``, like the other arguments of that name.
        poses: T_world_camera (N, 4, 4).
        on_step: called with the number of the pose after each.
    """
    poses = geometry.check_pose(poses, "poses")
    if poses.ndim != 3 or len(poses) < 1:
        raise ValueError(f"a rollout needs poses of shape (N, 4, 4) with N of at least 1, got {poses.shape}")
    begin = time.perf_counter()
    state = world.start(
        image,
        hfov,
        depth,
        poses[0],
        seed,
        camera_height=camera_height,
        frame_hfov=frame_hfov,
        resolution=resolution,
    )
    milliseconds = [1000 * (time.perf_counter() - begin)]
    frames: list[Frame] = []
    tokens, nbytes = [len(state.memory)], [state.memory.nbytes]
    own_view = tuple(state.latents.shape[-2:]) == tuple(side // world.codec.stride for side in state.resolution)
    if own_view:
        frames.append(world.frame(state))
    for i in range(len(frames), len(poses)):
        begin = time.perf_counter()
        state, frame = world.step(state, poses[i], imagine)
        elapsed = 1000 * (time.perf_counter() - begin)
        if i == 0:  # the camera of the image is unlike that of the frames: looking at it is part of the start
            milliseconds[0] += elapsed
            tokens[0], nbytes[0] = len(state.memory), state.memory.nbytes
        else:
            milliseconds.append(elapsed)
            tokens.append(len(state.memory))
            nbytes.append(state.memory.nbytes)
        frames.append(frame)
        _ = frame.rgb
        if on_step is not None:
            on_step(i)
    visible = torch.stack([frame.visible for frame in frames])
    readout = decode_latents(world, torch.stack([frame.memory for frame in frames]))
    shown = pixels_of(visible, world.codec.stride)
    return Rollout(
        poses=poses,
        rgb=np.stack([frame.rgb for frame in frames]),
        depth=np.stack([frame.depth for frame in frames]),
        readout=np.where(shown[..., None], readout, 0).astype(np.uint8),
        visible=shown,
        imagined=np.array([frame.imagined_fraction for frame in frames]),
        tokens=np.array(tokens),
        nbytes=np.array(nbytes),
        milliseconds=np.array(milliseconds),
        state=state,
    )


def without_memory(world: WorldModel, rollout: Rollout, seed: int = 0, only: Sequence[int] | None = None) -> Array:
    """Views (N, H, W, 3) uint8 of the same model with its memory switched off, at the poses of a rollout.

    Every view is imagined from an empty memory: the denoiser is given an empty readout and the same noise as in the
    rollout, and what the start image showed is not available to it, not even at the first pose.

    Args:
        seed: that of the rollout.
        only: the steps whose views are wanted; None: all.
    """
    blank = dataclasses.replace(rollout.state, memory=world.new_memory(), latents=torch.zeros(0), seed=int(seed))
    wanted = list(range(len(rollout.poses))) if only is None else list(only)
    views = []
    for k in range(0, len(wanted), _BATCH):
        steps = wanted[k : k + _BATCH]
        states = [dataclasses.replace(blank, steps=max(step - 1, 0)) for step in steps]
        _, frames = world.step_batch(states, rollout.poses[steps])
        views += [frame.rgb for frame in frames]
    return np.stack(views)


def through_codec(world: WorldModel, images: Array) -> Array:
    """Images (N, H, W, 3) uint8 encoded and decoded at once: the best that any memory over this codec could show."""
    return decode_latents(world, encode_images(world, images))


@torch.no_grad()
def encode_images(world: WorldModel, images: Array) -> torch.Tensor:
    """Latents (N, C, h, w) of images (N, H, W, 3) uint8."""
    batches = (images[k : k + _BATCH] for k in range(0, len(images), _BATCH))
    return torch.cat([world.codec.encode(from_uint8(batch)) for batch in batches])


@torch.no_grad()
def decode_latents(world: WorldModel, latents: torch.Tensor) -> Array:
    """Images (N, H, W, 3) uint8 of latents (N, C, h, w)."""
    return np.concatenate([to_uint8(world.codec.decode(batch)) for batch in latents.split(_BATCH)])


def pixels_of(cells: torch.Tensor, stride: int) -> Array:
    """Cells (N, h, w) as pixels (N, h·stride, w·stride)."""
    return cells.repeat_interleave(stride, 1).repeat_interleave(stride, 2).cpu().numpy()


@dataclass(frozen=True)
class Comparison:
    """A rollout against the truth: PSNR in dB of each of N views.

    Attributes:
        imagination: of what was imagined.
        ceiling: of the true view through the codec.
        memory_off: of the same model without memory, see ``without_memory``.
        readout: of what the memory alone showed, over the pixels it showed; NaN where it showed none.
        closed_loop: last view against the FIRST true view, by "imagination", "memory_off" and "ceiling"; meaningful
            when the walk ends where it began. The ceiling is that of the first true view.
    """

    imagination: Array
    ceiling: Array
    memory_off: Array
    readout: Array
    closed_loop: dict[str, float]


def compare(world: WorldModel, rollout: Rollout, truth: Array, blind: Array) -> Comparison:
    """A rollout and the views ``without_memory`` against the true views (N, H, W, 3) uint8 of its poses."""
    if truth.shape != rollout.rgb.shape:
        raise ValueError(f"the true views must have the rollout's shape {rollout.rgb.shape}, got {truth.shape}")
    ceiling = psnr(through_codec(world, truth), truth)
    closed = {
        "imagination": float(psnr(rollout.rgb[-1], truth[0])),
        "memory_off": float(psnr(blind[-1], truth[0])),
        "ceiling": float(ceiling[0]),
    }
    readout = psnr(rollout.readout, truth, mask=rollout.visible)
    return Comparison(psnr(rollout.rgb, truth), ceiling, psnr(blind, truth), readout, closed)


def depth_at_cells(depth: Array, stride: int) -> torch.Tensor:
    """True depth (N, H, W) at the centres of latent cells (N, h, w)."""
    return depths.to_grid(torch.as_tensor(depth), stride)
