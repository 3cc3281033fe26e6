"""The report of a world evaluation: report.json with every number, report.md with tables, and pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mirage_env.evaluation import provenance, results
from mirage_env.evaluation.contact_sheet import stack_sheets
from mirage_env.evaluation.goals import Goal, score
from mirage_env.evaluation.perceptual import why_not
from mirage_env.evaluation.report_plots import draw_plots
from mirage_env.evaluation.report_text import describe
from mirage_env.evaluation.settings import PARTS, Settings
from mirage_env.evaluation.summary import Entry, Summary, summarise
from mirage_env.files import atomic_write

SHEETS_SHOWN = 6
"""Episodes on the contact sheet of the report."""


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        folder: where report.json, report.md and the pictures are.
        settings: of the evaluation.
        summary: all numbers over episodes.
        goals: each with its number and whether it was reached, None where it was not measured.
        text: report.md.
        data: report.json.
    """

    folder: Path
    settings: Settings
    summary: Summary
    goals: list[tuple[Goal, Entry, bool | None]]
    text: str
    data: dict[str, Any]


def write_report(folder: Path, settings: Settings, episodes: int, seconds: float) -> Report:
    """Summarise what the folder holds of the first ``episodes`` episodes, and write the report beside it.

    Args:
        seconds: that this run took.
    """
    found = [_episode(folder, number) for number in range(episodes)]
    measured = [{part: result[part] for part in PARTS if part in result} for result in found]
    summary = summarise(measured, settings.seed)
    goals = score(summary, settings)
    pictures = draw_plots(folder, summary, settings)
    sheets = [path for n in range(min(episodes, SHEETS_SHOWN)) if (path := results.sheet_path(folder, n)).exists()]
    if sheets:
        stack_sheets(sheets, folder / "contact_sheet.png")
        pictures["contact_sheet"] = "contact_sheet.png"
    data = {
        "evaluation": "world",
        "settings": asdict(settings),
        "episodes_counted": episodes,
        "goals": [
            {"text": goal.text, "goal": goal.bound, **entry._asdict(), "reached": reached}
            for goal, entry, reached in goals
        ],
        "summary": {
            part: {key: entry._asdict() for key, entry in entries.items()} for part, entries in summary.entries.items()
        },
        "lpips": why_not() or "measured",
        "pictures": pictures,
        "seconds_of_this_run": seconds,
        "seconds_measuring": sum(result[part].get("seconds") or 0.0 for result in measured for part in result),
        "versions": provenance.versions(),
        "device": provenance.device(),
        "episodes": [_without_cells(episode) for episode in found],
    }
    text = describe(summary, goals, settings, data)
    provenance.write_json(folder / "report.json", data)
    with atomic_write(folder / "report.md") as temporary:
        temporary.write_text(text)
    return Report(folder, settings, summary, goals, text, data)


def _episode(folder: Path, number: int) -> dict[str, Any]:
    parts = {part: results.read_part(folder, number, part) for part in PARTS}
    known: dict[str, Any] = {part: result for part, result in parts.items() if result is not None}
    scene = next((result.get("scene") for result in known.values()), None)
    return {"episode": number, "scene": scene, **known}


def _without_cells(episode: dict[str, Any]) -> dict[str, Any]:
    return {
        part: {k: v for k, v in result.items() if k != "cells"} if isinstance(result, dict) else result
        for part, result in episode.items()
    }
