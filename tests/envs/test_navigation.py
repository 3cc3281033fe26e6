"""The environment over true rooms: rewards, measures, ends of episodes, starts that were asked for, determinism."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env import geometry
from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT, make_actions
from mirage_env.envs.factory import make_free_camera, make_point_nav
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.tasks.point_nav import PointNav
from tests.same_bits import assert_same

INFO = {"success", "spl", "soft_spl", "distance_to_goal", "collided", "path_length", "imagined_fraction", "pose"}
HOMES = range(1_000_000, 1_000_003)


def rooms(make: Any = make_point_nav, **arguments: Any) -> NavigationEnv:
    return make(**{"simulator": "rooms", "scenes": "toy", "resolution": 36, **arguments})


def rollout(env: NavigationEnv, seed: int, episodes: int = 3, steps: int = 12) -> list[Any]:
    """Everything that some episodes of random actions give; only the first reset has a seed."""
    env.action_space.seed(seed)
    given: list[Any] = []
    for episode in range(episodes):
        given.append(env.reset(seed=seed if episode == 0 else None))
        for _ in range(steps):
            given.append(env.step(env.action_space.sample()))
            if given[-1][2] or given[-1][3]:
                break
    return given


def follow_shortest_path(env: NavigationEnv, turn: float = math.radians(10)) -> tuple[list[float], dict[str, Any]]:
    """Walk the shortest path greedily, then stop; the rewards and the last info."""
    simulator = env.simulator
    assert isinstance(simulator, RoomsSimulator)
    goal = env.unwrapped.goal  # type: ignore[attr-defined]
    rewards: list[float] = []
    for _ in range(500):
        position, yaw = np.array(simulator.agent.position), simulator.agent.yaw
        if simulator.geodesic_distance(position, goal) < 0.2:
            _, reward, terminated, _, info = env.step(STOP)
            assert terminated
            return [*rewards, reward], info
        corners = simulator.shortest_path(position, goal)
        target = next((c for c in corners[1:] if np.linalg.norm(c - position) > 0.1), corners[-1])
        x, _, z = target - position
        error = math.remainder(math.atan2(-x, -z) - yaw, math.tau)
        action = MOVE_FORWARD if abs(error) <= turn / 2 + 1e-6 else TURN_LEFT if error > 0 else TURN_RIGHT
        rewards.append(env.step(action)[1])
    raise AssertionError("the walker did not arrive within 500 steps")


@pytest.mark.parametrize("make", [make_point_nav, make_free_camera])
@pytest.mark.parametrize("actions", ["discrete", "velocity", "camera"])
def test_the_same_seed_and_actions_give_the_same_bits(make: Any, actions: str) -> None:
    if (make, actions) == (make_point_nav, "camera"):
        return
    arguments = {"scenes": HOMES, "actions": actions, "observations": ("rgb", "depth", "pose"), "max_episode_steps": 9}
    one = rollout(rooms(make, **arguments), 5)
    assert_same(one, rollout(rooms(make, **arguments), 5))
    env = rooms(make, **arguments)
    rollout(env, 6)
    assert_same(one, rollout(env, 5))
    assert not np.array_equal(one[0][1]["pose"], rollout(env, 7)[0][1]["pose"])


def test_episodes_after_the_first_differ_from_it() -> None:
    env = rooms(scenes=HOMES)
    poses = [env.reset(seed=3)[1]["pose"]] + [env.reset()[1]["pose"] for _ in range(4)]
    assert len({pose.tobytes() for pose in poses}) == 5


def test_a_walker_of_shortest_paths_succeeds_with_a_high_spl() -> None:
    env = rooms(scenes=HOMES, observations="pointgoal")
    scores = []
    for episode in range(10):
        _, info = env.reset(seed=0 if episode == 0 else None)
        start = info["distance_to_goal"]
        rewards, info = follow_shortest_path(env)
        assert info["success"] is True
        assert info["spl"] >= 0.8
        assert info["spl"] == pytest.approx(start / max(start, info["path_length"]))
        assert info["soft_spl"] <= info["spl"]
        expected = start - info["distance_to_goal"] + 2.5 - 0.001 * len(rewards)
        assert sum(rewards) == pytest.approx(expected, abs=1e-9)
        scores.append(info["spl"])
    assert np.mean(scores) >= 0.9


def test_rewards_of_any_walk_sum_up_to_the_way_that_was_gained() -> None:
    env = NavigationEnv(RoomsSimulator("toy", Camera(36)), PointNav(slack=0.0), make_actions("velocity"), "pointgoal")
    env.action_space.seed(1)
    _, info = env.reset(seed=1)
    start, total = info["distance_to_goal"], 0.0
    for _ in range(60):
        action = env.action_space.sample()
        action[0] = max(action[0], 0.2)
        _, reward, terminated, _, info = env.step(action)
        assert not terminated and info["success"] is False and info["spl"] == 0.0
        total += reward
    assert total == pytest.approx(start - info["distance_to_goal"], abs=1e-9)


def test_stopping_far_from_the_goal_fails_and_ends() -> None:
    env = rooms()
    before = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(STOP)
    assert (terminated, truncated, info["success"], info["spl"], reward) == (True, False, False, 0.0, -0.001)
    assert_same(observation, before[0])
    assert info["path_length"] == 0.0 and not info["collided"]


def test_a_velocity_near_zero_is_a_stop_that_does_not_move() -> None:
    env = rooms(actions="velocity")
    pose = env.reset(seed=0)[1]["pose"]
    _, _, terminated, _, info = env.step([0.05, -0.05])
    assert terminated
    np.testing.assert_array_equal(info["pose"], pose)


@pytest.mark.parametrize("make", [make_point_nav, make_free_camera])
def test_info_has_the_same_keys_and_types_always(make: Any) -> None:
    env = rooms(make)
    _, first = env.reset(seed=0)
    infos = [first, env.step(1)[-1], env.step(2)[-1], env.step(0)[-1]]
    for info in infos:
        assert set(info) == INFO
        assert {key: type(value) for key, value in info.items()} == {key: type(value) for key, value in first.items()}
        assert (info["pose"].shape, info["pose"].dtype) == ((4, 4), np.float32)
        assert info["imagined_fraction"] == 0.0


def test_path_length_and_collisions_are_those_of_the_agent() -> None:
    env = rooms(make_free_camera)
    start = geometry.camera_pose((0.0, 0.0, 0.0), math.pi / 2, 1.25)
    env.reset(options={"pose": start, "scene": "toy"})
    collided = [env.step(MOVE_FORWARD)[-1] for _ in range(9)]
    # The wall stands 2 m ahead, and the agent's radius is 0.18 m.
    assert [info["collided"] for info in collided] == [False] * 7 + [True] * 2
    assert [info["path_length"] for info in collided] == pytest.approx(
        [0.25 * n for n in range(1, 8)] + [1.82, 1.82], abs=1e-3
    )
    assert collided[-1]["pose"][0, 3] == pytest.approx(-1.82, abs=1e-3)


def test_free_camera_never_ends_and_pays_nothing() -> None:
    env = rooms(make_free_camera)
    before = env.reset(seed=0)
    for action in [STOP, STOP, MOVE_FORWARD, TURN_LEFT, STOP]:
        observation, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated) == (0.0, False, False)
        assert info["distance_to_goal"] == math.inf and info["success"] is False
        if action == STOP and info["path_length"] == 0:
            assert_same(observation, before[0])


def test_the_camera_flies_through_walls_but_the_agent_does_not() -> None:
    env = rooms(make_free_camera, actions="camera")
    env.reset(options={"pose": geometry.camera_pose((0.0, 0.0, 0.0), 0.0, 1.25)})
    for _ in range(20):
        _, _, _, _, info = env.step([0, -0.5, 1.0, 0, 0, 0])
        assert not info["collided"]
    np.testing.assert_allclose(info["pose"][:3, 3], [0.0, 1.25 + 2.5, -5.0], atol=1e-4)


def test_an_episode_begins_where_it_was_asked_to() -> None:
    env = rooms(observations=("pointgoal", "pose"), flatten=False)
    pose = geometry.camera_pose((-1.0, 0.0, 2.0), 0.5, 1.25)
    observed, info = env.reset(seed=0, options={"pose": pose, "goal": (-1.0, 0.0, -2.0), "scene": "toy"})
    np.testing.assert_allclose(info["pose"], pose, atol=1e-6)
    assert info["distance_to_goal"] == pytest.approx(4.0)
    assert observed["pointgoal"] == pytest.approx([4.0, -0.5], abs=1e-5)
    np.testing.assert_allclose(observed["pose"], np.eye(4), atol=1e-6)
    observed, *_ = env.step(MOVE_FORWARD)
    np.testing.assert_allclose(observed["pose"][:3, 3], [0, 0, 0.25], atol=1e-6)
    _, info = env.reset(options={"goal": (-1.0, 0.0, -2.0)})
    assert info["distance_to_goal"] >= 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scene": "tower"}, "unknown scenes 'tower'"),
        ({"scene": -1}, "0 or above"),
        ({"pose": geometry.camera_pose((1.0, 0.0, -1.0), 0.0, 1.25)}, "cannot start at"),
        ({"pose": geometry.camera_pose((0.0, 0.2, 0.0), 0.0, 1.25)}, r"camera_height = 1.25 m above .*y = 1.45 m"),
        ({"goal": (1.0, 0.0, -1.0)}, "no start and goal between"),
        ({"image": np.zeros((9, 9, 3), np.uint8)}, 'use simulator="mirage"'),
        ({"start": 1}, "unknown reset option 'start'"),
    ],
)
def test_a_start_that_does_not_exist_is_refused(options: dict[str, Any], message: str) -> None:
    env = rooms()
    with pytest.raises(ValueError, match=message):
        env.reset(seed=0, options=options)
    with pytest.raises(ResetNeeded):
        env.step(1)
    env.reset(seed=0)


def test_step_needs_a_running_episode() -> None:
    env = rooms(max_episode_steps=2)
    with pytest.raises(ResetNeeded, match=r"no episode has begun; call reset\(\) before step"):
        env.step(1)
    env.reset(seed=0)
    env.step(1)
    assert env.step(1)[2:4] == (False, True)
    with pytest.raises(ResetNeeded, match=r"the episode has ended; call reset\(\) before step"):
        env.step(1)
    env.reset()
    env.step(STOP)
    with pytest.raises(ResetNeeded, match="the episode has ended"):
        env.step(1)


def test_a_refused_action_changes_nothing() -> None:
    env = rooms()
    env.reset(seed=0)
    before = env.state
    with pytest.raises(ValueError, match="a discrete action must be 0"):
        env.step(7)
    assert env.state == before
    env.step(1)


@pytest.mark.parametrize("env_id", ["Mirage/PointNav-v0", "Mirage/FreeCamera-v0"])
@pytest.mark.parametrize(
    ("given", "limit"), [({}, 500), ({"max_episode_steps": 7}, 7), ({"max_episode_steps": 600}, 600)]
)
def test_gymnasium_truncates_exactly_once(env_id: str, given: dict[str, int], limit: int) -> None:
    env = gymnasium.make(env_id, simulator="rooms", scenes="toy", resolution=36, observations="pose", **given)
    env.reset(seed=0)
    ends = [env.step(TURN_LEFT)[2:4] for _ in range(limit)]
    assert ends == [(False, False)] * (limit - 1) + [(False, True)]
    env.close()


def test_render_gives_the_view() -> None:
    env = rooms(render_mode="rgb_array", observations="rgb")
    with pytest.raises(ResetNeeded):
        env.render()
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(env.render(), observation)
    quiet = rooms()
    quiet.reset(seed=0)
    assert quiet.render() is None


def test_only_pixels_that_are_looked_at_are_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    env = rooms(observations=("pointgoal", "pose"))
    monkeypatch.setattr("mirage_env.simulators.rooms.views.render", lambda *_: pytest.fail("pixels were rendered"))
    env.reset(seed=0)
    env.step(MOVE_FORWARD)


class Walled(RoomsSimulator):
    """A toy room in which an invisible wall comes and goes, as obstacles do in an imagined world."""

    closed = False

    def geodesic_distance(self, a: Array, b: Array) -> float:
        return math.inf if self.closed else super().geodesic_distance(a, b)


def test_rewards_stay_finite_while_there_is_no_way_to_the_goal() -> None:
    simulator = Walled("toy", Camera(36))
    env = NavigationEnv(simulator, PointNav(slack=0.0), make_actions("discrete"), "pointgoal")
    pose = geometry.camera_pose((-1.0, 0.0, 2.0), 0.0, 1.25)
    env.reset(options={"pose": pose, "goal": (-1.0, 0.0, -2.0)})
    assert env.step(MOVE_FORWARD)[1] == pytest.approx(0.25)
    simulator.closed = True
    for _ in range(2):
        _, reward, _, _, info = env.step(MOVE_FORWARD)
        assert (reward, info["distance_to_goal"], info["soft_spl"]) == (0.0, math.inf, 0.0)
    simulator.closed = False
    assert env.step(MOVE_FORWARD)[1] == pytest.approx(0.75)


def test_a_simulator_object_keeps_its_own_camera_and_stays_open() -> None:
    simulator = RoomsSimulator("toy", Camera(40, 70.0, 0.8))
    env = make_point_nav(simulator=simulator, observations="rgb", resolution=128)
    assert env.reset(seed=0)[0].shape == (40, 40, 3)
    assert env.simulator is simulator and env.state == simulator.snapshot()
    env.close()
    simulator.reset("toy", AgentStart((0.0, 0.0, 0.0), 0.0))
    simulator.step(FloorMotion(0.1))


def test_closing_twice_is_fine() -> None:
    env = rooms()
    env.close()
    env.close()
