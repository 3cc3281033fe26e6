"""Correlations over policies against SciPy and cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mirage_env.evaluation.ranking_statistics import (
    agreement,
    behind_best,
    compare,
    correlations,
    mean_gap,
    pearson,
    spearman,
)


@given(arrays(np.float64, (2, 6), elements=st.integers(0, 8).map(float)))
def test_correlations_are_scipys(xy: np.ndarray) -> None:
    x, y = xy
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(pearson(x, y)) and np.isnan(spearman(x, y))
    else:
        assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_many_are_correlated_at_once() -> None:
    x, y = np.random.default_rng(0).random((2, 5, 4, 7))
    for measure in (pearson, spearman):
        found = measure(x, y)
        assert found.shape == (5, 4)
        assert found[3, 2] == measure(x[3, 2], y[3, 2])


def outcomes(skills: list[float], episodes: int, seed: int) -> np.ndarray:
    """Episodes of policies that succeed where a draw, the same for all, is below their skill."""
    draws = np.random.default_rng(seed).random(episodes)
    return (draws < np.array(skills)[:, None]).astype(float)


def test_intervals_are_over_episodes_paired_across_policies_and_worlds() -> None:
    true = outcomes([0.1, 0.3, 0.5, 0.7, 0.9], 200, 0)
    same = correlations(true, true, seed=0)
    # The same episodes in both worlds: however they are drawn, the policies are as good in one as in the other.
    assert same["pearson"][:3] == pytest.approx((1, 1, 1))
    other = correlations(outcomes([0.1, 0.3, 0.5, 0.7, 0.9], 200, 1), true, seed=0)
    assert 0.95 < other["pearson"].low < other["pearson"].value < other["pearson"].high <= 1
    few = correlations(outcomes([0.4, 0.5, 0.6], 20, 1), outcomes([0.4, 0.5, 0.6], 20, 2), seed=0)
    assert few["pearson"].high - few["pearson"].low > 0.2
    assert correlations(true[:3, ::-1], true[:3], seed=5) == correlations(true[:3, ::-1], true[:3], seed=5)


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    imagined, true = np.random.default_rng(1).random((2, 4, 40)) ** np.array([1, 2, 3, 4])[:, None]

    def statistic(drawn: np.ndarray) -> float:
        return stats.pearsonr(imagined[:, drawn].mean(1), true[:, drawn].mean(1)).statistic

    rng = np.random.default_rng(0)
    theirs = stats.bootstrap(
        (np.arange(40),), statistic, vectorized=False, method="percentile", n_resamples=2000, rng=rng
    ).confidence_interval
    ours = correlations(imagined, true, seed=0)["pearson"]
    assert ours.value == pytest.approx(statistic(np.arange(40)))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_a_reversed_order_is_minus_one() -> None:
    true = outcomes([0.1, 0.5, 0.9], 100, 0)
    found = correlations(1 - true, true, seed=0)
    assert found["pearson"].value == pytest.approx(-1)
    assert found["spearman"].value == pytest.approx(-1)


def test_what_is_undefined_is_said_to_be() -> None:
    true = outcomes([0.1, 0.5, 0.9], 50, 0)
    found = correlations(np.ones((3, 50)), true, seed=0)["pearson"]
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.why == "all policies have 1 in imagination" and found.undefined == 1
    both = correlations(np.zeros((3, 50)), np.zeros((3, 50)), seed=0)["spearman"]
    assert both.why == "all policies have 0 in imagination and all policies have 0 in truth"
    rare = np.zeros((3, 50))
    rare[0, 0] = 1  # a resample without this one episode has no correlation
    partly = correlations(rare, true, seed=0)["pearson"]
    assert partly.why == "" and partly.undefined == pytest.approx((49 / 50) ** 50, abs=0.04)
    assert np.isfinite([partly.value, partly.low, partly.high]).all()


def test_too_few_policies_and_unequal_worlds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 policies, got 2"):
        correlations(np.ones((2, 5)), np.ones((2, 5)), seed=0)
    with pytest.raises(ValueError, match=r"got \(3, 5\) and \(3, 4\)"):
        correlations(np.ones((3, 5)), np.ones((3, 4)), seed=0)
    with pytest.raises(ValueError, match="must be finite"):
        correlations(np.full((3, 5), np.inf), np.ones((3, 5)), seed=0)


def test_what_is_behind_the_best_is_told_by_the_same_resamples() -> None:
    skills = [0.1, 0.3, 0.5, 0.7, 0.9]
    true = outcomes(skills, 60, 0)
    imagined = {"best": true, "alike": outcomes(skills, 60, 1), "worse": outcomes([0.9, 0.3, 0.5, 0.7, 0.4], 60, 2)}
    found = behind_best({**imagined, "again": true, "none": np.ones((5, 60))}, true, seed=0)
    assert found["best"][:3] == (0, 0, 0) and found["again"][:3] == (0, 0, 0)
    assert found["alike"].value == pytest.approx(1 - pearson(imagined["alike"].mean(1), true.mean(1)))
    assert 0 < found["alike"].low < found["alike"].high < 0.1 and found["worse"].low > 0.3
    # With the best at 1 in every resample, what is behind is 1 minus the other, and so are the bounds.
    alone = correlations(imagined["worse"], true, seed=0)["pearson"]
    assert (found["worse"].low, found["worse"].high) == pytest.approx((1 - alone.high, 1 - alone.low))
    assert np.isnan(found["none"].value) and found["none"].why == "all policies have 1 in imagination"
    assert np.isnan(behind_best({"none": np.ones((5, 60))}, true, seed=0)["none"].value)


def test_agreement_and_kappa() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: the textbook's case.
    a = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    b = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    same, kappa = agreement(a, b)
    assert same == 0.7 and kappa == pytest.approx(0.4)
    assert agreement(np.array([1, 0, 1, 0]), np.array([0, 1, 0, 1])) == (0.0, -1.0)
    assert agreement(np.ones(4), np.ones(4))[0] == 1 and np.isnan(agreement(np.ones(4), np.ones(4))[1])


def test_the_gap_is_imagined_minus_true() -> None:
    true = outcomes([0.5, 0.5, 0.5], 100, 0)
    gap = mean_gap(true + 0.25, true, seed=0)
    assert gap.value == pytest.approx(0.25) and gap.high - gap.low < 1e-9
    wide = mean_gap(outcomes([0.9] * 3, 100, 1), true, seed=0)
    assert 0.25 < wide.low < wide.value < wide.high < 0.65


def test_a_task_without_success_is_compared_without_agreement() -> None:
    areas = np.random.default_rng(0).random((3, 10))
    assert set(compare({"explored_area": areas}, {"explored_area": areas}, 0)) == {"measures"}
    assert {"agreement", "kappa"} < set(compare({"success": areas > 0.5}, {"success": areas > 0.4}, 0))
