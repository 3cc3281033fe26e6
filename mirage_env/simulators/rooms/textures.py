"""Seamless procedural materials: every function gives a tile (size, size, 3) uint8 that repeats without a seam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mirage_env.geometry import Array

Colour = tuple[float, float, float] | Array


@dataclass(frozen=True)
class Material:
    """A texture and the metres that one repeat of it covers along u and v; pictures use (1, 1) and uv in 0..1."""

    pixels: Array
    metres: tuple[float, float]


def noise(
    size: int | tuple[int, int],
    rng: np.random.Generator,
    roughness: float = 1.0,
    stretch: tuple[float, float] = (1.0, 1.0),
    low: float = 0.0,
) -> Array:
    """Periodic noise (rows, columns), mean 0, deviation 1, amplitude falling as frequency ** -roughness.

    ``stretch`` (rows, columns) lengthens the structures along an axis; below ``low`` cycles per tile nothing remains.
    """
    rows, columns = (size, size) if isinstance(size, int) else size
    fy = np.fft.fftfreq(rows)[:, None] * rows * stretch[0]
    fx = np.fft.rfftfreq(columns)[None] * columns * stretch[1]
    f = np.hypot(fy, fx)
    f[0, 0] = np.inf
    amplitude = np.where(f < low, 0.0, np.maximum(f, 1e-3) ** -roughness)
    phase = rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)
    field = np.fft.irfft2(amplitude * phase, s=(rows, columns))
    return (field - field.mean()) / max(float(field.std()), 1e-9)


def paint(colour: Colour, shade: Array) -> Array:
    """Pixels uint8 of one colour (0..1) multiplied by a shade map (H, W) or (H, W, 3) around 1."""
    shade = shade[..., None] if shade.ndim == 2 else shade
    return (np.clip(np.asarray(colour) * shade, 0, 1) * 255 + 0.5).astype(np.uint8)


def blend(a: Colour, b: Colour, weight: Array) -> Array:
    """Pixels uint8 between two colours (0..1) by a weight map (H, W) in 0..1."""
    w = np.clip(weight, 0, 1)[..., None]
    return ((np.asarray(a) * (1 - w) + np.asarray(b) * w).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _grid(size: int) -> tuple[Array, Array]:
    return np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)


def grain(colour: Colour, rng: np.random.Generator, size: int = 256, contrast: float = 1.0) -> Array:
    """Wood for furniture, the grain along u: long fibres and slow, stretched rings."""
    rings = noise(size, rng, 2.2, (1.0, 7.0))
    fibres = noise(size, rng, 0.7, (1.0, 30.0), low=12)
    waves = np.sin(rings * 5.0)
    return paint(colour, 1 + contrast * (0.045 * rings + 0.03 * waves + 0.035 * fibres))


def planks(colour: Colour, rng: np.random.Generator, size: int = 256, rows: int = 8, variety: float = 0.07) -> Array:
    """Floor boards along u, staggered, each with its own tone and grain, thin dark joints."""
    x, y = _grid(size)
    row = np.floor(y * rows).astype(int)
    shift = rng.permutation(rows)[row] / rows
    along = (x + shift) % 1.0
    board = np.floor(along * 2).astype(int)
    index = row * 2 + board
    tone = rng.normal(0, variety, 2 * rows)[index]
    warm = rng.normal(0, variety * 0.25, 2 * rows)[index]
    field, fibres = noise(size, rng, 2.0, (1.0, 8.0)), noise(size, rng, 0.8, (1.0, 24.0), low=10)
    jump = rng.integers(0, size, 2 * rows)[index]
    r, c = np.indices((size, size))
    g = 0.05 * np.sin(4 * field[r, (c + jump) % size]) * 0.6 + 0.03 * fibres[r, (c + jump) % size]
    edge = np.minimum((y * rows) % 1.0, 1 - (y * rows) % 1.0) * (size / rows)
    end = np.minimum((along * 2) % 1.0, 1 - (along * 2) % 1.0) * (size / 2)
    joint = 1 - 0.32 * np.exp(-((np.minimum(edge, end) / 0.9) ** 2))
    shade = (1 + tone + g) * joint
    return paint(colour, np.stack([shade * (1 + warm), shade, shade * (1 - warm)], -1))


def herringbone(colour: Colour, rng: np.random.Generator, size: int = 256, ratio: int = 4) -> Array:
    """Parquet of blocks 1 : ``ratio`` laid in a herringbone."""
    period = 2 * ratio
    x, y = _grid(size)
    x, y = x * period, y * period
    ix, iy = np.floor(x).astype(int), np.floor(y).astype(int)
    phase = (ix - iy) % period
    flat = phase < ratio
    start_x = np.where(flat, ix - phase, ix) % period
    along_up = (iy - ix - 1) % period
    start_y = np.where(flat, iy, iy - along_up) % period
    index = (start_x * period + start_y) * 2 + flat
    tone = rng.normal(0, 0.075, 2 * period * period)[index]
    fibre, wave = noise(size, rng, 0.9, (1.0, 16.0), low=8), noise(size, rng, 2.0, (1.0, 6.0))
    g = np.where(flat, fibre, fibre.T) * 0.03 + np.where(flat, wave, wave.T) * 0.03
    u = np.where(flat, phase + x - ix, along_up + y - iy)
    v = np.where(flat, y - iy, x - ix)
    pixels = size / period
    edge = np.minimum(np.minimum(v, 1 - v), np.minimum(u, ratio - u)) * pixels
    return paint(colour, (1 + tone + g) * (1 - 0.3 * np.exp(-((edge / 0.9) ** 2))))


def tiles(
    colour: Colour,
    grout: Colour,
    rng: np.random.Generator,
    size: int = 256,
    across: int = 4,
    down: int = 4,
    offset: float = 0.0,
    second: Colour | None = None,
    gap: float = 1.6,
) -> Array:
    """Ceramic tiles with grout, a soft glaze and a slight tone per tile; ``offset`` 0.5 lays them like bricks.

    With ``second`` the tiles alternate like a chess board (``across`` and ``down`` must be even to stay seamless).
    """
    x, y = _grid(size)
    row = np.floor(y * down).astype(int)
    along = (x * across + offset * (row % 2)) % across
    column = np.floor(along).astype(int)
    index = row * across + column
    tone = rng.normal(0, 0.02, across * down)[index] + 0.018 * noise(size, rng, 1.6)
    u, v = along % 1.0, (y * down) % 1.0
    edge = np.minimum(np.minimum(u, 1 - u) * size / across, np.minimum(v, 1 - v) * size / down)
    bevel = 1 - 0.1 * np.exp(-(((edge - gap) / 1.6) ** 2))
    base = np.broadcast_to(np.asarray(colour, float), (size, size, 3))
    if second is not None:
        base = np.where(((row + column) % 2 == 0)[..., None], base, np.asarray(second))
    mask = np.clip(edge - gap + 0.5, 0, 1)[..., None]
    joint = np.asarray(grout) * (1 + 0.03 * noise(size, rng, 0.6))[..., None]
    out = base * ((1 + tone) * bevel)[..., None] * mask + joint * (1 - mask)
    return (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)


def brick(colour: Colour, mortar: Colour, rng: np.random.Generator, size: int = 256, variety: float = 0.09) -> Array:
    """Brickwork with rough faces; ``variety`` is the change of tone from brick to brick."""
    x, y = _grid(size)
    down, across = 8, 4
    row = np.floor(y * down).astype(int)
    along = (x * across + 0.5 * (row % 2)) % across
    index = row * across + np.floor(along).astype(int)
    tone = rng.normal(0, variety, across * down)[index] + (0.01 + 0.4 * variety) * noise(size, rng, 1.0)
    u, v = along % 1.0, (y * down) % 1.0
    edge = np.minimum(np.minimum(u, 1 - u) * size / across, np.minimum(v, 1 - v) * size / down)
    mask = np.clip(edge - 1.6 + 0.8 * noise(size, rng, 1.0), 0, 1)[..., None]
    joint = np.asarray(mortar) * (1 + 0.06 * noise(size, rng, 0.8))[..., None]
    out = np.asarray(colour) * (1 + tone)[..., None] * mask + joint * (1 - mask)
    return (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)


def plaster(colour: Colour, rng: np.random.Generator, size: int = 128, contrast: float = 1.0) -> Array:
    """Painted plaster: nearly flat, with a faint trowel structure."""
    return paint(colour, 1 + contrast * (0.012 * noise(size, rng, 1.7) + 0.008 * noise(size, rng, 0.6, low=6)))


def concrete(colour: Colour, rng: np.random.Generator, size: int = 256) -> Array:
    """Concrete: cloudy, with small pores."""
    cloud = noise(size, rng, 1.8)
    pores = noise(size, rng, 0.4, low=20)
    return paint(colour, 1 + 0.05 * cloud + 0.015 * pores - 0.16 * (pores > 2.9))


def marble(colour: Colour, vein: Colour, rng: np.random.Generator, size: int = 256) -> Array:
    """Marble: clouds, and veins where two noises cross zero."""
    a, b = noise(size, rng, 1.9), noise(size, rng, 1.6)
    veins = 0.75 * np.exp(-((a * 9) ** 2)) * np.clip(0.6 + 0.5 * b, 0, 1) + 0.3 * np.exp(-((b * 12) ** 2))
    return blend(colour, vein, 0.12 * np.clip(0.5 + 0.4 * b, 0, 1) + 0.55 * veins)


def weave(colour: Colour, rng: np.random.Generator, size: int = 128, threads: int = 32, contrast: float = 1.0) -> Array:
    """Woven cloth: warp and weft one over the other, uneven threads."""
    x, y = _grid(size)
    i, j = np.floor(x * threads).astype(int), np.floor(y * threads).astype(int)
    over = (i + j) % 2 == 0
    profile = np.where(over, np.sin(np.pi * ((x * threads) % 1)), np.sin(np.pi * ((y * threads) % 1)))
    thread = np.where(over, rng.normal(0, 1, threads)[i], rng.normal(0, 1, threads)[j])
    return paint(colour, 1 + contrast * (0.07 * (profile - 0.64) + 0.02 * thread + 0.02 * noise(size, rng, 1.5)))


def carpet(colour: Colour, rng: np.random.Generator, size: int = 256) -> Array:
    """Short pile: fine tufts over slow clouds."""
    return paint(colour, 1 + 0.05 * noise(size, rng, 0.35, low=24) + 0.03 * noise(size, rng, 1.5))


def leather(colour: Colour, rng: np.random.Generator, size: int = 128) -> Array:
    """Leather: a fine net of creases between soft cells."""
    cells = noise(size, rng, 0.9, low=8)
    return paint(colour, 1 + 0.04 * noise(size, rng, 1.8) - 0.10 * np.exp(-((cells * 3.2) ** 2)))


def stripes(colour: Colour, second: Colour, rng: np.random.Generator, size: int = 128, count: int = 4) -> Array:
    """Wallpaper with upright stripes of two widths."""
    x, _ = _grid(size)
    u = (x * count) % 1.0
    band = np.clip((0.25 - np.abs(u - 0.35)) * size / count, 0, 1)
    line = np.clip((0.03 - np.abs(u - 0.82)) * size / count + 0.5, 0, 1)
    return _papered(colour, second, np.maximum(band, line), rng, size)


def damask(colour: Colour, second: Colour, rng: np.random.Generator, size: int = 256) -> Array:
    """Wallpaper with mirrored ornaments, half dropped from column to column."""
    half = noise(size, rng, 2.2, low=2.5)[: size // 2, : size // 4]
    y, x = np.indices(half.shape)
    vase = np.hypot((x + 0.5) / half.shape[1], (y + 0.5 - half.shape[0] / 2) / (half.shape[0] / 2))
    motif = np.concatenate([half[:, ::-1], half], 1) + np.concatenate([vase[:, ::-1], vase], 1) * -2.2 + 1.5
    motif = np.minimum(motif, 1.2 * (1 - np.abs(np.linspace(-1, 1, motif.shape[0]))[:, None] ** 4) - 0.1)
    column = np.concatenate([motif, motif])
    tile = np.concatenate([column, np.roll(column, size // 4, axis=0)], 1)
    mask = np.clip(np.sin(4.5 * tile) * 3 + 0.3, 0, 1) * np.clip(tile * 6 + 0.5, 0, 1)
    return _papered(colour, second, mask, rng, size)


def dots(colour: Colour, second: Colour, rng: np.random.Generator, size: int = 128, count: int = 4) -> Array:
    """Wallpaper with staggered dots."""
    x, y = _grid(size)
    u, v = x * count, y * count
    r = [np.hypot((u + s) % 1 - 0.5, (v + s) % 1 - 0.5) for s in (0.0, 0.5)]
    return _papered(colour, second, np.clip((0.15 - np.minimum(*r)) * size / count + 0.5, 0, 1), rng, size)


def trellis(colour: Colour, second: Colour, rng: np.random.Generator, size: int = 256, count: int = 4) -> Array:
    """Wallpaper with a curved lattice (ogee)."""
    x, y = _grid(size)
    bend = 0.22 * np.sin(2 * np.pi * y * count)
    lines = [np.abs((x * count + s * bend) % 1.0 - 0.5) for s in (1, -1)]
    line = np.clip((0.045 - np.minimum(*lines)) * size / count + 0.5, 0, 1)
    return _papered(colour, second, line, rng, size)


def leaves(colour: Colour, second: Colour, rng: np.random.Generator, size: int = 256) -> Array:
    """Wallpaper with scattered two-tone leaves."""
    x, y = _grid(size)
    mask = np.zeros((size, size))
    for k in range(14):
        cx, cy = (k * 0.618034 + 0.1 * rng.uniform()) % 1, (k + 0.5 * rng.uniform()) / 14
        angle = rng.uniform(0, np.pi)
        dx, dy = (x - cx + 0.5) % 1 - 0.5, (y - cy + 0.5) % 1 - 0.5
        u, v = dx * np.cos(angle) + dy * np.sin(angle), -dx * np.sin(angle) + dy * np.cos(angle)
        width = 0.035 * (1 - (u / 0.13) ** 2)
        leaf = np.clip((width - np.abs(v)) * size * 0.7 + 0.5, 0, 1) * (np.abs(u) < 0.13)
        mask = np.maximum(mask, leaf * (0.6 + 0.4 * np.clip(np.abs(v) * size * 0.7, 0, 1)))
    return _papered(colour, second, mask, rng, size)


def _papered(colour: Colour, second: Colour, mask: Array, rng: np.random.Generator, size: int) -> Array:
    shade = 1 + 0.010 * noise(size, rng, 0.7, low=4)
    return (blend(colour, second, mask) * shade[..., None]).clip(0, 255).astype(np.uint8)
