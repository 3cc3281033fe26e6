"""A better sampling of a surface replaces the tokens that it supersedes.

Better means seen by a camera over imagined, and among seen ones at least ``refine`` times as fine, by area. A token
goes when a camera's view puts all of its footprint (centre and corners) into cells where the memory now holds such a
sampling of the same surface, and when none of its neighbours that stay interpolates with it. So no hole opens, and no
token that stays reads otherwise.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env.memory import store
from mirage_env.memory.cameras import MIN_Z, Targets, in_frustum
from mirage_env.memory.raster import SAME_PLANE, Hits
from mirage_env.memory.store import KEY_MASK, KEY_ROW_SHIFT, KEY_VIEW_SHIFT
from mirage_env.memory.surfel import TRIMMED


class Explained(NamedTuple):
    """What the memory knows already of a view's cells (h, w).

    Attributes:
        here: bool, it shows the cell's surface there.
        beside: bool, it shows the cell's surface there or in a cell next to it: between views the outlines of things
            move to and fro by a cell, and that is nothing new.
        finest: float64, the least magnification of a token that a camera saw there (``inf``: none).
    """

    here: Tensor
    beside: Tensor
    finest: Tensor


class Surface(NamedTuple):
    """What a view measured: inverse z-depth (h, w) float64, 0 = unknown, and its slopes per cell (2, h, w)."""

    inverse: Tensor
    slopes: Tensor


def explained_cells(
    hits: Hits, depth: Tensor, imagined: Tensor, tolerance: float, refine: float, enough: Tensor
) -> Explained:
    """Which cells of a view the memory explains, and how finely cameras have sampled what it shows there.

    A cell is explained where some token, hidden or not, covers its centre at its depth, faces the camera, is no more
    in doubt than the cell, and is not more than ``refine`` times as coarse, by area, or fine ``enough`` anyway.

    Args:
        hits: of the memory's tokens on the view.
        depth: (h, w) in metres.
        imagined: (h, w) of the view, as given to ``write``.
        tolerance: fraction of depth.
        refine: factor.
        enough: (P,) bool, of the hits.
    """
    height, width = depth.shape
    # A border of one cell in which nothing agrees, so that every cell has eight neighbours.
    z = functional.pad(depth, (1, 1, 1, 1), value=torch.nan).view(-1)
    level = functional.pad((2 * imagined).ceil(), (1, 1, 1, 1)).view(-1)
    row = torch.div(hits.cell, width, rounding_mode="floor")
    middle = (row + 1) * (width + 2) + hits.cell - row * width + 1
    facing = hits.magnification > 0
    fine = facing & ((hits.magnification <= refine) | enough)
    here, beside = (torch.zeros(z.shape[0], dtype=torch.bool, device=depth.device) for _ in range(2))
    for down, right in itertools.product((-1, 0, 1), repeat=2):
        cell = middle + down * (width + 2) + right
        agree = ((hits.z - z[cell]).abs() <= tolerance * z[cell]) & (hits.doubt <= level[cell]) & fine
        beside[cell[agree]] = True
        if down == right == 0:
            here[cell[agree]] = True
    agree = ((hits.z - z[middle]).abs() <= tolerance * z[middle]) & facing & (hits.doubt == 0)
    finest = torch.full((depth.numel(),), torch.inf, dtype=torch.float64, device=depth.device)
    finest.scatter_reduce_(0, hits.cell, torch.where(agree, hits.magnification, torch.inf), "amin", include_self=True)
    here, beside = (grid.view(height + 2, width + 2)[1:-1, 1:-1] for grid in (here, beside))
    return Explained(here, beside, finest.view(height, width))


def superseded(
    parts: store.Parts, camera: Targets, surface: Surface, finest: Tensor, tolerance: float, refine: float
) -> list[Tensor | None]:
    """Per part the mask (n,) of the tokens that better ones replace, None where there are none.

    Args:
        parts: of the memory before the view is added.
        camera: the one camera of the view.
        surface: what the view measured.
        finest: (h, w) float64, how finely cameras have sampled the surface in each cell, in cells of this view per
            token, counting what is written now as 1; ``inf`` where they have not.
        tolerance: fraction of depth within which a token lies on the surface.
        refine: factor by area.
    """
    return [_superseded_in(part, camera, surface, finest, tolerance, refine) for part in parts]


def _superseded_in(
    part: store.Part, camera: Targets, surface: Surface, finest: Tensor, tolerance: float, refine: float
) -> Tensor | None:
    _, token = in_frustum(part, camera, footprint=False)
    height, width = finest.shape
    u, v, z = _footprints(part, token, camera)
    col, row = u.floor(), v.floor()
    inside = (z > MIN_Z) & (col >= 0) & (col < width) & (row >= 0) & (row < height)
    at = inside.all(0).nonzero()[:, 0]
    token, u, v, z, col, row = token[at], u[:, at], v[:, at], z[:, at], col[:, at], row[:, at]
    cell = (row * width + col).to(torch.int64)
    slope_u, slope_v = surface.slopes.reshape(2, -1)
    plane = surface.inverse.reshape(-1)[cell] + slope_u[cell] * (u - col - 0.5) + slope_v[cell] * (v - row - 0.5)
    same = (z * plane - 1.0).abs() <= tolerance
    # Cells of the view per cell of the token: the area of its footprint, a quadrilateral whose corners go round.
    across, along = (u[3] - u[1], v[3] - v[1]), (u[4] - u[2], v[4] - v[2])
    area = 0.5 * (across[0] * along[1] - across[1] * along[0]) / _extent(part, token)
    fineness = finest.reshape(-1)[cell]
    imagined = part.segment.imagined[token] > 0
    better = (fineness * refine <= area) | (imagined & fineness.isfinite())
    going = token[(same & better).all(0) & (area > 0)]
    if not len(going):
        return None
    mask = torch.zeros(part.tokens, dtype=torch.bool, device=token.device)
    mask[going] = True
    mask[going[_needed(part, going, mask)]] = False
    return mask


def _sides(part: store.Part, token: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How far footprints reach to the left, right, up and down, in cells; without the overlap between neighbours."""
    trim = part.segment.trim[token]
    left, right, up, down = (torch.where(trim >> k & 1 > 0, TRIMMED, 0.5).to(torch.float64) for k in range(4))
    return left, right, up, down


def _extent(part: store.Part, token: Tensor) -> Tensor:
    left, right, up, down = _sides(part, token)
    return (left + right) * (up + down)


def _footprints(part: store.Part, token: Tensor, camera: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """Grid positions u, v and z-depths (5, M) in the camera of the centres and the corners of footprints, clockwise."""
    key = part.segment.key[token]
    inverse, slope_u, slope_v = part.segment.plane[:, token].to(torch.float64)
    left, right, up, down = _sides(part, token)
    none = torch.zeros_like(left)
    du, dv = torch.stack([none, -left, right, right, -left]), torch.stack([none, -up, -up, down, down])
    u, v = (key & KEY_MASK) + 0.5 + du, (key >> KEY_ROW_SHIFT & KEY_MASK) + 0.5 + dv
    scale = 1.0 / (inverse + du * slope_u + dv * slope_v)
    lift = part.segment.lift[key >> KEY_VIEW_SHIFT].T.reshape(3, 4, 1, -1)
    world = (lift[:, 0] * u + lift[:, 1] * v + lift[:, 2]) * scale + lift[:, 3]
    T, K = camera.T_camera_world[0].tolist(), camera.intrinsics[0].tolist()
    x, y, z = (T[k][0] * world[0] + T[k][1] * world[1] + T[k][2] * world[2] + T[k][3] for k in range(3))
    return K[0][0] * x / z + K[0][2], K[1][1] * y / z + K[1][2], z


def _needed(part: store.Part, going: Tensor, mask: Tensor) -> Tensor:
    """(M,) bool: a neighbour that stays interpolates with the token ``going`` (M,); ``mask`` (n,) names all that go."""
    tokens = part.columns
    key, mine = tokens.key[going], tokens.plane[0][going]
    steps = torch.tensor([(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c], device=going.device)
    down, right = steps[:, :1], steps[:, 1:]
    wanted = key + down * (1 << KEY_ROW_SHIFT) + right
    other = torch.searchsorted(tokens.key, wanted).clamp(max=part.tokens - 1)
    inverse, slope_u, slope_v = tokens.plane[:, other]
    expected = inverse - right * slope_u - down * slope_v
    # Dead neighbours have NaN planes, which agree with nothing.
    uses = (tokens.key[other] == wanted) & ~mask[other] & ((mine - expected).abs() <= SAME_PLANE * mine)
    return uses.any(0)
