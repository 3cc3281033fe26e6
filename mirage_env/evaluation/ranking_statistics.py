"""Whether better in imagination means better in truth: correlation over policies, and agreement episode by episode.

SRCC, the sim-vs-real correlation coefficient (Kadian et al. 2020, "Sim2Real Predictivity"), is Pearson's correlation of
policies' mean measures in the two worlds. Spearman's asks for their order alone.

Intervals are bootstrap percentiles over episodes, paired: a resample takes the same episodes for every policy and in
both worlds. They say how sure the number is for these policies; not what other policies would give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from mirage_env.geometry import Array

RESAMPLES = 2000
LEAST_POLICIES = 3
BATCH = 500
"""Resamples whose weights are held at a time."""


class Estimate(NamedTuple):
    """A number with its 95 % interval, NaN where undefined.

    Attributes:
        value: the number.
        low, high: of the interval; of the resamples that have the number.
        why: why it is undefined; "" where it is not.
        undefined: share of resamples in which it is.
    """

    value: float
    low: float
    high: float
    why: str = ""
    undefined: float = 0.0


def pearson(x: Array, y: Array) -> Array:
    """Pearson's correlation along the last axis of (..., P) and (..., P); NaN where either is constant."""
    a, b = (v - v.mean(-1, keepdims=True) for v in (np.asarray(x, float), np.asarray(y, float)))
    scale = np.sqrt((a**2).sum(-1)) * np.sqrt((b**2).sum(-1))
    # Means of equal numbers may differ in their last bits.
    constant = (np.ptp(x, axis=-1) <= 1e-12) | (np.ptp(y, axis=-1) <= 1e-12)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(constant, np.nan, np.clip((a * b).sum(-1) / scale, -1.0, 1.0))


def spearman(x: Array, y: Array) -> Array:
    """Spearman's: Pearson's correlation of ranks, equal values sharing their mean rank; NaN where either is constant.

    Values within 1e-12 of each other count as equal.
    """
    return pearson(*(rankdata(np.round(v, 12), axis=-1) for v in (np.asarray(x, float), np.asarray(y, float))))


def correlations(imagined: Array, true: Array, seed: int, resamples: int = RESAMPLES) -> dict[str, Estimate]:
    """ "pearson" and "spearman" of policies' means, with intervals over episodes.

    Args:
        imagined, true: (P, E) one number per policy and episode; episode e is the same for all.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than three policies, or shapes that differ.
    """
    x, y = _paired(imagined, true)
    if len(x) < LEAST_POLICIES:
        raise ValueError(f"a ranking needs at least {LEAST_POLICIES} policies, got {len(x)}")
    why = _constant(x.mean(1), y.mean(1))
    found = {}
    for name, measure in (("pearson", pearson), ("spearman", spearman)):
        low, high, undefined = percentiles(_drawn(measure, x, y, seed, resamples))
        value = math.nan if why else float(measure(x.mean(1), y.mean(1)))
        if why:
            low = high = math.nan
        found[name] = Estimate(value, low, high, why, undefined)
    return found


def behind_best(
    imagined: Mapping[str, Array], true: Array, seed: int, resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """By how much Pearson's correlation of each way to imagine is below that of the best, with intervals over episodes.

    A resample takes the same episodes for all of them. The best, by the episodes as they are, is 0 behind itself.

    Args:
        imagined: (P, E) of each by name, as ``correlations`` takes them.
        true: (P, E).
        seed: of the bootstrap.
    """
    pairs = {name: _paired(x, true) for name, x in imagined.items()}
    why = {name: _constant(x.mean(1), y.mean(1)) for name, (x, y) in pairs.items()}
    values = {name: float(pearson(x.mean(1), y.mean(1))) for name, (x, y) in pairs.items()}
    drawn = {name: _drawn(pearson, x, y, seed, resamples) for name, (x, y) in pairs.items()}
    best = max((name for name in pairs if not why[name]), key=lambda name: values[name], default=None)
    found = {}
    for name in pairs:
        if best is None or why[name]:
            found[name] = Estimate(math.nan, math.nan, math.nan, why[name], 1.0)
        else:
            low, high, undefined = percentiles(drawn[best] - drawn[name])
            found[name] = Estimate(values[best] - values[name], low, high, "", undefined)
    return found


def mean_gap(imagined: Array, true: Array, seed: int, resamples: int = RESAMPLES) -> Estimate:
    """Mean over policies and episodes (P, E) of imagined minus true, with its interval over episodes."""
    x, y = _paired(imagined, true)
    by_episode = (x - y).mean(0)
    drawn = np.concatenate([weights @ by_episode for weights in resample_weights(len(by_episode), seed, resamples)])
    low, high, _ = percentiles(drawn)
    return Estimate(float(by_episode.mean()), low, high)


def agreement(imagined: Array, true: Array) -> tuple[float, float]:
    """Share of episodes with equal outcomes, and Cohen's kappa, of outcomes (...) bool.

    kappa = (p − e) / (1 − e) with p that share and e what chance would give with the same shares of successes; NaN
    where e is 1: all outcomes are alike (Cohen 1960).
    """
    a, b = np.asarray(imagined, bool).ravel(), np.asarray(true, bool).ravel()
    same = float((a == b).mean())
    chance = float(a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean()))
    return same, (same - chance) / (1 - chance) if chance < 1 - 1e-12 else math.nan


def compare(imagined: Mapping[str, Array], true: Mapping[str, Array], seed: int) -> dict[str, Any]:
    """All of this for measures by name, each (P, E): what a ranking says about one setting.

    ``agreement``, ``kappa`` and, policy by policy, ``agreement_by_policy`` are of "success", where that is measured.
    """
    measures = {}
    for name in imagined:
        found = correlations(imagined[name], true[name], seed)
        measures[name] = {
            **{kind: estimate._asdict() for kind, estimate in found.items()},
            "gap": mean_gap(imagined[name], true[name], seed)._asdict(),
        }
    if "success" not in imagined:
        return {"measures": measures}
    same, kappa = agreement(imagined["success"], true["success"])
    by_policy = [agreement(a, b) for a, b in zip(imagined["success"], true["success"], strict=True)]
    return {"measures": measures, "agreement": same, "kappa": kappa, "agreement_by_policy": by_policy}


def _drawn(measure: Callable[[Array, Array], Array], x: Array, y: Array, seed: int, resamples: int) -> Array:
    """A measure of policies' means in each resample."""
    return np.concatenate([measure(w @ x.T, w @ y.T) for w in resample_weights(x.shape[1], seed, resamples)])


def _paired(imagined: Array, true: Array) -> tuple[Array, Array]:
    x, y = np.asarray(imagined, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 2 or not x.size:
        raise ValueError(f"both worlds need one number per policy and episode (P, E), got {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("measures must be finite")
    return x, y


def resample_weights(episodes: int, seed: int, resamples: int) -> Any:
    """Shares (B, E) that bootstrap resamples give to episodes, in batches."""
    rng = np.random.default_rng(seed)
    even = np.full(episodes, 1 / episodes)
    for begin in range(0, resamples, BATCH):
        yield rng.multinomial(episodes, even, size=min(BATCH, resamples - begin)) / episodes


def percentiles(values: Array) -> tuple[float, float, float]:
    """Bounds of the 95 % interval of the finite values, NaN without any; and the share of those that are not."""
    known = values[np.isfinite(values)]
    undefined = 1 - len(known) / len(values)
    if not len(known):
        return math.nan, math.nan, undefined
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high), undefined


def _constant(x: Array, y: Array) -> str:
    """Why means of policies cannot be correlated; "" where they can."""
    alike = [(name, v) for name, v in (("in imagination", x), ("in truth", y)) if np.ptp(v) <= 1e-12]
    return " and ".join(f"all policies have {v[0]:.3g} {name}" for name, v in alike)
