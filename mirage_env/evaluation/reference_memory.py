"""A memory that is written and read as the published code of Mirage does it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, MemoryView
from mirage_env.memory import cameras as cams
from mirage_env.memory.rules import MemoryRules


class ReferenceMemory:
    """Every token of every view, put into the nearest cell.

    As the published code of "Latent Spatial Memory for Video World Models" (arXiv 2606.09828): views are appended
    whole, whatever the memory holds already; cell (r, c) is lifted and projected as if its centre were at (c, r), half
    a cell from where it is; a token shows in the one cell that it lands nearest to; nothing is interpolated, fused or
    removed, and free space is not known. One thing is kinder than there, where it is undefined: of several tokens in a
    cell the nearest to the camera is shown, of equally near ones the newest.

    Args:
        channels: latent channels C.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._memory = LatentMemory(channels, rules=MemoryRules.plain())

    def __len__(self) -> int:
        return len(self._memory)

    def __repr__(self) -> str:
        return f"ReferenceMemory(channels={self.channels}, tokens={len(self)}, nbytes={self.nbytes})"

    @property
    def nbytes(self) -> int:
        """Bytes of the tokens as ``LatentMemory`` keeps them, its planes included, which go unused here."""
        return self._memory.nbytes

    def fork(self) -> ReferenceMemory:
        """As ``LatentMemory.fork``."""
        other = ReferenceMemory(self.channels)
        other._memory = self._memory.fork()
        return other

    def write(
        self,
        latents: Any,
        depth: Any,
        intrinsics: Any,
        pose: Any,
        keep: Any = None,
        merge: bool | None = None,
        *,
        imagined: Any = 0.0,
        explained: Any = None,
        refine: float | None = None,
        error: Any = None,
    ) -> int:
        """Append all cells with a depth that ``keep`` names, whatever the other arguments say."""
        del merge, explained, refine, error
        lens = integer_centres(cams.check_intrinsics(intrinsics))
        return self._memory.write(latents, depth, lens, pose, keep, merge=False, imagined=imagined)

    def read(self, poses: Any, intrinsics: Any, size: Any) -> MemoryView:
        """As ``LatentMemory.read`` with ``footprint=False``, with integer cell centres."""
        return self._memory.read(poses, integer_centres(cams.check_intrinsics(intrinsics)), size, footprint=False)

    def looked_through(self, points: Any, margin: float = 0.05) -> Tensor:
        """Nothing: this memory keeps no record of free space."""
        del margin
        return torch.zeros(len(points), dtype=torch.bool)


def integer_centres(intrinsics: Array) -> Array:
    """Intrinsics (..., 3, 3) of the camera whose cell (r, c), centred at (c + 0.5, r + 0.5), is taken to be at (c, r).

    The principal point moves by half a cell, and what lies in cell (r, c) is then what rounds to (c, r).
    """
    shifted = np.array(intrinsics, dtype=np.float64)
    shifted[..., :2, 2] += 0.5
    return shifted
