"""Cracks: cells or lines one cell wide that a read leaves open between the surfaces that it shows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env.memory import MemoryView

AROUND = 6
"""An open cell with at least so many of its eight neighbours covered lies in a crack, and not in a hole."""
SAME_SURFACE = 0.1
"""Neighbours whose depth is within this fraction of their median continue the surface that closes the crack."""
_STEPS = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if row or col]


def crack_cells(visible: Tensor) -> Tensor:
    """(B, h, w) bool: the cells of ``visible`` (B, h, w) that are open though nearly all around them is covered.

    Cells at the border of the view have too few neighbours to tell.
    """
    ring = torch.ones(1, 1, 3, 3, device=visible.device)
    ring[..., 1, 1] = 0
    return ~visible & (functional.conv2d(visible[:, None].float(), ring, padding=1)[:, 0] >= AROUND)


def close_cracks(
    cracks: Tensor, view: MemoryView, latents: Tensor, depth: Tensor, imagined: Tensor, least: float
) -> None:
    """Continue what is around the cells ``cracks`` (B, h, w) into them, in place.

    They take the median depth of their covered neighbours, and the mean of the latents of those on that surface. They
    count as imagined as the most imagined of these, and ``least`` at least.

    Args:
        view: of B cameras, as it was read.
        latents, depth, imagined: grids (B, C, h, w), (B, h, w) and (B, h, w) that hold the view.
    """
    which, row, col = cracks.nonzero(as_tuple=True)
    down, right = torch.tensor(_STEPS, device=cracks.device).T
    # Cracks never touch the border: six of their neighbours are inside, and those of a border cell are five.
    rows, cols, views = row[:, None] + down, col[:, None] + right, which[:, None].expand(-1, len(_STEPS))
    z = torch.where(view.visible[views, rows, cols], view.depth[views, rows, cols], torch.nan)
    middle = z.nanmedian(1).values
    on_surface = (z - middle[:, None]).abs() <= SAME_SURFACE * middle[:, None]
    weight = on_surface / on_surface.sum(1, keepdim=True)
    latents[which, :, row, col] = (view.latents[views, :, rows, cols] * weight[..., None]).sum(1)
    depth[which, row, col] = middle
    doubt = torch.where(on_surface, view.imagined[views, rows, cols], 0.0).amax(1)
    imagined[which, row, col] = doubt.clamp_min(least)
