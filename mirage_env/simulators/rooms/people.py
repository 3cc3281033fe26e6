"""Person-like bodies from simple solids, with legs and arms that swing."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.rooms import textures as tx
from mirage_env.simulators.rooms.bodies import Body, Part, assemble
from mirage_env.simulators.rooms.palette import oklch
from mirage_env.simulators.rooms.shapes import Shape
from mirage_env.simulators.rooms.textures import Material

_SKIN = ((0.92, 0.76, 0.66), (0.85, 0.66, 0.52), (0.70, 0.50, 0.37), (0.50, 0.34, 0.25), (0.36, 0.24, 0.18))
_HAIR = ((0.12, 0.09, 0.08), (0.25, 0.16, 0.10), (0.45, 0.29, 0.15), (0.72, 0.56, 0.32), (0.62, 0.61, 0.60))
_HIP, _KNEE, _ANKLE = 0.90, 0.50, 0.085
_HIP_X, _SHOULDER_X, _SHOULDER, _ELBOW = 0.095, 0.19, 1.37, 1.10
_SWING, _ARM_SWING = math.radians(17), math.radians(18)
_FLEX = math.radians(42)
_PHASES = 20


def person(rng: np.random.Generator) -> Body:
    """A person of 1.6 to 1.8 m, dressed at random."""
    scale = float(rng.uniform(1.60, 1.80)) / 1.715
    build = float(rng.uniform(0.92, 1.1))
    sleeves, coat = bool(rng.uniform() < 0.6), bool(rng.uniform() < 0.35)
    long_hair = bool(rng.uniform() < 0.4)
    sleeve = "shirt" if sleeves else "skin"
    torso, legs = _torso(build, coat, long_hair), [_leg(side, build) for side in (-1, 1)]
    arms = [_arm(side, build, sleeve) for side in (-1, 1)]
    parts = [Part(torso)]
    for side, (thigh, shin) in zip((-1, 1), legs, strict=True):
        parts.append(Part(thigh, (side * _HIP_X, _HIP, 0.0), 0))
        parts.append(Part(shin, (side * _HIP_X, _KNEE, 0.0), len(parts) - 1))
    for side, (upper, fore) in zip((-1, 1), arms, strict=True):
        parts.append(Part(upper, (side * _SHOULDER_X * build, _SHOULDER, 0.0), 0))
        parts.append(Part(fore, (side * _SHOULDER_X * build, _ELBOW, 0.0), len(parts) - 1))
    for part in parts:
        for batch in part.shape.batches:
            batch.points = batch.points * scale
    parts = [part._replace(pivot=tuple(scale * c for c in part.pivot)) for part in parts]
    stride = 4 * scale * (_HIP - 0.05) * math.sin(_SWING)

    def gait(share: float, vigour: float) -> Array:
        return _gait(math.tau * share, vigour)

    return assemble("person", parts, _clothes(rng), gait, stride, _PHASES, (0.17 * scale, 0.15 * scale))


def _gait(phase: float, vigour: float) -> Array:
    """Angles of body, left thigh and shin, right thigh and shin, left upper arm and forearm, right ones; + is ahead."""
    s, c = math.sin(phase), math.cos(phase)
    knees = [0.08 + _FLEX * max(0.0, side * c) + 0.12 * max(0.0, -side * s) for side in (1, -1)]
    elbows = [0.18 + 0.25 * max(0.0, -side * s) for side in (1, -1)]
    thighs = [_SWING * s + 0.06, -_SWING * s + 0.06]
    arms = [-_ARM_SWING * s, _ARM_SWING * s]
    angles = [-0.03, thighs[0], -knees[0], thighs[1], -knees[1], arms[0], elbows[0], arms[1], elbows[1]]
    standing = np.array([0, 0, 0, 0, 0, 0.03, 0.12, 0.03, 0.12])
    return standing + vigour * (np.array(angles) - standing)


def _torso(build: float, coat: bool, long_hair: bool) -> Shape:
    s = Shape()
    flat = (build, 1.0, 0.64 * build)
    hem = 0.80 if coat else 0.93
    s.lathe([(0.0, 0.80), (0.13, 0.81), (0.165, 0.88), (0.158, 0.96)], "trousers", segments=12, scale=flat)
    profile = [(0.176, hem), (0.166, 1.0), (0.162, 1.08), (0.18, 1.22), (0.19, 1.30), (0.184, 1.365), (0.145, 1.42)]
    s.lathe([(0.0, hem), *profile, (0.095, 1.448), (0.05, 1.47)], "shirt", segments=14, scale=flat)
    s.lathe([(0.056, 1.43), (0.05, 1.48), (0.052, 1.56)], "skin", segments=8)
    head = [(np.sin(a), -np.cos(a)) for a in np.linspace(0, np.pi, 9)]
    s.lathe([(0.078 * r, 0.112 * y) for r, y in head], "skin", centre=(0, 1.60, 0), segments=12, scale=(1, 1, 1.2))
    s.box((0.022, 0.035, 0.03), (0, 1.588, -0.098), "skin", bevel=0.008)
    for x in (-0.031, 0.031):
        s.box((0.022, 0.012, 0.01), (x, 1.622, -0.083), "eyes")
    s.box((0.045, 0.010, 0.01), (0, 1.545, -0.083), "lips")
    cap = [(0.084 * np.sin(a), -0.105 * np.cos(a)) for a in np.linspace(0.42 * np.pi, np.pi, 6)]
    s.lathe(cap, "hair", centre=(0, 1.628, 0.012), segments=12, scale=(1, 1, 1.18))
    back = (0.145, 0.26, 0.075) if long_hair else (0.14, 0.14, 0.09)
    s.pillow(back, (0, 1.53 if long_hair else 1.595, 0.068), "hair", roundness=0.7)
    return s


def _leg(side: int, build: float) -> tuple[Shape, Shape]:
    x, thigh, shin = side * _HIP_X, Shape(), Shape()
    ring = [(0.0, _HIP + 0.06), (0.075, _HIP + 0.03), (0.092, _HIP - 0.06), (0.082, 0.68), (0.065, 0.52), (0.05, 0.46)]
    thigh.lathe([(r * build, y) for r, y in reversed(ring)], "trousers", centre=(x, 0, 0), segments=10)
    ring = [(0.048, _ANKLE - 0.005), (0.052, 0.16), (0.062, 0.36), (0.062, 0.47), (0.045, 0.535), (0.0, 0.55)]
    shin.lathe([(r * build, y) for r, y in ring], "trousers", centre=(x, 0, 0), segments=10)
    shin.pillow((0.098, 0.105, 0.27), (x, 0.0525, -0.055), "shoes", roundness=0.45)
    return thigh, shin


def _arm(side: int, build: float, sleeve: str) -> tuple[Shape, Shape]:
    x, upper, fore = side * _SHOULDER_X * build, Shape(), Shape()
    top = [(0.0, 1.425), (0.035, 1.418), (0.057, 1.375), (0.054, 1.26), (0.046, 1.10), (0.02, 1.075)]
    upper.lathe([(r * build, y) for r, y in reversed(top)], "shirt", centre=(x, 0, 0), segments=9)
    lower = [(0.0, 0.83), (0.027, 0.835), (0.030, 0.90), (0.040, 1.05), (0.042, 1.10), (0.03, 1.135), (0.0, 1.145)]
    fore.lathe([(r * build, y) for r, y in lower], sleeve, centre=(x, 0, 0), segments=9)
    fore.pillow((0.038, 0.15, 0.075), (x, 0.785, -0.008), "skin", roundness=0.7, detail=6)
    return upper, fore


def _clothes(rng: np.random.Generator) -> dict[str, Material]:
    skin = np.array(_SKIN[rng.integers(len(_SKIN))])
    hue = float(rng.uniform(0, 360))
    shirt = oklch(float(rng.uniform(0.40, 0.85)), float(rng.choice([0.02, 0.06, 0.10])), hue)
    second = np.clip(shirt * 0.72, 0, 1) if shirt.mean() > 0.5 else np.clip(shirt * 1.5, 0, 1)
    denim = oklch(float(rng.uniform(0.32, 0.52)), 0.06, 255.0)
    plain = oklch(float(rng.uniform(0.25, 0.7)), float(rng.uniform(0.005, 0.04)), float(rng.choice([60.0, 90.0, hue])))
    pattern = int(rng.integers(4))
    if pattern == 0:
        top = Material(tx.stripes(shirt, second, rng, 128, 4).swapaxes(0, 1).copy(), (0.28, 0.28))
    elif pattern == 1:
        top = Material(tx.trellis(shirt, second, rng, 128, 2), (0.2, 0.2))
    else:
        top = Material(tx.weave(shirt, rng, 64), (0.16, 0.16))
    shoes = oklch(float(rng.choice([0.22, 0.35, 0.9])), 0.02, 60.0)
    return {
        "skin": Material(tx.plaster(skin, rng, 64, 0.8), (0.3, 0.3)),
        "hair": Material(tx.carpet(np.array(_HAIR[rng.integers(len(_HAIR))]), rng, 64), (0.12, 0.12)),
        "shirt": top,
        "trousers": Material(tx.weave(denim if rng.uniform() < 0.55 else plain, rng, 64), (0.14, 0.14)),
        "shoes": Material(tx.leather(shoes, rng, 64), (0.3, 0.3)),
        "eyes": Material(tx.plaster((0.10, 0.09, 0.09), rng, 16, 0.5), (0.1, 0.1)),
        "lips": Material(tx.plaster(np.clip(skin * (0.86, 0.62, 0.62), 0, 1), rng, 16, 0.5), (0.1, 0.1)),
    }
