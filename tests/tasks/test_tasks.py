"""What PointNav and FreeCamera pay, and when they are solved."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.tasks.free_camera import FreeCamera
from mirage_env.tasks.point_nav import PointNav
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.task import Task


def at(distance: float, stopped: bool = False) -> Progress:
    """An episode whose agent is so far from its goal."""
    begun = Progress.begun(np.array([distance, 0.0, 0.0]), np.eye(4), np.zeros(3), distance)
    return replace(begun, stopped=stopped)


def test_point_nav_pays_for_progress_and_success() -> None:
    task = PointNav(success_bonus=10.0, slack=0.01)
    assert task.reward(at(3.0), at(2.75)) == pytest.approx(0.24)
    assert task.reward(at(2.0), at(2.5)) == pytest.approx(-0.51)
    assert task.reward(at(0.1), at(0.1, stopped=True)) == pytest.approx(9.99)
    assert task.reward(at(2.0), at(2.0, stopped=True)) == pytest.approx(-0.01)


def test_a_stop_elsewhere_costs_what_it_is_told_to() -> None:
    task = PointNav(slack=0.0, failure_cost=0.75)
    assert task.reward(at(2.0), at(2.0, stopped=True)) == -0.75
    assert task.reward(at(2.0), at(2.0)) == 0.0
    assert task.reward(at(0.1), at(0.1, stopped=True)) == task.success_bonus


def test_point_nav_is_solved_by_stopping_near_the_goal() -> None:
    task = PointNav(success_distance=0.5)
    assert task.succeeded(at(0.49, stopped=True))
    assert not task.succeeded(at(0.5, stopped=True))
    assert not task.succeeded(at(0.0))


@pytest.mark.parametrize(
    "arguments",
    [{"success_distance": 0.0}, {"success_distance": 1.5}, {"min_distance": 0.1}, {"max_distance": 0.5}],
)
def test_point_nav_refuses_distances_that_contradict_each_other(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="PointNav needs"):
        PointNav(**arguments)


@pytest.mark.parametrize("cost", [-0.1, math.nan, math.inf])
def test_point_nav_refuses_a_cost_that_is_none(cost: float) -> None:
    with pytest.raises(ValueError, match="failure_cost must be a finite number of at least 0"):
        PointNav(failure_cost=cost)


def test_free_camera_has_nothing_to_solve() -> None:
    task: Task = FreeCamera()
    simulator = RoomsSimulator("toy", Camera(32))
    episode = task.sample_episode(simulator, "toy", np.random.default_rng(0))
    assert (episode.goal, episode.geodesic_distance) == (None, math.inf)
    assert task.choose_goal(simulator, np.zeros(3), np.random.default_rng(0)) is None
    assert not task.succeeded(at(0.0, stopped=True))
    assert task.reward(at(1.0), at(0.5, stopped=True)) == 0.0


def test_point_nav_chooses_goals_in_the_present_scene() -> None:
    task: Task = PointNav(min_distance=2.0)
    simulator = RoomsSimulator("toy", Camera(32))
    simulator.reset("toy")
    goal = task.choose_goal(simulator, np.zeros(3), np.random.default_rng(0))
    assert goal is not None and simulator.geodesic_distance(np.zeros(3), goal) >= 2.0
    given = np.array([0.0, 0.0, 0.5])
    assert task.choose_goal(simulator, np.zeros(3), np.random.default_rng(0), given) is given
    with pytest.raises(ValueError, match="would start solved"):
        task.choose_goal(simulator, np.zeros(3), np.random.default_rng(0), np.array([0.0, 0.0, 0.1]))
