"""Procedural materials repeat without a seam and stay calm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mirage_env.simulators.rooms import artwork, textures
from mirage_env.simulators.rooms.palette import draw_palette, oklch

A, B = (0.7, 0.6, 0.5), (0.4, 0.45, 0.5)
MAKERS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "grain": lambda r: textures.grain(A, r),
    "planks": lambda r: textures.planks(A, r),
    "herringbone": lambda r: textures.herringbone(A, r),
    "tiles": lambda r: textures.tiles(A, B, r),
    "chess": lambda r: textures.tiles(A, B, r, second=B),
    "metro": lambda r: textures.tiles(A, B, r, across=4, down=8, offset=0.5),
    "brick": lambda r: textures.brick(A, B, r),
    "plaster": lambda r: textures.plaster(A, r),
    "concrete": lambda r: textures.concrete(A, r),
    "marble": lambda r: textures.marble(A, B, r),
    "weave": lambda r: textures.weave(A, r),
    "carpet": lambda r: textures.carpet(A, r),
    "leather": lambda r: textures.leather(A, r),
    "stripes": lambda r: textures.stripes(A, B, r),
    "damask": lambda r: textures.damask(A, B, r),
    "dots": lambda r: textures.dots(A, B, r),
    "trellis": lambda r: textures.trellis(A, B, r),
    "leaves": lambda r: textures.leaves(A, B, r),
}


@pytest.mark.parametrize("name", MAKERS)
def test_tiles_are_seamless_and_deterministic(name: str) -> None:
    image = MAKERS[name](np.random.default_rng(1))
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert np.array_equal(image, MAKERS[name](np.random.default_rng(1)))
    pixels = image.astype(float)
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels, axis=axis)).mean(axis=(1 - axis, 2))
        seam = np.abs(np.take(pixels, 0, axis) - np.take(pixels, -1, axis)).mean()
        assert seam <= 1.25 * steps.max() + 1.0, f"{name}: seam {seam:.1f} against steps up to {steps.max():.1f}"


def test_the_seam_check_can_fail() -> None:
    ramp = np.repeat(np.linspace(60, 200, 128)[None, :, None], 128, 0)
    assert np.abs(ramp[:, 0] - ramp[:, -1]).mean() > 1.25 * np.abs(np.diff(ramp, axis=1)).max() + 1.0


@pytest.mark.parametrize("name", ["plaster", "weave", "carpet", "leather", "grain", "planks", "concrete"])
def test_plain_materials_are_calm(name: str) -> None:
    image = MAKERS[name](np.random.default_rng(2)).astype(float)
    assert 0.5 < image.mean(-1).std() < 26


def test_noise_is_normalised_and_periodic() -> None:
    field = textures.noise((64, 128), np.random.default_rng(0), 1.5)
    assert field.shape == (64, 128)
    assert abs(field.mean()) < 1e-9
    assert field.std() == pytest.approx(1.0)


def test_oklch_agrees_with_known_colours() -> None:
    assert oklch(1.0, 0.0, 0.0) == pytest.approx([1, 1, 1], abs=2e-3)
    assert oklch(0.0, 0.0, 0.0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert oklch(0.62796, 0.25768, 29.234) == pytest.approx([1, 0, 0], abs=3e-3)


def test_pictures_are_images() -> None:
    rng = np.random.default_rng(3)
    palette = draw_palette(rng)
    for image in (
        artwork.outside(palette, rng, 2.5),
        artwork.art(palette, rng),
        artwork.rug(palette, rng),
        artwork.desktop(rng),
        artwork.dark_screen(rng),
        artwork.hob(rng),
        artwork.mirror(palette),
        artwork.clock(rng),
    ):
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.std() > 1
