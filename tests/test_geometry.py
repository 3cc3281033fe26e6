"""The conventions, as properties that hold for any camera, pose and point."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from mirage_env import geometry
from mirage_env.geometry import Array

GOLDEN = Path(__file__).parents[2] / "shared" / "golden" / "habitat"


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def vectors(size: int, bound: float) -> st.SearchStrategy[Array]:
    return arrays(np.float64, size, elements=numbers(-bound, bound))


cameras = st.builds(geometry.intrinsics, st.integers(1, 640), st.integers(1, 640), numbers(5.0, 170.0))
yaws = numbers(-math.pi + 1e-6, math.pi)


@st.composite
def quaternions(draw: st.DrawFn) -> Array:
    """A unit quaternion whose first component is not negative."""
    q = draw(vectors(4, 1.0))
    norm = np.linalg.norm(q)
    assume(norm > 1e-2)
    return q / norm * (-1.0 if q[0] < 0 else 1.0)


@st.composite
def poses(draw: st.DrawFn) -> Array:
    T = np.eye(4)
    T[:3, :3] = geometry.rotation_from_wxyz(draw(quaternions()))
    T[:3, 3] = draw(vectors(3, 50.0))
    return T


# --- cameras ---------------------------------------------------------------------------------------------------------


@given(
    cameras, arrays(np.float64, (5, 2), elements=numbers(-700, 700)), arrays(np.float64, 5, elements=numbers(0.01, 99))
)
def test_project_inverts_unproject(K: Array, pixels: Array, depth: Array) -> None:
    points = geometry.unproject(pixels, depth, K)
    again, z = geometry.project(points, K)
    np.testing.assert_array_equal(z, depth)
    np.testing.assert_allclose(again, pixels, rtol=1e-9, atol=1e-8)


@given(cameras, arrays(np.float64, (2, 3, 3), elements=numbers(-20, 20)))
def test_unproject_inverts_project(K: Array, points: Array) -> None:
    points[..., 2] = np.abs(points[..., 2]) + 0.1
    pixels, z = geometry.project(points, K)
    np.testing.assert_allclose(geometry.unproject(pixels, z, K), points, rtol=1e-9, atol=1e-8)


@given(cameras, arrays(np.float64, (4, 3), elements=numbers(-20, 20)))
def test_torch_gives_what_numpy_gives(K: Array, points: Array) -> None:
    points[..., 2] = np.abs(points[..., 2]) + 0.1
    pixels, _ = geometry.project(points, K)
    pixels_t, z_t = geometry.project(torch.from_numpy(points), torch.from_numpy(K))
    assert isinstance(pixels_t, torch.Tensor) and pixels_t.dtype == torch.float64
    np.testing.assert_allclose(pixels_t.numpy(), pixels, rtol=1e-12)
    points_t = geometry.unproject(pixels_t, z_t, torch.from_numpy(K))
    assert isinstance(points_t, torch.Tensor)
    np.testing.assert_allclose(points_t.numpy(), points, rtol=1e-9, atol=1e-8)


def test_one_depth_for_all_pixels_keeps_the_kind_of_array() -> None:
    K = geometry.intrinsics(8, 8, 90.0)
    grid = geometry.pixel_grid(8, 8)
    in_numpy = geometry.unproject(grid, 2.0, K)
    in_torch = geometry.unproject(torch.from_numpy(grid), 2.0, torch.from_numpy(K))
    assert isinstance(in_numpy, np.ndarray) and isinstance(in_torch, torch.Tensor)
    assert in_numpy.shape == (8, 8, 3) and (in_numpy[..., 2] == 2.0).all()
    np.testing.assert_array_equal(in_torch.numpy(), in_numpy)


def test_project_is_the_textbook_formula() -> None:
    K = geometry.intrinsics(128, 128, 90.0)
    np.testing.assert_allclose(K, [[64, 0, 64], [0, 64, 64], [0, 0, 1]], rtol=1e-15)
    point = np.array([0.5, -0.25, 2.0])
    homogeneous = K @ point
    pixel, depth = geometry.project(point, K)
    np.testing.assert_allclose(pixel, homogeneous[:2] / homogeneous[2], rtol=1e-15)
    assert depth == 2.0


@given(st.integers(1, 640), st.integers(1, 640), numbers(5.0, 170.0))
def test_the_field_of_view_reaches_from_edge_to_edge(width: int, height: int, hfov: float) -> None:
    K = geometry.intrinsics(width, height, hfov)
    half = math.tan(math.radians(hfov) / 2)
    edges, _ = geometry.project(np.array([[-half, 0.0, 1.0], [half, 0.0, 1.0]]), K)
    np.testing.assert_allclose(edges[:, 0], [0.0, width], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(edges[:, 1], height / 2)


def test_pixel_centres_lie_half_a_pixel_in() -> None:
    grid = geometry.pixel_grid(2, 3)
    assert grid.shape == (2, 3, 2)
    np.testing.assert_array_equal(grid[0, 0], [0.5, 0.5])
    np.testing.assert_array_equal(grid[1, 2], [2.5, 1.5])


# --- latent grids ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 40), numbers(5.0, 170.0), st.sampled_from([2, 4, 8, 16]))
def test_latent_intrinsics_are_exact_for_powers_of_two(rows: int, columns: int, hfov: float, stride: int) -> None:
    K = geometry.intrinsics(columns * stride, rows * stride, hfov)
    scaled = geometry.scale_intrinsics(K, 1 / stride)
    np.testing.assert_array_equal(scaled[:2], K[:2] / stride)
    direct = geometry.intrinsics(columns, rows, hfov)
    np.testing.assert_array_equal(scaled, direct)


@given(st.integers(1, 40), st.integers(1, 40), numbers(5.0, 170.0), st.integers(1, 20))
def test_latent_intrinsics_agree_for_any_stride(rows: int, columns: int, hfov: float, stride: int) -> None:
    K = geometry.intrinsics(columns * stride, rows * stride, hfov)
    direct = geometry.intrinsics(columns, rows, hfov)
    np.testing.assert_allclose(geometry.scale_intrinsics(K, 1 / stride), direct, rtol=4e-16, atol=0)


@given(cameras, vectors(3, 20.0), st.sampled_from([2, 4, 8, 16]))
def test_a_point_lands_at_the_same_place_of_the_latent_grid(K: Array, point: Array, stride: int) -> None:
    point[2] = abs(point[2]) + 0.1
    full, _ = geometry.project(point, K)
    latent, _ = geometry.project(point, geometry.scale_intrinsics(K, 1 / stride))
    np.testing.assert_array_equal(latent, full / stride)


def test_the_centre_of_a_latent_cell_is_the_centre_of_its_pixels() -> None:
    pixels = geometry.pixel_grid(16, 16)
    cells = geometry.pixel_grid(2, 2)
    np.testing.assert_array_equal(pixels.reshape(2, 8, 2, 8, 2).mean(axis=(1, 3)), cells * 8)


def test_width_and_height_may_scale_differently() -> None:
    K = geometry.scale_intrinsics(geometry.intrinsics(64, 32, 90.0), 0.5, 0.25)
    np.testing.assert_allclose(K, [[16, 0, 16], [0, 8, 4], [0, 0, 1]], rtol=1e-15)


# --- poses -----------------------------------------------------------------------------------------------------------


@given(poses(), poses(), vectors(3, 20.0))
def test_poses_compose(T_a_b: Array, T_b_c: Array, point: Array) -> None:
    stepwise = geometry.transform(T_a_b, geometry.transform(T_b_c, point))
    np.testing.assert_allclose(geometry.transform(T_a_b @ T_b_c, point), stepwise, atol=1e-10)
    homogeneous = T_a_b @ T_b_c @ [*point, 1.0]
    np.testing.assert_allclose(stepwise, homogeneous[:3], atol=1e-10)


@given(poses(), poses())
def test_poses_invert(T_a_b: Array, T_b_c: Array) -> None:
    np.testing.assert_allclose(geometry.invert(T_a_b), np.linalg.inv(T_a_b), atol=1e-10)
    np.testing.assert_allclose(T_a_b @ geometry.invert(T_a_b), np.eye(4), atol=1e-10)
    inverse_of_product = geometry.invert(T_b_c) @ geometry.invert(T_a_b)
    np.testing.assert_allclose(geometry.invert(T_a_b @ T_b_c), inverse_of_product, atol=1e-10)


@given(st.lists(poses(), min_size=1, max_size=4))
def test_a_stack_inverts_like_its_members(members: list[Array]) -> None:
    stack = geometry.invert(np.stack(members))
    for T, T_inverse in zip(members, stack, strict=True):
        np.testing.assert_array_equal(T_inverse, geometry.invert(T))


@given(poses())
def test_check_pose_passes_rigid_motions_on(T: Array) -> None:
    np.testing.assert_array_equal(geometry.check_pose(T), T)
    assert geometry.check_pose(T.astype(np.float32).tolist()).dtype == np.float64
    assert geometry.check_pose(np.stack([T, T])).shape == (2, 4, 4)


@pytest.mark.parametrize(
    ("pose", "sentence"),
    [
        (np.eye(3), r"got shape \(3, 3\)"),
        (np.full((4, 4), np.nan), "NaN or infinite"),
        (np.diag([1.0, 1.0, np.inf, 1.0]), "NaN or infinite"),
        (np.diag([2.0, 2.0, 2.0, 1.0]), "not a rigid motion"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "not a rigid motion"),
        (np.zeros((4, 4)), "not a rigid motion"),
        (np.eye(4) + np.eye(4)[[3, 0, 1, 2]] * 0.5, "not a rigid motion"),
        (np.eye(4) * [[1], [1], [1], [2]], "not a rigid motion"),
        ("forward", "matrix T_world_camera of numbers, got str"),
        (None, "4x4"),
    ],
)
def test_a_wrong_pose_is_named(pose: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        geometry.check_pose(pose, name="start")
    assert str(caught.value).startswith("start ")


@pytest.mark.parametrize("hfov", [0, 180, -90.0, 360, math.nan, math.inf, "90", None, [90.0]])
def test_a_wrong_field_of_view_is_named(hfov: Any) -> None:
    with pytest.raises(ValueError, match=r"hfov must lie inside \(0, 180\) degrees, got"):
        geometry.intrinsics(128, 128, hfov)


@pytest.mark.parametrize("size", [(0, 128), (128, 0), (-1, 1)])
def test_an_image_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1x1 pixels"):
        geometry.intrinsics(*size, 90.0)


# --- agents ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yaw_deg", "direction"), [(0, [0, 0, -1]), (90, [-1, 0, 0]), (180, [0, 0, 1]), (-90, [1, 0, 0]), (45, [-1, 0, -1])]
)
def test_positive_yaw_turns_left(yaw_deg: float, direction: list[float]) -> None:
    yaw = math.radians(yaw_deg)
    expected = np.array(direction) / np.linalg.norm(direction)
    np.testing.assert_allclose(geometry.forward(yaw), expected, atol=1e-15)
    T = geometry.camera_pose([1.0, 2.0, 3.0], yaw, 1.25)
    np.testing.assert_allclose(T[:3, 2], expected, atol=1e-15, err_msg="the camera's z axis looks forward")
    np.testing.assert_allclose(T[:3, 1], [0, -1, 0], atol=1e-15, err_msg="the camera's y axis points down")
    np.testing.assert_allclose(T[:3, 0], np.cross(expected, [0, 1, 0]), atol=1e-15, err_msg="the x axis points right")
    np.testing.assert_allclose(T[:3, 3], [1.0, 3.25, 3.0])


@given(st.floats(-10, 10), st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_a_camera_pose_is_that_of_an_opengl_camera_turned_over_to_the_bit(yaw: float, position: list[float]) -> None:
    T = np.eye(4)
    T[:3, :3] = geometry.rotation_y(yaw) @ geometry.T_OPENGL_OPENCV[:3, :3]
    T[:3, 3] = np.array(position) + [0.0, 1.25, 0.0]
    assert geometry.camera_pose(position, yaw, 1.25).tobytes() == T.tobytes()


@given(vectors(3, 50.0), yaws, numbers(0.0, 2.0))
def test_agent_pose_inverts_camera_pose(position: Array, yaw: float, height: float) -> None:
    again, yaw_again = geometry.agent_pose(geometry.camera_pose(position, yaw, height), height)
    np.testing.assert_allclose(again, position, atol=1e-12)
    assert yaw_again == pytest.approx(yaw, abs=1e-12)


@given(yaws, numbers(-1.4, 1.4))
def test_agent_pose_drops_pitch_and_roll(yaw: float, angle: float) -> None:
    level = geometry.camera_pose([0.0, 0.0, 0.0], yaw, 1.0)
    pitched = level @ geometry.exp_twist([0, 0, 0, angle, 0, 0])
    rolled = level @ geometry.exp_twist([0, 0, 0, 0, 0, angle])
    assert geometry.agent_pose(pitched, 1.0)[1] == pytest.approx(yaw, abs=1e-9)
    assert geometry.agent_pose(rolled, 1.0)[1] == pytest.approx(yaw, abs=1e-9)


@given(yaws, yaws)
def test_yaws_add(first: float, second: float) -> None:
    together = geometry.rotation_y(first) @ geometry.rotation_y(second)
    np.testing.assert_allclose(together, geometry.rotation_y(first + second), atol=1e-12)
    np.testing.assert_allclose(geometry.rotation_y(first) @ [0, 0, -1], geometry.forward(first), atol=1e-15)


# --- Habitat ---------------------------------------------------------------------------------------------------------


@given(poses(), vectors(3, 20.0))
def test_opengl_and_opencv_cameras_see_the_same_world(T_world_opencv: Array, point_opencv: Array) -> None:
    T_world_opengl = geometry.opengl_from_opencv(T_world_opencv)
    point_opengl = point_opencv * [1, -1, -1]
    np.testing.assert_allclose(
        geometry.transform(T_world_opengl, point_opengl), geometry.transform(T_world_opencv, point_opencv), atol=1e-12
    )
    np.testing.assert_array_equal(geometry.opencv_from_opengl(T_world_opengl), T_world_opencv)


def test_habitats_camera_at_yaw_0_is_the_world_frame() -> None:
    np.testing.assert_allclose(geometry.opengl_from_opencv(geometry.camera_pose([0, 0, 0], 0.0, 0.0)), np.eye(4))


def test_recorded_habitat_cameras_are_reproduced() -> None:
    recording = GOLDEN / "apartment_observations.npz"
    if not recording.exists():
        pytest.skip(f"recordings of habitat-sim are not at {GOLDEN}")
    with np.load(recording) as data:
        arrays = {name: data[name] for name in data.files}
    assert len(arrays["yaw_deg"]) == 16
    for i, yaw_deg in enumerate(arrays["yaw_deg"]):
        yaw = math.radians(yaw_deg)
        T = geometry.camera_pose(arrays["position"][i], yaw, 1.25)
        # The recorder kept positions and rotations in float32.
        np.testing.assert_allclose(geometry.opengl_from_opencv(T), arrays["cam_to_world"][i], atol=2e-6)
        rotation = geometry.rotation_from_wxyz(arrays["rotation_wxyz"][i])
        np.testing.assert_allclose(rotation, geometry.rotation_y(yaw), atol=2e-6)
        position, yaw_again = geometry.agent_pose(geometry.opencv_from_opengl(arrays["cam_to_world"][i]), 1.25)
        np.testing.assert_allclose(position, arrays["position"][i], atol=2e-6)
        assert math.remainder(yaw_again - yaw, 2 * math.pi) == pytest.approx(0.0, abs=2e-6)


# --- quaternions -----------------------------------------------------------------------------------------------------


def test_quaternion_orders_are_what_their_names_say() -> None:
    np.testing.assert_array_equal(geometry.wxyz_from_xyzw([1, 2, 3, 4]), [4, 1, 2, 3])
    np.testing.assert_array_equal(geometry.xyzw_from_wxyz([4, 1, 2, 3]), [1, 2, 3, 4])
    stack = np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(geometry.wxyz_from_xyzw(geometry.xyzw_from_wxyz(stack)), stack)
    np.testing.assert_array_equal(geometry.xyzw_from_wxyz(stack)[1], [5, 6, 7, 4])


@given(yaws)
def test_the_quaternion_of_a_yaw(yaw: float) -> None:
    q = [math.cos(yaw / 2), 0.0, math.sin(yaw / 2), 0.0]
    np.testing.assert_allclose(geometry.rotation_from_wxyz(q), geometry.rotation_y(yaw), atol=1e-12)


@given(quaternions(), numbers(0.1, 10.0))
def test_quaternions_round_trip(q: Array, scale: float) -> None:
    R = geometry.rotation_from_wxyz(q * scale)
    again = geometry.wxyz_from_rotation(R)
    assert again[0] >= 0
    assert abs(again @ q) == pytest.approx(1.0, abs=1e-9)
    w, x, y, z = q
    assert R[0, 0] == pytest.approx(w * w + x * x - y * y - z * z, abs=1e-9)
    assert R[1, 0] == pytest.approx(2 * (x * y + w * z), abs=1e-9)
    assert R[0, 2] == pytest.approx(2 * (x * z + w * y), abs=1e-9)


# --- twists ----------------------------------------------------------------------------------------------------------


@given(vectors(3, 5.0))
def test_a_twist_without_rotation_is_a_translation(v: Array) -> None:
    expected = np.eye(4)
    expected[:3, 3] = v
    np.testing.assert_allclose(geometry.exp_twist([*v, 0, 0, 0]), expected, atol=1e-12)


@given(vectors(3, 3.0))
def test_a_twist_without_translation_is_a_rotation(w: Array) -> None:
    T = geometry.exp_twist([0, 0, 0, *w])
    np.testing.assert_allclose(T[:3, :3], Rotation.from_rotvec(w).as_matrix(), atol=1e-10)
    np.testing.assert_allclose(T[:, 3], [0, 0, 0, 1], atol=1e-15)


@given(vectors(6, 3.0), st.sampled_from([1.0, 1e-2, 4e-3, 1e-5, 0.0]))
def test_a_twist_is_the_exponential_of_its_generator(twist: Array, size: float) -> None:
    twist = twist * [1, 1, 1, size, size, size]
    generator = np.zeros((4, 4))
    generator[:3, :3] = np.cross(np.eye(3), twist[3:])
    generator[:3, 3] = twist[:3]
    np.testing.assert_allclose(geometry.exp_twist(twist), expm(generator), atol=1e-12)


@given(vectors(6, 3.0))
def test_two_half_twists_make_the_whole(twist: Array) -> None:
    half = geometry.exp_twist(twist / 2)
    np.testing.assert_allclose(half @ half, geometry.exp_twist(twist), atol=1e-10)
    np.testing.assert_allclose(geometry.exp_twist(-twist), geometry.invert(geometry.exp_twist(twist)), atol=1e-10)
    geometry.check_pose(geometry.exp_twist(twist))


@given(numbers(0.1, 3.0), numbers(-3.0, 3.0).filter(lambda turn: abs(turn) > 0.05))
def test_forward_and_turn_together_follow_an_arc(length: float, turn: float) -> None:
    # The camera's y axis points down, so a left turn (about +Y of the world) is a negative rotation about it.
    T = geometry.camera_pose([0, 0, 0], 0.0, 0.0) @ geometry.exp_twist([0, 0, length, 0, -turn, 0])
    position, yaw = geometry.agent_pose(T, 0.0)
    radius = length / turn
    np.testing.assert_allclose(position, [-radius * (1 - math.cos(turn)), 0, -radius * math.sin(turn)], atol=1e-9)
    assert yaw == pytest.approx(turn, abs=1e-9)


@pytest.mark.parametrize("twist", [[0.0] * 5, [0, 0, 0, 0, 0, math.nan], np.zeros((1, 6))])
def test_a_wrong_twist_is_named(twist: Any) -> None:
    with pytest.raises(ValueError, match="a twist is six finite numbers"):
        geometry.exp_twist(twist)


@given(yaws, numbers(-3.0, 3.0), numbers(-3.0, 3.0))
def test_arc_displacement_is_where_the_twist_leads(yaw: float, length: float, turn: float) -> None:
    T = geometry.camera_pose([0, 0, 0], yaw, 0.0) @ geometry.exp_twist([0, 0, length, 0, -turn, 0])
    np.testing.assert_allclose(geometry.arc_displacement(yaw, length, turn), T[:3, 3], atol=1e-9)


def test_sideways_metres_are_at_right_angles_to_the_mean_heading() -> None:
    way = geometry.arc_displacement(0.3, 0.5, 0.8, left=0.1) - geometry.arc_displacement(0.3, 0.5, 0.8)
    np.testing.assert_allclose(way, 0.1 * geometry.forward(0.3 + 0.4 + np.pi / 2), atol=1e-12)


def test_arc_displacement_is_the_sum_of_many_short_steps() -> None:
    steps = 2000
    way = sum(geometry.forward(0.7 + 1.9 * (i + 0.5) / steps) * 2.0 / steps for i in range(steps))
    np.testing.assert_allclose(geometry.arc_displacement(0.7, 2.0, 1.9), way, atol=1e-6)
