"""What all benchmarks say in the same way: their options, goals and reports."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirage_env.evaluation import provenance


def parser(description: str | None) -> argparse.ArgumentParser:
    """With the options that ``mirage-env bench`` gives to every benchmark."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="fewer and shorter runs: does it work, not how fast is it")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    return made


def model_parser(description: str | None) -> argparse.ArgumentParser:
    """``parser`` of benchmarks that imagine: with which model, and from which seed."""
    made = parser(description)
    made.add_argument("--model", default="tiny", help="bundled name, folder or hub id (tiny)")
    made.add_argument("--seed", type=int, default=0, help="0 or above (0)")
    return made


def goal(text: str, value: float, unit: str, *, at_most: float | None = None, at_least: float | None = None) -> str:
    """One line: what was measured, the goal for it, and whether it was reached."""
    reached = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    wanted = f"<= {at_most:g}" if at_most is not None else f">= {at_least:g}"
    return f"{text:<58} {value:10.2f} {unit:<8} goal {wanted} {unit}: {'reached' if reached else 'MISSED'}"


def write(arguments: argparse.Namespace, benchmark: str, found: dict[str, Any]) -> None:
    """The report as JSON, where ``--json`` asks for one: what was measured, with what, and on what."""
    if arguments.json:
        report = {"benchmark": benchmark, "arguments": vars(arguments), **found}
        report |= {"versions": provenance.versions(), "device": provenance.device()}
        provenance.write_json(arguments.json, report)
