"""The pieces of surface that tokens stand for, for whoever needs the memory's geometry and not its latents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from mirage_env.memory.paths import compiled
from mirage_env.memory.store import KEY_MASK, KEY_ROW_SHIFT, KEY_VIEW_SHIFT, Part, Tokens
from mirage_env.memory.surfel import TRIMMED

SAME_PLANE = 0.06
"""A neighbour continues a token's plane when its inverse depth and slope agree to this fraction of the latter."""
BRIDGE = 0.2
"""Least difference of inverse depth between the two sides of a bridge, as a fraction of its own."""


class Surfels(NamedTuple):
    """N tokens as flat patches ``position + a * tangent_u + b * tangent_v``, world frame.

    Attributes:
        positions: (N, 3) float32 metres, the centre of the token's cell on its surface.
        tangents_u, tangents_v: (N, 3) float32 metres, how far the surface extends over one cell along +column and +row.
        extents: (N, 4) float32 cells: the patch covers -extents[0] <= a <= extents[1], -extents[2] <= b <= extents[3].
        viewpoints: (N, 3) float32, centre of the camera that wrote the token.
        continued: (N, 4) bool, whether the neighbour in its view continues its plane, on the sides of ``extents``.
        bridges: (N,) bool, whether the token lies between a nearer and a farther neighbour in its view and neither
            continues its plane: a mixture of the two surfaces of a depth edge, not a surface.
        imagined: (N,) float32, 0 where a camera saw the token, 1 where it was imagined.
    """

    positions: Tensor
    tangents_u: Tensor
    tangents_v: Tensor
    extents: Tensor
    viewpoints: Tensor
    continued: Tensor
    bridges: Tensor
    imagined: Tensor

    def where(self, chosen: Tensor) -> Surfels:
        """Those that are chosen (N,) bool."""
        return Surfels(*(column[chosen] for column in self))


def surfels_of(parts: Iterable[Part], start: int, device: torch.device) -> Surfels:
    """The surfels of all living tokens from number ``start`` on, in order of writing."""
    found, base = [], 0
    part_surfels = _part_surfels
    if compiled(device) is not None:
        from mirage_env.memory.compiled.patches import part_surfels
    for part in parts:
        if base + part.count > start:
            found.append(part_surfels(part.kept, max(start - base, 0)))
        base += part.count
    if not found:
        empty = torch.zeros(0, 3, device=device)
        none = torch.zeros(0, dtype=torch.bool, device=device)
        sides = torch.zeros(0, 4, device=device)
        return Surfels(empty, empty, empty, sides, empty, sides > 0, none, empty[:, 0])
    if len(found) == 1:
        return found[0]
    return Surfels(*(torch.cat(columns) for columns in zip(*found, strict=True)))


def _part_surfels(tokens: Tokens, first: int) -> Surfels:
    key, plane = tokens.key[first:], tokens.plane[:, first:].to(torch.float64)
    u, v = (key & KEY_MASK) + 0.5, (key >> KEY_ROW_SHIFT & KEY_MASK) + 0.5
    lift = tokens.lift[key >> KEY_VIEW_SHIFT].view(-1, 3, 4)
    inverse, slope_u, slope_v = plane[:, :, None]
    continued, bridges = _neighbours(tokens.key, tokens.plane, first)
    # The world point is ray / inverse + centre; both the ray and the inverse depth are affine in (u, v).
    ray = lift[..., 0] * u[:, None] + lift[..., 1] * v[:, None] + lift[..., 2]
    return Surfels(
        positions=tokens.sphere[:3, first:].T.contiguous(),
        tangents_u=((lift[..., 0] - ray / inverse * slope_u) / inverse).float(),
        tangents_v=((lift[..., 1] - ray / inverse * slope_v) / inverse).float(),
        extents=torch.stack([torch.where(tokens.trim[first:] >> k & 1 > 0, TRIMMED, 0.5) for k in range(4)], dim=1),
        viewpoints=lift[..., 3].float(),
        continued=continued,
        bridges=bridges,
        imagined=tokens.imagined[first:].clone(),
    )


def _neighbours(keys: Tensor, plane: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """On which sides (N, 4) neighbours continue the plane of a token, and whether it is a bridge (N,)."""
    key, (inverse, slope_u, slope_v) = keys[first:], plane[:, first:]
    continued, bridges = [], torch.zeros_like(key, dtype=torch.bool)
    for step, k, slope in ((1, 1, slope_u), (1 << KEY_ROW_SHIFT, 2, slope_v)):
        alone, rise = torch.ones_like(bridges), []
        for sign in (-1, 1):
            wanted = key + sign * step
            at = torch.searchsorted(keys, wanted).clamp(max=keys.shape[0] - 1)
            other, other_slope, there = plane[0][at], plane[k][at], keys[at] == wanted
            apart = torch.maximum((other - inverse - sign * slope).abs(), (other_slope - slope).abs())
            continued.append(there & (apart <= SAME_PLANE * inverse))
            alone &= there & ~continued[-1]
            rise.append(other - inverse)
        between = (rise[0] * rise[1] < 0) & ((rise[0] - rise[1]).abs() > BRIDGE * inverse)
        bridges |= alone & between
    return torch.stack(continued, dim=1), bridges
