"""PointNav episodes as values, and in files: those of habitat-lab (``PointNav-v1``, ``*.json.gz``).

Points are (x, y, z) in metres, world frame, on the floor. Rotations in files are quaternions in the order xyzw.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np

from mirage_env.files import atomic_write
from mirage_env.simulators.base import AgentStart

Point = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

SUFFIX = ".json.gz"
_LEVEL = 1e-3  # how far a rotation may be from a unit quaternion about +Y: more than float32 and 3 digits lose


@dataclass(frozen=True)
class Goal:
    """Where to go: a point on the floor. ``radius`` (metres or None) is kept; success is the task's to decide."""

    position: Point
    radius: float | None = None


@dataclass(frozen=True)
class PathPoint:
    """One step of a recorded way: where it begins, and the action that was taken there, as the file has it."""

    position: Any
    rotation: Any
    action: Any = None


@dataclass(frozen=True)
class Episode:
    """One episode of point-goal navigation. Field names, orders and defaults are habitat-lab's.

    Attributes:
        episode_id: unique in its scene; files with several scenes may have it once per scene.
        scene_id: which scene, see ``mirage_env.data.scene_ids``.
        start_position: of the agent's feet.
        start_rotation: xyzw, a turn about +Y; the agent looks along -Z turned by it.
        goals: at least one. Environments play episodes of exactly one.
        info: what else is known, JSON values by name; ``geodesic_distance`` in metres, usually.
        shortest_paths: recorded ways to the goals, or None.
        start_room: or None.
        scene_dataset_config: Habitat's name or file of the scene dataset.
        additional_obj_config_paths: Habitat's further folders of object configurations.

    Raises:
        ValueError: one sentence that names the episode, for any field that is not so.
    """

    episode_id: str
    scene_id: str
    start_position: Point
    start_rotation: Quaternion
    goals: tuple[Goal, ...]
    info: Mapping[str, Any] | None = None
    shortest_paths: tuple[tuple[PathPoint, ...], ...] | None = None
    start_room: str | None = None
    scene_dataset_config: str = "default"
    additional_obj_config_paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.episode_id, str) or not self.episode_id:
            raise ValueError(f"an episode needs an episode_id, a string that is not empty, got {self.episode_id!r}")
        for name in ("scene_id", "scene_dataset_config"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                self._refuse(f"{name} must be a string that is not empty, got {getattr(self, name)!r}")
        self._become("start_position", self._numbers(self.start_position, "start_position", "(x, y, z) in metres", 3))
        self._become("start_rotation", self._level(self.start_rotation))
        if not isinstance(self.goals, Sequence) or not all(isinstance(goal, Goal) for goal in self.goals):
            self._refuse(f"goals must be a sequence of Goal, got {self.goals!r}")
        if not self.goals:
            self._refuse("it has no goal; PointNav needs one")
        self._become("goals", tuple(self._goal(goal) for goal in self.goals))
        self._check_info()
        if self.start_room is not None and not isinstance(self.start_room, str):
            self._refuse(f"start_room must be a string or null, got {self.start_room!r}")
        paths = self.additional_obj_config_paths
        if isinstance(paths, str) or not isinstance(paths, Sequence) or not all(isinstance(p, str) for p in paths):
            self._refuse(f"additional_obj_config_paths must be a list of strings, got {paths!r}")
        self._become("additional_obj_config_paths", tuple(paths))

    @property
    def start(self) -> AgentStart:
        """Where the agent begins, yaw in [-pi, pi]."""
        _, y, _, w = self.start_rotation
        return AgentStart(self.start_position, math.remainder(2 * math.atan2(y, w), math.tau))

    @property
    def geodesic_distance(self) -> float | None:
        """Metres of floor from start to goal as the file says; None where it does not."""
        distance = (self.info or {}).get("geodesic_distance")
        return None if distance is None else float(distance)

    def _goal(self, goal: Goal) -> Goal:
        place = self._numbers(goal.position, "a goal's position", "(x, y, z) in metres", 3)
        if goal.radius is not None and not (is_finite(goal.radius) and goal.radius >= 0):
            self._refuse(f"a goal's radius must be finite metres, 0 or above, or null, got {goal.radius!r}")
        return Goal(cast(Point, place), None if goal.radius is None else float(goal.radius))

    def _level(self, rotation: Any) -> Quaternion:
        x, y, z, w = self._numbers(rotation, "start_rotation", "(x, y, z, w)", 4)
        norm = math.sqrt(x * x + y * y + z * z + w * w)
        if abs(norm - 1) > _LEVEL:
            self._refuse(f"start_rotation must be a unit quaternion (x, y, z, w), but its length is {norm:.4g}")
        if max(abs(x), abs(z)) > _LEVEL:
            self._refuse(
                f"start_rotation must turn about +Y only, so that the agent stands level: (0, y, 0, w) in the order "
                f"xyzw, got ({x:.4g}, {y:.4g}, {z:.4g}, {w:.4g})"
            )
        return x, y, z, w

    def _numbers(self, value: Any, name: str, what: str, count: int) -> Any:
        several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
        if not several or len(value) != count or not all(map(is_finite, value)):
            self._refuse(f"{name} must be {count} finite numbers {what}, got {_short(value)}")
        return tuple(float(one) for one in value)

    def _check_info(self) -> None:
        if self.info is None:
            return
        if not isinstance(self.info, Mapping):
            self._refuse(f"info must be a dictionary or null, got {_short(self.info)}")
        distance = self.info.get("geodesic_distance")
        if distance is not None and not (is_finite(distance) and distance >= 0):
            self._refuse(f"info: geodesic_distance must be finite metres, 0 or above, got {distance!r}")

    def _become(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _refuse(self, what: str) -> NoReturn:
        raise ValueError(f"episode {self.episode_id!r}: {what}")


def rotation_of(yaw: float) -> Quaternion:
    """The quaternion xyzw of an agent with this yaw in radians."""
    return 0.0, math.sin(yaw / 2), 0.0, math.cos(yaw / 2)


def read_episodes(path: str | Path, content_scenes: Sequence[str] = ("*",)) -> tuple[Episode, ...]:
    """The episodes of a PointNav dataset of habitat-lab, in its order.

    As there, the folder ``content`` beside the file (or where its ``content_scenes_path`` says) adds one file per
    scene, in the order of their names.

    Args:
        path: ``<split>.json.gz``.
        content_scenes: names of the files in that folder, without the ending; "*": all.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: one sentence that names the file, and the episode if one is wrong. Datasets of other tasks
            (ObjectNav, ImageNav, VLN, ...) are refused by name.
    """
    from mirage_env.data.episode_json import read_dataset

    return read_dataset(Path(path), content_scenes)


def write_episodes(path: str | Path, episodes: Iterable[Episode]) -> None:
    """Write a dataset that ``read_episodes`` and habitat-lab read, whole or not at all.

    The same episodes give the same bytes. Numbers come back exactly.

    Raises:
        TypeError, ValueError: one sentence on what cannot be written. No file has changed then.
    """
    target, listed = Path(path), tuple(episodes)
    if not target.name.endswith(SUFFIX) or target.name == SUFFIX:
        raise ValueError(f"a file of episodes is named <split>{SUFFIX}, as habitat-lab looks for it, got {target.name}")
    if not listed:
        raise ValueError(f"there are no episodes to write to {target}")
    text = _text(listed)
    with (
        atomic_write(target) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
    ):
        packed.write(text.encode())


def _text(episodes: Iterable[Episode]) -> str:
    """The JSON of a dataset; raises like ``write_episodes``."""
    from mirage_env.data.episode_json import to_json

    told: list[str] = []
    known: set[tuple[str, str]] = set()
    for episode in episodes:
        if not isinstance(episode, Episode):
            raise TypeError(f"episodes must be mirage_env.data.episodes.Episode, got {type(episode).__name__}")
        if (episode.scene_id, episode.episode_id) in known:
            raise ValueError(f"two episodes of scene {episode.scene_id!r} have the id {episode.episode_id!r}")
        known.add((episode.scene_id, episode.episode_id))
        try:
            told.append(json.dumps(to_json(episode), separators=(",", ":"), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"episode {episode.episode_id!r} holds what JSON cannot: {error}") from error
    return f'{{"episodes":[{",".join(told)}]}}'


def is_finite(value: Any) -> bool:
    """Whether this is a finite number that a float can hold, and no bool."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
