"""The measures against their formulas written out as loops, and the properties their masks promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mirage_env.evaluation.metrics import abs_rel, bootstrap_interval, delta_125, psnr, ssim
from mirage_env.geometry import Array

seeds = st.integers(0, 2**32 - 1)


def pair(seed: int, height: int = 13, width: int = 14, noise: float = 30.0) -> tuple[Array, Array, Array]:
    """A picture, a noisy copy and a mask with gaps."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    copy = np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)
    return copy, picture, rng.random((height, width)) < 0.6


def slow_psnr(a: Array, b: Array, mask: Array) -> float:
    squares = [(float(x) - float(y)) ** 2 for r, c in np.argwhere(mask) for x, y in zip(a[r, c], b[r, c], strict=True)]
    return 20 * math.log10(255 / math.sqrt(sum(squares) / len(squares)))


def slow_ssim(a: Array, b: Array, mask: Array) -> float:
    """One window at a time, in the 0 to 255 range of the original paper."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    offsets = np.arange(-5, 6)
    bell = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    values = []
    for r in range(5, a.shape[0] - 5):
        for c in range(5, a.shape[1] - 5):
            if not mask[r, c]:
                continue
            window = np.s_[r - 5 : r + 6, c - 5 : c + 6]
            w = bell * mask[window]
            w = w / w.sum()
            for channel in range(3):
                x, y = a[window][..., channel].astype(float), b[window][..., channel].astype(float)
                mx, my = (w * x).sum(), (w * y).sum()
                vx, vy, cov = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum(), (w * (x - mx) * (y - my)).sum()
                values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values)) if values else math.nan


@given(seeds, st.booleans())
def test_psnr_is_its_formula(seed: int, masked: bool) -> None:
    a, b, mask = pair(seed)
    if masked:
        assert psnr(a, b, mask) == pytest.approx(slow_psnr(a, b, mask), rel=1e-12)
    else:
        assert psnr(a, b) == pytest.approx(slow_psnr(a, b, np.ones_like(mask)), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("masked", [False, True])
def test_ssim_is_its_formula(seed: int, masked: bool) -> None:
    a, b, mask = pair(seed, 17, 15, noise=10.0 + 30 * seed)
    mask = mask if masked else np.ones_like(mask)
    assert ssim(a, b, mask if masked else None) == pytest.approx(slow_ssim(a, b, mask), abs=1e-10)


@given(seeds)
def test_pixels_outside_the_mask_have_no_influence(seed: int) -> None:
    a, b, mask = pair(seed)
    other = np.where(mask[..., None], a, 255 - a)
    for measure in (psnr, ssim):
        np.testing.assert_allclose(measure(other, b, mask), measure(a, b, mask), rtol=1e-9)
        np.testing.assert_allclose(measure(a, b, np.ones_like(mask)), measure(a, b), rtol=1e-9)


def test_equal_pictures_and_opposite_ones() -> None:
    _, picture, _ = pair(0, 20, 20)
    assert psnr(picture, picture) == math.inf
    assert ssim(picture, picture) == pytest.approx(1.0, abs=1e-12)
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert psnr(black, white) == 0.0
    assert ssim(black, white) == pytest.approx(0.01**2 / (1 + 0.01**2), rel=1e-6)
    assert ssim(picture, 255 - picture) < 0


def test_a_known_error_in_decibels() -> None:
    assert psnr(np.full((4, 4, 3), 0.5), np.full((4, 4, 3), 0.6)) == pytest.approx(20.0)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_kinds_of_arrays_and_batches_agree(measure: Any) -> None:
    pairs = [pair(seed) for seed in range(6)]
    a, b, mask = (np.stack(parts).reshape(2, 3, *parts[0].shape) for parts in zip(*pairs, strict=True))
    together = measure(a, b, mask)
    assert together.shape == (2, 3) and together.dtype == np.float64
    for i, single in enumerate(pairs):
        assert together.flat[i] == pytest.approx(measure(*single), rel=1e-12)
    in_torch = measure(torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(mask))
    np.testing.assert_array_equal(in_torch, together)
    np.testing.assert_allclose(measure(torch.from_numpy(a) / 255, b / 255.0, mask), together, rtol=1e-4)
    assert np.isfinite(measure((torch.from_numpy(a) / 255).bfloat16(), b)).all()


@given(seeds)
def test_depth_measures_are_their_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.uniform(0.5, 8.0, (6, 7)) * (rng.random((6, 7)) < 0.8)
    depth = reference * rng.uniform(0.6, 1.6, (6, 7)) * (rng.random((6, 7)) < 0.9)
    mask = rng.random((6, 7)) < 0.7
    cells = [(d, g) for d, g, m in zip(depth.flat, reference.flat, mask.flat, strict=True) if m and g > 0]
    expected = sum(abs(d - g) / g for d, g in cells) / len(cells)
    hits = sum(d > 0 and max(d / g, g / d) < 1.25 for d, g in cells) / len(cells)
    assert abs_rel(depth, reference, mask) == pytest.approx(expected)
    assert delta_125(depth, reference, mask) == pytest.approx(hits)


def test_depth_without_a_measurement() -> None:
    reference = np.array([[1.0, 2.0], [0.0, 4.0]], dtype=np.float32)
    depth = torch.tensor([[1.0, 0.0], [9.0, 4.4]])
    assert abs_rel(depth, reference) == pytest.approx((0 + 1 + 0.1) / 3, rel=1e-6)
    assert delta_125(depth, reference) == pytest.approx(2 / 3)
    assert abs_rel(depth, reference, depth > 0) == pytest.approx(0.05, rel=1e-6)
    assert delta_125(depth, reference, depth > 0) == 1.0


@pytest.mark.filterwarnings("error")
def test_nothing_to_measure_gives_nan() -> None:
    a, b, mask = pair(0)
    assert np.isnan(psnr(a, b, np.zeros_like(mask)))
    assert np.isnan(ssim(a, b, np.zeros_like(mask)))
    border = np.ones_like(mask)
    border[5:-5, 5:-5] = False
    assert np.isnan(ssim(a, b, border)) and np.isfinite(psnr(a, b, border))
    assert np.isnan(abs_rel(np.ones((2, 2)), np.zeros((2, 2))))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: psnr(np.zeros((4, 4, 3)), np.zeros((4, 5, 3))), ValueError, "differ in shape"),
        (lambda: psnr(np.zeros((3, 4, 4)), np.zeros((3, 4, 4))), ValueError, r"shape \(..., H, W, 3\), got"),
        (lambda: psnr(np.zeros((4, 4, 3), int), np.zeros((4, 4, 3), int)), TypeError, "uint8 .* got int64"),
        (lambda: psnr(*np.zeros((2, 4, 4, 3)), np.ones((4, 4))), ValueError, "a mask here is bool of shape"),
        (lambda: psnr(*np.zeros((2, 4, 4, 3)), np.ones((4, 3), bool)), ValueError, "a mask here is bool of shape"),
        (lambda: ssim(*np.zeros((2, 10, 20, 3))), ValueError, "at least 11x11 pixels, got 10x20"),
        (lambda: abs_rel(np.ones((2, 3)), np.ones((3, 2))), ValueError, "must share one shape"),
        (lambda: delta_125(np.full((2, 2), np.nan), np.ones((2, 2))), ValueError, "depth must be finite"),
        (lambda: bootstrap_interval([1.0], 0), ValueError, "at least two values"),
        (lambda: bootstrap_interval([1.0, math.inf], 0), ValueError, "finite values, got 1 that are not"),
    ],
)
def test_wrong_input_is_named(call: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        call()


def test_the_interval_is_reproducible_and_covers() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(3.0, 2.0, 30)
    interval = bootstrap_interval(values, seed=1)
    assert interval == bootstrap_interval(torch.from_numpy(values), seed=1)
    assert interval != bootstrap_interval(values, seed=2)
    assert interval.mean == pytest.approx(values.mean())
    half_width = 1.96 * values.std() / math.sqrt(30)
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.1)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.1)
    narrow = bootstrap_interval(values, seed=1, confidence=0.5)
    assert interval.low < narrow.low < narrow.high < interval.high
    samples = (bootstrap_interval(rng.normal(0.0, 1.0, 40), seed=0, resamples=400) for _ in range(100))
    assert 86 <= sum(i.low <= 0 <= i.high for i in samples) <= 100


@pytest.mark.filterwarnings("error")
def test_equal_values_have_an_interval_without_width() -> None:
    assert bootstrap_interval([2.5, 2.5, 2.5], seed=0) == (2.5, 2.5, 2.5)
