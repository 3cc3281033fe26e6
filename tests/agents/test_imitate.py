"""What a policy learns from a teacher before rewards teach it anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import train as training
from agents.algorithms import make_algorithm
from agents.bridge import BridgedVecEnv
from agents.imitate import Lessons, fit, lessons
from agents.settings import TrainSettings
from agents.worlds import make_training
from mirage_env.envs.actions import MOVE_FORWARD, STOP
from mirage_env.policies import make_policy
from tests.agents.test_train import SMALL, weights
from tests.same_bits import assert_same

POINT_NAV: dict[str, Any] = SMALL | {"env": {"resolution": 64}, "max_episode_steps": 80}
IMAGE_NAV = POINT_NAV | {"task": "imagenav"}


@pytest.fixture(scope="module")
def worlds() -> Any:
    worlds = BridgedVecEnv(make_training(TrainSettings(**POINT_NAV)))
    yield worlds
    worlds.close()


@pytest.fixture(scope="module")
def shown(worlds: BridgedVecEnv) -> Lessons:
    return lessons(worlds, "frontier", 800, 0.9, seed=0)


def test_actions_are_the_teachers_although_steps_aside_are_made(
    worlds: BridgedVecEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.imitate.ASIDE", 0.0)
    found = lessons(worlds, "frontier", 120, 0.9, seed=3)
    worlds.seed(3)
    seen: Any = worlds.reset()
    teachers = [make_policy("frontier", env, 3) for env in worlds.envs]
    infos = worlds.reset_infos
    for step in range(30):
        actions = [one.act({k: seen[k][i] for k in seen}, infos[i]) for i, one in enumerate(teachers)]
        rows = slice(4 * step, 4 * step + 4)
        np.testing.assert_array_equal(found.actions[rows], actions)
        np.testing.assert_array_equal(found.observations["pointgoal"][rows], seen["pointgoal"].astype(np.float16))
        seen, _, dones, infos = worlds.step(np.array(actions))
        infos = [worlds.reset_infos[i] if done else infos[i] for i, done in enumerate(dones)]
        for i in np.flatnonzero(dones):
            teachers[i].reset()
    monkeypatch.setattr("agents.imitate.ASIDE", 0.5)
    aside = lessons(worlds, "frontier", 120, 0.9, seed=3)
    assert not np.array_equal(aside.observations["pointgoal"], found.observations["pointgoal"])


def test_equal_seeds_give_equal_lessons(worlds: BridgedVecEnv, shown: Lessons) -> None:
    assert len(shown.actions) == len(shown.returns) == len(shown.observations["depth"]) == 800
    assert STOP in shown.actions and MOVE_FORWARD in shown.actions
    again = lessons(worlds, "frontier", 800, 0.9, seed=0)
    assert_same(shown._asdict(), again._asdict())


def test_returns_are_discounted_sums_of_the_rewards_that_followed(shown: Lessons) -> None:
    # A stop that succeeds is paid at once; what came before is worth that, discounted, and the way that was gained.
    stops = np.flatnonzero(shown.actions == STOP)
    won = stops[shown.returns[stops] > 2]
    assert len(won)
    for at in won[won >= 4]:
        assert shown.returns[at - 4] > 0.9 * shown.returns[at] - 0.5


def test_a_policy_learns_what_it_was_shown_and_equal_seeds_give_equal_bits(
    worlds: BridgedVecEnv, shown: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.imitate.BATCH", 32)
    monkeypatch.setattr("agents.imitate.RATE", 3e-3)
    chosen = TrainSettings(**POINT_NAV | {"width": 64, "hidden": (32,)})
    fitted = []
    for _ in range(2):
        policy: Any = make_algorithm(chosen, worlds).policy
        losses = fit(policy, shown, seed=0)
        assert losses[-1] < 0.8 * losses[0]
        fitted.append({name: tensor.numpy() for name, tensor in policy.state_dict().items()})
    assert_same(*fitted)
    seen = {key: torch.from_numpy(views).float() for key, views in shown.observations.items()}
    with torch.no_grad():
        likely = policy.get_distribution(seen).distribution.probs.argmax(1).numpy()
        values = policy.predict_values(seen).flatten().numpy()
    common = np.bincount(shown.actions).max() / len(shown.actions)
    assert np.mean(likely == shown.actions) > common + 0.1
    assert np.corrcoef(values, shown.returns)[0, 1] > 0.5


def test_a_run_that_imitated_goes_on_without_doing_so_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = TrainSettings(**IMAGE_NAV | {"steps": 128, "imitate": 40})
    assert chosen.teacher == "seek"
    calls = []
    original = training.imitate
    monkeypatch.setattr(training, "imitate", lambda *given: calls.append(original(*given)))
    training.train(tmp_path / "whole", chosen, progress=False, films=0)
    assert len(calls) == 1

    class Interrupting(training.Legs):
        def _on_step(self) -> bool:
            if self.model.num_timesteps >= 100:  # in the middle of the second leg
                raise KeyboardInterrupt
            return super()._on_step()

    with monkeypatch.context() as patched:
        patched.setattr(training, "Legs", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            training.train(tmp_path / "cut", chosen, progress=False, films=0)
    assert len(calls) == 2
    training.train(tmp_path / "cut", chosen, progress=False, films=0)
    assert len(calls) == 2
    curves = [(tmp_path / name / "curve.json").read_text() for name in ("whole", "cut")]
    assert curves[0] == curves[1]
    assert_same(weights(tmp_path / "whole" / "last"), weights(tmp_path / "cut" / "last"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"actions": "velocity"}, "imitate is for ppo with discrete actions"),
        ({"algorithm": "recurrent-ppo"}, "imitate is for ppo with discrete actions"),
        ({"observations": ("goal_place", "imagegoal")}, "without pictures; leave out imagegoal"),
        ({"observations": ("local_map", "depth")}, "the teacher seek is for ImageNav with the observations goal_place"),
        ({"task": "pointnav", "teacher": "seek"}, "the teacher seek is for ImageNav"),
        ({"teacher": "oracle"}, "unknown teacher 'oracle'; valid are random,"),
        ({"imitate": -1}, "imitate must be a whole number of at least 0"),
    ],
)
def test_what_cannot_imitate_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSettings(**IMAGE_NAV | {"imitate": 100} | wrong)
