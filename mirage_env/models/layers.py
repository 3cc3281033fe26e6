"""Building blocks that the tiny models share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mirage_env.models import paths


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, no normalisation: a latent depends on its neighbourhood alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(nn.functional.silu(self.first(nn.functional.silu(x))))


class ConditionedBlock(nn.Module):
    """Residual block with group normalisation, scaled and shifted by a condition vector (B, D) when there is one."""

    def __init__(self, width_in: int, width: int, condition: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()
        self.modulation = nn.Linear(condition, 2 * width) if condition else None
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        h = self.conv1(nn.functional.silu(self.norm1(x)))
        h = self.norm2(h)
        if self.modulation is not None and condition is not None:
            scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(nn.functional.silu(h))


class SpatialAttention(nn.Module):
    """Self-attention over all cells of a coarse grid, so that one side of a view can know of the other."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).transpose(-1, -2)
        mixed = nn.functional.scaled_dot_product_attention(qkv[:, 0], qkv[:, 1], qkv[:, 2])
        return x + self.out(mixed.transpose(-1, -2).reshape(b, c, h, w))


class UNet(nn.Module):
    """Small U-Net over a latent grid.

    Patches of cells go in; one block leads down and one up per width, with attention at the coarsest. The grid may have
    any size; it is padded to a multiple of the coarsest cell and cropped again.

    Args:
        channels_in, channels_out: of the grid.
        widths: of the levels, finest first; multiples of 8.
        patch: cells per side of a patch, the finest that the network resolves by itself.
        condition: size of the condition vector; 0 for none.
    """

    def __init__(
        self, channels_in: int, channels_out: int, widths: tuple[int, ...], patch: int = 2, condition: int = 0
    ) -> None:
        super().__init__()
        self.coarsest = patch * 2 ** (len(widths) - 1)
        self.stem = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(channels_in * patch**2, widths[0], 3, padding=1))
        levels = range(len(widths))
        self.down = nn.ModuleList(ConditionedBlock(widths[max(i - 1, 0)], widths[i], condition) for i in levels)
        self.middle = nn.ModuleList([ConditionedBlock(widths[-1], widths[-1], condition) for _ in range(2)])
        self.attention = SpatialAttention(widths[-1])
        self.up = nn.ModuleList(
            ConditionedBlock(widths[i] + widths[min(i + 1, len(widths) - 1)], widths[i], condition) for i in levels
        )
        self.head = nn.Sequential(
            nn.GroupNorm(8, widths[0]),
            nn.SiLU(),
            nn.Conv2d(widths[0], channels_out * patch**2, 3, padding=1),
            nn.PixelShuffle(patch),
        )

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        height, width = x.shape[-2:]
        x = nn.functional.pad(x, (0, -width % self.coarsest, 0, -height % self.coarsest))
        kernels = paths.compiled(self, x, *([] if condition is None else [condition]))
        x = self._plain(x, condition) if kernels is None else kernels.unet(self, x, condition)
        return x[..., :height, :width]

    def _plain(self, x: Tensor, condition: Tensor | None) -> Tensor:
        x = self.stem(x)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(nn.functional.avg_pool2d(x, 2) if level else x, condition)
            skips.append(x)
        x = self.middle[1](self.attention(self.middle[0](x, condition)), condition)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([x, skips[level]], dim=1), condition)
            if level:
                x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        return self.head(x)


def euler_steps(
    predict: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], noise: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Where a rectified flow leads from ``noise`` in Euler steps over evenly spaced noise levels 1, …, 1/steps.

    Args:
        predict: the clean sample, and something beside it, from a noisy one (B, ...) and noise levels (B,).

    Returns:
        The clean sample of the last step, and what the first step gave beside it.
    """
    levels = torch.linspace(1.0, 0.0, steps + 1, device=noise.device)
    x, first = noise, None
    for t, t_next in itertools.pairwise(levels):
        clean, beside = predict(x, t.expand(len(x)))
        first = beside if first is None else first
        x = clean + (t_next / t) * (x - clean)
    assert first is not None
    return x, first


def time_embedding(t: Tensor, size: int) -> Tensor:
    """Sinusoidal embedding (B, size) of noise levels t (B,) in [0, 1]."""
    frequencies = torch.exp(torch.linspace(0.0, math.log(1000.0), size // 2, device=t.device))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def embedded(network: nn.Module, t: Tensor, size: int) -> Tensor:
    """What a network makes of the embeddings (B, size) of noise levels t (B,).

    Equal levels go through it once: what comes out does not depend on how many share it.
    """
    levels, which = t.unique(return_inverse=True)
    return network(time_embedding(levels, size))[which]


def ray_channels(intrinsics: Tensor, height: int, width: int) -> Tensor:
    """Directions x/z and y/z (B, 2, height, width) of the rays through all cell centres: tells a network its lens."""
    x = (torch.arange(width, device=intrinsics.device) + 0.5 - intrinsics[:, 0, 2, None]) / intrinsics[:, 0, 0, None]
    y = (torch.arange(height, device=intrinsics.device) + 0.5 - intrinsics[:, 1, 2, None]) / intrinsics[:, 1, 1, None]
    rays = [x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)]
    return torch.stack(rays, dim=1).to(torch.float32)


def inverse_depth(depth: Tensor) -> Tensor:
    """1/depth where depth is known, 0 where it is 0: bounded, and affine over a plane."""
    return torch.where(depth > 0, 1.0 / depth.clamp_min(0.05), torch.zeros_like(depth))
