"""What each part is worth: one loop with one thing changed at a time, and with true values in place of guesses."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from mirage_env.evaluation.episode import MIRAGE, Episode, Truth
from mirage_env.evaluation.lanes import Lane, Track, imagine_lanes
from mirage_env.evaluation.metrics import abs_rel
from mirage_env.evaluation.rollout import depth_at_cells, encode_images
from mirage_env.evaluation.tours import errand_loop
from mirage_env.evaluation.view_measures import Numbers, decibels, region_masks
from mirage_env.evaluation.walks import true_views
from mirage_env.geometry import Array
from mirage_env.memory.rules import MemoryRules
from mirage_env.models.protocols import Denoised, Denoiser, DepthEstimate, DepthModel
from mirage_env.models.tiny import TinyDenoiser
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

SWITCHES: dict[str, dict[str, Any]] = {
    "no merge": {"merge": False},
    "no footprint": {"footprint": False},
    "no contradiction": {"contradiction": False},
    "no edges": {"edges": False},
    "no sight lines": {"sight_lines": False},
    "no refine": {"refine": None},
    "no bound of detail": {"detail": 0.0},
}
"""Rules of the memory that are turned off, one at a time."""
PASSES = (1, 2, 4)
SKETCH_STEPS = (1, 2, 4, 8)
NOISE = (0.02, 0.05, 0.10, 0.20)
START_VIEWS = (2, 4, 8)
EVERY = 8
"""The loop is measured at every so many steps."""
SMOOTH = 1 / 8
"""Width of the smooth half of depth noise, as a share of the view's."""


def noisy_depth(depth: Array, sigma: float, stride: int, rng: np.random.Generator) -> Array:
    """Depth (H, W) in metres with relative errors of standard deviation ``sigma``; 0 stays 0.

    Half of the variance is smooth over the view, as the errors of a network are, half is independent from latent cell
    to latent cell.

    Args:
        stride: pixels per side of a cell.
    """
    height, width = depth.shape
    smooth = gaussian_filter(rng.standard_normal((height, width)), SMOOTH * width, mode="wrap")
    smooth /= max(float(smooth.std()), 1e-12)
    cells = rng.standard_normal((height // stride, width // stride)).repeat(stride, 0).repeat(stride, 1)
    factor = 1 + sigma * (smooth + cells) / np.sqrt(2)
    return (depth * np.maximum(factor, 0.1)).astype(np.float32)


class TrueDepth:
    """A depth model that knows the truth: ``now`` (1, h, w) is the true depth of the view to come."""

    def __init__(self, model: DepthModel) -> None:
        self.model = model
        self.now: Tensor | None = None

    def estimate(self, latents: Tensor, intrinsics: Tensor, known_depth: Tensor) -> DepthEstimate:
        """As ``DepthModel.estimate``: known depth stays, the rest is true."""
        if self.now is None:
            return self.model.estimate(latents, intrinsics, known_depth)
        depth = torch.where(known_depth > 0, known_depth, self.now)
        return DepthEstimate(depth, torch.zeros_like(depth))


class TrueViews:
    """A denoiser that knows the truth: ``now`` (1, C, h, w) are the latents of the true view to come."""

    def __init__(self, model: Denoiser) -> None:
        self.model = model
        self.now: Tensor | None = None

    def denoise(
        self,
        readout: Tensor,
        depth: Tensor,
        visible: Tensor,
        imagined: Tensor,
        intrinsics: Tensor,
        noise: Tensor,
        steps: int,
    ) -> Denoised:
        """As ``Denoiser.denoise``: the true view, whatever the memory shows."""
        if self.now is None:
            return self.model.denoise(readout, depth, visible, imagined, intrinsics, noise, steps)
        return Denoised(self.now.expand_as(readout), torch.zeros_like(depth))


def ablations(episode: Episode) -> dict[str, Any]:
    """PSNR of the closed loop, of seen and imagined cells along it and AbsRel, by variant."""
    settings = episode.settings
    steps = settings.ablation_loop
    loop = errand_loop(episode.simulator, episode.start, steps, episode.rng(2))
    poses = loop.poses(settings.camera_height)
    measured = sorted({*range(0, steps, min(EVERY, steps // 2)), steps})
    truth = episode.truth(poses, measured)
    lanes = _lanes(episode, poses, truth, measured[1:], loop.legs[1].last)
    numbers: Numbers = {}
    ceiling = float(decibels(truth.ceiling[:1], truth.rgb[:1])[0])
    numbers["loop/codec ceiling"] = ceiling
    for name, track in zip(lanes, imagine_lanes(list(lanes.values())), strict=True):
        for key, value in _score(track, truth).items():
            numbers[f"{key}/{name}"] = value
    for name in lanes:
        if name != MIRAGE:
            numbers[f"loss/{name}"] = numbers[f"loop/{MIRAGE}"] - numbers[f"loop/{name}"]
    return {"numbers": numbers}


def _score(track: Track, truth: Truth) -> Numbers:
    steps = [step for step in truth.steps if step > 0]
    true = truth.at(steps)
    shown = track.pictures(steps)
    frames = [track.frames[step] for step in steps]
    masks = region_masks(frames, track.world.codec.stride)
    depth = np.stack([frame.depth for frame in frames])
    found = {"loop": float(decibels(shown[-1:], truth.rgb[:1])[0])}
    for region, mask in masks.items():
        values = decibels(shown, true.rgb, mask)
        found[f"way {region}"] = float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
    found["abs_rel"] = float(np.mean(abs_rel(depth, true.depth)))
    found["tokens"] = float(track.tokens[steps[-1]])
    return found


def _lanes(episode: Episode, poses: Array, truth: Truth, measured: list[int], out_end: int) -> dict[str, Lane]:
    world, first = episode.world, truth.at([0])
    begun = episode.begin(world, first)
    lanes = {MIRAGE: Lane(world, begun, poses, measured)}
    for name, changes in SWITCHES.items():
        variant = world.with_rules(dataclasses.replace(MemoryRules(), **changes), name)
        lanes[name] = Lane(variant, episode.begin(variant, first), poses, measured)
    for passes in PASSES:
        if passes != world.denoiser_steps:
            lanes[f"{passes} passes"] = Lane(_with(world, denoiser_steps=passes), begun, poses, measured)
    # A sketch of one step is a student's, which knows no other noise level than 1.
    if isinstance(world.denoiser, TinyDenoiser) and world.denoiser.sketch and world.denoiser.sketch_steps > 1:
        for steps in SKETCH_STEPS:
            if steps != world.denoiser.sketch_steps:
                denoiser = copy.copy(world.denoiser)
                denoiser.sketch_steps = steps
                name = f"sketch in {steps} step{'s' * (steps > 1)}"
                lanes[name] = Lane(_with(world, denoiser=denoiser), begun, poses, measured)
    if world.look_ahead:
        lanes["no look ahead"] = Lane(_with(world, look_ahead=0.0), begun, poses, measured)
    other = {"true": None, "predicted": first.depth[0]}[episode.settings.depth]
    name = "predicted start depth" if other is None else "true start depth"
    lanes[name] = Lane(world, episode.begin_with(world, first, other), poses, measured)
    for k, sigma in enumerate(NOISE):
        depth = noisy_depth(first.depth[0], sigma, world.codec.stride, episode.rng(10 + k))
        lanes[f"depth noise {sigma:.0%}"] = Lane(world, episode.begin_with(world, first, depth), poses, measured)
    for count in START_VIEWS:
        state = _seen_more(episode, begun, poses, np.linspace(0, out_end, count)[1:].astype(int))
        lanes[f"{count} start views"] = Lane(world, state, poses, measured)
    for mode in ("always", "never"):
        lanes[f"imagine {mode}"] = Lane(world, begun, poses, measured, imagine=mode)
    return lanes | _oracles(episode, begun, poses, measured)


def _seen_more(episode: Episode, state: WorldState, poses: Array, steps: Array) -> WorldState:
    """The state after a camera saw the true views of more steps, with true depth where the start view has it."""
    rgb, depth = true_views(episode.simulator, poses[steps], episode.settings.camera_height)
    for k, step in enumerate(steps):
        known = depth[k] if episode.settings.depth == "true" else None
        state = episode.world.observe(state, rgb[k], poses[step], known)
    return dataclasses.replace(state, pose=poses[0].astype(np.float32), latents=torch.zeros(0))


def _oracles(episode: Episode, begun: WorldState, poses: Array, measured: list[int]) -> dict[str, Lane]:
    """The loop with true depth, or true depth and true content, in place of what the networks make of unseen cells."""
    world = episode.world
    rgb, depth = true_views(episode.simulator, poses, episode.settings.camera_height)
    cells, latents = depth_at_cells(depth, world.codec.stride), encode_images(world, rgb)
    true_depth, true_content = TrueDepth(world.depth_model), TrueViews(world.denoiser)

    def tell(step: int) -> None:
        true_depth.now, true_content.now = cells[step][None], latents[step][None]

    worlds = {
        "true depth of imagined": _with(world, depth_model=true_depth, look_ahead=0.0),
        "true depth and content of imagined": _with(
            world, depth_model=true_depth, denoiser=true_content, look_ahead=0.0
        ),
    }
    return {name: Lane(variant, begun, poses, measured, before=tell) for name, variant in worlds.items()}


def _with(world: WorldModel, **changes: Any) -> WorldModel:
    other = copy.copy(world)
    for name, value in changes.items():
        setattr(other, name, value)
    return other
