"""Which space cameras have looked through: a surface that one saw leaves the way to it empty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory.store import KEY_ROW_SHIFT, KEY_VIEW_SHIFT, MAX_GRID, Part

_VIEWS = 8
"""How many views are asked at once."""


class Rays(NamedTuple):
    """Rays of B cameras, and places on each.

    Attributes:
        pixels: (n, 2) float64, (x, y) of each ray, those of the first camera first.
        depth: (n, m) float64 metres, z-depths of the m places on each.
        starts: B + 1 numbers, where each camera's rays start, and n.
        K: (B, 3, 3) float64.
        poses: T_world_camera (B, 4, 4) float64.
    """

    pixels: Tensor
    depth: Tensor
    starts: Sequence[int]
    K: Array
    poses: Array


def rays_of(world: Tensor, pixels: Tensor, depth: Tensor, K: Array, poses: Array) -> Rays:
    """``Rays`` of which ``world`` (n,) int64, ascending, names the cameras; the others as there, in any float type."""
    starts = torch.searchsorted(world.contiguous(), torch.arange(len(poses) + 1, device=world.device)).tolist()
    K, poses = np.ascontiguousarray(K, dtype=np.float64), np.ascontiguousarray(poses, dtype=np.float64)
    return Rays(pixels.to(torch.float64), depth.to(torch.float64), starts, K, poses)


def places(rays: Rays, camera: int) -> Tensor:
    """World points (n, m, 3) of one camera's places."""
    mine = slice(rays.starts[camera], rays.starts[camera + 1])
    K, T = torch.as_tensor(rays.K[camera]), torch.as_tensor(rays.poses[camera])
    x, y, z = geometry.unproject(rays.pixels[mine, None], rays.depth[mine], K).unbind(-1)
    # Written out: unlike a matmul, sums of products round the same however many there are.
    return torch.stack([T[k, 0] * x + T[k, 1] * y + T[k, 2] * z + T[k, 3] for k in range(3)], dim=-1)


def along(rays: Rays, look: Callable[[int, Tensor], Tensor]) -> Tensor:
    """(n, m) bool, what ``look`` says of each camera (its number) and its world points (N, 3)."""
    found = torch.zeros(rays.depth.shape, dtype=torch.bool, device=rays.depth.device)
    for camera in range(len(rays.poses)):
        mine = slice(rays.starts[camera], rays.starts[camera + 1])
        if mine.start < mine.stop:
            found[mine] = look(camera, places(rays, camera).reshape(-1, 3)).view(-1, found.shape[1])
    return found


def looked_through_along(memories: Sequence[Sequence[Part]], rays: Rays, margin: float) -> Tensor:
    """(n, m) bool, which places on the rays of B cameras were looked through, each camera's in its own of B memories.

    See ``looked_through``.
    """
    return along(rays, lambda camera, points: looked_through(memories[camera], points, margin))


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
