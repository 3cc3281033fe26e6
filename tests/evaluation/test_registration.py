"""Motions recovered from views of a room whose every pixel is known, against the motions that made them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.evaluation.following import camera_following, motion_errors
from mirage_env.evaluation.registration import Registration, register
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from tests.box_room import pose, room_view

SIZE = 64
K = geometry.intrinsics(SIZE, SIZE, 90.0)


def views(poses: list[Array], size: int = SIZE) -> tuple[Array, Array]:
    pairs = [room_view(T, size) for T in poses]
    return np.stack([rgb for rgb, _ in pairs]), np.stack([depth for _, depth in pairs])


def recovered(first: Array, second: Array) -> Registration:
    rgb, depth = views([first, second])
    return register(rgb[:1], depth[:1], rgb[1:], depth[1:], K)


def errors(first: Array, second: Array) -> tuple[float, float]:
    commanded = (geometry.invert(first) @ second)[None]
    rotation, translation = motion_errors(recovered(first, second).motion, commanded)
    return float(rotation[0]), float(translation[0])


@pytest.mark.parametrize(("x", "z", "turn"), [(0, 0, 10), (0, 0, -30), (0, -0.25, 0), (0.3, 0.1, 15), (0, 0, 0)])
def test_motions_over_the_floor_are_recovered(x: float, z: float, turn: float) -> None:
    rotation, translation = errors(pose(), pose(x, z, turn))
    assert rotation < 0.05 and translation < 0.004


@pytest.mark.parametrize("twist", [[0.1, -0.05, 0.2, 0.05, -0.1, 0.08], [0, 0.1, 0, -0.15, 0, 0]])
def test_free_motions_are_recovered(twist: list[float]) -> None:
    first = pose(0.5, 0.4, 20)
    rotation, translation = errors(first, first @ geometry.exp_twist(twist))
    assert rotation < 0.05 and translation < 0.004


def test_true_views_of_furnished_rooms_are_registered_far_below_the_figures_to_reach() -> None:
    simulator = RoomsSimulator("toy", Camera(resolution=128))
    simulator.reset("toy")
    start = geometry.camera_pose((0.0, 0.0, 1.5), 0.3, 1.25)
    turned = geometry.camera_pose((0.0, 0.0, 1.5), 0.3 + math.radians(10), 1.25)
    ahead = geometry.camera_pose(np.array([0.0, 0.0, 1.5]) + 0.25 * geometry.forward(0.3), 0.3, 1.25)
    poses = np.stack([start, turned, start, ahead])
    rgb, depth = simulator.render_views(poses.astype(np.float32))
    found = camera_following(rgb, depth, poses, geometry.intrinsics(128, 128, 90.0), [0, 2])
    assert found.told.all()
    assert found.rotation_deg.max() < 0.1 and found.translation.max() < 0.003


def test_a_pair_does_not_depend_on_the_others_of_its_batch() -> None:
    poses = [pose(), pose(turned_deg=12), pose(0, -0.25, 12), pose(0.2, -0.25, 3)]
    rgb, depth = views(poses)
    together = register(rgb[:-1], depth[:-1], rgb[1:], depth[1:], K)
    for i in range(3):
        alone = register(rgb[i : i + 1], depth[i : i + 1], rgb[i + 1 : i + 2], depth[i + 1 : i + 2], K)
        np.testing.assert_allclose(alone.motion[0], together.motion[i], atol=2e-5)
    again = register(rgb[:-1], depth[:-1], rgb[1:], depth[1:], K)
    np.testing.assert_array_equal(again.motion, together.motion)
    np.testing.assert_allclose(np.linalg.det(together.motion[:, :3, :3]), 1, atol=1e-12)


def test_pixels_without_depth_are_left_out() -> None:
    first, second = pose(), pose(0.1, -0.2, 8)
    rgb, depth = views([first, second])
    depth[:, 44:], depth[:, :, 10:16] = 0, 0
    rgb[:, 44:], rgb[:, :, 10:16] = 255, 255
    found = register(rgb[:1], depth[:1], rgb[1:], depth[1:], K)
    whole = recovered(first, second)
    assert found.reason == [""]
    rotation, _ = motion_errors(found.motion, whole.motion)
    assert rotation[0] < 0.3


def test_what_moves_between_the_views_does_not_drag_the_camera_along() -> None:
    first, second = pose(), pose(turned_deg=10)
    rgb, depth = views([first, second])
    for i, column in enumerate((10, 30)):  # a thing in front of the wall, which moved by itself
        rgb[i, 20:44, column : column + 12] = np.random.default_rng(0).integers(0, 255, (24, 12, 3))
        depth[i, 20:44, column : column + 12] = 1.0
    found = camera_following(rgb, depth, np.stack([first, second]), K)
    assert found.rotation_deg[0] < 0.2 and found.translation[0] < 0.01


def test_a_blank_wall_says_nothing_and_is_told_so() -> None:
    rgb = np.full((2, SIZE, SIZE, 3), 128, dtype=np.uint8)
    depth = np.full((2, SIZE, SIZE), 2.0, dtype=np.float32)
    found = register(rgb[:1], depth[:1], rgb[1:], depth[1:], K)
    assert found.reason == ["texture"]
    assert np.isfinite(found.motion).all()


def test_views_that_share_nothing_are_told_apart() -> None:
    rgb, depth = views([pose(1.0, 1.0), pose(1.0, 1.0, 170)])
    found = register(rgb[:1], depth[:1], rgb[1:], depth[1:], K)
    rotation, _ = motion_errors(found.motion, (geometry.invert(pose(1, 1)) @ pose(1, 1, 170))[None])
    assert found.reason != [""] or rotation[0] < 1  # never a wrong motion that looks sound


def test_following_compares_with_what_was_commanded_and_with_nothing_else() -> None:
    true = [pose(turned_deg=10 * k) for k in range(4)]
    rgb, depth = views(true)
    # The world turned 8 degrees where it should have turned 10, and stood still where it should have gone on.
    commanded = np.stack([pose(turned_deg=0), pose(turned_deg=12), pose(0.0, -0.25, 22), pose(0, -0.25, 32)])
    found = camera_following(rgb, depth, commanded, K)
    np.testing.assert_allclose(found.rotation_deg, [2, 0, 0], atol=0.1)
    np.testing.assert_allclose(found.translation, [0, 0.25, 0], atol=0.01)
    summary = found.summary()
    assert summary["pairs"] == summary["told"] == 3
    assert summary["rotation_deg"] == pytest.approx(np.median(found.rotation_deg))
    some = camera_following(rgb, depth, commanded, K, [1])
    assert some.pairs.tolist() == [1] and some.translation[0] == pytest.approx(found.translation[1], abs=1e-4)


def test_pairs_that_tell_nothing_are_counted_and_not_hidden() -> None:
    rgb, depth = views([pose(), pose(turned_deg=10)])
    blank = np.full((2, SIZE, SIZE, 3), 90, dtype=np.uint8)
    wall = np.full((2, SIZE, SIZE), 2.0, dtype=np.float32)
    poses = np.stack([pose(), pose(turned_deg=10), pose(turned_deg=10), pose(turned_deg=20)])
    found = camera_following(np.concatenate([rgb, blank]), np.concatenate([depth, wall]), poses, K, [0, 2])
    summary = found.summary()
    assert found.reason.tolist() == ["", "texture"]
    assert (summary["pairs"], summary["told"], summary["failed_texture"]) == (2, 1, 1)
    assert summary["rotation_deg"] < 0.1
    assert summary["rotation_deg_all"] == math.inf  # half of the pairs tell nothing
    nothing = camera_following(rgb[:1], depth[:1], poses[:1], K).summary()
    assert nothing["pairs"] == 0 and math.isnan(nothing["rotation_deg"])


def test_angles_and_distances_between_motions() -> None:
    turned = geometry.exp_twist([0.3, 0, 0.4, 0, 0.2, 0])
    rotation, translation = motion_errors(np.eye(4)[None], turned[None])
    assert rotation[0] == pytest.approx(math.degrees(0.2))
    assert translation[0] == pytest.approx(float(np.linalg.norm(turned[:3, 3])))
    half = np.eye(4)
    half[:3, :3] = geometry.rotation_y(math.pi)
    assert motion_errors(half[None], np.eye(4)[None])[0][0] == pytest.approx(180)


def test_what_makes_no_sense_is_refused() -> None:
    rgb, depth = views([pose(), pose(turned_deg=10)])
    poses = np.stack([pose(), pose(turned_deg=10)])
    with pytest.raises(ValueError, match="two stacks of images"):
        register(rgb[0], depth[:1], rgb[1:], depth[1:], K)
    with pytest.raises(ValueError, match="needs depth"):
        register(rgb[:1], depth[:1, :3], rgb[1:], depth[1:], K)
    with pytest.raises(ValueError, match="at least 16x16"):
        register(rgb[:1, :8], depth[:1, :8], rgb[1:, :8], depth[1:, :8], K)
    with pytest.raises(ValueError, match="as many views as poses"):
        camera_following(rgb[:1], depth, poses, K)
    with pytest.raises(ValueError, match="numbers from 0 to 0"):
        camera_following(rgb, depth, poses, K, [1])
