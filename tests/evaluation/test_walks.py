"""Walks out and back: they end exactly where they began, and touch nothing on the way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirage_env.evaluation.walks import (
    FORWARD,
    LEFT,
    RIGHT,
    fitting_turn_angle,
    out_and_back,
    out_steps,
    plan_blind,
    plan_out_and_back,
    true_views,
)
from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator

START = AgentStart((1.0, 0.0, -2.0), 0.3)


@given(st.integers(2, 70).map(lambda n: 2 * n), st.randoms(use_true_random=False), st.floats(-7, 7))
def test_the_last_pose_is_the_first_bit_for_bit(steps: int, random: object, yaw: float) -> None:
    out = out_steps(steps, fitting_turn_angle(steps))
    way = [random.choice([FORWARD, LEFT, RIGHT]) for _ in range(out)]  # type: ignore[attr-defined]
    walk = out_and_back(steps, AgentStart((0.1, 0.0, 0.7), yaw), way)
    poses = walk.poses(1.25)
    assert poses.shape == (steps + 1, 4, 4)
    assert len(walk) == steps
    assert (poses[0] == poses[-1]).all()


@given(st.integers(2, 40).map(lambda n: 2 * n), st.randoms(use_true_random=False))
def test_the_motions_lead_along_the_poses(steps: int, random: object) -> None:
    out = out_steps(steps, fitting_turn_angle(steps))
    walk = out_and_back(steps, START, [random.choice([FORWARD, LEFT, RIGHT]) for _ in range(out)])  # type: ignore[attr-defined]
    place, yaw = np.array(START.position), START.yaw
    for motion, position, heading in zip(walk.motions, walk.positions[1:], walk.yaws[1:], strict=True):
        place = place + motion.forward * np.array([-math.sin(yaw), 0.0, -math.cos(yaw)])
        yaw += motion.turn
        assert np.allclose(place, position, atol=1e-9)
        assert math.isclose(math.remainder(yaw - heading, math.tau), 0.0, abs_tol=1e-9)


def test_the_standard_walk_turns_by_ten_degrees_and_looks_back_when_it_returns() -> None:
    walk = out_and_back(64, START, [FORWARD] * 14)
    assert math.isclose(math.degrees(walk.turn_angle), 10.0)
    assert [(leg.name, leg.first, leg.last) for leg in walk.legs] == [
        ("out", 1, 14),
        ("turn round", 15, 32),
        ("back", 33, 46),
        ("turn round again", 47, 64),
    ]
    assert walk.length == 7.0
    assert np.allclose(np.linalg.norm(walk.positions[14] - walk.positions[0]), 3.5)
    assert (walk.positions[46] == walk.positions[0]).all()
    assert math.isclose(abs(math.remainder(walk.yaws[46] - START.yaw, math.tau)), math.pi)
    assert [walk.leg(step).name for step in (0, 1, 14, 15, 64)] == [
        "out",
        "out",
        "out",
        "turn round",
        "turn round again",
    ]


@pytest.mark.parametrize("steps", [0, 2, 7, -4, 4.0, True])
def test_a_walk_needs_an_even_number_of_steps(steps: object) -> None:
    with pytest.raises(ValueError, match="even number of steps, at least 4"):
        fitting_turn_angle(steps)  # type: ignore[arg-type]


def test_wrong_lengths_and_turns_are_refused() -> None:
    with pytest.raises(ValueError, match="14 actions on the way out, got 3"):
        out_and_back(64, START, [FORWARD] * 3)
    with pytest.raises(ValueError, match="whole part of 180°"):
        out_and_back(64, START, [FORWARD] * 14, turn_angle=math.radians(7))
    with pytest.raises(ValueError, match="too few to turn round twice"):
        out_steps(20, math.radians(10))


@pytest.mark.parametrize("scene", ["toy", 1_000_000])
def test_a_planned_walk_touches_nothing(scene: int | str) -> None:
    simulator = RoomsSimulator(scene, Camera(resolution=32))
    simulator.reset()
    before = simulator.snapshot()
    walk = plan_out_and_back(simulator, 64, seed=3)
    assert simulator.snapshot() == before
    simulator.reset(None, walk.start)
    for motion, position in zip(walk.motions, walk.positions[1:], strict=True):
        _, collided = simulator.step(motion)
        assert not collided
        assert np.allclose(simulator.agent.position, position, atol=1e-6)
    assert np.linalg.norm(walk.positions[14] - walk.positions[0]) > 1.5


def test_the_same_seed_plans_the_same_walk_and_another_seed_another() -> None:
    simulator = RoomsSimulator("toy", Camera(resolution=32))
    simulator.reset()
    first, again, other = (plan_out_and_back(simulator, 16, seed) for seed in (1, 1, 2))
    assert (first.poses(1.0) == again.poses(1.0)).all()
    assert not np.array_equal(first.poses(1.0), other.poses(1.0))
    with pytest.raises(ValueError, match="0 or above"):
        plan_out_and_back(simulator, 16, -1)


def test_a_blind_walk_stays_within_reach() -> None:
    walk = plan_blind(64, reach=1.0)
    assert np.abs(walk.positions).max() <= 1.0 + 1e-9
    assert plan_blind(64).forward_step == 0.25
    assert (walk.poses(1.25)[0] == walk.poses(1.25)[-1]).all()


def test_true_views_are_those_of_the_simulator_however_it_renders() -> None:
    simulator = RoomsSimulator("toy", Camera(resolution=32))
    simulator.reset()
    poses = plan_out_and_back(simulator, 8, 0).poses(1.25)

    class Standing:
        """The same simulator without the shortcut."""

        reset, camera = simulator.reset, simulator.camera

    for quick, slow in zip(true_views(simulator, poses, 1.25), true_views(Standing(), poses, 1.25), strict=True):  # type: ignore[arg-type]
        assert np.allclose(quick, slow, atol=1e-3)
