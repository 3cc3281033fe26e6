"""What a write derives from its grids is the same, bit for bit, by compiled loops and by torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.memory import paths, surfel, writable
from mirage_env.memory.compiled import lift
from tests.memory.scenes import random_room_pose, room_depth
from tests.memory.test_compiled import same_bits


def rough_depth(rng: np.random.Generator, size: tuple[int, int]) -> torch.Tensor:
    """A room, with steps, holes and noise."""
    pose = random_room_pose(rng)
    depth = room_depth(pose, geometry.intrinsics(size[1], size[0], 90.0), size)
    depth = np.where(rng.random(size) < 0.3, rng.uniform(0.2, 1.5) * depth, depth)
    depth = depth * np.where(rng.random(size) < 0.3, rng.uniform(0.8, 1.2, size), 1.0)
    return torch.as_tensor(np.where(rng.random(size) < rng.choice([0.0, 0.2]), 0.0, depth))


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), height=st.integers(1, 14), width=st.integers(1, 14))
def test_slopes_and_flying_cells(seed: int, height: int, width: int) -> None:
    depth = rough_depth(np.random.default_rng(seed), (height, width))
    for found, expected in zip(lift.inverse_depth_slopes(depth), surfel.inverse_depth_slopes(depth), strict=True):
        assert same_bits(found, expected)
    assert torch.equal(lift.flying_cells(depth), writable.flying_cells(depth))


def test_the_depths_of_that_test_have_slopes_jumps_and_flying_cells() -> None:
    depths = [rough_depth(np.random.default_rng(seed), (12, 12)) for seed in range(10)]
    slopes = torch.stack([surfel.inverse_depth_slopes(depth)[1] for depth in depths])
    assert (slopes == 0).any() and (slopes > 0).any() and (slopes < 0).any()
    assert any(bool(writable.flying_cells(depth).any()) for depth in depths)
    assert any(bool((depth == 0).any()) for depth in depths)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("seed", range(6))
def test_tokens(seed: int, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(seed)
    size = (9, 13)
    depth = rough_depth(rng, size)
    latents = torch.as_tensor(rng.standard_normal((5, *size)), dtype=torch.float32)
    imagined, write = torch.as_tensor(rng.random(size)), (depth > 0) & torch.as_tensor(rng.random(size) < 0.7)
    arguments = (latents, depth, imagined, geometry.intrinsics(13, 9, 70.0), random_room_pose(rng), write, dtype)
    found, expected = lift.tokens_from_view(*arguments), surfel.tokens_from_view(*arguments)
    assert len(expected.key) == int(write.sum()) > 20
    for name, value in expected._asdict().items():
        assert same_bits(getattr(found, name), value), name


def test_writes_take_the_compiled_path() -> None:
    depth = torch.ones(2, 2, dtype=torch.float64)
    assert paths.compiled(depth.device, "lift") is lift
    with paths.reading_by("torch"):
        assert paths.compiled(depth.device, "lift") is None
        assert paths.inverse_depth_slopes(depth)[1].abs().max() == 0
