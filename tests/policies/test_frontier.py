"""The frontier policy: it sees the room, finds goals without a map, and stops."""

from __future__ import annotations

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.envs.factory import make_explore, make_point_nav
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.policies import FrontierPolicy, Policy, make_policy
from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.tasks.known_floor import solid_in_view
from mirage_env.tasks.seen_floor import CELL


def walked(env: NavigationEnv, policy: Policy, seed: int, steps: int = 200) -> dict:
    """The info at the end of an episode."""
    observed, info = env.reset(seed=seed)
    policy.reset()
    for _ in range(steps):
        observed, _, terminated, truncated, info = env.step(policy.act(observed, info))
        if terminated or truncated:
            break
    return info


def test_it_sees_nearly_all_of_the_toy_room_and_then_stops() -> None:
    env = make_explore(simulator="rooms", scenes="toy", resolution=64, observations="pose")
    policy = FrontierPolicy(env)
    assert isinstance(policy, Policy)
    info = walked(env, policy, seed=1)
    assert info["coverage"] > 0.85
    assert not env.running, "it goes on although nothing is left"
    by_chance = walked(env, make_policy("random", env, seed=0), seed=1)
    assert info["coverage"] > 1.2 * by_chance["coverage"]


def test_it_finds_goals_without_a_map() -> None:
    env = make_point_nav(simulator="rooms", scenes="toy", resolution=64, observations="pose")
    policy = FrontierPolicy(env)
    ended = [walked(env, policy, seed=seed) for seed in range(4)]
    assert sum(info["success"] for info in ended) >= 3
    assert np.mean([info["spl"] for info in ended]) > 0.5


def test_it_acts_alike_in_equal_episodes() -> None:
    env = make_explore(simulator="rooms", scenes="toy", resolution=32, observations="pose")
    policy = FrontierPolicy(env)
    first, again = (walked(env, policy, seed=2, steps=25)["pose"] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_what_stands_there_is_solid_and_the_floor_is_not() -> None:
    simulator = RoomsSimulator("toy", Camera(64))
    view = simulator.reset("toy", AgentStart((0.0, 0.0, 1.0), 0.0))
    corner, solid = solid_in_view(view.depth, view.pose, simulator.camera.intrinsics, 1.25)
    cells = np.argwhere(solid)
    z, x = ((cells + corner + 0.5) * CELL).T
    blocked = [not simulator.is_navigable(np.array([a, 0.0, b])) for a, b in zip(x, z, strict=True)]
    assert len(cells) > 20 and np.mean(blocked) > 0.95
    position, _ = geometry.agent_pose(view.pose, 1.25)
    assert not solid[tuple(np.floor(position[[2, 0]] / CELL).astype(int) - corner)]


def test_it_takes_discrete_actions() -> None:
    with pytest.raises(ValueError, match="a frontier policy takes discrete actions"):
        FrontierPolicy(make_explore(simulator="rooms", scenes="toy", resolution=32, actions="velocity"))
