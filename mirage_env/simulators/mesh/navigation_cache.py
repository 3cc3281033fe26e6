"""Navigable spaces kept on disk, so that a scene's is built once: a file per mesh and settings, named by their hash."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mirage_env.files import atomic_write
from mirage_env.geometry import Array
from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.navmesh.build import NavMesh, build_navmesh, checked_mesh
from mirage_env.simulators.mesh.navmesh.settings import NavigationSettings

_FORMAT = 1
"""Counts up whenever the same mesh and settings give another space or another file."""


_METADATA = "mirage_env navigable space"


def cache_folder() -> Path:
    """Where the user's files that can be made again are: ``$XDG_CACHE_HOME/mirage_env``, by default in ~/.cache.

    ~/Library/Caches on macOS and %LOCALAPPDATA% on Windows where XDG_CACHE_HOME is not set.
    """
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    if chosen and Path(chosen).is_absolute():
        return Path(chosen) / "mirage_env"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mirage_env"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "mirage_env" / "Cache"
    return Path.home() / ".cache" / "mirage_env"


def open_navigation(
    vertices: Array,
    faces: Array,
    settings: NavigationSettings | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> MeshNavigation:
    """Navigation on a mesh; see ``cached_navmesh``."""
    return MeshNavigation(cached_navmesh(vertices, faces, settings, folder))


def cached_navmesh(
    vertices: Array,
    faces: Array,
    settings: NavigationSettings | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> NavMesh:
    """The navigable space of a mesh, read from the cache or built and kept there.

    A file that is damaged or not ours is replaced. Where nothing can be written, the space is built every time.

    Args:
        vertices: (V, 3) metres, world frame, +Y up.
        faces: (F, 3) int.
        settings: None: the defaults.
        folder: None: ``navigation`` in the user's cache folder.

    Raises:
        ValueError: as ``build_navmesh``.
    """
    settings = NavigationSettings() if settings is None else settings
    vertices, faces = checked_mesh(vertices, faces)
    key = content_key(vertices, faces, settings)
    path = (cache_folder() / "navigation" if folder is None else Path(folder)) / f"{key}.safetensors"
    mesh = _read(path, key)
    if mesh is None:
        mesh = build_navmesh(vertices, faces, settings)
        with suppress(OSError):  # a read-only home, a full disk: the space is as good without its copy
            _write(path, key, mesh)
    return mesh


def content_key(vertices: Array, faces: Array, settings: NavigationSettings) -> str:
    """The hash of vertices (V, 3) float32, faces (F, 3) int32 and settings, as 64 hexadecimal digits."""
    described = {name: float(value) for name, value in asdict(settings).items()}
    header = {"format": _FORMAT, "vertices": len(vertices), "faces": len(faces), "settings": described}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(vertices.astype("<f4").tobytes())
    digest.update(faces.astype("<i4").tobytes())
    return digest.hexdigest()


def _digest(arrays: dict[str, Array]) -> str:
    digest = hashlib.sha256()
    for name in NavMesh._fields:
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _write(path: Path, key: str, mesh: NavMesh) -> None:
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in mesh._asdict().items()}
    metadata = {_METADATA: json.dumps({"key": key, "sha256": _digest(arrays)})}  # one entry: several come in any order
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(arrays, metadata))


def _read(path: Path, key: str) -> NavMesh | None:
    """The space in a file; None where there is none, or not the one that was written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, Any] = json.loads((file.metadata() or {}).get(_METADATA, "{}"))
            if metadata.get("key") != key or set(file.keys()) != set(NavMesh._fields):
                return None
            arrays = {name: np.array(file.get_tensor(name)) for name in NavMesh._fields}
    except (OSError, SafetensorError, ValueError, TypeError):
        return None
    return NavMesh(**arrays) if _digest(arrays) == metadata.get("sha256") else None
