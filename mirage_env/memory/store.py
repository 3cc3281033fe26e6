"""Token storage that forks share: append-only segments, of which every memory sees only its own prefix.

A memory is a tuple of parts ``(segment, tokens, views)``. Copying the tuple is a fork. A write appends in place when
nobody has written behind the part that this memory sees; otherwise it opens a segment of its own, so that no memory
ever sees another one's tokens. The order of tokens over all parts is the order in which they were written.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

MAX_SEGMENTS = 8
"""Reads cost a little per segment; chains of forks are consolidated to at most this many."""
COPY_LIMIT = 16384
"""A full segment of at most this many tokens doubles by copying; a larger one is left as it is and a new one opened."""
KEY_VIEW_SHIFT, KEY_ROW_SHIFT, KEY_MASK = 20, 10, 1023
MAX_GRID = 1023
"""Largest grid side. Row or column 1023 is never used, so stepping over a border of the grid gives a key nobody has."""

_LOCK = threading.Lock()


class Tokens(NamedTuple):
    """Plain columns of n tokens from V views.

    Attributes:
        sphere: (4, n) float32, world position x y z in metres and the radius of the token's footprint.
        plane: (3, n) float32, inverse z-depth in the writing view and its change per grid cell along +column and +row.
        key: (n,) int64 ascending, ``view << 20 | row << 10 | column``.
        latents: (n, C).
        trim: (n,) uint8, the sides on which the footprint stops early: 1 left, 2 right, 4 above, 8 below.
        imagined: (n,) float32, 0 where a camera saw the token, 1 where it was imagined.
        lift: (V, 12) float64, per view the (3, 4) matrix [R K^-1 | camera centre], row by row, that takes
            (u, v, 1, inverse depth) to the world point divided by its depth.
    """

    sphere: Tensor
    plane: Tensor
    trim: Tensor
    key: Tensor
    latents: Tensor
    imagined: Tensor
    lift: Tensor


class Segment:
    """A growable buffer of tokens. ``used`` and ``used_views`` count what any memory has written into it."""

    def __init__(self, capacity: int, view_capacity: int, like: Tokens) -> None:
        def empty(t: Tensor, *shape: int) -> Tensor:
            return torch.empty(shape, dtype=t.dtype, device=t.device)

        self.sphere = empty(like.sphere, 4, capacity)
        self.plane = empty(like.plane, 3, capacity)
        self.trim = empty(like.trim, capacity)
        self.key = empty(like.key, capacity)
        self.latents = empty(like.latents, capacity, like.latents.shape[1])
        self.imagined = empty(like.imagined, capacity)
        self.lift = empty(like.lift, view_capacity, 12)
        self.used = 0
        self.used_views = 0
        self.reach = 0.0
        """Largest absolute world coordinate of any token: bounds rounding when tokens are culled in float32."""

    def has_room(self, new: Tokens) -> bool:
        return (
            self.used + new.key.shape[0] <= self.key.shape[0]
            and self.used_views + new.lift.shape[0] <= self.lift.shape[0]
        )

    def put(self, new: Tokens) -> Part:
        """Append; the part that ends with the new tokens."""
        lo, hi = self.used, self.used + new.key.shape[0]
        first_view, last_view = self.used_views, self.used_views + new.lift.shape[0]
        self.sphere[:, lo:hi] = new.sphere
        self.plane[:, lo:hi] = new.plane
        self.trim[lo:hi] = new.trim
        self.key[lo:hi] = new.key + (first_view << KEY_VIEW_SHIFT)
        self.latents[lo:hi] = new.latents
        self.imagined[lo:hi] = new.imagined
        self.lift[first_view:last_view] = new.lift
        self.reach = max(self.reach, float(new.sphere[:3].abs().max()) if hi > lo else 0.0)
        self.used, self.used_views = hi, last_view
        return Part(self, hi, last_view)


class Part(NamedTuple):
    """The prefix of a segment that one memory sees."""

    segment: Segment
    tokens: int
    views: int

    @property
    def columns(self) -> Tokens:
        """The part's tokens, without copying."""
        s, n = self.segment, self.tokens
        return Tokens(
            sphere=s.sphere[:, :n],
            plane=s.plane[:, :n],
            trim=s.trim[:n],
            key=s.key[:n],
            latents=s.latents[:n],
            imagined=s.imagined[:n],
            lift=s.lift[: self.views],
        )


Parts = tuple[Part, ...]


def append(parts: Parts, new: Tokens) -> Parts:
    """``parts`` followed by ``new`` (whose views are numbered from 0); never changes what any other memory sees."""
    with _LOCK:
        if parts:
            last = parts[-1]
            if last.segment.used == last.tokens:
                if last.segment.has_room(new):
                    return (*parts[:-1], last.segment.put(new))
                if last.tokens <= COPY_LIMIT:
                    return (*parts[:-1], gathered([last.columns, new]))
    total = sum(part.tokens for part in parts)
    size, kept = new.key.shape[0], len(parts)
    # Sizes fall by half from segment to segment, so each token is copied a logarithmic number of times.
    while kept and (parts[kept - 1].tokens <= 2 * size or kept + 1 > MAX_SEGMENTS):
        kept -= 1
        size += parts[kept].tokens
    capacity = total if not parts or parts[-1].tokens > COPY_LIMIT else 0
    return (*parts[:kept], gathered([*(part.columns for part in parts[kept:]), new], capacity))


def gathered(pieces: Iterable[Tokens], capacity: int = 0) -> Part:
    """All pieces copied into one new segment with room to grow."""
    pieces = list(pieces)
    tokens = sum(piece.key.shape[0] for piece in pieces)
    views = sum(piece.lift.shape[0] for piece in pieces)
    segment = Segment(max(1024, 2 * tokens, capacity), max(16, 2 * views), pieces[0])
    part = Part(segment, 0, 0)
    for piece in pieces:
        part = segment.put(piece)
    return part
