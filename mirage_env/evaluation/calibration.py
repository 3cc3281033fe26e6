"""Whether a model knows how wrong it is: the error of generated views, binned by how unsure it says it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from mirage_env.geometry import Array

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Bins: exactly 0, then (0, 0.2], (0.2, 0.4], …"""


@dataclass(frozen=True)
class Cells:
    """Latent cells of generated views beside the truth.

    Attributes:
        unsure: (M,) what the model said, in [0, 1].
        error: (M,) mean squared error of the cell's pixels, colours from 0 to 1.
        view: (M,) which view each is of; cells of a view err together.
    """

    unsure: Array
    error: Array
    view: Array


@dataclass(frozen=True)
class Bin:
    """Cells that the model was about equally sure of.

    Attributes:
        low, high: unsure in (low, high]; both 0: exactly 0.
        count: how many cells; 0: empty, and the rest NaN.
        unsure: their mean.
        error: mean squared error.
        psnr: in dB, of that error.
        error_low, error_high: 95 % bootstrap interval of ``error``, over views; NaN with fewer than two views.
    """

    low: float
    high: float
    count: int
    unsure: float
    error: float
    psnr: float
    error_low: float
    error_high: float


@dataclass(frozen=True)
class Calibration:
    """How error follows uncertainty.

    Attributes:
        bins: in order.
        monotone: the error never falls from a bin to the next one that is not empty, by more than chance explains: a
            fall counts when it is one in at least 95 % of bootstrap resamples of views. None with less than two bins.
        strictly_monotone: it never falls at all.
        spearman: rank correlation of uncertainty and error over bins that are not empty.
        cell_spearman: the same over cells.
        auroc: chance that of two cells, one of more and one of less than median error, the model was less sure of the
            former; 0.5 is guessing.
        cells: how many were compared.
    """

    bins: tuple[Bin, ...]
    monotone: bool | None
    strictly_monotone: bool | None
    spearman: float
    cell_spearman: float
    auroc: float
    cells: int

    def summary(self) -> dict[str, float]:
        """The scalars as numbers for a report; NaN where undefined."""
        truths = {"monotone": self.monotone, "strictly_monotone": self.strictly_monotone}
        return {name: math.nan if value is None else float(value) for name, value in truths.items()} | {
            "spearman": self.spearman,
            "cell_spearman": self.cell_spearman,
            "auroc": self.auroc,
            "cells": float(self.cells),
        }


def cell_errors(imagined: Any, rgb: Any, truth: Any, stride: int, first_view: int = 0) -> Cells:
    """Uncertainty and error of every latent cell; several rollouts can be joined by ``joined``.

    Args:
        imagined: what the model said (N, h, w), 0 seen to 1 imagined.
        rgb: generated views (N, h * stride, w * stride, 3) uint8.
        truth: true views of the same shape.
        stride: pixels per cell.
        first_view: number of the first view.

    Raises:
        ValueError: shapes disagree, or ``imagined`` is not in [0, 1].
    """
    unsure = np.asarray(imagined, dtype=np.float64)
    a, b = np.asarray(rgb), np.asarray(truth)
    if a.shape != b.shape or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"views and truth must be uint8 of one shape, got {a.dtype} {a.shape} and {b.dtype} {b.shape}")
    if unsure.ndim != 3 or a.shape != (len(unsure), unsure.shape[1] * stride, unsure.shape[2] * stride, 3):
        raise ValueError(
            f"cells of stride {stride} and shape {unsure.shape} (N, h, w) need views (N, {stride} h, {stride} w, 3), "
            f"got {a.shape}"
        )
    if not ((unsure >= 0) & (unsure <= 1)).all():
        raise ValueError("what the model says of its cells must lie between 0 (seen) and 1 (imagined)")
    square = np.square(a / 255.0 - b / 255.0).mean(-1)
    count, h, w = unsure.shape
    error = square.reshape(count, h, stride, w, stride).mean((2, 4))
    view = np.repeat(np.arange(count) + first_view, h * w)
    return Cells(unsure.ravel(), error.ravel(), view)


def joined(parts: Sequence[Cells]) -> Cells:
    """The cells of several rollouts as one; views are numbered anew, so that those of different rollouts differ."""
    views, first = [], 0
    for part in parts:
        number = np.unique(part.view, return_inverse=True)[1]
        views.append(number + first)
        first += int(number.max(initial=-1)) + 1
    if not parts:
        return Cells(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))
    return Cells(
        np.concatenate([part.unsure for part in parts]),
        np.concatenate([part.error for part in parts]),
        np.concatenate(views).astype(np.int64),
    )


def calibrate(cells: Cells, edges: Sequence[float] = EDGES, seed: int = 0, resamples: int = 1000) -> Calibration:
    """Error by bins of uncertainty.

    Args:
        edges: rising from 0 to 1; the first bin holds the cells of exactly 0, the others (edge, next edge].
        seed: of the bootstrap, which draws whole views.
        resamples: of the bootstrap.

    Raises:
        ValueError: the edges do not rise from 0 to 1.
    """
    bounds = np.asarray(edges, dtype=np.float64)
    if bounds.ndim != 1 or len(bounds) < 2 or bounds[0] != 0 or bounds[-1] != 1 or (np.diff(bounds) <= 0).any():
        raise ValueError(f"edges must rise from 0 to 1, got {edges!r}")
    which = np.searchsorted(bounds, cells.unsure, side="left")
    total = len(bounds)
    counts = np.bincount(which, minlength=total)
    means = _ratio(np.bincount(which, cells.error, total), counts)
    unsure = _ratio(np.bincount(which, cells.unsure, total), counts)
    drawn = _resampled(cells, which, total, np.random.default_rng(seed), resamples)
    bins = []
    for k in range(total):
        some = drawn[np.isfinite(drawn[:, k]), k]
        low, high = np.quantile(some, [0.025, 0.975]) if len(some) else (math.nan, math.nan)
        psnr = -10 * math.log10(means[k]) if means[k] > 0 else math.inf if means[k] == 0 else math.nan
        ends = (0.0, 0.0) if k == 0 else (float(bounds[k - 1]), float(bounds[k]))
        bins.append(Bin(*ends, int(counts[k]), float(unsure[k]), float(means[k]), psnr, float(low), float(high)))
    full = np.flatnonzero(counts)
    falls = np.diff(means[full]) < 0
    surely = [_surely_falls(drawn[:, i], drawn[:, j]) for i, j in pairwise(full)]
    return Calibration(
        bins=tuple(bins),
        monotone=not (falls & np.array(surely, dtype=bool)).any() if len(full) > 1 else None,
        strictly_monotone=not bool(falls.any()) if len(full) > 1 else None,
        spearman=_spearman(np.arange(len(full)), means[full]),
        cell_spearman=_spearman(cells.unsure, cells.error),
        auroc=_auroc(cells.unsure, cells.error),
        cells=len(cells.error),
    )


def calibration(
    imagined: Any, rgb: Any, truth: Any, stride: int, edges: Sequence[float] = EDGES, seed: int = 0
) -> Calibration:
    """``calibrate`` of the ``cell_errors`` of one stack of views."""
    return calibrate(cell_errors(imagined, rgb, truth, stride), edges, seed)


def quantile_edges(cells: Cells, bins: int = 5) -> tuple[float, ...]:
    """Edges for ``calibrate`` that give the cells which are not exactly 0 to about equally full bins."""
    some = cells.unsure[cells.unsure > 0]
    inner = np.quantile(some, np.linspace(0, 1, bins + 1)[1:-1]) if len(some) else np.zeros(0)
    return tuple(np.unique([0.0, *inner.tolist(), 1.0]).tolist())


def _resampled(cells: Cells, which: Array, total: int, rng: np.random.Generator, resamples: int) -> Array:
    """Mean errors (resamples, total) of the bins when views are drawn with replacement; no rows for a single view."""
    names, view = np.unique(cells.view, return_inverse=True)
    if len(names) < 2:
        return np.zeros((0, total))
    table = view * total + which
    counts, sums = (
        np.bincount(table, weights, len(names) * total).reshape(-1, total) for weights in (None, cells.error)
    )
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples).astype(np.float64)
    return _ratio(times @ sums, times @ counts)


def _surely_falls(before: Array, after: Array) -> bool:
    both = np.isfinite(before) & np.isfinite(after)
    return bool(both.any()) and float((after < before)[both].mean()) >= 0.95


def _ratio(sums: Array, counts: Array) -> Array:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _spearman(a: Array, b: Array) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.asarray(spearmanr(a, b))[0])


def _auroc(unsure: Array, error: Array) -> float:
    """Area under the receiver operating characteristic (Mann-Whitney): ties count half."""
    if not len(error):
        return math.nan
    worse = error > np.median(error)
    positive, negative = int(worse.sum()), int((~worse).sum())
    if not positive or not negative:
        return math.nan
    return float((rankdata(unsure)[worse].sum() - positive * (positive + 1) / 2) / (positive * negative))
