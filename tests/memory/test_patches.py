"""The memory's geometry: each token as the piece of surface that it saw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import LatentMemory, paths
from mirage_env.memory.store import without

K = geometry.intrinsics(12, 10, 80.0)


def plane_depth(normal: np.ndarray, offset: float) -> np.ndarray:
    """z-depth of the plane normal · p = offset (camera frame) at the cell centres."""
    rays = geometry.unproject(geometry.pixel_grid(10, 12), np.ones((10, 12)), K)
    return offset / (rays @ normal)


def pose() -> np.ndarray:
    T = geometry.camera_pose((1.0, 0.0, -2.0), 0.6, 1.3)
    return T @ geometry.exp_twist([0, 0, 0, 0.2, 0.1, -0.1])


def written(depth: np.ndarray) -> LatentMemory:
    memory = LatentMemory(channels=2)
    memory.write(torch.zeros(2, *depth.shape), depth, K, pose(), edges=False)
    return memory


def test_surfels_lie_in_the_plane_that_was_seen_and_span_one_cell_of_it() -> None:
    normal, T = np.array([0.2, -0.3, 1.0]), pose()
    memory = written(plane_depth(normal, 2.5))
    surfels = memory.surfels()
    torch.testing.assert_close(surfels.positions, memory.positions)
    np.testing.assert_allclose(surfels.viewpoints, np.tile(T[:3, 3], (120, 1)), atol=1e-6)
    inverse = geometry.invert(T)
    u, v = surfels.tangents_u.numpy() @ inverse[:3, :3].T, surfels.tangents_v.numpy() @ inverse[:3, :3].T
    np.testing.assert_allclose(u @ normal, 0, atol=2e-5)
    np.testing.assert_allclose(v @ normal, 0, atol=2e-5)
    # A small step along a tangent is a step of as many cells in the image.
    points = surfels.positions.numpy() @ inverse[:3, :3].T + inverse[:3, 3]
    before, _ = geometry.project(points, K)
    for tangent, direction in ((u, [1, 0]), (v, [0, 1])):
        after, _ = geometry.project(points + 0.01 * tangent, K)
        np.testing.assert_allclose((after - before) / 0.01, np.tile(direction, (120, 1)), atol=0.03)
    assert not surfels.bridges.any()
    np.testing.assert_array_equal(surfels.extents, 0.5)


def test_only_what_lies_between_the_surfaces_of_an_edge_bridges_them() -> None:
    depth = np.full((10, 12), 2.0)
    depth[:, 6] = 2.8
    depth[:, 7:] = 4.0
    bridges = written(depth).surfels().bridges.view(10, 12)
    assert bridges[:, 6].all()
    assert not bridges[:, :6].any() and not bridges[:, 7:].any()


def test_a_thin_thing_in_front_of_a_wall_and_a_sharp_edge_bridge_nothing() -> None:
    depth = np.full((10, 12), 4.0)
    depth[:, 3] = 2.0
    depth[:, 8:] = 1.5
    assert not written(depth).surfels().bridges.any()


def test_patches_stop_early_beside_a_farther_surface() -> None:
    depth = np.full((10, 12), 4.0)
    depth[:, :6] = 2.0
    extents = written(depth).surfels().extents.view(10, 12, 4)
    assert (extents[:, 5, 1] < 0.5).all() and (extents[:, 5, 0] == 0.5).all() and (extents[:, 6] == 0.5).all()


def test_neighbours_continue_a_patch_where_they_lie_in_its_plane() -> None:
    depth = plane_depth(np.array([0.2, -0.3, 1.0]), 2.5)
    depth[:, 6:] *= 2.0
    continued = written(depth).surfels().continued.view(10, 12, 4)
    expected = torch.ones(10, 12, 4, dtype=torch.bool)
    expected[:, [0, 6], 0] = expected[:, [5, 11], 1] = False
    expected[0, :, 2] = expected[9, :, 3] = False
    assert torch.equal(continued, expected)


@pytest.mark.parametrize("start", [0, 1, 60, 119, 120])
def test_the_surfels_from_a_token_on_are_the_last_of_all_of_them(start: int) -> None:
    depth = plane_depth(np.array([0.1, 0.2, 1.0]), 2.0)
    depth[3:6, 4:8] *= 0.6
    memory = written(depth)
    for everything, some in zip(memory.surfels(), memory.surfels(start), strict=True):
        torch.testing.assert_close(everything[start:], some)


def test_order_and_content_do_not_depend_on_how_the_memory_is_stored() -> None:
    whole, forked = LatentMemory(channels=2), LatentMemory(channels=2)
    rng = np.random.default_rng(0)
    for _ in range(6):
        depth = rng.uniform(1, 3, (10, 12))
        for k, memory in enumerate((whole, forked)):
            memory.write(torch.zeros(2, 10, 12), depth, K, pose(), merge=False)
            if k:  # a write to a fork makes the next one open a segment of its own
                memory.fork().write(torch.zeros(2, 10, 12), np.ones((10, 12)), K, pose(), merge=False)
    for a, b in zip(whole.surfels(200), forked.surfels(200), strict=True):
        torch.testing.assert_close(a, b)


def test_an_empty_memory_has_no_surfels() -> None:
    assert all(len(column) == 0 for column in LatentMemory(channels=3).surfels())


@settings(max_examples=20)
@given(seed=st.integers(0, 100_000))
def test_compiled_surfels_have_the_bits_of_torchs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    memory = LatentMemory(channels=1)
    for _ in range(4):
        depth = rng.uniform(1, 3) * np.exp(0.2 * rng.standard_normal((10, 12)).round(0))
        keep, imagined = rng.random(depth.shape) < 0.9, rng.random(depth.shape)
        memory.write(torch.zeros(1, 10, 12), depth, K, pose(), keep, merge=False, imagined=imagined)
        masks = [torch.as_tensor(rng.random(part.tokens) < 0.1) for part in memory._parts]
        memory._parts = without(memory._parts, masks)
        memory = memory.fork() if rng.random() < 0.5 else memory
    start = int(rng.integers(len(memory)))
    found = memory.surfels(start)
    with paths.reading_by("torch"):
        expected = memory.surfels(start)
    for name, column in expected._asdict().items():
        other = getattr(found, name)
        assert column.dtype == other.dtype and column.numpy().tobytes() == other.contiguous().numpy().tobytes(), name
