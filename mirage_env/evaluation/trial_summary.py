"""Numbers over trials, with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mirage_env.evaluation.metrics import bootstrap_interval
from mirage_env.evaluation.ranking_statistics import percentiles, resample_weights
from mirage_env.evaluation.summary import RESAMPLES, Entry
from mirage_env.evaluation.trial import Trial
from mirage_env.geometry import Array

COLLISIONS = "collisions_per_metre"
LABELS = {
    "success": "Success",
    "spl": "SPL",
    "soft_spl": "SoftSPL",
    "distance_to_goal": "distance to goal, m",
    COLLISIONS: "collisions per metre",
    "steps": "steps",
    "path_length": "path, m",
    "reward": "return",
}
"""Measures in the order of tables; those of the task follow."""
OF_GOALS = ("success", "spl", "soft_spl", "distance_to_goal")


def values(trials: Sequence[Trial], name: str) -> Array:
    """One number per trial (N,), NaN where it has none."""
    own = {field for field in vars(trials[0]) if field in LABELS}
    return np.array([float(getattr(t, name) if name in own else t.measures.get(name, math.nan)) for t in trials])


def summarise_trials(trials: Sequence[Trial], seed: int) -> dict[str, Entry]:
    """Means by measure with 95 % bootstrap intervals over episodes.

    Collisions per metre are all collisions over all metres. Distances that are not finite (no way to the goal is known)
    are left out, and ``n`` counts the others. Without goals there is no success, SPL or distance.
    """
    with_goals = any(trial.goal is not None for trial in trials)
    found = {}
    for name in [*LABELS, *sorted({name for trial in trials for name in trial.measures})]:
        if name == COLLISIONS:
            found[name] = _ratio([t.collisions for t in trials], [t.path_length for t in trials], seed)
        elif with_goals or name not in OF_GOALS:
            found[name] = _mean(values(trials, name), seed)
    return found


def _mean(numbers: Array, seed: int) -> Entry:
    known = numbers[np.isfinite(numbers)]
    if len(known) < 2:
        return Entry(float(known[0]) if len(known) else math.nan, math.nan, math.nan, len(known))
    mean, low, high = bootstrap_interval(known, seed, resamples=RESAMPLES)
    return Entry(mean, low, high, len(known), float(known.std(ddof=1)))


def _ratio(counts: Sequence[float], lengths: Sequence[float], seed: int) -> Entry:
    """Sum over sum, of pairs that are resampled together; NaN where nothing was walked."""
    over, under = np.array(counts, dtype=np.float64), np.array(lengths, dtype=np.float64)
    if not under.sum() > 0:
        return Entry(math.nan, math.nan, math.nan, len(over))
    ratio = float(over.sum() / under.sum())
    if len(over) < 2:
        return Entry(ratio, math.nan, math.nan, len(over))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = [(shares @ over) / (shares @ under) for shares in resample_weights(len(over), seed, RESAMPLES)]
    low, high, _ = percentiles(np.concatenate(drawn))
    return Entry(ratio, low, high, len(over))
