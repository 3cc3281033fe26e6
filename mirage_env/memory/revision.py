"""What one view changes in a memory before its own tokens are added: what it refutes, replaces, and adds."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env.memory import store
from mirage_env.memory.cameras import Targets
from mirage_env.memory.contradiction import MARGIN, contradicted
from mirage_env.memory.paths import flying_cells, inverse_depth_slopes, rasterize
from mirage_env.memory.raster import Hits
from mirage_env.memory.rules import MemoryRules
from mirage_env.memory.supersede import Surface, explained_cells, superseded
from mirage_env.memory.view import Job


class View(NamedTuple):
    """A view that is being written: its one camera, and grids (h, w) as ``LatentMemory.write`` takes them.

    ``depth`` is float64; ``keep`` has a depth in all its cells; ``explained`` is None where it must be looked up.
    """

    camera: Targets
    depth: Tensor
    keep: Tensor
    imagined: Tensor
    error: Tensor
    explained: Tensor | None


def revise(parts: store.Parts, view: View, rules: MemoryRules, tolerance: float) -> tuple[store.Parts, Tensor]:
    """``parts`` without what the view refutes or replaces, and the cells (h, w) of which it adds tokens.

    Args:
        tolerance: fraction of depth within which a cell is explained, and a token on the same surface.
    """
    sound = view.keep & (view.error <= rules.max_error)
    if rules.edges:
        sound = sound & ~flying_cells(view.depth)
    fresh = sound & (view.depth <= rules.max_depth)
    seen = sound & (view.imagined == 0)
    by_camera = bool(seen.any())
    if parts and by_camera and rules.contradiction:
        parts = store.without(parts, contradicted(parts, view.camera, view.depth, seen, MARGIN + view.error))
    if not parts:
        return parts, fresh
    replaces = by_camera and rules.refine is not None
    known = view.explained
    if not replaces and (known is not None or not rules.merge):
        return parts, _new(fresh, known, known) if rules.merge and known is not None else fresh
    coarse = math.inf if rules.refine is None else rules.refine
    hits = rasterize(jobs_of(parts, 0, 1), view.camera)
    enough = _radii(parts, hits) <= rules.detail
    found = explained_cells(hits, view.depth, view.imagined, tolerance, coarse, enough)
    if rules.merge:
        fresh = _new(fresh, found.here, found.beside) if known is None else _new(fresh, known, known)
    if replaces:
        finest = torch.where(fresh & seen, found.finest.clamp(max=1.0), found.finest)
        surface = Surface(*inverse_depth_slopes(view.depth))
        parts = store.without(parts, superseded(parts, view.camera, surface, finest, tolerance, coarse))
    return parts, fresh


def jobs_of(parts: store.Parts, first: int, last: int, sight_lines: bool = False) -> list[Job]:
    """All parts of one memory, for the cameras ``first`` to ``last`` (excluded) to look at by these rules."""
    jobs, base = [], 0
    for part in parts:
        jobs.append(Job(part, base, first, last, sight_lines))
        base += part.count
    return jobs


def _radii(parts: store.Parts, hits: Hits) -> Tensor:
    """How far (P,) in metres the tokens that were hit reach from their centres."""
    radii = torch.zeros_like(hits.z, dtype=torch.float32)
    for k, part in enumerate(parts):
        mine = (hits.job == k).nonzero()[:, 0]
        radii[mine] = part.segment.sphere[3][hits.token[mine]]
    return radii


def _new(wanted: Tensor, explained: Tensor, beside: Tensor) -> Tensor:
    """The wanted cells that nothing explains, in it or ``beside`` it, the rest of their regions, and a border."""
    new = wanted & ~explained & _grown(wanted & ~explained & ~beside)
    return wanted & (new | _grown(_broad(new)))


def _broad(cells: Tensor) -> Tensor:
    """The cells (h, w) that belong to a block of 2 by 2: not the lines and dots that surfaces leave between them."""
    narrow = functional.max_pool2d((~cells).to(torch.float32)[None], 2, stride=1)
    return functional.max_pool2d(1.0 - functional.pad(narrow, (1, 1, 1, 1), value=1.0), 2, stride=1)[0] > 0


def _grown(cells: Tensor) -> Tensor:
    """The cells (h, w) and those next to them."""
    return functional.max_pool2d(cells.to(torch.float32)[None], 3, stride=1, padding=1)[0] > 0
