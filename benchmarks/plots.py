"""Pictures of what benchmarks measured: a PNG beside each JSON that has something to show."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from mirage_env.evaluation.plots import BLUE, GREY, INK, RED, figure_with_axes, save_figure

GREEN, PURPLE, YELLOW, SUBTLE, LIGHT = "#3a9a5c", "#8a5fb0", "#d9a321", "#5b626d", "#c9ced6"
WIDTH = 9.6
"""Inches: what a README shows without shrinking the letters."""
CASES = {
    "rgb_new": 'rgb, imagine="new"',
    "latent_new": 'latent, imagine="new"',
    "memory_new": 'memory, imagine="new"',
    "memory_never": 'memory, imagine="never"',
}
WAYS = {
    "batched": ("one batch", BLUE, 2.4),
    "sync": ("single environments in SyncVectorEnv", RED, 1.6),
    "rooms": ("the true renderer", GREEN, 1.6),
}
PART_COLOURS = {
    "collisions": "#8fbfe0",
    "memory read": BLUE,
    "memory write": "#164f80",
    "space that was seen": GREEN,
    "denoiser": RED,
    "depth": "#e39a86",
    "pixels": PURPLE,
    "rest of the world's step": GREY,
    "distance to the goal": YELLOW,
    "observations": "#b8a88a",
    "infos": "#d8cdb8",
    "rest of the environment": LIGHT,
}
MEMORIES = {
    "latent": ("latents", BLUE, 2.4),
    "latent32": ("latents in float32", "#8fbfe0", 1.6),
    "reference": ("all tokens, sorted", PURPLE, 1.6),
    "rgb": ("pixels, merged", GREEN, 1.6),
    "appended": ("all pixels", RED, 1.6),
}
SMOOTH = 51
"""Steps of a running median."""


def throughput(report: Mapping[str, Any]) -> Figure:
    """Environment steps per second by number of worlds, one panel per observation."""
    rows = report["rows"]
    cases = [case for case in CASES if any(row["case"] == case for row in rows)]
    figure, axes = figure_with_axes(WIDTH, 3.3, columns=len(cases))
    for ax, case in zip(axes, cases, strict=True):
        mine = [row for row in rows if row["case"] == case]
        counts = [row["worlds"] for row in mine]
        for way, (label, colour, width) in WAYS.items():
            speeds = [row["steps_per_second"][way] for row in mine]
            ax.plot(counts, speeds, color=colour, linewidth=width, marker="o", markersize=3.5, label=label)
        for row in mine:
            if row["target"] is not None:
                ax.plot(row["worlds"], row["target"], "_", color=INK, markersize=14, label="goal")
        ax.set_title(CASES[case], loc="left", color=INK, fontsize=9.5)
        ax.set_xscale("log", base=2)
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.set_xlabel("worlds", fontsize=9)
        _plain_log(ax)
    low = min(ax.get_ylim()[0] for ax in axes)
    high = max(ax.get_ylim()[1] for ax in axes)
    for k, ax in enumerate(axes):
        ax.set_ylim(low, high)
        if k:
            ax.tick_params(labelleft=False)
    axes[0].set_ylabel("steps per second", fontsize=9)
    _legend_below(figure, axes)
    return figure


def milliseconds(report: Mapping[str, Any]) -> Figure:
    """Where the milliseconds of a batched step go, one bar per observation."""
    parts = report["milliseconds"]["parts"]
    figure, (ax,) = figure_with_axes(WIDTH, 1.3 + 0.42 * len(parts))
    total = {case: sum(spent.values()) for case, spent in parts.items()}
    left = dict.fromkeys(parts, 0.0)
    rows = {case: -k for k, case in enumerate(parts)}
    for name in _parts_of(parts):
        values = {case: spent.get(name, 0.0) for case, spent in parts.items()}
        colour = PART_COLOURS.get(name, LIGHT)
        starts = [left[case] for case in parts]
        ax.barh(list(rows.values()), list(values.values()), left=starts, color=colour, label=name, height=0.66)
        left = {case: left[case] + values[case] for case in parts}
    for case, row in rows.items():
        ax.annotate(
            f"{total[case]:.0f} ms", (total[case], row), xytext=(5, 0), textcoords="offset points", va="center",
            fontsize=9, color=INK,
        )  # fmt: skip
    ax.set_yticks(list(rows.values()), [CASES.get(case, case) for case in parts], fontsize=9)
    ax.set_xlabel(f"milliseconds of a step of {report['milliseconds']['worlds']} worlds", fontsize=9)
    ax.set_xlim(0, 1.08 * max(total.values()))
    ax.tick_params(axis="x", labelsize=8.5)
    ax.grid(axis="x", color="#e6e8ec", linewidth=0.8)
    ax.grid(axis="y", visible=False)
    _legend_below(figure, [ax], columns=5)
    return figure


def growth(report: Mapping[str, Any]) -> Figure:
    """What a step costs an agent that walks through one room, and what the world weighs then."""
    walked = report["walked"]
    steps = walked["steps"]
    at = np.arange(1, len(steps) + 1)
    figure, (time, size) = figure_with_axes(WIDTH, 3.2, columns=2)
    spent = np.array([step["milliseconds"] for step in steps])
    tokens = np.array([step["tokens"] for step in steps])
    new = np.diff(tokens, prepend=0) != 0
    dots: dict[str, Any] = {"markersize": 3.5, "markeredgewidth": 0}
    time.plot(at[~new], spent[~new], ".", color=BLUE, alpha=0.3, label="all is known", **dots)
    time.plot(at[new], spent[new], ".", color=RED, alpha=0.8, label="something new is written", **dots)
    time.plot(at, running_median(spent, SMOOTH), color=INK, linewidth=1.6, label=f"median of {SMOOTH} steps")
    _plain_log(time)
    time.set_ylim(0.8 * float(spent.min()), 6 * float(spent.max()))  # room for the legend
    time.set_title("milliseconds of a step", loc="left", color=INK, fontsize=10)
    time.legend(frameon=False, fontsize=8.5, loc="upper right", markerscale=3)
    through = [step["bytes"] / 1e6 for step in report["replayed"]["steps"]]
    size.plot(at, [step["bytes"] / 1e6 for step in steps], color=BLUE, linewidth=2.4)
    size.plot(range(1, len(through) + 1), through, color=LIGHT, linewidth=1.6)
    size.annotate("a camera that goes through walls", (len(through), through[-1]), xytext=(-6, 6),
        textcoords="offset points", fontsize=8.5, color=INK, ha="right", va="bottom")  # fmt: skip
    size.set_ylim(0, 1.3 * max(through[-1], steps[-1]["bytes"] / 1e6))
    size.set_title("megabytes of the memory", loc="left", color=INK, fontsize=10)
    for name, place, side, level in (("early", (8, -8), "left", "top"), ("late", (-6, 6), "right", "bottom")):
        step, held = walked[name]["step"], walked[name]["bytes"] / 1e6
        size.plot(step, held, "o", color=INK, markersize=4, clip_on=False)
        text = f"step {step:,}: {held:.2f} MB, {walked[name]['tokens']:,} tokens"
        size.annotate(
            text, (step, held), xytext=place, textcoords="offset points", fontsize=8.5, color=INK, ha=side, va=level
        )
    for ax in (time, size):
        ax.set_xlim(0, len(steps))
        ax.set_xlabel("step", fontsize=9)
        ax.tick_params(labelsize=8.5)
    return figure


def history(report: Mapping[str, Any]) -> Figure:
    """Milliseconds and bytes of memories of latents and of pixels along one history."""
    figure, (time, size) = figure_with_axes(WIDTH, 3.4, columns=2)
    for name, (label, colour, width) in MEMORIES.items():
        rows = report["steps"][name]
        at = [row["step"] for row in rows]
        style: dict[str, Any] = {"color": colour, "linewidth": width, "label": label}
        time.plot(at, [row["read"] + row["write"] for row in rows], **style)
        size.plot(at, [row["bytes"] / 1e6 for row in rows], **style)
    time.set_title("milliseconds of a read and a write", loc="left", color=INK, fontsize=10)
    size.set_title("megabytes", loc="left", color=INK, fontsize=10)
    for ax in (time, size):
        ax.set_xlabel("step", fontsize=9)
        _plain_log(ax)
    _legend_below(figure, [time])
    return figure


def forks(report: Mapping[str, Any]) -> Figure:
    """What forks of one world hold, beside copies of it."""
    count, base = report["forks"], report["bytes"]
    bars = [
        (f"{count:,} copies", count * base + report["written"], LIGHT),
        (f"{count:,} forks, as held", report["held bytes"], BLUE),
        ("the base, and what they wrote", base + report["written"], GREEN),
    ]
    figure, (ax,) = figure_with_axes(WIDTH, 1.9)
    for row, (label, value, colour) in enumerate(bars):
        ax.barh(-row, value / 1e6, color=colour, height=0.66)
        text = f"{value / 1e6:,.1f} MB"
        ax.annotate(
            text, (value / 1e6, -row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9, color=INK
        )
        ax.annotate(label, (0, -row), xytext=(-6, 0), textcoords="offset points", va="center", ha="right", fontsize=9)
    ax.set_yticks([])
    ax.set_xlim(0, 1.12 * bars[0][1] / 1e6)
    ax.tick_params(axis="x", labelsize=8.5)
    ax.set_xlabel("megabytes after every fork took its own ten steps", fontsize=9)
    ax.grid(axis="x", color="#e6e8ec", linewidth=0.8)
    ax.grid(axis="y", visible=False)
    return figure


PLOTS: dict[str, dict[str, Callable[[Mapping[str, Any]], Figure]]] = {
    "env_throughput": {"env_throughput": throughput, "step_milliseconds": milliseconds},
    "long_walk": {"long_walk": growth},
    "memory_history": {"memory_history": history},
    "forks_and_snapshots": {"forks": forks},
}
"""By benchmark: names of files, and what draws them from its report."""


def draw(folder: Path) -> list[Path]:
    """Draw all that the reports in a folder show; the PNG files that were written there."""
    drawn = []
    for benchmark, plots in PLOTS.items():
        path = folder / f"{benchmark}.json"
        if path.exists():
            report = json.loads(path.read_text())
            for name, plot in plots.items():
                drawn.append(folder / f"{name}.png")
                save_figure(plot(report), drawn[-1])
    return drawn


def running_median(values: Any, width: int) -> np.ndarray:
    """The median of the values around each, ``width`` of them (odd), fewer at both ends."""
    half = width // 2
    return np.array([np.median(values[max(0, k - half) : k + half + 1]) for k in range(len(values))])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the JSON files")
    for path in draw(parser.parse_args(argv).folder):
        print(path)


def _parts_of(parts: Mapping[str, Mapping[str, float]]) -> list[str]:
    """All parts, those with a colour first and in its order."""
    found = dict.fromkeys(name for spent in parts.values() for name in spent)
    return [name for name in PART_COLOURS if name in found] + [name for name in found if name not in PART_COLOURS]


def _plain_log(ax: Any) -> None:
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if value >= 1 else f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelsize=8.5)


def _legend_below(figure: Figure, axes: Sequence[Any], columns: int = 5) -> None:
    """One legend for all panels, each label once."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(
        list(found.values()), list(found), loc="outside lower center", ncols=min(columns, len(found)), frameon=False,
        fontsize=9,
    )  # fmt: skip


if __name__ == "__main__":
    main()
