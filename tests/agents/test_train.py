"""Training: one seed, one curve; a run that went on is the run that was not interrupted; nothing is half-written."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents import train as training
from agents.algorithms import learned, make_algorithm
from agents.bridge import BridgedVecEnv
from agents.legs import FAR, furthest_goal
from agents.run_folder import RunFolder
from agents.settings import IMAGINED, TrainSettings
from agents.worlds import make_training, make_truth
from mirage_env.policies.learned import LearnedPolicy, check_fits, load_policy
from mirage_env.tasks.image_nav import ImageNav
from mirage_env.tasks.point_nav import PointNav
from tests.same_bits import assert_same

SMALL: dict[str, Any] = {
    "simulator": "rooms",
    "scenes": "toy",
    "homes": 1,
    "evaluation_scenes": "toy",
    "evaluation_homes": 1,
    "evaluation_episodes": 4,
    "num_envs": 4,
    "rollout": 16,
    "batch_size": 32,
    "epochs": 2,
    "steps": 192,
    "evaluate_every": 64,
    "max_episode_steps": 20,
    "evaluation_max_steps": 20,
    "width": 16,
    "hidden": (16,),
    "memory": 8,
    "env": {"resolution": 16},
}


def settings(**others: Any) -> TrainSettings:
    return TrainSettings(**(SMALL | others))


def weights(folder: Path) -> dict[str, Any]:
    return arrays(load_policy(folder).network)


def arrays(network: torch.nn.Module) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    training.train(folder, settings(), progress=False, films=1)
    return folder


def test_a_run_leaves_a_curve_policies_and_a_checkpoint(run: Path) -> None:
    curve = json.loads((run / "curve.json").read_text())
    assert [entry["steps"] for entry in curve] == [64, 128, 192]
    assert all(entry["truth"]["episodes"] == 4 and "spl" in entry["truth"] for entry in curve)
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["000000064", "000000128", "000000192"]
    assert_same(weights(run / "last"), weights(run / "checkpoints" / "000000192"))
    best = max(curve, key=lambda entry: (entry["truth"]["success"], entry["truth"]["spl"]))["steps"]
    assert_same(weights(run / "best"), weights(run / "checkpoints" / f"{best:09d}"))
    assert len(list((run / "videos").glob("*.mp4"))) == 3
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("truth/success")] == [64, 128, 192]


def test_the_same_seed_gives_the_same_curve_and_weights(run: Path, tmp_path: Path) -> None:
    training.train(tmp_path / "b", settings(), progress=False, films=0)
    assert (tmp_path / "b" / "curve.json").read_text() == (run / "curve.json").read_text()
    assert_same(weights(tmp_path / "b" / "last"), weights(run / "last"))


def test_another_seed_gives_another_curve(run: Path, tmp_path: Path) -> None:
    training.train(tmp_path / "b", settings(seed=1, steps=64), progress=False, films=0)
    assert json.loads((tmp_path / "b" / "curve.json").read_text())[0] != json.loads((run / "curve.json").read_text())[0]


@pytest.mark.parametrize("algorithm", ["ppo", "recurrent-ppo"])
def test_a_run_that_was_interrupted_goes_on_as_if_it_was_not(
    algorithm: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = settings(algorithm=algorithm)
    whole = run
    if algorithm != "ppo":
        whole = tmp_path / "whole"
        training.train(whole, wanted, progress=False, films=0)
    folder, at = tmp_path / "b", 100  # in the middle of the second leg

    class Interrupting(training.Legs):
        def _on_step(self) -> bool:
            if self.model.num_timesteps >= at:
                raise KeyboardInterrupt
            return super()._on_step()

    with monkeypatch.context() as patched:
        patched.setattr(training, "Legs", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            training.train(folder, wanted, progress=False, films=0)
    assert len(json.loads((folder / "curve.json").read_text())) == 1
    training.train(folder, wanted, progress=False, films=0)
    assert (folder / "curve.json").read_text() == (whole / "curve.json").read_text()
    assert_same(weights(folder / "last"), weights(whole / "last"))


def test_a_finished_run_is_left_as_it_is(run: Path) -> None:
    before = (run / "checkpoint.pt").read_bytes()
    curve = training.train(run, settings(), progress=False, films=0)
    assert len(curve) == 3 and (run / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("algorithm", "actions"),
    [("ppo", "discrete"), ("ppo", "velocity"), ("recurrent-ppo", "discrete"), ("dqn", "discrete"), ("sac", "velocity")],
)
def test_what_is_exported_acts_as_the_agent_of_sb3(algorithm: str, actions: str) -> None:
    chosen = settings(algorithm=algorithm, actions=actions, env={"resolution": 16}, observations=("rgb", "pointgoal"))
    bridge = BridgedVecEnv(make_training(chosen))
    agent = make_algorithm(chosen, bridge)
    agent.learn(160)
    network, described = learned(agent, chosen)
    check_fits(described, bridge.observation_space, bridge.action_space)
    bridge.seed(0)
    observed, state = bridge.reset(), None
    certain = dataclasses.replace(described, stochastic=False)
    policies = [LearnedPolicy(network, certain, seed=i) for i in range(bridge.num_envs)]
    starts = np.ones(bridge.num_envs, dtype=bool)
    for _ in range(3):
        transposed = {**observed, "rgb": observed["rgb"].transpose(0, 3, 1, 2)}
        theirs, state = agent.predict(transposed, state, starts, deterministic=True)  # type: ignore[arg-type]
        starts[:] = False
        ours = [policy.act({key: observed[key][i] for key in observed}) for i, policy in enumerate(policies)]
        np.testing.assert_allclose(np.array(ours), theirs, atol=1e-5)
        observed, *_ = bridge.step(theirs)
    bridge.close()


@pytest.mark.parametrize(("algorithm", "actions"), [("dqn", "discrete"), ("sac", "velocity")])
def test_other_algorithms_train_and_go_on(algorithm: str, actions: str, tmp_path: Path) -> None:
    chosen = settings(algorithm=algorithm, actions=actions, steps=128, evaluate_every=64, evaluation_episodes=2)
    curve = training.train(tmp_path, chosen, progress=False, films=0)
    assert [entry["steps"] for entry in curve] == [64, 128]
    agent = make_algorithm(chosen, BridgedVecEnv(make_training(chosen)))
    RunFolder(tmp_path, chosen).resume(agent)
    assert agent.num_timesteps == 128
    assert_same(arrays(learned(agent, chosen)[0]), weights(tmp_path / "last"))


def test_ppo_learns_a_trivial_task(tmp_path: Path) -> None:
    """An agent that is paid for going ahead goes ahead: the loop from rewards to weights is closed."""
    chosen = settings(observations=("pointgoal",), rollout=32, batch_size=64, epochs=8, learning_rate=3e-3)
    bridge = BridgedVecEnv(make_training(chosen))
    agent = make_algorithm(chosen, bridge)

    class Paid(BaseCallback):
        def _on_step(self) -> bool:
            self.locals["rewards"][:] = self.locals["actions"] == 1
            return True

    agent.learn(2560, callback=Paid())
    network, described = learned(agent, chosen)
    observed, _ = make_truth(chosen)[0].reset(seed=0)
    chances = torch.softmax(network({"pointgoal": torch.from_numpy(observed["pointgoal"])[None]})[0], 1)[0]
    assert float(chances[1].detach()) > 0.8
    assert described.task == "PointNav"


def test_goals_recede_while_an_agent_learns() -> None:
    chosen = settings(near_first=2.0, steps=1000)
    assert furthest_goal(settings(), 0) is None
    assert furthest_goal(chosen, 0) == 2.0
    assert furthest_goal(chosen, 250) == pytest.approx((2.0 + FAR) / 2)
    assert furthest_goal(chosen, 500) == math.inf


def test_the_schedule_reaches_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    class Watching(training.Legs):
        def _begin(self) -> None:
            super()._begin()
            found.append({env.unwrapped.task.max_distance for env in self.training_env.get_attr("unwrapped")})

    monkeypatch.setattr(training, "Legs", Watching)
    training.train(tmp_path, settings(near_first=3.0, steps=128), progress=False, films=0)
    assert found == [{3.0}, {PointNav.max_distance}]
    found.clear()
    training.train(tmp_path / "image", settings(task="imagenav", near_first=3.0, steps=128), progress=False, films=0)
    assert found == [{3.0}, {ImageNav.max_distance}]


def test_a_wrong_stop_costs_while_an_agent_learns_and_nothing_where_it_is_judged() -> None:
    chosen = settings(failure_cost=0.5)
    assert {env.unwrapped.task.failure_cost for env in make_training(chosen).envs} == {0.5}
    assert {env.unwrapped.task.failure_cost for env in make_truth(chosen)} == {0.0}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task": "chess"}, "unknown task 'chess'; valid are pointnav"),
        ({"algorithm": "a3c"}, "unknown algorithm"),
        ({"algorithm": "sac"}, "sac needs continuous actions"),
        ({"algorithm": "dqn", "actions": "velocity"}, "dqn needs discrete actions"),
        ({"near_first": -1.0}, "near_first must be a finite number of at least 0"),
        ({"task": "imagenav", "near_first": 1.2}, "near_first must be 0 or at least 1.5 m in imagenav, got 1.2"),
        ({"failure_cost": float("nan")}, "failure_cost must be a finite number of at least 0"),
        ({"task": "explore", "failure_cost": 1.0}, "failure_cost is for tasks with a goal"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"observations": ("smell",)}, "unknown observations smell"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"env": {"scenes": "val"}}, "scenes cannot be given by env"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**wrong)


def test_worlds_to_learn_in_begin_with_the_room_around_the_start() -> None:
    assert settings(simulator="mirage", env={}).env == IMAGINED
    assert settings(simulator="mirage", env={"num_start_views": 1}).env["num_start_views"] == 1
    assert settings(env={}).env == {}


def test_other_settings_and_damaged_checkpoints_are_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "c")
    with pytest.raises(ValueError, match="seed"):
        training.train(tmp_path / "c", settings(seed=9), progress=False, films=0)
    curve = (tmp_path / "c" / "curve.json").read_text()
    (tmp_path / "c" / "curve.json").write_text("[1")
    with pytest.raises(ValueError, match=r"curve .* is missing or damaged"):
        training.train(tmp_path / "c", settings(), progress=False, films=0)
    (tmp_path / "c" / "curve.json").write_text(curve)
    (tmp_path / "c" / "checkpoint.pt").write_bytes(b"garbage")
    with pytest.raises(ValueError, match="damaged"):
        training.train(tmp_path / "c", settings(), progress=False, films=0)
    torch.save({"format": 99}, tmp_path / "c" / "checkpoint.pt")
    with pytest.raises(ValueError, match="format 99"):
        training.train(tmp_path / "c", settings(), progress=False, films=0)


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert training.main(["--out", str(tmp_path / "a"), "--algorithm", "sac"]) == 2
    assert "sac needs continuous actions" in capsys.readouterr().err
    assert training.main(["--out", str(tmp_path / "a"), "--simulator", "moon"]) == 2
    assert "unknown simulator 'moon'" in capsys.readouterr().err
    assert training.main(["--out", str(tmp_path / "a"), "--env", "nonsense"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_the_bridge_and_gymnasium_agree_on_the_spaces() -> None:
    bridge = BridgedVecEnv(make_training(settings()))
    assert isinstance(bridge.observation_space, gymnasium.spaces.Dict)
    assert bridge.observation_space == bridge.envs[0].observation_space
    bridge.close()
