"""Forks share storage and never see each other's tokens."""

from __future__ import annotations

import time

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import LatentMemory, store
from mirage_env.memory.reference import ReferenceMemory
from tests.memory.scenes import look, random_room_pose, room_depth

SIZE = (4, 5)
K = geometry.intrinsics(5, 4, 90.0)


def grow(memory: LatentMemory, value: float, rng: np.random.Generator, merge: bool = False) -> None:
    pose = random_room_pose(rng)
    memory.write(np.full((memory.channels, *SIZE), value), room_depth(pose, K, SIZE), K, pose, merge=merge)


def everything(memory: LatentMemory) -> tuple[list[float], list[list[float]]]:
    """Latents and positions of all tokens, in order of writing."""
    latents = [value for part in memory._parts for value in part.columns.latents[:, 0].tolist()]
    return latents, memory.positions.tolist()


def test_a_fork_takes_no_memory_and_no_time() -> None:
    rng = np.random.default_rng(0)
    memory = LatentMemory(channels=48)
    for k in range(200):
        grow(memory, k, rng)
    forks = [memory.fork() for _ in range(1000)]
    for fork in forks[::100]:
        assert fork.nbytes == memory.nbytes and len(fork) == len(memory)
        for mine, theirs in zip(memory._parts, fork._parts, strict=True):
            assert mine.segment.latents.data_ptr() == theirs.segment.latents.data_ptr()
            assert mine.segment.sphere.data_ptr() == theirs.segment.sphere.data_ptr()
    start = time.perf_counter()
    for _ in range(1000):
        memory.fork()
    assert time.perf_counter() - start < 1.0


def test_the_parent_may_go_on_writing_after_a_fork() -> None:
    rng = np.random.default_rng(0)
    parent = LatentMemory(channels=2)
    grow(parent, 1.0, rng)
    child = parent.fork()
    frozen = everything(child)
    grow(parent, 2.0, rng)
    assert everything(child) == frozen
    grow(child, 3.0, rng)
    assert set(everything(parent)[0]) == {1.0, 2.0} and set(everything(child)[0]) == {1.0, 3.0}
    grandchild = child.fork()
    grow(child, 4.0, rng)
    grow(grandchild, 5.0, rng)
    grow(parent, 6.0, rng)
    assert set(everything(parent)[0]) == {1.0, 2.0, 6.0}
    assert set(everything(child)[0]) == {1.0, 3.0, 4.0}
    assert set(everything(grandchild)[0]) == {1.0, 3.0, 5.0}


@settings(max_examples=25)
@given(
    choices=st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=5, max_size=40),
    limit=st.sampled_from([8, 60, 16384]),
)
def test_any_tree_of_forks_holds_what_was_written_along_each_branch(
    choices: list[tuple[int, bool]], limit: int
) -> None:
    rng = np.random.default_rng(len(choices))
    saved, store.COPY_LIMIT = store.COPY_LIMIT, limit
    try:
        memories, written = [LatentMemory(channels=1)], [[]]
        for step, (which, fork) in enumerate(choices):
            which %= len(memories)
            if fork:
                memories.append(memories[which].fork())
                written.append(list(written[which]))
            grow(memories[which], float(step), rng)
            written[which] += [float(step)] * (SIZE[0] * SIZE[1])
        for memory, values in zip(memories, written, strict=True):
            assert everything(memory)[0] == values
            assert len(memory._parts) <= store.MAX_SEGMENTS
    finally:
        store.COPY_LIMIT = saved


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000))
def test_forked_memories_read_like_memories_that_were_written_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    forked, alone = LatentMemory(channels=1), LatentMemory(channels=1)
    reference = ReferenceMemory(channels=1)
    for step in range(6):
        state = rng.bit_generator.state
        grow(forked, float(step), rng)
        rng.bit_generator.state = state
        grow(alone, float(step), rng)
        rng.bit_generator.state = state
        pose = random_room_pose(rng)
        reference.write(np.full((1, *SIZE), float(step)), room_depth(pose, K, SIZE), K, pose, merge=False)
        keep, forked = forked, forked.fork()
        if rng.random() < 0.7:
            grow(keep, -1.0, np.random.default_rng(0))  # what the other branch writes must not show
    pose = random_room_pose(rng)
    for footprint in (False, True):
        a, b = (memory.read(pose, K, (9, 9), footprint=footprint) for memory in (forked, alone))
        for name in ("latents", "depth", "visible", "token"):
            assert torch.equal(getattr(a, name), getattr(b, name))
    plain = forked.read(pose, K, (9, 9), footprint=False)
    np.testing.assert_array_equal(plain.latents[0].numpy(), reference.read(pose, K, (9, 9), footprint=False)[0])


def test_long_chains_of_forks_stay_in_few_segments() -> None:
    rng = np.random.default_rng(0)
    memory = LatentMemory(channels=1)
    for step in range(150):
        sibling = memory.fork()
        grow(memory, float(step), rng)
        grow(sibling, float(step), rng)
        memory = sibling  # always the branch that cannot append in place
        assert len(memory._parts) <= store.MAX_SEGMENTS
    assert len(memory) == 150 * 20


def test_a_walk_that_forks_at_every_step_appends_in_place() -> None:
    rng = np.random.default_rng(0)
    memory = LatentMemory(channels=1)
    for step in range(100):
        memory = memory.fork()
        grow(memory, float(step), rng)
    assert len(memory._parts) == 1


def test_a_merge_sees_only_its_own_branch() -> None:
    parent = LatentMemory(channels=1)
    wall, zeros = np.full(SIZE, 2.0), np.zeros((1, *SIZE))
    parent.write(zeros, wall, K, look())
    child = parent.fork()
    assert parent.write(zeros, wall, K, look(np.pi)) == 20
    assert child.write(zeros, wall, K, look(np.pi)) == 20
    assert child.write(zeros, wall, K, look(np.pi)) == 0
