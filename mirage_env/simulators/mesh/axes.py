"""Which way is up in a scene file: habitat-sim's rules, and a check that the floor is where they say.

habitat-sim takes a bare ``.glb`` as z-up (front +y), every other bare file as y-up (front -z), and lets a
``<name>.stage_config.json`` beside the scene decide otherwise (``StageAttributesManager.cpp``). Of that file's fields
``origin`` and ``units_to_meters`` are read there and then used for nothing, so they change nothing here.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array

CONFIG_SUFFIX = ".stage_config.json"
Axis = str | Sequence[float]

_Y_UP = np.array([0.0, 1.0, 0.0])
_FRONT_OF_Y_UP = np.array([0.0, 0.0, -1.0])
_SQUARE = 1e-6  # habitat-sim compares with float32's epsilon


class StageConfig(NamedTuple):
    """What a stage configuration says: the scene file, and its frame where given.

    Attributes:
        render_asset: the scene file; None where it names none.
        up, front: (3,) directions in the file's frame, habitat-sim's defaults where it says nothing.
        scale: (3,) factors of the world axes.
    """

    render_asset: Path | None
    up: Array
    front: Array
    scale: Array


class Frame(NamedTuple):
    """How a scene file lies in the world.

    Attributes:
        up, front: (3,) unit directions in the file's frame, at right angles.
        scale: (3,) factors of the world axes.
        source: what decided: "argument", "stage config" or "habitat's default".
    """

    up: Array
    front: Array
    scale: Array
    source: str

    @property
    def T_world_file(self) -> Array:
        """(4, 4) float64: takes points of the file to the world (+Y up, -Z ahead)."""
        T = np.eye(4)
        T[:3, :3] = self.scale[:, None] * np.stack([np.cross(self.front, self.up), self.up, -self.front])
        return T


def choose_frame(path: Path, config: StageConfig | None, up: Axis | None, front: Axis | None) -> Frame:
    """The frame of a scene file: the arguments' first, then the stage configuration's, then habitat-sim's default.

    Raises:
        ValueError: an axis is none, or up and front are not at right angles.
    """
    scale = np.ones(3) if config is None else config.scale
    if up is not None or front is not None:
        upward = _axis(up, "up") if up is not None else choose_frame(path, config, None, None).up
        ahead = _axis(front, "front") if front is not None else _front_for(upward)
        if abs(upward @ ahead) > _SQUARE:
            raise ValueError(f"up={up!r} and front={front!r} must be at right angles")
        return Frame(upward, ahead, scale, "argument")
    if config is not None:
        return Frame(config.up, config.front, scale, "stage config")
    upward = np.array([0.0, 0.0, 1.0]) if path.suffix == ".glb" else _Y_UP
    return Frame(upward, _front_for(upward), scale, "habitat's default")


def read_stage_config(path: Path) -> StageConfig:
    """What a ``.stage_config.json`` says.

    Raises:
        ValueError: one sentence on what is wrong with it.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the stage config {path} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"the stage config {path} must be a JSON object, got a {type(fields).__name__}")
    asset = fields.get("render_asset") or fields.get("collision_asset")
    if asset is not None and not isinstance(asset, str):
        raise ValueError(f"render_asset in {path} must be a file name, got {asset!r}")
    up, front = (
        _axis(fields[name], f"{name} in {path}") if name in fields else default
        for name, default in (("up", _Y_UP), ("front", _FRONT_OF_Y_UP))
    )
    if abs(up @ front) > _SQUARE:
        warnings.warn(f"up and front in {path} are not at right angles: y-up, as in habitat-sim", stacklevel=2)
        up, front = _Y_UP, _FRONT_OF_Y_UP
    scale = _three(fields.get("scale", (1, 1, 1)), f"scale in {path}")
    if not (scale > 0).all():
        raise ValueError(f"scale in {path} must be above 0, got {scale.tolist()}")
    ignored = [n for n, plain in (("origin", [0, 0, 0]), ("units_to_meters", 1)) if fields.get(n, plain) != plain]
    if ignored:
        warnings.warn(f"{' and '.join(ignored)} in {path} change nothing, as in habitat-sim", stacklevel=2)
    return StageConfig(None if asset is None else path.parent / asset, up, front, scale)


def stage_config_of(path: Path) -> Path:
    """Where the stage configuration of a scene file lies, if there is one."""
    return path.with_name(path.stem + CONFIG_SUFFIX)


def _axis(value: Any, name: str) -> Array:
    """(3,) unit direction of "x", "-y" and so on, or of three numbers."""
    if isinstance(value, str):
        letter = value.strip().lower().lstrip("+-")
        if letter not in ("x", "y", "z") or len(value.strip()) > 2:
            raise ValueError(f"{name} must be x, y, z, -x, -y, -z or three numbers, got {value!r}")
        return (-1.0 if value.strip().startswith("-") else 1.0) * np.eye(3)["xyz".index(letter)]
    vector = _three(value, name)
    length = float(np.linalg.norm(vector))
    if not length > 0:
        raise ValueError(f"{name} must not be (0, 0, 0)")
    return vector / length


def _three(value: Any, name: str) -> Array:
    try:
        vector = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        vector = np.empty(0)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError(f"{name} must be three finite numbers, got {value!r}")
    return vector


def _front_for(up: Array) -> Array:
    """Where -z goes when +y is turned to ``up`` the shortest way; +y for z-up, as in habitat-sim."""
    axis = np.cross(_Y_UP, up)
    cosine = float(_Y_UP @ up)
    if cosine < -1 + 1e-9:
        return -_FRONT_OF_Y_UP
    crossed = np.cross(axis, _FRONT_OF_Y_UP)
    return _FRONT_OF_Y_UP + crossed + np.cross(axis, crossed) / (1 + cosine)
