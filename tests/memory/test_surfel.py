"""What a write derives from its depth grid: slopes and silhouettes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import LatentMemory
from mirage_env.memory.surfel import MAX_TILT, inverse_depth_slopes, silhouette
from tests.memory.scenes import look, plane_depth, room_depth

SIZE = (10, 12)
K = geometry.intrinsics(12, 10, 90.0)


def slopes_of(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inverse, slopes = inverse_depth_slopes(torch.as_tensor(depth, dtype=torch.float64))
    return inverse.numpy(), slopes.numpy(), silhouette(inverse, slopes).numpy()


@given(seed=st.integers(0, 1000))
def test_slopes_of_a_plane_are_exact_up_to_the_border_and_beside_gaps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    normal = np.array([*rng.uniform(-0.4, 0.4, 2), 1.0])
    depth = plane_depth(normal, -2.0, look(), K, SIZE)
    depth[4, 5] = 0
    inverse, slopes, trim = slopes_of(depth)
    known = depth > 0
    full = 1 / plane_depth(normal, -2.0, look(), K, SIZE)
    np.testing.assert_allclose(slopes[0][known], (full[:, 1] - full[:, 0])[0], atol=1e-12)
    np.testing.assert_allclose(slopes[1][known], (full[1] - full[0])[0], atol=1e-12)
    assert not trim.any() and inverse[4, 5] == 0


def test_cells_beside_an_edge_keep_the_slope_of_their_own_surface() -> None:
    near, far = (plane_depth(np.array([0.3, 0.0, 1.0]), offset, look(), K, SIZE) for offset in (-1.5, -4.0))
    depth = np.where(np.arange(12) < 6, near, far)
    _, slopes, trim = slopes_of(depth)
    np.testing.assert_allclose(slopes[0][:, :6], (1 / near[0, 1] - 1 / near[0, 0]), atol=1e-12)
    np.testing.assert_allclose(slopes[0][:, 6:], (1 / far[0, 1] - 1 / far[0, 0]), atol=1e-12)
    assert (trim[:, 5] == 2).all() and not np.delete(trim, 5, axis=1).any()


def test_cells_beside_a_crease_keep_the_slope_of_their_own_wall() -> None:
    pose = look(np.pi / 4 + 0.13, 0.4, 1.3, -0.2)
    _, slopes, trim = slopes_of(room_depth(pose, K, SIZE))
    assert not trim.any()
    middle = slopes[0][5]
    assert len(np.unique(middle.round(9))) == 2  # two walls, two slopes, nothing in between


def test_a_lone_column_in_front_of_a_wall_faces_the_camera() -> None:
    depth = np.full(SIZE, 4.0)
    depth[:, 6] = 1.0
    _, slopes, trim = slopes_of(depth)
    assert not slopes.any()
    assert (trim[:, 6] == 3).all() and not np.delete(trim, 6, axis=1).any()


@given(seed=st.integers(0, 1000))
def test_tilt_is_bounded_on_any_depth(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inverse, slopes, _ = slopes_of(np.exp(rng.uniform(-4, 4, SIZE)) * (rng.random(SIZE) > 0.2))
    assert np.isfinite(slopes).all()
    assert (0.5 * np.abs(slopes).sum(0) <= MAX_TILT * inverse * (1 + 1e-9)).all()


def test_a_silhouette_does_not_grow_with_the_number_of_views() -> None:
    K, size = geometry.intrinsics(24, 24, 90.0), (24, 24)
    memory = LatentMemory(1)

    def card(pose: np.ndarray) -> np.ndarray:
        """A square of 1.8 m, 2 m in front of the origin, before a wall at 4 m."""
        z = plane_depth(np.array([0.0, 0.0, 1.0]), -2.0, pose, K, size)
        points = geometry.transform(pose, geometry.unproject(geometry.pixel_grid(*size), z, K))
        wall = plane_depth(np.array([0.0, 0.0, 1.0]), -4.0, pose, K, size)
        return np.where((np.abs(points[..., :2]) < 0.9).all(-1), z, wall)

    for k in range(15):
        pose = look(x=k / 15 - 0.5, y=0.7 * k / 15 - 0.3)
        memory.write(np.zeros((1, *size)), card(pose), K, pose, merge=False)
    closer = look(z=-0.5)
    view = memory.read(closer, K, size)
    seen, true = (view.visible & (view.depth < 2))[0].numpy(), card(closer) < 2
    assert true.sum() > 150 and seen[true].mean() > 0.95
    assert (seen & ~true).sum() < 0.2 * true.sum()  # it is 0.31 when no footprint is trimmed
