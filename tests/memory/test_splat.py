"""The plain read, exactly: one cell per token, the nearest z, ties to the newest."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import LatentMemory, read_many
from mirage_env.memory.reference import ReferenceMemory
from tests.memory.scenes import look, random_room_pose, room_depth

K = geometry.intrinsics(6, 5, 80.0)


def one_token(memory: LatentMemory, value: float, depth: float, pose: np.ndarray | None = None) -> None:
    """A token ``depth`` metres straight ahead, in a grid of one cell."""
    unit = geometry.intrinsics(1, 1, 90.0)
    latents = np.full((memory.channels, 1, 1), value)
    memory.write(latents, np.full((1, 1), depth), unit, look() if pose is None else pose, merge=False)


@given(seed=st.integers(0, 10_000), views=st.integers(1, 4), repeat=st.booleans())
def test_agrees_with_the_loop_over_tokens(seed: int, views: int, repeat: bool) -> None:
    rng = np.random.default_rng(seed)
    size, channels = (5, 6), 3
    memory, reference = LatentMemory(channels), ReferenceMemory(channels)
    for _ in range(views):
        pose, depth = random_room_pose(rng), rng.uniform(0.3, 4, size) * (rng.random(size) > 0.2)
        keep = rng.random(size) > 0.2
        for _ in range(2 if repeat else 1):  # twice the same positions: ties
            latents = rng.standard_normal((channels, *size)).astype(np.float32)
            added = memory.write(latents, depth, K, pose, keep=keep, merge=False)
            assert added == reference.write(latents, depth, K, pose, keep=keep, merge=False)
    poses = np.stack([random_room_pose(rng) for _ in range(2)] + [pose])
    view = memory.read(poses, K, (7, 8), footprint=False)
    for t in range(3):
        latents, depth, visible = reference.read(poses[t], K, (7, 8), footprint=False)
        np.testing.assert_array_equal(view.visible[t].numpy(), visible)
        np.testing.assert_array_equal(view.depth[t].numpy(), depth.astype(np.float32))
        np.testing.assert_array_equal(view.latents[t].numpy(), latents.astype(np.float32))


def test_the_nearest_token_wins_whichever_was_written_first() -> None:
    for order in ((1.0, 2.0), (2.0, 1.0)):
        memory = LatentMemory(2)
        for depth in order:
            one_token(memory, 10 * depth, depth)
        view = memory.read(look(), geometry.intrinsics(3, 3, 60.0), (3, 3), footprint=False)
        assert view.visible.sum() == 1 and view.depth[0, 1, 1] == 1.0
        assert view.latents[0, :, 1, 1].tolist() == [10.0, 10.0]


def test_equal_depth_goes_to_the_newest_token() -> None:
    memory = LatentMemory(1)
    for value in (1.0, 2.0, 3.0):
        one_token(memory, value, 1.5)
    view = memory.read(look(), geometry.intrinsics(1, 1, 60.0), (1, 1), footprint=False)
    assert view.latents.item() == 3.0 and view.token.item() == 2


def test_tokens_behind_the_camera_or_outside_the_grid_are_not_seen() -> None:
    memory = LatentMemory(1)
    one_token(memory, 1.0, 2.0)
    narrow = geometry.intrinsics(4, 4, 40.0)
    assert memory.read(look(), narrow, (4, 4), footprint=False).visible.any()
    for pose in (look(np.pi), look(z=-2.5), look(0.5), look(-0.5), look(pitch=0.5), look(pitch=-0.5), look(z=-2.0)):
        view = memory.read(pose, narrow, (4, 4), footprint=False)
        assert not view.visible.any() and not view.latents.any() and not view.depth.any()
        assert (view.token == -1).all()


def test_a_cell_contains_its_upper_and_left_border() -> None:
    memory = LatentMemory(1)
    one_token(memory, 1.0, 2.0)  # projects to the very centre of a 2x2 grid: the corner of all its cells
    view = memory.read(look(), geometry.intrinsics(2, 2, 90.0), (2, 2), footprint=False)
    assert view.visible[0].tolist() == [[False, False], [False, True]]


def test_batches_and_many_memories_give_the_bits_of_single_reads() -> None:
    rng = np.random.default_rng(1)
    K = geometry.intrinsics(12, 10, 80.0)
    memories = []
    for _ in range(3):
        memory = LatentMemory(4)
        for _ in range(int(rng.integers(1, 6))):
            pose = random_room_pose(rng)
            memory.write(rng.standard_normal((4, 10, 12)), room_depth(pose, K, (10, 12)), K, pose)
            memory = memory.fork() if rng.random() < 0.5 else memory
        memories.append(memory)
    memories.append(LatentMemory(4))
    poses = np.stack([random_room_pose(rng) for _ in memories])
    for footprint in (False, True):
        many = read_many(memories, poses, K, (10, 12), footprint=footprint)
        batch = memories[0].read(poses, K, (10, 12), footprint=footprint)
        for i, memory in enumerate(memories):
            single = memory.read(poses[i], K, (10, 12), footprint=footprint)
            first = memories[0].read(poses[i], K, (10, 12), footprint=footprint)
            for name in ("latents", "depth", "visible", "token", "imagined"):
                assert torch.equal(getattr(many, name)[i], getattr(single, name)[0])
                assert torch.equal(getattr(batch, name)[i], getattr(first, name)[0])
