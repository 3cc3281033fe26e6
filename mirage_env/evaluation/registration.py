"""The motion between two views, from what they show: dense registration of images with depth, in batches.

Photometric and geometric residuals are minimised together by Gauss-Newton over a pyramid, with the weights of a
t-distribution: Steinbrücker et al. 2011 (Real-time visual odometry from dense RGB-D images), Kerl et al. 2013 (Dense
visual SLAM for RGB-D cameras).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mirage_env import geometry
from mirage_env.geometry import Array

TURNS_DEG = tuple(range(-45, 46, 5))
"""Turns from which the search begins, on the coarsest level."""
SMALLEST = 16
"""Pixels along the shorter side of the coarsest level, at least."""
MIN_OVERLAP = 0.25
"""Share of the first view that must be seen in the second."""
MAX_UNCERTAINTY = (math.radians(0.5), 0.015)
"""Expected error of turn (radians) and place (metres) above which a pair shows too little to tell its motion."""

_COARSE_STEPS, _FINE_STEPS = 12, 10
_NU = 5.0
_SIGMA_COLOUR, _SIGMA_DEPTH = 0.01, 0.003
_CORRELATED = 64.0
"""Neighbouring pixels err together: this many count as one measurement, a cell of a latent grid."""
_INCONSISTENT = 0.1
_EDGE = 0.04
_STILL = (2e-4, 5e-4)
_CHUNK = 8


@dataclass(frozen=True)
class Registration:
    """Motions of N pairs of views.

    Attributes:
        motion: T_first_second (N, 4, 4) float64: the second camera in the first's frame.
        overlap: share (N,) of the first view's pixels with depth that the second view shows, too.
        uncertainty: expected error (N, 2) of the turn in radians and of the place in metres, from the curvature of the
            cost at its minimum; it knows nothing of wrong minima.
        settled: (N,) bool, the last Gauss-Newton step was negligible.
    """

    motion: Array
    overlap: Array
    uncertainty: Array
    settled: Array

    @property
    def reason(self) -> list[str]:
        """Per pair: "" where the motion can be told, else "overlap", "texture" or "convergence": what was lacking."""
        weak = np.any(self.uncertainty > np.asarray(MAX_UNCERTAINTY), axis=1)
        return [
            "overlap" if overlap < MIN_OVERLAP else "texture" if vague else "" if still else "convergence"
            for overlap, vague, still in zip(self.overlap.tolist(), weak.tolist(), self.settled.tolist(), strict=True)
        ]


class _Level(NamedTuple):
    """Two views at one resolution.

    Attributes:
        maps: colour and inverse depth, each with its gradients along x and y, (N, 6, h, w) of both views.
        known: where the first view's inverse depth is known (N, 1, h, w), 0 or 1.
        shown: of the second view (N, 2, h, w): where its inverse depth is known, and where it shows anything at all.
        K: (3, 3).
    """

    maps: tuple[Tensor, Tensor]
    known: Tensor
    shown: Tensor
    K: Array


class _Fit(NamedTuple):
    H: Tensor
    g: Tensor
    cost: Tensor
    overlap: Tensor


@torch.no_grad()
def register(rgb: Any, depth: Any, next_rgb: Any, next_depth: Any, intrinsics: Any) -> Registration:
    """The motions of N cameras between two views each, without any knowledge of what they should be.

    Args:
        rgb, next_rgb: images (N, H, W, 3) uint8 from before and after the motion, sides of at least 16 pixels.
        depth, next_depth: their z-depth (N, H, W) in metres, 0 = unknown.
        intrinsics: K (3, 3) of all of them.

    Raises:
        ValueError: shapes disagree or the images are too small.
    """
    images = [np.asarray(x) for x in (rgb, next_rgb)]
    depths = [np.asarray(x, dtype=np.float32) for x in (depth, next_depth)]
    K = np.asarray(intrinsics, dtype=np.float64)
    shape = images[0].shape
    if len(shape) != 4 or shape[-1] != 3 or any(x.shape != shape or x.dtype != np.uint8 for x in images):
        raise ValueError(
            f"register needs two stacks of images (N, H, W, 3) uint8, got {shape} and {images[1].shape} "
            f"of {images[0].dtype} and {images[1].dtype}"
        )
    if any(x.shape != shape[:3] for x in depths) or K.shape != (3, 3):
        raise ValueError(
            f"register needs depth {shape[:3]} and intrinsics (3, 3), got {[x.shape for x in depths]} and {K.shape}"
        )
    if min(shape[1:3]) < SMALLEST:
        raise ValueError(f"register needs images of at least {SMALLEST}x{SMALLEST} pixels, got {shape[1]}x{shape[2]}")
    parts = [
        _register([x[k : k + _CHUNK] for x in images], [x[k : k + _CHUNK] for x in depths], K)
        for k in range(0, shape[0], _CHUNK)
    ]
    if not parts:
        return Registration(np.zeros((0, 4, 4)), np.zeros(0), np.zeros((0, 2)), np.zeros(0, dtype=bool))
    return Registration(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _register(images: list[Array], depths: list[Array], K: Array) -> tuple[Array, Array, Array, Array]:
    levels = _pyramid(images, depths, K)
    T = _search(levels[-1])
    for level in levels[-2::-1]:
        T, settled = _descend(level, T, _FINE_STEPS)
    if len(levels) == 1:
        T, settled = _descend(levels[0], T, _FINE_STEPS)
    fit = _fit(levels[0], T)
    spread = torch.linalg.inv(_damped(fit.H)).diagonal(dim1=1, dim2=2) * _CORRELATED
    uncertainty = torch.stack([spread[:, 3:].sum(1), spread[:, :3].sum(1)], dim=1).clamp_min(0).sqrt()
    exact = T.double()
    # Many float32 products leave a rotation that is not quite one: the nearest is.
    u, _, v = torch.linalg.svd(exact[:, :3, :3])
    exact[:, :3, :3] = u @ v
    motion = geometry.invert(exact.numpy())
    return motion, fit.overlap.numpy(), uncertainty.numpy(), settled.numpy()


def _pyramid(images: list[Array], depths: list[Array], K: Array) -> list[_Level]:
    """Levels from fine to coarse, each of half the resolution of the one before."""
    weights = torch.tensor([0.299, 0.587, 0.114]) / 255
    grey = [(torch.as_tensor(image).float() @ weights)[:, None] for image in images]
    inverse, full, known = [], [], []
    for depth in depths:
        z = torch.as_tensor(depth)[:, None]
        full.append(z > 0)
        inverse.append(torch.where(z > 0, 1 / z.clamp_min(1e-3), 0.0))
        known.append(full[-1] & ~_edges(inverse[-1], full[-1]))
    levels = []
    while True:
        first, second = (
            torch.cat([g, *_gradients(g), i, *_gradients(i, f)], dim=1)
            for g, i, f in zip(grey, inverse, full, strict=True)
        )
        levels.append(_Level((first, second), known[0].float(), torch.cat([known[1], full[1]], dim=1).float(), K))
        if min(grey[0].shape[-2:]) < 2 * SMALLEST or any(side % 2 for side in grey[0].shape[-2:]):
            return levels
        share = [functional.avg_pool2d(k.float(), 2) for k in known]
        inverse = [
            functional.avg_pool2d(i * k, 2) / s.clamp_min(1e-6) for i, k, s in zip(inverse, known, share, strict=True)
        ]
        known = [s >= 0.5 for s in share]
        full = [functional.avg_pool2d(f.float(), 2) >= 0.5 for f in full]
        grey = [functional.avg_pool2d(x, 2) for x in grey]
        K = geometry.scale_intrinsics(K, 0.5)


def _gradients(x: Tensor, full: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Slopes of x (N, 1, h, w) along x and y; 0 beside pixels that are not ``full``."""
    padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    along_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    along_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    if full is None:
        return along_x, along_y
    f = functional.pad(full.to(x.dtype), (1, 1, 1, 1), mode="replicate")
    return along_x * f[..., 1:-1, 2:] * f[..., 1:-1, :-2], along_y * f[..., 2:, 1:-1] * f[..., :-2, 1:-1]


def _edges(inverse: Tensor, full: Tensor) -> Tensor:
    """Where inverse depth, affine on planes, bends too much for one surface; beside unknown pixels nobody can tell."""
    padded = functional.pad(inverse, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] + padded[..., 1:-1, :-2] - 2 * inverse
    along = padded[..., 2:, 1:-1] + padded[..., :-2, 1:-1] - 2 * inverse
    f = functional.pad(full.to(inverse.dtype), (1, 1, 1, 1))
    across, along = across * f[..., 1:-1, 2:] * f[..., 1:-1, :-2], along * f[..., 2:, 1:-1] * f[..., :-2, 1:-1]
    return torch.maximum(across.abs(), along.abs()) > _EDGE * inverse


def _search(level: _Level) -> Tensor:
    """T_second_first (N, 4, 4) on the coarsest level: the best of the minima that a range of turns leads to."""
    count, turns = len(level.known), len(TURNS_DEG)
    starts = torch.eye(4).repeat(turns, 1, 1)
    # A camera's y axis points down: turning the camera left moves what it sees to the right.
    starts[:, :3, :3] = torch.stack(
        [torch.as_tensor(geometry.rotation_y(math.radians(turn)), dtype=torch.float32) for turn in TURNS_DEG]
    )
    first, second, known, shown = (x.repeat_interleave(turns, 0) for x in (*level.maps, level.known, level.shown))
    many = _Level((first, second), known, shown, level.K)
    T, _ = _descend(many, starts.repeat(count, 1, 1), _COARSE_STEPS)
    cost = _fit(many, T).cost.view(count, turns)
    return T.view(count, turns, 4, 4)[torch.arange(count), cost.argmin(1)]


def _descend(level: _Level, T: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """T_second_first (N, 4, 4) after Gauss-Newton steps, and which of them (N,) came to rest."""
    still = torch.zeros(len(T), dtype=torch.bool)
    for _ in range(steps):
        fit = _fit(level, T)
        step = -torch.linalg.solve(_damped(fit.H), fit.g)
        length = torch.stack([step[:, :3].norm(dim=1) / 0.3, step[:, 3:].norm(dim=1) / 0.2], dim=1).amax(1)
        step = step / length.clamp_min(1)[:, None]
        # Pairs at rest stay as they are, so that a pair does not depend on the others of its batch.
        T = torch.where(still[:, None, None], T, torch.linalg.matrix_exp(_twist(step)) @ T)
        still |= (step[:, 3:].norm(dim=1) < _STILL[0]) & (step[:, :3].norm(dim=1) < _STILL[1])
        if bool(still.all()):
            break
    return T, still


def _fit(level: _Level, T: Tensor) -> _Fit:
    """Normal equations of both residuals at T_second_first (N, 4, 4), for a twist (place, turn) applied after it."""
    first, second = level.maps
    count, _, height, width = first.shape
    fx, fy, cx, cy = (float(level.K[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    pixels = torch.as_tensor(geometry.pixel_grid(height, width), dtype=torch.float32).view(-1, 2)
    z = 1 / first[:, 3].reshape(count, -1).clamp_min(1e-3)
    points = torch.stack([(pixels[:, 0] - cx) / fx * z, (pixels[:, 1] - cy) / fy * z, z], dim=1)
    x, y, z = (T[:, :3, :3] @ points + T[:, :3, 3:]).unbind(1)
    inverse = 1 / z.clamp_min(0.05)
    u, v = fx * x * inverse + cx, fy * y * inverse + cy
    where = torch.stack([2 * u / width - 1, 2 * v / height - 1], dim=-1)[:, None]
    sampled = functional.grid_sample(torch.cat([second, level.shown], 1), where, align_corners=False)[:, :, 0]
    colour, colour_x, colour_y, depth, depth_x, depth_y, sure, full = sampled.unbind(1)
    usable = level.known.reshape(count, -1) > 0
    inside = usable & (z > 0.05) & (u > 0.5) & (u < width - 0.5) & (v > 0.5) & (v < height - 0.5)
    measured = inside & (sure > 0.99)
    r_depth = z * depth - 1
    hidden = measured & (r_depth.abs() > _INCONSISTENT)
    measured, coloured = measured & ~hidden, inside & ~hidden & (full > 0.99)
    flat = first.reshape(count, 6, -1)
    r_colour = colour - flat[:, 0]
    # The mean of both views' gradients is right to second order (Malis 2004).
    colour_x, colour_y = (colour_x + flat[:, 1]) / 2, (colour_y + flat[:, 2]) / 2
    J_colour = _chain(colour_x, colour_y, torch.zeros_like(z), x, y, inverse, fx, fy)
    J_depth = _chain(z * depth_x, z * depth_y, depth, x, y, inverse, fx, fy)
    H, g = torch.zeros(count, 6, 6), torch.zeros(count, 6)
    cost = torch.zeros(count)
    for J, r, mask, least in (
        (J_colour, r_colour, coloured, _SIGMA_COLOUR),
        (J_depth, r_depth, measured, _SIGMA_DEPTH),
    ):
        weight = _weights(r, mask, least)
        weighted = J * weight[:, None]
        H += weighted @ J.transpose(1, 2)
        g += (weighted @ r[..., None])[..., 0]
        scale = 10 * least
        robust = torch.where(mask, r.square() / (r.square() + scale**2), torch.where(hidden, 1.0, 0.0))
        cost += robust.sum(1) / (mask | hidden).sum(1).clamp_min(1)
    overlap = inside.sum(1) / usable.sum(1).clamp_min(1)
    return _Fit(H, g, cost + 2 * (overlap < MIN_OVERLAP), overlap)


def _chain(gu: Tensor, gv: Tensor, gz: Tensor, x: Tensor, y: Tensor, inverse: Tensor, fx: float, fy: float) -> Tensor:
    """Derivatives (N, 6, P) by a twist of a residual with slopes gu, gv along the pixels and gz along z."""
    dx, dy = gu * fx * inverse, gv * fy * inverse
    dz = gz - (dx * x + dy * y) * inverse
    z = 1 / inverse
    return torch.stack([dx, dy, dz, y * dz - z * dy, z * dx - x * dz, x * dy - y * dx], dim=1)


def _weights(r: Tensor, mask: Tensor, least: float) -> Tensor:
    """Weights (N, P) of residuals under a t-distribution whose scale is fitted to them: inverse variances."""
    count = mask.sum(1).clamp_min(1)
    square = torch.where(mask, r.square(), 0.0)
    variance = (square.sum(1) / count).clamp_min(least**2)
    for _ in range(4):
        robust = square * (_NU + 1) / (_NU + square / variance[:, None])
        variance = (robust.sum(1) / count).clamp_min(least**2)
    variance = variance[:, None]
    return torch.where(mask, (_NU + 1) / (_NU + square / variance) / variance, 0.0)


def _damped(H: Tensor) -> Tensor:
    """Invertible also where nothing is measured; negligible where something is."""
    return H + torch.diag_embed(1e-5 * H.diagonal(dim1=1, dim2=2) + 1e-3)


def _twist(v: Tensor) -> Tensor:
    """Generators (N, 4, 4) of twists (N, 6): metres, then radians."""
    generator = torch.zeros(len(v), 4, 4)
    generator[:, :3, 3] = v[:, :3]
    generator[:, 0, 1], generator[:, 0, 2], generator[:, 1, 2] = -v[:, 5], v[:, 4], -v[:, 3]
    generator[:, 1, 0], generator[:, 2, 0], generator[:, 2, 1] = v[:, 5], -v[:, 4], v[:, 3]
    return generator
