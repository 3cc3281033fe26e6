"""Spaces on disk: read back bit for bit, rebuilt when damaged, never half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirage_env.simulators.mesh import navigation_cache
from mirage_env.simulators.mesh.navigation_cache import cache_folder, cached_navmesh, content_key, open_navigation
from mirage_env.simulators.mesh.navmesh.build import NavMesh, build_navmesh
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings
from tests.simulators.mesh.small_meshes import box, joined, room

VERTICES, FACES = room()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[NavMesh]:
    """The spaces that were built, not read."""
    made: list[NavMesh] = []

    def build(*arguments: object) -> NavMesh:
        made.append(build_navmesh(*arguments))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(navigation_cache, "build_navmesh", build)
    return made


def same(a: NavMesh, b: NavMesh) -> bool:
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_space_is_built_once(tmp_path: Path, built: list[NavMesh]) -> None:
    first, again = cached_navmesh(VERTICES, FACES, folder=tmp_path), cached_navmesh(VERTICES, FACES, folder=tmp_path)
    assert len(built) == 1
    assert same(first, again)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]
    assert open_navigation(VERTICES, FACES, folder=tmp_path).is_navigable([0, 0.05, 0])
    assert len(built) == 1


def test_other_content_is_another_file(tmp_path: Path, built: list[NavMesh]) -> None:
    cached_navmesh(VERTICES, FACES, folder=tmp_path)
    cached_navmesh(VERTICES, FACES, NavigationSettings(agent_radius=0.3), tmp_path)
    moved = VERTICES.copy()
    moved[0, 0] += 1e-3
    cached_navmesh(moved, FACES, folder=tmp_path)
    assert len(built) == 3
    assert len(list(tmp_path.iterdir())) == 3
    key = content_key(VERTICES, FACES.astype(np.int32), NavigationSettings())
    assert (tmp_path / f"{key}.safetensors").exists()
    assert key == content_key(VERTICES.copy(), FACES.astype(np.int64), NavigationSettings(agent_radius=0.18))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "foreign"])
def test_damaged_and_foreign_files_are_replaced(tmp_path: Path, built: list[NavMesh], damage: str) -> None:
    first = cached_navmesh(VERTICES, FACES, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    if damage == "foreign":
        cached_navmesh(VERTICES, FACES, NavigationSettings(agent_radius=0.3), tmp_path)
        (other,) = set(tmp_path.iterdir()) - {path}
        path.write_bytes(other.read_bytes())
    else:
        flipped = content[:-7] + bytes([content[-7] ^ 1]) + content[-6:]
        path.write_bytes(
            {"cut": content[: len(content) // 2], "flip": flipped, "empty": b"", "text": b"x" * 99}[damage]
        )
    before = len(built)
    assert same(first, cached_navmesh(VERTICES, FACES, folder=tmp_path))
    assert len(built) == before + 1
    assert path.read_bytes() == content


def test_a_refused_mesh_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no floor"):
        cached_navmesh(*joined(box((0, 0, 0), (4, 3, 0.05))), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_place_to_write_the_space_is_built(tmp_path: Path, built: list[NavMesh]) -> None:
    (tmp_path / "file").write_text("in the way")
    mesh = cached_navmesh(VERTICES, FACES, folder=tmp_path / "file")
    assert len(mesh.sides) > 0
    assert (tmp_path / "file").read_text() == "in the way"


def test_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "mirage_env"
    cached_navmesh(VERTICES, FACES)
    assert len(list((tmp_path / "mirage_env" / "navigation").iterdir())) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder().is_absolute()
