"""A memory never holds more than it may; what goes first is stated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import LatentMemory
from mirage_env.memory.rules import MemoryRules
from tests.memory.scenes import look, random_room_pose, room_depth

SIZE = (4, 5)
K = geometry.intrinsics(5, 4, 90.0)


def wall(memory: LatentMemory, value: float, yaw: float, imagined: float = 0.0) -> int:
    return memory.write(np.full((1, *SIZE), value), np.full(SIZE, 2.0), K, look(yaw), merge=False, imagined=imagined)


def counts(memory: LatentMemory) -> dict[float, int]:
    values, count = memory._columns().latents[:, 0].unique(return_counts=True)
    return dict(zip(values.tolist(), count.tolist(), strict=True))


def test_imagined_goes_before_copied_before_seen_and_the_oldest_first() -> None:
    memory = LatentMemory(1, rules=MemoryRules(max_tokens=100))
    for value, imagined in ((1.0, 0.0), (2.0, 1.0), (3.0, 0.5), (4.0, 0.9), (5.0, 0.0)):
        wall(memory, value, value, imagined)
    assert counts(memory) == dict.fromkeys((1.0, 2.0, 3.0, 4.0, 5.0), 20)
    expected = ([1, 3, 4, 5, 6], [1, 3, 5, 6, 7], [1, 5, 6, 7, 8], [5, 6, 7, 8, 9])
    for value, left in zip((6.0, 7.0, 8.0, 9.0), expected, strict=True):
        wall(memory, value, value)
        assert sorted(counts(memory))[-len(left) :] == left and len(memory) == 100
    assert memory.removed == 80


def test_part_of_a_view_goes_in_order_of_writing() -> None:
    memory = LatentMemory(1, rules=MemoryRules(max_tokens=33))
    wall(memory, 1.0, 0.0)
    positions = memory.positions
    wall(memory, 2.0, 1.0)
    assert counts(memory) == {1.0: 13, 2.0: 20}
    torch.testing.assert_close(memory.positions[:13], positions[7:])


def test_the_write_just_made_stays_even_if_it_is_imagined() -> None:
    memory = LatentMemory(1, rules=MemoryRules(max_tokens=20))
    wall(memory, 1.0, 0.0)
    wall(memory, 2.0, 1.0, imagined=1.0)
    assert counts(memory) == {2.0: 20}


def test_a_budget_smaller_than_one_view_is_refused() -> None:
    memory = LatentMemory(1, rules=MemoryRules(max_tokens=19))
    with pytest.raises(ValueError, match="max_tokens must allow at least one view, but 19 is less than the 20 cells"):
        wall(memory, 1.0, 0.0)
    assert len(memory) == 0


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), budget=st.integers(20, 90))
def test_forks_of_a_full_memory_hold_their_own_tokens_and_never_too_many(seed: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    memories = [LatentMemory(1, rules=MemoryRules(max_tokens=budget))]
    for step in range(20):
        which = int(rng.integers(len(memories)))
        if len(memories) < 4:
            memories.append(memories[which].fork())
        others = [(m, counts(m)) for m in memories if m is not memories[which]]
        pose = random_room_pose(rng)
        latents = np.full((1, *SIZE), float(step))
        memories[which].write(latents, room_depth(pose, K, SIZE), K, pose, imagined=float(rng.random() < 0.5))
        assert all(counts(other) == before for other, before in others)
        assert len(memories[which]) <= budget and memories[which].positions.shape == (len(memories[which]), 3)
