"""Pictures that are shown once: what lies outside a window, wall art, rugs, screens, hobs. All (H, W, 3) uint8."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from mirage_env.geometry import Array
from mirage_env.simulators.rooms.palette import Palette, oklch
from mirage_env.simulators.rooms.textures import noise


def _bytes(image: Array) -> Array:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _ridge(width: int, rng: np.random.Generator, roughness: float) -> Array:
    """A periodic skyline (width,), mean 0, deviation 1."""
    f = np.fft.rfftfreq(width) * width
    f[0] = np.inf
    line = np.fft.irfft(f**-roughness * (rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)), n=width)
    return (line - line.mean()) / max(float(line.std()), 1e-9)


OUTSIDE_METRES = (11.0, 3.4)
"""Stretch of wall, and height down from the ceiling, that one outside picture covers."""


def outside(p: Palette, rng: np.random.Generator, ceiling: float, rows: int = 128, columns: int = 512) -> Array:
    """What one side of a home looks out on: sky with soft clouds, a hazy horizon with hills, trees or houses, ground.

    It repeats sideways. The horizon lies at eye level when the top row is at the ``ceiling``.
    """
    shape = (rows, columns)
    y, x = np.indices(shape) / np.array(shape).reshape(2, 1, 1)
    horizon = (ceiling - 1.2) / OUTSIDE_METRES[1]
    if p.day < 0.4:
        zenith, low = np.array([0.10, 0.14, 0.26]), np.array([0.33, 0.32, 0.42])
    else:
        zenith, low = {
            0: ((0.45, 0.66, 0.92), (0.90, 0.95, 1.0)),
            1: ((0.80, 0.84, 0.88), (0.95, 0.96, 0.97)),
            2: ((0.60, 0.66, 0.82), (1.0, 0.88, 0.70)),
        }[p.weather]
    t = np.clip(y / horizon, 0, 1)[..., None] ** 1.3
    image = np.asarray(zenith) * (1 - t) + np.asarray(low) * t
    cover = np.clip((noise(shape, rng, 1.7, (2.0, 0.5)) - rng.uniform(-0.3, 0.8)) * 0.6, 0, 1)[..., None] * (1 - t**3)
    cover *= 0.8 if p.day > 0.4 else 0.15
    image = image * (1 - cover) + 0.98 * cover
    dim = 0.35 if p.day < 0.4 else 1.0
    rough = noise(shape, rng, 0.9)[..., None]
    layers = int(rng.integers(2, 4))
    for i in range(layers):
        depth = (i + 1) / layers
        base = horizon + 0.09 * depth
        houses = rng.uniform() < 0.3 and depth < 1
        if houses:
            steps = np.repeat(rng.uniform(0.04, 0.2, 40), rng.integers(9, 30, 40))[:columns]
            line = base - np.pad(steps, (0, columns - len(steps)), constant_values=0.05)
            colour = np.array([0.70, 0.64, 0.58]) * rng.uniform(0.8, 1.15, 3) * (1 + 0.03 * rough)
            lit = ((x * columns % 12 > 4) & (x * columns % 12 < 8) & (y * rows % 10 > 3) & (y * rows % 10 < 7))[
                ..., None
            ]
            colour = np.where(lit, colour * 0.8 if dim == 1 else np.array([0.95, 0.8, 0.5]) / dim, colour)
        else:
            trees = rng.uniform() < 0.5
            line = (
                base
                - 0.05
                - (0.02 * np.abs(_ridge(columns, rng, 0.9)) if trees else 0.0)
                - 0.03 * _ridge(columns, rng, 1.7)
            )
            colour = oklch(float(rng.uniform(0.42, 0.6)), 0.07, float(rng.uniform(115, 150))) * (1 + 0.16 * rough)
        mask = np.clip((y - line[None]) * rows, 0, 1)[..., None]
        mix = 0.25 + 0.65 * depth
        image = image * (1 - mask) + (colour * mix * dim + np.asarray(low) * (1 - mix)) * mask
    image = gaussian_filter(image, (0.5, 0.7, 0), mode="wrap")
    return _bytes(0.93 * image + 0.07 * dim)


def art(p: Palette, rng: np.random.Generator, size: int = 128) -> Array:
    """One wall picture: a landscape, blocks, circles, waves, or a plant; often with a white mount."""
    y, x = np.indices((size, size)) / size
    colours = [*p.accents, oklch(0.93, 0.02, p.hue), oklch(0.3, 0.03, p.hue)]
    order = rng.permutation(len(colours))
    paper = oklch(float(rng.uniform(0.86, 0.96)), 0.02, float(rng.uniform(60, 100)))
    kind = rng.integers(5)
    image = np.broadcast_to(paper, (size, size, 3)).copy()
    if kind == 0:
        top, low = oklch(0.75, 0.07, p.hue + rng.uniform(-60, 60)), oklch(0.93, 0.05, float(rng.uniform(40, 100)))
        image = top + (low - top) * np.clip(y / 0.6, 0, 1)[..., None]
        sun = np.hypot(x - rng.uniform(0.2, 0.8), y - rng.uniform(0.2, 0.45))
        image = np.where((sun < 0.09)[..., None], oklch(0.93, 0.1, 80), image)
        for i in range(4):
            line = 0.5 + 0.13 * i - 0.05 * _ridge(size, rng, 1.7)
            image = np.where((y > line[None])[..., None], colours[order[i]] * (1.1 - 0.16 * i), image)
    elif kind == 1:
        cuts_x, cuts_y = np.sort(rng.uniform(0.12, 0.88, 2)), np.sort(rng.uniform(0.12, 0.88, 3))
        i, j = np.searchsorted(cuts_x, x.ravel()).reshape(x.shape), np.searchsorted(cuts_y, y.ravel()).reshape(x.shape)
        choice = rng.integers(0, len(colours), (4, 4))
        image = np.array(colours)[choice[i, j]]
        gap = np.minimum(np.abs(x[..., None] - cuts_x).min(-1), np.abs(y[..., None] - cuts_y).min(-1))
        image = np.where((gap < 0.012)[..., None], paper, image)
    elif kind == 2:
        for i in range(5):
            d = np.hypot(x - rng.uniform(0.15, 0.85), y - rng.uniform(0.15, 0.85))
            mask = np.clip((rng.uniform(0.1, 0.3) - d) * size / 2, 0, 1)[..., None] * 0.85
            image = image * (1 - mask) + colours[order[i % len(order)]] * mask
    elif kind == 3:
        field = y * 5 + 0.5 * noise(size, rng, 2.4, (2.0, 0.7))
        image = np.array(colours)[np.floor(field).astype(int) % len(colours)]
    else:
        for i in range(9):
            a = rng.uniform(-1.1, 1.1)
            u, v = (x - 0.5) * np.sin(a) - (y - 0.85) * np.cos(a), (x - 0.5) * np.cos(a) + (y - 0.85) * np.sin(a)
            length = rng.uniform(0.35, 0.65)
            leaf = (np.abs(v) < 0.07 * np.sin(np.clip(u / length, 0, 1) * np.pi)) & (u > 0) & (u < length)
            image = np.where(leaf[..., None], oklch(0.35 + 0.04 * i, 0.08, float(rng.uniform(110, 160))), image)
    image = np.asarray(image) * (1 + 0.03 * noise(size, rng, 1.2))[..., None]
    if rng.uniform() < 0.5:
        edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
        image = np.where((edge < 0.11)[..., None], 0.95, image)
    return _bytes(gaussian_filter(image, (0.5, 0.5, 0)))


def rug(p: Palette, rng: np.random.Generator, size: int = 160) -> Array:
    """A rug: oriental with borders and medallion, Moroccan lattice, broad stripes, or plain with a border."""
    y, x = np.indices((size, size)) / size
    a, b, c = (p.accents[i] for i in rng.permutation(4)[:3])
    cream = oklch(0.9, 0.025, 85)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    kind = rng.integers(4)
    if kind == 0:
        image = np.broadcast_to(a, (size, size, 3))
        u, v = np.abs(x - 0.5), np.abs(y - 0.5)
        quarter = noise(size, rng, 1.8, low=5)[: size // 2, : size // 2]
        ornament = np.block([[quarter, quarter[:, ::-1]], [quarter[::-1], quarter[::-1, ::-1]]])
        image = np.where((np.abs(ornament) < 0.22)[..., None], cream, image)
        image = np.where((ornament > 1.1)[..., None], c, image)
        diamond = u * 2.2 + v * 2.2
        image = np.where((diamond < 0.55)[..., None], b, image)
        image = np.where((np.abs(diamond - 0.55) < 0.03)[..., None] | (diamond < 0.16)[..., None], cream, image)
        image = np.where((edge < 0.14)[..., None], b, image)
        teeth = (np.sin(2 * np.pi * 14 * x) * np.sin(2 * np.pi * 14 * y) > 0.25) & (edge < 0.115) & (edge > 0.035)
        image = np.where(teeth[..., None], cream, image)
        image = np.where(((np.abs(edge - 0.14) < 0.008) | (edge < 0.02))[..., None], cream * 0.9, image)
    elif kind == 1:
        n = int(rng.integers(3, 6))
        d = np.minimum(np.abs((x * n + y * n) % 1 - 0.5), np.abs((x * n - y * n) % 1 - 0.5))
        image = np.where((d < 0.07)[..., None], b * 0.6, cream)
    elif kind == 2:
        n = int(rng.integers(5, 10))
        image = np.array([a, cream, b, c])[(np.floor(y * n).astype(int) * 3) % 4]
    else:
        image = np.where(((edge > 0.05) & (edge < 0.085))[..., None], cream, a)
    return _bytes(
        np.asarray(image) * (1 + 0.05 * noise(size, rng, 0.4, low=16) + 0.03 * noise(size, rng, 1.5))[..., None]
    )


def desktop(rng: np.random.Generator, size: int = 96) -> Array:
    """A monitor at work: a background with two windows."""
    y, x = np.indices((size, size)) / size
    hue = float(rng.uniform(180, 320))
    image = oklch(0.45, 0.1, hue) * (0.7 + 0.5 * (1 - y))[..., None]
    for _ in range(2):
        x0, y0, w, h = rng.uniform(0.08, 0.4), rng.uniform(0.1, 0.35), rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.5)
        inside = (x > x0) & (x < x0 + w) & (y > y0) & (y < y0 + h)
        image = np.where(inside[..., None], 0.93, image)
        text = (
            inside & ((y * 26) % 1 > 0.55) & (x > x0 + 0.04) & (x < x0 + w * (0.6 + 0.3 * np.sin(np.floor(y * 26) * 7)))
        )
        image = np.where(text[..., None], 0.45, image)
        image = np.where((inside & (y < y0 + 0.06))[..., None], oklch(0.35, 0.06, hue), image)
    return _bytes(image)


def dark_screen(rng: np.random.Generator, size: int = 64) -> Array:
    """A television that is off, with a faint slanting reflection."""
    y, x = np.indices((size, size)) / size
    shine = np.exp(-(((x + 0.6 * y - rng.uniform(0.5, 1.1)) / 0.22) ** 2))
    return _bytes((0.055 + 0.05 * (1 - y) + 0.10 * shine)[..., None] * np.array([0.95, 1.0, 1.1]))


def hob(rng: np.random.Generator, size: int = 96) -> Array:
    """Black glass with four cooking zones."""
    y, x = np.indices((size, size)) / size
    image = np.full((size, size), 0.10)
    for cx, cy, r in ((0.28, 0.3, 0.15), (0.72, 0.28, 0.19), (0.28, 0.72, 0.19), (0.72, 0.74, 0.14)):
        d = np.hypot(x - cx, y - cy)
        image = np.where(np.abs(d - r) < 0.015, 0.5, np.where(d < r, 0.15, image))
    return _bytes(image[..., None] * np.array([1.0, 1.0, 1.02]))


def mirror(p: Palette, size: int = 64) -> Array:
    """The bright blur that a mirror shows from afar."""
    y, x = np.indices((size, size)) / size
    base = 0.72 + 0.16 * (1 - y) + 0.06 * np.exp(-(((x - y * 0.5 - 0.2) / 0.12) ** 2))
    return _bytes(base[..., None] * np.array([0.97, 1.0, 1.02]))


def clock(rng: np.random.Generator, size: int = 64) -> Array:
    """A clock face."""
    y, x = np.indices((size, size)) / size - 0.5
    image = np.full((size, size), 0.94)
    angle, r = np.arctan2(x, -y), np.hypot(x, y)
    marks = (np.abs((angle / (np.pi / 6) + 0.5) % 1 - 0.5) < 0.09) & (r > 0.37) & (r < 0.44)
    image = np.where(marks, 0.15, image)
    for turn, length, width in ((rng.uniform(0, 6.28), 0.24, 0.022), (rng.uniform(0, 6.28), 0.36, 0.015)):
        u, v = x * np.sin(turn) - y * np.cos(turn), x * np.cos(turn) + y * np.sin(turn)
        image = np.where((u > -0.05) & (u < length) & (np.abs(v) < width), 0.12, image)
    return _bytes(np.repeat(image[..., None], 3, -1))
