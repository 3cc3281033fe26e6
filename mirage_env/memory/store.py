"""Token storage that forks share: append-only segments, of which every memory sees only its own prefix.

A memory is a tuple of parts ``(segment, tokens, views, living)``. Copying the tuple is a fork. A write appends in place
when nobody has written behind the part that this memory sees; otherwise it opens a segment of its own, so that no
memory ever sees another one's tokens. The order of tokens over all parts is the order in which they were written.

Segments are never changed but by appending. A removal gives the part a mask of the tokens that still live, which
belongs to this memory and the forks made of it later; once a quarter of a part is dead, what lives of it is copied into
a segment of its own. Parts without a mask cost what they cost before anything was ever removed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mirage_env.memory.compiled.host import Host

MAX_SEGMENTS = 8
"""Reads cost a little per segment; chains of forks are consolidated to at most this many."""
COPY_LIMIT = 16384
"""A full segment of at most this many tokens grows by copying; a larger one is left as it is and a new one opened."""
SMALLEST, ROOM = 32, 0.25
"""A new segment has room for so many more tokens, and this share of its own: forks are many and write little each."""
MAX_DEAD = 0.25
"""A part of which more than this share is dead is compacted."""
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
        self.project = empty(like.lift, view_capacity, 9)
        """Inverse of the left (3, 3) of each lift: from the view's camera centre to z (u, v, 1)."""
        self.sees = torch.zeros(view_capacity, dtype=torch.bool, device=like.lift.device)
        """Views with tokens that a camera saw."""
        self.used = 0
        self.used_views = 0
        self.reach = 0.0
        """Largest absolute world coordinate of any token: bounds rounding when tokens are culled in float32."""
        self.host: Host | None = None
        """What compiled reads keep beside the columns, of which it is another view."""

    def __getstate__(self) -> dict[str, Any]:
        # A copy has columns of its own.
        return {**self.__dict__, "host": None}

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
        self.project[first_view:last_view] = torch.linalg.inv_ex(new.lift.view(-1, 3, 4)[:, :, :3])[0].reshape(-1, 9)
        self.sees[(new.key[new.imagined == 0] >> KEY_VIEW_SHIFT) + first_view] = True
        self.reach = max(self.reach, float(new.sphere[:3].abs().max()) if hi > lo else 0.0)
        self.used, self.used_views = hi, last_view
        return Part(self, hi, last_view)


@dataclass(frozen=True, eq=False)
class Living:
    """Which of a part's n tokens live: ``mask`` (n,) bool, their ``count``, and the part's ``plane`` (3, n), NaN in the
    columns of dead ones, so that they are on nobody's surface."""

    mask: Tensor
    count: int
    plane: Tensor

    @cached_property
    def numbers(self) -> Tensor:
        """(n,) int64, how many living tokens stand before each token."""
        return self.mask.cumsum(0) - self.mask.to(torch.int64)


class Part(NamedTuple):
    """The prefix of a segment that one memory sees; ``living`` is None as long as all of it lives."""

    segment: Segment
    tokens: int
    views: int
    living: Living | None = None

    @property
    def count(self) -> int:
        """Living tokens."""
        return self.tokens if self.living is None else self.living.count

    @property
    def columns(self) -> Tokens:
        """The part's tokens, dead ones too (their planes are NaN), without copying."""
        s, n = self.segment, self.tokens
        return Tokens(
            sphere=s.sphere[:, :n],
            plane=s.plane[:, :n] if self.living is None else self.living.plane,
            trim=s.trim[:n],
            key=s.key[:n],
            latents=s.latents[:n],
            imagined=s.imagined[:n],
            lift=s.lift[: self.views],
        )

    @property
    def kept(self) -> Tokens:
        """The living tokens and the views that hold any; copies where there are dead ones."""
        if self.living is None:
            return self.columns
        tokens, at = self.columns, self.living.mask.nonzero()[:, 0]
        key = tokens.key[at]
        views, view = torch.unique_consecutive(key >> KEY_VIEW_SHIFT, return_inverse=True)
        return Tokens(
            sphere=tokens.sphere.index_select(1, at),
            plane=tokens.plane.index_select(1, at),
            trim=tokens.trim[at],
            key=view << KEY_VIEW_SHIFT | key & ((1 << KEY_VIEW_SHIFT) - 1),
            latents=tokens.latents.index_select(0, at),
            imagined=tokens.imagined[at],
            lift=tokens.lift[views],
        )

    @property
    def nbytes(self) -> int:
        """Bytes of what ``kept`` gives, without copying."""
        total = sum(column.nbytes for column in self.columns)
        if self.living is None:
            return total
        views = int(
            torch.unique_consecutive(self.segment.key[: self.tokens][self.living.mask] >> KEY_VIEW_SHIFT).numel()
        )
        lifts = self.columns.lift.nbytes
        return (total - lifts) // self.tokens * self.living.count + lifts // self.views * views


Parts = tuple[Part, ...]


def only(part: Part, mask: Tensor) -> Part:
    """The part with just those of its tokens alive that ``mask`` (n,) names; they live already."""
    plane = part.segment.plane[:, : part.tokens].where(mask, torch.nan)
    return part._replace(living=Living(mask, int(mask.sum()), plane))


def without(parts: Parts, dead: Sequence[Tensor | None]) -> Parts:
    """``parts`` without the tokens that each part's mask (n,) names (None: none); what forks see does not change."""
    left: list[Part] = []
    for part, mask in zip(parts, dead, strict=True):
        gone = mask if mask is None or part.living is None else mask & part.living.mask
        if gone is None or not bool(gone.any()):
            left.append(part)
            continue
        part = only(part, ~gone if part.living is None else part.living.mask & ~gone)
        if part.count and part.tokens - part.count > MAX_DEAD * part.tokens:
            part = gathered([part.kept])
        if part.count:
            left.append(part)
    return tuple(left)


def append(parts: Parts, new: Tokens) -> Parts:
    """``parts`` followed by ``new`` (whose views are numbered from 0); never changes what any other memory sees."""
    with _LOCK:
        if parts:
            last = parts[-1]
            if last.segment.used == last.tokens:
                if last.segment.has_room(new):
                    return (*parts[:-1], _grown(last, last.segment.put(new)))
                if last.count <= COPY_LIMIT:
                    return (*parts[:-1], gathered([last.kept, new]))
    size, kept = new.key.shape[0], len(parts)
    # Sizes fall by half from segment to segment, so each token is copied a logarithmic number of times.
    while kept and (parts[kept - 1].count <= 2 * size or kept + 1 > MAX_SEGMENTS):
        kept -= 1
        size += parts[kept].count
    return (*parts[:kept], gathered([*(part.kept for part in parts[kept:]), new]))


def _grown(before: Part, after: Part) -> Part:
    """``after`` with the dead of ``before``, its first tokens."""
    if before.living is None:
        return after
    fresh = after.tokens - before.tokens
    mask = torch.cat([before.living.mask, before.living.mask.new_ones(fresh)])
    plane = torch.cat([before.living.plane, after.segment.plane[:, before.tokens : after.tokens]], dim=1)
    return after._replace(living=Living(mask, before.living.count + fresh, plane))


def gathered(pieces: Iterable[Tokens]) -> Part:
    """All pieces copied into one new segment with room to grow."""
    pieces = list(pieces)
    tokens = sum(piece.key.shape[0] for piece in pieces)
    views = sum(piece.lift.shape[0] for piece in pieces)
    segment = Segment(SMALLEST + int((1 + ROOM) * tokens), 4 + int((1 + ROOM) * views), pieces[0])
    part = Part(segment, 0, 0)
    for piece in pieces:
        part = segment.put(piece)
    return part


def buffers(parts: Parts) -> list[Tensor]:
    """All that these parts hold, with the room that is not used yet; what forks share is one object."""
    found = []
    for part in parts:
        found += [value for value in vars(part.segment).values() if isinstance(value, Tensor)]
        found += [] if part.living is None else [part.living.mask, part.living.plane]
    return found
