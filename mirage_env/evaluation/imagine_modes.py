"""What ``imagine="new"`` spares against ``"always"``, and at what price: one loop, walked by both in turn."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
from torch import Tensor

from mirage_env.evaluation.ablations import EVERY
from mirage_env.evaluation.episode import Episode, Truth
from mirage_env.evaluation.tours import errand_loop
from mirage_env.evaluation.view_measures import Numbers, decibels
from mirage_env.frame import Frame
from mirage_env.models.protocols import Denoised, Denoiser
from mirage_env.state import WorldState
from mirage_env.world import Imagine, WorldModel

MODES: tuple[Imagine, ...] = ("new", "always")


class Counting:
    """A denoiser, and how many ``views`` it was given so far."""

    def __init__(self, model: Denoiser) -> None:
        self.model = model
        self.views = 0

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
        """As ``Denoiser.denoise``."""
        self.views += len(readout)
        return self.model.denoise(readout, depth, visible, imagined, intrinsics, noise, steps)


class _Walker:
    """A world on its way, in one mode, with what its steps took."""

    def __init__(self, world: WorldModel, state: WorldState, mode: Imagine) -> None:
        self.world, self.denoiser = copy.copy(world), Counting(world.denoiser)
        self.world.denoiser = self.denoiser
        self.state = state
        self.mode: Imagine = mode
        self.frames: dict[int, Frame] = {}
        self.views: list[int] = []
        self.known: list[float] = []
        self.milliseconds: list[float] = []

    def step(self, number: int, pose: Any, keep: bool) -> None:
        before, begin = self.denoiser.views, time.process_time()
        self.state, frame = self.world.step(self.state, pose, self.mode)
        self.milliseconds.append(1000 * (time.process_time() - begin))
        self.views.append(self.denoiser.views - before)
        self.known.append(float(frame.visible.float().mean()))
        if keep:
            self.frames[number] = frame

    def numbers(self, truth: Truth) -> Numbers:
        steps = [step for step in truth.steps if step > 0]
        shown = np.stack([self.frames[step].rgb for step in steps])
        return {
            "way": float(decibels(shown, truth.at(steps).rgb).mean()),
            "loop": float(decibels(shown[-1:], truth.rgb[:1])[0]),
            "spared steps": float(np.mean(np.array(self.views) == 0)),
            "views per step": float(np.mean(self.views)),
            "known cells": float(np.mean(self.known)),
            "milliseconds": float(np.mean(self.milliseconds)),
        }


def imagine_modes(episode: Episode) -> dict[str, Any]:
    """The numbers of each mode, as ``key/mode``, and "new" against "always".

    Keys are: "way" and "loop", the PSNR in dB of every ``EVERY``-th view and of the last against the first; "spared
    steps", the share of steps in which the denoiser saw nothing at all; "views per step" that it was given, those of
    looking ahead included; "known cells", the share of cells that the memory showed before the step; and the mean
    "milliseconds" of processor time of a step, pixels not included. "below always" and "loop below always" are in dB,
    "time saved" is a share.
    """
    settings = episode.settings
    steps = settings.ablation_loop
    poses = errand_loop(episode.simulator, episode.start, steps, episode.rng(2)).poses(settings.camera_height)
    truth = episode.truth(poses, sorted({*range(0, steps, min(EVERY, steps // 2)), steps}))
    begun = episode.begin(episode.world, truth.at([0]))
    walkers = {mode: _Walker(episode.world, begun, mode) for mode in MODES}
    for step in range(1, len(poses)):
        for walker in walkers.values():
            walker.step(step, poses[step], step in truth.steps)
    found = {mode: walker.numbers(truth) for mode, walker in walkers.items()}
    numbers = {f"{key}/{mode}": value for mode in MODES for key, value in found[mode].items()}
    new, always = (found[mode] for mode in MODES)
    numbers["below always"] = always["way"] - new["way"]
    numbers["loop below always"] = always["loop"] - new["loop"]
    numbers["time saved"] = 1 - new["milliseconds"] / always["milliseconds"]
    return {"numbers": numbers}
