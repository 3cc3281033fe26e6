"""The truth test end to end, with cheap policies in the toy scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirage_env.evaluation import provenance
from mirage_env.evaluation.ranking import compare_places, rank_policies
from mirage_env.evaluation.ranking_text import describe_ranking, settings_table
from mirage_env.evaluation.trial import Trial
from tests.evaluation.test_trial import straight, trial
from tests.small_world import small_world
from tests.toy_walkers import always, noisy, stopping

QUICK: dict[str, Any] = {"scenes": "toy", "num_envs": 3, "max_episode_steps": 40, "progress": False, "seed": 3}
WALKERS = [noisy(0.0), noisy(0.5), noisy(0.9), stopping()]


def test_a_ranking_is_walked_reported_and_gone_on_with(tmp_path: Path) -> None:
    world = small_world()
    settings = ["true-collisions+imagine=never"]
    data = rank_policies(WALKERS, tmp_path, episodes=4, settings=settings, model=world, **QUICK)
    # These policies look at nothing but the goal, and the floor is the true one here.
    found = data["settings"][settings[0]]
    for name in ("success", "spl", "soft_spl"):
        assert found["measures"][name]["pearson"]["value"] == pytest.approx(1, abs=1e-3)
        assert found["measures"][name]["gap"]["value"] == pytest.approx(0, abs=1e-2)
    assert found["agreement"] == 1 and found["kappa"] == 1
    assert found["agreement_by_policy"]["always-0"] == [1, None]
    successes = [data["worlds"]["truth"][w.name]["summary"]["success"]["mean"] for w in WALKERS]
    assert successes[0] > successes[2] and successes[3] == 0
    text = (tmp_path / "report.md").read_text()
    assert "| `true-collisions+imagine=never` | 1.00" in text and "100 %, κ –" in text and "-0.00" not in text
    scatter = tmp_path / "scatter-true-collisions+imagine=never.png"
    assert Image.open(scatter).size[0] > 1000
    assert json.loads((tmp_path / "report.json").read_text()) == data
    assert len(list((tmp_path / "trials" / "truth").iterdir())) == 4

    walkers = [*WALKERS, noisy(0.2)]
    more = rank_policies(walkers, tmp_path, episodes=4, settings=[*settings, "imagine=never"], model=world, **QUICK)
    new = [more["worlds"]["imagine=never"][w.name] for w in walkers]
    new += [more["worlds"][place]["seeker:0.2"] for place in ("truth", settings[0])]
    walked = sum(4 * one["summary"]["steps"]["mean"] for one in new)
    assert more["steps_of_this_run"] == pytest.approx(walked, abs=1e-3)
    assert more["worlds"]["truth"]["seeker:0.5"] == data["worlds"]["truth"]["seeker:0.5"]
    assert "settings.png" in more["pictures"].values() and (tmp_path / "settings.png").exists()
    assert "predicts Success in truth best" in (tmp_path / "report.md").read_text()


def trials_of(outcomes: list[int], **changes: Any) -> list[Trial]:
    return [trial(straight(4, 1.0), index=k, success=bool(s), spl=0.9 * s, **changes) for k, s in enumerate(outcomes)]


def described(trials: dict[str, dict[str, list[Trial]]]) -> dict[str, Any]:
    words = dict.fromkeys(("task", "simulator", "scenes", "model"), "")
    counts = ("seed", "episodes", "scenes_used", "max_episode_steps", "steps_of_this_run", "seconds_of_this_run")
    pictures = {setting: "a.png" for setting in trials if setting != "truth"}
    policies = [{"name": name} for name in trials["truth"]]
    about = {"pictures": pictures, "policies": policies, "versions": {}, "device": {"processor": "", "cores": 2}}
    return provenance.plain({**words, **dict.fromkeys(counts, 0), **about, **compare_places(trials, seed=0)})


def test_correlations_that_do_not_exist_are_said_not_to() -> None:
    true = {"a": trials_of([1, 1, 1, 0]), "b": trials_of([1, 0, 0, 0]), "c": trials_of([0, 0, 0, 0])}
    nothing = {name: trials_of([0, 0, 0, 0]) for name in true}
    data = described({"truth": true, "default": nothing, "perfect": true})
    assert data["settings"]["default"]["measures"]["success"]["pearson"]["value"] is None
    assert "| `default` | undefined | undefined | -0.33" in settings_table(data)
    text = describe_ranking(data)
    assert "`default`, Success: no correlation is defined, all policies have 0 in imagination." in text
    assert "`default`, SoftSPL: no correlation is defined, all policies have 0.25 in imagination and all" in text
    assert "- `perfect` predicts Success in truth best (Pearson 1.00).\n" in text
    assert "nan" not in text.lower()


def test_settings_are_behind_the_best_or_not_told_from_it() -> None:
    true = {"a": trials_of([1] * 18 + [0] * 2), "b": trials_of([1] * 10 + [0] * 10), "c": trials_of([1] + [0] * 19)}
    turned = dict(zip(true, reversed(true.values()), strict=True))
    text = describe_ranking(described({"truth": true, "perfect": true, "same": true, "turned": turned}))
    assert "- `perfect` predicts Success in truth best (Pearson 1.00). Behind it: `turned` by 2.00 [" in text
    assert "These episodes do not tell it from `same`.\n" in text
    assert "in truth best" not in describe_ranking(described({"truth": true, "perfect": true}))


def test_a_task_without_goals_is_ranked_by_what_it_measures() -> None:
    def explored(*areas: float) -> list[Trial]:
        told = [{"explored_area": area, "coverage": np.nan, "imagined_fraction": 0.1} for area in areas]
        return [trial(straight(4, 1.0), index=k, goal=None, measures=one) for k, one in enumerate(told)]

    true = {"a": explored(3, 4, 5), "b": explored(7, 8, 9), "c": explored(8, 9, 11)}
    data = described({"truth": true, "default": true})
    assert data["measures"] == ["explored_area"]
    assert data["settings"]["default"]["measures"]["explored_area"]["pearson"]["value"] == pytest.approx(1)
    assert "explored area: Pearson" in describe_ranking(data) and "Agreement" not in describe_ranking(data)


@pytest.mark.parametrize(
    ("policies", "wrong", "sentence"),
    [
        (WALKERS[:2], {}, r"at least 3 policies, got 2: seeker:0\.0, seeker:0\.5"),
        ([*WALKERS, WALKERS[0]], {}, r"each policy can be named once, got seeker:0\.0 more than once"),
        (WALKERS, {"settings": ["dream"]}, "unknown setting 'dream'"),
        (WALKERS, {"settings": []}, "name at least one setting"),
        (WALKERS, {"scenes": []}, "scenes must name at least one scene"),
        (WALKERS, {"simulator": "mirage"}, "unknown simulator 'mirage'; valid are rooms, mesh, habitat"),
        (WALKERS, {"episodes": 0}, "episodes must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_refused_before_anything_is_walked(
    tmp_path: Path, policies: Any, wrong: dict[str, Any], sentence: str
) -> None:
    arguments = QUICK | {"episodes": 1, "model": small_world()} | wrong
    with pytest.raises(ValueError, match=sentence):
        rank_policies(policies, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_an_agent_that_only_turns_is_ranked_too(tmp_path: Path) -> None:
    walkers = [always(2), always(3), stopping()]
    data = rank_policies(walkers, tmp_path, episodes=2, settings=["imagine=never"], model=small_world(), **QUICK)
    assert "no correlation is defined" in (tmp_path / "report.md").read_text()
    assert data["worlds"]["truth"]["always-2"]["failures"]["stuck"] == 2
