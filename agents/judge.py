"""Agents judged while they learn: the same episodes in the true world, every time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.algorithms import learned
from agents.settings import TrainSettings
from agents.worlds import make_truth
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.evaluation.films import write_mp4
from mirage_env.evaluation.places import true_simulator
from mirage_env.evaluation.trial import Trial, plan_episodes
from mirage_env.evaluation.trial_pictures import film_frames
from mirage_env.evaluation.trial_summary import OF_GOALS, values
from mirage_env.evaluation.trials import walk
from mirage_env.policies.learned import LearnedPolicy

SEED = 0
"""Of the episodes. Training draws its own from other scenes."""
FILM_FPS = 10


class Judge:
    """Walks the evaluation episodes of a run with what its agent has learned. The worlds are made once.

    Args:
        settings: of the run.
        folder: of films, one per evaluation, named by its steps.
        films: how many of the episodes a film shows side by side; 0: no films.
    """

    def __init__(self, settings: TrainSettings, folder: Path, films: int = 2) -> None:
        self.settings, self.folder, self.films = settings, folder, films
        self._envs: Sequence[NavigationEnv] | None = None

    def __call__(self, agent: BaseAlgorithm, steps: int) -> dict[str, float]:
        """Means over the episodes."""
        if self._envs is None:
            self._envs = make_truth(self.settings)
        network, described = learned(agent, self.settings)
        scenes = self._envs[0].simulator.scenes  # pyright: ignore[reportAttributeAccessIssue]
        count = self.settings.evaluation_episodes
        plans = plan_episodes(count, scenes, SEED, -(-count // len(scenes)))
        trials = list(walk(self._envs, lambda env, seed: LearnedPolicy(network, described, seed), plans))
        shown = sorted(trials, key=lambda trial: trial.index)[: self.films]
        if shown:
            truth = true_simulator(self.settings.truth, scenes)
            write_mp4(self.folder / f"{steps:09d}.mp4", film_frames(shown, self._envs[0], truth), FILM_FPS)
        return summary(trials)

    def close(self) -> None:
        for env in self._envs or ():
            env.close()


def summary(trials: Sequence[Trial]) -> dict[str, float]:
    """Means of the measures of navigation, and of what else the task tells."""
    ordered = sorted(trials, key=lambda trial: trial.index)
    of_goals = () if ordered[0].goal is None else OF_GOALS
    told = {name: values(ordered, name) for name in (*of_goals, "reward", "steps", *ordered[0].measures)}
    return {"episodes": len(ordered), **{name: float(np.mean(found)) for name, found in told.items()}}
