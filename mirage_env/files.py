"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty temporary file beside ``path`` to write to; on leaving, it is synced to disk and renamed.

    The temporary name keeps the suffix, because writers of pictures and videos choose their format by it. After an
    exception ``path`` is as it was before and the temporary file is gone. Missing parent folders are made.

    Raises:
        IsADirectoryError: ``path`` is a folder.
        NotADirectoryError, PermissionError, OSError: the folder of ``path`` cannot be made or written.
        FileNotFoundError: the block removed the temporary file.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"cannot write the file {target}: a folder has that name")
    folder = writable_folder(target.parent)
    temporary = folder / f".{target.stem}-{secrets.token_hex(4)}.tmp{target.suffix}"
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(folder)


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder ``path``, made with its parents if it is missing; one sentence if files cannot be written there."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"cannot write to {folder}: it or a parent is a file, not a folder") from error
    except OSError as error:
        raise type(error)(f"cannot make the folder {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write to the folder {folder}: permission denied")
    return folder


def described_alike(path: Path, described: dict[str, Any], doing: str, content: str) -> bool:
    """Whether the JSON file ``path`` says what a folder holds; False where there is none.

    Args:
        described: what it should say.
        doing, content: for messages, such as "collect" and "a collection".

    Raises:
        ValueError: it says something else, or is damaged.
    """
    if not path.exists():
        return False
    try:
        present = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged; {doing} into another folder") from error
    differing = sorted(k for k in {*described, *present} if described.get(k) != present.get(k))
    if differing:
        raise ValueError(f"{path.parent} holds {content} with another {', '.join(differing)}; use another folder")
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
