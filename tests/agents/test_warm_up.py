"""What a policy learns from walks before rewards teach it anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import train as training
from agents.algorithms import make_algorithm
from agents.bridge import BridgedVecEnv
from agents.settings import TrainSettings
from agents.warm_up import Walks, fit, loss, observed, pairs, targets, wander
from agents.worlds import make_training
from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT
from mirage_env.envs.observations import pointgoal
from tests.agents.test_train import SMALL, weights
from tests.same_bits import assert_same

IMAGE_NAV: dict[str, Any] = SMALL | {
    "task": "imagenav",
    "observations": ("latent", "goal_latent"),
    "env": {"resolution": 32},
}


@pytest.fixture(scope="module")
def walks() -> Walks:
    worlds = BridgedVecEnv(make_training(TrainSettings(**IMAGE_NAV)))
    found = wander(worlds, 100, seed=0)
    worlds.close()
    return found


def test_walks_go_on_until_time_is_up(walks: Walks) -> None:
    assert walks.observations["latent"].shape[0] == len(walks.poses) == len(walks.episodes) == 100
    assert "goal_latent" not in walks.observations
    # Four worlds of 25 steps, cut off after 20: eight episodes, one after the other in each world.
    assert np.bincount(walks.episodes).tolist() == [20] * 4 + [5] * 4
    assert walks.episodes[:80].tolist() == [0, 1, 2, 3] * 20
    steps = np.linalg.norm(walks.poses[4:80, :3, 3] - walks.poses[:76, :3, 3], axis=1)
    assert steps.max() <= 0.25 + 1e-6
    assert steps.mean() > 0.02
    assert STOP not in walks.actions
    assert not np.any((steps > 1e-9) & (walks.actions[:76] != MOVE_FORWARD))


def test_pairs_are_of_one_episode_and_half_of_them_near(walks: Walks) -> None:
    chosen = pairs(walks, 201, 0.4, np.random.default_rng(0))
    assert chosen.shape == (201, 2)
    assert np.array_equal(walks.episodes[chosen[:, 0]], walks.episodes[chosen[:, 1]])
    apart = np.linalg.norm(walks.poses[chosen[:, 0], :3, 3] - walks.poses[chosen[:, 1], :3, 3], axis=1)
    assert int((apart < 0.4).sum()) == 101


def test_targets_are_where_a_goal_there_would_be(walks: Walks) -> None:
    chosen = pairs(walks, 50, 0.4, np.random.default_rng(1))
    for (one, other), (ahead, left) in zip(chosen, targets(walks, chosen), strict=True):
        distance, angle = pointgoal(walks.poses[one], 0.0, walks.poses[other, :3, 3])
        assert math.hypot(ahead, left) == pytest.approx(distance, abs=1e-5)
        if distance > 1e-3:
            assert math.atan2(left, ahead) == pytest.approx(angle, abs=1e-3)


def test_the_goal_is_the_other_view(walks: Walks) -> None:
    told = observed(walks, np.array([[3, 7]]))
    assert torch.equal(told["latent"][0], torch.from_numpy(walks.observations["latent"][3]).float())
    assert torch.equal(told["goal_latent"][0], torch.from_numpy(walks.observations["latent"][7]).float())


def test_the_loss_is_least_for_what_is_true() -> None:
    target, actions = torch.tensor([[0.2, 0.5], [3.0, -1.0]]), torch.tensor([MOVE_FORWARD, TURN_LEFT])
    scores = torch.tensor([[19.0, 9.0, 0.0, 0.0], [-9.0, 0.0, 9.0, 0.0]])
    place = torch.cat([2 * target, target.norm(dim=1, keepdim=True).log1p()], 1)
    assert float(loss(scores, place, target, 1.0, actions)) < 1e-3
    assert float(loss(scores, place, target, 1.0, actions.flip(0))) > 5.0
    assert float(loss(scores * torch.tensor([-1.0, 1.0, 1.0, 1.0]), place, target, 1.0, actions)) > 5.0
    for column, worse in ((0, -1.0), (1, -1.0), (2, 2.0)):
        wrong = place.clone()
        wrong[:, column] *= worse
        assert float(loss(scores, wrong, target, 1.0, actions)) > 0.05


def test_a_policy_learns_from_walks_and_equal_seeds_give_equal_bits(
    walks: Walks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.warm_up.RATE", 3e-3)
    chosen = TrainSettings(**IMAGE_NAV | {"width": 32, "hidden": (32,)})
    worlds = BridgedVecEnv(make_training(chosen))
    fitted = []
    for _ in range(2):
        policy = make_algorithm(chosen, worlds).policy
        before = torch.random.get_rng_state()
        losses = fit(policy, walks, 128 * 40, near=0.4, seed=0)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert losses[-1] < 0.7 * losses[0]
        fitted.append({name: tensor.numpy() for name, tensor in policy.state_dict().items()})
    assert_same(*fitted)
    shown = pairs(walks, 200, 0.4, np.random.default_rng(5))
    with torch.no_grad():
        chances = policy.get_distribution(observed(walks, shown)).distribution.probs
    near = np.linalg.norm(targets(walks, shown), axis=1) < 0.4
    assert float(chances[near, STOP].mean()) > 1.5 * float(chances[~near, STOP].mean())
    assert float(chances[:, MOVE_FORWARD].mean()) == pytest.approx(np.mean(walks.actions == MOVE_FORWARD), abs=0.1)
    worlds.close()


def test_walks_that_lead_nowhere_are_refused(walks: Walks) -> None:
    with pytest.raises(ValueError, match="walks of 100 views have too few that are near or far from each other"):
        pairs(walks, 10, 100.0, np.random.default_rng(0))


def test_a_run_that_warmed_up_goes_on_without_doing_so_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = TrainSettings(**IMAGE_NAV | {"steps": 128, "warm_up": 40})
    warmed = []
    original = training.warm_up
    monkeypatch.setattr(training, "warm_up", lambda *given: warmed.append(original(*given)))
    training.train(tmp_path / "whole", chosen, progress=False, films=0)
    assert len(warmed) == 1

    class Interrupting(training.Legs):
        def _on_step(self) -> bool:
            if self.model.num_timesteps >= 100:  # in the middle of the second leg
                raise KeyboardInterrupt
            return super()._on_step()

    with monkeypatch.context() as patched:
        patched.setattr(training, "Legs", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            training.train(tmp_path / "cut", chosen, progress=False, films=0)
    assert len(warmed) == 2
    training.train(tmp_path / "cut", chosen, progress=False, films=0)
    assert len(warmed) == 2
    curves = [(tmp_path / name / "curve.json").read_text() for name in ("whole", "cut")]
    assert curves[0] == curves[1]
    assert_same(weights(tmp_path / "whole" / "last"), weights(tmp_path / "cut" / "last"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"observations": ("goal_latent", "depth")},
        {"observations": ("latent", "goal_latent", "imagegoal")},
        {"actions": "velocity"},
        {"algorithm": "recurrent-ppo"},
    ],
)
def test_what_cannot_warm_up_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="warm_up is for ppo with discrete actions"):
        TrainSettings(**IMAGE_NAV | wrong | {"warm_up": 100})
