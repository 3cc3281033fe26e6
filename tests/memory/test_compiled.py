"""The compiled reads give what torch gives, bit for bit, and stand back where they cannot run."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mirage_env import geometry, kernels, team
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, paths, raster, read_many, store
from mirage_env.memory import cameras as cams
from mirage_env.memory.compiled import draw, read
from mirage_env.memory.revision import jobs_of
from mirage_env.memory.rules import MemoryRules
from tests.memory.scenes import look, plane_depth, random_room_pose, room_depth

SIZE = (12, 16)
K = geometry.intrinsics(16, 12, 90.0)


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Zeros of different sign are different."""
    bits = [x.detach().contiguous().numpy().tobytes() for x in (a, b)]
    return a.shape == b.shape and a.dtype == b.dtype and bits[0] == bits[1]


def check(memories: Sequence[LatentMemory], poses: Array, lens: Array = K, size: tuple[int, int] = SIZE) -> int:
    """Both paths agree on all that they say about these memories and cameras; the number of visible cells."""
    seen = 0
    for memory in memories:
        views = {}
        for path in ("fastest", "torch"):
            with paths.reading_by(path):
                views[path] = memory.read(poses, lens, size)
        for name, value in vars(views["torch"]).items():
            assert same_bits(getattr(views["fastest"], name), value), name
        seen += int(views["torch"].visible.sum())
        points = np.random.default_rng(0).uniform(-3, 3, (300, 3))
        known = memory.looked_through(points)
        with paths.reading_by("torch"):
            assert torch.equal(known, memory.looked_through(points))
        for pose in poses if memory._parts else ():
            jobs, camera = jobs_of(memory._parts, 0, 1), cams.targets(pose, lens, size)
            for name, value in raster.rasterize(jobs, camera)._asdict().items():
                assert same_bits(getattr(read.rasterize(jobs, camera), name), value), name
    return seen


def remove(memory: LatentMemory, rng: np.random.Generator, share: float) -> None:
    """Let go of a random share of the tokens, as a write does."""
    masks = [torch.as_tensor(rng.random(part.tokens) < share) for part in memory._parts]
    memory._parts = store.without(memory._parts, masks)


def a_life(rng: np.random.Generator, dtype: torch.dtype) -> list[LatentMemory]:
    """A memory that grew and forgot, and forks of it that went on by themselves."""
    memories = [LatentMemory(3, dtype, rules=MemoryRules(sight_lines=bool(rng.random() < 0.8)))]
    for step in range(8):
        memory = memories[int(rng.integers(len(memories)))]
        pose = random_room_pose(rng)
        kind = rng.integers(3)
        depth = room_depth(pose, K, SIZE)
        if kind == 1:  # edges, and with them trimmed tokens
            depth = np.where(rng.random(SIZE) < 0.3, 0.5 * depth, depth)
        elif kind == 2:  # something imagined that stands in the way
            depth = depth * rng.uniform(0.3, 0.8)
        imagined = np.where(rng.random(SIZE) < 0.5, 0.0, rng.random(SIZE)) if kind else float(step == 3)
        merge = None if rng.random() < 0.5 else False
        memory.write(rng.standard_normal((3, *SIZE)), depth, K, pose, merge=merge, imagined=imagined)
        if rng.random() < 0.4:
            remove(memory, rng, 0.1)
        if rng.random() < 0.4:
            memories.append(memory.fork())
    return memories


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
def test_same_bits_as_torch_whatever_happened_to_a_memory(seed: int, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(seed)
    memories = a_life(rng, dtype)
    assert check(memories, np.stack([random_room_pose(rng) for _ in range(3)])) > 0
    poses = np.stack([random_room_pose(rng) for _ in memories])
    together = read_many(memories, poses, K, SIZE)
    with paths.reading_by("torch"):
        expected = read_many(memories, poses, K, SIZE)
    for name, value in vars(expected).items():
        assert same_bits(getattr(together, name), value), name


def test_the_memories_of_that_test_have_what_is_hard() -> None:
    """Dead tokens, several parts, shared segments, guesses in the way of what was seen, trimmed tokens."""
    found = set()
    for seed in range(6):
        memories = a_life(np.random.default_rng(seed), torch.float32)
        parts = [part for memory in memories for part in memory._parts]
        found |= {"dead"} if any(part.living for part in parts) else set()
        found |= {"parts"} if any(len(memory._parts) > 1 for memory in memories) else set()
        found |= {"shared"} if len({id(part.segment) for part in parts}) < len(parts) else set()
        found |= {"trimmed"} if any(bool(part.columns.trim.any()) for part in parts) else set()
        for memory in memories:
            pose = random_room_pose(np.random.default_rng(seed))
            jobs, camera = jobs_of(memory._parts, 0, 1, True), cams.targets(pose, K, SIZE)
            hits = raster.rasterize(jobs, camera)
            left = raster._in_nobodys_way(hits, jobs, camera, SIZE[0] * SIZE[1])
            found |= {"vetoed"} if len(left.z) < len(hits.z) else set()
    assert found == {"dead", "parts", "shared", "trimmed", "vetoed"}


@pytest.mark.parametrize(
    "pose", [look(z=-2.97), look(z=-2.0, pitch=1.2), look(1.5, z=-2.9), look(np.pi), look(np.pi, z=-6.0), look(z=40.0)]
)
def test_same_bits_close_to_a_surface_behind_it_and_far_away(pose: Array) -> None:
    memory = LatentMemory(2)
    depth = plane_depth(np.array([0.3, 0.2, 1.0]), -3.0, look(), K, SIZE)
    memory.write(np.random.default_rng(0).standard_normal((2, *SIZE)), depth, K, look(), merge=False)
    lens = geometry.intrinsics(64, 48, 100.0)  # so fine that surfels are larger than they may be drawn
    check([memory], pose[None], lens, (48, 64))


def test_tokens_are_drawn_up_to_the_same_size() -> None:
    memory = LatentMemory(1)
    memory.write(np.ones((1, 1, 1)), np.ones((1, 1)), geometry.intrinsics(1, 1, 90.0), look(), merge=False)
    lens = geometry.intrinsics(96, 96, 90.0)
    assert check([memory], look()[None], lens, (96, 96)) == (raster.MAX_SPAN + 1) ** 2


def test_empty_memories_show_nothing() -> None:
    assert check([LatentMemory(2)], look()[None]) == 0
    assert len(LatentMemory(2).looked_through(np.zeros((0, 3)))) == 0


@pytest.mark.parametrize("margin", [-2.0, -0.5, 0.0, 0.2])
def test_every_margin_means_the_same(margin: float) -> None:
    rng = np.random.default_rng(1)
    memory = a_life(rng, torch.float32)[-1]
    points = torch.as_tensor(rng.uniform(-3, 3, (500, 3)), dtype=torch.float32)
    found = memory.looked_through(points, margin)
    with paths.reading_by("torch"):
        expected = memory.looked_through(points, margin)
    assert torch.equal(found, expected)
    assert margin < -1 or 0 < int(found.sum()) < 500


def test_blocks_out_of_sight_are_never_touched() -> None:
    ahead, behind, lens = LatentMemory(1), LatentMemory(1), geometry.intrinsics(16, 12, 40.0)
    for memory, pose in ((ahead, look()), (behind, look(np.pi))):
        memory.write(np.ones((1, *SIZE)), np.full(SIZE, 2.0), lens, pose, merge=False)
    assert not ahead.read(look(np.pi), lens, SIZE).visible.any()
    part, other = ahead._parts[0], behind._parts[0].segment
    assert part.tokens % draw.BLOCK == 0
    # Were they looked at again, they would now be found in front of the camera.
    part.segment.sphere.copy_(other.sphere)
    part.segment.lift.copy_(other.lift)
    assert not ahead.read(look(np.pi), lens, SIZE).visible.any()
    part.segment.host = None  # the bounds of the blocks
    assert ahead.read(look(np.pi), lens, SIZE).visible.all()


def test_a_copy_is_read_from_its_own_columns() -> None:
    memory = LatentMemory(1)
    memory.write(np.ones((1, *SIZE)), np.full(SIZE, 2.0), K, look(), merge=False)
    memory.read(look(), K, SIZE)
    copied = copy.deepcopy(memory)
    copied.write(2 * np.ones((1, *SIZE)), np.full(SIZE, 1.0), K, look(), merge=False)
    assert copied._parts[0].segment is not memory._parts[0].segment and len(copied._parts) == 1
    assert (copied.read(look(), K, SIZE).latents == 2.0).all()
    assert (memory.read(look(), K, SIZE).latents == 1.0).all()
    assert copied.looked_through(np.array([[0.0, 0.0, -0.8]])).all()


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "ALONE", 0)
    rng = np.random.default_rng(3)
    memories = a_life(rng, torch.float32)
    poses = np.stack([random_room_pose(rng) for _ in range(7)])
    before, views = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            views.append(memories[0].read(poses, K, SIZE))
    finally:
        torch.set_num_threads(before)
    assert len(team._TEAMS) >= 2
    for view in views[1:]:
        for name, value in vars(view).items():
            assert same_bits(value, getattr(views[0], name)), name


@pytest.fixture
def no_numba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "numba", None)
    kernels.load.cache_clear()
    yield
    kernels.load.cache_clear()


def test_without_numba_torch_reads(no_numba: None) -> None:
    assert paths.compiled(torch.device("cpu")) is None
    memory = LatentMemory(1)
    memory.write(np.ones((1, *SIZE)), np.full(SIZE, 2.0), K, look())
    assert memory.read(look(), K, SIZE).visible.all()
    assert memory.looked_through(np.array([[0.0, 0.0, -1.0]])).all()


def test_only_memories_on_the_processor_are_read_by_compiled_loops() -> None:
    assert paths.compiled(torch.device("cpu")) is read
    assert paths.compiled(torch.device("cuda")) is None
    with paths.reading_by("torch"):
        assert paths.compiled(torch.device("cpu")) is None
    assert paths.compiled(torch.device("cpu")) is read


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(ValueError, match="by the path 'fastest' or 'torch', got 'numba'"), paths.reading_by("numba"):  # type: ignore[arg-type]
        pass
    assert paths.compiled(torch.device("cpu")) is read
