"""Images and depth maps as users give them, to the arrays that the world takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mirage_env import geometry
from mirage_env.geometry import Array

MIN_SIDE = 8
MAX_CELLS = 1023
"""Latent cells per side of a view that a memory takes."""


def load_image(image: Any) -> Array:
    """An image (H, W, 3) uint8 from a file name, a PIL image or an array.

    Grey and opaque alpha are converted, 16-bit colour and floats in [0, 1] are scaled to 8 bits, and a photo is turned
    upright as its EXIF data say. What has no plain meaning is refused with a ValueError: transparent pixels, 16-bit
    grey (most often a depth map), floats beyond [0, 1].
    """
    if isinstance(image, (str, Path)):
        image = _open(Path(image))
    if isinstance(image, Image.Image):
        image = _pil_array(image)
    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise TypeError(f"an image must be a file name, a PIL image or an array (H, W, 3), got {type(image).__name__}")
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"an image must have shape (H, W, 3) and some pixels, got {image.shape}")
    if image.shape[0] < MIN_SIDE or image.shape[1] < MIN_SIDE:
        raise ValueError(f"an image needs at least {MIN_SIDE} pixels along each side, got {image.shape[:2]}")
    grey = image.ndim == 2 or image.shape[2] == 1
    if not grey and image.shape[2] not in (3, 4):
        raise ValueError(f"an image must have 3 channels (or 1 grey, or 4 with opaque alpha), got {image.shape[2]}")
    pixels = _eight_bits(image, grey)
    if grey:
        return np.ascontiguousarray(np.broadcast_to(pixels.reshape(*pixels.shape[:2], 1), (*pixels.shape[:2], 3)))
    if pixels.shape[2] == 4:
        if (pixels[..., 3] != 255).any():
            raise ValueError("the image has transparent pixels of unknown colour; flatten it onto a background first")
        pixels = pixels[..., :3]
    return np.ascontiguousarray(pixels)


def _open(path: Path) -> Image.Image:
    if not path.exists():
        raise FileNotFoundError(f"there is no image at {path}")
    try:
        picture = Image.open(path)
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not a whole image file (PNG, JPEG, …): {error}") from error
    return picture


def _pil_array(picture: Image.Image) -> Array:
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "LA", "1"):
        transparent = "transparency" in picture.info or picture.mode in ("PA", "LA")
        picture = picture.convert("RGBA" if transparent else "RGB")
    return np.array(picture)


def _eight_bits(image: Array, grey: bool) -> Array:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16 or image.dtype == np.int32:
        if grey or image.dtype != np.uint16:
            raise ValueError(
                "a 16-bit grey image may be a depth map: pass it as depth= in metres, or convert it to 8 bits"
            )
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if np.issubdtype(image.dtype, np.floating):
        if not np.isfinite(image).all():
            raise ValueError("the image holds NaN or infinite numbers")
        if image.min() < 0 or image.max() > 1:
            raise ValueError(f"a float image must lie in [0, 1], got [{image.min():g}, {image.max():g}]")
        return np.round(image * 255).astype(np.uint8)
    raise ValueError(f"an image must be uint8, uint16 colour or float in [0, 1], got {image.dtype}")


def load_depth(depth: Any, shape: tuple[int, ...]) -> Array:
    """z-depth (H, W) float32 in metres, 0 = unknown, of an image of this shape; ValueError on anything else."""
    array = np.asarray(depth)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"depth must be in metres as floats, got {array.dtype}; divide millimetres by 1000.0")
    if array.shape != tuple(shape):
        raise ValueError(f"depth must have the image's shape {tuple(shape)}, got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError("depth holds NaN, infinite or negative numbers; mark what was not measured with 0")
    if not (array > 0).any():
        raise ValueError("depth is 0 (unknown) everywhere; pass depth=None to have it estimated")
    return array.astype(np.float32)


def resize_image(image: Array, K: Array, focal: float, stride: int) -> tuple[Array, Array]:
    """The image at about ``focal`` pixels of focal length, and its exact K (3, 3).

    Its sides are rounded to multiples of ``stride``, at least two; ValueError if they get too long for a memory.
    """
    scale = focal / K[0, 0]
    height, width = (max(stride * 2, round(side * scale / stride) * stride) for side in image.shape[:2])
    if max(height, width) > MAX_CELLS * stride:
        raise ValueError(
            f"the image would have {width}x{height} pixels at the focal length of the frames, at most "
            f"{MAX_CELLS * stride} are possible; check hfov, or crop the image"
        )
    K_new = geometry.scale_intrinsics(K, width / image.shape[1], height / image.shape[0])
    if (height, width) == image.shape[:2]:
        return image, K_new
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    return np.array(resized), K_new


def fit_square(image: Array, size: int) -> Array:
    """The middle square of an image (H, W, 3) uint8, as (size, size, 3)."""
    if image.shape[:2] == (size, size):
        return image
    return np.array(ImageOps.fit(Image.fromarray(image), (size, size), Image.Resampling.LANCZOS))


def resize_depth(depth: Array, shape: tuple[int, int]) -> Array:
    """Depth (H, W) at another size, each pixel the measurement nearest to it: depths are never mixed across edges."""
    rows = ((np.arange(shape[0]) + 0.5) * depth.shape[0] / shape[0]).astype(int)
    columns = ((np.arange(shape[1]) + 0.5) * depth.shape[1] / shape[1]).astype(int)
    return depth[rows[:, None], columns[None]]
