"""A training run leaves and returns as small files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirage_env.training.shards import pack, unpack


def a_run(folder: Path) -> Path:
    for stage, size in (("codec", 5000), ("depth", 3000)):
        (folder / stage).mkdir(parents=True)
        (folder / stage / "checkpoint.pt").write_bytes(os.urandom(size))
        (folder / stage / "log.jsonl").write_text("{}\n")
    (folder / "readouts.safetensors").write_bytes(os.urandom(9000))
    return folder


def test_what_was_packed_comes_back_bit_for_bit(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    parts = pack(run, ("codec", "depth", "denoiser"), tmp_path / "shards", most=4096)
    assert len(parts) > 2 and all(part.stat().st_size <= 4096 for part in parts)
    unpack(tmp_path / "shards", tmp_path / "again")
    found = {p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file()}
    assert len(found) == 4 and all((tmp_path / "again" / p).read_bytes() == (run / p).read_bytes() for p in found)
    assert len(pack(run, ("depth",), tmp_path / "shards")) == 1
    assert len(list((tmp_path / "shards").iterdir())) == 1


def test_missing_and_damaged_shards_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    unpack(tmp_path / "nothing", tmp_path / "again")
    parts = pack(a_run(tmp_path / "run"), ("codec", "depth"), tmp_path / "shards", most=4096)
    last = parts[-1].read_bytes()
    parts[1].rename(tmp_path / "away")
    with pytest.raises(ValueError, match="a shard is missing"):
        unpack(tmp_path / "shards", tmp_path / "again")
    (tmp_path / "away").rename(parts[1])
    parts[0].write_bytes(b"x" * 4096)
    with pytest.raises(ValueError, match="damaged or incomplete"):
        unpack(tmp_path / "shards", tmp_path / "again")
    assert last and not (tmp_path / "again").exists()
