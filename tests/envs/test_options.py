"""Options of reset are checked before anything happens."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.envs.options import ResetOptions, check_options
from mirage_env.tasks.free_camera import FreeCamera
from mirage_env.tasks.point_nav import PointNav

IMAGE = np.full((24, 32, 3), 90, np.uint8)
LEVEL = geometry.camera_pose((1.0, 0.0, 2.0), 0.4, 1.25)
TILTED = LEVEL @ geometry.exp_twist([0, 0, 0, 0.3, 0, 0])


def test_nothing_is_asked_by_default() -> None:
    for options in (None, {}, {"scene": None, "image": None}):
        assert vars(check_options(options, PointNav(), True)) == vars(ResetOptions())


def test_values_arrive_in_the_right_kind() -> None:
    asked = check_options({"scene": 7, "pose": LEVEL.tolist(), "goal": (1, 0, 2)}, PointNav(), False)
    assert asked.scene == 7 and asked.goal is not None and asked.goal.tolist() == [1.0, 0.0, 2.0]
    start = asked.start(1.25)
    assert start is not None
    assert start.position == pytest.approx((1.0, 0.0, 2.0)) and start.yaw == pytest.approx(0.4)
    asked = check_options({"image": IMAGE, "depth": np.ones((24, 32)), "hfov": 70, "pose": TILTED}, FreeCamera(), True)
    assert asked.image is not None and asked.image.shape == (24, 32, 3)
    assert asked.depth is not None and asked.depth.dtype == np.float32
    assert asked.hfov == 70.0 and asked.pose is not None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ("toy", TypeError, "must be a dictionary, got str"),
        (
            {"photo": 1, "seed": 2},
            ValueError,
            "unknown reset option 'photo', 'seed'; valid are scene, pose, goal, image",
        ),
        ({"goal": (1, 2)}, ValueError, "goal must be three finite coordinates"),
        ({"goal": (1, 2, math.nan)}, ValueError, "goal must be three finite coordinates"),
        ({"goal": "door"}, ValueError, "goal must be three finite coordinates"),
        ({"pose": np.eye(3)}, ValueError, "pose must be a 4x4 matrix"),
        ({"pose": np.stack([LEVEL, LEVEL])}, ValueError, "pose must be one 4x4 matrix"),
        ({"pose": 2 * np.eye(4)}, ValueError, "not a rigid motion"),
        ({"pose": np.full((4, 4), np.nan)}, ValueError, "pose holds NaN"),
        ({"pose": TILTED}, ValueError, "the start camera must be level"),
        ({"image": np.zeros((0, 4, 3), np.uint8)}, ValueError, "an image must have shape"),
        ({"image": Path("/nowhere/photo.jpg")}, FileNotFoundError, "there is no image at"),
        ({"image": 5}, TypeError, "an image must be a file name"),
        ({"image": IMAGE, "scene": 3}, ValueError, "give one of the two options"),
        ({"image": IMAGE, "hfov": 180}, ValueError, "hfov must lie inside"),
        ({"image": IMAGE, "depth": np.ones((3, 3))}, ValueError, "depth must have the image's shape"),
        ({"hfov": 70}, ValueError, "hfov can only describe an image"),
        ({"depth": np.ones((24, 32)), "hfov": 70}, ValueError, "depth and hfov can only describe an image"),
    ],
)
def test_what_makes_no_sense_is_refused(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_options(options, PointNav(), True)


def test_an_image_needs_an_imagined_world() -> None:
    with pytest.raises(ValueError, match='use simulator="mirage"'):
        check_options({"image": IMAGE}, PointNav(), False)


def test_a_goal_needs_a_task_with_goals() -> None:
    with pytest.raises(ValueError, match="FreeCamera has no goal"):
        check_options({"goal": (1.0, 0.0, 2.0)}, FreeCamera(), True)
