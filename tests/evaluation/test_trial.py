"""Trials as values: which episodes there are, how they fail, and as files have them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from mirage_env.evaluation.trial import STUCK_STEPS, Plan, Trial, count_failures, failure, plan_episodes


def trial(positions: Any, **changes: Any) -> Trial:
    places = np.array(positions, dtype=np.float64).reshape(-1, 3)
    steps = len(places) - 1
    values: dict[str, Any] = {
        "index": 0,
        "seed": 7,
        "scene": "toy",
        "success": False,
        "spl": 0.0,
        "soft_spl": 0.25,
        "distance_to_goal": math.inf,
        "closest": 3.0,
        "shortest": 4.0,
        "path_length": 0.25 * steps,
        "steps": steps,
        "collisions": 1,
        "stopped": False,
        "reward": -0.5,
        "positions": places,
        "yaws": np.linspace(0, 1, steps + 1),
        "actions": [1] * steps,
        "goal": np.array([0.0, 0.0, 9.0]),
        "measures": {"imagined_fraction": 0.5, "coverage": math.nan},
    }
    return Trial(**(values | changes))


def straight(steps: int, length: float) -> Any:
    return [(0.0, 0.0, -length * k / max(steps, 1)) for k in range(steps + 1)]


def test_a_trial_comes_back_from_json_as_it_was() -> None:
    before = trial(straight(3, 0.75))
    after = Trial.from_json(json.loads(json.dumps(before.to_json(), allow_nan=False)))
    for name, value in vars(before).items():
        np.testing.assert_equal(getattr(after, name), value)


def test_damaged_trials_are_found() -> None:
    values = trial(straight(3, 0.75)).to_json()
    with pytest.raises(ValueError, match="as many places and actions as steps"):
        Trial.from_json(values | {"steps": 4})
    with pytest.raises(KeyError):
        Trial.from_json({k: v for k, v in values.items() if k != "spl"})


def test_episodes_of_a_scene_come_together_and_more_of_them_change_none() -> None:
    assert plan_episodes(5, ["a", "b"], 10, 2) == [
        Plan(0, 10, "a"),
        Plan(1, 11, "a"),
        Plan(4, 14, "a"),
        Plan(2, 12, "b"),
        Plan(3, 13, "b"),
    ]
    assert set(plan_episodes(5, range(100), 10, 2)) < set(plan_episodes(9, range(100), 10, 2))
    assert plan_episodes(2, None, 0, 1) == [Plan(0, 0), Plan(1, 1)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, ["a"], 0, 1), "episodes must be a whole number of at least 1, got 0"),
        ((1, [], 0, 1), "scenes must name at least one scene"),
        ((1, ["a"], -1, 1), "seed must be a whole number, 0 or above"),
        ((1, ["a"], 0, 0), "episodes_per_scene must be"),
    ],
)
def test_plans_that_make_no_sense_are_refused(arguments: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        plan_episodes(*arguments)


def test_failures_by_type() -> None:
    far, still = straight(STUCK_STEPS + 10, 15.0), [(0.0, 0.0, 0.0)] * (STUCK_STEPS + 10)
    came_to_rest = straight(40, 10.0) + [(0.4, 0.0, -10.0)] * STUCK_STEPS
    cases = {
        "success": (trial(still, success=True, stopped=True), None),
        "no goal": (trial(still, goal=None), None),
        "stop, however near": (trial(far, stopped=True, closest=0.3), "stopped early"),
        "was near": (trial(still, closest=0.5), "never stopped"),
        "stood still": (trial(still), "stuck"),
        "came to rest": (trial(came_to_rest), "stuck"),
        "rest too short": (trial(came_to_rest[:-3]), "lost"),
        "walked on": (trial(far), "lost"),
        "climbed in place": (trial([(0.0, 0.1 * k, 0.0) for k in range(60)]), "stuck"),
    }
    assert {name: failure(one) for name, (one, _) in cases.items()} == {name: kind for name, (_, kind) in cases.items()}
    counted = count_failures([one for one, _ in cases.values()])
    assert counted == {"stopped early": 1, "never stopped": 1, "stuck": 3, "lost": 2}
