"""Contact sheets: what was true, imagined and remembered along walks, to be looked at by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from mirage_env.evaluation.episode import MIRAGE, Episode
from mirage_env.evaluation.pictures import BACKGROUND, IMAGINED, QUIET, TEXT, font, mask_unseen
from mirage_env.evaluation.rollout import pixels_of
from mirage_env.files import atomic_write
from mirage_env.geometry import Array

ROWS = ("truth", "imagined", "no camera saw", "memory readout", "depth", "true depth")
_LABELS, _HEADER, _GAP = 118, 26, 3


def episode_sheet(episode: Episode) -> Array:
    """The walk through new views of one episode as an image (H, W, 3) uint8: one column per measured step."""
    walked = episode.walks["novel"]
    steps, truth = walked.truth.steps, walked.truth
    frames = [walked.mirage.frames[step] for step in steps]
    shown = walked.pictures(MIRAGE, steps)
    stride = episode.world.codec.stride
    visible = pixels_of(torch.stack([frame.visible for frame in frames]), stride)
    share = pixels_of(torch.stack([frame.imagined for frame in frames]), stride)
    readout = [replace(f, latents=f.memory, grid_depth=f.grid_depth * f.visible).rgb for f in frames]
    rows = [
        truth.rgb,
        shown,
        np.stack([overlay(image, made_up) for image, made_up in zip(shown, share, strict=True)]),
        np.stack([mask_unseen(image, known) for image, known in zip(readout, visible, strict=True)]),
        colour_depth(np.stack([frame.depth for frame in frames])),
        colour_depth(truth.depth),
    ]
    title = f"episode {episode.number}, scene {episode.scene}"
    return sheet(rows, ROWS, [f"step {step}" for step in steps], title)


def overlay(image: Array, share: Array) -> Array:
    """The image (H, W, 3) uint8, grey, tinted where ``share`` (H, W), from 0 to 1, of it was imagined."""
    grey = image.mean(-1, keepdims=True).repeat(3, -1)
    strength = 0.65 * share[..., None]
    return ((1 - strength) * grey + strength * np.array(IMAGINED)).round().astype(np.uint8)


def colour_depth(depth: Array, farthest: float = 6.0) -> Array:
    """Depth (..., H, W) in metres as colours (..., H, W, 3) uint8: near is bright; black is unknown."""
    from matplotlib import colormaps

    near = 1 - np.clip(depth / farthest, 0, 1)
    colours = (colormaps["magma"](near)[..., :3] * 255).round().astype(np.uint8)
    return np.where((depth > 0)[..., None], colours, 0).astype(np.uint8)


def sheet(rows: Sequence[Array], labels: Sequence[str], columns: Sequence[str], title: str) -> Array:
    """Rows of images (N, H, W, 3) uint8 of one size with words beside and above, as one image."""
    count, height, width = rows[0].shape[:3]
    if any(row.shape != rows[0].shape for row in rows):
        raise ValueError(f"all rows of a sheet need one shape, got {[row.shape for row in rows]}")
    size = (_LABELS + count * (width + _GAP), 2 * _HEADER + len(rows) * (height + _GAP))
    canvas = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    draw.text((6, _HEADER / 2), title, TEXT, font(13, bold=True), anchor="lm")
    for k, name in enumerate(columns):
        x = _LABELS + k * (width + _GAP) + width / 2
        draw.text((x, 1.5 * _HEADER), name, QUIET, font(12), anchor="mm")
    for r, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = 2 * _HEADER + r * (height + _GAP)
        draw.text((6, top + height / 2), label, TEXT, font(12), anchor="lm")
        for k, image in enumerate(row):
            canvas.paste(Image.fromarray(image), (_LABELS + k * (width + _GAP), top))
    return np.asarray(canvas)


def save_png(path: Path, image: Array) -> None:
    """Write an image (H, W, 3) uint8, whole or not at all."""
    with atomic_write(path) as temporary:
        Image.fromarray(image).save(temporary, optimize=True)


def stack_sheets(paths: Sequence[Path], out: Path) -> None:
    """Episodes' sheets, one below the other, as one PNG."""
    images = []
    for path in paths:
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB")))
    width = max(image.shape[1] for image in images)
    padded = [np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0))) for image in images]
    save_png(out, np.concatenate(padded))
