"""Before rewards teach it anything, a policy learns to do as a known one does in the worlds that it is to learn in.

The teacher walks; now and then the agents step aside by chance, so that the teacher also shows how to go on from where
it would not have gone (Laskey et al., "DART: Noise injection for robust imitation learning", 2017). The policy is
fitted to the teacher's actions, and its value to the rewards that followed, so that PPO goes on from both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional
from tqdm import trange

from agents.bridge import BridgedVecEnv
from agents.settings import TrainSettings
from mirage_env.envs.actions import STOP
from mirage_env.geometry import Array
from mirage_env.policies.named import make_policy

ASIDE = 0.15
"""Probability of a step by chance."""
EPOCHS = 8
BATCH = 256
RATE = 1e-3
VALUE = 0.1
"""Weight of the squared error of values, which are of the size of a few metres."""


class Lessons(NamedTuple):
    """What a teacher saw and did.

    Attributes:
        observations: by key (n, ...).
        actions: (n,) int64, the teacher's.
        returns: (n,) float32, discounted sums of the rewards until the episode, or the lesson, ended.
    """

    observations: dict[str, Array]
    actions: Array
    returns: Array


def lessons(
    worlds: BridgedVecEnv, teacher: str, steps: int, gamma: float, seed: int, progress: bool = False
) -> Lessons:
    """So many steps of a teacher, all worlds together.

    Args:
        worlds: with discrete actions, and the observations that the teacher goes by.
        teacher: its name, see ``mirage_env.policies.make_policy``.
        steps: rounded up to whole steps of all worlds.
        gamma: of the returns.
        seed: of the worlds' episodes and of the steps aside.
        progress: whether to show a bar.
    """
    rng = np.random.default_rng(seed)
    worlds.seed(seed)
    seen: Any = worlds.reset()
    infos = worlds.reset_infos
    teachers = [make_policy(teacher, env, seed) for env in worlds.envs]
    count, kept = worlds.num_envs, dict[str, list[Array]]({key: [] for key in seen})
    actions, rewards, ends = [], [], []
    for _ in trange(-(-steps // count), desc=f"steps of {teacher} in {count} worlds", disable=not progress):
        for key, views in kept.items():
            # Half the bits are plenty for features, and half the memory.
            views.append(seen[key].astype(np.float16) if seen[key].dtype == np.float32 else seen[key].copy())
        told = [one.act({key: seen[key][i] for key in seen}, infos[i]) for i, one in enumerate(teachers)]
        actions.append(np.array(told, dtype=np.int64))
        chance = rng.integers(STOP + 1, worlds.envs[0].action_space.n, size=count)  # pyright: ignore
        aside = (rng.random(count) < ASIDE) & (actions[-1] != STOP)
        seen, reward, dones, infos = worlds.step(np.where(aside, chance, actions[-1]))
        infos = [worlds.reset_infos[i] if done else infos[i] for i, done in enumerate(dones)]
        rewards.append(reward)
        ends.append(dones)
        for i in np.flatnonzero(dones):
            teachers[i].reset()
    returns, after = np.zeros((len(rewards), count), np.float32), np.zeros(count, np.float32)
    for step in reversed(range(len(rewards))):
        after = rewards[step] + gamma * np.where(ends[step], 0.0, after)
        returns[step] = after
    observations = {key: np.concatenate(views) for key, views in kept.items()}
    return Lessons(observations, np.concatenate(actions), returns.ravel())


def fit(policy: Any, shown: Lessons, seed: int) -> list[float]:
    """Fit a policy of stable-baselines3's PPO in place; the mean loss of each epoch."""
    optimiser = torch.optim.Adam(policy.parameters(), RATE)
    batches = -(-len(shown.actions) // BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=EPOCHS * batches + 1, pct_start=0.1)
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(EPOCHS):
        losses = []
        for chosen in np.array_split(rng.permutation(len(shown.actions)), batches):
            seen = {key: torch.from_numpy(views[chosen]).float() for key, views in shown.observations.items()}
            values, chances, _ = policy.evaluate_actions(seen, torch.from_numpy(shown.actions[chosen]))
            returns = torch.from_numpy(shown.returns[chosen])
            loss = VALUE * functional.mse_loss(values.flatten(), returns) - chances.mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            losses.append(float(loss.detach()))
        means.append(float(np.mean(losses)))
    return means


def imitate(policy: Any, worlds: BridgedVecEnv, settings: TrainSettings, progress: bool = False) -> list[float]:
    """Let the settings' teacher walk in the worlds of a run and fit its policy; see ``fit`` for what it returns."""
    shown = lessons(worlds, settings.teacher, settings.imitate, settings.gamma, settings.seed, progress)
    return fit(policy, shown, settings.seed)
