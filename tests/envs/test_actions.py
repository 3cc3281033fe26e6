"""Actions become the motions that the conventions say, and what lies outside their space is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from mirage_env import geometry
from mirage_env.envs.actions import KINDS, make_actions
from mirage_env.simulators.base import CameraMotion, FloorMotion


@pytest.mark.parametrize("wrap", [int, np.int64, np.int8, lambda a: np.array(a)])
def test_discrete_actions_are_habitats(wrap: Any) -> None:
    command = make_actions("discrete", 0.3, 15.0).command
    assert command(wrap(0)) == (None, True)
    assert command(wrap(1)) == (FloorMotion(0.3, 0.0), False)
    assert command(wrap(2)) == (FloorMotion(0.0, math.radians(15)), False)
    assert command(wrap(3)) == (FloorMotion(0.0, -math.radians(15)), False)


def test_full_speed_covers_a_forward_step() -> None:
    command = make_actions("velocity", 0.25).command
    assert command(np.array([1.0, 0.0], np.float32)) == (FloorMotion(0.25, 0.0), False)
    motion, stop = command([-0.5, 0.4])
    assert isinstance(motion, FloorMotion) and not stop
    assert (motion.forward, motion.turn) == pytest.approx((-0.125, 0.1))


@pytest.mark.parametrize(
    ("action", "stop"),
    [([0, 0], True), ([0.099, -0.099], True), ([0.1, 0], False), ([0, -0.1], False), ([1, 0], False)],
)
def test_hardly_moving_calls_stop(action: list[float], stop: bool) -> None:
    assert make_actions("velocity").command(action).stop is stop


def test_a_camera_action_is_a_twist_in_the_cameras_frame() -> None:
    motion, stop = make_actions("camera", 0.25).command([0.2, -0.4, 1.0, 0, 0, 0])
    assert isinstance(motion, CameraMotion) and not stop
    np.testing.assert_allclose(motion.T_camera_next[:3, 3], [0.05, -0.1, 0.25])
    motion, _ = make_actions("camera", 0.5).command([0, 0, 0, 0, 1.0, 0])
    assert isinstance(motion, CameraMotion)
    # Turning about the camera's y, which points down, is turning right.
    after = geometry.camera_pose((0, 0, 0), 0.0, 1.25) @ motion.T_camera_next
    assert geometry.agent_pose(after, 1.25)[1] == pytest.approx(-0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_action_of_the_space_has_a_motion(kind: str) -> None:
    actions = make_actions(kind)
    actions.space.seed(0)
    for _ in range(20):
        motion, stop = actions.command(actions.space.sample())
        assert stop or isinstance(motion, CameraMotion if kind == "camera" else FloorMotion)
    if isinstance(actions.space, spaces.Box):
        actions.command(actions.space.low)
        actions.command(actions.space.high)


@pytest.mark.parametrize(
    ("kind", "action", "message"),
    [
        ("discrete", 4, r"0 \(stop\), 1 \(move_forward\).*got 4"),
        ("discrete", -1, "got -1"),
        ("discrete", 1.0, "got 1.0"),
        ("discrete", True, "got True"),
        ("discrete", None, "got None"),
        ("discrete", "1", "got '1'"),
        ("discrete", [1], r"got \[1\]"),
        ("velocity", [1.1, 0.0], r"two numbers \(v in m/s, w in rad/s\) in \[-1, 1\], got \[1.1, 0.0\]"),
        ("velocity", [np.nan, 0.0], "got"),
        ("velocity", [0.0], "got"),
        ("velocity", 1, "got 1"),
        ("velocity", "ab", "got 'ab'"),
        ("velocity", np.zeros((40, 2)), r"got an array of shape \(40, 2\)"),
        ("camera", [0.0] * 5, "six numbers"),
        ("camera", [0, 0, 0, 0, 0, -1.5], "six numbers"),
    ],
)
def test_an_action_outside_the_space_is_refused(kind: str, action: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        make_actions(kind).command(action)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jump",), "unknown actions 'jump'; valid are discrete, velocity, camera"),
        ((None,), "unknown actions None; valid are"),
        (("discrete", 0.0), "forward_step must lie in"),
        (("velocity", math.nan), "forward_step must lie in"),
        (("discrete", 0.25, 0.0), "turn_angle_deg must lie in"),
        (("discrete", 0.25, 181), "turn_angle_deg must lie in"),
    ],
)
def test_actions_that_do_not_exist_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_actions(*arguments)
