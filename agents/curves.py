"""Plot what runs achieve in the truth while they learn: one line per run, one colour per world they learn in.

python -m agents.curves runs/a0 runs/a1 runs/b0 runs/b1 --out curves.png
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.run_folder import BEST_BY, read_curve
from mirage_env.evaluation.plots import BLUE, GREY, INK, RED, figure_with_axes, save_figure
from mirage_env.evaluation.trial_summary import LABELS

COLOURS = (RED, BLUE, GREY, INK)


class Curve(NamedTuple):
    """What one run achieved.

    Attributes:
        group: what the run learned in, such as "mirage".
        task: of the run.
        steps: (N,) at which it was judged.
        truth: (N,) of each measure by name.
    """

    group: str
    task: str
    steps: np.ndarray[Any, Any]
    truth: dict[str, np.ndarray[Any, Any]]


def read(run: Path) -> Curve:
    """The curve of a run's folder.

    Raises:
        FileNotFoundError: it is no run, or nothing was judged yet.
        ValueError: its files are damaged.
    """
    for name in ("settings.json", "curve.json"):
        if not (run / name).is_file():
            raise FileNotFoundError(
                f"{run} holds no {name}: give folders of agents.train that were judged at least once"
            )
    try:
        settings, entries = json.loads((run / "settings.json").read_text()), read_curve(run / "curve.json")
        task = settings["task"]
        truth = {name: np.array([entry["truth"][name] for entry in entries], float) for name in BEST_BY[task]}
        return Curve(settings["simulator"], task, np.array([entry["steps"] for entry in entries]), truth)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run} is damaged: {error!r} is missing or of another kind") from None


def plot(curves: Sequence[Curve], path: Path) -> None:
    """Draw one panel per measure: thin lines for runs, a thick one for the mean of a group where all were judged.

    Raises:
        ValueError: the runs are of different tasks.
    """
    tasks = sorted({curve.task for curve in curves})
    if len(tasks) != 1:
        raise ValueError(f"the runs must be of one task, got {', '.join(tasks) or 'none'}")
    names, groups = BEST_BY[tasks[0]], list(dict.fromkeys(curve.group for curve in curves))
    figure, panels = figure_with_axes(4.6 * len(names) + 1.0, 3.6, columns=len(names))
    for axes, name in zip(panels, names, strict=True):
        for group, colour in zip(groups, COLOURS, strict=False):
            runs = [curve for curve in curves if curve.group == group]
            for curve in runs:
                axes.plot(curve.steps / 1000, curve.truth[name], color=colour, alpha=0.4, linewidth=1)
            steps, mean = mean_curve(runs, name)
            where = "in imagination" if group == "mirage" else f"in the truth ({group})"
            axes.plot(steps / 1000, mean, color=colour, linewidth=2.5, label=f"learned {where}, seeds: {len(runs)}")
        axes.set_xlabel("thousand steps of training")
        axes.set_ylabel(f"{LABELS.get(name, 'explored area, m²')} in the truth")
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1 if name in LABELS else None)
    panels[0].legend(loc="lower right", fontsize=8, frameon=False)
    save_figure(figure, path)


def mean_curve(curves: Sequence[Curve], name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Steps at which all of these runs were judged, and the mean measure there."""
    shared = sorted(set.intersection(*(set(curve.steps.tolist()) for curve in curves)))
    means = [np.mean([curve.truth[name][curve.steps == at][0] for curve in curves]) for at in shared]
    return np.array(shared), np.array(means)


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status: 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m agents.curves", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of agents.train")
    parser.add_argument("--out", type=Path, required=True, help="the picture, a PNG")
    given = parser.parse_args(arguments)
    try:
        plot([read(run) for run in given.runs], given.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
