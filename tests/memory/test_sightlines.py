"""What cameras looked through is empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import LatentMemory, paths
from tests.memory.scenes import random_room_pose, room_depth

SIZE = (12, 16)
K = geometry.intrinsics(16, 12, 90.0)


def filled(poses: list[np.ndarray], imagined: float = 0.0) -> LatentMemory:
    memory = LatentMemory(1)
    for pose in poses:
        memory.write(np.zeros((1, *SIZE)), room_depth(pose, K, SIZE), K, pose, merge=False, imagined=imagined)
    return memory


def test_before_a_seen_wall_is_empty_space_and_behind_it_nothing_is_known() -> None:
    memory = LatentMemory(1)
    memory.write(np.zeros((1, *SIZE)), np.full(SIZE, 2.0), K, np.eye(4))  # a wall two metres ahead
    points = np.array(
        [[0, 0, 1.0], [0, 0, 1.85], [0, 0, 1.95], [0, 0, 2.5], [0, 0, -1.0], [1.9, 0, 1.0], [0.9, 0, 1.0]]
    )
    expected = [True, True, False, False, False, False, True]
    assert memory.looked_through(points).tolist() == expected
    assert memory.fork().looked_through(points).tolist() == expected


def test_what_was_imagined_proves_nothing() -> None:
    pose = random_room_pose(np.random.default_rng(0))
    near = geometry.transform(pose, np.array([[0.0, 0.0, 0.1]]))
    assert filled([pose]).looked_through(near).all()
    assert not filled([pose], imagined=0.5).looked_through(near).any()
    assert not LatentMemory(1).looked_through(near).any()


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("path", ["fastest", "torch"])
def test_agrees_with_a_loop_over_views(path: paths.ReadPath, seed: int) -> None:
    rng = np.random.default_rng(seed)
    poses = [random_room_pose(rng) for _ in range(3)]
    points = rng.uniform(-1.5, 1.5, (40, 3))
    with paths.reading_by(path):
        found = filled(poses).looked_through(torch.as_tensor(points), margin=0.2).numpy()
    for point, answer in zip(points, found, strict=True):
        clear, close = False, False
        for pose in poses:
            depth = room_depth(pose, K, SIZE)
            (x, y), z = geometry.project(geometry.transform(geometry.invert(pose), point), K)
            if z > 0 and 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
                ratio = depth[int(y), int(x)] / z
                clear |= ratio > 1.2
                close |= 0.7 < ratio < 1.9  # the plane of a cell and its centre may differ that much
        assert answer == clear or close
