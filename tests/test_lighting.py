"""Another light on an image."""

from __future__ import annotations

import numpy as np
import pytest

from mirage_env.lighting import COLDEST, DAYLIGHT, WARMEST, Lighting, relit

EVERY_VALUE = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
MID_GREY = np.full((1, 1, 3), 128, np.uint8)


def linear(image: np.ndarray) -> np.ndarray:
    encoded = image / 255.0
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def test_the_plain_light_changes_no_value() -> None:
    np.testing.assert_array_equal(relit(EVERY_VALUE, Lighting()), EVERY_VALUE)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.3])
def test_brightness_is_a_factor_on_linear_light(factor: float) -> None:
    values = EVERY_VALUE[:200]
    lit = linear(relit(values, Lighting(brightness=factor)))
    np.testing.assert_allclose(lit, np.minimum(factor * linear(values), 1.0), atol=0.005)


def test_contrast_spreads_values_about_mid_grey() -> None:
    lit = relit(np.array([[64, 128, 192]], np.uint8), Lighting(contrast=1.5)).astype(float)
    np.testing.assert_allclose(lit - 127.5, 1.5 * (np.array([[64, 128, 192]]) - 127.5), atol=0.5)
    assert np.ptp(relit(EVERY_VALUE, Lighting(contrast=0.0))) == 0


@pytest.mark.parametrize(("kelvin", "redder"), [(WARMEST, True), (4000.0, True), (9000.0, False), (COLDEST, False)])
def test_lower_temperatures_are_redder_at_equal_luminance(kelvin: float, redder: bool) -> None:
    red, _, blue = relit(MID_GREY, Lighting(temperature=kelvin))[0, 0].astype(int)
    assert (red > 128 > blue) if redder else (red < 128 < blue)
    luminance = linear(relit(MID_GREY, Lighting(temperature=kelvin)))[0, 0] @ [0.2126, 0.7152, 0.0722]
    assert luminance == pytest.approx(linear(MID_GREY)[0, 0, 0], rel=0.02)


def test_the_white_of_6500_kelvin_is_nearly_that_of_srgb() -> None:
    """The fit to the black body against D65 itself, which daylight makes a little greener."""
    from mirage_env.lighting import _white

    np.testing.assert_allclose(_white(DAYLIGHT), 1.0, atol=0.06)
