"""The switches of a memory, and what of them one call can change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.memory import LatentMemory
from mirage_env.memory.rules import MemoryRules
from tests.memory.scenes import look

SIZE = (6, 8)
K = geometry.intrinsics(8, 6, 90.0)
ZEROS, WALL = np.zeros((1, *SIZE)), np.full(SIZE, 3.0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"merge": 1}, "merge must be True or False"),
        ({"contradiction": None}, "contradiction must be True or False"),
        ({"refine": 0.5}, "refine must be a factor of at least 1, or None"),
        ({"refine": math.nan}, "refine must be a factor"),
        ({"detail": -0.1}, "detail must be a number of metres"),
        ({"detail": math.inf}, "detail must be a number of metres"),
        ({"sight_lines": 0}, "sight_lines must be True or False"),
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1, or None"),
        ({"max_tokens": 10.5}, "max_tokens must be a whole number"),
        ({"max_depth": 0.0}, "max_depth must be a positive number, inf for no bound"),
        ({"max_error": "much"}, "max_error must be a positive number"),
    ],
)
def test_senseless_rules_are_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryRules(**bad)


def test_a_call_changes_what_it_names_and_nothing_else() -> None:
    rules = MemoryRules(max_tokens=99, max_depth=5.0)
    assert rules.overridden(None, None, None, None, None, None) == rules
    assert rules.overridden(None, 3.0, False, None, None, math.inf) == MemoryRules(
        refine=3.0, contradiction=False, max_error=math.inf, max_tokens=99, max_depth=5.0
    )
    assert rules.overridden(None, math.inf, None, None, None, None).refine is None


def test_merge_false_asks_for_the_textbook_memory_but_for_the_budget() -> None:
    plain = MemoryRules(max_tokens=99).overridden(False, None, None, None, None, None)
    assert (plain.contradiction, plain.edges, plain.refine, plain.max_tokens) == (False, False, None, 99)
    assert math.isinf(plain.max_depth) and math.isinf(plain.max_error)
    assert MemoryRules().overridden(False, None, True, None, 4.0, None).contradiction


def test_merge_false_keeps_far_uncertain_and_flying_cells_and_removes_nothing() -> None:
    memory = LatentMemory(1)
    memory.write(ZEROS, WALL, K, look())
    depth = np.full(SIZE, 50.0)
    depth[:, 4] = 40.0
    assert memory.write(ZEROS, depth, K, look(), merge=False, error=np.ones(SIZE)) == 48
    assert len(memory) == 96 and memory.removed == 0
    assert memory.write(ZEROS, depth, K, look(), merge=False, contradiction=True, max_depth=45.0) == 6
    assert memory.removed == 24  # the wall, but for the outer ring of cells


def test_rules_hold_for_writes_and_reads_that_do_not_say_otherwise_and_for_forks() -> None:
    plain = LatentMemory(1, rules=MemoryRules.plain())
    better = LatentMemory(1)
    for memory in (plain, better, plain.fork(), better.fork()):
        for _ in range(2):
            memory.write(ZEROS, WALL, K, look())
    assert (len(plain), len(better)) == (96, 48)
    assert plain.fork().rules is plain.rules
    closer = look(z=-1.5)
    assert plain.read(closer, K, SIZE).visible.sum() < better.read(closer, K, SIZE).visible.sum() == 48
    assert plain.read(closer, K, SIZE, footprint=True).visible.sum() == 48
    assert better.read(closer, K, SIZE, footprint=False).visible.sum() < 48


def test_what_is_too_far_or_too_uncertain_is_not_written() -> None:
    depth, error = np.full(SIZE, 3.0), np.zeros(SIZE)
    depth[0], error[1] = 20.5, 0.6
    assert LatentMemory(1).write(ZEROS, depth, K, look(), error=error) == 32
    assert LatentMemory(1).write(ZEROS, depth, K, look(), error=error, max_error=0.7) == 40
    assert LatentMemory(1).write(ZEROS, depth, K, look(), error=error, max_depth=21.0) == 40
    rules = MemoryRules(max_depth=math.inf, max_error=math.inf)
    assert LatentMemory(1, rules=rules).write(ZEROS, depth, K, look(), error=error) == 48
    for bad in (-0.1, np.nan, np.zeros((2, 2))):
        with pytest.raises(ValueError, match="error must be a number or a grid"):
            LatentMemory(1).write(ZEROS, depth, K, look(), error=bad)


def test_slopes_still_use_the_cells_that_are_not_written() -> None:
    """A plane that runs beyond the largest depth keeps its tilt up to the last cell."""
    columns = 1 / np.linspace(1 / 2.0, 1 / 4.0, 8)
    depth = np.broadcast_to(columns, SIZE)
    cut, whole = LatentMemory(1), LatentMemory(1)
    cut.write(ZEROS, depth, K, look(), max_depth=float(columns[1]))
    whole.write(ZEROS, depth, K, look())
    near = (whole.surfels().positions[:, 2] > -columns[1] - 1e-3).numpy()
    assert near.sum() == len(cut) == 12
    np.testing.assert_array_equal(cut.surfels().tangents_u, whole.surfels().tangents_u[near])
