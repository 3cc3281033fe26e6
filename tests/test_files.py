"""A reader never meets half of a file, and a failed write leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirage_env import files
from mirage_env.files import atomic_write, writable_folder


def test_the_file_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "report.json"
    with atomic_write(target) as temporary:
        temporary.write_text("{}")
        assert not target.exists()
        assert temporary.parent == target.parent and temporary.suffix == ".json"
    assert target.read_text() == "{}"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "weights.safetensors"
    target.write_bytes(b"old")
    with pytest.raises(error), atomic_write(target) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "atomic") as temporary:
        temporary.write_bytes(b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_writer_that_renames_onto_the_temporary_file_is_kept(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as temporary:
        other = tmp_path / "b.txt"
        other.write_text("renamed")
        other.replace(temporary)
    assert (tmp_path / "a.txt").read_text() == "renamed"


def test_a_folder_in_the_place_of_the_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="a folder has that name"), atomic_write(tmp_path):
        pytest.fail("the block must not run")


def test_a_file_in_the_place_of_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
            writable_folder(folder)


def test_a_folder_without_permission_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "access", lambda *_: False)  # root may write everywhere, so modes cannot show this
    with pytest.raises(PermissionError, match="permission denied"), atomic_write(tmp_path / "a.txt"):
        pytest.fail("the block must not run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused_by_name() -> None:
    with pytest.raises(OSError, match="cannot make the folder"):
        writable_folder("/proc/no/such/place")
