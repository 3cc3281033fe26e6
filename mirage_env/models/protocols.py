"""The three parts of a world model. The tiny and the full-size one stand behind these; nothing above knows which runs.

All tensors lead with a batch. Images are float32 (B, 3, H, W) in [-1, 1]; latents float32 (B, C, h, w) with
h = H / stride, normalised per channel; depth (B, h, w) float32 at the centres of the latent cells, 0 = unknown, in
metres of a world that the camera sees from the height above the floor that the model was trained with.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class Codec(Protocol):
    """Image to latents and back. Stateless: one latent grid per frame."""

    @property
    def channels(self) -> int: ...

    @property
    def stride(self) -> int: ...

    def encode(self, images: Tensor) -> Tensor: ...

    def decode(self, latents: Tensor) -> Tensor: ...


class DepthEstimate(NamedTuple):
    """Depth (B, h, w) in metres, and its expected relative error (B, h, w), a fraction."""

    depth: Tensor
    relative_error: Tensor


class DepthModel(Protocol):
    """Depth from latents. It never sees pixels, so the decoder stays off the path from step to step."""

    def estimate(self, latents: Tensor, intrinsics: Tensor, known_depth: Tensor) -> DepthEstimate:
        """Complete ``known_depth`` (0 where unknown: everywhere for one image alone), of grids with K (B, 3, 3)."""
        ...


class Denoiser(Protocol):
    """Completes what the memory shows of a view to a whole view."""

    def denoise(
        self, readout: Tensor, depth: Tensor, visible: Tensor, intrinsics: Tensor, noise: Tensor, steps: int
    ) -> Tensor:
        """Latents of the whole view.

        Args:
            readout: warped memory latents (B, C, h, w), 0 where nothing is visible.
            depth: depth of the readout (B, h, w), 0 where nothing is visible.
            visible: bool (B, h, w).
            intrinsics: of the latent grids (B, 3, 3).
            noise: standard normal (B, C, h, w), drawn by the caller so that a seed decides the result.
            steps: network passes.
        """
        ...
