"""Every key has the content, shape and type that the module's table says."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from mirage_env import geometry
from mirage_env.envs.actions import MOVE_FORWARD, TURN_LEFT
from mirage_env.envs.factory import make_point_nav
from mirage_env.envs.observations import KEYS, Layout, Moment, make_observations, odometry, pointgoal
from mirage_env.frame import Frame
from mirage_env.tasks.free_camera import FreeCamera
from mirage_env.tasks.known_floor import nothing_known
from mirage_env.tasks.point_nav import PointNav
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.seen_floor import marked

LAYOUT = Layout(16, 3, 4)
SHAPES = {
    "rgb": (16, 16, 3),
    "depth": (16, 16),
    "latent": (3, 4, 4),
    "memory": (3, 4, 4),
    "visible": (4, 4),
    "pointgoal": (2,),
    "pose": (4, 4),
    "local_map": (3, 32, 32),
    "odometry": (3,),
}


@pytest.fixture
def moment() -> Moment:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(3, 4, 4, generator=generator)
    visible = torch.rand(4, 4, generator=generator) > 0.5
    frame = Frame(
        latents=latents,
        memory=latents * visible,
        visible=visible,
        imagined=torch.ones(4, 4),
        grid_depth=torch.rand(4, 4, generator=generator) + 1.0,
        pose=geometry.camera_pose((1.0, 0.0, 2.0), 0.5, 1.25).astype(np.float32),
        stride=4,
        decode=lambda z, _: z.repeat_interleave(4, -1).repeat_interleave(4, -2),
    )
    start = geometry.camera_pose((0.0, 0.0, 1.0), 0.5 - math.pi / 2, 1.25).astype(np.float32)
    left = geometry.camera_pose((1.2, 0.0, 2.1), 0.4, 1.25).astype(np.float32)
    floor = nothing_known(0.0)
    floor = floor._replace(seen=marked(floor.seen, (15, 5), np.ones((9, 9), dtype=bool), 0.0))
    episode = Progress.begun(np.array([3.0, 0.0, -1.0]), start, np.array([1.0, 0.0, 2.0]), 4.0)
    return Moment(frame, dataclasses.replace(episode, floor=floor), 1.25, left=left)


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("key", SHAPES)
def test_an_observation_lies_in_its_space(moment: Moment, key: str, flatten: bool) -> None:
    observations = make_observations(key, PointNav(), LAYOUT, flatten)
    value = observations.observe(moment)
    assert isinstance(observations.space, spaces.Box)
    flat = flatten and key != "rgb"
    assert value.shape == ((math.prod(SHAPES[key]),) if flat else SHAPES[key])
    assert (
        value.dtype == observations.space.dtype == (np.uint8 if key in ("rgb", "visible", "local_map") else np.float32)
    )
    assert observations.space.contains(value)
    assert not np.isinf([observations.space.low, observations.space.high]).any()


def test_contents_are_those_of_the_view(moment: Moment) -> None:
    observed = make_observations(tuple(SHAPES), PointNav(), LAYOUT, flatten=False).observe(moment)
    frame = moment.view
    np.testing.assert_array_equal(observed["rgb"], frame.rgb)
    np.testing.assert_array_equal(observed["depth"], frame.depth)
    np.testing.assert_array_equal(observed["latent"], frame.latents.numpy())
    np.testing.assert_array_equal(observed["memory"], frame.memory.numpy())
    np.testing.assert_array_equal(observed["visible"], frame.visible.numpy())
    # The start camera looks a quarter turn to the right of the present one, so the way travelled is seen from there.
    expected = np.linalg.inv(moment.episode.start_pose.astype(np.float64)) @ frame.pose
    np.testing.assert_allclose(observed["pose"], expected, atol=1e-6)
    flat = make_observations(tuple(SHAPES), PointNav(), LAYOUT).observe(moment)
    for key in set(SHAPES) - {"rgb"}:
        np.testing.assert_array_equal(flat[key].reshape(SHAPES[key]), observed[key])


def test_observations_share_no_memory_with_the_view(moment: Moment) -> None:
    observations = make_observations(tuple(SHAPES), PointNav(), LAYOUT, flatten=False)
    one, other = observations.observe(moment), observations.observe(moment)
    for key in SHAPES:
        assert not np.shares_memory(one[key], other[key])
        one[key][:] = 0
        assert (other[key] != 0).any()


@pytest.mark.parametrize(
    ("ahead", "left", "distance", "angle"),
    [
        (2, 0, 2, 0),
        (0, 3, 3, math.pi / 2),
        (0, -1, 1, -math.pi / 2),
        (1, 1, math.sqrt(2), math.pi / 4),
        (-1, 0, 1, math.pi),
    ],
)
@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.5])
def test_pointgoal_is_where_the_agent_would_walk(
    yaw: float, ahead: float, left: float, distance: float, angle: float
) -> None:
    feet = np.array([0.3, 0.1, -0.8])
    goal = feet + ahead * geometry.forward(yaw) + left * geometry.forward(yaw + math.pi / 2) + [0, 5.0, 0]
    seen = pointgoal(geometry.camera_pose(feet, yaw, 1.3).astype(np.float32), 1.3, goal)
    assert seen[0] == pytest.approx(distance, abs=1e-5)
    assert math.remainder(seen[1] - angle, math.tau) == pytest.approx(0.0, abs=1e-5)
    assert make_observations("pointgoal", PointNav(), LAYOUT).space.contains(seen)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -3.1])
def test_odometry_is_what_the_agent_did(yaw: float) -> None:
    feet = np.array([0.3, 0.1, -0.8])
    arrived = feet + 0.2 * geometry.forward(yaw) - 0.05 * geometry.forward(yaw + math.pi / 2)
    before, after = geometry.camera_pose(feet, yaw, 1.3), geometry.camera_pose(arrived, yaw + 0.17, 1.3)
    np.testing.assert_allclose(odometry(before, after), [0.2, -0.05, 0.17], atol=1e-6)


def test_odometry_of_an_episode() -> None:
    env = make_point_nav(simulator="rooms", scenes="toy", resolution=16, observations="odometry", turn_angle_deg=15)
    observed, _ = env.reset(seed=0)
    assert not observed.any()
    observed, *_ = env.step(TURN_LEFT)
    np.testing.assert_allclose(observed, [0, 0, math.radians(15)], atol=1e-5)
    for _ in range(60):
        observed, *_, info = env.step(MOVE_FORWARD)
        if not info["collided"]:
            np.testing.assert_allclose(observed, [0.25, 0, 0], atol=1e-4)
    assert info["collided"] and observed[0] < 0.2
    kept = env.snapshot()
    env.step(TURN_LEFT)
    np.testing.assert_array_equal(env.restore(kept)[0], observed)


def test_one_bare_string_gives_its_box(moment: Moment) -> None:
    alone = make_observations("rgb", PointNav(), LAYOUT)
    assert isinstance(alone.space, spaces.Box) and isinstance(alone.observe(moment), np.ndarray)
    among = make_observations(["rgb"], PointNav(), LAYOUT)
    assert isinstance(among.space, spaces.Dict) and set(among.observe(moment)) == {"rgb"}


def test_without_a_key_that_shows_pixels_nothing_is_decoded(moment: Moment) -> None:
    make_observations(tuple(set(SHAPES) - {"rgb"}), PointNav(), LAYOUT).observe(moment)
    assert "rgb" not in vars(moment.view)
    make_observations("rgb", PointNav(), LAYOUT).observe(moment)
    assert "rgb" in vars(moment.view)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("rbg", "unknown observations 'rbg'; valid are " + ", ".join(KEYS)),
        (("rgb", "x", "y"), "unknown observations 'x', 'y'; valid are rgb"),
        (("rgb", 3), "unknown observations 3; valid are rgb"),
        ((), "no observations; valid are rgb"),
        (("rgb", "rgb"), "can be named once, got rgb, rgb"),
        ("imagegoal", "imagegoal is an observation of ImageNav"),
        (("rgb", "pointgoal"), "pointgoal needs a goal and FreeCamera has none"),
    ],
)
def test_names_that_make_no_sense_are_refused(names: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_observations(names, FreeCamera(), LAYOUT)


def test_latent_keys_need_a_model() -> None:
    with pytest.raises(ValueError, match="latent, visible need a world model"):
        make_observations(("rgb", "visible", "latent"), PointNav(), Layout(16))
