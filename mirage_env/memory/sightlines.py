"""Which space cameras have looked through: a surface that one saw leaves the way to it empty."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mirage_env.memory.store import KEY_ROW_SHIFT, KEY_VIEW_SHIFT, MAX_GRID, Part

_VIEWS = 8
"""How many views are asked at once."""


def looked_through(parts: Sequence[Part], points: Tensor, margin: float) -> Tensor:
    """(N,) bool: the world point (N, 3) lies in front of a surface that some camera saw, on its way to that surface.

    Each point is compared with what every view saw there of which a camera wrote tokens (not imagined): see
    ``in_front``.
    """
    left = torch.arange(points.shape[0], device=points.device)
    for part in reversed(parts):
        # The newest views first, and later ones for what is left: mostly, few views know most.
        for views in part.segment.sees[: part.views].nonzero().flip(0).split(_VIEWS):
            if len(left):
                left = left[~in_front(part, views, points[left].T[:, None], margin).any(0)]
    found = torch.ones(points.shape[0], dtype=torch.bool, device=points.device)
    found[left] = False
    return found


def in_front(part: Part, view: Tensor, points: Tensor, margin: float) -> Tensor:
    """Whether a view saw something behind a world point.

    The point is projected into the view and compared, in inverse depth, with the plane of the seen token whose cell it
    falls into. It must be nearer by more than the fraction ``margin``.

    Args:
        part: of the memory.
        view: numbers (...) of views of the part.
        points: (3, ...), in shapes that broadcast with ``view``.
    """
    tokens, segment = part.columns, part.segment
    centre, project = tokens.lift[view][..., 3::4], segment.project[view]
    right, down, ahead = (points[k].to(torch.float64) - centre[..., k] for k in range(3))
    # Written out: unlike a matmul, sums of products round the same however many there are.
    x, y, z = (
        project[..., k] * right + project[..., k + 1] * down + project[..., k + 2] * ahead for k in range(0, 9, 3)
    )
    u, v = x / z, y / z
    inside = (z > 1e-6) & (u >= 0) & (v >= 0) & (u < MAX_GRID) & (v < MAX_GRID)
    col, row = u.where(inside, 0.0).floor().to(torch.int64), v.where(inside, 0.0).floor().to(torch.int64)
    key = (view << KEY_VIEW_SHIFT) | (row << KEY_ROW_SHIFT) | col
    at = torch.searchsorted(tokens.key, key).clamp(max=part.tokens - 1)
    inverse, along_u, along_v = tokens.plane[:, at].to(torch.float64)
    surface = inverse + (u - col - 0.5) * along_u + (v - row - 0.5) * along_v
    seen = (tokens.key[at] == key) & (tokens.imagined[at] == 0)
    # The planes of dead tokens are NaN: nothing lies in front of them.
    return inside & seen & (1 / z > surface * (1 + margin))
