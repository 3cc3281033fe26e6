"""A training run in small files, for machines from which only small files come back."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mirage_env.files import atomic_write, writable_folder

MOST = 15 * 2**20
"""Bytes of a shard."""
_NAME = "run.tar."


def pack(run: Path, stages: Sequence[str], shards: Path, most: int = MOST) -> list[Path]:
    """Write the checkpoints, logs and curves of some stages of ``run`` as files of at most ``most`` bytes.

    Stages that left nothing are passed over, and so are readouts, which any machine can make again. Shards
    of an earlier call are replaced.
    """
    writable_folder(shards)
    for old in shards.glob(f"{_NAME}*"):
        old.unlink()
    written = []
    with tempfile.TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w") as archive:
            for stage in stages:
                if (run / stage / "checkpoint.pt").is_file():
                    archive.add(run / stage, arcname=stage)
        whole.seek(0)
        while part := whole.read(most):
            path = shards / f"{_NAME}{len(written):03d}"
            with atomic_write(path) as temporary:
                temporary.write_bytes(part)
            written.append(path)
    return written


def unpack(shards: Path, run: Path) -> None:
    """Put what ``pack`` wrote into ``run``, over what is there. Nothing where there are no shards.

    ValueError for shards of which one is missing or damaged.
    """
    parts = sorted(shards.glob(f"{_NAME}*"))
    if not parts:
        return
    if [part.name for part in parts] != [f"{_NAME}{k:03d}" for k in range(len(parts))]:
        raise ValueError(f"a shard is missing in {shards}: it holds {', '.join(part.name for part in parts)}")
    with tempfile.TemporaryFile() as whole:
        for part in parts:
            whole.write(part.read_bytes())
        whole.seek(0)
        try:
            with tarfile.open(fileobj=whole) as archive:
                archive.getmembers()  # the whole of it can be read, before anything is written
                archive.extractall(run, filter="data")
        except tarfile.TarError as error:
            raise ValueError(f"the shards in {shards} are damaged or incomplete: {error}") from error
