"""Walking planned episodes: the same however many worlds there are, in truth and imagination, and after Ctrl-C."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT
from mirage_env.evaluation.contestants import Contestant
from mirage_env.evaluation.places import Place
from mirage_env.evaluation.trial import Plan, Trial, failure, plan_episodes
from mirage_env.evaluation.trials import read_trials, run_trials, walk
from mirage_env.evaluation.world_settings import world_setting
from tests.small_world import small_world
from tests.toy_walkers import always, noisy

TRUTH = Place("rooms", "toy", max_episode_steps=40)
ABOUT = {"policy": "oracle", "seed": 3}


def walked(place: Place, walker: Contestant, count: int, plans: list[Plan]) -> list[Trial]:
    envs = place.make_envs(walker, "PointNav", count)
    return sorted(walk(envs, walker.make, plans), key=lambda trial: trial.index)


def assert_same(a: list[Trial], b: list[Trial]) -> None:
    assert [one.to_json() for one in a] == [one.to_json() for one in b]


@pytest.mark.parametrize("setting", [None, "default"])
def test_results_do_not_depend_on_how_many_worlds_there_are(setting: str | None) -> None:
    imagined = None if setting is None else world_setting(setting, small_world())
    place = Place("rooms", "toy", imagined, max_episode_steps=30)
    plans = plan_episodes(5, ["toy"], 3, 5)
    alone = walked(place, noisy(0.3), 1, plans)
    assert [trial.index for trial in alone] == [0, 1, 2, 3, 4]
    assert len({trial.steps for trial in alone}) > 1
    assert_same(alone, walked(place, noisy(0.3), 3, plans))
    assert_same(alone, walked(place, noisy(0.3), 8, plans[::-1]))


def test_episodes_begin_alike_in_truth_and_imagination() -> None:
    plans = plan_episodes(4, ["toy"], 3, 4)
    imagined = Place("rooms", "toy", world_setting("default", small_world()), max_episode_steps=40)
    for true, other in zip(
        walked(TRUTH, always(STOP), 2, plans), walked(imagined, always(STOP), 2, plans), strict=True
    ):
        np.testing.assert_allclose(other.positions[0], true.positions[0], atol=2e-4)
        np.testing.assert_allclose(other.yaws[0], true.yaws[0], atol=2e-4)
        np.testing.assert_array_equal(other.goal, true.goal)


def test_what_a_trial_says_is_what_the_environment_said() -> None:
    solved, blocked, turned = (
        walked(TRUTH, walker, 1, [Plan(0, 5, "toy")])[0] for walker in (noisy(0.0), always(MOVE_FORWARD), always(2))
    )
    assert solved.success and solved.stopped and solved.spl > 0.8 and failure(solved) is None
    assert solved.closest == solved.distance_to_goal < 0.2 <= solved.shortest
    legs = np.linalg.norm(np.diff(solved.positions, axis=0), axis=1)
    assert legs.sum() == pytest.approx(solved.path_length, abs=1e-2)
    assert solved.actions[-1] == STOP and len(solved.actions) == solved.steps
    assert blocked.steps == 40 and blocked.collisions > 10 and not blocked.stopped
    assert turned.collisions == 0 and turned.path_length == 0 and failure(turned) == "stuck"
    np.testing.assert_allclose(np.unwrap(turned.yaws)[-1] - turned.yaws[0], np.radians(400), atol=1e-2)
    assert {walk.actions[0] for walk in (blocked, turned)} == {MOVE_FORWARD, TURN_LEFT}


def test_an_episode_that_cannot_begin_is_named() -> None:
    envs = TRUTH.make_envs(noisy(0.0), "PointNav", 1)
    with pytest.raises(ValueError, match=r"episode 3 \(seed 9, scene 'nowhere'\): unknown scenes 'nowhere'"):
        list(walk(envs, noisy(0.0).make, [Plan(3, 9, "nowhere")]))


class Interrupting:
    """Runs trials and presses Ctrl-C after so many of them."""

    def __init__(self, path: Path, after: int) -> None:
        self.path, self.left = path, after
        self.new: list[int] = []

    def __call__(self, trial: Trial) -> None:
        self.new.append(trial.index)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def run(self, count: int, about: dict[str, Any] = ABOUT) -> list[Trial]:
        walker = noisy(0.2)
        plans = plan_episodes(count, ["toy"], 3, 10)
        return run_trials(
            self.path, about, plans, lambda: TRUTH.make_envs(walker, "PointNav", 2), walker.make, self.__call__
        )


def test_after_ctrl_c_the_same_call_goes_on(tmp_path: Path) -> None:
    path, whole = tmp_path / "trials.json", Interrupting(tmp_path / "whole.json", -1).run(5)
    with pytest.raises(KeyboardInterrupt):
        Interrupting(path, 2).run(5)
    kept = set(read_trials(path, ABOUT))
    assert len(kept) == 2
    again = Interrupting(path, -1)
    assert_same(again.run(5), whole)
    assert set(again.new) == {0, 1, 2, 3, 4} - kept
    assert path.read_text() == (tmp_path / "whole.json").read_text()
    more = Interrupting(path, -1)
    assert_same(more.run(6)[:5], whole)
    assert more.new == [5]


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    Interrupting(path, -1).run(1)
    with pytest.raises(ValueError, match="holds trials of another seed; remove it, or use another folder"):
        Interrupting(path, -1).run(1, {"policy": "oracle", "seed": 4})
    found = json.loads(path.read_text())
    del found["trials"][0]["spl"]
    path.write_text(json.dumps(found))
    with pytest.raises(ValueError, match=r"trials\.json is damaged \('spl'\)"):
        Interrupting(path, -1).run(1)
