"""A world model with random weights, quick enough for tests: what it imagines is noise, but of the right shapes."""

from __future__ import annotations

import numpy as np
import torch

from mirage_env.models.recognition import Recognition
from mirage_env.models.tiny import TinyCodec, TinyDenoiser, TinyDepth
from mirage_env.world import WorldModel

CHANNELS, STRIDE = 4, 4


def small_world(seed: int = 0) -> WorldModel:
    """A codec of stride 4 with 4 channels, and depth and denoiser to go with it; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codec = TinyCodec(channels=CHANNELS, widths=(8, 16), blocks=(1, 1))
        depth = TinyDepth(channels=CHANNELS, widths=(8, 16, 16))
        denoiser = TinyDenoiser(
            channels=CHANNELS, widths=(8, 16, 16), condition=16, sketch_width=16, sketch_blocks=1, sketch_steps=2
        )
    return WorldModel(
        codec.eval(), depth.eval(), denoiser.eval(), name="small", recognition=plain_recognition(CHANNELS)
    )


def plain_recognition(channels: int) -> Recognition:
    """Compares all of the latents: the less they are apart, the more likely they are of one surface."""
    evidence = np.linspace(2.0, -2.0, 20, dtype=np.float32)
    return Recognition(
        np.eye(channels, dtype=np.float32), evidence, np.array(2.0, np.float32), np.array([-2, 1, 8, 2], np.float32)
    )
