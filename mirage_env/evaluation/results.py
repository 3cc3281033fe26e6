"""The folder of a world evaluation: one small file per episode and part, so that it can be interrupted and resumed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mirage_env.evaluation.provenance import plain, write_json
from mirage_env.evaluation.settings import Settings
from mirage_env.files import described_alike, writable_folder

SETTINGS = "settings.json"
EPISODES = "episodes"


def prepare_folder(folder: Path, settings: Settings) -> None:
    """Make the folder, or refuse one that holds results of other settings.

    Raises:
        ValueError: its settings differ, or their file is damaged.
        OSError: it cannot be made or written.
    """
    writable_folder(folder / EPISODES)
    for leftover in (folder / EPISODES).glob(".*.tmp.*"):
        leftover.unlink(missing_ok=True)
    path, described = folder / SETTINGS, plain(asdict(settings))
    if not described_alike(path, described, "evaluate", "an evaluation"):
        write_json(path, described)


def part_path(folder: Path, episode: int, part: str) -> Path:
    """The file of one part of one episode."""
    return folder / EPISODES / f"{episode:05d}-{part}.json"


def sheet_path(folder: Path, episode: int) -> Path:
    """The contact sheet of one episode."""
    return folder / EPISODES / f"{episode:05d}.png"


def write_part(folder: Path, episode: int, part: str, result: dict[str, Any]) -> None:
    """Keep what a part measured; the name appears only when the file is complete."""
    write_json(part_path(folder, episode, part), result)


def read_part(folder: Path, episode: int, part: str) -> dict[str, Any] | None:
    """What a part measured; None where that is not known, a damaged file included."""
    try:
        found = json.loads(part_path(folder, episode, part).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def missing_parts(folder: Path, episode: int, parts: tuple[str, ...], settings: Settings) -> tuple[str, ...]:
    """The parts that are still to be measured in an episode."""
    asked = (part for part in parts if episode < settings.episodes_of(part))
    return tuple(part for part in asked if read_part(folder, episode, part) is None)
