"""Figures of a walk: quality step by step, and the memory seen from above."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from mirage_env.evaluation.rollout import Comparison
from mirage_env.evaluation.tokens import TokenCloud
from mirage_env.evaluation.walks import RoundTrip
from mirage_env.files import atomic_write
from mirage_env.geometry import Array

BLUE, RED, GREY, INK = "#1f6fb4", "#c8553d", "#8a919c", "#22262d"


def plot_psnr(path: Path, comparison: Comparison, walk: RoundTrip, subtitle: str) -> None:
    """PSNR of every step against the true view there, as a PNG."""
    figure, axes = _figure(10.0, 4.8)
    figure.subplots_adjust(left=0.07, right=0.80, top=0.80, bottom=0.12)
    steps = np.arange(len(comparison.imagination))
    series = (
        ("codec ceiling", comparison.ceiling, GREY, (0, (4, 2)), 1.6),
        ("imagination", comparison.imagination, BLUE, "-", 2.4),
        ("memory off", comparison.memory_off, RED, "-", 1.6),
    )
    ends = _spread([float(values[-1]) for _, values, *_ in series], 0.055 * _span(comparison))
    for (name, values, colour, style, width), end in zip(series, ends, strict=True):
        axes.plot(steps, values, color=colour, linestyle=style, linewidth=width, solid_capstyle="round")
        axes.annotate(
            f"{name}  {values[-1]:.1f} dB",
            (steps[-1], end),
            xytext=(8, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontweight="bold" if name == "imagination" else "normal",
            annotation_clip=False,
        )
    _mark_legs(axes, walk)
    axes.set_xlim(0, steps[-1])
    axes.set_xlabel("step")
    axes.set_ylabel("PSNR against the true view, dB")
    axes.grid(axis="y", color="#e6e8ec", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.text(0.07, 0.945, "How close each imagined view is to the truth", fontsize=14, fontweight="bold", color=INK)
    figure.text(0.07, 0.895, subtitle, fontsize=10, color="#5b626d")
    save_figure(figure, path)


def plot_top_down(
    path: Path,
    cloud: TokenCloud,
    walk: RoundTrip,
    written_at: Array,
    floor: tuple[Array, Array, float] | None,
    title: str,
) -> None:
    """The tokens below head height from above, as a PNG: in their own colours, and by the step that wrote them.

    Args:
        path: of the PNG.
        cloud: tokens.
        walk: drawn as a line.
        written_at: (M,) step that wrote each token of the cloud.
        floor: the true floor (H, W) bool, world x and z of its corner, metres per cell; None where it is not known.
        title: one line.
    """
    order = np.argsort(cloud.positions[:, 1], kind="stable")
    x, z = cloud.positions[order, 0], cloud.positions[order, 2]
    everything = np.concatenate([cloud.positions[:, [0, 2]], walk.positions[:, [0, 2]]])
    low, high = everything.min(0) - 0.4, everything.max(0) + 0.4
    # Two maps of 5 inches side by side, as high as the room's shape asks for, within reason.
    tall = float(np.clip(5.0 * (high[1] - low[1]) / (high[0] - low[0]), 3.0, 7.0))
    height = tall + 1.25
    figure, _ = _figure(11.2, height, axes=False)
    left, right = (figure.add_axes((x, 0.2 / height, 5.0 / 11.2, tall / height)) for x in (0.02, 0.48))
    for axes in (left, right):
        axes.set_aspect("equal")
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(high[1], low[1])
        axes.set_facecolor("#f3f4f6")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        _outline(axes, floor)
    figure.canvas.draw()  # fixes the axes' size, by which metres become points
    points = left.get_window_extent().width / (left.get_xlim()[1] - left.get_xlim()[0]) * 72 / figure.dpi
    sizes = (cloud.widths[order] * points) ** 2
    left.scatter(x, z, s=sizes, c=cloud.colours[order] / 255, marker="s", linewidths=0)
    norm = Normalize(0, max(len(walk), 1))
    shades = right.scatter(x, z, s=sizes, c=written_at[order], cmap="viridis", norm=norm, marker="s", linewidths=0)
    for axes, label in ((left, "in the colours they decode to"), (right, "by the step that wrote them")):
        _path(axes, walk)
        axes.set_title(label, fontsize=11, color="#5b626d", loc="left")
    _scale_bar(left, low, high)
    right.apply_aspect()
    box = right.get_position()
    bar = figure.colorbar(shades, cax=figure.add_axes((box.x1 + 0.012, box.y0, 0.012, box.height)))
    bar.set_label("step")
    bar.outline.set_visible(False)  # type: ignore[operator]
    figure.text(0.02, 1 - 0.48 / height, title, fontsize=14, fontweight="bold", color=INK)
    save_figure(figure, path)


def _figure(width: float, height: float, axes: bool = True) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    if not axes:
        return figure, None
    ax = figure.add_subplot()
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return figure, ax


def figure_with_axes(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Any]]:
    """A figure of this size in inches with plain axes side by side, laid out by itself."""
    figure = Figure(figsize=(width, height), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, columns, k + 1) for k in range(columns)]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#e6e8ec", linewidth=0.8)
        ax.set_axisbelow(True)
    return figure, axes


def _mark_legs(axes: Any, walk: RoundTrip) -> None:
    top = axes.get_ylim()[1]
    for k, leg in enumerate(walk.legs):
        if k % 2:
            axes.axvspan(leg.first - 1, leg.last, color="#f3f4f6", zorder=0)
        axes.annotate(
            leg.name,
            ((leg.first - 1 + leg.last) / 2, top),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color="#5b626d",
            fontsize=9.5,
            annotation_clip=False,
        )
    axes.set_ylim(top=top)


def _span(comparison: Comparison) -> float:
    values = np.concatenate([comparison.imagination, comparison.ceiling, comparison.memory_off])
    return float(np.ptp(values[np.isfinite(values)]))


def _spread(heights: list[float], distance: float) -> list[float]:
    """The heights moved apart, upwards, to keep ``distance`` between labels."""
    placed: dict[int, float] = {}
    lowest = -np.inf
    for k in np.argsort(heights):
        lowest = max(heights[k], lowest + distance)
        placed[int(k)] = float(lowest)
    return [placed[k] for k in range(len(heights))]


def _outline(axes: Any, floor: tuple[Array, Array, float] | None) -> None:
    if floor is None:
        return
    inside, origin, cell = floor
    x = origin[0] + (np.arange(inside.shape[1]) + 0.5) * cell
    z = origin[1] + (np.arange(inside.shape[0]) + 0.5) * cell
    axes.contour(x, z, inside.astype(float), levels=[0.5], colors=INK, linewidths=1.2, zorder=3)


def _path(axes: Any, walk: RoundTrip) -> None:
    x, z = walk.positions[:, 0], walk.positions[:, 2]
    axes.plot(x, z, color="white", linewidth=4.5, zorder=4, solid_capstyle="round")
    axes.plot(x, z, color="#f08020", linewidth=2.2, zorder=5, solid_capstyle="round")
    ahead = np.array([-np.sin(walk.yaws[0]), -np.cos(walk.yaws[0])])
    axes.annotate(
        "",
        (x[0] + 0.55 * ahead[0], z[0] + 0.55 * ahead[1]),
        (x[0], z[0]),
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.6},
        zorder=6,
    )
    axes.plot(x[0], z[0], "o", color=INK, markeredgecolor="white", markersize=8, zorder=7)
    axes.annotate(
        "start",
        (x[0], z[0]),
        xytext=(7, -13),
        textcoords="offset points",
        color=INK,
        fontsize=9.5,
        zorder=8,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )


def _scale_bar(axes: Any, low: Array, high: Array) -> None:
    x, z = low[0] + 0.03 * (high[0] - low[0]), high[1] - 0.03 * (high[1] - low[1])
    axes.plot([x, x + 1.0], [z, z], color="white", linewidth=8, zorder=7, alpha=0.8)
    axes.plot([x, x + 1.0], [z, z], color=INK, linewidth=2.5, zorder=8, solid_capstyle="butt")
    axes.annotate(
        "1 m", (x + 0.5, z), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9, color=INK, zorder=8
    )


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, whole or not at all."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    with atomic_write(path) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, optimize=True)
