"""Measures of pictures and depth, with the field's names and formulas, and the interval to report with a mean.

Arrays may be NumPy's or torch's, on any device; results are float64, one number per picture: inputs of shape
(..., H, W, 3) give (...), a single picture gives a scalar. Pictures are uint8 (0 to 255) or floating point (0 to 1).

A mask (..., H, W) bool restricts a measure to its True pixels; those outside have no influence at all. Where nothing is
left to measure the result is NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import bootstrap

from mirage_env.geometry import Array

WINDOW_SIGMA = 1.5
WINDOW_RADIUS = 5


class Interval(NamedTuple):
    """A mean and the bounds of its confidence interval."""

    mean: float
    low: float
    high: float


def psnr(image: Any, reference: Any, mask: Any = None) -> Array:
    """Peak signal-to-noise ratio in dB of pictures (..., H, W, 3); infinite for equal ones."""
    a, b = _pictures(image, reference)
    error = _masked_mean(np.square(a - b).mean(axis=-1), _mask(mask, a.shape[:-1]))
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(error)


def ssim(image: Any, reference: Any, mask: Any = None) -> Array:
    """Structural similarity (Wang et al. 2004) of pictures (..., H, W, 3), the mean over channels; 1 for equal ones.

    Gaussian window 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, averaged over the windows that lie wholly in the
    picture. With a mask, the window's weights outside it are 0, and windows whose centre is outside it are left out.

    Raises:
        ValueError: the pictures are smaller than the window.
    """
    a, b = _pictures(image, reference)
    if min(a.shape[-3:-1]) < 2 * WINDOW_RADIUS + 1:
        raise ValueError(f"ssim needs pictures of at least 11x11 pixels, got {a.shape[-3]}x{a.shape[-2]}")
    inside = _mask(mask, a.shape[:-1])
    weights = np.ones_like(a[..., :1]) if inside is None else inside[..., None].astype(np.float64)
    # Where no pixel of a window counts the sums are 0, and so is the divided value; such windows are not averaged.
    total = np.maximum(_window_sum(weights), 1e-12)
    mean_a, mean_b, aa, bb, ab = (_window_sum(weights * x) / total for x in (a, b, a * a, b * b, a * b))
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    variances = aa - mean_a**2 + bb - mean_b**2
    structure = (2 * (ab - mean_a * mean_b) + c2) / (variances + c2)
    centres = None if inside is None else _crop(inside[..., None])[..., 0]
    return _masked_mean((luminance * structure).mean(axis=-1), centres)


def abs_rel(depth: Any, reference: Any, mask: Any = None) -> Array:
    """Mean of |depth − reference| / reference over the pixels (..., H, W) that the reference measured (those above 0).

    A pixel that only ``depth`` leaves unmeasured counts as an error of 1; give ``mask=depth > 0`` to leave it out.
    """
    d, g, valid = _depths(depth, reference, mask)
    return _masked_mean(np.abs(d - g) / np.where(valid, g, 1.0), valid)


def delta_125(depth: Any, reference: Any, mask: Any = None) -> Array:
    """Share of the pixels (..., H, W) that the reference measured where max(depth / reference, its inverse) < 1.25.

    A pixel that only ``depth`` leaves unmeasured counts as a miss; give ``mask=depth > 0`` to leave it out.
    """
    d, g, valid = _depths(depth, reference, mask)
    close = (d < 1.25 * g) & (g < 1.25 * d)
    return _masked_mean(close.astype(np.float64), valid)


def bootstrap_interval(
    values: Any, seed: int | np.random.Generator, confidence: float = 0.95, resamples: int = 9999
) -> Interval:
    """Mean of independent values (n,) and its percentile bootstrap interval. The same seed gives the same bounds.

    Raises:
        ValueError: fewer than two values, or values that are not finite (an infinite PSNR, an empty mask).
    """
    v = _numpy(values).astype(np.float64)
    if v.ndim != 1 or len(v) < 2:
        raise ValueError(f"an interval needs a list of at least two values, got shape {v.shape}")
    if not np.isfinite(v).all():
        raise ValueError(f"an interval needs finite values, got {int((~np.isfinite(v)).sum())} that are not")
    if np.ptp(v) == 0:
        return Interval(float(v[0]), float(v[0]), float(v[0]))
    rng = np.random.default_rng(seed)
    bounds = bootstrap(
        (v,), np.mean, n_resamples=resamples, confidence_level=confidence, method="percentile", rng=rng
    ).confidence_interval
    return Interval(float(v.mean()), float(bounds.low), float(bounds.high))


def _window_sum(x: Array) -> Array:
    """Gaussian-weighted sums of x (..., H, W, C) over the windows that lie wholly inside: (..., H-10, W-10, C)."""
    return _crop(gaussian_filter(x, WINDOW_SIGMA, radius=WINDOW_RADIUS, axes=(-3, -2)))


def _crop(x: Array) -> Array:
    return x[..., WINDOW_RADIUS:-WINDOW_RADIUS, WINDOW_RADIUS:-WINDOW_RADIUS, :]


def _masked_mean(x: Array, mask: Array | None) -> Array:
    if mask is None:
        return x.mean(axis=(-2, -1))
    with np.errstate(invalid="ignore"):
        return np.where(mask, x, 0.0).sum(axis=(-2, -1)) / mask.sum(axis=(-2, -1))


def _pictures(image: Any, reference: Any) -> tuple[Array, Array]:
    a, b = _unit_range(_numpy(image)), _unit_range(_numpy(reference))
    if a.shape != b.shape:
        raise ValueError(f"the pictures differ in shape: {a.shape} against {b.shape}")
    return a, b


def _unit_range(picture: Array) -> Array:
    if picture.ndim < 3 or picture.shape[-1] != 3 or 0 in picture.shape[-3:]:
        raise ValueError(f"a picture has the shape (..., H, W, 3), got {picture.shape}")
    if picture.dtype == np.uint8:
        return picture / 255.0
    if not np.issubdtype(picture.dtype, np.floating):
        raise TypeError(f"a picture is uint8 (0 to 255) or floating point (0 to 1), got {picture.dtype}")
    return picture.astype(np.float64)


def _depths(depth: Any, reference: Any, mask: Any) -> tuple[Array, Array, Array]:
    d, g = _numpy(depth).astype(np.float64), _numpy(reference).astype(np.float64)
    if d.shape != g.shape or d.ndim < 2:
        raise ValueError(f"depth and reference must share one shape (..., H, W), got {d.shape} and {g.shape}")
    if not (np.isfinite(d).all() and np.isfinite(g).all()):
        raise ValueError("depth must be finite; 0 stands for no measurement")
    inside = _mask(mask, d.shape)
    valid = g > 0
    return d, g, valid if inside is None else valid & inside


def _mask(mask: Any, shape: tuple[int, ...]) -> Array | None:
    if mask is None:
        return None
    inside = _numpy(mask)
    if inside.shape != shape or inside.dtype != np.bool_:
        raise ValueError(f"a mask here is bool of shape {shape}, got {inside.dtype} of shape {inside.shape}")
    return inside


def _numpy(x: Any) -> Array:
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        return (x.float() if x.is_floating_point() and x.element_size() < 4 else x).numpy()
    return np.asarray(x)


def detection_scores(hits: float, said: float, true: float) -> dict[str, float]:
    """Precision, recall and F1 of a yes, NaN where undefined: ``hits`` of those ``said``, and of those ``true``."""
    return {
        "precision": float(hits / said) if said else math.nan,
        "recall": float(hits / true) if true else math.nan,
        "f1": float(2 * hits / (said + true)) if said + true else math.nan,
    }
