"""What a camera looks straight through is gone: things that moved leave no ghosts.

A stored token contradicts a view when its centre lies clearly in front of the surfaces of the four cells of the view
whose centres surround it, each continued to the token as a plane, so that neither silhouettes nor slanted floors
matter. That alone would also take thin things that are too small to be the depth of a cell (a chair leg seen from far
away). A cell's depth is that of most of it, so a cell can refute only what would have filled it: the candidates are
drawn into the view at ``SUBCELLS`` times its resolution, and go only where they cover their cell, or one beside it, by
at least ``COVERED``.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

from mirage_env.geometry import scale_intrinsics
from mirage_env.memory import store
from mirage_env.memory.cameras import MIN_Z, Targets, in_frustum
from mirage_env.memory.paths import inverse_depth_slopes, rasterize
from mirage_env.memory.view import Job

MARGIN = 0.05
"""Fraction of the surface's inverse depth by which a token must be in front of it."""
SUBCELLS = 4
COVERED = 0.5


def contradicted(
    parts: store.Parts, camera: Targets, depth: Tensor, evidence: Tensor, margin: Tensor | float = MARGIN
) -> list[Tensor | None]:
    """Per part the mask (n,) of the tokens that a view looks straight through; None: none in any.

    Args:
        parts: of the memory.
        camera: the one camera of the view.
        depth: (h, w) float64 z-depth in metres, 0 where nothing was measured. Beside what was not measured or lies
            beyond the border nothing is refuted.
        evidence: (h, w) bool, the cells that may refute.
        margin: fraction of inverse depth, a number or (h, w).
    """
    inverse, slopes = inverse_depth_slopes(depth)
    planes = functional.pad(torch.cat([inverse[None], slopes]), (1, 1, 1, 1)).reshape(3, -1)
    allowed = torch.where(evidence, 1.0 + margin, torch.inf).reshape(-1)
    found: list[tuple[Tensor, Tensor]] = []
    jobs: list[Job] = []
    for part in parts:
        token, u, v, z = centres_in_view(part, camera)
        cell = (v.floor() * camera.width + u.floor()).to(torch.int64)
        near = _in_front(1.0 / z / allowed[cell], u, v, planes, camera.width + 2)
        found.append((token[near], cell[near]))
        if len(near):
            jobs.append(Job(store.only(part, _mask(part, token[near])), 0, 0, 1))
    if not jobs:
        return [None] * len(parts)
    refuted = _filled_cells(jobs, camera).reshape(-1)
    return [_mask(part, token[refuted[cell]]) for part, (token, cell) in zip(parts, found, strict=True)]


def _in_front(inverse: Tensor, u: Tensor, v: Tensor, planes: Tensor, stride: int) -> Tensor:
    """Which of M points with these inverse depths are in front of the planes of all four cells that surround (u, v).

    ``planes`` (3, cells) are inverse depths, 0 = unknown, and slopes of a grid with a border of one cell.
    """
    col, row = u.floor(), v.floor()
    across, along = torch.where(u - col < 0.5, -1.0, 1.0), torch.where(v - row < 0.5, -1.0, 1.0)
    left = torch.arange(len(u), device=u.device)
    for down, right in itertools.product((0, 1), repeat=2):
        x, y = col[left] + right * across[left], row[left] + down * along[left]
        measured, slope_u, slope_v = planes[:, ((y + 1) * stride + x + 1).to(torch.int64)]
        surface = measured + (u[left] - x - 0.5) * slope_u + (v[left] - y - 0.5) * slope_v
        left = left[(measured > 0) & (inverse[left] > surface)]
    return left


def _filled_cells(jobs: list[Job], camera: Targets) -> Tensor:
    """(h, w) bool: the tokens cover at least ``COVERED`` of the cell or of one beside it."""
    lens = scale_intrinsics(camera.intrinsics[0], SUBCELLS)[None]
    fine = Targets(camera.T_camera_world, lens, camera.height * SUBCELLS, camera.width * SUBCELLS)
    hits = rasterize(jobs, fine)
    drawn = torch.zeros(1, fine.height, fine.width, device=hits.cell.device)
    drawn.view(-1)[hits.cell] = 1.0
    share = functional.avg_pool2d(drawn, SUBCELLS)
    return functional.max_pool2d(share, 3, stride=1, padding=1)[0] >= COVERED


def centres_in_view(part: store.Part, camera: Targets) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The living tokens (M,) whose centres project inside the grid of one camera: indices, grid positions, z-depths."""
    _, token = in_frustum(part, camera, footprint=False)
    x, y, z = part.segment.sphere[:3].index_select(1, token).to(torch.float64)
    T, K = camera.T_camera_world[0].tolist(), camera.intrinsics[0].tolist()
    right, down, ahead = (T[k][0] * x + T[k][1] * y + T[k][2] * z + T[k][3] for k in range(3))
    u, v = K[0][0] * right / ahead + K[0][2], K[1][1] * down / ahead + K[1][2]
    inside = (ahead > MIN_Z) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    at = inside.nonzero()[:, 0]
    return token[at], u[at], v[at], ahead[at]


def _mask(part: store.Part, token: Tensor) -> Tensor:
    mask = torch.zeros(part.tokens, dtype=torch.bool, device=token.device)
    mask[token] = True
    return mask
