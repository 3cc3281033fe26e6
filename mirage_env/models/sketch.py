"""The sketch of a view: its latents at a quarter of the resolution, where a flow decides what is there.

As in cascaded generation (Ho et al. 2022), structure is decided where it is cheap: which wall goes on, where a window
is, how far the floor reaches. Another network then only has to draw what the sketch says.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mirage_env.models import paths
from mirage_env.models.layers import (
    ConditionedBlock,
    SpatialAttention,
    embedded,
    euler_steps,
    inverse_depth,
    ray_channels,
)

POOL = 4
"""Cells per side of a cell of the sketch."""


class SketchFlow(nn.Module):
    """Rectified flow (Liu et al. 2022) of mean latents over ``POOL`` x ``POOL`` cells, given what the memory shows.

    Sketches are divided by ``deviation`` (C,), their spread over the training data.

    Args:
        channels: of the latents.
        width: of all layers, a multiple of 8.
        blocks: residual blocks, each with attention over the whole sketch.
        condition: size of the embedding of the noise level.
    """

    def __init__(self, channels: int, width: int, blocks: int, condition: int = 128) -> None:
        super().__init__()
        self.embedding_size = condition
        self.deviation: Tensor
        self.register_buffer("deviation", torch.ones(channels))
        self.time = nn.Sequential(nn.Linear(condition, condition), nn.SiLU(), nn.Linear(condition, condition))
        self.look = nn.Sequential(nn.PixelUnshuffle(POOL), nn.Conv2d((channels + 5) * POOL**2, width, 1))
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([ConditionedBlock(width, width, condition), SpatialAttention(width)]) for _ in range(blocks)
        )
        self.head = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, channels + 1, 3, padding=1))

    def of(self, latents: Tensor) -> Tensor:
        """The sketch (B, C, ⌈h/4⌉, ⌈w/4⌉) of whole views (B, C, h, w)."""
        return pooled(latents) / self.deviation[:, None, None]

    def known(self, readout: Tensor, depth: Tensor, visible: Tensor, imagined: Tensor, intrinsics: Tensor) -> Tensor:
        """What the memory shows of a view, as the other methods take it: (B, width, ⌈h/4⌉, ⌈w/4⌉).

        For the arguments see ``Denoiser.denoise``.
        """
        rays = ray_channels(intrinsics, *depth.shape[-2:])
        place = torch.stack([inverse_depth(depth), visible.float(), imagined], dim=1)
        shown = torch.cat([readout, place, rays], dim=1)
        height, width = depth.shape[-2:]
        shown = nn.functional.pad(shown, (0, -width % POOL, 0, -height % POOL))
        kernels = paths.compiled(self, shown)
        return self.look(shown) if kernels is None else kernels.patched(self.look, shown)

    def forward(self, noisy: Tensor, t: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """The clean sketch predicted from ``noisy`` at noise levels t (B,), and the log of what it leaves open: the
        squared error (B, rows, columns) of the latents that it stands for."""
        embedding = embedded(self.time, t, self.embedding_size)
        kernels = paths.compiled(self, noisy, embedding, known)
        out = self._plain(noisy, embedding, known) if kernels is None else kernels.sketch(self, noisy, embedding, known)
        return out[:, :-1], out[:, -1].clamp(-9.0, 2.0)

    def _plain(self, noisy: Tensor, embedding: Tensor, known: Tensor) -> Tensor:
        x = self.stem(noisy) + known
        for block, attention in self.blocks:  # type: ignore[misc]
            x = attention(block(x, embedding))
        return self.head(x).float()

    def sample(self, known: Tensor, noise: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """A sketch drawn in ``steps`` Euler steps from ``noise``, and how far (B, rows, columns) it may be off.

        A draw is twice as far from the truth, in squares, as the mean that the first step predicts.
        """
        sketch, log_error = euler_steps(lambda noisy, t: self(noisy, t, known), noise, steps)
        return sketch, 2 * log_error.exp()


def pooled(grid: Tensor) -> Tensor:
    """Means (B, C, ⌈h/4⌉, ⌈w/4⌉) of a grid (B, C, h, w) over the cells of its sketch."""
    return nn.functional.avg_pool2d(grid, POOL, ceil_mode=True, count_include_pad=False)


def enlarged(sketch: Tensor, height: int, width: int) -> Tensor:
    """A sketch (B, C, rows, columns), smoothly, at the resolution of its view."""
    return nn.functional.interpolate(sketch, scale_factor=POOL, mode="bilinear")[..., :height, :width]
