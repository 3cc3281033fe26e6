"""Worlds on a CUDA device against the same worlds on the processor. Skipped where there is none.

Memories hold the same tokens and show the same surfaces: both paths compute the same sums in float64. What networks add
is the same up to their arithmetic (TF32 off).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu_worlds
from benchmarks.memory_read import home_case
from mirage_env.memory import LatentMemory, MemoryView, paths, read_many
from mirage_env.state import WorldState
from mirage_env.world import WorldModel
from tests.small_world import small_world

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device on this computer"),
]
SIZE = (12, 12)


@pytest.fixture(autouse=True)
def _full_precision() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def memories(
    dtype: torch.dtype = torch.float32,
) -> tuple[list[LatentMemory], list[LatentMemory], np.ndarray, np.ndarray]:
    """Memories of one, two and all views of a home, on the processor and on the device; cameras, and their lens."""
    case = home_case(tokens=400, size=SIZE[0], channels=3)
    near, far = ([LatentMemory(3, dtype, device) for _ in range(3)] for device in ("cpu", "cuda"))
    for memory_near, memory_far, count in zip(near, far, (1, 2, len(case.views)), strict=True):
        for view in case.views[:count]:
            assert memory_near.write(*view) == memory_far.write(*view)
    return near, far, case.poses[:3], case.views[0].K


def assert_alike(near: MemoryView, far: MemoryView) -> None:
    """All cells the same, but for those (at most one in a hundred) where last bits decided otherwise."""
    assert far.latents.device.type == "cuda"
    same = (near.token == far.token.cpu()) & (near.visible == far.visible.cpu())
    assert same.float().mean() > 0.99
    for name in ("depth", "imagined"):
        assert torch.allclose(getattr(near, name)[same], getattr(far, name).cpu()[same], atol=1e-5)
    shown = same[:, None].expand_as(near.latents)
    for name in ("latents", "nearest"):
        assert torch.allclose(getattr(near, name)[shown], getattr(far, name).cpu()[shown], atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("footprint", [True, False])
def test_reads_are_those_of_the_processor(footprint: bool, dtype: torch.dtype) -> None:
    near, far, poses, K = memories(dtype)
    with paths.reading_by("torch"):
        expected = read_many(near, poses, K, SIZE, footprint)
    found = read_many(far, poses, K, SIZE, footprint)
    assert_alike(expected, found)
    for k, memory in enumerate(far):
        alone = memory.read(poses[k], K, SIZE, footprint)
        for name, grid in vars(alone).items():
            assert torch.equal(grid[0], getattr(found, name)[k]), name


def test_space_that_was_seen_and_the_rest_of_a_memory(tmp_path: Path) -> None:
    near, far, _, _ = memories()
    points = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * 3
    same = near[2].looked_through(points) == far[2].looked_through(points).cpu()
    assert same.float().mean() > 0.99
    assert far[2].nbytes == near[2].nbytes and far[2].removed == near[2].removed
    assert torch.allclose(far[2].positions.cpu(), near[2].positions, atol=1e-5)
    fork = far[2].fork()
    assert fork.device.type == "cuda" and len(fork) == len(near[2])
    fork.save(tmp_path / "memory.safetensors")
    assert len(LatentMemory.load(tmp_path / "memory.safetensors", "cuda")) == len(near[2])


def begun(world: WorldModel) -> tuple[list[WorldState], np.ndarray]:
    states, pose = gpu_worlds.begin(world, 3, "toy", resolution=48)
    return states, gpu_worlds.curves(pose, 3, 2)


@pytest.mark.parametrize("imagine", ["new", "always", "never"])
def test_a_batched_step_is_that_of_the_processor(imagine: str, tmp_path: Path) -> None:
    small_world().save_pretrained(tmp_path / "model")
    found = []
    for device in ("cpu", "cuda"):
        world = gpu_worlds.world_on(str(tmp_path / "model"), torch.device(device))
        states, poses = begun(world)
        states, frames = world.step_batch(states, poses[0], imagine)  # type: ignore[arg-type]
        found.append((states, frames))
    for near, far, mine, theirs in zip(*found[0], *found[1], strict=True):
        assert mine.memory.device.type == "cuda" and theirs.latents.device.type == "cuda"  # type: ignore[attr-defined]
        assert abs(len(near.memory) - len(mine.memory)) <= 0.01 * len(near.memory)
        seen = far.visible == theirs.visible.cpu()
        assert seen.float().mean() > 0.99
        assert torch.allclose(far.latents[:, seen], theirs.latents.cpu()[:, seen], atol=1e-2)
        assert np.abs(far.rgb.astype(int) - theirs.rgb.astype(int)).mean() < 1.0


def test_worlds_are_measured_there(tmp_path: Path) -> None:
    small_world().save_pretrained(tmp_path / "model")
    world = gpu_worlds.world_on(str(tmp_path / "model"), torch.device("cuda"))
    rows = gpu_worlds.measure(world, [1, 8], 2, "toy", resolution=48)
    assert [row["worlds"] for row in rows] == [1, 8, 1, 8]
