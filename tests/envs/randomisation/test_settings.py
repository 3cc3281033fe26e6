"""What ``randomise=`` takes, and what it refuses in one sentence."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import pytest

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env.envs.factory import make_free_camera, make_point_nav
from mirage_env.envs.randomisation.actuation import GaussianActuation, LoCoBotActuation
from mirage_env.envs.randomisation.settings import (
    NOTHING,
    LightingRanges,
    PoseNoise,
    Randomisation,
    make_randomisation,
)
from mirage_env.envs.randomisation.wrappers import Randomise, RandomiseVector

ALL = {
    "pose_noise": {"position": 0.05, "heading_deg": 2},
    "actuation": {"model": "locobot", "controller": "Proportional", "multiplier": 0.5},
    "camera_height": (1.0, 1.5),
    "hfov": (70, 100),
    "lighting": {"brightness": (0.6, 1.4), "temperature": 4000},
    "seed": 3,
}


def test_settings_become_values_of_their_kinds() -> None:
    made = make_randomisation(ALL)
    assert made == Randomisation(
        PoseNoise(0.05, 2),
        LoCoBotActuation("Proportional", 0.5),
        (1.0, 1.5),
        (70.0, 100.0),
        LightingRanges((0.6, 1.4), (1.0, 1.0), (4000.0, 4000.0)),
        3,
    )
    assert make_randomisation(made) is made
    assert make_randomisation(None) == make_randomisation({}) == NOTHING
    assert make_randomisation({"actuation": "gaussian"}).actuation == GaussianActuation()


@pytest.mark.parametrize("settings", [ALL, {}, {"actuation": {"model": "gaussian", "translation": 0.1}}])
def test_settings_come_back_from_files(settings: dict[str, Any]) -> None:
    made = make_randomisation(settings)
    assert make_randomisation(json.loads(json.dumps(made.to_numbers()))) == made


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (3, "randomise must be a mapping with any of pose_noise, actuation"),
        ({"fog": 1}, "randomise has no setting 'fog'; valid are pose_noise, actuation, camera_height"),
        ({"pose_noise": 0.1}, "pose_noise must be a mapping with any of position, heading_deg, got 0.1"),
        ({"pose_noise": {"heading": 1}}, "pose_noise has no setting 'heading'"),
        ({"pose_noise": {"position": -1}}, "position of pose_noise must be 0 or more metres, got -1"),
        ({"pose_noise": {"heading_deg": float("nan")}}, "heading_deg of pose_noise must be 0 or more degrees"),
        ({"actuation": 0.1}, "actuation must be 'gaussian' or 'locobot' or a mapping with a model"),
        ({"actuation": "robot"}, "unknown model 'robot' of actuation noise; valid are gaussian, locobot"),
        ({"actuation": {"translation": 1}}, "unknown model None of actuation noise"),
        ({"actuation": {"model": "gaussian", "controller": "ILQR"}}, "actuation gaussian has no setting 'controller'"),
        ({"actuation": {"model": "gaussian", "translation": -1}}, "translation of actuation noise must be 0 or more"),
        ({"actuation": {"model": "locobot", "controller": "PID"}}, "unknown controller 'PID' of a LoCoBot; valid are"),
        ({"actuation": {"model": "locobot", "multiplier": "1"}}, "multiplier of actuation noise must be 0 or more"),
        ({"camera_height": (1.5, 1.0)}, r"camera_height must be a range \(low, high\) within 0.05 to 10"),
        ({"camera_height": "high"}, r"camera_height must be a range \(low, high\), got 'high'"),
        ({"hfov": (60, 180)}, r"hfov must be a range \(low, high\) within 1 to 179"),
        ({"hfov": (60, 70, 80)}, r"hfov must be a range \(low, high\), got"),
        ({"lighting": {"temperature": 1000}}, "temperature of lighting must be a range"),
        ({"lighting": {"brightness": (0, 1)}}, "brightness of lighting must be a range"),
        ({"lighting": {"gamma": 2}}, "lighting has no setting 'gamma'"),
        ({"seed": -1}, r"seed of randomise must be a whole number from 0 to below 2\*\*64, got -1"),
        ({"seed": 1.5}, "seed of randomise must be a whole number"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence) as refused:
        make_point_nav(simulator="rooms", scenes="toy", randomise=settings)
    assert "\n" not in str(refused.value)


def test_a_camera_that_flies_has_no_wheels_that_slip() -> None:
    with pytest.raises(ValueError, match="actuation noise is of motions on the floor"):
        make_free_camera(simulator="rooms", scenes="toy", actions="camera", randomise={"actuation": "locobot"})
    env = make_free_camera(simulator="rooms", scenes="toy", actions="camera")
    with pytest.raises(ValueError, match="actuation noise is of motions on the floor"):
        Randomise(env, actuation="locobot")


def test_wrappers_refuse_what_they_cannot_randomise() -> None:
    with pytest.raises(TypeError, match="only environments of mirage_env can be randomised"):
        Randomise(gymnasium.make("CartPole-v1"), hfov=(60, 90))
    with pytest.raises(TypeError, match="only vectors of environments of mirage_env"):
        RandomiseVector(gymnasium.make_vec("CartPole-v1", 2), hfov=(60, 90))
    once = Randomise(make_point_nav(simulator="rooms", scenes="toy"), hfov=(60, 90))
    with pytest.raises(ValueError, match="randomised already; give it all settings at once"):
        Randomise(once, camera_height=(1.0, 1.2))
