"""A world model whose codec loses nothing, so that what a memory shows can be compared with the truth."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env.models.protocols import Denoised, DepthEstimate, Sampling
from mirage_env.world import WorldModel

STRIDE = 4
CHANNELS = 3 * STRIDE * STRIDE


class PixelCodec:
    """Latents are the pixels of a cell."""

    channels, stride = CHANNELS, STRIDE

    def encode(self, images: Tensor) -> Tensor:
        return functional.pixel_unshuffle(images, STRIDE)

    def decode(self, latents: Tensor, sampling: Sampling | None = None) -> Tensor:
        return functional.pixel_shuffle(latents, STRIDE)


class TwoMetres:
    """Whatever is not known is two metres away."""

    def estimate(self, latents: Tensor, intrinsics: Tensor, known_depth: Tensor) -> DepthEstimate:
        return DepthEstimate(torch.where(known_depth > 0, known_depth, 2.0), torch.zeros_like(known_depth))


class NoiseItself:
    """Imagines the noise that it is given."""

    def denoise(
        self,
        readout: Tensor,
        depth: Tensor,
        visible: Tensor,
        imagined: Tensor,
        intrinsics: Tensor,
        noise: Tensor,
        steps: int = 1,
    ) -> Denoised:
        return Denoised(torch.where(visible[:, None], readout, noise), torch.ones_like(depth))


def exact_world() -> WorldModel:
    return WorldModel(PixelCodec(), TwoMetres(), NoiseItself(), name="exact", look_ahead=0.0)
