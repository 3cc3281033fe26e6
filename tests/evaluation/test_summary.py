"""Numbers over episodes, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirage_env.evaluation.goals import Goal, goals, score
from mirage_env.evaluation.metrics import bootstrap_interval
from mirage_env.evaluation.report_text import goal_table, number, table
from mirage_env.evaluation.settings import Settings
from mirage_env.evaluation.summary import NOTHING, Entry, Summary, mean_over_episodes, over_episodes, summarise


def test_means_leave_out_what_is_not_known() -> None:
    entry = mean_over_episodes([1.0, None, 3.0, math.nan], seed=0)
    assert (entry.mean, entry.n) == (2.0, 2)
    assert entry.std == pytest.approx(math.sqrt(2))
    assert entry.low == 1.0 and entry.high == 3.0
    assert mean_over_episodes([5.0], seed=0)[:1] == (5.0,)
    assert math.isnan(mean_over_episodes([5.0], seed=0).low)
    assert mean_over_episodes([None], seed=0) == NOTHING


def test_the_quick_bootstrap_is_the_bootstrap() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=64)
    quick, slow = mean_over_episodes(values, seed=1), bootstrap_interval(values, seed=1)
    assert quick.mean == pytest.approx(slow.mean)
    assert quick.low == pytest.approx(slow.low, abs=0.03)
    assert quick.high == pytest.approx(slow.high, abs=0.03)


def test_statistics_over_episodes_draw_whole_episodes() -> None:
    rows = [np.zeros(99), np.ones(1)]
    entry = over_episodes(rows, lambda drawn: float(np.mean([row.mean() for row in drawn])), seed=0)
    assert (entry.mean, entry.low, entry.high, entry.n) == (0.5, 0.0, 1.0, 2)


def collided(hits: float, said: float, blocked: float) -> dict[str, float]:
    where = {"hits": hits, "said": said, "blocked": blocked, "steps": 10.0}
    return {f"{place}/{key}": value for place in ("seen", "unseen") for key, value in where.items()}


def test_blocked_steps_are_counted_over_all_episodes() -> None:
    # 3 + 0 hits; 4 + 2 said to be blocked; 5 + 1 truly blocked.
    results = [
        {"collisions": {"numbers": collided(3, 4, 5)}},
        {"loops": {"numbers": {"drift": 1.0}}},
        {"collisions": {"numbers": collided(0, 2, 1)}},
    ]
    found = summarise(results, seed=0)
    assert found.get("collisions", "seen/precision").mean == pytest.approx(3 / 6)
    assert found.get("collisions", "seen/recall").mean == pytest.approx(3 / 6)
    assert found.get("collisions", "seen/f1").mean == pytest.approx(6 / 12)
    assert found.get("collisions", "seen/steps").mean == 10.0
    assert found.get("loops", "drift").n == 1
    assert not found.has("novel")
    assert found.get("novel", "anything") == NOTHING


def test_medians_pool_what_the_episodes_list() -> None:
    results = [
        {"following": {"numbers": {}, "lists": {"rotation_deg/mirage": [1.0, 2.0, 30.0]}}},
        {"following": {"numbers": {}, "lists": {"rotation_deg/mirage": [4.0, None, 5.0]}}},
    ]
    found = summarise(results, seed=0)
    assert found.get("following", "rotation_deg/mirage/median").mean == 4.0
    assert found.get("following", "rotation_deg/mirage/p90").mean == pytest.approx(5 + 0.6 * 25)


def test_ghosts_are_counted_over_all_episodes() -> None:
    results = [
        {"ghosts": {"numbers": {"ghosts_on": 1, "ghosts_off": 90, "hidden_on": 0, "hidden_off": 0, "fewer": 0.9}}},
        {"ghosts": {"numbers": {"ghosts_on": 4, "ghosts_off": 10, "hidden_on": 2, "hidden_off": 2, "fewer": 0.6}}},
        {"ghosts": {"numbers": {}}},
    ]
    assert summarise(results, seed=0).get("ghosts", "fewer").mean == pytest.approx(1 - 5 / 100)
    assert summarise(results, seed=0).get("ghosts", "fewer_known").mean == pytest.approx(1 - 3 / 98)
    assert summarise(results[2:], seed=0).get("ghosts", "fewer") == NOTHING


def test_calibration_joins_the_cells_of_all_episodes() -> None:
    results = [
        {"calibration": {"cells": {"unsure": [0.0, 0.0, 0.9], "error": [0.01, 0.01, 0.1]}}},
        {"calibration": {"cells": {"unsure": [0.0, 0.3, 0.9], "error": [0.01, 0.02, 0.1]}}},
    ]
    found = summarise(results, seed=0)
    assert found.keys("calibration", "psnr")[:3] == ["0", "0–0.2", "0.2–0.4"]
    assert found.get("calibration", "psnr/0").mean == pytest.approx(20.0)
    assert found.get("calibration", "psnr/0.8–1").mean == pytest.approx(10.0)
    assert found.get("calibration", "cells/0").mean == 3
    assert found.get("calibration", "monotone").mean == 1.0


def test_goals_are_reached_missed_or_not_measured() -> None:
    at_least, at_most = (
        Goal("a", "p", "k", at_least=3.0),
        Goal("b", "p", "k", at_most=3.0, unit="", digits=2),
    )
    three, four = Entry(3.0, 2.9, 3.1, 5), Entry(4.0, math.nan, math.nan, 1)
    assert (at_least.bound, at_most.bound) == ("≥ 3 dB", "≤ 3")
    assert [at_least.reached(e) for e in (three, four, NOTHING)] == [True, True, None]
    assert [at_most.reached(e) for e in (three, four)] == [True, False]
    text = goal_table([(at_least, three, True), (at_most, four, False), (at_most, NOTHING, None)])
    assert text.splitlines()[2:] == [
        "| a | ≥ 3 dB | 3.0 [2.9, 3.1] | 5 | reached |",
        "| b | ≤ 3 | 4.00 | 1 | **missed** |",
        "| b | ≤ 3 | – | 0 | not measured |",
    ]


def test_every_goal_of_the_issue_is_scored() -> None:
    scored = score(Summary({"loops": {"drift": Entry(0.5, 0.4, 0.6, 64)}}), Settings())
    assert {goal.text: reached for goal, _, reached in scored}["drift, loop of 512 steps against 32"] is True
    assert len(scored) == 16  # fifteen of the world, one of what "new" spares against "always"
    bounds = [(goal.at_least is None) != (goal.at_most is None) for goal, _, _ in scored]
    assert all(bounds)
    short = goals(Settings(loops=(32, 64)))
    assert not any("drift" in goal.text or "closed loop" in goal.text for goal in short)


def test_tables() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert number(Entry(1.234, 1.0, 1.5, 3), 2) == "1.23 [1.00, 1.50]"
    assert number(NOTHING) == "–"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seed": -1}, "seed must be a whole number"),
        ({"depth": "guessed"}, "depth must be one of true, predicted"),
        ({"horizons": (4, 2)}, "horizons must rise"),
        ({"horizons": ()}, "horizons must be whole numbers of at least 1"),
        ({"loops": (7,)}, "a loop has an even number of steps"),
        ({"loops": (2,)}, "loops must be whole numbers of at least 4"),
    ],
)
def test_settings_are_checked(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Settings(**wrong)  # type: ignore[arg-type]
