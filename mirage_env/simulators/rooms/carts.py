"""Boxes on wheels: wooden crates and delivery robots that drive about."""

from __future__ import annotations

import math

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.rooms import textures as tx
from mirage_env.simulators.rooms.bodies import Body, Part, assemble
from mirage_env.simulators.rooms.palette import WOODS, oklch
from mirage_env.simulators.rooms.shapes import Batch, Shape, Vec3
from mirage_env.simulators.rooms.textures import Material

_WHEEL_WIDTH = 0.035
_SPOKES = 5
_PHASES = 6


def cart(rng: np.random.Generator) -> Body:
    """A box on four wheels, 0.3 to 0.6 m high: a crate of boards, or a robot with a face of glass."""
    width, depth = float(rng.uniform(0.30, 0.36)), float(rng.uniform(0.36, 0.42))
    height, wheel = float(rng.uniform(0.22, 0.42)), float(rng.uniform(0.06, 0.08))
    clearance = 0.85 * wheel
    size = (width, height, depth)
    body = _crate(size, clearance) if rng.uniform() < 0.45 else _robot(size, clearance, rng)
    parts = [Part(body)]
    x, z = width / 2 + _WHEEL_WIDTH / 2 + 0.004, depth / 2 - wheel - 0.015
    parts += [Part(_wheel(wheel, (a * x, wheel, b * z), a), (a * x, wheel, b * z), 0) for a in (-1, 1) for b in (-1, 1)]

    step = math.tau / _SPOKES  # after which a wheel looks as before

    def gait(share: float, vigour: float) -> Array:
        return np.array([0.0, *[-share * step] * 4])

    half_width = x + _WHEEL_WIDTH / 2
    return assemble("box", parts, _paints(rng), gait, step * wheel, _PHASES, (half_width, depth / 2))


def _crate(size: tuple[float, float, float], clearance: float) -> Shape:
    """Boards between corner posts, under a lid."""
    s, (w, h, d) = Shape(), size
    s.box((w - 0.03, h - 0.02, d - 0.03), (0, clearance + h / 2, 0), "inside", skip="+y")
    rows = max(2, round(h / 0.09))
    board = h / rows
    for k in range(rows):
        y, tint = clearance + (k + 0.5) * board, np.full(3, 0.92 + 0.08 * ((k * 37) % 10) / 10)
        for side in (-1, 1):
            s.box((w, board - 0.014, 0.012), (0, y, side * (d / 2 - 0.006)), "boards", tint, bevel=0.002)
            s.box((0.012, board - 0.014, d - 0.026), (side * (w / 2 - 0.006), y, 0), "boards", tint, bevel=0.002)
    for a in (-1, 1):
        for b in (-1, 1):
            post = (a * (w / 2 - 0.012), clearance + h / 2, b * (d / 2 - 0.012))
            s.box((0.034, h + 0.004, 0.034), post, "posts", bevel=0.003)
    s.box((w + 0.02, 0.02, d + 0.02), (0, clearance + h + 0.01, 0), "boards", bevel=0.004)
    s.box((0.10, 0.012, 0.03), (0, clearance + h + 0.026, -d / 2 + 0.05), "metal", bevel=0.003)
    return s


def _robot(size: tuple[float, float, float], clearance: float, rng: np.random.Generator) -> Shape:
    """A smooth hull with a coloured lid, a dark glass front, a strip of light and a round sensor on top."""
    s, (w, h, d) = Shape(), size
    lid = 0.3 * h
    s.box((w, h - lid, d), (0, clearance + (h - lid) / 2, 0), "hull", bevel=0.02)
    s.box((w - 0.012, 0.012, d - 0.012), (0, clearance + h - lid, 0), "rubber")
    s.box((w, lid, d), (0, clearance + h - lid / 2 + 0.006, 0), "lid", bevel=0.025)
    s.box((0.72 * w, 0.42 * h, 0.012), (0, clearance + 0.42 * h, -d / 2 - 0.002), "glass", bevel=0.004)
    s.box((0.5 * w, 0.012, 0.01), (0, clearance + 0.42 * h, -d / 2 - 0.009), "light", emission=1.05)
    s.box((0.4 * w, 0.02, 0.01), (0, clearance + 0.35 * h, d / 2 + 0.002), "rubber", bevel=0.003)
    if rng.uniform() < 0.7:
        top = clearance + h + 0.006
        puck = [(0.045, top - 0.002), (0.045, top + 0.035), (0.0, top + 0.04)]
        s.lathe(puck, "rubber", centre=(0, 0, -0.18 * d), segments=12, sharp=True)
    return s


def _wheel(radius: float, centre: Vec3, side: int) -> Shape:
    """A tyre about the x axis through ``centre``, its spoked hub on the outer side (``side`` -1 or 1)."""
    upright, half = Shape(), _WHEEL_WIDTH / 2
    tyre = [(0.0, -half), (0.85 * radius, -half), (radius, -0.5 * half), (radius, 0.5 * half), (0.85 * radius, half)]
    upright.lathe([*tyre, (0.62 * radius, half)], "rubber", segments=16, sharp=True)
    upright.lathe([(0.63 * radius, 0.6 * half), (0.0, 0.6 * half)], "rubber", segments=16, sharp=True)
    for k in range(_SPOKES):
        turn = math.tau * k / _SPOKES
        out = 0.36 * radius
        place = (out * math.sin(turn), 0.75 * half, out * math.cos(turn))
        upright.box((0.2 * radius, 0.4 * half, 0.6 * radius), place, "metal", yaw=turn, skip="-y")
    upright.lathe(
        [(0.2 * radius, 0.6 * half), (0.2 * radius, 1.1 * half), (0, 1.1 * half)], "metal", segments=8, sharp=True
    )
    # The axis of a lathe is +y; the outer side goes to +x or -x.
    R = np.array([[0.0, side, 0.0], [-side, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turned = Shape()
    for b in upright.batches:
        points, normals = b.points @ R.T + np.asarray(centre), b.normals @ R.T
        turned.batches.append(Batch(points, normals, b.uv, b.material, b.tint, b.emission))
    return turned


def _paints(rng: np.random.Generator) -> dict[str, Material]:
    wood = np.array(list(WOODS.values())[rng.integers(len(WOODS))])
    hue = float(rng.uniform(0, 360))
    hull = oklch(float(rng.uniform(0.78, 0.95)), float(rng.uniform(0.0, 0.03)), hue)
    lid = oklch(float(rng.uniform(0.5, 0.75)), float(rng.uniform(0.10, 0.17)), hue)
    return {
        "boards": Material(tx.grain(wood, rng, 128), (0.5, 0.3)),
        "posts": Material(tx.grain(wood * 0.82, rng, 64), (0.3, 0.2)),
        "inside": Material(tx.plaster(wood * 0.25, rng, 32, 0.5), (0.3, 0.3)),
        "hull": Material(tx.plaster(hull, rng, 64, 0.4), (0.4, 0.4)),
        "lid": Material(tx.plaster(lid, rng, 64, 0.4), (0.4, 0.4)),
        "glass": Material(tx.plaster((0.08, 0.09, 0.11), rng, 32, 0.5), (0.3, 0.3)),
        "light": Material(tx.plaster(oklch(0.88, 0.12, float(rng.uniform(140, 260))), rng, 16, 0.2), (0.3, 0.3)),
        "rubber": Material(tx.plaster((0.15, 0.15, 0.16), rng, 32, 1.0), (0.2, 0.2)),
        "metal": Material(tx.plaster((0.70, 0.71, 0.72), rng, 32, 1.0), (0.2, 0.2)),
    }
