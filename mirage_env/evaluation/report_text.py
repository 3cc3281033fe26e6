"""report.md: goals, and tables of everything that was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mirage_env.evaluation.ablations import EVERY
from mirage_env.evaluation.episode import LAST_FRAME, MEMORY_OFF, MIRAGE, READOUT, REFERENCE, RGB, SURFACE_BOX
from mirage_env.evaluation.goals import Goal
from mirage_env.evaluation.imagine_modes import MODES
from mirage_env.evaluation.settings import Settings
from mirage_env.evaluation.summary import Entry, Summary
from mirage_env.evaluation.view_measures import EXACT, LEAST, REGIONS

CEILING = "codec ceiling"
METHODS = (CEILING, MIRAGE, RGB, REFERENCE, READOUT, MEMORY_OFF, LAST_FRAME)
"""In the order of tables and legends."""


def number(entry: Entry, digits: int = 1) -> str:
    """The number with its interval, such as "28.1 [27.0, 29.2]"; "–" where there is none."""
    if not math.isfinite(entry.mean):
        return "–"
    if not math.isfinite(entry.low):
        return f"{entry.mean:.{digits}f}"
    return f"{entry.mean:.{digits}f} [{entry.low:.{digits}f}, {entry.high:.{digits}f}]"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def goal_table(goals: Sequence[tuple[Goal, Entry, bool | None]]) -> str:
    """Which goals were reached."""
    verdict = {True: "reached", False: "**missed**", None: "not measured"}
    rows = [
        [goal.text, goal.bound, number(entry, goal.digits), str(entry.n), verdict[reached]]
        for goal, entry, reached in goals
    ]
    return table(["measure", "goal", "measured [95 %]", "episodes", ""], rows)


def describe(
    summary: Summary, goals: Sequence[tuple[Goal, Entry, bool | None]], settings: Settings, data: Mapping[str, Any]
) -> str:
    """The whole report."""
    sections = [_head(settings, data), "## Goals", goal_table(goals)]
    for part, text in (
        ("novel", _novel),
        ("loops", _loops),
        ("depth", _depth),
        ("following", _following),
        ("collisions", _collisions),
        ("calibration", _calibration),
        ("still", _still),
        ("growth", _growth),
        ("imagine", _imagine),
        ("ablations", _ablations),
        ("ghosts", _ghosts),
    ):
        if summary.has(part):
            sections.append(text(summary, settings))
    sections.append(_pictures(data["pictures"]))
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(settings: Settings, data: Mapping[str, Any]) -> str:
    depth = {
        "true": "the true depth of that view (an RGB-D camera)",
        "predicted": "no depth: it is predicted from that view",
    }[settings.depth]
    device, versions = data["device"], data["versions"]
    return f"""# Imagined worlds against the truth

Model `{settings.model}` ({settings.fingerprint}), simulator `{settings.simulator}`, scenes `{settings.scenes}`, \
{data["episodes_counted"]} episodes, one per scene as far as there are scenes, seed {settings.seed}. Every world \
begins with one image of {settings.resolution}×{settings.resolution} pixels and {depth}; all else is imagined on the \
way.

Numbers are means over episodes with 95 % percentile bootstrap intervals over episodes, where nothing else is said. A \
*seen* cell shows only what the start camera saw (`frame.imagined == 0`); all others are *imagined*. Regions are those \
of `{MIRAGE}` for every method; one under {LEAST:.0%} of a view is not counted, so seen cells of late steps come from \
few episodes. Equal pictures count as {EXACT:g} dB. {data["lpips"] if data["lpips"] != "measured" else ""}

{device["processor"]}, {device["cores"]} cores, Python {versions["python"]}, torch {versions["torch"]}; measuring took \
{data["seconds_measuring"] / 60:.1f} processor minutes."""


def _novel(summary: Summary, settings: Settings) -> str:
    parts = ["## New views by horizon", "A walk like those of data collection: errands, looks around, out and back."]
    head = ["", *(str(step) for step in settings.horizons)]
    for measure, regions in (("psnr", REGIONS), ("ssim", REGIONS), ("lpips", ("whole",))):
        for region in regions:
            rows = []
            for method in METHODS:
                key = f"{measure}/{method}/{region}"
                entries = [summary.get("novel", f"{key}/{step}") for step in settings.horizons]
                if any(math.isfinite(entry.mean) for entry in entries):
                    rows.append([method, *(number(entry, 1 if measure == "psnr" else 2) for entry in entries)])
            if rows:
                title = {"psnr": "PSNR in dB", "ssim": "SSIM", "lpips": "LPIPS"}[measure]
                parts += [f"{title}, {region if region == 'whole' else region + ' cells'}:", table(head, rows)]
    shares = [summary.get("novel", f"share/seen/{step}") for step in settings.horizons]
    parts += ["Share of the view that is seen:", table(head, [["", *(number(entry, 2) for entry in shares)]])]
    return "\n\n".join(parts)


def _loops(summary: Summary, settings: Settings) -> str:
    head = ["", *(f"{steps} steps" for steps in settings.loops)]
    parts = [
        "## Closed loops",
        "Out along errands through the home, back the same way: the last view against the first true one. (Repeating "
        "the start image would be perfect here; it knows nothing of the way.)",
    ]
    for measure, title, digits in (("psnr", "PSNR_C in dB", 1), ("ssim", "SSIM_C", 3)):
        rows = []
        for method in METHODS:
            entries = [summary.get("loops", f"{measure}/{method}/{steps}") for steps in settings.loops]
            if any(math.isfinite(entry.mean) for entry in entries):
                rows.append([method, *(number(entry, digits) for entry in entries)])
        parts += [f"{title}:", table(head, rows)]
    step = settings.seen_step
    parts.append(
        f"Seen cells at step {step} (the mean of the walk through new views and all loops, each at step {step}): "
        f"{number(summary.get('loops', 'seen/psnr'))} dB, ceiling of the same pixels "
        f"{number(summary.get('loops', 'seen/codec ceiling'))} dB, "
        f"share of the view {number(summary.get('loops', 'seen/share'), 2)}."
    )
    return "\n\n".join(parts)


def _depth(summary: Summary, settings: Settings) -> str:
    rows = []
    for name, key in (
        ("frames, whole view", "frame/whole"),
        ("frames, seen cells", "frame/seen"),
        ("frames, imagined cells", "frame/imagined"),
        ("memory readout, cells it covers", "readout/covered"),
    ):
        rows.append([name, *(number(summary.get("depth", f"{m}/{key}"), 3) for m in ("abs_rel", "delta_125"))])
    steps = [str(step) for step in settings.horizons]
    keys = ("abs_rel/frame/whole/novel", "abs_rel/frame/seen/novel", "abs_rel/frame/imagined/novel")
    by_step = [
        [key.split("/")[2], *(number(summary.get("depth", f"{key}/{step}"), 3) for step in steps)] for key in keys
    ]
    return "\n\n".join(
        [
            "## Depth",
            "All measured views but the first of each walk:",
            table(["", "AbsRel", "δ < 1.25"], rows),
            "AbsRel of the frames by horizon, new views:",
            table(["", *steps], by_step),
        ]
    )


def _following(summary: Summary, settings: Settings) -> str:
    rows = []
    for who, name in ((MIRAGE, "generated views"), ("truth", "true views (what the recovery itself is off)")):
        told, pairs = (summary.get("following", f"{key}/{who}") for key in ("told", "pairs"))
        rows.append(
            [
                name,
                *(number(summary.get("following", f"rotation_deg/{who}/{q}"), 3) for q in ("median", "p90")),
                *(number(summary.get("following", f"translation_m/{who}/{q}"), 4) for q in ("median", "p90")),
                f"{told.mean / pairs.mean:.0%}" if pairs.mean else "–",
            ]
        )
    return "\n\n".join(
        [
            "## Camera following",
            "Motion between consecutive views recovered by registering their images and depth, against the commanded "
            "motion; over all pairs whose views show enough to tell.",
            table(["", "turn, median °", "90 %", "place, median m", "90 %", "pairs told"], rows),
        ]
    )


def _collisions(summary: Summary, settings: Settings) -> str:
    rows = [
        [
            f"{where} space",
            *(number(summary.get("collisions", f"{where}/{key}"), 3) for key in ("precision", "recall", "f1")),
            *(f"{summary.get('collisions', f'{where}/{key}').mean:.0f}" for key in ("steps", "blocked")),
        ]
        for where in ("seen", "unseen")
    ]
    return "\n\n".join(
        [
            "## Ways that are blocked",
            "Single steps forward, tried in truth and imagination from places all over the floor in the start view, "
            "after the first part of the walk.",
            table(["", "precision", "recall", "F1", "steps per episode", "truly blocked"], rows),
            f"Free-space IoU of the floor plans in seen space: {number(summary.get('collisions', 'free/iou'), 3)}.",
        ]
    )


def _calibration(summary: Summary, settings: Settings) -> str:
    rows = [
        [name, number(summary.get("calibration", f"psnr/{name}")), f"{cells.mean:,.0f}"]
        for name in summary.keys("calibration", "psnr")
        if (cells := summary.get("calibration", f"cells/{name}")).mean > 0
    ]
    strict, rank, auroc = (
        summary.get("calibration", key).mean for key in ("strictly_monotone", "cell_spearman", "auroc")
    )
    return "\n\n".join(
        [
            "## Calibration of `imagined`",
            table(["`frame.imagined`", "PSNR of the cells, dB", "cells"], rows),
            f"Error rises from bin to bin without exception: {'yes' if strict == 1 else 'no'}. Over single cells: rank "
            f"correlation {rank:.2f}, AUROC (which of two cells is worse) {auroc:.2f}.",
        ]
    )


def _still(summary: Summary, settings: Settings) -> str:
    last, worst = (summary.get("still", key) for key in ("psnr", "worst step"))
    return (
        f"## Standing still\n\nThe camera stops on the walk for {settings.still_steps} steps. Last view against the "
        f"one it came by: {number(last)} dB; largest change from one step to the next: {number(worst)} dB."
    )


def _growth(summary: Summary, settings: Settings) -> str:
    keys = ("tokens", "bytes", "observed tokens", "observed bytes", "surface")
    rows = [
        [str(step), *(f"{summary.get('growth', f'{key}/{step}').mean:,.0f}" for key in keys)]
        for step in settings.growth_steps
    ]
    ratio = [number(summary.get("growth", f"{key}/ratio"), 2) for key in keys]
    text = (
        "A look all round from four places far apart, then errands. As imagined from the first view, and as a camera "
        "sees it that shows every view to the memory. Surface, which is what there was to remember: boxes of "
        f"{SURFACE_BOX} m in which these views show any."
    )
    head = ["steps", "tokens, imagined", "bytes", "tokens, observed", "bytes", "surface"]
    return "\n\n".join(["## Memory in one room", text, table(head, [*rows, ["ratio", *ratio]])])


def _imagine(summary: Summary, settings: Settings) -> str:
    def shown(key: str, digits: int = 1) -> str:
        return number(summary.get("imagine", key), digits)

    keys = {"way": 1, "loop": 1, "spared steps": 2, "views per step": 2, "known cells": 2, "milliseconds": 1}
    head = ["`imagine`", "way, dB", "loop, dB", "steps without denoiser", "its views per step", "cells known", "ms"]
    rows = [[f"`{mode}`", *(shown(f"{key}/{mode}", digits) for key, digits in keys.items())] for mode in MODES]
    return "\n\n".join(
        [
            "## Spending only where something is new",
            f"One loop of {settings.ablation_loop} steps, walked in both ways in turn. The way: every {EVERY}th view; "
            "the loop: the last view against the first. Cells known: what the memory showed of a view before the "
            "step. Milliseconds are processor time of a step on one thread, pixels not included.",
            table(head, rows),
            f"`new` is below `always` by {shown('below always', 2)} dB on the way and {shown('loop below always', 2)} "
            f"dB at the end, and saves {shown('time saved', 2)} of the time.",
        ]
    )


def _ablations(summary: Summary, settings: Settings) -> str:
    loop = f"PSNR_C of the loop of {settings.ablation_loop}"
    head = ["variant", loop, "loss, dB", "way: whole", "way: seen", "way: imagined", "AbsRel", "tokens"]
    rows = []
    for name in summary.keys("ablations", "loop"):
        if name == CEILING:
            continue
        keys = ("loop", "loss", "way whole", "way seen", "way imagined")
        cells = [number(summary.get("ablations", f"{key}/{name}")) for key in keys]
        tokens = summary.get("ablations", f"tokens/{name}").mean
        rows.append([name, *cells, number(summary.get("ablations", f"abs_rel/{name}"), 3), f"{tokens:,.0f}"])
    ceiling = number(summary.get("ablations", f"loop/{CEILING}"))
    return "\n\n".join(
        [
            "## Ablations",
            f"One thing changed at a time, on one loop; {summary.get('ablations', f'loop/{MIRAGE}').n} episodes; codec "
            f"ceiling {ceiling} dB. The way: every eighth step. The last rows put the truth in place of what the "
            "networks imagine. Depth noise is relative, on the true start depth, half of its variance smooth.",
            table(head, rows),
        ]
    )


def _ghosts(summary: Summary, settings: Settings) -> str:
    rows = []
    for name, text in (
        ("on", "movers, contradiction on"),
        ("off", "movers, contradiction off"),
        ("still", "no movers"),
    ):
        counts = [f"{summary.get('ghosts', f'{key}_{name}').mean:,.0f}" for key in ("ghosts", "tokens")]
        quality = [number(summary.get("ghosts", f"psnr_{name}")), number(summary.get("ghosts", f"covered_{name}"), 3)]
        rows.append([text, *counts, *quality])
    return "\n\n".join(
        [
            "## A moving world",
            f"A camera watches {settings.movers} movers for {settings.ghost_steps} steps; every view is observed, "
            "nothing is imagined. Ghosts are tokens on no true surface (in a still world: what the measure mistakes "
            "for some). PSNR is that of the readout where nothing moves.",
            table(["", "ghosts", "tokens", "static parts, dB", "covered"], rows),
            f"Fewer ghosts with contradiction, over all episodes: {number(summary.get('ghosts', 'fewer'), 3)}; of "
            f"those where a later view looked: {number(summary.get('ghosts', 'fewer_known'), 3)}. On average "
            f"{summary.get('ghosts', 'hidden_on').mean:,.0f} of those left stand where no view looked again.",
        ]
    )


def _pictures(pictures: Mapping[str, str]) -> str:
    if not pictures:
        return ""
    return "## Pictures\n\n" + "\n\n".join(f"![{name.replace('_', ' ')}]({file})" for name, file in pictures.items())
