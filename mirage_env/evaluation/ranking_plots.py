"""Figures of a ranking: policies in imagination against policies in truth, and settings side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mirage_env.evaluation.places import file_name
from mirage_env.evaluation.plots import BLUE, GREY, INK, RED, figure_with_axes, save_figure
from mirage_env.evaluation.trial_summary import LABELS

KINDS = {"pearson": (BLUE, 0.12), "spearman": (RED, -0.12)}
"""Correlations that a figure of settings shows: their colours, and how far above the middle of a row they are."""


def draw_ranking(folder: Path, data: Mapping[str, Any]) -> dict[str, str]:
    """Draw a scatter plot per setting, and of several settings one figure; file names by what they show."""
    drawn = {}
    for setting in data["settings"]:
        drawn[setting] = f"scatter-{file_name(setting)}.png"
        save_figure(_scatter(data, setting), folder / drawn[setting])
    if len(data["settings"]) > 1:
        drawn["settings"] = "settings.png"
        save_figure(_settings(data), folder / drawn["settings"])
    return drawn


def _scatter(data: Mapping[str, Any], setting: str) -> Any:
    names = data["measures"]
    figure, axes = figure_with_axes(4.6 * len(names) + 3.0, 5.7, columns=len(names))
    figure.suptitle(
        f"{setting}: {len(data['policies'])} policies, {data['episodes']} episodes", color=INK, x=0.01, ha="left"
    )
    true, imagined = data["worlds"]["truth"], data["worlds"][setting]
    # Numbers for names, which would lie on each other where policies are alike; the best in truth comes first.
    ranked = sorted(true, key=lambda policy: -np.nan_to_num(true[policy]["summary"][names[0]]["mean"]))
    numbers = {policy: k + 1 for k, policy in enumerate(ranked)}
    for ax, name in zip(axes, names, strict=True):
        points = [(policy, *(world[policy]["summary"][name] for world in (imagined, true))) for policy in true]
        for policy, x, y in points:
            ax.plot([x["low"], x["high"]], [y["mean"]] * 2, color=GREY, linewidth=1.2, zorder=2)
            ax.plot([x["mean"]] * 2, [y["low"], y["high"]], color=GREY, linewidth=1.2, zorder=2)
            ax.plot(x["mean"], y["mean"], "o", color=BLUE, markersize=12, alpha=0.8, markeredgecolor="white", zorder=3)
            number = {"ha": "center", "va": "center_baseline", "color": "white", "fontsize": 7, "fontweight": "bold"}
            ax.text(x["mean"], y["mean"], str(numbers[policy]), zorder=4, **number)
        ends = [v for _, x, y in points for one in (x, y) for v in (one["low"], one["mean"], one["high"])]
        low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
        room = 0.06 * (high - low) or 0.05
        limits = low - room, high + room
        ax.plot(limits, limits, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        ax.set_xlim(*limits)
        ax.set_ylim(*limits)
        ax.set_aspect("equal")
        found = data["settings"][setting]["measures"][name]
        title = LABELS.get(name, name.replace("_", " "))
        told = ", ".join(
            f"{kind} {found[key]['value']:.2f}" if not found[key]["why"] else f"{kind} undefined"
            for kind, key in (("Pearson", "pearson"), ("Spearman", "spearman"))
        )
        ax.set_title(f"{title}\n{told}", loc="left", color=INK, fontsize=10)
        ax.set_xlabel("in imagination")
        ax.set_ylabel("in truth")
    key = "\n".join(f"{number}  {policy}" for policy, number in numbers.items())
    style = {"va": "top", "fontsize": min(9.0, 200 / len(numbers)), "color": INK, "linespacing": 1.6}
    axes[-1].text(1.06, 1.0, key, transform=axes[-1].transAxes, **style)
    return figure


def _settings(data: Mapping[str, Any]) -> Any:
    settings, names = list(data["settings"]), data["measures"]
    figure, axes = figure_with_axes(3.6 * len(names) + 2.0, 1.6 + 0.42 * len(settings), columns=len(names))
    rows = np.arange(len(settings))[::-1]
    lows = [found[key]["low"] for by in data["settings"].values() for found in by["measures"].values() for key in KINDS]
    least = float(np.nanmin([0.0, *lows]))
    for ax, name in zip(axes, names, strict=True):
        for row, setting in zip(rows, settings, strict=True):
            for key, (colour, shift) in KINDS.items():
                found = data["settings"][setting]["measures"][name][key]
                if found["why"]:
                    continue
                ax.plot([found["low"], found["high"]], [row + shift] * 2, color=colour, linewidth=1.6, alpha=0.5)
                label = key.capitalize() if row == rows[0] else None
                ax.plot(found["value"], row + shift, "o", color=colour, markersize=5, label=label)
        ax.set_xlim(least - 0.05, 1.05)
        ax.set_ylim(-0.6, len(settings) - 0.4)
        ax.axvline(0, color=GREY, linewidth=0.8)
        ax.grid(axis="x", color="#e6e8ec", linewidth=0.8)
        ax.grid(axis="y", visible=False)
        ax.set_yticks(rows, settings if ax is axes[0] else [""] * len(rows))
        ax.set_title(LABELS.get(name, name.replace("_", " ")), loc="left", color=INK)
        ax.set_xlabel("correlation of imagination with truth")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, frameon=False, loc="outside upper right", ncols=2, fontsize=9)
    return figure
