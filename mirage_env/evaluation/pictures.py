"""Pictures for people: views side by side with labels and bars, and maps from above. All functions give RGB arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mirage_env import geometry
from mirage_env.geometry import Array

Colour = tuple[int, int, int]

BACKGROUND: Colour = (18, 21, 27)
UNSEEN: Colour = (38, 43, 54)
TEXT: Colour = (238, 240, 244)
QUIET: Colour = (150, 157, 170)
SEEN: Colour = (74, 176, 196)
IMAGINED: Colour = (250, 152, 58)
REMEMBERED: Colour = (168, 110, 58)
AGENT: Colour = (255, 255, 255)
WORDS = (BACKGROUND, UNSEEN, TEXT, QUIET, SEEN, IMAGINED, REMEMBERED)
"""The colours of everything but views."""


class Share(NamedTuple):
    """One part of a bar: its name, its share from 0 to 1, its colour."""

    name: str
    share: float
    colour: Colour


class Caption(NamedTuple):
    """What stands under a picture: a line of text and, where there are any, the parts of a bar."""

    text: str = ""
    parts: tuple[Share, ...] = ()


class Panel(NamedTuple):
    """A square picture (S, S, 3) uint8 with words above and below it."""

    picture: Array
    title: str
    subtitle: str
    caption: Caption


@dataclass(frozen=True)
class TopView:
    """A map seen from above: x to the right, z downwards, so that an agent with yaw 0 looks up.

    Attributes:
        low: (2,) world x and z of the top left corner.
        scale: pixels per metre.
        size: pixels per side.
    """

    low: Array
    scale: float
    size: int

    def pixels(self, points: Array) -> Array:
        """World points (..., 3) as (x, y) pixels (..., 2)."""
        return (points[..., [0, 2]] - self.low) * self.scale


def side_by_side(panels: Sequence[Panel], scale: float = 1.0) -> Array:
    """Panels of one size in a row, on a dark ground; ``scale`` sizes words and gaps, 1 for 384 pixels."""
    size = panels[0].picture.shape[0]
    if any(panel.picture.shape != (size, size, 3) for panel in panels):
        raise ValueError(f"panels must share one square size, got {[panel.picture.shape for panel in panels]}")
    subtitled = any(panel.subtitle for panel in panels)
    gap, header, footer = (round(scale * n) for n in (20, 66 if subtitled else 44, 62))
    width, height = len(panels) * (size + gap) + gap, header + size + footer
    width, height = width + width % 2, height + height % 2  # video codecs want even sides
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for k, panel in enumerate(panels):
        left = gap + k * (size + gap)
        draw.text(
            (left, header - scale * (28 if subtitled else 11)),
            panel.title,
            TEXT,
            font(22 * scale, bold=True),
            anchor="ls",
        )
        draw.text((left, header - scale * 9), panel.subtitle, QUIET, font(14 * scale), anchor="ls")
        sheet.paste(Image.fromarray(panel.picture), (left, header))
        _caption(draw, panel.caption, left, header + size, size, scale)
    return np.asarray(sheet)


def enlarge(image: Array, factor: int) -> Array:
    """Each pixel of (H, W, ...) as factor x factor pixels."""
    return image.repeat(factor, 0).repeat(factor, 1)


def mask_unseen(image: Array, visible: Array) -> Array:
    """The image (H, W, 3) with a plain dark ground where not ``visible`` (H, W)."""
    return np.where(visible[..., None], image, np.array(UNSEEN, np.uint8))


def fit_top_view(points: Array, size: int, margin: float = 0.4) -> TopView:
    """The map of ``size`` pixels that shows all points (N, 3), with ``margin`` metres around them."""
    ground = points[:, [0, 2]]
    low, high = ground.min(0) - margin, ground.max(0) + margin
    side = float((high - low).max())
    return TopView((low + high - side) / 2, size / side, size)


def draw_tokens(view: TopView, positions: Array, colours: Array, widths: Array) -> Array:
    """Map (S, S, 3) of tokens seen from above, the highest on top.

    Args:
        positions: (N, 3) metres.
        colours: (N, 3) uint8.
        widths: (N,) metres that each covers.
    """
    canvas = np.empty((view.size, view.size, 3), np.uint8)
    canvas[:] = UNSEEN
    order = np.argsort(positions[:, 1], kind="stable")
    corner = np.floor(view.pixels(positions[order]) - (widths[order] * view.scale / 2)[:, None]).astype(int)
    across = np.maximum(np.ceil(widths[order] * view.scale).astype(int), 1)
    steps = np.arange(across.max(initial=1))
    column, row = corner[:, :1] + steps, corner[:, 1:] + steps
    fits = steps < across[:, None]
    column_ok, row_ok = fits & (column >= 0) & (column < view.size), fits & (row >= 0) & (row < view.size)
    token, r, c = np.nonzero(row_ok[:, :, None] & column_ok[:, None, :])
    # NumPy assigns in order, so that of several tokens on one pixel the highest stays.
    canvas[row[token, r], column[token, c]] = colours[order][token]
    return canvas


def draw_path(view: TopView, canvas: Array, positions: Array, yaws: Array, step: int, hfov: float) -> Array:
    """A map with the path (N, 3), the way walked until ``step``, and the agent there with what it looks at."""
    factor = 3  # drawn larger and shrunk, for smooth lines
    large = Image.fromarray(canvas).resize((view.size * factor, view.size * factor), Image.Resampling.NEAREST)
    glass = Image.new("RGBA", large.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(glass)
    points = view.pixels(positions) * factor
    place, unit = points[step], view.size * factor / 100
    sight = [_ahead(float(yaws[step]) + np.radians(hfov) / 2 * side) for side in np.linspace(-1, 1, 13)]
    draw.polygon([tuple(place), *(tuple(place + 24 * unit * way) for way in sight)], (*AGENT, 70))
    for low, high, colour in ((0, len(points) - 1, (*AGENT, 90)), (0, step, (*AGENT, 255))):
        if high > low:
            line = [tuple(p) for p in points[low : high + 1]]
            draw.line(line, (0, 0, 0, colour[3]), round(2.2 * unit), "curve")
            draw.line(line, colour, round(1.1 * unit), "curve")
    _dot(draw, points[0], 1.7 * unit, (*SEEN, 255))
    ahead = _ahead(float(yaws[step]))
    aside = np.array([-ahead[1], ahead[0]])
    arrow = [place + 4.2 * unit * ahead, *(place - 2.6 * unit * ahead + 2.8 * unit * s * aside for s in (1, -1))]
    arrow.insert(2, place - 1.2 * unit * ahead)
    draw.polygon([tuple(p) for p in arrow], (*AGENT, 255), (0, 0, 0, 255), round(0.5 * unit))
    large.paste(glass, (0, 0), glass)
    return np.asarray(large.resize((view.size, view.size), Image.Resampling.BOX))


def draw_walls(view: TopView, canvas: Array, floor: Array, origin: Array, cell: float) -> Array:
    """A map with the outline of a floor (H, W) bool whose cell (0, 0) begins at world x and z ``origin``."""
    centres = (np.arange(view.size) + 0.5) / view.scale
    columns = np.floor((view.low[0] + centres - origin[0]) / cell).astype(int)
    rows = np.floor((view.low[1] + centres - origin[1]) / cell).astype(int)
    inside = ((rows >= 0) & (rows < floor.shape[0]))[:, None] & ((columns >= 0) & (columns < floor.shape[1]))
    on_floor = inside & floor[rows.clip(0, floor.shape[0] - 1)[:, None], columns.clip(0, floor.shape[1] - 1)]
    around = on_floor.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            around |= np.roll(on_floor, shift, axis)
    drawn = canvas.copy()
    drawn[around & ~on_floor] = TEXT
    return drawn


@cache
def font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The sans-serif font that comes with matplotlib."""
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / name), round(size))


def _caption(draw: ImageDraw.ImageDraw, caption: Caption, left: int, top: int, width: int, scale: float) -> None:
    edge = float(left)
    bar_top, bar_bottom = top + 8 * scale, top + 15 * scale
    for part in caption.parts:
        right = edge + width * part.share
        if part.share > 0:
            draw.rectangle(
                (round(edge), round(bar_top), max(round(right) - 1, round(edge)), round(bar_bottom)), part.colour
            )
        edge = right
    base = top + 43 * scale
    if caption.text:
        draw.text((left, base), caption.text, TEXT, font(15 * scale), anchor="ls")
        return
    x = float(left)
    for part in caption.parts:
        label = f"{part.name} "
        number = f"{100 * part.share:.0f} %"
        draw.text((x, base), label, part.colour, font(15 * scale), anchor="ls")
        x += draw.textlength(label, font(15 * scale))
        draw.text((x, base), number, TEXT, font(15 * scale), anchor="ls")
        # The number's place has a fixed width, so that words do not dance from frame to frame.
        x += draw.textlength("100 %", font(15 * scale)) + 16 * scale


def _ahead(yaw: float) -> Array:
    return geometry.forward(yaw)[[0, 2]]


def _dot(draw: ImageDraw.ImageDraw, centre: Array, radius: float, colour: tuple[int, int, int, int]) -> None:
    x, y = float(centre[0]), float(centre[1])
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour, (0, 0, 0, 255), max(round(radius / 4), 1))
