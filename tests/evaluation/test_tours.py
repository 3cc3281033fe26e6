"""Walks of the evaluation, in the toy room, where every distance is known."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from shapely.geometry import box

from mirage_env.evaluation.tours import (
    FORWARD_STEP,
    ROOM_AHEAD,
    Careful,
    _room_of,
    errand_loop,
    errands_in_room,
    find_start,
    wandering,
)
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion
from mirage_env.simulators.rooms.home import RoomInfo
from mirage_env.simulators.rooms.simulator import RoomsSimulator


@pytest.fixture(scope="module")
def toy() -> RoomsSimulator:
    simulator = RoomsSimulator("toy", Camera(resolution=32))
    simulator.reset()
    return simulator


def test_a_blocked_motion_is_not_taken_at_all(toy: RoomsSimulator) -> None:
    toy.reset(None, AgentStart((0.0, 0.0, -2.7), 0.0))
    before = toy.agent
    assert Careful(toy).step(FloorMotion(0.25))[1]
    assert toy.agent == before
    assert not Careful(toy).step(FloorMotion(0.0, 1.0))[1]
    assert toy.agent.yaw == pytest.approx(1.0)
    assert Careful(toy).floor_area == toy.floor_area


@pytest.mark.parametrize("seed", range(4))
def test_a_start_leaves_room_ahead(toy: RoomsSimulator, seed: int) -> None:
    start = find_start(toy, np.random.default_rng(seed))
    toy.reset(None, start)
    assert not any(toy.step(FloorMotion(FORWARD_STEP))[1] for _ in range(ROOM_AHEAD))


@pytest.mark.parametrize("steps", [8, 32, 256])
def test_a_loop_of_any_length_touches_nothing_and_ends_where_it_began(toy: RoomsSimulator, steps: int) -> None:
    start = find_start(toy, np.random.default_rng(1))
    loop = errand_loop(toy, start, steps, np.random.default_rng(2))
    poses = loop.poses(1.25)
    assert poses.shape == (steps + 1, 4, 4)
    assert np.array_equal(poses[0], poses[-1])
    assert all(toy.is_navigable(place) for place in loop.positions)
    ahead = [motion.forward for motion in loop.motions]
    assert sum(ahead) >= 2 * FORWARD_STEP * min(ROOM_AHEAD, loop.legs[0].last)
    # The simulator itself, walked through by the same motions, comes by the same places without a collision.
    toy.reset(None, start)
    for motion, place in zip(loop.motions, loop.positions[1:], strict=True):
        assert not toy.step(motion)[1]
        assert np.allclose(toy.agent.position, place, atol=1e-6)


def test_loops_of_one_seed_leave_in_the_same_way(toy: RoomsSimulator) -> None:
    start = find_start(toy, np.random.default_rng(1))
    once, again, other = (errand_loop(toy, start, 256, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(once.positions, again.positions)
    assert not np.array_equal(once.positions, other.positions)
    assert np.allclose(once.positions[ROOM_AHEAD], other.positions[ROOM_AHEAD])


def test_where_there_is_no_way_to_go_a_loop_looks_around() -> None:
    class Walled:
        """One place, and nothing but turns."""

        camera = Camera(resolution=32)

        def __init__(self) -> None:
            self.inner = RoomsSimulator("toy", self.camera)

        def reset(self, scene: object = None, start: AgentStart | None = None) -> object:
            return self.inner.reset(scene, start)

        def step(self, motion: FloorMotion) -> tuple[object, bool]:
            view, _ = self.inner.step(FloorMotion(0.0, motion.turn))
            return view, motion.forward > 0

        def snapshot(self) -> object:
            return self.inner.snapshot()

        def restore(self, snapshot: object) -> object:
            return self.inner.restore(snapshot)  # type: ignore[arg-type]

        def geodesic_distance(self, a: object, b: object) -> float:
            return math.inf

        def shortest_path(self, a: object, b: object) -> np.ndarray:
            return np.zeros((0, 3))

        def sample_navigable_point(self, rng: np.random.Generator) -> np.ndarray:
            return self.inner.sample_navigable_point(rng)

    start = AgentStart((0.0, 0.0, 0.0), 0.0)
    loop = errand_loop(Walled(), start, 24, np.random.default_rng(0))  # type: ignore[arg-type]
    assert loop.length == 0
    assert np.array_equal(loop.poses(1.25)[0], loop.poses(1.25)[-1])


def test_walks_have_as_many_poses_as_asked_for(toy: RoomsSimulator) -> None:
    start = find_start(toy, np.random.default_rng(1))
    for walk in (wandering, errands_in_room):
        poses = walk(toy, start, 40, np.random.default_rng(0))
        assert poses.shape == (41, 4, 4)
        assert np.allclose(poses[0, [0, 2], 3], np.array(start.position)[[0, 2]])
        moved = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
        assert moved.max() <= FORWARD_STEP + 1e-6
        assert np.array_equal(poses, walk(toy, start, 40, np.random.default_rng(0)))


class TwoRooms(RoomsSimulator):
    """The toy room, taken for two rooms that meet at z = 0 without a wall."""

    @property
    def home(self) -> Any:
        halves = (box(-2.0, -3.0, 2.0, 0.0), box(-2.0, 0.0, 2.0, 3.0))
        return SimpleNamespace(rooms=[RoomInfo(half, "living", f"half {k}") for k, half in enumerate(halves)])


def test_errands_stay_in_the_room_of_the_start(toy: RoomsSimulator) -> None:
    halves = TwoRooms("toy", Camera(resolution=32))
    halves.reset()
    start = AgentStart((-1.0, 0.0, -1.0), 0.0)
    inside, anywhere = (errands_in_room(s, start, 150, np.random.default_rng(1))[:, 2, 3] for s in (halves, toy))
    assert inside.max() < 0.05 and np.ptp(inside) > 1.0
    assert anywhere.max() > 1.0


def test_without_rooms_the_surroundings_count() -> None:
    class Unnamed:
        """A simulator that knows distances but no rooms."""

        def geodesic_distance(self, a: np.ndarray, b: np.ndarray) -> float:
            return float(np.linalg.norm(a - b))

    inside = _room_of(Unnamed(), np.zeros(3))  # type: ignore[arg-type]
    assert inside(np.array([2.4, 0.0, 0.0]))
    assert not inside(np.array([2.6, 0.0, 0.0]))
