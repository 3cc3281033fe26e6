"""Success, SPL and SoftSPL against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirage_env.tasks.measures import SUCCESS_DISTANCE, soft_spl, spl, success


@pytest.mark.parametrize(
    ("stopped", "distance", "expected"),
    [(True, 0.19, True), (True, 0.2, False), (False, 0.0, False), (True, math.inf, False)],
)
def test_success_needs_stop_and_nearness(stopped: bool, distance: float, expected: bool) -> None:
    assert success(stopped, distance) is expected


@pytest.mark.parametrize(
    ("succeeded", "shortest", "path", "expected"),
    [(True, 4.0, 5.0, 0.8), (True, 4.0, 3.9, 1.0), (False, 4.0, 4.0, 0.0), (True, 4.0, 0.0, 1.0)],
)
def test_spl(succeeded: bool, shortest: float, path: float, expected: float) -> None:
    assert spl(succeeded, shortest, path) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("distance", "shortest", "path", "expected"),
    [
        (1.0, 4.0, 3.0, 0.75),
        (1.0, 4.0, 8.0, 0.375),
        (0.0, 4.0, 5.0, 0.8),
        (4.0, 4.0, 0.0, 0.0),
        (9.0, 4.0, 5.0, 0.0),
        (math.inf, 4.0, 5.0, 0.0),
    ],
)
def test_soft_spl(distance: float, shortest: float, path: float, expected: float) -> None:
    assert soft_spl(distance, shortest, path) == pytest.approx(expected)


@pytest.mark.parametrize("shortest", [0.0, -1.0, math.inf, math.nan])
def test_an_episode_of_no_length_has_no_measure(shortest: float) -> None:
    with pytest.raises(ValueError, match="must be positive and finite"):
        spl(True, shortest, 1.0)
    if shortest:
        with pytest.raises(ValueError, match="must be positive and finite"):
            soft_spl(0.0, shortest, 1.0)


@pytest.mark.parametrize("path", [-0.1, math.inf, math.nan])
def test_a_path_of_impossible_length_is_refused(path: float) -> None:
    with pytest.raises(ValueError, match="must be finite and not negative"):
        spl(True, 1.0, path)


@given(st.floats(0, SUCCESS_DISTANCE, exclude_max=True), st.floats(0.5, 50), st.floats(0, 200))
def test_a_solved_episode_has_nearly_the_same_spl_and_soft_spl(distance: float, shortest: float, path: float) -> None:
    hard, soft = spl(True, shortest, path), soft_spl(distance, shortest, path)
    assert 0 <= soft <= hard <= 1
    assert hard - soft <= SUCCESS_DISTANCE / shortest + 1e-12
