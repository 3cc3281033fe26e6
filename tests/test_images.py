"""What users give as images and depth maps: converted where the meaning is plain, refused in one sentence where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirage_env import geometry
from mirage_env.images import load_depth, load_image, resize_depth, resize_image

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
OPAQUE = np.concatenate([PIXELS, np.full((12, 16, 1), 255, np.uint8)], axis=-1)
CLEAR = np.concatenate([PIXELS, np.full((12, 16, 1), 254, np.uint8)], axis=-1)


@pytest.mark.parametrize("given", [PIXELS, OPAQUE, Image.fromarray(PIXELS), Image.fromarray(OPAQUE)])
def test_the_same_pixels_however_they_come(given: Any) -> None:
    assert np.array_equal(load_image(given), PIXELS)


def test_a_file_gives_its_pixels(tmp_path: Path) -> None:
    Image.fromarray(OPAQUE).save(tmp_path / "view.png")
    assert np.array_equal(load_image(tmp_path / "view.png"), PIXELS)
    assert np.array_equal(load_image(str(tmp_path / "view.png")), PIXELS)


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn the stored picture to the right
    Image.fromarray(PIXELS).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(load_image(tmp_path / "photo.png"), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("grey", [PIXELS[..., 0], PIXELS[..., :1], Image.fromarray(PIXELS[..., 0])])
def test_grey_becomes_three_equal_channels(grey: Any) -> None:
    assert np.array_equal(load_image(grey), np.repeat(PIXELS[..., :1], 3, axis=-1))


def test_palette_and_black_and_white_files() -> None:
    palette = Image.fromarray(PIXELS).convert("P")
    assert np.array_equal(load_image(palette), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(PIXELS[..., 0] > 127)
    assert np.array_equal(load_image(bits), np.repeat((PIXELS[..., :1] > 127) * np.uint8(255), 3, axis=-1))


def test_other_depths_of_colour_are_scaled_to_eight_bits() -> None:
    assert np.array_equal(load_image(PIXELS.astype(np.uint16) * 257), PIXELS)
    assert np.array_equal(load_image(PIXELS / 255.0), PIXELS)
    assert np.array_equal(load_image((PIXELS / 255.0).astype(np.float32)), PIXELS)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (None, TypeError, "must be a file name, a PIL image or an array"),
        ([[1, 2], [3, 4]], TypeError, "got list"),
        (np.zeros((0, 16, 3), np.uint8), ValueError, "some pixels"),
        (np.zeros((12,), np.uint8), ValueError, r"shape \(H, W, 3\)"),
        (np.zeros((12, 16, 2), np.uint8), ValueError, "3 channels"),
        (np.zeros((4, 16, 3), np.uint8), ValueError, "at least 8 pixels"),
        (CLEAR, ValueError, "transparent"),
        (Image.fromarray(CLEAR), ValueError, "transparent"),
        (PIXELS[..., 0].astype(np.uint16), ValueError, "16-bit grey image may be a depth map"),
        (Image.fromarray(PIXELS[..., 0].astype(np.uint16)), ValueError, "16-bit grey"),
        (Image.fromarray(PIXELS[..., 0].astype(np.int32)), ValueError, "16-bit grey"),
        (np.full((12, 16, 3), np.nan), ValueError, "NaN"),
        (np.full((12, 16, 3), 200.0), ValueError, r"must lie in \[0, 1\]"),
        (PIXELS.astype(np.int64), ValueError, "must be uint8"),
        (PIXELS > 3, ValueError, "must be uint8"),
    ],
)
def test_what_has_no_plain_meaning_is_refused(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        load_image(given)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no image at"):
        load_image(tmp_path / "missing.png")
    (tmp_path / "note.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    whole = tmp_path / "whole.png"
    Image.fromarray(PIXELS).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:200])
    for name in ("note.png", "empty.png", "cut.png", "."):
        with pytest.raises(ValueError, match="is not a whole image file"):
            load_image(tmp_path / name)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.ones((12, 16), np.uint16), "metres as floats"),
        (np.ones((12, 16), int), "metres as floats"),
        (np.ones((16, 12)), r"image's shape \(12, 16\), got \(16, 12\)"),
        (np.full((12, 16), np.nan), "NaN"),
        (np.full((12, 16), np.inf), "infinite"),
        (np.full((12, 16), -1.0), "negative"),
        (np.zeros((12, 16)), "everywhere"),
        ("depth.png", "metres as floats"),
    ],
)
def test_depth_that_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_depth(given, (12, 16))


def test_a_resized_image_has_the_focal_length_of_the_frames_and_an_exact_camera() -> None:
    K = geometry.intrinsics(640, 480, 65.0)
    picture = np.zeros((480, 640, 3), np.uint8)
    small, K_small = resize_image(picture, K, focal=64.0, stride=4)
    assert small.shape[0] % 4 == 0 and small.shape[1] % 4 == 0
    assert abs(K_small[0, 0] - 64.0) < 64.0 * 2 / small.shape[1] + 1e-9  # rounded to whole cells
    # The same ray meets the same relative place of the image.
    corner = geometry.unproject(np.array([640.0, 480.0]), np.array(1.0), K)
    pixel, _ = geometry.project(corner, K_small)
    assert np.allclose(pixel, [small.shape[1], small.shape[0]])


def test_an_image_of_the_right_size_is_left_alone() -> None:
    picture = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    K = geometry.intrinsics(32, 32, 90.0)
    same, K_same = resize_image(picture, K, K[0, 0], 4)
    assert np.array_equal(same, picture) and np.array_equal(K_same, K)


def test_an_image_that_would_become_huge_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 4092 are possible; check hfov"):
        resize_image(PIXELS, geometry.intrinsics(16, 12, 179.5), 64.0, 4)


def test_resized_depth_holds_only_measured_values() -> None:
    depth = RNG.uniform(1, 5, (12, 16)).astype(np.float32)
    for shape in ((24, 32), (7, 9), (12, 16)):
        resized = resize_depth(depth, shape)
        assert resized.shape == shape and np.isin(resized, depth).all()
    assert np.array_equal(resize_depth(depth, (12, 16)), depth)
    assert np.array_equal(resize_depth(depth, (36, 48))[1::3, 1::3], depth)
