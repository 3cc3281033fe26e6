"""Scenes as datasets of habitat-lab name them, and as simulators open them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mirage_env.simulators.rooms.splits import TOY

PREFIX = "data/scene_datasets/"
"""What habitat-lab takes off a scene id before it looks in ``scenes_dir``."""


def scene_argument(scene_id: str, scenes_dir: str | os.PathLike[str] | None = None) -> int | str:
    """What ``Simulator.reset`` takes for a scene id: a seed or "toy" of rooms, or the path of a scene file.

    A file is ``<scenes_dir>/<scene_id>``, and ``data/scene_datasets/`` at the beginning of an id is left out, as in
    habitat-lab. Without ``scenes_dir`` the id is the path as it is.

    Raises:
        FileNotFoundError: there is no such file in ``scenes_dir``.
        NotADirectoryError: there is no such folder.
    """
    if scene_id == TOY:
        return TOY
    if scene_id.isascii() and scene_id.isdecimal():
        return int(scene_id)
    if scenes_dir is None:
        return scene_id
    folder = Path(scenes_dir)
    if not folder.is_dir():
        raise NotADirectoryError(f"there is no folder scenes_dir={str(scenes_dir)!r}")
    path = folder / scene_id.removeprefix(PREFIX)
    if not path.is_file():
        raise FileNotFoundError(f"its scene {scene_id!r} is not in scenes_dir: there is no file {path}")
    return str(path)


def scene_id_of(scene: Any, scenes_dir: str | os.PathLike[str] | None = None) -> str:
    """The scene id under which ``scene_argument`` finds a scene again; the inverse.

    Raises:
        ValueError: the scene file is not in ``scenes_dir``.
    """
    text = os.fspath(scene) if isinstance(scene, os.PathLike) else str(scene)
    if scenes_dir is None or text == TOY or text.isdecimal():
        return Path(text).as_posix()
    try:
        return Path(text).resolve().relative_to(Path(scenes_dir).resolve()).as_posix()
    except ValueError:
        raise ValueError(f"the scene {text} is not in scenes_dir={str(scenes_dir)!r}") from None
