"""A run in legs: each begins anew from seeds, and ends with a look at the truth and a checkpoint.

A leg depends on nothing but the settings, the weights and the number of steps it begins with. So a run that was
interrupted and went on is, bit for bit, the run that was not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from agents.run_folder import RunFolder
from agents.settings import TrainSettings

FAR = 10.0
"""Metres to which ``near_first`` lets goals recede before the task alone decides."""

Judge = Callable[[Any, int], Mapping[str, float]]
"""What an agent achieves in the truth, after so many steps."""


class Legs(BaseCallback):
    """Seeds, judges and keeps a run, and shows how far it has come."""

    def __init__(self, folder: RunFolder, judge: Judge, bar: tqdm[Any]) -> None:
        super().__init__()
        self._folder, self._settings, self._judge, self._bar = folder, folder.settings, judge, bar
        self._begun: int | None = None
        self._ended: list[dict[str, Any]] = []

    def _on_rollout_start(self) -> None:
        steps = self.model.num_timesteps
        if self._begun is None or steps >= self._begun + self._settings.leg:
            self._finish()
            self._begin()

    def _on_step(self) -> bool:
        self._ended += [info for info, done in zip(self.locals["infos"], self.locals["dones"], strict=True) if done]
        self._bar.update(self.training_env.num_envs)
        return True

    def _on_training_end(self) -> None:
        self._finish()

    def _begin(self) -> None:
        model, settings, steps = self.model, self._settings, self.model.num_timesteps
        far = furthest_goal(settings, steps)
        if far is not None:
            for env in self.training_env.get_attr("unwrapped"):
                env.task = dataclasses.replace(env.task, max_distance=min(far, type(env.task).max_distance))
        model.set_random_seed(int(np.random.SeedSequence([settings.seed, steps]).generate_state(1)[0] >> 1))
        model._last_obs = self.training_env.reset()  # pyright: ignore[reportAttributeAccessIssue]
        model._last_episode_starts = np.ones(self.training_env.num_envs, dtype=bool)
        for buffer in (model.ep_info_buffer, model.ep_success_buffer):
            if buffer is not None:
                buffer.clear()
        self._begun, self._ended = steps, []

    def _finish(self) -> None:
        steps = self.model.num_timesteps
        if self._begun is None or steps == self._begun:
            return
        truth = self._judge(self.model, steps)
        entry = {"steps": steps, "training": _summary(self._ended), "truth": dict(truth)}
        for part in ("training", "truth"):
            for name, value in entry[part].items():
                self.logger.record(f"{part}/{name}", value)
        self.logger.dump(steps)
        self._folder.keep(self.model, entry)
        shown = " · ".join(f"{name} {value:.3f}" for name, value in truth.items() if name != "episodes")
        self._bar.write(f"{steps:>9,} steps · in the truth: {shown}")


def furthest_goal(settings: TrainSettings, steps: int) -> float | None:
    """Metres of floor to which goals are limited after so many steps; None where the task alone decides."""
    if not settings.near_first:
        return None
    share = steps / (0.5 * settings.steps)
    return settings.near_first + share * (FAR - settings.near_first) if share < 1 else math.inf


def _summary(ended: list[dict[str, Any]]) -> dict[str, float]:
    """Means over the episodes that ended while the agent learned, in the world that it learned in."""
    if not ended:
        return {"episodes": 0}
    episodes = [info["episode"] for info in ended]
    told = {"reward": [one["r"] for one in episodes], "steps": [one["l"] for one in episodes]}
    for name in ("success", "spl", "soft_spl", "explored_area", "coverage", "imagined_fraction"):
        if name in ended[0]:
            told[name] = [info[name] for info in ended]
    return {"episodes": len(ended), **{name: float(np.mean(values)) for name, values in told.items()}}
