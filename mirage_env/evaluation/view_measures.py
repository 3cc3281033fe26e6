"""What walks are measured by: how close views and depth come to the truth, where a camera had seen and where not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from mirage_env.evaluation.calibration import cell_errors, joined
from mirage_env.evaluation.episode import LAST_FRAME, MIRAGE, Episode, Truth, Walked
from mirage_env.evaluation.metrics import abs_rel, delta_125, psnr, ssim
from mirage_env.evaluation.perceptual import lpips
from mirage_env.evaluation.rollout import depth_at_cells, pixels_of
from mirage_env.frame import Frame
from mirage_env.geometry import Array

LEAST = 0.02
"""Share of a view below which a region is too small to be measured."""
EXACT = 60.0
"""Decibels that stand for more: two views that differ by less are equal for every purpose."""
REGIONS = ("whole", "seen", "imagined")

Numbers = dict[str, float]


def seen_cells(frame: Frame) -> torch.Tensor:
    """Cells (h, w) bool that show what a camera saw, and nothing imagined."""
    return frame.visible & (frame.imagined == 0)


def region_masks(frames: Sequence[Frame], stride: int) -> dict[str, Array]:
    """Pixels (N, H, W) bool of each region."""
    seen = pixels_of(torch.stack([seen_cells(frame) for frame in frames]), stride)
    return {"whole": np.ones_like(seen), "seen": seen, "imagined": ~seen}


def decibels(image: Array, reference: Array, mask: Array | None = None) -> Array:
    """``psnr`` (N,), at most ``EXACT``; NaN where less than ``LEAST`` of a view is in the mask."""
    values = np.minimum(psnr(image, reference, mask), EXACT)
    return values if mask is None else np.where(mask.mean((1, 2)) >= LEAST, values, np.nan)


def similarity(image: Array, reference: Array, mask: Array | None = None) -> Array:
    """``ssim`` (N,); NaN where less than ``LEAST`` of a view is in the mask."""
    values = ssim(image, reference, mask)
    return values if mask is None else np.where(mask.mean((1, 2)) >= LEAST, values, np.nan)


def novel_views(episode: Episode) -> Numbers:
    """Quality of the views along the walk, by method, region and horizon."""
    walked = episode.walks["novel"]
    steps = [step for step in walked.truth.steps if step in episode.settings.horizons]
    truth = walked.truth.at(steps)
    masks = region_masks([walked.mirage.frames[step] for step in steps], episode.world.codec.stride)
    found: Numbers = {f"share/seen/{step}": float(m) for step, m in zip(steps, masks["seen"].mean((1, 2)), strict=True)}
    whole = walked.truth
    found["codec ceiling"] = float(decibels(whole.ceiling, whole.rgb).mean())
    for region, mask in masks.items():
        _add(found, f"psnr/codec ceiling/{region}", steps, decibels(truth.ceiling, truth.rgb, mask))
    for method in (*walked.methods, LAST_FRAME):
        mine = [step for step in steps if method == LAST_FRAME or step in walked.shown(method)]
        rows = [steps.index(step) for step in mine]
        shown, true = walked.pictures(method, mine), truth.rgb[rows]
        for region, mask in masks.items():
            _add(found, f"psnr/{method}/{region}", mine, decibels(shown, true, mask[rows]))
            if method == MIRAGE or region == "whole":
                _add(found, f"ssim/{method}/{region}", mine, similarity(shown, true, mask[rows]))
        if (distance := lpips()) is not None:
            _add(found, f"lpips/{method}/whole", mine, distance(shown, true))
    return found


def closed_loops(episode: Episode) -> Numbers:
    """The last view of each loop against the first true one, by method; and what a camera had seen at ``seen_step``.

    ``seen/…`` is the mean over the walk through new views and all loops, each at ``seen_step`` (or its last step, if it
    is shorter), where at least ``LEAST`` of the view is seen.
    """
    settings, found = episode.settings, {}
    for steps in settings.loops:
        walked = episode.walks[f"loop {steps}"]
        first = walked.truth.at([0])
        ceiling = decibels(first.ceiling, first.rgb)[0]
        found[f"psnr/codec ceiling/{steps}"] = float(ceiling)
        found[f"ssim/codec ceiling/{steps}"] = float(similarity(first.ceiling, first.rgb)[0])
        for method in walked.methods:
            shown = walked.pictures(method, [steps])
            found[f"psnr/{method}/{steps}"] = float(decibels(shown, first.rgb)[0])
            found[f"ssim/{method}/{steps}"] = float(similarity(shown, first.rgb)[0])
        mirage = found[f"psnr/{MIRAGE}/{steps}"]
        found[f"below ceiling/{steps}"] = float(ceiling) - mirage
        for method in walked.methods:
            if method != MIRAGE:
                found[f"above {method}/{steps}"] = mirage - found[f"psnr/{method}/{steps}"]
        found[f"tokens/{steps}"] = float(walked.mirage.tokens[steps])
    shortest, longest = settings.loops[0], settings.loops[-1]
    if longest > shortest:
        found["drift"] = found[f"psnr/{MIRAGE}/{shortest}"] - found[f"psnr/{MIRAGE}/{longest}"]
    return found | _seen_at_step(episode)


def _seen_at_step(episode: Episode) -> Numbers:
    reached, possible, shares = [], [], []
    for walked in episode.walks.values():
        step = min(episode.settings.seen_step, len(walked.poses) - 1)
        truth = walked.truth.at([step])
        mask = region_masks([walked.mirage.frames[step]], episode.world.codec.stride)["seen"]
        reached.append(decibels(walked.pictures(MIRAGE, [step]), truth.rgb, mask)[0])
        possible.append(decibels(truth.ceiling, truth.rgb, mask)[0])
        shares.append(mask.mean())
    reached, possible = np.array(reached), np.array(possible)
    return {
        "seen/psnr": _mean(reached),
        "seen/codec ceiling": _mean(possible),
        "seen/below ceiling": _mean(possible - reached),
        "seen/share": float(np.mean(shares)),
    }


def depths(episode: Episode) -> Numbers:
    """AbsRel and δ<1.25 of the frames and of the memory readout, by walk and step, and over all measured steps.

    Over all: every measured view but the first of the walk, equally. The readout counts in the cells that it covers.
    """
    found: Numbers = {}
    pooled: dict[str, list[Array]] = {}
    for name, walked in episode.walks.items():
        steps = [step for step in walked.truth.steps if step > 0]
        truth = walked.truth.at(steps)
        for key, values in _depth_errors(walked, truth, steps).items():
            pooled.setdefault(key, []).append(values)
            _add(found, f"{key}/{name}", steps, values)
    for key, lists in pooled.items():
        found[key] = _mean(np.concatenate(lists))
    return found


def _depth_errors(walked: Walked, truth: Truth, steps: Sequence[int]) -> dict[str, Array]:
    frames = [walked.mirage.frames[step] for step in steps]
    stride = walked.mirage.world.codec.stride
    depth = np.stack([frame.depth for frame in frames])
    errors = {}
    for region, mask in region_masks(frames, stride).items():
        enough = mask.mean((1, 2)) >= LEAST
        errors[f"abs_rel/frame/{region}"] = np.where(enough, abs_rel(depth, truth.depth, mask), np.nan)
        errors[f"delta_125/frame/{region}"] = np.where(enough, delta_125(depth, truth.depth, mask), np.nan)
    # Where the memory shows something, the depth of a frame at its cells is the memory's.
    visible = torch.stack([frame.visible for frame in frames]).numpy()
    cells = torch.stack([frame.grid_depth for frame in frames]).numpy()
    true_cells = depth_at_cells(truth.depth, stride).numpy()
    errors["abs_rel/readout/covered"] = abs_rel(cells, true_cells, visible)
    errors["delta_125/readout/covered"] = delta_125(cells, true_cells, visible)
    return errors


def _add(found: Numbers, key: str, steps: Sequence[int], values: Array) -> None:
    found.update({f"{key}/{step}": float(value) for step, value in zip(steps, values, strict=True)})


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def calibration(episode: Episode) -> dict[str, list[float]]:
    """How imagined the model said every cell of all measured views is, and its error: see ``calibration.Cells``."""
    parts = []
    for walked in episode.walks.values():
        steps = [step for step in walked.truth.steps if step > 0]
        share = np.stack([walked.mirage.frames[step].imagined.numpy() for step in steps])
        truth = walked.truth.at(steps).rgb
        parts.append(cell_errors(share, walked.pictures(MIRAGE, steps), truth, episode.world.codec.stride))
    cells = joined(parts)
    return {"unsure": np.round(cells.unsure, 4).tolist(), "error": np.round(cells.error, 6).tolist()}
