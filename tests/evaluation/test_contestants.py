"""Policies by name and folder: what a run's folder holds, and whom it can be compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mirage_env.evaluation.contestants import common_task, contestant, contestants, with_common_body
from mirage_env.evaluation.places import Place
from mirage_env.evaluation.trial import Plan
from mirage_env.evaluation.trials import walk
from mirage_env.policies.learned import LearnedPolicy, PolicySettings, save_policy
from tests.toy_walkers import noisy


def saved(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A small policy that looks at the goal, with random weights."""
    values: dict[str, Any] = {
        "task": "PointNav",
        "observations": ("pointgoal", "depth"),
        "shapes": {"pointgoal": (2,), "depth": (32, 32)},
        "actions": "discrete",
        "outputs": 4,
        "width": 16,
        "hidden": (8,),
        "env": {"resolution": 32, "imagine": "never"},
    }
    settings = PolicySettings(**(values | changes))
    torch.manual_seed(seed)
    save_policy(folder, settings.network(), settings)
    return folder


def run_folder(root: Path) -> Path:
    for k, steps in enumerate(("000200000", "000050000", "001000000")):
        saved(root / "checkpoints" / steps, seed=k)
    saved(root / "best", seed=0)
    saved(root / "last", seed=2)
    return root


def test_a_run_is_its_best_policy_or_all_its_checkpoints(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "runs" / "a")
    best = contestant(str(run))
    assert (best.name, best.task, best.steps) == ("a/best", "PointNav", None)
    assert best.fingerprint == contestant(str(run / "checkpoints" / "000200000")).fingerprint
    assert contestant(str(run / "last")).fingerprint != best.fingerprint
    kept = contestants([str(run)])
    assert [one.steps for one in kept] == [50_000, 200_000, 1_000_000]
    assert [one.name for one in kept] == ["a/000050000", "a/000200000", "a/001000000"]
    assert [one.name for one in contestants([str(run / "best"), str(run / "last")])] == ["a/best", "a/last"]


def test_a_learned_policy_walks_in_the_body_it_was_trained_in(tmp_path: Path) -> None:
    learned = contestant(str(saved(tmp_path / "policy")))
    assert learned.body == {"actions": "discrete", "resolution": 32, "flatten": False}
    assert learned.world == {"imagine": "never"}
    (env,) = Place("rooms", "toy", max_episode_steps=8).make_envs(learned, "PointNav", 1)
    assert env.observation_space["depth"].shape == (32, 32)
    assert isinstance(learned.make(env, 3), LearnedPolicy)
    (first,), (again,) = (list(walk([env], learned.make, [Plan(0, 5, "toy")])) for _ in range(2))
    assert first.to_json() == again.to_json() and first.steps <= 8


def test_known_policies_share_the_body_of_learned_ones(tmp_path: Path) -> None:
    learned = contestant(str(saved(tmp_path / "policy", env={"resolution": 64, "forward_step": 0.5})))
    plain = noisy(0.1)
    object.__setattr__(plain, "body", {})
    shared, _ = with_common_body([plain, learned])
    assert shared.body["resolution"] == 64 and shared.body["forward_step"] == 0.5 and "flatten" not in shared.body
    other = contestant(str(saved(tmp_path / "other", env={"resolution": 64, "forward_step": 0.25})))
    with pytest.raises(ValueError, match=r"trained with another forward_step \(0\.5 and 0\.25\)"):
        with_common_body([learned, other])


def test_tasks_must_agree(tmp_path: Path) -> None:
    learned = contestant(str(saved(tmp_path / "policy")))
    assert common_task([noisy(0.1)], None) == common_task([learned], None) == common_task([], "pointnav") == "PointNav"
    with pytest.raises(ValueError, match=r"unknown task 'Cooking'; valid are .*PointNav"):
        common_task([learned], "Cooking")
    with pytest.raises(ValueError, match="was trained for PointNav; it cannot be evaluated in FreeCamera"):
        common_task([learned], "FreeCamera")


def test_what_is_no_policy_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no policy\.json, nor does best or last in it"):
        contestant(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="there is no folder runs/none; give that of a trained policy"):
        contestant("runs/none")
    with pytest.raises(ValueError, match=r"each policy can be named once, got .*/policy more than once"):
        contestants([str(saved(tmp_path / "policy"))] * 2)
    learned = contestant(str(tmp_path / "policy"))
    (env,) = Place("rooms", "toy").make_envs(noisy(0.0), "PointNav", 1)
    with pytest.raises(ValueError, match=r"the policy looks at depth of shape \(32, 32\), but the environment"):
        learned.make(env, 0)


def test_known_policies_are_made_by_name_and_wrong_names_are_known_at_once() -> None:
    forward, noisy_path = contestants(["forward", "shortest-path:0.3"])
    assert (forward.name, forward.task, forward.body, noisy_path.name) == ("forward", None, {}, "shortest-path:0.3")
    (env,) = Place("rooms", "toy", max_episode_steps=20).make_envs(noisy_path, "PointNav", 1)
    (first,), (again,) = (list(walk([env], noisy_path.make, [Plan(0, 5, "toy")])) for _ in range(2))
    assert first.actions == again.actions
    with pytest.raises(ValueError, match=r"unknown policy 'sideways'; valid are .*shortest-path"):
        contestant("sideways")
