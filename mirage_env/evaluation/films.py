"""Films on disk: MP4 for looking closely, GIF for pages that play nothing else. Written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mirage_env.files import atomic_write
from mirage_env.geometry import Array

_PALETTE_FRAMES = 12
_SAMPLE = 6
_ATTEMPTS = ((1, 256), (1, 160), (1, 96), (1, 64), (2, 128), (2, 64), (2, 32), (4, 32), (8, 16))


def write_mp4(path: Path, frames: Iterable[Array], fps: float) -> int:
    """Frames (H, W, 3) uint8 with even sides as H.264; returns how many there were."""
    import imageio.v2 as imageio

    count = 0
    with (
        atomic_write(path) as temporary,
        imageio.get_writer(
            temporary, fps=fps, codec="libx264", quality=8, macro_block_size=2, ffmpeg_log_level="error"
        ) as writer,
    ):
        for frame in frames:
            count += 1
            writer.append_data(frame)  # type: ignore[attr-defined]
    return count


def write_gif(
    path: Path,
    frames: Sequence[Array],
    fps: float,
    max_bytes: int,
    hold: float = 1.5,
    keep: Sequence[tuple[int, int, int]] = (),
) -> tuple[int, int]:
    """Frames as a GIF that loops, with as many colours, and failing that frames, as ``max_bytes`` allow.

    Args:
        path: where to.
        frames: (H, W, 3) uint8 of one size.
        fps: frames per second; when frames are left out, the others stay longer.
        max_bytes: size that the file may have.
        hold: seconds that the last frame stays.
        keep: colours that are reproduced exactly, such as those of words and bars.

    Returns:
        How many frames and bytes were written.
    """
    for stride, colours in _ATTEMPTS:
        kept = [*frames[: len(frames) - 1 : stride], frames[-1]]
        sample = frames[:: max(len(frames) // _SAMPLE, 1)]
        guess = len(_encode(sample, 1.0, 1.0, colours, keep)) / len(sample) * len(kept)
        if guess > 1.15 * max_bytes:
            continue
        data = _encode(kept, stride / fps, hold, colours, keep)
        if len(data) <= max_bytes:
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
            return len(kept), len(data)
    raise ValueError(f"{len(frames)} frames of {frames[0].shape} do not fit into a GIF of {max_bytes} bytes")


def _encode(
    frames: Sequence[Array], seconds: float, hold: float, colours: int, keep: Sequence[tuple[int, int, int]]
) -> bytes:
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), _PALETTE_FRAMES)).round().astype(int)
    sample = Image.fromarray(np.concatenate([frames[i] for i in chosen]))
    common = sample.quantize(max(colours - len(keep), 2), Image.Quantize.MEDIANCUT, kmeans=1)
    entries = [*(part for colour in keep for part in colour), *(common.getpalette() or [])]
    palette = Image.new("P", (1, 1))
    palette.putpalette(entries[: 3 * 256])
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(1000 * max(hold, seconds))]
    data = io.BytesIO()
    pictures[0].save(
        data, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=False
    )
    return data.getvalue()
