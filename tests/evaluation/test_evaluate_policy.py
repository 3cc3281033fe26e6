"""The evaluation of one policy: its report, its pictures, and going on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image

from mirage_env.envs.actions import MOVE_FORWARD
from mirage_env.evaluation.evaluate_policy import evaluate_policy, film_trials
from mirage_env.evaluation.places import Place, true_simulator
from mirage_env.evaluation.trial import plan_episodes
from mirage_env.evaluation.trial_pictures import FLOOR, GOAL, SHORTEST, TrialMap, replay
from mirage_env.evaluation.trial_summary import summarise_trials, values
from mirage_env.evaluation.trials import walk
from mirage_env.evaluation.world_settings import world_setting
from tests.evaluation.test_trial import straight, trial
from tests.small_world import small_world
from tests.toy_walkers import always, noisy, stopping

QUICK: dict[str, Any] = {"scenes": "toy", "num_envs": 2, "max_episode_steps": 30, "progress": False}


def test_a_report_says_what_was_walked_and_is_gone_on_with(tmp_path: Path) -> None:
    data = evaluate_policy(noisy(0.1), tmp_path, episodes=3, seed=3, pictures=2, **QUICK)
    trials = json.loads((tmp_path / "trials.json").read_text())["trials"]
    assert data == json.loads((tmp_path / "report.json").read_text())
    assert data["summary"]["success"]["mean"] == pytest.approx(np.mean([one["success"] for one in trials]), abs=1e-6)
    assert data["episodes"] == 3 and sum(data["failures"].values()) == 3 - sum(one["success"] for one in trials)
    text = (tmp_path / "report.md").read_text()
    assert "| SoftSPL |" in text and "| collisions per metre |" in text and "(maps.png)" in text
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["00000.png", "00002.png"]
    assert Image.open(tmp_path / "maps.png").size[0] > 2 * 288
    frames = imageio.mimread(tmp_path / "walks.mp4", memtest=False)
    assert len(frames) > 20 and frames[0].shape[0] % 2 == 0
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1

    more = evaluate_policy(noisy(0.1), tmp_path, episodes=4, seed=3, pictures=0, film=False, **QUICK)
    assert more["steps_of_this_run"] == more["trials"][3]["steps"] and more["trials"][:3] == data["trials"]
    assert more["pictures"] == {}
    with pytest.raises(ValueError, match="holds trials of another policy; remove it, or use another folder"):
        evaluate_policy(noisy(0.2), tmp_path, episodes=4, seed=3, **QUICK)


def test_worlds_are_imagined_by_a_setting(tmp_path: Path) -> None:
    data = evaluate_policy(
        always(MOVE_FORWARD), tmp_path, "mirage", setting="imagine=never", model=small_world(), episodes=2, **QUICK
    )
    assert data["place"]["imagined"] and data["place"]["setting"] == "imagine=never"
    assert data["failures"]["stuck"] + data["failures"]["lost"] + data["failures"]["never stopped"] == 2
    assert "worlds imagined from views of `rooms`" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"episodes": 0}, "episodes must be a whole number of at least 1, got 0"),
        ({"scenes": []}, "scenes must name at least one scene"),
        ({"simulator": "dream"}, "unknown simulator 'dream'; valid are rooms, mesh, habitat"),
        ({"setting": "memory-off"}, "the setting 'memory-off' is of imagined worlds"),
        ({"num_envs": 0}, "num_envs must be a whole number of at least 1"),
        ({"max_episode_steps": 0}, "max_episode_steps must be a whole number of at least 1"),
        ({"task": "Cooking"}, "unknown task 'Cooking'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        evaluate_policy(stopping(), tmp_path / "out", **(QUICK | {"episodes": 1} | wrong))
    assert not (tmp_path / "out").exists()


def test_summaries_have_intervals_and_ratios_of_sums() -> None:
    trials = [
        trial(straight(4, 1.0), success=True, collisions=0, distance_to_goal=0.1),
        trial(straight(8, 2.0), collisions=6),
        trial(straight(4, 1.0), collisions=2, distance_to_goal=2.1),
    ]
    found = summarise_trials(trials, seed=0)
    assert found["success"].mean == pytest.approx(1 / 3) and found["success"].low == 0 < found["success"].high
    assert found["collisions_per_metre"].mean == pytest.approx(8 / 4)
    assert 0 <= found["collisions_per_metre"].low < 2 < found["collisions_per_metre"].high <= 3
    assert found["distance_to_goal"].mean == pytest.approx(1.1) and found["distance_to_goal"].n == 2
    assert found["coverage"].n == 0
    np.testing.assert_array_equal(values(trials, "imagined_fraction"), [0.5] * 3)
    assert "success" not in summarise_trials([trial(straight(4, 1.0), goal=None)], seed=0)
    standing = summarise_trials([trial(straight(0, 0.0), path_length=0.0)] * 2, seed=0)
    assert np.isnan(standing["collisions_per_metre"].mean)


@pytest.mark.parametrize("setting", [None, "default"])
def test_walks_are_made_again_from_their_actions(setting: str | None) -> None:
    imagined = None if setting is None else world_setting(setting, small_world())
    place = Place("rooms", "toy", imagined, max_episode_steps=12)
    envs = place.make_envs(noisy(0.2), "PointNav", 2)
    for one in walk(envs, noisy(0.2).make, plan_episodes(2, ["toy"], 3, 2)):
        (env,) = place.make_envs(noisy(0.2), "PointNav", 1)
        places = np.array([view.pose[:3, 3] for view in replay(one, env)])
        np.testing.assert_allclose(places[:, [0, 2]], one.positions[:, [0, 2]], atol=1e-4)


def test_a_map_shows_floor_obstacle_way_and_goal() -> None:
    goal = np.array([1.0, 0.0, -2.4])
    one = trial([(1.0, 0.0, 0.2 + 0.1 * k) for k in range(6)], goal=goal, yaws=np.zeros(6))
    drawn = TrialMap(one, true_simulator("rooms", "toy"), size=200)
    canvas, view = drawn.canvas, drawn.view

    def colour(x: float, z: float) -> tuple[int, ...]:
        column, row = view.pixels(np.array([x, 0.0, z])).astype(int)
        return tuple(canvas[row, column].tolist())

    assert colour(0.0, 1.0) == FLOOR
    assert colour(1.0, -1.0) not in (FLOOR, SHORTEST)  # the cube, centred there; the way goes round it
    assert colour(2.2, -1.0) != FLOOR  # behind the wall
    assert colour(1.0, -2.4) == GOAL
    assert (canvas == SHORTEST).all(-1).sum() > 100
    assert (drawn.at() != drawn.at(0)).any() and drawn.at(99).shape == (200, 200, 3)


def test_films_show_successes_and_failures_of_different_types() -> None:
    won = [trial(straight(2, 1.0), index=k, success=True) for k in range(5)]
    early = [trial(straight(2, 1.0), index=10 + k, stopped=True) for k in range(3)]
    near = trial(straight(2, 1.0), index=20, closest=0.3)
    assert [one.index for one in film_trials([*won, *early, near])] == [0, 10, 1, 20, 2, 11]
    assert [one.index for one in film_trials(early)] == [10, 11, 12]
