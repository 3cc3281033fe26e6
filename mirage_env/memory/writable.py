"""Which cells of a view are worth keeping: not flying, not too far, not too uncertain."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env.memory.surfel import BEND, EDGE


def flying_cells(depth: Tensor) -> Tensor:
    """(h, w) bool: cells that lie between a nearer and a farther neighbour and on the surface of neither.

    Along a row or a column, both steps of inverse depth lead the same way, each by more than the fraction ``EDGE`` of
    the nearer side, and neither continues the surface behind its neighbour: the next step beyond bends from it by more
    than ``BEND`` of it. Slanted planes, silhouettes and steps between three walls have at most one such side. Where a
    neighbour, or the cell next to it, was not measured, nothing is said.

    Args:
        depth: (h, w) in metres, 0 where nothing was measured.
    """
    inverse = torch.where(depth > 0, 1.0 / depth, torch.nan)
    return _flying_along_rows(inverse) | _flying_along_rows(inverse.T).T


def _flying_along_rows(inverse: Tensor) -> Tensor:
    width = inverse.shape[1]
    around = functional.pad(inverse, (2, 2), value=torch.nan)
    two_left, left, here, right, two_right = (around[:, k : k + width] for k in range(5))
    before, rise, fall, after = left - two_left, here - left, right - here, two_right - right
    # Comparisons with NaN are false, which leaves out every cell with an unmeasured neighbour.
    jumps = (rise.abs() > EDGE * torch.maximum(here, left)) & (fall.abs() > EDGE * torch.maximum(here, right))
    apart = ((before - rise).abs() > BEND * rise.abs()) & ((after - fall).abs() > BEND * fall.abs())
    return (rise * fall > 0) & jumps & apart
