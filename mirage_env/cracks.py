"""Cracks and slits: what a read leaves open between the surfaces that it shows, too small to need imagination."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env import kernels

AROUND = 6
"""An open cell with at least so many of its eight neighbours covered lies in a crack, and not in a hole."""
SLITS = 0.03
"""Views of which at most this share is open otherwise need no imagination, unless a part of it is wide."""
REACH = 2
"""A part is wide that is farther than so many cells from what is covered."""
GUESSED = 0.3
"""How imagined a cell of a slit counts, at least: it continues one of the surfaces around it, which may be wrong."""
SAME_SURFACE = 0.1
"""Neighbours whose depth is within this fraction of their median continue the surface that closes the crack."""


def crack_cells(visible: Tensor) -> Tensor:
    """(B, h, w) bool: the open cells of ``visible`` (B, h, w) around which nearly all is covered.

    Cells at the border of the view have too few neighbours to tell.
    """
    ring = torch.ones(1, 1, 3, 3, device=visible.device)
    ring[..., 1, 1] = 0
    return ~visible & (functional.conv2d(visible[:, None].float(), ring, padding=1)[:, 0] >= AROUND)


def slit_cells(visible: Tensor, cracks: Tensor) -> Tensor:
    """(B, h, w) bool: the other open cells of those views that have few of them, none far from what is covered."""
    open_ = ~visible & ~cracks
    near = functional.max_pool2d(visible.float(), 2 * REACH + 1, stride=1, padding=REACH) > 0
    small = (open_.float().mean((1, 2)) <= SLITS) & ~(open_ & ~near).any(2).any(1)
    return open_ & small[:, None, None]


def gap_cells(visible: Tensor) -> tuple[Tensor, Tensor]:
    """The ``crack_cells`` and the ``slit_cells`` of ``visible`` (B, h, w)."""
    loops = _compiled(visible)
    if loops is not None:
        return loops.gap_cells(visible)
    cracks = crack_cells(visible)
    return cracks, slit_cells(visible, cracks)


def close_cracks(
    cracks: Tensor, visible: Tensor, latents: Tensor, depth: Tensor, imagined: Tensor, least: Tensor
) -> None:
    """Continue what is around the cells ``cracks`` (B, h, w), at most ``REACH`` away, into them, in place.

    They take the median depth of their covered neighbours, and the mean of the latents of those on that surface. They
    count as imagined as the most imagined of these, and ``least``, at least.

    Args:
        visible: (B, h, w) bool, what the memory showed of the views.
        latents, depth, imagined: float32 grids (B, C, h, w), (B, h, w) and (B, h, w) that hold the views.
        least: (B, h, w) float32.
    """
    loops = _compiled(visible)
    if loops is not None:
        loops.close_cracks(cracks, visible, latents, depth, imagined, least)
    else:
        _close_cracks(cracks, visible, latents, depth, imagined, least)


def _compiled(visible: Tensor) -> ModuleType | None:
    return kernels.load("mirage_env.compiled.cracks") if visible.device.type == "cpu" else None


def _close_cracks(
    cracks: Tensor, visible: Tensor, latents: Tensor, depth: Tensor, imagined: Tensor, least: Tensor
) -> None:
    covered = visible
    for _ in range(REACH):
        reached = cracks & ~covered & (functional.max_pool2d(covered.float(), 3, stride=1, padding=1) > 0)
        if not bool(reached.any()):
            return
        _close(reached, covered, latents, depth, imagined, least)
        covered = covered | reached


def _close(cracks: Tensor, covered: Tensor, latents: Tensor, depth: Tensor, imagined: Tensor, least: Tensor) -> None:
    which, row, col = cracks.nonzero(as_tuple=True)
    steps = torch.tensor([(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c], device=cracks.device)
    rows, cols, views = row[:, None] + steps[:, 0], col[:, None] + steps[:, 1], which[:, None].expand(-1, len(steps))
    inside = (rows >= 0) & (rows < cracks.shape[1]) & (cols >= 0) & (cols < cracks.shape[2])
    rows, cols = rows.clamp(0, cracks.shape[1] - 1), cols.clamp(0, cracks.shape[2] - 1)
    z = torch.where(inside & covered[views, rows, cols], depth[views, rows, cols], torch.nan)
    middle = z.nanmedian(1).values
    on_surface = (z - middle[:, None]).abs() <= SAME_SURFACE * middle[:, None]
    weight = on_surface / on_surface.sum(1, keepdim=True)
    doubt = torch.where(on_surface, imagined[views, rows, cols], 0.0).amax(1)
    latents[which, :, row, col] = (latents[views, :, rows, cols] * weight[..., None]).sum(1)
    depth[which, row, col] = middle
    imagined[which, row, col] = torch.maximum(doubt, least[which, row, col])
