"""The networks, for inference: they compute what the modules do, each image by itself, images shared among threads.

So an image in a batch gets the same bits as alone. Arrays of one image are (rows, columns, channels).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from mirage_env.geometry import Array
from mirage_env.models.compiled.cells import attended, normalised, shuffled, unshuffled
from mirage_env.models.compiled.convolution import Target, direct, winograd
from mirage_env.models.compiled.lanes import LANES, ROWS, whole_vectors
from mirage_env.models.compiled.packing import packed
from mirage_env.models.layers import ConditionedBlock, ResidualBlock, SpatialAttention, UNet
from mirage_env.models.sketch import SketchFlow
from mirage_env.team import ALONE, share

MANY = 128
"""Cells from which on a 3x3 convolution reads its weights, four times as many, for fewer products."""
_NONE = np.zeros((0, 0, 0), dtype=np.float32)

_KNOWN = (
    nn.Conv2d, nn.GroupNorm, nn.Identity, nn.Linear, nn.ModuleList, nn.PixelShuffle, nn.PixelUnshuffle, nn.Sequential,
    nn.SiLU, ConditionedBlock, ResidualBlock, SketchFlow, SpatialAttention, UNet,
)  # fmt: skip


class Bordered(NamedTuple):
    """An image of ``height`` x ``width`` cells, with a border of zeros: what a 3x3 convolution reads."""

    cells: Array
    height: int
    width: int


def knows(network: nn.Module) -> bool:
    """Whether the network is made of modules as they are here, of whole vectors of channels, and nobody listens in.

    Its parameters must be float32, on the processor, and no inference tensors, whose changes torch does not count.
    """
    for module in network.modules():
        if type(module) not in _KNOWN or module._forward_hooks or module._forward_pre_hooks:
            return False
        for tensor in module._parameters.values():
            if tensor is None or tensor.dtype != torch.float32 or not tensor.is_cpu or tensor.is_inference():
                return False
        if isinstance(module, ResidualBlock) and module.first.in_channels % LANES:
            return False
        if isinstance(module, ConditionedBlock) and (
            module.conv1.in_channels % LANES or module.conv1.out_channels % LANES
        ):
            return False
    return True


def decoded(layers: nn.Sequential, given: Tensor) -> Tensor:
    """Images (B, 3, H, W) of what the decoder of a ``TinyCodec`` takes."""
    grids, modules = given.contiguous().numpy(), list(layers)
    stride = 2 ** sum(isinstance(module, nn.PixelShuffle) for module in modules)
    images = np.empty((len(grids), 3, grids.shape[2] * stride, grids.shape[3] * stride), dtype=np.float32)

    def decode(i: int) -> None:
        plain, active = _NONE, _read(grids[i])
        for n, module in enumerate(modules):
            if isinstance(module, nn.Conv2d):
                last = n == len(modules) - 2
                shuffle = not last and isinstance(modules[n + 1], nn.PixelShuffle)
                plain, active = _convolved(module, active, active=not last, shuffle=shuffle)
            elif isinstance(module, ResidualBlock):
                _, inner = _convolved(module.first, active, plain=False, active=True)
                plain, active = _convolved(module.second, inner, residual=plain, active=True)
        shuffled(plain, 2, images[i])

    share(decode, range(len(grids)), len(grids) * ALONE)
    return torch.from_numpy(images)


def unet(net: UNet, given: Tensor, condition: Tensor | None) -> Tensor:
    """``UNet.forward``, of grids whose sides the coarsest cell divides."""
    grids, patch = given.contiguous().numpy(), cast(nn.PixelUnshuffle, net.stem[0]).downscale_factor
    conditions = None if condition is None else condition.contiguous().numpy()
    result = np.empty(
        (len(grids), cast(nn.Conv2d, net.head[2]).out_channels // patch**2, *grids.shape[2:]), dtype=np.float32
    )

    def run(i: int) -> None:
        known = None if conditions is None else conditions[i]
        x, _ = _convolved(cast(nn.Conv2d, net.stem[1]), _read(grids[i], patch))
        skips: list[Array] = []
        for level, block in enumerate(net.down):
            x = _block(cast(ConditionedBlock, block), _halved(x) if level else x, known)
            skips.append(x)
        before, behind = (cast(ConditionedBlock, block) for block in net.middle)
        x = _block(behind, _attention(net.attention, _block(before, x, known)), known)
        for level in reversed(range(len(net.up))):
            x = _block(cast(ConditionedBlock, net.up[level]), np.concatenate([x, skips[level]], axis=2), known)
            if level:
                x = x.repeat(2, axis=0).repeat(2, axis=1)
        shuffled(_head(net.head, x), patch, result[i])

    share(run, range(len(grids)), len(grids) * ALONE)
    return torch.from_numpy(result)


def patched(layers: nn.Sequential, given: Tensor) -> Tensor:
    """A linear map (B, D, h / patch, w / patch) of patches of grids: a ``PixelUnshuffle``, then a 1x1 ``Conv2d``."""
    grids, patch = given.contiguous().numpy(), cast(nn.PixelUnshuffle, layers[0]).downscale_factor
    convolution = cast(nn.Conv2d, layers[1])
    height, width = grids.shape[2] // patch, grids.shape[3] // patch
    result = np.empty((len(grids), convolution.out_channels, height, width), dtype=np.float32)

    def run(i: int) -> None:
        patches = whole_vectors((height, width, _whole(grids.shape[1] * patch**2)))
        unshuffled(grids[i], patch, patches, 0)
        shuffled(_convolved(convolution, patches)[0], 1, result[i])

    share(run, range(len(grids)), len(grids) * ALONE)
    return torch.from_numpy(result)


def sketch(net: SketchFlow, noisy: Tensor, embedding: Tensor, known: Tensor) -> Tensor:
    """``SketchFlow.forward`` from the embedding on, to what its head gives (B, C + 1, rows, columns)."""
    grids, shown, conditions = (tensor.contiguous().numpy() for tensor in (noisy, known, embedding))
    result = np.empty((len(grids), cast(nn.Conv2d, net.head[2]).out_channels, *grids.shape[2:]), dtype=np.float32)

    def run(i: int) -> None:
        beside = np.ascontiguousarray(shown[i].transpose(1, 2, 0))
        x, _ = _convolved(net.stem, _read(grids[i]), residual=beside)
        for block, attention in cast(Iterable[tuple[ConditionedBlock, SpatialAttention]], net.blocks):
            x = _attention(attention, _block(block, x, conditions[i]))
        shuffled(_head(net.head, x), 1, result[i])

    share(run, range(len(grids)), len(grids) * ALONE)
    return torch.from_numpy(result)


def _block(block: ConditionedBlock, x: Array, condition: Array | None) -> Array:
    change = _NONE
    if block.modulation is not None and condition is not None:
        change, _ = _convolved(block.modulation, condition[None, None])
    inner, _ = _convolved(block.conv1, _normalised(block.norm1, x))
    beside = x if isinstance(block.shortcut, nn.Identity) else _convolved(block.shortcut, x)[0]
    return _convolved(block.conv2, _normalised(block.norm2, inner, change), residual=beside)[0]


def _attention(attention: SpatialAttention, x: Array) -> Array:
    channels = x.shape[2]
    weight, bias = packed(attention.norm)
    normal, mixed = whole_vectors(x.shape), whole_vectors(x.shape)
    groups, eps = attention.norm.num_groups, attention.norm.eps
    normalised(x, groups, eps, weight, bias, _NONE, False, normal, 0)
    qkv, _ = _convolved(attention.qkv, normal)
    attended(qkv.reshape(-1, 3 * channels), attention.heads, mixed.reshape(-1, channels))
    return _convolved(attention.out, mixed, residual=x)[0]


def _head(head: nn.Sequential, x: Array) -> Array:
    norm, convolution = cast(nn.GroupNorm, head[0]), cast(nn.Conv2d, head[2])
    return _convolved(convolution, _normalised(norm, x))[0]


def _normalised(norm: nn.GroupNorm, x: Array, change: Array = _NONE) -> Bordered:
    """Normalised, then changed, then through a SiLU."""
    out = _blank(*x.shape)
    normalised(x, norm.num_groups, norm.eps, *packed(norm), change, True, out.cells, 1)
    return out


def _convolved(
    module: nn.Conv2d | nn.Linear,
    x: Bordered | Array,
    *,
    residual: Array = _NONE,
    plain: bool = True,
    active: bool = False,
    shuffle: bool = False,
) -> tuple[Array, Bordered]:
    """What a convolution with stride 1 or a linear layer gives, with ``residual``: as it is, and through a SiLU.

    Only what is asked for is made. With ``shuffle`` it goes through a pixel shuffle by 2 as well.
    """
    cells, height, width = x if isinstance(x, Bordered) else (x, *x.shape[:2])
    fewer = isinstance(x, Bordered) and height * width >= MANY
    weights = packed(module, fewer, shuffle)
    channels = _whole(weights.channels)
    size = (2 * height, 2 * width, channels // 4) if shuffle else (height, width, channels)
    as_is = whole_vectors(size) if plain else _NONE
    through = _blank(*size) if active else Bordered(_NONE, 0, 0)
    pitch = cells.shape[1]
    to = Target(size[1], size[2], shuffle, through.cells.shape[1], bool(residual.size), plain, active)
    where = to, weights.bias, residual, as_is, through.cells
    if fewer:
        winograd(
            cells, cells.shape[2], pitch, weights.depth, weights.weight, weights.vectors, height, width,
            channels, *where,
        )  # fmt: skip
    else:
        rows, taps = _places(height, width, pitch, cells.shape[2], isinstance(x, Bordered))
        direct(
            cells, rows, taps, weights.depth, weights.weight, weights.vectors, height * width, width, channels,
            *where,
        )  # fmt: skip
    return as_is, through


@lru_cache(maxsize=256)
def _places(height: int, width: int, pitch: int, channels: int, bordered: bool) -> tuple[Array, Array]:
    """Where in an image ``direct`` finds what a cell of its result looks at: per cell, and from there."""
    rows = ((np.arange(height)[:, None] * pitch + np.arange(width)) * channels).ravel()
    side = np.arange(3 if bordered else 1)
    taps = ((side[:, None] * pitch + side) * channels).ravel()
    return np.pad(rows, (0, -len(rows) % ROWS), mode="edge"), taps


def _read(grid: Array, patch: int = 1) -> Bordered:
    """A grid (C, h, w), patches of it as channels."""
    channels, height, width = grid.shape
    out = _blank(height // patch, width // patch, _whole(channels * patch**2))
    unshuffled(grid, patch, out.cells, 1)
    return out


def _blank(height: int, width: int, channels: int) -> Bordered:
    """Not filled yet; who fills it makes the border."""
    return Bordered(whole_vectors((-height % 4 + height + 2, -width % 4 + width + 2, channels)), height, width)


def _halved(x: Array) -> Array:
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) * np.float32(0.25)


def _whole(channels: int) -> int:
    return channels + -channels % LANES
