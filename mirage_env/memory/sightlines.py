"""Which space cameras have looked through: a surface that one saw leaves the way to it empty."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from mirage_env.memory.store import KEY_ROW_SHIFT, KEY_VIEW_SHIFT, MAX_GRID, Part


def looked_through(parts: Iterable[Part], points: Tensor, margin: float) -> Tensor:
    """(N,) bool: the world point (N, 3) lies in front of a surface that some camera saw, on its way to that surface.

    Each point is projected into every view that a camera wrote (tokens that are not imagined) and compared, in inverse
    depth, with the plane of the token whose cell it falls into. It must be nearer by more than the fraction ``margin``.
    """
    found = torch.zeros(points.shape[0], dtype=torch.bool, device=points.device)
    for part in parts:
        tokens, segment = part.columns, part.segment
        views = segment.sees[: part.views].nonzero()[:, 0]
        if not len(views):
            continue
        project = segment.project[views].view(-1, 3, 3)
        ahead = points.to(torch.float64)[None] - tokens.lift[views].view(-1, 1, 3, 4)[..., 3]
        x, y, z = (ahead @ project.transpose(1, 2)).unbind(-1)
        u, v = x / z, y / z
        inside = (z > 1e-6) & (u >= 0) & (v >= 0) & (u < MAX_GRID) & (v < MAX_GRID)
        col, row = u.where(inside, 0.0).floor().to(torch.int64), v.where(inside, 0.0).floor().to(torch.int64)
        key = (views[:, None] << KEY_VIEW_SHIFT) | (row << KEY_ROW_SHIFT) | col
        at = torch.searchsorted(tokens.key, key).clamp(max=part.tokens - 1)
        inverse, along_u, along_v = tokens.plane[:, at].to(torch.float64)
        surface = inverse + (u - col - 0.5) * along_u + (v - row - 0.5) * along_v
        seen = (tokens.key[at] == key) & (tokens.imagined[at] == 0)
        # The planes of dead tokens are NaN: nothing lies in front of them.
        found |= (inside & seen & (1 / z > surface * (1 + margin))).any(0)
    return found
