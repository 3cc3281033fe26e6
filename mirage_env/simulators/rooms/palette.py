"""Colours of a home: one family of harmonious paints, woods, cloths and metals, drawn per home."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mirage_env.geometry import Array

WOODS = {
    "oak": (0.69, 0.53, 0.36),
    "walnut": (0.43, 0.29, 0.20),
    "birch": (0.82, 0.71, 0.55),
    "cherry": (0.58, 0.34, 0.22),
    "wenge": (0.27, 0.20, 0.16),
    "ash": (0.76, 0.69, 0.59),
    "white": (0.90, 0.89, 0.86),
    "grey": (0.56, 0.53, 0.49),
    "teak": (0.60, 0.42, 0.25),
}


def oklch(lightness: float, chroma: float, hue: float) -> Array:
    """sRGB colour (3,) in 0..1 from OKLCH (lightness 0..1, chroma about 0..0.3, hue in degrees), clipped to gamut."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    lms = (
        np.array(
            [
                lightness + 0.3963377774 * a + 0.2158037573 * b,
                lightness - 0.1055613458 * a - 0.0638541728 * b,
                lightness - 0.0894841775 * a - 1.2914855480 * b,
            ]
        )
        ** 3
    )
    linear = (
        np.array(
            [
                [4.0767416621, -3.3077115913, 0.2309699292],
                [-1.2684380046, 2.6097574011, -0.3413193965],
                [-0.0041960863, -0.7034186147, 1.7076147010],
            ]
        )
        @ lms
    )
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@dataclass(frozen=True)
class Palette:
    """What a home is painted with; colours (3,) in 0..1.

    Attributes:
        hue: the home's main hue in degrees; ``accents`` are built around it.
        wood, wood2: furniture woods; ``floor_wood`` that of the boards.
        trim: doors, frames and skirting. ceiling: ceilings. metal: legs, handles and taps.
        cloth: large upholstery; accents: cushions, rugs, curtains and pictures.
        light: colour of lamps; sky: colour of daylight. day: strength of daylight, 1 on a bright day.
        weather: 0 clear, 1 overcast, 2 low sun.
    """

    hue: float
    wood: Array
    wood2: Array
    floor_wood: Array
    trim: Array
    ceiling: Array
    metal: Array
    cloth: Array
    cloth2: Array
    accents: tuple[Array, ...]
    light: Array
    sky: Array
    day: float
    weather: int


def draw_palette(rng: np.random.Generator) -> Palette:
    """A random palette."""
    hue = float(rng.uniform(0, 360))
    names = list(WOODS)

    def wood(p: dict[str, float]) -> Array:
        weights = np.array([p.get(name, 0.6) for name in names])
        base = np.array(WOODS[names[rng.choice(len(names), p=weights / weights.sum())]])
        return np.clip(base * rng.uniform(0.92, 1.08) * (1 + rng.normal(0, 0.02, 3)), 0.05, 0.97)

    scheme = [(0, 30, -30), (0, 180, 25), (0, 120, 240), (0, 150, 210)][rng.integers(4)]
    accents = tuple(
        oklch(float(rng.uniform(0.42, 0.78)), float(rng.uniform(0.06, 0.15)), hue + s + float(rng.uniform(-12, 12)))
        for s in (*scheme, scheme[1])
    )
    cloth = oklch(
        float(rng.uniform(0.35, 0.85)), float(rng.choice([0.015, 0.03, 0.08, 0.11])), hue + rng.uniform(-20, 20)
    )
    cloth2 = oklch(float(rng.uniform(0.4, 0.9)), float(rng.choice([0.015, 0.04, 0.1])), hue + scheme[1])
    warm = rng.uniform()
    weather = int(rng.choice(3, p=[0.45, 0.35, 0.2]))
    dusk = rng.uniform() < 0.12
    sky = (
        np.array([[0.90, 0.97, 1.08], [1.0, 1.0, 1.0], [1.16, 1.0, 0.82]][weather])
        if not dusk
        else np.array([0.8, 0.9, 1.3])
    )
    return Palette(
        hue=hue,
        wood=wood({"white": 0.4, "grey": 0.2}),
        wood2=wood({"white": 1.6, "wenge": 0.5}),
        floor_wood=wood({"white": 0.05, "wenge": 0.3, "oak": 1.5}),
        trim=np.array([0.93, 0.925, 0.90]) if rng.uniform() < 0.75 else wood({"white": 0.0}),
        ceiling=np.array([0.95, 0.945, 0.93]) * (1 + 0.02 * np.array([warm, 0, -warm])),
        metal=np.array([[0.62, 0.63, 0.64], [0.16, 0.16, 0.17], [0.72, 0.58, 0.36]][rng.integers(3)]),
        cloth=cloth,
        cloth2=cloth2,
        accents=accents,
        light=np.array([1.12, 0.98, 0.80]) if rng.uniform() < 0.7 else np.array([1.03, 1.0, 0.95]),
        sky=sky,
        day=0.06 if dusk else float(rng.uniform(0.6, 1.25)),
        weather=weather,
    )


def wall_colour(palette: Palette, rng: np.random.Generator) -> Array:
    """Paint for a room: mostly light and quiet, sometimes pastel, now and then deep."""
    kind = rng.choice(3, p=[0.45, 0.38, 0.17])
    hue = palette.hue + rng.choice([0.0, 30.0, -30.0, 180.0]) + rng.uniform(-10, 10)
    if kind == 0:
        return oklch(float(rng.uniform(0.88, 0.95)), float(rng.uniform(0.005, 0.02)), float(rng.choice([80.0, hue])))
    if kind == 1:
        return oklch(float(rng.uniform(0.76, 0.88)), float(rng.uniform(0.03, 0.06)), hue)
    return oklch(float(rng.uniform(0.42, 0.62)), float(rng.uniform(0.05, 0.09)), hue)
