"""What compiled reads keep beside a segment: its columns as NumPy arrays, and what they derive from them once."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import torch

from mirage_env.geometry import Array
from mirage_env.memory.compiled.draw import BLOCK, bound_blocks
from mirage_env.memory.compiled.sights import SIGHT, pack_views
from mirage_env.memory.store import Part, Segment

_ALL = np.zeros(0, dtype=np.int64)


class Host:
    """One segment's columns, and bounds of its blocks and views, which follow as it grows.

    Blocks and views never change once they are written; ``growing`` lets one thread at a time add some.
    """

    def __init__(self, segment: Segment) -> None:
        self.sphere, self.plane = segment.sphere.numpy(), segment.plane.numpy()
        self.trim, self.key, self.imagined = segment.trim.numpy(), segment.key.numpy(), segment.imagined.numpy()
        self.lift, self.project = segment.lift.numpy(), segment.project.numpy()
        self.latents = _latents(segment.latents)
        """(n, C) float32, or float16 as its bits (uint16); None for other types."""
        self.growing = threading.Lock()
        self.bounds = np.empty((len(self.key) // BLOCK, 4))
        self.blocks = 0
        self.sights = np.empty((len(self.lift), SIGHT))
        self.starts = np.zeros(len(self.lift) + 1, dtype=np.int64)
        self.views = 0


def _latents(column: torch.Tensor) -> Array | None:
    if column.dtype == torch.float16:
        return column.view(torch.int16).numpy().view(np.uint16)
    return column.numpy() if column.dtype == torch.float32 else None


class Columns(NamedTuple):
    """What one part shows to a kernel.

    Attributes:
        host: of its segment.
        plane: (3, n) or more, NaN where tokens are dead.
        numbers: (n,) int64, of the tokens among those that live, or empty where all do.
        tokens, views: of the part.
    """

    host: Host
    plane: Array
    numbers: Array
    tokens: int
    views: int


def columns_of(part: Part) -> Columns:
    """The part's columns, without copying."""
    host = part.segment.host
    if host is None:
        host = part.segment.host = Host(part.segment)
    if part.living is None:
        return Columns(host, host.plane, _ALL, part.tokens, part.views)
    return Columns(host, part.living.plane.numpy(), part.living.numbers.numpy(), part.tokens, part.views)


def bounded(columns: Columns) -> int:
    """How many blocks of the part have bounds, all but a last one that is not full."""
    host, blocks = columns.host, columns.tokens // BLOCK
    with host.growing:
        if blocks > host.blocks:
            bound_blocks(host.sphere, host.blocks, blocks, host.bounds)
            host.blocks = blocks
    return blocks


def sighted(columns: Columns) -> tuple[Array, Array]:
    """What the part's views saw, packed: see ``pack_views``."""
    host, views = columns.host, columns.views
    with host.growing:
        if views > host.views:
            pack_views(
                host.key, host.plane, host.imagined, host.lift, host.project, host.views, columns.tokens, views,
                host.sights, host.starts,
            )  # fmt: skip
            host.views = views
    return host.sights, host.starts
