"""Trajectories on disk: one safetensors file each, with everything that training needs and nothing that runs code.

Tensors of a shard of T frames::

    rgb         (T, H, W, 3)  uint8
    depth       (T, H, W)     uint16   z-depth in millimetres, 0 for "no measurement"
    poses       (T, 4, 4)     float32  T_world_camera
    intrinsics  (3, 3)        float32
    actions     (T,)          int8     taken after each frame, -1 after the last
    collided    (T,)          uint8    whether the motion that led to the frame was blocked

The header's ``meta`` is JSON: format, version, scene, episode, seed, hfov (degrees), camera_height and whatever else
the collector notes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mirage_env.files import atomic_write
from mirage_env.geometry import Array

FORMAT, VERSION = "mirage-env trajectory", 1
_TENSORS = {"rgb": "U8", "depth": "U16", "poses": "F32", "intrinsics": "F32", "actions": "I8", "collided": "U8"}


@dataclass(frozen=True)
class Trajectory:
    """T consecutive views of one walk through one scene.

    Attributes:
        rgb: (T, H, W, 3) uint8.
        depth: (T, H, W) float32 z-depth in metres, 0 for "no measurement"; kept on disk to the millimetre, below 65 m.
        poses: (T, 4, 4) float32 T_world_camera.
        intrinsics: (3, 3) float32, in pixels.
        actions: (T,) int8, taken after each frame (Habitat's discrete actions), -1 after the last.
        collided: (T,) bool, whether the motion that led to the frame was blocked.
        meta: scene, episode, seed, hfov, camera_height and more, JSON values.
    """

    rgb: Array
    depth: Array
    poses: Array
    intrinsics: Array
    actions: Array
    collided: Array
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rgb)


def shard_path(folder: str | Path, episode: int) -> Path:
    """Where the trajectory of this episode lies."""
    return Path(folder) / f"episode-{episode:06d}.safetensors"


def list_shards(folder: str | Path) -> list[Path]:
    """All shards of a folder, by episode.

    Raises:
        FileNotFoundError: when there is no such folder or it holds no shard.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; collect trajectories into it first (mirage-env collect)")
    paths = sorted(folder.glob("episode-*.safetensors"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no shards (episode-*.safetensors); run mirage-env collect first")
    return paths


def write_shard(path: str | Path, trajectory: Trajectory) -> None:
    """Write a shard to a temporary name, then rename it, so that a shard is either whole or absent."""
    tensors = {
        "rgb": trajectory.rgb,
        "depth": np.rint(np.clip(trajectory.depth, 0.0, 65.535) * 1000.0).astype(np.uint16),
        "poses": trajectory.poses.astype(np.float32),
        "intrinsics": trajectory.intrinsics.astype(np.float32),
        "actions": trajectory.actions.astype(np.int8),
        "collided": trajectory.collided.astype(np.uint8),
    }
    meta = {"format": FORMAT, "version": VERSION, **trajectory.meta}
    with atomic_write(path) as temporary:
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, temporary, {"meta": json.dumps(meta)})


def read_shard(path: str | Path, start: int = 0, stop: int | None = None) -> Trajectory:
    """The frames start..stop of a shard (all by default); only they are read from disk.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for a truncated, foreign or newer file, or frames that the shard does not have.
    """
    with _opened(path) as (file, meta):
        count = file.get_slice("rgb").get_shape()[0]
        end: int = count if stop is None else stop
        if not 0 <= start < end <= count:
            raise ValueError(f"{path} has frames 0..{count - 1}; cannot read {start}..{end - 1}")
        part = {name: file.get_slice(name)[start:end] for name in ("rgb", "depth", "poses", "actions", "collided")}
        K = file.get_tensor("intrinsics")
    depth = part["depth"].astype(np.float32) / np.float32(1000.0)
    return Trajectory(part["rgb"], depth, part["poses"], K, part["actions"], part["collided"].astype(bool), meta)


def read_meta(path: str | Path) -> dict[str, Any]:
    """The ``meta`` of a shard, and ``frames``, ``height`` and ``width``; checks the file's header, reads no pixels."""
    with _opened(path) as (file, meta):
        frames, height, width, _ = file.get_slice("rgb").get_shape()
    return {**meta, "frames": frames, "height": height, "width": width}


def is_valid(path: str | Path) -> bool:
    """Whether a whole shard of this version lies at path."""
    try:
        read_meta(path)
    except (FileNotFoundError, ValueError):
        return False
    return True


class _opened:
    """Context manager: a checked open file and its meta, with one ValueError for everything that can be wrong."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def __enter__(self) -> tuple[Any, dict[str, Any]]:
        path = self._path
        if not path.is_file():
            raise FileNotFoundError(f"there is no shard at {path}")
        try:
            self._file = safe_open(path, framework="numpy")
            file = self._file.__enter__()
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is truncated or not a safetensors file ({error}); collect it again") from error
        try:
            meta = _check(path, file)
        except ValueError:
            self._file.__exit__(None, None, None)
            raise
        return file, meta

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)


def _check(path: Path, file: Any) -> dict[str, Any]:
    try:
        meta = json.loads((file.metadata() or {}).get("meta", ""))
        if meta["format"] != FORMAT:
            raise KeyError
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a trajectory of mirage-env collect: its header lacks '{FORMAT}'") from error
    if meta["version"] != VERSION:
        raise ValueError(f"{path} has format version {meta['version']}; this mirage-env reads version {VERSION}")
    names = set(file.keys())
    if not set(_TENSORS) <= names:
        raise ValueError(f"{path} lacks the tensors {sorted(set(_TENSORS) - names)}")
    slices = {name: file.get_slice(name) for name in _TENSORS}
    wrong = [name for name, dtype in _TENSORS.items() if slices[name].get_dtype() != dtype]
    shape = slices["rgb"].get_shape()
    t, h, w = shape[:3] if len(shape) == 4 else (-1, -1, -1)
    expected = {"rgb": [t, h, w, 3], "depth": [t, h, w], "poses": [t, 4, 4], "intrinsics": [3, 3]}
    expected |= {"actions": [t], "collided": [t]}
    wrong += [name for name, s in expected.items() if list(slices[name].get_shape()) != s]
    if wrong:
        raise ValueError(f"{path} has tensors of the wrong shape or type: {', '.join(sorted(set(wrong)))}")
    return meta


def iterate(folder: str | Path) -> Iterator[Trajectory]:
    """All trajectories of a folder, one after the other."""
    return (read_shard(path) for path in list_shards(folder))
