"""The pieces of surface that tokens stand for, for whoever needs the memory's geometry and not its latents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from mirage_env.memory.store import KEY_MASK, KEY_ROW_SHIFT, KEY_VIEW_SHIFT, Part

SAME_SLOPE = 0.06
"""Neighbours lie on one surface when their inverse depths and slopes agree to this fraction of the inverse depth."""


class Surfels(NamedTuple):
    """N tokens as flat patches ``position + a * tangent_u + b * tangent_v`` with a and b in [-1/2, 1/2], world frame.

    Attributes:
        positions: (N, 3) float32 metres, the centre of the token's cell on its surface.
        tangents_u, tangents_v: (N, 3) float32 metres, how far the surface extends over one cell along +column and +row.
        viewpoints: (N, 3) float32, centre of the camera that wrote the token.
        continued: (N,) bool, whether a neighbour in the same view goes on with the token's plane, along each of its two
            directions. What stands between two surfaces at a depth edge is not continued.
    """

    positions: Tensor
    tangents_u: Tensor
    tangents_v: Tensor
    viewpoints: Tensor
    continued: Tensor


def surfels_of(parts: Iterable[Part], start: int, device: torch.device) -> Surfels:
    """The surfels of all tokens from number ``start`` on, in order of writing."""
    found, base = [], 0
    for part in parts:
        if base + part.tokens > start:
            found.append(_part_surfels(part, max(start - base, 0)))
        base += part.tokens
    if not found:
        empty = torch.zeros(0, 3, device=device)
        return Surfels(empty, empty, empty, empty, torch.zeros(0, dtype=torch.bool, device=device))
    return Surfels(*(torch.cat(columns) for columns in zip(*found, strict=True)))


def _part_surfels(part: Part, first: int) -> Surfels:
    tokens = part.columns
    key, plane = tokens.key[first:], tokens.plane[:, first:].to(torch.float64)
    u, v = (key & KEY_MASK) + 0.5, (key >> KEY_ROW_SHIFT & KEY_MASK) + 0.5
    lift = tokens.lift[key >> KEY_VIEW_SHIFT].view(-1, 3, 4)
    inverse, slope_u, slope_v = plane[:, :, None]
    # The world point is ray / inverse + centre; both the ray and the inverse depth are affine in (u, v).
    ray = lift[..., 0] * u[:, None] + lift[..., 1] * v[:, None] + lift[..., 2]
    return Surfels(
        positions=tokens.sphere[:3, first:].T.contiguous(),
        tangents_u=((lift[..., 0] - ray / inverse * slope_u) / inverse).float(),
        tangents_v=((lift[..., 1] - ray / inverse * slope_v) / inverse).float(),
        viewpoints=lift[..., 3].float(),
        continued=_continued(tokens.key, tokens.plane, first),
    )


def _continued(keys: Tensor, plane: Tensor, first: int) -> Tensor:
    key, (inverse, slope_u, slope_v) = keys[first:], plane[:, first:]
    both = torch.ones_like(key, dtype=torch.bool)
    for step, k, slope in ((1, 1, slope_u), (1 << KEY_ROW_SHIFT, 2, slope_v)):
        one = torch.zeros_like(both)
        for sign in (-1, 1):
            wanted = key + sign * step
            at = torch.searchsorted(keys, wanted).clamp(max=keys.shape[0] - 1)
            other, other_slope = plane[0][at], plane[k][at]
            agree = torch.maximum((other - inverse - sign * slope).abs(), (other_slope - slope).abs())
            one |= (keys[at] == wanted) & (agree <= SAME_SLOPE * inverse)
        both &= one
    return both
