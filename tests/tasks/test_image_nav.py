"""ImageNav as a task: what is solved, what is sampled, what its state may be."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.tasks.episode import Episode
from mirage_env.tasks.image_nav import GoalView, ImageNav
from mirage_env.tasks.progress import Progress


def at(distance: float, stopped: bool) -> Progress:
    begun = Progress.begun(np.array([distance, 0.0, 0.0]), np.eye(4), np.zeros(3), distance)
    return replace(begun, stopped=stopped)


@pytest.fixture(scope="module")
def toy() -> RoomsSimulator:
    simulator = RoomsSimulator("toy", Camera(24, 80.0, 1.1))
    simulator.reset()
    return simulator


@pytest.mark.parametrize(
    ("distance", "stopped", "solved", "strict"),
    [(0.1, True, True, True), (0.2, True, True, False), (0.99, True, True, False), (1.0, True, False, False),
     (0.1, False, False, False)],
)  # fmt: skip
def test_it_is_solved_within_a_metre_and_strictly_within_a_fifth(
    distance: float, stopped: bool, solved: bool, strict: bool
) -> None:
    task, now = ImageNav(), at(distance, stopped)
    assert (task.succeeded(now), task.measures(now)) == (solved, {"success_strict": strict})
    assert ImageNav.within(0.15).succeeded(now) is (solved and distance < 0.15)


def test_it_pays_as_point_nav_does() -> None:
    task = ImageNav(success_bonus=10.0, slack=0.01)
    assert task.reward(at(3.0, False), at(2.75, False)) == pytest.approx(0.24)
    assert task.reward(at(0.9, False), at(0.9, True)) == pytest.approx(9.99)


def test_no_sampled_episode_starts_solved(toy: RoomsSimulator) -> None:
    rng = np.random.default_rng(0)
    for task in (ImageNav(), ImageNav.within(1.4)):
        for _ in range(20):
            assert task.sample_episode(toy, "toy", rng).geodesic_distance >= task.min_distance > task.success_distance


def test_a_given_pair_must_not_be_solved_either(toy: RoomsSimulator) -> None:
    rng = np.random.default_rng(0)
    start = toy.sample_navigable_point(rng)
    places = [toy.sample_navigable_point(rng) for _ in range(200)]
    near = next(place for place in places if 0.3 < toy.geodesic_distance(start, place) < 0.8)
    with pytest.raises(ValueError, match=r"would start solved; choose one at least 1\.0 m away"):
        ImageNav().sample_episode(toy, "toy", rng, AgentStart(tuple(start), 0.0), near)


def test_the_goal_is_seen_from_where_it_lies(toy: RoomsSimulator) -> None:
    task, view = ImageNav(), toy.reset()
    episode = task.sample_episode(toy, "toy", np.random.default_rng(1))
    seen = task.begin(toy, toy, view, replace(episode, goal_yaw=0.7), np.random.default_rng(2))
    true = toy.render_views(geometry.camera_pose(episode.goal, 0.7, 1.1))[0][0]
    np.testing.assert_array_equal(seen.image, true)
    assert float(seen.yaw) == 0.7 and not seen.image.flags.writeable


def test_headings_are_drawn_evenly_and_whatever_is_asked_for_the_next_draw_is_the_same(toy: RoomsSimulator) -> None:
    task, view = ImageNav(), toy.reset()
    episode = Episode("toy", None, (0.0, 0.0, 0.0))
    rng = np.random.default_rng(0)
    yaws = [float(task.begin(toy, toy, view, episode, rng).yaw) for _ in range(200)]
    counts, _ = np.histogram(yaws, bins=4, range=(-math.pi, math.pi))
    assert counts.sum() == 200 and (np.abs(counts - 50) < 5 * math.sqrt(37.5)).all()
    after = []
    for asked in (
        episode,
        replace(episode, goal_yaw=0.1),
        replace(episode, goal_image=np.zeros((30, 40, 3), np.uint8)),
    ):
        rng = np.random.default_rng(4)
        task.begin(toy, toy, view, asked, rng)
        after.append(rng.random())
    assert len(set(after)) == 1


def test_ones_own_picture_is_cut_to_the_middle_square(toy: RoomsSimulator) -> None:
    picture = np.zeros((24, 48, 3), np.uint8)
    picture[:, 12:36] = 200
    episode = Episode("toy", None, (0.0, 0.0, 0.0), goal_image=picture)
    seen = ImageNav().begin(toy, toy, toy.reset(), episode, np.random.default_rng(0))
    assert seen.image.shape == (24, 24, 3) and (seen.image == 200).all() and math.isnan(seen.yaw)


def test_its_state_comes_back_from_arrays() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    again = ImageNav().loaded({"image": image, "yaw": np.array(0.3)})
    assert isinstance(again, GoalView) and float(again.yaw) == 0.3
    np.testing.assert_array_equal(again.image, image)


@pytest.mark.parametrize(
    "arrays",
    [{"image": np.zeros((4, 4), np.uint8), "yaw": np.array(0.0)}, {"image": np.zeros((4, 4, 3)), "yaw": np.array(0.0)},
     {"image": np.zeros((4, 4, 3), np.uint8), "yaw": np.zeros(2)}],
)  # fmt: skip
def test_damaged_states_are_refused(arrays: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="its goal is no image"):
        ImageNav().loaded(arrays)


@pytest.mark.parametrize("distance", [0, -1.0, 7.0, float("nan"), "near"])
def test_success_distances_that_make_no_sense_are_refused(distance: Any) -> None:
    with pytest.raises(ValueError, match=r"success_distance must be above 0 and below 6\.7 metres"):
        ImageNav.within(distance)


def test_a_simulator_that_shows_no_other_views_is_refused(toy: RoomsSimulator) -> None:
    class Blind:
        camera = toy.camera

    episode = Episode("toy", None, (0.0, 0.0, 0.0))
    with pytest.raises(TypeError, match="ImageNav sees its goals by render_views of the simulator; Blind has none"):
        blind: Any = Blind()
        ImageNav().begin(blind, blind, toy.reset(), episode, np.random.default_rng(0))
