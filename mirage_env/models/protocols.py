"""The three parts of a world model. The tiny and the full-size one stand behind these; nothing above knows which runs.

All tensors lead with a batch. Images are float32 (B, 3, H, W) in [-1, 1]; latents float32 (B, C, h, w) with
h = H / stride, normalised per channel; depth (B, h, w) float32 at the centres of the latent cells, 0 = unknown, in
metres of a world that the camera sees from the height above the floor that the model was trained with.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class Sampling(NamedTuple):
    """Where in stored latents the cells of a read view lie: what interpolation blurs, a decoder can resolve.

    Attributes:
        nearest: latents (B, C, h, w) of the stored cell that contains the centre of each cell of the view.
        offset: (B, 2, h, w) where that centre lies in it: cells to the right of and below its own centre, about
            -0.5 to 0.5. Both are 0 where latents were not interpolated (then ``nearest`` is what is decoded).
    """

    nearest: Tensor
    offset: Tensor


class Codec(Protocol):
    """Image to latents and back. Stateless: one latent grid per frame."""

    @property
    def channels(self) -> int: ...

    @property
    def stride(self) -> int: ...

    def encode(self, images: Tensor) -> Tensor: ...

    def decode(self, latents: Tensor, sampling: Sampling | None = None) -> Tensor:
        """Images of latents; ``sampling`` says how they were read from a memory, None that they were not."""
        ...


class DepthEstimate(NamedTuple):
    """Depth (B, h, w) in metres, and its expected relative error (B, h, w), a fraction."""

    depth: Tensor
    relative_error: Tensor


class DepthModel(Protocol):
    """Depth from latents. It never sees pixels, so the decoder stays off the path from step to step."""

    def estimate(self, latents: Tensor, intrinsics: Tensor, known_depth: Tensor) -> DepthEstimate:
        """Complete ``known_depth`` (0 where unknown: everywhere for one image alone), of grids with K (B, 3, 3)."""
        ...


class Denoised(NamedTuple):
    """A completed view: latents (B, C, h, w), and the expected squared error per cell (B, h, w).

    The error is a share of the variance of latents: 0 is certain, 1 no better than the mean of all views.
    """

    latents: Tensor
    error: Tensor


class Denoiser(Protocol):
    """Completes what the memory shows of a view to a whole view."""

    def denoise(
        self,
        readout: Tensor,
        depth: Tensor,
        visible: Tensor,
        imagined: Tensor,
        intrinsics: Tensor,
        noise: Tensor,
        steps: int,
    ) -> Denoised:
        """Latents of the whole view, and how far they may be trusted.

        Args:
            readout: warped memory latents (B, C, h, w), 0 where nothing is visible.
            depth: depth of the readout (B, h, w), 0 where nothing is visible.
            visible: bool (B, h, w).
            imagined: (B, h, w) how uncertain what is visible is: 0 seen by a camera, up to 1 imagined earlier.
            intrinsics: of the latent grids (B, 3, 3).
            noise: standard normal (B, C, h, w), drawn by the caller so that a seed decides the result.
            steps: network passes.
        """
        ...
