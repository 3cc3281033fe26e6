"""Blocked steps and free floor, compared where the truth is known: the toy room, remembered with its true depth."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import shapely

from mirage_env import geometry
from mirage_env.evaluation.collisions import (
    Collisions,
    blocked_scores,
    compare_collisions,
    simulator_of,
    starts_in_view,
)
from mirage_env.evaluation.free_space import SeenSpace, floor_agreement, seen_space
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from tests.small_world import small_world

CAMERA = Camera(64, 90.0, 1.25)
RADIUS = 0.18


@pytest.fixture(scope="module")
def truth() -> RoomsSimulator:
    simulator = RoomsSimulator("toy", CAMERA)
    simulator.reset("toy")
    return simulator


@pytest.fixture(scope="module")
def views(truth: RoomsSimulator) -> tuple[Array, Array, Array]:
    """Poses, images and true depth all around from two places."""
    places = [((0.0, 0.0, 1.5), yaw) for yaw in np.arange(8) * math.pi / 4]
    places += [((-1.5, 0.0, -1.0), yaw) for yaw in np.arange(4) * math.pi / 2]
    poses = np.stack([geometry.camera_pose(place, float(yaw), 1.25) for place, yaw in places])
    return poses, *truth.render_views(poses.astype(np.float32))


@pytest.fixture(scope="module")
def seen(views: tuple[Array, Array, Array]) -> SeenSpace:
    poses, _, depth = views
    return seen_space(depth, poses, CAMERA.intrinsics)


@pytest.fixture(scope="module")
def imagined(views: tuple[Array, Array, Array]) -> ImaginedSimulator:
    """A world that was told all these views with their true depth."""
    poses, rgb, depth = views
    world = small_world()
    state = world.start(rgb[0], depth=depth[0], pose=poses[0], resolution=64, camera_height=1.25)
    for k in range(1, len(poses)):
        state = world.observe(state, rgb[k], poses[k], depth[k])
    return simulator_of(world, state, CAMERA)


def known_floor(truth: RoomsSimulator, seen: SeenSpace) -> Array:
    return shapely.contains_xy(truth.home.floor, *np.moveaxis(seen.centres, -1, 0))


# What cameras have seen.


def test_seen_floor_is_floor_and_seen_obstacles_are_none(truth: RoomsSimulator, seen: SeenSpace) -> None:
    assert (seen.open & known_floor(truth, seen)).sum() > 0.98 * seen.open.sum()
    navigable = np.array([truth.is_navigable(np.array([x, 0.0, z])) for x, z in seen.centres[seen.obstacle]])
    assert navigable.mean() < 0.01
    assert seen.open.sum() * seen.cell**2 > 15


def test_what_hides_behind_things_or_the_camera_is_not_seen(truth: RoomsSimulator) -> None:
    pose = geometry.camera_pose((1.0, 0.0, 1.5), 0.0, 1.25)  # the cube stands ahead, its front at z = -0.5
    _, depth = truth.render_views(pose[None].astype(np.float32))
    seen = seen_space(depth, pose[None], CAMERA.intrinsics)
    points = np.array([[1.0, -1.8], [1.0, 2.5], [1.0, 1.3], [1.0, 0.1], [50.0, 0.0]])
    assert seen.at(seen.open, points).tolist() == [False, False, False, True, False]
    assert seen.at(seen.obstacle, np.array([[1.0, -0.5]])).all()


def test_the_floor_is_seen_between_pixels_also_far_away(truth: RoomsSimulator) -> None:
    """Rows of floor pixels are up to half a metre apart there, ten times a cell."""
    pose = geometry.camera_pose((-1.0, 0.0, 2.7), 0.0, 1.25)
    _, depth = truth.render_views(pose[None].astype(np.float32))
    seen = seen_space(depth, pose[None], CAMERA.intrinsics)
    line = np.array([[-1.0, z] for z in np.linspace(1.3, -2.2, 60)])
    free = np.array([truth.is_navigable(np.array([x, 0.0, z])) for x, z in line])
    assert free.sum() > 30 and seen.at(seen.open, line[free]).all()


def test_what_was_seen_decides_only_about_whole_discs() -> None:
    open_, obstacle = np.zeros((21, 21), dtype=bool), np.zeros((21, 21), dtype=bool)
    open_[3:18, 3:18] = True
    obstacle[10, 16] = True
    can, cannot = SeenSpace(np.zeros(2), 0.05, obstacle, open_).decided(0.1)
    for r in range(21):
        for c in range(21):
            around = [(i, j) for i in range(-2, 24) for j in range(-2, 24) if math.hypot(i - r, j - c) <= 2]
            inside = all(0 <= i < 21 and 0 <= j < 21 for i, j in around)
            if inside:
                assert can[r, c] == all(open_[i, j] and not obstacle[i, j] for i, j in around)
            assert cannot[r, c] == (math.hypot(r - 10, c - 16) <= 2.5)


# Free floor.


def test_a_world_of_true_geometry_agrees_about_the_floor(
    truth: RoomsSimulator, imagined: ImaginedSimulator, seen: SeenSpace
) -> None:
    found = floor_agreement(truth, imagined, seen)
    assert found.iou > 0.85 and found.free_recall > 0.93 and found.blocked_recall > 0.85
    assert found.area > 10


def test_floor_agreement_counts_what_is_navigable_cell_by_cell(
    truth: RoomsSimulator, imagined: ImaginedSimulator, seen: SeenSpace
) -> None:
    coarse = SeenSpace(seen.origin, seen.cell * 8, seen.obstacle[::8, ::8], seen.open[::8, ::8])
    can, cannot = coarse.decided(RADIUS)
    both = either = cells = 0
    for r, c in np.ndindex(can.shape):
        x, z = coarse.centres[r, c]
        there = np.array([x, 0.0, z])
        true, said = truth.is_navigable(there), imagined.is_navigable(there)
        if can[r, c] if true else cannot[r, c]:
            cells += 1
            both, either = both + (true and said), either + (true or said)
    found = floor_agreement(truth, imagined, coarse)
    assert found.iou == pytest.approx(both / either)
    assert found.area == pytest.approx(cells * coarse.cell**2)


def test_a_world_without_walls_or_full_of_them_does_not_agree(
    truth: RoomsSimulator, imagined: ImaginedSimulator, seen: SeenSpace
) -> None:
    world, state = imagined.world, imagined.snapshot().state
    empty = dataclasses.replace(state, memory=state.memory.fork().__class__(state.memory.channels))
    found = floor_agreement(truth, simulator_of(world, empty, CAMERA), seen)
    assert found.free_recall == 1 and found.blocked_recall == 0
    raised = simulator_of(world, state, CAMERA, floor_height=-0.6)  # the floor itself is in the way there
    assert floor_agreement(truth, raised, seen).free_recall < 0.1


# Blocked steps.


def test_a_world_of_true_geometry_agrees_about_steps(
    truth: RoomsSimulator, imagined: ImaginedSimulator, seen: SeenSpace
) -> None:
    starts = starts_in_view(truth, seen, np.random.default_rng(0), 16, 8)
    assert len(starts) == 16 * 8 and all(truth.is_navigable(np.array(s.position)) for s in starts)
    before, true_before = imagined.snapshot(), truth.snapshot()
    found = compare_collisions(truth, imagined, starts, seen)
    summary = found.summary()
    assert summary["seen_f1"] > 0.85 and summary["seen_blocked"] >= 8
    assert summary["seen_steps"] + summary["unseen_steps"] == len(starts)
    assert imagined.snapshot() is before and truth.snapshot() == true_before


def test_steps_are_tried_one_by_one_in_both(
    truth: RoomsSimulator, imagined: ImaginedSimulator, seen: SeenSpace
) -> None:
    from mirage_env.simulators.agent import Place
    from mirage_env.simulators.base import FloorMotion

    starts = [*starts_in_view(truth, seen, np.random.default_rng(1), 3, 3), AgentStart((1.0, 0.0, -1.0), 0.0)]
    found = compare_collisions(truth, imagined, starts, seen)
    assert len(found.starts) == 9  # nobody can stand inside the cube
    before = imagined.snapshot()
    for k, start in enumerate(starts[:9]):
        other = RoomsSimulator("toy", CAMERA)
        other.reset("toy", start)
        assert found.truth[k] == other.step(FloorMotion(0.25))[1]
        imagined.restore(before._replace(place=Place(start.position, start.yaw)))
        assert found.imagination[k] == imagined.propose(FloorMotion(0.25)).collided
        imagined.restore(before)


def test_a_step_is_seen_where_the_views_decide_about_it(truth: RoomsSimulator, imagined: ImaginedSimulator) -> None:
    pose = geometry.camera_pose((1.0, 0.0, 1.5), 0.0, 1.25)
    _, depth = truth.render_views(pose[None].astype(np.float32))
    seen = seen_space(depth, pose[None], CAMERA.intrinsics)
    steps = {
        ((1.0, 0.0, 0.0), 0.0): (False, True),  # over floor in view
        ((1.0, 0.0, -0.25), 0.0): (True, True),  # into the cube's front, in view
        ((1.0, 0.0, 1.5), 0.0): (False, False),  # below the camera, which does not see the floor there
        ((1.0, 0.0, 2.7), math.pi): (True, False),  # into the wall behind the camera
    }
    starts = [AgentStart(place, yaw) for place, yaw in steps]
    found = compare_collisions(truth, imagined, starts, seen)
    assert list(zip(found.truth.tolist(), found.seen.tolist(), strict=True)) == list(steps.values())


def test_scores_are_those_of_the_field() -> None:
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    said = np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    scores = blocked_scores(truth, said)
    assert scores["precision"] == pytest.approx(2 / 3) and scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(2 / 3) and scores["steps"] == 8 and scores["blocked"] == 3
    nothing = blocked_scores(np.zeros(3, dtype=bool), np.zeros(3, dtype=bool))
    assert all(math.isnan(nothing[key]) for key in ("precision", "recall", "f1"))
    seen = np.array([1, 1, 0, 0, 1, 1, 0, 0], dtype=bool)
    summary = Collisions(np.zeros((8, 4)), truth, said, seen, ~seen).summary()
    assert summary["seen_f1"] == 1 and summary["unseen_f1"] == 0 and summary["solid"] == 4


def test_what_makes_no_sense_is_refused(
    truth: RoomsSimulator, imagined: ImaginedSimulator, seen: SeenSpace, views: tuple[Array, Array, Array]
) -> None:
    poses, _, depth = views
    other = simulator_of(imagined.world, imagined.snapshot().state, CAMERA, agent_radius=0.3)
    with pytest.raises(ValueError, match="one radius"):
        compare_collisions(truth, other, [], seen)
    with pytest.raises(ValueError, match="positive number of metres"):
        compare_collisions(truth, imagined, [], seen, forward=0)
    with pytest.raises(ValueError, match="needs depth"):
        seen_space(depth[0], poses, CAMERA.intrinsics)
    with pytest.raises(ValueError, match="no camera saw anything"):
        seen_space(np.zeros_like(depth), poses, CAMERA.intrinsics)
    assert len(compare_collisions(truth, imagined, [], seen).truth) == 0
