"""The JSON of habitat-lab's PointNav datasets (``habitat/datasets/pointnav/pointnav_dataset.py``), read with care."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mirage_env.data.episodes import Episode, Goal, PathPoint

CONTENT_SCENES_PATH = "{data_path}/content/{scene}.json.gz"
ALL_SCENES = "*"

_KEYS = {
    "episode_id",
    "scene_id",
    "start_position",
    "start_rotation",
    "goals",
    "info",
    "shortest_paths",
    "start_room",
    "scene_dataset_config",
    "additional_obj_config_paths",
}
_NEEDED = ("episode_id", "scene_id", "start_position", "start_rotation", "goals")
_INTERNAL = {"_shortest_path_cache"}
"""What habitat-lab's own encoder left in some files."""

OTHER_TASKS = {
    "goal_image_id": "ImageNav",
    "image_goals": "ImageNav",
    "goal_key": "ImageNav",
    "instruction": "R2R VLN",
    "instructions": "R2R VLN",
    "instruction_vocab": "R2R VLN",
    "reference_path": "R2R VLN",
    "question": "EQA",
    "question_vocab": "EQA",
    "goals_by_category": "ObjectNav",
    "object_category": "ObjectNav",
    "category_to_task_category_id": "ObjectNav",
    "category_to_mp3d_category_id": "ObjectNav",
    "category_to_scene_annotation_category_id": "ObjectNav",
    "object_id": "ObjectNav",
    "view_points": "ObjectNav",
    "room_id": "RoomNav",
    "rigid_objs": "Rearrange",
    "ao_states": "Rearrange",
    "target_receptacles": "Rearrange",
}
"""Keys by which other datasets of habitat-lab are known, the most telling first."""


def read_dataset(path: Path, content_scenes: Sequence[str]) -> tuple[Episode, ...]:
    """See ``mirage_env.data.episodes.read_episodes``."""
    if isinstance(content_scenes, str):
        raise TypeError(f"content_scenes must be a sequence of names, got the string {content_scenes!r}")
    dataset = _dataset(path)
    episodes = [*_episodes(dataset, path)]
    files = _content_files(path, dataset.get("content_scenes_path", CONTENT_SCENES_PATH), content_scenes)
    for file in files:
        episodes += _episodes(_dataset(file), file)
    if not episodes:
        raise ValueError(f"{path} holds no episodes{' and nor does its content folder' if files else ''}")
    return tuple(episodes)


def to_json(episode: Episode) -> dict[str, Any]:
    """An episode as habitat-lab has it in files; what is default there is left out where old versions know it not."""
    paths = episode.shortest_paths
    told: dict[str, Any] = {
        "episode_id": episode.episode_id,
        "scene_id": episode.scene_id,
        "start_position": list(episode.start_position),
        "start_rotation": list(episode.start_rotation),
        "info": None if episode.info is None else dict(episode.info),
        "goals": [{"position": list(goal.position), "radius": goal.radius} for goal in episode.goals],
        "shortest_paths": None if paths is None else [[vars(point) for point in path] for path in paths],
        "start_room": episode.start_room,
    }
    if episode.scene_dataset_config != "default":
        told["scene_dataset_config"] = episode.scene_dataset_config
    if episode.additional_obj_config_paths:
        told["additional_obj_config_paths"] = list(episode.additional_obj_config_paths)
    return told


def _dataset(path: Path) -> dict[str, Any]:
    """The dictionary that a file holds, with a list ``episodes``; of PointNav, as far as its own keys tell."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the dataset's file, such as {path / 'val.json.gz'}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of episodes {path}")
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is truncated or damaged: {error}") from error
    try:
        dataset = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no JSON, gzipped or plain, so it is no dataset of habitat-lab") from error
    if not isinstance(dataset, dict):
        raise ValueError(f"{path} is no dataset of habitat-lab: it holds a {type(dataset).__name__}, not a dictionary")
    _check_task(dataset, path)
    if isinstance(dataset.get("goals"), dict):
        _refuse_task(path, "ImageNav", "goals")
    if not isinstance(dataset.get("episodes"), list):
        raise ValueError(f"{path} is no dataset of habitat-lab: it has no list 'episodes'")
    return dataset


def _episodes(dataset: dict[str, Any], path: Path) -> list[Episode]:
    made = []
    for number, told in enumerate(dataset["episodes"]):
        try:
            if not isinstance(told, dict):
                raise ValueError(f"episode number {number} (from 0) is of type {type(told).__name__}, not a dictionary")
            _check_task(told, path)
            made.append(_episode(told, number, path))
        except _OtherTask:
            raise
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return made


def _episode(told: dict[str, Any], number: int, path: Path) -> Episode:
    name = f"episode {told['episode_id']!r}" if "episode_id" in told else f"episode number {number} (from 0)"
    missing = [key for key in _NEEDED if told.get(key) is None]
    if missing:
        raise ValueError(f"{name} has no {', '.join(missing)}")
    fields = {key: value for key, value in told.items() if key not in _INTERNAL}
    unknown = sorted(fields.keys() - _KEYS)
    if unknown:
        raise ValueError(f"{name} has {', '.join(unknown)}, which PointNav episodes of habitat-lab do not have")
    for key in ("scene_dataset_config", "additional_obj_config_paths"):
        if fields.get(key, ...) is None:
            del fields[key]
    fields["episode_id"] = _text(told["episode_id"])
    fields["goals"] = tuple(_goals(told["goals"], name, path))
    if told.get("shortest_paths") is not None:
        fields["shortest_paths"] = _paths(told["shortest_paths"], name)
    return Episode(**fields)


def _goals(told: Any, name: str, path: Path) -> list[Goal]:
    if not isinstance(told, list):
        raise ValueError(f"{name}: goals must be a list, got {type(told).__name__}")
    goals = []
    for goal in told:
        if not isinstance(goal, dict):
            raise ValueError(f"{name}: a goal must be a dictionary with a position, got {type(goal).__name__}")
        _check_task(goal, path)
        if goal.get("position") is None:
            raise ValueError(f"{name}: a goal has no position")
        unknown = sorted(goal.keys() - {"position", "radius"})
        if unknown:
            raise ValueError(f"{name}: a goal has {', '.join(unknown)}, which those of PointNav do not have")
        goals.append(Goal(**goal))
    return goals


def _paths(told: Any, name: str) -> tuple[tuple[PathPoint, ...], ...]:
    fits = isinstance(told, list) and all(isinstance(path, list) for path in told)
    points = [point for path in told for point in path] if fits else []
    if not fits or not all(isinstance(p, dict) and {"position", "rotation"} <= p.keys() for p in points):
        raise ValueError(f"{name}: shortest_paths must be lists of points with a position and a rotation, or null")
    if any(point.keys() - {"position", "rotation", "action"} for point in points):
        raise ValueError(f"{name}: a point of shortest_paths has more than a position, a rotation and an action")
    return tuple(tuple(PathPoint(**point) for point in path) for path in told)


def _content_files(path: Path, pattern: Any, content_scenes: Sequence[str]) -> list[Path]:
    """The files with the episodes of single scenes, sorted by name; none where there is no folder of them."""
    if not isinstance(pattern, str) or pattern.count("{scene}") != 1:
        raise ValueError(f"{path}: content_scenes_path must be a path with one {{scene}} in it, got {pattern!r}")
    before, after = pattern.split("{scene}")
    folder = Path(before.replace("{data_path}", str(path.parent)))
    if not folder.is_dir() or folder == path.parent:
        return []
    there = {file.name.removesuffix(after): file for file in folder.iterdir() if file.name.endswith(after)}
    if ALL_SCENES in content_scenes:
        return [there[scene] for scene in sorted(there)]
    for scene in content_scenes:
        if scene not in there:
            raise FileNotFoundError(f"there are no episodes of the scene {scene!r} in {folder}")
    return [there[scene] for scene in content_scenes]


class _OtherTask(ValueError):
    """The file is of another task; one sentence that names the file already."""


def _check_task(told: dict[str, Any], path: Path) -> None:
    """Raise where a dataset, an episode or a goal has a key that tells of another task."""
    for key, task in OTHER_TASKS.items():
        if told.get(key) is not None:
            _refuse_task(path, task, key)
    for key in told:
        if "image" in key:
            _refuse_task(path, "ImageNav", key)


def _refuse_task(path: Path, task: str, key: str) -> NoReturn:
    raise _OtherTask(f"{path} holds {task} episodes (they have {key!r}), which are not supported; give PointNav ones")


def _text(episode_id: Any) -> Any:
    """Ids are strings; some writers left numbers."""
    return str(episode_id) if isinstance(episode_id, int) and not isinstance(episode_id, bool) else episode_id
