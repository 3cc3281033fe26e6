"""Saving and loading a memory."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mirage_env import geometry
from mirage_env.memory import LatentMemory
from mirage_env.memory.io import FORMAT, VERSION
from mirage_env.memory.rules import MemoryRules
from tests.memory.scenes import random_room_pose, room_depth

SIZE = (8, 9)
K = geometry.intrinsics(9, 8, 90.0)


def walk(memory: LatentMemory, rng: np.random.Generator, steps: int) -> LatentMemory:
    for _ in range(steps):
        sibling, pose = memory.fork(), random_room_pose(rng)
        for branch in (sibling, memory):
            branch.write(rng.standard_normal((memory.channels, *SIZE)), room_depth(pose, K, SIZE), K, pose)
    return memory


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_loaded_memory_is_the_same_bit_for_bit_and_goes_on(tmp_path: Path, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    memory = walk(LatentMemory(3, dtype), rng, 6)
    memory.save(tmp_path / "memory.safetensors")
    loaded = LatentMemory.load(tmp_path / "memory.safetensors")
    assert (loaded.channels, loaded.dtype, len(loaded)) == (3, dtype, len(memory))
    assert loaded.nbytes == memory.nbytes and torch.equal(loaded.positions, memory.positions)
    for _ in range(2):
        poses = np.stack([random_room_pose(rng) for _ in range(3)])
        for footprint in (False, True):
            a, b = (m.read(poses, K, SIZE, footprint=footprint) for m in (memory, loaded))
            for name in ("latents", "depth", "visible", "token", "imagined"):
                assert torch.equal(getattr(a, name), getattr(b, name))
        state = rng.bit_generator.state
        walk(memory, rng, 2)
        rng.bit_generator.state = state
        walk(loaded, rng, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["memory.safetensors"]


def test_an_empty_memory_keeps_its_channels_and_type(tmp_path: Path) -> None:
    LatentMemory(7, torch.float16).save(tmp_path / "empty")
    loaded = LatentMemory.load(tmp_path / "empty")
    assert (loaded.channels, loaded.dtype, len(loaded)) == (7, torch.float16, 0)


def test_saving_a_fork_saves_only_its_own_tokens(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    memory = walk(LatentMemory(2), rng, 2)
    fork, count = memory.fork(), len(memory)
    walk(memory, rng, 2)
    fork.save(tmp_path / "fork")
    assert len(LatentMemory.load(tmp_path / "fork")) == count < len(memory)


def test_missing_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        LatentMemory.load(path)
    memory = walk(LatentMemory(2), np.random.default_rng(0), 2)
    memory.save(path)
    whole = path.read_bytes()
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="truncated or is not a safetensors file"):
            LatentMemory.load(path)
    path.write_bytes(b"PK" + whole)
    with pytest.raises(ValueError, match="truncated or is not a safetensors file"):
        LatentMemory.load(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"does not hold a mirage_env\.LatentMemory"):
        LatentMemory.load(path)


def test_newer_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    walk(LatentMemory(2), np.random.default_rng(0), 2).save(path)
    tensors = load_file(path)

    def rewrite(version: str = str(VERSION), **changed: torch.Tensor) -> None:
        save_file({**tensors, **changed}, path, {"format": FORMAT, "version": version})

    rewrite(str(VERSION + 1))
    with pytest.raises(ValueError, match=f"version {VERSION + 1} .* knows up to {VERSION}: update"):
        LatentMemory.load(path)
    rewrite("soon")
    with pytest.raises(ValueError, match="damaged: its format version is 'soon'"):
        LatentMemory.load(path)
    for name, value in (
        ("key", tensors["key"].flip(0)),
        ("key", tensors["key"] + (1 << 40)),
        ("plane", -tensors["plane"]),
        ("sphere", tensors["sphere"][:3].contiguous()),
        ("latents", tensors["latents"] * torch.nan),
        ("latents", tensors["latents"][:-1].contiguous()),
        ("extra", torch.zeros(1)),
    ):
        rewrite(**{name: value})
        with pytest.raises(ValueError, match="is damaged"):
            LatentMemory.load(path)
    rewrite()
    assert len(LatentMemory.load(path)) > 0


def test_rules_come_back_and_files_without_them_load_with_the_default_ones(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    rules = MemoryRules(edges=False, refine=None, max_tokens=500, max_depth=math.inf)
    memory = walk(LatentMemory(2, rules=rules), np.random.default_rng(0), 2)
    memory.save(path)
    assert LatentMemory.load(path).rules == rules
    tensors = load_file(path)
    told = tensors.pop("rules")
    save_file(tensors, path, {"format": FORMAT, "version": "1"})
    assert LatentMemory.load(path).rules == MemoryRules() and len(LatentMemory.load(path)) == len(memory)
    for damaged in (told[:-1], told.flip(0), torch.tensor(list(b'{"removed": 0, "magic": 1}'), dtype=torch.uint8)):
        save_file({**tensors, "rules": damaged.contiguous()}, path, {"format": FORMAT, "version": str(VERSION)})
        with pytest.raises(ValueError, match="is damaged: the memory's rules cannot be read"):
            LatentMemory.load(path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    memory = LatentMemory(2)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        memory.save(tmp_path / "file" / "memory")
    with pytest.raises(IsADirectoryError, match="a folder has that name"):
        memory.save(tmp_path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "memory"
    memory = walk(LatentMemory(2), np.random.default_rng(0), 1)
    memory.save(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("mirage_env.memory.io.save_file", full)
    with pytest.raises(OSError, match="disk full"):
        walk(memory, np.random.default_rng(1), 1).save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
