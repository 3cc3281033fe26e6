"""Flying cells: between two surfaces, on neither."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import LatentMemory
from mirage_env.memory.reference_rules import flies
from mirage_env.memory.writable import flying_cells
from tests.memory.scenes import look, plane_depth, random_room_pose, room_depth

SIZE = (10, 12)
K = geometry.intrinsics(12, 10, 90.0)


def flying(depth: np.ndarray) -> np.ndarray:
    return flying_cells(torch.as_tensor(depth)).numpy()


def test_a_cell_half_way_between_two_surfaces_flies() -> None:
    depth = np.full(SIZE, 2.0)
    depth[:, 6], depth[:, 7:] = 2.8, 4.0
    expected = np.zeros(SIZE, dtype=bool)
    expected[:, 6] = True
    np.testing.assert_array_equal(flying(depth), expected)
    np.testing.assert_array_equal(flying(depth.T.copy()), expected.T)
    np.testing.assert_array_equal(flying(depth[:, ::-1].copy()), expected[:, ::-1])


def test_silhouettes_thin_things_and_wide_steps_do_not_fly() -> None:
    depth = np.full(SIZE, 4.0)
    depth[:, 3], depth[:, 8:10], depth[:, 10:] = 2.0, 2.8, 2.0  # a pole, and a step of two cells between two walls
    assert not flying(depth).any()


def test_slanted_planes_and_rooms_do_not_fly() -> None:
    floor = plane_depth(np.array([0.0, 1.0, 0.0]), -1.25, look(), K, SIZE)
    grazing = plane_depth(np.array([1.0, 0.0, 0.12]), 1.0, look(), K, SIZE)
    assert (grazing > 0).sum() > 40 and not flying(grazing).any()
    assert not flying(np.where((floor > 0) & (floor < 30), floor, 0.0)).any()
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert not flying(room_depth(random_room_pose(rng), K, SIZE)).any()


def test_beside_what_was_not_measured_nothing_is_said() -> None:
    depth = np.full(SIZE, 2.0)
    depth[:, 6], depth[:, 7:] = 2.8, 4.0
    for hole in (4, 5, 7, 8):
        holed = depth.copy()
        holed[3, hole] = 0
        assert not flying(holed)[3, 6] and flying(holed)[4, 6]


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_agrees_with_the_loop_over_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.uniform(0, 1.5, SIZE)) * (rng.random(SIZE) > 0.1)
    expected = np.array([[depth[r, c] > 0 and flies(depth, r, c) for c in range(SIZE[1])] for r in range(SIZE[0])])
    np.testing.assert_array_equal(flying(depth), expected)
    assert expected.any()


def test_flying_cells_are_not_written_unless_asked_for() -> None:
    depth = np.full(SIZE, 2.0)
    depth[:, 6], depth[:, 7:] = 2.8, 4.0
    zeros = np.zeros((1, *SIZE))
    assert LatentMemory(1).write(zeros, depth, K, look()) == 110
    assert LatentMemory(1).write(zeros, depth, K, look(), edges=False) == 120
    assert LatentMemory(1).write(zeros, depth, K, look(), merge=False) == 120
