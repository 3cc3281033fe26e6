"""Before rewards teach it anything, a policy learns from walks to wander, and to stop where a view is near the goal's.

Rewards tell an agent that goes to pictures once per episode whether it was right to stop. Where it walked, it knows of
every pair of views how they lie to each other (Savinov et al., "Semi-parametric topological memory for navigation",
2018, learn from such pairs which views are near). Another view of a walk takes the place of the goal's; no goal, reward
or truth is used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.bridge import BridgedVecEnv
from agents.settings import TrainSettings
from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT
from mirage_env.geometry import Array
from mirage_env.tasks.image_nav import ImageNav

GOAL = {"goal_latent": "latent"}
"""Observations of a goal, and of the view that takes its place."""

NEAR = ImageNav.success_distance
"""Metres within which a policy is to recognise a place."""

EPOCHS = 6
"""Pairs per view that was seen."""

RARER = 5.0
"""By how much the log-odds of a stop are below those of being near among as many views that are not: goals are rare."""

BATCH = 128
RATE = 1e-3


class Walks(NamedTuple):
    """Views of agents that wandered.

    Attributes:
        observations: by key (n, ...).
        poses: T_world_camera (n, 4, 4) float32.
        episodes: (n,) integers, which episode each is of.
        actions: (n,) integers, what was done next.
    """

    observations: dict[str, Array]
    poses: Array
    episodes: Array
    actions: Array


def wander(worlds: BridgedVecEnv, steps: int, seed: int) -> Walks:
    """Views of so many steps, all worlds together: ahead more often than not, and a turn after every collision.

    Args:
        worlds: with discrete actions, of a task whose episodes end by time alone unless the agent stops.
        steps: rounded up to whole steps of all worlds.
        seed: of the worlds' episodes and of the actions.
    """
    rng = np.random.default_rng(seed)
    worlds.seed(seed)
    seen: Any = worlds.reset()
    count = worlds.num_envs
    keys = [key for key in seen if key not in GOAL]
    kept: dict[str, list[Array]] = {key: [] for key in keys}
    poses, episodes, actions = [], [], []
    episode, infos = np.arange(count), worlds.reset_infos
    for _ in range(-(-steps // count)):
        for key in keys:
            # Half the bits are plenty for features, and half the memory.
            kept[key].append(seen[key].astype(np.float16) if seen[key].dtype == np.float32 else seen[key].copy())
        poses.append(np.stack([info["pose"] for info in infos]))
        episodes.append(episode.copy())
        turns = rng.choice((MOVE_FORWARD, TURN_LEFT, TURN_RIGHT), size=count, p=(0.6, 0.2, 0.2))
        blocked = np.array([bool(info.get("collided")) for info in infos])
        actions.append(np.where(blocked, TURN_LEFT, turns))
        seen, _, dones, told = worlds.step(actions[-1])
        infos = [worlds.reset_infos[i] if done else told[i] for i, done in enumerate(dones)]
        episode[dones] = episode.max() + 1 + np.arange(int(dones.sum()))
    observations = {key: np.concatenate(views) for key, views in kept.items()}
    return Walks(observations, *map(np.concatenate, (poses, episodes, actions)))


def pairs(walks: Walks, count: int, near: float, rng: np.random.Generator) -> Array:
    """Indices (count, 2) of two views of one episode; in half of the pairs they are less than ``near`` metres apart.

    Along a straight line, and so now and then through a wall. Raises ValueError where the walks have too few.
    """
    order = np.argsort(walks.episodes, kind="stable")
    found: dict[bool, list[Array]] = {True: [], False: []}
    first = np.searchsorted(walks.episodes[order], walks.episodes, side="left")
    past = np.searchsorted(walks.episodes[order], walks.episodes, side="right")
    for _ in range(100):
        one = rng.integers(len(order), size=4 * count)
        other = order[rng.integers(first[one], past[one])]
        apart = np.linalg.norm((walks.poses[one] - walks.poses[other])[:, [0, 2], 3], axis=1)
        for is_near in (True, False):
            found[is_near].append(np.stack([one, other], 1)[(apart < near) == is_near])
        if all(sum(map(len, parts)) >= count for parts in found.values()):
            break
    else:
        raise ValueError(f"walks of {len(order)} views have too few that are near or far from each other; walk further")
    drawn = [np.concatenate(found[True])[: (count + 1) // 2], np.concatenate(found[False])[: count // 2]]
    return rng.permutation(np.concatenate(drawn))


def targets(walks: Walks, chosen: Array) -> Array:
    """Where the second view of each pair (B, 2) was taken, seen from the first: metres ahead and to the left (B, 2)."""
    one, other = chosen.T
    apart = walks.poses[other, :3, 3] - walks.poses[one, :3, 3]
    right, _, ahead = np.einsum("bij,bi->jb", walks.poses[one, :3, :3], apart)  # in a level camera's axes
    return np.stack([ahead, -right], 1)


class Reader(nn.Module):
    """What a policy's features say of a goal.

    Args:
        policy: of stable-baselines3's PPO, with discrete actions.
    """

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.features, self.hidden = policy.features_extractor, policy.mlp_extractor.policy_net
        self.scores = policy.action_net
        self.place = nn.Linear(policy.features_extractor.features_dim, 3)

    def forward(self, observations: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores of actions (B, A), and where the goal is (B, 3): direction (2 numbers), logarithm of the distance."""
        features = self.features(observations)
        return self.scores(self.hidden(features)), self.place(features)


def loss(scores: Tensor, place: Tensor, target: Tensor, near: float, actions: Tensor) -> Tensor:
    """Of what a ``Reader`` says.

    The policy's log-odds of a stop are to tell that the goal is near, so that it begins by stopping where it recognises
    it; among its other actions it is to do what the wanderer did.

    Args:
        scores, place: see ``Reader``.
        target: where the goal is (B, 2), metres ahead and to the left.
        near: metres.
        actions: (B,) the wanderer's.
    """
    others = torch.cat([scores[:, :STOP], scores[:, STOP + 1 :]], 1)
    near_odds = scores[:, STOP] - others.logsumexp(1) + RARER
    wanders = functional.cross_entropy(others, actions - (actions > STOP).long())
    distance = target.norm(dim=1)
    is_near = functional.binary_cross_entropy_with_logits(near_odds, (distance < near).float())
    agree = functional.cosine_similarity(place[:, :2], target, dim=1)
    direction = torch.where(distance > 0.3, 1.0 - agree, 0.0).mean()
    return is_near + wanders + 0.5 * direction + 0.5 * functional.smooth_l1_loss(place[:, 2], distance.log1p())


def observed(walks: Walks, chosen: Array) -> dict[str, Tensor]:
    """What an agent at the first view of each pair (B, 2) sees whose goal is the second."""
    told = {key: torch.from_numpy(views[chosen[:, 0]]).float() for key, views in walks.observations.items()}
    goals = {key: torch.from_numpy(walks.observations[view][chosen[:, 1]]).float() for key, view in GOAL.items()}
    return told | goals


def fit(policy: Any, walks: Walks, count: int, near: float, seed: int) -> list[float]:
    """Fit a policy in place to so many pairs of views, those ``near`` metres from each other and others.

    Returns:
        The mean losses of twenty parts, the first the earliest.

    Raises:
        ValueError: the walks have no such pairs.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = Reader(policy)
    steps = max(1, count // BATCH)
    optimiser = torch.optim.AdamW(reader.parameters(), RATE, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps + 1, pct_start=0.1)
    losses = []
    for chosen in np.array_split(pairs(walks, steps * BATCH, near, np.random.default_rng(seed)), steps):
        target = torch.from_numpy(targets(walks, chosen)).float()
        scores, place = reader(observed(walks, chosen))
        found = loss(scores, place, target, near, torch.from_numpy(walks.actions[chosen[:, 0]]).long())
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        rate.step()
        losses.append(float(found.detach()))
    return [float(np.mean(part)) for part in np.array_split(losses, min(20, steps))]


def warm_up(policy: Any, worlds: BridgedVecEnv, settings: TrainSettings) -> list[float]:
    """Wander in the worlds of a run and fit its policy; see ``fit`` for what it returns."""
    walks = wander(worlds, settings.warm_up, settings.seed)
    return fit(policy, walks, EPOCHS * len(walks.episodes), NEAR, settings.seed)
