"""Episodes begin unsolved and can be solved, whatever the simulator."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.tasks.episode import check_distance, sample_episode, sample_goal, sample_start


@pytest.fixture(scope="module")
def toy() -> RoomsSimulator:
    return RoomsSimulator("toy", Camera(32))


@pytest.mark.parametrize("bounds", [(1.0, 30.0), (0.2, 0.7), (3.0, 4.0)])
def test_episodes_keep_to_their_bounds_and_differ(toy: RoomsSimulator, bounds: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    episodes = [sample_episode(toy, "toy", rng, *bounds) for _ in range(20)]
    for episode in episodes:
        assert episode.start is not None and episode.goal is not None
        start, goal = np.array(episode.start.position), np.array(episode.goal)
        assert toy.is_navigable(start) and toy.is_navigable(goal)
        assert bounds[0] <= episode.geodesic_distance <= bounds[1]
        assert episode.geodesic_distance == toy.geodesic_distance(start, goal)
        assert np.linalg.norm(start - goal) >= 0.4
    assert len({episode.goal for episode in episodes}) == len({episode.start for episode in episodes}) == 20


def test_the_generator_decides(toy: RoomsSimulator) -> None:
    episodes = [sample_episode(toy, "toy", np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert episodes[0] == episodes[1] != episodes[2]


def test_a_fixed_start_or_goal_is_kept(toy: RoomsSimulator) -> None:
    start, goal = AgentStart((-1.5, 0.0, 2.0), 0.3), np.array([1.0, 0.0, -2.5])
    rng = np.random.default_rng(0)
    assert sample_episode(toy, "toy", rng, start=start).start == start
    assert sample_episode(toy, "toy", rng, goal=goal).goal == (1.0, 0.0, -2.5)
    both = sample_episode(toy, "toy", rng, start=start, goal=goal)
    assert (both.start, both.goal) == (start, (1.0, 0.0, -2.5))
    assert both.geodesic_distance == toy.geodesic_distance(np.array(start.position), goal)
    near = sample_episode(toy, "toy", rng, start=start, goal=[-1.2, 0.0, 2.0])
    assert near.geodesic_distance == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ((-1.5, 0.0, 1.9), "would start solved"),
        ((1.0, 0.0, -1.0), "no way along the floor"),
        ((9.0, 0.0, 0.0), "no way"),
    ],
)
def test_a_fixed_goal_that_makes_no_episode_is_refused(toy: RoomsSimulator, goal: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_episode(toy, "toy", np.random.default_rng(0), start=AgentStart((-1.5, 0.0, 2.0), 0.0), goal=goal)


def test_the_search_ends(toy: RoomsSimulator) -> None:
    with pytest.raises(ValueError, match=r"between 50.0 and 60.0 metres of floor apart were found in scene 'toy'"):
        sample_episode(toy, "toy", np.random.default_rng(0), 50.0, 60.0)
    with pytest.raises(ValueError, match=r"no floor between 50.0 and 60.0 metres away is known"):
        sample_goal(toy, np.zeros(3), np.random.default_rng(0), 50.0, 60.0)


@pytest.mark.parametrize("bounds", [(0.1, 2.0), (2.0, 1.0), (math.nan, 1.0)])
def test_bounds_that_make_no_sense_are_refused(toy: RoomsSimulator, bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="min_distance <= max_distance"):
        sample_episode(toy, "toy", np.random.default_rng(0), *bounds)


def test_goals_and_starts_are_sampled_around_the_agent(toy: RoomsSimulator) -> None:
    toy.reset("toy")
    rng = np.random.default_rng(0)
    starts = [sample_start(toy, rng) for _ in range(50)]
    assert all(toy.is_navigable(np.array(start.position)) for start in starts)
    assert min(s.yaw for s in starts) < -2 and max(s.yaw for s in starts) > 2
    goal = sample_goal(toy, np.zeros(3), rng, 1.0, 2.0)
    assert 1.0 <= toy.geodesic_distance(np.zeros(3), goal) <= 2.0


def test_distances_are_checked() -> None:
    assert check_distance(0.2) == 0.2
    with pytest.raises(ValueError, match="no way"):
        check_distance(math.nan)
