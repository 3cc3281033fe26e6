"""Calibration against a slow count, and against models that know, do not know, or lie about how wrong they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirage_env.evaluation.calibration import (
    EDGES,
    Cells,
    calibrate,
    calibration,
    cell_errors,
    joined,
    quantile_edges,
)
from mirage_env.evaluation.metrics import psnr
from mirage_env.geometry import Array


def views(seed: int = 0, knows: float = 1.0, count: int = 6) -> tuple[Array, Array, Array]:
    """Cells (count, 4, 4) of stride 4 whose noise grows with ``unsure`` (knows 1), not at all (0), or falls (-1)."""
    rng = np.random.default_rng(seed)
    unsure = rng.choice([0.0, 0.1, 0.3, 0.5, 0.9, 1.0], (count, 4, 4))
    spread = {1.0: unsure, 0.0: np.full_like(unsure, 0.5), -1.0: 1 - unsure}[knows]
    truth = np.full((count, 16, 16, 3), 128, dtype=np.uint8)
    noise = rng.normal(size=truth.shape) * 20 * spread.repeat(4, 1).repeat(4, 2)[..., None]
    return unsure, np.clip(np.round(truth + noise), 0, 255).astype(np.uint8), truth


def test_bins_agree_with_counting_cell_by_cell() -> None:
    unsure, rgb, truth = views()
    found = calibration(unsure, rgb, truth, 4)
    cells: dict[int, list[float]] = {}
    for n in range(6):
        for r in range(4):
            for c in range(4):
                u = unsure[n, r, c]
                k = 0 if u == 0 else next(i for i in range(1, 6) if EDGES[i - 1] < u <= EDGES[i])
                part = np.s_[n, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4]
                cells.setdefault(k, []).append(float(((rgb[part] / 255.0 - truth[part] / 255.0) ** 2).mean()))
    assert found.cells == 6 * 16
    for k, entry in enumerate(found.bins):
        assert entry.count == len(cells.get(k, []))
        if entry.count:
            assert entry.error == pytest.approx(np.mean(cells[k]))
            assert entry.error_low <= entry.error <= entry.error_high
    # 0.7 was never said: an empty bin is reported as empty.
    assert found.bins[4].count == 0 and math.isnan(found.bins[4].error) and math.isnan(found.bins[4].psnr)
    assert [(b.low, b.high) for b in found.bins] == [(0, 0), (0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1)]
    assert found.bins[0].psnr == math.inf and found.bins[0].error == 0


def test_errors_are_those_of_psnr() -> None:
    unsure, rgb, truth = views(3)
    assert -10 * np.log10(cell_errors(unsure, rgb, truth, 4).error[:16].mean()) == pytest.approx(psnr(rgb[0], truth[0]))


def test_a_model_that_knows_is_told_from_ones_that_guess_or_lie() -> None:
    knows, guesses, lies = (calibration(*views(1, k, 24), 4) for k in (1.0, 0.0, -1.0))
    assert knows.monotone and knows.strictly_monotone
    assert knows.spearman == pytest.approx(1) and knows.auroc > 0.9 and knows.cell_spearman > 0.9
    assert guesses.auroc == pytest.approx(0.5, abs=0.1)
    assert lies.monotone is False and lies.strictly_monotone is False
    assert lies.spearman == pytest.approx(-1) and lies.auroc < 0.1


def test_a_fall_that_chance_explains_is_tolerated() -> None:
    rng = np.random.default_rng(0)
    unsure, view = np.tile([0.0, 0.5, 1.0], 12), np.repeat(np.arange(12), 3)
    error = np.tile([0.1, 0.5, 0.5], 12) + rng.normal(0, 0.05, 36)
    error[2::3] += error[1::3].mean() - error[2::3].mean() - 0.001
    noisy = calibrate(Cells(unsure, error, view))
    assert noisy.monotone and noisy.strictly_monotone is False
    error[2::3] -= 0.2
    assert calibrate(Cells(unsure, error, view)).monotone is False


def test_the_same_seed_gives_the_same_numbers() -> None:
    unsure, rgb, truth = views(2)
    cells = cell_errors(unsure, rgb, truth, 4)
    assert repr(calibrate(cells, seed=5)) == repr(calibrate(cells, seed=5))


def test_ties_count_half_in_the_auroc() -> None:
    error = np.array([1.0, 2.0, 3.0, 4.0])
    view = np.arange(4)
    assert calibrate(Cells(np.array([0.2, 0.2, 0.2, 0.2]), error, view)).auroc == 0.5
    assert calibrate(Cells(np.array([0.1, 0.2, 0.2, 0.3]), error, view)).auroc == pytest.approx(3.5 / 4)


def test_rollouts_are_joined_with_views_of_their_own() -> None:
    parts = [cell_errors(*views(k, 1.0, 2), 4) for k in range(3)]
    both = joined(parts)
    assert len(both.error) == 3 * 2 * 16
    assert np.unique(both.view).tolist() == list(range(6))
    assert both.error[32:64] == pytest.approx(parts[1].error)
    assert calibrate(joined([])).cells == 0
    assert calibrate(joined([])).monotone is None


def test_quantile_bins_are_equally_full() -> None:
    rng = np.random.default_rng(0)
    unsure = np.concatenate([np.zeros(50), rng.uniform(0.001, 1, 500) ** 3])
    cells = Cells(unsure, unsure, np.arange(550) % 11)
    edges = quantile_edges(cells, 5)
    assert [b.count for b in calibrate(cells, edges).bins] == [50, 100, 100, 100, 100, 100]
    assert quantile_edges(Cells(np.zeros(3), np.zeros(3), np.zeros(3))) == (0.0, 1.0)


def test_one_view_has_no_interval() -> None:
    unsure, rgb, truth = views(0, 1.0, 1)
    found = calibration(unsure, rgb, truth, 4)
    assert math.isnan(found.bins[0].error_low)
    assert found.monotone  # nothing shows that a fall would be more than chance
    assert set(found.summary()) == {"monotone", "strictly_monotone", "spearman", "cell_spearman", "auroc", "cells"}


def test_what_makes_no_sense_is_refused() -> None:
    unsure, rgb, truth = views()
    with pytest.raises(ValueError, match="uint8 of one shape"):
        cell_errors(unsure, rgb, truth[:2], 4)
    with pytest.raises(ValueError, match="cells of stride 8"):
        cell_errors(unsure, rgb, truth, 8)
    with pytest.raises(ValueError, match="between 0"):
        cell_errors(unsure + 0.5, rgb, truth, 4)
    with pytest.raises(ValueError, match="rise from 0 to 1"):
        calibration(unsure, rgb, truth, 4, edges=(0.0, 0.5, 0.5, 1.0))
