"""Writing, merging and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import mirage_env
from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, read_many
from mirage_env.memory.rules import MemoryRules
from tests.memory.scenes import look, random_room_pose, room_depth, world_points

SIZE = (12, 16)
K = geometry.intrinsics(16, 12, 90.0)


def view(rng: np.random.Generator, pose: Array, channels: int = 4) -> tuple[Array, Array, Array, Array]:
    return rng.standard_normal((channels, *SIZE)).astype(np.float32), room_depth(pose, K, SIZE), K, pose


def test_tokens_lie_where_depth_puts_them_in_row_major_order() -> None:
    pose = look(0.4, 1.0, 1.5, -1.0, 0.1)
    depth = room_depth(pose, K, SIZE)
    depth[3, 4] = 0
    keep = np.ones(SIZE, dtype=bool)
    keep[5] = False
    memory = LatentMemory(channels=1)
    assert memory.write(np.zeros((1, *SIZE)), depth, K, pose, keep=keep) == 12 * 16 - 1 - 16 == len(memory)
    expected = world_points(depth, pose, K)[keep & (depth > 0)]
    np.testing.assert_allclose(memory.positions.numpy(), expected, atol=1e-5)


def test_an_empty_memory_and_an_empty_view_are_fine() -> None:
    memory = LatentMemory(channels=3)
    assert len(memory) == 0 and memory.nbytes == 0 and memory.positions.shape == (0, 3)
    assert memory.write(np.zeros((3, *SIZE)), np.zeros(SIZE), K, look()) == 0
    for footprint in (False, True):
        seen = memory.read(np.stack([look(), look(1.0)]), K, SIZE, footprint=footprint)
        assert seen.latents.shape == (2, 3, *SIZE) and not seen.visible.any()
    assert read_many([memory, memory], np.stack([look(), look()]), K, SIZE).depth.shape == (2, *SIZE)
    assert memory.read(np.zeros((0, 4, 4)), K, SIZE).latents.shape == (0, 3, *SIZE)


@pytest.mark.parametrize("footprint", [False, True])
def test_looking_away_sees_nothing(footprint: bool) -> None:
    memory = LatentMemory(channels=1)
    memory.write(np.ones((1, *SIZE)), np.full(SIZE, 2.0), K, look())
    assert not memory.read(look(np.pi), K, SIZE, footprint=footprint).visible.any()


def test_tensors_and_arrays_of_any_float_type_write_the_same() -> None:
    latents, depth, _, pose = view(np.random.default_rng(0), look(y=1.0))
    reads = []
    for convert in (np.asarray, torch.as_tensor, lambda a: np.asarray(a, dtype=np.float64)):
        memory = LatentMemory(channels=4)
        memory.write(convert(latents), convert(depth), convert(K), convert(pose))
        reads.append(memory.read(convert(look(0.1, y=1.1)), convert(K), SIZE).latents)
    assert torch.equal(reads[0], reads[1]) and torch.equal(reads[0], reads[2])


def test_half_precision_storage_reads_float32() -> None:
    latents, depth, _, pose = view(np.random.default_rng(0), look(y=1.0))
    full, half = LatentMemory(4), LatentMemory(4, dtype=torch.float16)
    full.write(latents, depth, K, pose)
    half.write(latents, depth, K, pose)
    assert half.nbytes < full.nbytes
    for footprint in (False, True):
        a, b = (m.read(pose, K, SIZE, footprint=footprint).latents for m in (full, half))
        assert b.dtype == torch.float32 and torch.allclose(a, b, atol=5e-3)


def test_each_pose_may_have_its_own_intrinsics() -> None:
    memory = LatentMemory(channels=4)
    memory.write(*view(np.random.default_rng(0), look(y=1.0)))
    both = np.stack([K, geometry.intrinsics(16, 12, 50.0)])
    poses = np.stack([look(y=1.0), look(y=1.0)])
    for footprint in (False, True):
        seen = memory.read(poses, both, SIZE, footprint=footprint)
        for t in range(2):
            alone = memory.read(poses[t], both[t], SIZE, footprint=footprint)
            assert torch.equal(seen.latents[t], alone.latents[0])


def test_writing_a_view_again_adds_nothing() -> None:
    rng = np.random.default_rng(0)
    memory = LatentMemory(channels=4)
    pose = look(0.3, y=1.25)
    assert memory.write(*view(rng, pose)) == 12 * 16
    for _ in range(50):
        assert memory.write(*view(rng, pose)) == 0
    assert memory.write(*view(rng, pose), merge=False) == 12 * 16


def test_walking_about_a_room_grows_by_its_surface_and_not_by_steps() -> None:
    rng = np.random.default_rng(0)
    memory = LatentMemory(channels=4)
    added = [memory.write(*view(rng, look(k * np.pi / 6, y=1.25))) for k in range(12)]
    before = len(memory)
    assert 0 < added[1] < 12 * 16
    again = [memory.write(*view(rng, look(k * np.pi / 6 + 0.2, y=1.25))) for k in range(60)]
    assert sum(again[:12]) < 0.2 * before and sum(again[20:]) == 0


def test_new_cells_bring_a_border_of_one_explained_cell() -> None:
    memory = LatentMemory(channels=1)
    wall, zeros = np.full(SIZE, 3.0), np.zeros((1, *SIZE))
    half = np.zeros(SIZE, dtype=bool)
    half[:, :8] = True
    assert memory.write(zeros, wall, K, look(), keep=half) == 12 * 8
    assert memory.write(zeros, wall, K, look()) == 12 * 9
    assert memory.write(zeros, wall, K, look()) == 0


def test_a_surface_at_another_depth_is_new_once() -> None:
    memory = LatentMemory(channels=1)
    zeros = np.zeros((1, *SIZE))
    memory.write(zeros, np.full(SIZE, 3.0), K, look())
    assert memory.write(zeros, np.full(SIZE, 3.1), K, look()) == 0
    assert memory.write(zeros, np.full(SIZE, 3.1), K, look(), tolerance=0.01) > 0
    assert memory.write(zeros, np.full(SIZE, 4.0), K, look()) == 12 * 16  # behind what the memory shows
    assert memory.write(zeros, np.full(SIZE, 4.0), K, look()) == 0


def test_known_explained_cells_are_taken_at_their_word() -> None:
    memory = LatentMemory(channels=1)
    zeros, wall = np.zeros((1, *SIZE)), np.full(SIZE, 3.0)
    memory.write(zeros, wall, K, look())
    assert memory.write(zeros, wall, K, look(), explained=np.ones(SIZE, dtype=bool)) == 0
    corner = np.ones(SIZE, dtype=bool)
    corner[0, 0] = False
    assert memory.write(zeros, wall, K, look(), explained=corner) == 1
    corner[:2, :2] = False
    assert memory.write(zeros, wall, K, look(), explained=corner) == 9  # broad regions get a border


def test_an_outline_that_moves_by_a_cell_is_nothing_new() -> None:
    K, size = geometry.intrinsics(16, 12, 90.0), (12, 16)
    memory = LatentMemory(channels=1)
    edge = [np.where(np.arange(16) < k, 2.0, 4.0)[None].repeat(12, axis=0) for k in (6, 7, 9)]
    assert memory.write(np.zeros((1, *size)), edge[0], K, look()) == 12 * 16
    assert memory.write(np.zeros((1, *size)), edge[1], K, look()) == 0
    assert memory.write(np.zeros((1, *size)), edge[2], K, look()) > 0


def test_coming_closer_adds_detail_only_when_asked() -> None:
    memory = LatentMemory(channels=1, rules=MemoryRules(refine=None))
    zeros, wall, near = np.zeros((1, *SIZE)), np.full(SIZE, 3.0), np.full(SIZE, 1.5)
    memory.write(zeros, wall, K, look())
    assert memory.write(zeros, near, K, look(z=-1.5)) == 0
    assert memory.write(zeros, near, K, look(z=-1.5), refine=5.0) == 0  # four times as many cells on the same surface
    assert memory.write(zeros, near, K, look(z=-1.5), refine=2.0) == 12 * 16
    assert memory.write(zeros, near, K, look(z=-1.5), refine=2.0) == 0


def test_what_was_imagined_is_told_apart_from_what_was_seen() -> None:
    memory = LatentMemory(channels=1)
    zeros, wall = np.zeros((1, *SIZE)), np.full(SIZE, 3.0)
    share = np.linspace(0, 1, 16, dtype=np.float32)[None].repeat(12, axis=0)
    memory.write(zeros, wall, K, look(), imagined=share)
    for footprint in (False, True):
        seen = memory.read(look(), K, SIZE, footprint=footprint)
        np.testing.assert_array_equal(seen.imagined[0].numpy(), share)
    assert not memory.read(look(np.pi), K, SIZE).imagined.any()


GOOD: dict[str, Any] = {
    "latents": np.zeros((4, *SIZE)),
    "depth": np.ones(SIZE),
    "intrinsics": K,
    "pose": look(),
}


def spoilt(name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
    array = np.array(GOOD[name])
    array[index] = value
    return {name: array}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (spoilt("latents", (0, 1, 1), np.nan), "latents holds NaN"),
        (spoilt("latents", (0, 1, 1), np.inf), "latents holds NaN or infinite"),
        (spoilt("depth", (1, 1), np.nan), "depth holds NaN"),
        (spoilt("depth", (1, 1), np.inf), "depth holds NaN or infinite"),
        (spoilt("depth", (1, 1), -1.0), "depth must be positive metres"),
        (spoilt("pose", (0, 3), np.nan), "pose holds NaN"),
        (spoilt("pose", (0, 0), 2.0), "pose is not a rigid motion"),
        (spoilt("intrinsics", (0, 0), -1.0), "positive fx and fy"),
        (spoilt("intrinsics", (0, 1), 0.5), "intrinsics must read"),
        (spoilt("intrinsics", (0, 2), np.nan), "intrinsics hold NaN"),
        ({"latents": np.zeros((3, *SIZE))}, r"C = 4 as this memory, got \(3, 12, 16\)"),
        ({"latents": np.zeros(SIZE)}, r"latents must have shape \(C, h, w\)"),
        ({"latents": "blue"}, "latents must be an array of numbers"),
        ({"latents": np.full((4, *SIZE), "a")}, "latents must be an array of numbers"),
        ({"depth": np.ones((16, 12))}, r"depth must have the latents' shape \(12, 16\)"),
        ({"latents": np.zeros((4, 1, 1024)), "depth": np.ones((1, 1024))}, "1x1 to 1023x1023"),
        ({"pose": np.eye(3)}, "4x4 matrix"),
        ({"pose": np.stack([look()] * 2)}, "write takes one view"),
        ({"intrinsics": np.eye(4)}, "3x3 pinhole matrix"),
        ({"keep": np.ones((2, 2), dtype=bool)}, "keep must be a bool grid"),
        ({"keep": np.ones(SIZE)}, "keep must be a bool grid"),
        ({"explained": np.ones(SIZE)}, "explained must be a bool grid"),
        ({"imagined": 1.5}, "imagined must be a number or a grid"),
        ({"imagined": np.nan}, "imagined must be a number or a grid"),
        ({"depth": np.full(SIZE, 1e39)}, "too far away"),
    ],
)
def test_bad_views_are_refused_and_leave_the_memory_as_it_was(bad: dict[str, Any], message: str) -> None:
    memory = LatentMemory(channels=4)
    memory.write(**GOOD)
    with pytest.raises(ValueError, match=message):
        memory.write(**{**GOOD, **bad}, merge=False)
    assert len(memory) == 12 * 16
    assert memory.write(**GOOD) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"poses": np.full((4, 4), np.nan)}, "poses holds NaN"),
        ({"poses": np.diag([1.0, 1.0, -1.0, 1.0])}, "not a rigid motion"),
        ({"poses": np.zeros((1, 1, 4, 4)) + look()}, r"poses must have shape \(4, 4\) or \(T, 4, 4\)"),
        ({"intrinsics": np.stack([K] * 3)}, r"shape \(3, 3\) or \(1, 3, 3\)"),
        ({"size": (0, 4)}, "whole sides from 1 to 1023"),
        ({"size": (4, 2000)}, "whole sides from 1 to 1023"),
        ({"size": (4.5, 4)}, "whole sides"),
        ({"size": 4}, "two whole numbers"),
        ({"size": (4, 4, 4)}, "two whole numbers"),
    ],
)
def test_bad_reads_are_refused(arguments: dict[str, Any], message: str) -> None:
    memory = LatentMemory(channels=4)
    memory.write(**GOOD)
    with pytest.raises(ValueError, match=message):
        memory.read(**{"poses": look(), "intrinsics": K, "size": SIZE, **arguments})


def test_bad_memories_are_refused() -> None:
    for channels in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="channels must be a whole number"):
            LatentMemory(channels=channels)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dtype must be a floating torch type"):
        LatentMemory(dtype=torch.int32)
    with pytest.raises(ValueError, match="one pose per memory, got 2 memories and 1 poses"):
        read_many([LatentMemory(4), LatentMemory(4)], look(), K, SIZE)
    with pytest.raises(ValueError, match="equal channels"):
        read_many([LatentMemory(4), LatentMemory(5)], np.stack([look()] * 2), K, SIZE)


def test_the_class_is_public() -> None:
    assert mirage_env.LatentMemory is LatentMemory
    assert "tokens=0" in repr(LatentMemory(2))


def test_random_walks_are_the_same_bits_again() -> None:
    reads = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        memory = LatentMemory(channels=4)
        for _ in range(12):
            memory.write(*view(rng, random_room_pose(rng)))
        reads.append(memory.read(random_room_pose(rng), K, SIZE))
    assert torch.equal(reads[0].latents, reads[1].latents) and torch.equal(reads[0].token, reads[1].token)
