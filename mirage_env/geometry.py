"""The conventions of the whole project, and the small functions that follow from them.

Units are metres, radians and seconds. Names that end in ``_deg``, and ``hfov`` at user-facing arguments, are degrees.

Frames
    world    right-handed, +Y up (as glTF and Habitat). An agent with yaw 0 looks along -Z; positive yaw turns left.
    camera   OpenCV: x right, y down, z forward.
    opengl   Habitat's camera: x right, y up, looks along -z.

``T_a_b`` is the 4x4 matrix that takes points in frame b to frame a, so that neighbouring names cancel:
``T_world_camera @ T_camera_point``. A pose, where nothing else is said, is ``T_world_camera``.

Pixels: the centre of pixel (row r, column c) lies at (x, y) = (c + 0.5, r + 0.5). Because of these half-pixel centres a
latent grid of stride s has exactly the intrinsics ``diag(1/s, 1/s, 1) @ K``.

Depth is z-depth in metres; 0 means "no measurement".

``project`` and ``unproject`` use only operators that NumPy arrays and torch tensors share; they return what they get.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

T_OPENGL_OPENCV: Array = np.diag([1.0, -1.0, -1.0, 1.0])
"""Takes points in an OpenCV camera to the OpenGL camera at the same place. It is its own inverse."""


def intrinsics(width: int, height: int, hfov: float) -> Array:
    """Pinhole matrix K (3, 3) float64 of a camera with square pixels and a centred principal point.

    Args:
        width, height: image size in pixels, at least 1.
        hfov: horizontal field of view in degrees, inside (0, 180).
    """
    check_hfov(hfov)
    if width < 1 or height < 1:
        raise ValueError(f"an image needs at least 1x1 pixels, got width {width} and height {height}")
    focal = width / 2 / math.tan(math.radians(hfov) / 2)
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def check_hfov(hfov: float) -> None:
    """Raise unless ``hfov`` is a usable field of view in degrees."""
    if not (isinstance(hfov, (int, float, np.number)) and 0.0 < float(hfov) < 180.0):
        raise ValueError(f"hfov must lie inside (0, 180) degrees, got {hfov!r}")


def scale_intrinsics(K: Array, scale_x: float, scale_y: float | None = None) -> Array:
    """Intrinsics of the same camera with its image scaled; a latent grid of stride s has scale 1/s."""
    return np.diag([scale_x, scale_x if scale_y is None else scale_y, 1.0]) @ K


def project(points: Any, K: Any) -> tuple[Any, Any]:
    """Camera points (..., 3) to pixel coordinates (..., 2) as (x, y), and z-depth (...)."""
    z = points[..., 2]
    x = K[..., 0, 0] * points[..., 0] / z + K[..., 0, 2]
    y = K[..., 1, 1] * points[..., 1] / z + K[..., 1, 2]
    if isinstance(points, np.ndarray):
        return np.stack([x, y], axis=-1), z
    import torch

    return torch.stack([x, y], dim=-1), z


def unproject(pixels: Any, depth: Any, K: Any) -> Any:
    """Pixel coordinates (..., 2) as (x, y) and z-depth (...) to camera points (..., 3); the inverse of ``project``."""
    x = (pixels[..., 0] - K[..., 0, 2]) / K[..., 0, 0] * depth
    y = (pixels[..., 1] - K[..., 1, 2]) / K[..., 1, 1] * depth
    if isinstance(pixels, np.ndarray):
        return np.stack(np.broadcast_arrays(x, y, depth), axis=-1)
    import torch

    depth = torch.as_tensor(depth, dtype=x.dtype, device=x.device)
    return torch.stack(torch.broadcast_tensors(x, y, depth), dim=-1)


def pixel_grid(height: int, width: int) -> Array:
    """Centres (height, width, 2) of all pixels as (x, y), float64."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y], axis=-1)


def transform(T_a_b: Any, points: Any) -> Any:
    """Points (..., 3) in frame b to frame a."""
    return points @ T_a_b[:3, :3].T + T_a_b[:3, 3]


def invert(T_a_b: Array) -> Array:
    """``T_b_a`` of one rigid transform (4, 4) or a stack of them (..., 4, 4), without a general matrix inverse."""
    R = np.swapaxes(T_a_b[..., :3, :3], -1, -2)
    T_b_a = np.zeros_like(T_a_b)
    T_b_a[..., :3, :3] = R
    T_b_a[..., :3, 3] = -(R @ T_a_b[..., :3, 3:])[..., 0]
    T_b_a[..., 3, 3] = 1.0
    return T_b_a


def check_pose(pose: Any, name: str = "pose") -> Array:
    """The pose(s) as float64 (..., 4, 4), or one sentence on what is wrong: shape, NaN, or not a rigid motion."""
    try:
        T = np.asarray(pose, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a 4x4 matrix T_world_camera of numbers, got {type(pose).__name__}") from error
    if T.shape[-2:] != (4, 4):
        raise ValueError(f"{name} must be a 4x4 matrix T_world_camera, got shape {T.shape}")
    if not np.isfinite(T).all():
        raise ValueError(f"{name} holds NaN or infinite numbers; a pose must be finite")
    R = T[..., :3, :3]
    orthonormal = np.allclose(R @ np.swapaxes(R, -1, -2), np.eye(3), atol=1e-3)
    if not (orthonormal and (np.linalg.det(R) > 0).all() and np.allclose(T[..., 3, :], [0, 0, 0, 1], atol=1e-6)):
        raise ValueError(f"{name} is not a rigid motion: it needs a rotation (R R^T = 1, det 1) and a last row 0 0 0 1")
    return T


def rotation_y(yaw: float) -> Array:
    """Rotation (3, 3) by ``yaw`` radians about +Y; positive turns left."""
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def forward(yaw: float) -> Array:
    """Unit vector (3,) that an agent with this yaw faces: -Z turned left by yaw."""
    return np.array([-math.sin(yaw), 0.0, -math.cos(yaw)])


def arc_displacement(yaw: float, forward_length: float, turn: float, left: float = 0.0) -> Array:
    """Displacement (3,) of an agent that drives an arc of ``forward_length`` metres, turning left by ``turn`` radians.

    It is the arc's chord: along the mean heading yaw + turn / 2, and shorter than the arc by sin(turn/2) / (turn/2).
    ``left`` metres at right angles to that heading are added.
    """
    chord = forward_length * float(np.sinc(turn / 2 / math.pi)) if turn else forward_length
    heading = yaw + turn / 2
    way = chord * forward(heading)
    return way + left * forward(heading + math.pi / 2) if left else way


def camera_pose(position: Any, yaw: float, camera_height: float) -> Array:
    """``T_world_camera`` (4, 4) float64 of the level camera of an agent whose feet stand at ``position`` (3,)."""
    x, y, z = map(float, position)
    c, s = math.cos(yaw), math.sin(yaw)
    # rotation_y(yaw) @ T_OPENGL_OPENCV, down to the signs of its zeros.
    rows = [[c, 0.0, 0.0 - s, x + 0.0], [0.0, -1.0, 0.0, y + camera_height], [0.0 - s, 0.0, 0.0 - c, z + 0.0]]
    return np.array([*rows, [0.0, 0.0, 0.0, 1.0]])


def agent_pose(T_world_camera: Any, camera_height: float) -> tuple[Array, float]:
    """Feet position (3,) and yaw of the agent that carries this camera; pitch and roll are dropped."""
    T = np.asarray(T_world_camera, dtype=np.float64)
    return T[:3, 3] - [0.0, camera_height, 0.0], math.atan2(-T[0, 2], -T[2, 2])


def opengl_from_opencv(T_world_camera: Array) -> Array:
    """Camera-to-world of Habitat's OpenGL camera at the same place (and back: the change is its own inverse)."""
    return T_world_camera @ T_OPENGL_OPENCV


opencv_from_opengl = opengl_from_opencv


def wxyz_from_xyzw(q: Any) -> Array:
    """Quaternion(s) (..., 4) with the scalar last to scalar first."""
    return np.roll(np.asarray(q), 1, axis=-1)


def xyzw_from_wxyz(q: Any) -> Array:
    """Quaternion(s) (..., 4) with the scalar first to scalar last (scipy's order)."""
    return np.roll(np.asarray(q), -1, axis=-1)


def rotation_from_wxyz(q: Any) -> Array:
    """Rotation(s) (..., 3, 3) of quaternion(s) (..., 4), scalar first, any non-zero norm."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(xyzw_from_wxyz(q)).as_matrix()


def wxyz_from_rotation(R: Any) -> Array:
    """Unit quaternion(s) (..., 4), scalar first and not negative, of rotation(s) (..., 3, 3)."""
    from scipy.spatial.transform import Rotation

    return wxyz_from_xyzw(Rotation.from_matrix(R).as_quat(canonical=True))


def exp_twist(twist: Any) -> Array:
    """Rigid motion (4, 4) of a body-frame twist (6,): metres (x, y, z), then a rotation vector in radians.

    The exponential map of SE(3), in Rodrigues' closed form: ``T_world_new = T_world_old @ exp_twist(twist)``.
    """
    v = np.asarray(twist, dtype=np.float64)
    if v.shape != (6,) or not np.isfinite(v).all():
        raise ValueError(f"a twist is six finite numbers (metres x, y, z; rotation vector in radians), got {twist!r}")
    wx, wy, wz = v[3:].tolist()
    W = np.array([[0.0, -wz, wy], [wz, 0.0, -wx], [-wy, wx, 0.0]])
    WW = W @ W
    angle = math.hypot(wx, wy, wz)
    sine = float(np.sinc(angle / math.pi))  # sin(angle) / angle
    cosine = float(np.sinc(angle / math.tau)) ** 2 / 2  # (1 - cos(angle)) / angle²
    rest = (1.0 - sine) / angle**2 if angle > 0.01 else 1 / 6 - angle**2 / 120 + angle**4 / 5040
    T = np.eye(4)
    T[:3, :3] += sine * W + cosine * WW
    T[:3, 3] = v[:3] + (cosine * W + rest * WW) @ v[:3]
    return T
