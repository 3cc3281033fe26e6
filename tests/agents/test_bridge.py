"""The bridge to stable-baselines3: the same numbers as Gymnasium gives, under the names that SB3 reads."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

import mirage_env  # noqa: F401  (registers the ids)
from agents.bridge import BridgedVecEnv
from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT
from mirage_env.envs.vector import NavigationVectorEnv
from tests.same_bits import assert_same

ARGUMENTS: dict[str, Any] = {
    "simulator": "rooms",
    "scenes": "toy",
    "resolution": 16,
    "observations": ("depth", "pointgoal"),
    "flatten": False,
    "render_mode": "rgb_array",
    "max_episode_steps": 4,
}


def worlds(count: int = 3, **others: Any) -> NavigationVectorEnv:
    made = gymnasium.make_vec(
        "Mirage/PointNav-v0", num_envs=count, **(ARGUMENTS | {"autoreset_mode": "SameStep"} | others)
    )
    assert isinstance(made, NavigationVectorEnv)
    return made


@pytest.fixture
def bridge() -> BridgedVecEnv:
    made = BridgedVecEnv(worlds())
    made.seed(3)
    made.reset()
    return made


def test_observations_rewards_and_ends_are_those_of_the_vector(bridge: BridgedVecEnv) -> None:
    assert isinstance(bridge, VecEnv)
    plain = worlds()
    observed, _ = plain.reset(seed=3)
    bridge.seed(3)
    assert_same(bridge.reset(), observed)
    for actions in ([MOVE_FORWARD, TURN_LEFT, STOP], [MOVE_FORWARD] * 3, [TURN_LEFT] * 3, [MOVE_FORWARD] * 3):
        given = plain.step(np.array(actions))
        observed, rewards, dones, _ = bridge.step(np.array(actions))
        assert_same(observed, given[0])
        np.testing.assert_array_equal(rewards, given[1].astype(np.float32))
        np.testing.assert_array_equal(dones, given[2] | given[3])
    assert dones.all() or dones[:2].all()


def test_the_end_of_an_episode_says_how_it_ended(bridge: BridgedVecEnv) -> None:
    alone = gymnasium.make("Mirage/PointNav-v0", **ARGUMENTS)
    alone.reset(seed=3)
    last: Any = None
    for _ in range(4):
        last = alone.step(TURN_LEFT)
        observed, _, dones, infos = bridge.step(np.array([TURN_LEFT, TURN_LEFT, STOP]))
    assert dones.tolist() == [True, True, True]
    assert_same(infos[0]["terminal_observation"], last[0])
    assert infos[0]["distance_to_goal"] == last[4]["distance_to_goal"]
    assert [info["TimeLimit.truncated"] for info in infos] == [True, True, False]
    assert [info["is_success"] for info in infos] == [False] * 3
    # What is seen now is the next episode's beginning.
    assert not np.array_equal(infos[0]["terminal_observation"]["pointgoal"], observed["pointgoal"][0])
    assert bridge.reset_infos[0]["path_length"] == 0.0


def test_a_step_in_the_middle_carries_the_info_and_no_end(bridge: BridgedVecEnv) -> None:
    _, _, _, infos = bridge.step(np.array([MOVE_FORWARD] * 3))
    assert infos[1]["TimeLimit.truncated"] is False
    assert "terminal_observation" not in infos[1] and "is_success" not in infos[1]
    assert infos[1]["path_length"] > 0


def test_methods_and_attributes_reach_each_environment(bridge: BridgedVecEnv) -> None:
    assert bridge.get_attr("max_episode_steps") == [4, 4, 4]
    assert bridge.env_method("snapshot", indices=[1])[0].progress.steps == 0
    bridge.set_attr("max_episode_steps", 9, indices=2)
    assert bridge.get_attr("max_episode_steps") == [4, 4, 9]
    assert bridge.env_is_wrapped(gymnasium.wrappers.TimeLimit) == [False] * 3
    assert not bridge.has_attr("no_such_thing")


def test_rendering_tiles_the_views(bridge: BridgedVecEnv) -> None:
    assert bridge.render_mode == "rgb_array"
    picture = bridge.render("rgb_array")
    assert picture is not None and picture.shape == (32, 32, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[:16, :16], bridge.get_images()[0])


def test_monitors_of_sb3_count_episodes(bridge: BridgedVecEnv) -> None:
    monitored = VecMonitor(bridge)
    monitored.seed(0)
    monitored.reset()
    rewards = np.zeros(3)
    for _ in range(4):
        _, reward, _, infos = monitored.step(np.array([MOVE_FORWARD] * 3))
        rewards += reward
    assert infos[0]["episode"]["l"] == 4
    assert infos[0]["episode"]["r"] == pytest.approx(rewards[0], abs=1e-5)


def test_seeds_count_once(bridge: BridgedVecEnv) -> None:
    bridge.seed(7)
    first, second = bridge.reset(), bridge.reset()
    bridge.seed(7)
    assert_same(bridge.reset(), first)
    assert not np.array_equal(first["pointgoal"], second["pointgoal"])


def test_options_are_those_of_a_reset(bridge: BridgedVecEnv) -> None:
    bridge.seed(7)
    bridge.set_options({"goal": (0.0, 0.0, 0.0)})
    bridge.reset()
    assert all(np.array_equal(goal, np.zeros(3)) for goal in bridge.get_attr("goal"))
    bridge.set_options([{"goal": (0.0, 0.0, 0.0)}, {}, {}])
    with pytest.raises(ValueError, match="share the options"):
        bridge.reset()


def test_what_is_no_vector_is_refused() -> None:
    with pytest.raises(TypeError, match=r"needs a gymnasium.vector.VectorEnv, got OrderEnforcing"):
        BridgedVecEnv(gymnasium.make("CartPole-v1").env)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="SameStep"):
        BridgedVecEnv(worlds(autoreset_mode="NextStep"))


def test_the_value_of_an_episode_that_ran_out_of_time_is_bootstrapped(bridge: BridgedVecEnv) -> None:
    """SB3's own loop: the last reward of a truncated episode holds what was still to come, that of a stop nothing."""
    given: list[tuple[Any, Any, Any]] = []

    class Watching(BaseCallback):
        def _on_step(self) -> bool:
            given.append((self.locals["rewards"].copy(), self.locals["dones"], self.locals["infos"]))
            return True

    agent = PPO("MultiInputPolicy", bridge, n_steps=8, batch_size=8, n_epochs=1, gamma=0.9, seed=0, device="cpu")
    with torch.no_grad():
        agent.policy.value_net.bias.fill_(3.0)
    _, callback = agent._setup_learn(24, Watching())
    agent.collect_rollouts(agent.env, callback, agent.rollout_buffer, 8)  # type: ignore[arg-type]
    truncated = stopped = 0
    for step, (rewards, dones, infos) in enumerate(given):
        for world in np.flatnonzero(dones).tolist():
            extra = agent.rollout_buffer.rewards[step, world] - rewards[world]
            if infos[world]["TimeLimit.truncated"]:
                last = agent.policy.obs_to_tensor(infos[world]["terminal_observation"])[0]
                with torch.no_grad():
                    value = float(agent.policy.predict_values(last))  # type: ignore[arg-type]
                assert extra == pytest.approx(0.9 * value, abs=1e-4)
                truncated += 1
            else:
                assert extra == 0
                stopped += 1
    assert truncated and stopped


def test_evaluation_of_sb3_takes_the_bridge() -> None:
    monitored = VecMonitor(BridgedVecEnv(worlds()))
    agent = PPO("MultiInputPolicy", monitored, n_steps=8, batch_size=8, seed=0, device="cpu")
    rewards, lengths = evaluate_policy(agent, monitored, n_eval_episodes=5, return_episode_rewards=True)
    assert len(rewards) == len(lengths) == 5  # type: ignore[arg-type]
    assert max(lengths) <= 4  # type: ignore[arg-type]


@pytest.mark.filterwarnings("error")
def test_environments_pass_the_checker_of_sb3() -> None:
    check_env(gymnasium.make("Mirage/PointNav-v0", simulator="rooms", scenes="toy", resolution=64))
