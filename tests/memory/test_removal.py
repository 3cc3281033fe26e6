"""Removed tokens are gone for the memory that removed them, for nobody else, and leave no trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import LatentMemory, store
from mirage_env.memory.io import memory_from_tensors, memory_to_tensors
from tests.memory.scenes import random_room_pose, room_depth

SIZE = (8, 9)
K = geometry.intrinsics(9, 8, 90.0)


def grow(memory: LatentMemory, rng: np.random.Generator, views: int = 1) -> LatentMemory:
    for _ in range(views):
        pose = random_room_pose(rng)
        latents = rng.standard_normal((memory.channels, *SIZE))
        memory.write(latents, room_depth(pose, K, SIZE), K, pose, merge=False, imagined=float(rng.random() < 0.3))
    return memory


def remove(memory: LatentMemory, rng: np.random.Generator, share: float) -> None:
    """Let go of a random share of the tokens, as a write does."""
    before = len(memory)
    memory._parts = store.without(
        memory._parts, [torch.as_tensor(rng.random(part.tokens) < share) for part in memory._parts]
    )
    memory.removed += before - len(memory)


def everything(memory: LatentMemory) -> list[torch.Tensor]:
    return [*memory._columns(), memory.positions, *memory.surfels(), torch.tensor([len(memory), memory.nbytes])]


def same(a: LatentMemory, b: LatentMemory, rng: np.random.Generator) -> None:
    """Both hold the same tokens and show the same, bit for bit."""
    for x, y in zip(everything(a), everything(b), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=0)
    poses = np.stack([random_room_pose(rng) for _ in range(3)])
    for footprint in (True, False):
        one, other = (m.read(poses, K, SIZE, footprint=footprint) for m in (a, b))
        for name, value in vars(one).items():
            assert torch.equal(value, getattr(other, name)), name
    points = rng.uniform(-3, 3, (50, 3))
    assert torch.equal(a.looked_through(points), b.looked_through(points))


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), shares=st.lists(st.sampled_from([0.02, 0.1, 0.4, 1.0]), min_size=1, max_size=4))
def test_a_memory_with_dead_tokens_is_like_one_that_never_had_them(seed: int, shares: list[float]) -> None:
    rng = np.random.default_rng(seed)
    memory = grow(LatentMemory(2), rng, 4)
    for share in shares:
        remove(memory, rng, share)
        memory = memory.fork()
        grow(memory.fork(), rng)  # a branch that makes the next write open a segment of its own
        grow(memory, rng)
    same(memory, memory_from_tensors(memory_to_tensors(memory)), rng)
    assert all(part.tokens - part.count <= store.MAX_DEAD * part.tokens for part in memory._parts)


@settings(max_examples=20)
@given(choices=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=4, max_size=16))
def test_no_branch_sees_what_another_removes(choices: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(len(choices))
    memories = [grow(LatentMemory(1), rng, 3)]
    for which, what in choices:
        memory = memories[which % len(memories)]
        others = [(other, everything(other)) for other in memories if other is not memory]
        if what == 0:
            memories.append(memory.fork())
        elif what == 1:
            remove(memory, rng, float(rng.choice([0.05, 0.5])))
        else:
            grow(memory, rng)
        for other, before in others:
            assert all(torch.equal(x, y) for x, y in zip(everything(other), before, strict=True))


def test_tokens_are_numbered_without_the_dead() -> None:
    rng = np.random.default_rng(0)
    memory = grow(LatentMemory(1), rng, 3)
    grow(memory.fork(), rng)
    grow(memory, rng, 2)
    remove(memory, rng, 0.2)
    assert any(part.living for part in memory._parts) and len(memory._parts) > 1
    for footprint in (True, False):
        view = memory.read(random_room_pose(rng), K, SIZE, footprint=footprint)
        assert view.visible.any() and int(view.token.max()) < len(memory)
        shown = memory._columns().latents[view.token[view.visible]]
        assert view.nearest is not None
        torch.testing.assert_close(view.nearest.permute(0, 2, 3, 1)[view.visible], shown, rtol=0, atol=0)


def test_a_dead_token_is_no_neighbour_hides_nothing_and_is_not_shown() -> None:
    wall, near = np.full(SIZE, 3.0), np.zeros(SIZE)
    near[:, :5] = 1.0
    latents = np.arange(72.0).reshape(1, *SIZE)
    memory, alone = LatentMemory(1), LatentMemory(1)
    pose = np.eye(4)
    for m in (memory, alone):
        keep = np.ones(SIZE, dtype=bool)
        keep[:, 4] = m is memory
        m.write(latents, wall, K, pose, keep=keep, merge=False)
    memory.write(latents, near, K, pose, merge=False)
    dead = torch.zeros(112, dtype=torch.bool)
    dead[72:] = True
    dead[:72].view(SIZE)[:, 4] = True
    memory._parts = store.without(memory._parts, [dead])
    moved = geometry.exp_twist([0.1, 0.05, 0.3, 0, 0, 0])
    for footprint in (True, False):
        a, b = (m.read(moved, K, SIZE, footprint=footprint) for m in (memory, alone))
        assert torch.equal(a.latents, b.latents) and torch.equal(a.depth, b.depth)


def test_the_rest_is_compacted_and_views_without_tokens_are_forgotten() -> None:
    rng = np.random.default_rng(0)
    memory = grow(LatentMemory(1), rng, 10)
    lifts, shared = memory._parts[0].views, memory.fork()
    dead = torch.zeros(720, dtype=torch.bool)
    dead[:144] = True
    memory._parts = store.without(memory._parts, [dead])
    assert memory._parts[0].segment is shared._parts[0].segment  # 20 %: a mask
    assert memory.nbytes == memory_from_tensors(memory_to_tensors(memory)).nbytes < shared.nbytes
    dead[:360] = True
    memory._parts = store.without(memory._parts, [dead])
    part = memory._parts[0]
    assert part.segment is not shared._parts[0].segment and part.living is None
    assert (part.tokens, part.views, lifts) == (360, 5, 10)
    everything_dead = store.without(memory._parts, [torch.ones(360, dtype=torch.bool)])
    assert everything_dead == () and len(shared) == 720


def test_surfels_from_a_number_on_count_the_living() -> None:
    rng = np.random.default_rng(0)
    memory = grow(LatentMemory(1), rng, 3)
    remove(memory, rng, 0.2)
    for start in (0, 1, 50, len(memory) - 1, len(memory)):
        for everything_, some in zip(memory.surfels(), memory.surfels(start), strict=True):
            assert torch.equal(everything_[start:], some)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_files_hold_the_living_and_the_rules(tmp_path: Path, share: float) -> None:
    rng = np.random.default_rng(0)
    memory = grow(LatentMemory(2), rng, 3)
    remove(memory, rng, share)
    memory.save(tmp_path / "memory")
    loaded = LatentMemory.load(tmp_path / "memory")
    same(memory, loaded, rng)
    assert loaded.removed == memory.removed > 0 and loaded.rules == memory.rules
