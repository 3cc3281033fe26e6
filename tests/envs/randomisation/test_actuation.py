"""Noise of motions: how it is distributed, and that what is executed is so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import truncnorm
from shapely.geometry import Point

from mirage_env import geometry
from mirage_env.envs.factory import make_point_nav
from mirage_env.envs.randomisation.actuation import LOCOBOT, GaussianActuation, LoCoBotActuation, with_errors
from mirage_env.simulators.base import FloorMotion

AHEAD, TURN = FloorMotion(0.25), FloorMotion(turn=math.radians(10))
DRAWS = 10_000


def drawn(model: GaussianActuation | LoCoBotActuation, motion: FloorMotion, draws: int = DRAWS) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([model.errors(motion, rng) for _ in range(draws)])


def assert_moments(samples: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Within five standard errors."""
    error = np.asarray(deviation) / math.sqrt(len(samples))
    np.testing.assert_array_less(np.abs(samples.mean(0) - mean), 5 * error + 1e-12)
    np.testing.assert_allclose(samples.std(0), deviation, rtol=5 / math.sqrt(2 * len(samples)), atol=1e-12)


def test_gaussian_errors_have_the_deviations_that_were_asked_for() -> None:
    model = GaussianActuation(translation=0.03, rotation_deg=4.0)
    turned = math.radians(4.0)
    assert_moments(drawn(model, AHEAD), np.zeros(3), np.array([0.03, 0.03, turned]))
    assert_moments(drawn(model, TURN), np.zeros(3), np.array([0.0, 0.0, turned]))
    correlated = np.corrcoef(drawn(model, AHEAD).T) - np.eye(3)
    assert np.abs(correlated).max() < 5 / math.sqrt(DRAWS)


@pytest.mark.parametrize("controller", LOCOBOT)
@pytest.mark.parametrize(("motion", "kind", "own"), [(AHEAD, "ahead", 0), (TURN, "turning", 2)])
def test_locobot_errors_are_habitats_truncated_normals(
    controller: str, motion: FloorMotion, kind: str, own: int
) -> None:
    means, variances = getattr(LOCOBOT[controller], kind)
    samples = drawn(LoCoBotActuation(controller), motion)
    amount = (motion.forward, 0.0, motion.turn)[own]
    wanted = []
    for i, (mean, variance) in enumerate(zip(means, variances, strict=True)):
        size = math.sqrt(variance)
        low = max((-0.95 * amount - mean) / size, -3.0) if i == own else -3.0
        wanted.append(truncnorm.stats(low, 3.0, mean, size) if size else (mean, 0.0))
    mean, deviation = np.array(wanted)[:, 0], np.sqrt(np.array(wanted)[:, 1])
    sides = np.array([1.0, -1.0, 1.0])  # the model counts sideways to the right
    assert_moments(samples, sides * mean, deviation)
    assert (samples[:, own] > -0.95 * amount - 1e-9).all()
    assert (np.abs(samples * sides - means) <= 3 * np.sqrt(variances) + 1e-9).all()


def test_a_robot_that_goes_back_or_turns_right_errs_the_other_way() -> None:
    model = LoCoBotActuation()
    back, right = FloorMotion(-0.25), FloorMotion(turn=-TURN.turn)
    np.testing.assert_allclose(drawn(model, back, 50) * [-1, -1, 1], drawn(model, AHEAD, 50))
    np.testing.assert_allclose(drawn(model, right, 50) * [1, 1, -1], drawn(model, TURN, 50))


def test_the_multiplier_scales_errors() -> None:
    half, whole = (drawn(LoCoBotActuation(multiplier=multiplier), AHEAD, 50) for multiplier in (0.5, 1.0))
    np.testing.assert_allclose(half, whole / 2)
    assert not drawn(LoCoBotActuation(multiplier=0.0), TURN, 50).any()


@pytest.mark.parametrize("motion", [AHEAD, TURN, FloorMotion(0.2, 0.7), FloorMotion(-0.1, -2.0), FloorMotion(0.0, 3.0)])
@pytest.mark.parametrize("errors", [(0.0, 0.0, 0.0), (0.05, -0.03, 0.2), (-0.3, 0.1, -0.5)])
def test_the_noisy_motion_ends_where_its_errors_say(motion: FloorMotion, errors: tuple[float, ...]) -> None:
    made, yaw = with_errors(motion, np.array(errors)), 0.4
    asked = geometry.arc_displacement(yaw, motion.forward, motion.turn)
    slip = errors[0] * geometry.forward(yaw) + errors[1] * geometry.forward(yaw + math.pi / 2)
    moved = geometry.arc_displacement(yaw, made.forward, made.turn, made.left)
    np.testing.assert_allclose(moved, asked + slip, atol=1e-12)
    assert made.turn == pytest.approx(motion.turn + errors[2], abs=1e-12)


def test_what_is_executed_is_distributed_as_the_model_says() -> None:
    """From the middle of the toy room, where nothing is in the way, over episodes of many seeds."""
    model = LoCoBotActuation(multiplier=0.5)
    env = make_point_nav(simulator="rooms", scenes="toy", observations="pose", randomise={"actuation": model})
    env.simulator.reset("toy")
    rng = np.random.default_rng(0)
    free = [env.simulator.sample_navigable_point(rng) for _ in range(200)]
    boundary = env.simulator.navigation.free.boundary
    middle = max(free, key=lambda p: boundary.distance(Point(p[0], p[2])))
    assert boundary.distance(Point(middle[0], middle[2])) > 0.6
    start = geometry.camera_pose(middle, 0.0, 1.25)
    ends = []
    for seed in range(400):
        env.reset(seed=seed, options={"pose": start})
        (x, _, z), yaw = geometry.agent_pose(env.step(1)[-1]["pose"], 1.25)
        ends.append((middle[2] - z, middle[0] - x, yaw))
    samples = np.array(ends)
    means, variances = LOCOBOT["ILQR"].ahead
    cut = [truncnorm.stats(-3, 3, m, math.sqrt(v)) for m, v in zip(means, variances, strict=True)]
    mean, deviation = np.array(cut)[:, 0] / 2, np.sqrt(np.array(cut)[:, 1]) / 2
    assert_moments(samples - [0.25, 0, 0], mean * [1, -1, 1], deviation)
