"""Figures of a world evaluation's report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mirage_env.evaluation.episode import LAST_FRAME, MEMORY_OFF, MIRAGE, READOUT, REFERENCE, RGB
from mirage_env.evaluation.plots import BLUE, GREY, INK, RED, figure_with_axes, save_figure
from mirage_env.evaluation.settings import Settings
from mirage_env.evaluation.summary import Entry, Summary

COLOURS = {
    "codec ceiling": GREY,
    MIRAGE: BLUE,
    RGB: "#3a9a5c",
    REFERENCE: "#8a5fb0",
    READOUT: "#d9a321",
    MEMORY_OFF: RED,
    LAST_FRAME: "#5b626d",
}
DASHED = ("codec ceiling", LAST_FRAME)


def draw_plots(folder: Path, summary: Summary, settings: Settings) -> dict[str, str]:
    """Draw what was measured; file names by what they show."""
    drawn = {}
    for name, part, draw in (
        ("psnr_by_horizon", "novel", _horizons),
        ("closed_loops", "loops", _loops),
        ("depth_by_horizon", "depth", _depth),
        ("calibration", "calibration", _calibration),
        ("ablations", "ablations", _ablations),
    ):
        if summary.has(part):
            figure = draw(summary, settings)
            save_figure(figure, folder / f"{name}.png")
            drawn[name] = f"{name}.png"
    return drawn


def _horizons(summary: Summary, settings: Settings) -> Any:
    figure, axes = figure_with_axes(12.0, 4.6, columns=2)
    for ax, region in zip(axes, ("whole", "seen"), strict=True):
        for method, colour in COLOURS.items():
            entries = [summary.get("novel", f"psnr/{method}/{region}/{step}") for step in settings.horizons]
            _line(ax, settings.horizons, entries, colour, method)
        _steps_axis(ax, settings.horizons)
        ax.set_ylabel("PSNR, dB")
        ax.set_title("whole view" if region == "whole" else "cells the start camera saw", loc="left", color=INK)
    axes[0].legend(frameon=False, fontsize=9, ncols=2)
    return figure


def _loops(summary: Summary, settings: Settings) -> Any:
    figure, (ax,) = figure_with_axes(7.0, 4.6)
    for method, colour in COLOURS.items():
        entries = [summary.get("loops", f"psnr/{method}/{steps}") for steps in settings.loops]
        _line(ax, settings.loops, entries, colour, method)
    _steps_axis(ax, settings.loops)
    ax.set_xlabel("steps of the loop")
    ax.set_ylabel("last view against the first true one, dB")
    ax.legend(frameon=False, fontsize=9)
    return figure


def _depth(summary: Summary, settings: Settings) -> Any:
    figure, (ax,) = figure_with_axes(7.0, 4.6)
    for region, colour in (("whole", BLUE), ("seen", "#3a9a5c"), ("imagined", RED)):
        entries = [summary.get("depth", f"abs_rel/frame/{region}/novel/{step}") for step in settings.horizons]
        _line(ax, settings.horizons, entries, colour, region)
    _steps_axis(ax, settings.horizons)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("AbsRel of the frames' depth")
    ax.legend(frameon=False, fontsize=9)
    return figure


def _calibration(summary: Summary, settings: Settings) -> Any:
    figure, (ax,) = figure_with_axes(7.0, 4.6)
    names = summary.keys("calibration", "psnr")
    entries = [summary.get("calibration", f"psnr/{name}") for name in names]
    known = [k for k, entry in enumerate(entries) if math.isfinite(entry.mean)]
    means = [entries[k].mean for k in known]
    ax.bar(known, means, color=BLUE, width=0.7)
    _whiskers(ax, known, [entries[k] for k in known])
    ax.set_xticks(range(len(names)), names)
    ax.set_xlabel("how imagined the model says a cell is")
    ax.set_ylabel("PSNR of these cells, dB")
    return figure


def _ablations(summary: Summary, settings: Settings) -> Any:
    names = [name for name in summary.keys("ablations", "loop") if name != "codec ceiling"]
    figure, axes = figure_with_axes(11.0, 1.2 + 0.3 * len(names), columns=2)
    rows = np.arange(len(names))[::-1]
    for ax, key, title in (
        (axes[0], "loop", f"closed loop of {settings.ablation_loop} steps, dB"),
        (axes[1], "way whole", "views along the way, dB"),
    ):
        entries = [summary.get("ablations", f"{key}/{name}") for name in names]
        for row, name, entry in zip(rows, names, entries, strict=True):
            colour = BLUE if name == MIRAGE else INK
            ax.plot([entry.low, entry.high], [row, row], color=GREY, linewidth=2.0)
            ax.plot(entry.mean, row, "o", color=colour, markersize=5)
        if math.isfinite(entries[0].mean):
            ax.axvline(entries[0].mean, color=BLUE, linewidth=0.8, linestyle=(0, (4, 2)))
        ax.set_title(title, loc="left", color=INK)
        ax.grid(axis="x", color="#e6e8ec", linewidth=0.8)
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(rows, names)
    axes[1].set_yticks([])
    return figure


def _line(ax: Any, steps: Sequence[int], entries: Sequence[Entry], colour: str, label: str) -> None:
    known = [k for k, entry in enumerate(entries) if math.isfinite(entry.mean)]
    if not known:
        return
    x = np.array([steps[k] for k in known])
    style = (0, (4, 2)) if label in DASHED else "-"
    ax.plot(
        x,
        [entries[k].mean for k in known],
        color=colour,
        linestyle=style,
        linewidth=2.4 if label == MIRAGE else 1.6,
        marker="o",
        markersize=3.5,
        label=label,
    )
    low, high = (np.array([getattr(entries[k], name) for k in known]) for name in ("low", "high"))
    ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _whiskers(ax: Any, x: Sequence[float], entries: Sequence[Entry]) -> None:
    for place, entry in zip(x, entries, strict=True):
        if math.isfinite(entry.low):
            ax.plot([place, place], [entry.low, entry.high], color=INK, linewidth=1.4)


def _steps_axis(ax: Any, steps: Sequence[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(list(steps), [str(step) for step in steps])
    ax.minorticks_off()
    ax.set_xlabel("steps")
