"""Scene files as habitat-sim opens them: geometry, textures and the rules of the axes."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.assemble import AlphaMask, assemble
from mirage_env.simulators.mesh.axes import (
    CONFIG_SUFFIX,
    Axis,
    Frame,
    StageConfig,
    choose_frame,
    read_stage_config,
    stage_config_of,
)
from mirage_env.simulators.mesh.floor import check_floor
from mirage_env.simulators.mesh.gltf import read_gltf
from mirage_env.simulators.mesh.trimesh_files import read_with_trimesh
from mirage_env.simulators.raycast import TexturedMesh

SUFFIXES = (".glb", ".gltf", ".obj", ".ply")
_FORMAT = b"mesh scene 1"
_MAX_OPEN = 4


@dataclass(frozen=True, eq=False)
class MeshScene:
    """A scene file in our world: metres, +Y up.

    Attributes:
        path: the scene file, absolute.
        name: its name without suffix.
        mesh: all triangles; unlit, vertex colours are its ``light``.
        masks: for each of the mesh's textures, where it has holes; None: nowhere.
        frame: how the file's axes were taken.
        content_hash: hexadecimal; the same file, buffers, textures and frame give the same.
        files: all files that it was read from, stage configuration apart.
    """

    path: Path
    name: str
    mesh: TexturedMesh
    masks: tuple[AlphaMask | None, ...]
    frame: Frame
    content_hash: str
    files: tuple[Path, ...]

    @property
    def bounds(self) -> Array:
        """(2, 3) float32: the lowest and the highest coordinates."""
        return np.stack([self.mesh.vertices.min(axis=0), self.mesh.vertices.max(axis=0)])


def load_scene(path: str | os.PathLike[str], up: Axis | None = None, front: Axis | None = None) -> MeshScene:
    """Open a ``.glb``, ``.gltf``, ``.obj`` or ``.ply`` scene, or the ``.stage_config.json`` of one.

    A ``<name>.stage_config.json`` beside the scene says which way is up, as in habitat-sim; a bare ``.glb`` is z-up,
    other bare files are y-up.

    Args:
        path: the file.
        up, front: which way up and ahead are in the file, "x", "-z" and so on, or three numbers; before all else.

    Raises:
        FileNotFoundError: the scene, or a file that it names, is missing.
        ValueError: one sentence on what is wrong with the scene, or that its floor seems to be elsewhere.
    """
    file, config = _files(path)
    frame = choose_frame(file, config, up, front)
    read = read_gltf if file.suffix.lower() in (".glb", ".gltf") else read_with_trimesh
    parts, materials, digest, files = read(file)
    try:
        mesh, masks = assemble(parts, materials, frame.T_world_file)
    except ValueError as error:
        raise ValueError(f"{file} {error}") from None
    check_floor(mesh, frame, file)
    decides = hashlib.sha256(_FORMAT + digest.encode() + np.ascontiguousarray(frame.T_world_file).tobytes())
    return MeshScene(file, file.stem, mesh, masks, frame, decides.hexdigest(), files)


def open_scene(path: str | os.PathLike[str], up: Axis | None = None, front: Axis | None = None) -> MeshScene:
    """``load_scene``, which keeps the last few scenes of this process for as long as their files do not change."""
    key = (str(Path(path).expanduser().absolute()), _plain(up), _plain(front))
    with _opening:
        if key in _open and _open[key][1] == _stamps(_open[key][0], key[0]):
            _open.move_to_end(key)
            return _open[key][0]
        _open.pop(key, None)
        scene = load_scene(path, up, front)
        _open[key] = scene, _stamps(scene, key[0])
        while len(_open) > _MAX_OPEN:
            _open.popitem(last=False)
        return scene


_open: OrderedDict[tuple, tuple[MeshScene, tuple]] = OrderedDict()
_opening = threading.Lock()


def _files(path: str | os.PathLike[str]) -> tuple[Path, StageConfig | None]:
    """The scene file, and what a stage configuration says of it."""
    given = Path(path).expanduser().absolute()
    if given.name.endswith(CONFIG_SUFFIX):
        if not given.is_file():
            raise FileNotFoundError(f"the stage config {given} does not exist")
        config = read_stage_config(given)
        if config.render_asset is None:
            raise ValueError(f"the stage config {given} names no render_asset")
        return _scene_file(config.render_asset), config
    beside = stage_config_of(given)
    config = read_stage_config(beside) if beside.is_file() and given.suffix.lower() in SUFFIXES else None
    if config is None or config.render_asset is None:
        return _scene_file(given), config
    if not given.exists():
        _scene_file(given)
    return _scene_file(config.render_asset), config


def _scene_file(path: Path) -> Path:
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a scene is a file: {', '.join(SUFFIXES)}")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path} is no scene file that can be opened; use {', '.join(SUFFIXES)}")
    if not path.exists():
        raise FileNotFoundError(f"the scene {path} does not exist")
    return path


def _stamps(scene: MeshScene, asked: str) -> tuple:
    """What changes when a file of the scene does, or the stage configuration that may decide its frame."""
    stamps = []
    for path in (*scene.files, Path(asked), stage_config_of(Path(asked))):
        try:
            status = path.stat()
            stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
        except OSError:
            stamps.append(None)
    return tuple(stamps)


def _plain(axis: Axis | None) -> object:
    return axis if axis is None or isinstance(axis, str) else tuple(np.asarray(axis).ravel().tolist())
