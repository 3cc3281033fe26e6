"""Shards come back as they were written, whole or in part, and nothing else passes for one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mirage_env.data.shards import (
    FORMAT,
    Trajectory,
    is_valid,
    iterate,
    list_shards,
    read_meta,
    read_shard,
    shard_path,
    write_shard,
)


def trajectory(frames: int = 5, height: int = 4, width: int = 6) -> Trajectory:
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.1, 12.0, (frames, height, width)).astype(np.float32)
    depth[0, 0, 0] = 0.0
    return Trajectory(
        rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8),
        depth,
        np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1)) * rng.uniform(0.5, 1, (frames, 1, 1)).astype(np.float32),
        rng.uniform(1, 9, (3, 3)).astype(np.float32),
        rng.integers(-1, 4, frames).astype(np.int8),
        rng.random(frames) < 0.5,
        {"scene": 7, "hfov": 90.0},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = shard_path(tmp_path, 3)
    write_shard(path, trajectory())
    return path


def test_a_shard_comes_back_as_it_was_written(path: Path) -> None:
    expected, actual = trajectory(), read_shard(path)
    assert len(actual) == 5
    for name in ("rgb", "poses", "intrinsics", "actions", "collided"):
        a, b = getattr(actual, name), getattr(expected, name)
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    np.testing.assert_allclose(actual.depth, expected.depth, atol=0.00051)
    assert actual.depth.dtype == np.float32 and actual.depth[0, 0, 0] == 0.0
    assert actual.meta["scene"] == 7


def test_a_part_of_a_shard_is_read_alone(path: Path) -> None:
    whole, part = read_shard(path), read_shard(path, 1, 3)
    np.testing.assert_array_equal(part.rgb, whole.rgb[1:3])
    np.testing.assert_array_equal(part.depth, whole.depth[1:3])
    for start, stop in ((3, 3), (-1, 2), (0, 6)):
        with pytest.raises(ValueError, match=r"has frames 0..4"):
            read_shard(path, start, stop)


def test_far_depth_is_clipped_not_wrapped(tmp_path: Path) -> None:
    write_shard(tmp_path / "a", dataclasses.replace(trajectory(), depth=np.full((5, 4, 6), 80.0, np.float32)))
    np.testing.assert_allclose(read_shard(tmp_path / "a").depth, 65.535, rtol=1e-6)


def test_meta_and_lists_are_read_without_pixels(path: Path, tmp_path: Path) -> None:
    meta = read_meta(path)
    assert (meta["frames"], meta["height"], meta["width"], meta["hfov"]) == (5, 4, 6, 90.0)
    write_shard(shard_path(tmp_path, 1), trajectory(2))
    assert list_shards(tmp_path) == [shard_path(tmp_path, 1), path]
    assert [len(t) for t in iterate(tmp_path)] == [2, 5]


def test_no_folder_and_no_shards_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        list_shards(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="holds no shards"):
        list_shards(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no shard at"):
        read_shard(tmp_path / "absent")


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_shard_is_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    assert not is_valid(path)
    with pytest.raises(ValueError, match="truncated or not a safetensors file"):
        read_shard(path)


def test_foreign_files_are_refused(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(500))
    with pytest.raises(ValueError, match="truncated or not a safetensors file"):
        read_meta(path)
    for metadata in (None, {"meta": "{"}, {"meta": "[]"}, {"meta": json.dumps({"format": "other", "version": 1})}):
        save_file({"rgb": np.zeros(3)}, path, metadata)
        with pytest.raises(ValueError, match="is not a trajectory of mirage-env collect"):
            read_meta(path)


def test_newer_and_incomplete_shards_are_refused(path: Path) -> None:
    tensors = load_file(path)
    meta = {"meta": json.dumps({"format": FORMAT, "version": 1})}
    save_file(tensors, path, {"meta": json.dumps({"format": FORMAT, "version": 2})})
    with pytest.raises(ValueError, match="format version 2; this mirage-env reads version 1"):
        read_shard(path)
    save_file({k: v for k, v in tensors.items() if k != "poses"}, path, meta)
    with pytest.raises(ValueError, match=r"lacks the tensors \['poses'\]"):
        read_shard(path)
    save_file(tensors | {"depth": tensors["depth"].astype(np.float32), "poses": tensors["poses"][1:]}, path, meta)
    with pytest.raises(ValueError, match="wrong shape or type: depth, poses"):
        read_shard(path)


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    bad = dataclasses.replace(trajectory(), meta={"scene": object()})
    with pytest.raises(TypeError):
        write_shard(tmp_path / "a", bad)
    assert list(tmp_path.iterdir()) == []
