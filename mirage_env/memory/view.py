"""What a read gives back, and what both kinds of read share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mirage_env.memory.store import Part

NOBODY = torch.iinfo(torch.int64).max
"""The key of no token: larger than any."""


@dataclass(frozen=True)
class MemoryView:
    """What T cameras see of a memory.

    Attributes:
        latents: (T, C, h, w) float32, 0 where nothing is visible.
        depth: (T, h, w) float32 z-depth in metres, 0 where nothing is visible.
        visible: (T, h, w) bool.
        imagined: (T, h, w) float32, from 0 (a camera saw what is shown) to 1 (it was imagined); 0 where nothing is.
        token: (T, h, w) int64, index of the token that each cell shows (in order of writing), -1 where none.
        nearest: (T, C, h, w) float32, that token's own latents, not interpolated; None from memories that have none.
        offset: (T, 2, h, w) float32, where the cell's centre lies in the token's own cell: cells to the right of and
            below its centre; None as above.
        back: (T, h, w) float32, in cells that show nothing because they look at the back of a surface that a camera
            saw: its z-depth in metres; 0 elsewhere; None as above.
    """

    latents: Tensor
    depth: Tensor
    visible: Tensor
    imagined: Tensor
    token: Tensor
    nearest: Tensor | None = None
    offset: Tensor | None = None
    back: Tensor | None = None


class Job(NamedTuple):
    """One part of a memory, and the run of cameras ``first`` to ``last`` (excluded) that look at it.

    ``base`` is the number of living tokens that the memory holds before this part; ``sight_lines`` is as in
    ``MemoryRules``.
    """

    part: Part
    base: int
    first: int
    last: int
    sight_lines: bool = False

    def numbers(self, token: Tensor) -> Tensor:
        """The numbers of tokens (indices in the part) among all that live in the memory."""
        return self.base + (token if self.part.living is None else self.part.living.numbers[token])


class Canvas:
    """The grids that a read fills; a cell is ``(camera * height + row) * width + column``.

    ``latents`` and ``nearest`` are (cells, C): a cell's numbers lie together, as they do in a token.
    """

    def __init__(self, count: int, height: int, width: int, channels: int, device: torch.device) -> None:
        self.shape = (count, height, width)
        cells = count * height * width
        self.latents = torch.zeros(cells, channels, dtype=torch.float32, device=device)
        self.depth = torch.zeros(cells, dtype=torch.float32, device=device)
        self.nearest = torch.zeros_like(self.latents)
        self.offset = torch.zeros(2, cells, dtype=torch.float32, device=device)
        self.imagined = torch.zeros_like(self.depth)
        self.back = torch.zeros_like(self.depth)
        self.token = torch.full((cells,), -1, dtype=torch.int64, device=device)

    def show(
        self, cell: Tensor, part: Part, token: Tensor, latents: Tensor | None = None, offset: Tensor | None = None
    ) -> None:
        """Put tokens of a part into cells, with latents interpolated at ``offset`` (2, n) or, without, their own."""
        own = part.segment.latents[token].to(torch.float32)
        self.latents[cell] = own if latents is None else latents
        self.nearest[cell] = own
        if offset is not None:
            self.offset[:, cell] = offset
        self.imagined[cell] = part.segment.imagined[token]

    def view(self) -> MemoryView:
        count, height, width = self.shape
        token = self.token.view(self.shape)
        return MemoryView(
            latents=self._grid(self.latents),
            depth=self.depth.view(self.shape),
            visible=token >= 0,
            imagined=self.imagined.view(self.shape),
            token=token,
            nearest=self._grid(self.nearest),
            offset=self.offset.view(2, count, height, width).transpose(0, 1).contiguous(),
            back=self.back.view(self.shape),
        )

    def _grid(self, rows: Tensor) -> Tensor:
        """(cameras, C, height, width) of (cells, C), in torch's ``channels_last`` order: nothing is moved."""
        return rows.view(*self.shape, rows.shape[1]).permute(0, 3, 1, 2)


def ordered_key(value: Tensor, index: Tensor) -> Tensor:
    """int64 keys whose smallest is the smallest ``value`` (positive float32) and, among equals, the largest index."""
    # Positive floats order like their bits.
    return value.contiguous().view(torch.int32).to(torch.int64) << 32 | (0xFFFFFFFF - index)


def smallest_key(cell: Tensor, key: Tensor, cells: int) -> Tensor:
    """Per cell (cells,) the smallest key; the result does not depend on the order of the entries."""
    best = torch.full((cells,), NOBODY, dtype=torch.int64, device=key.device)
    return best.scatter_reduce_(0, cell, key, "amin", include_self=True)
