"""The footprint read: occlusion first, then interpolation in the view that wrote the surface.

Every token is drawn as the surfel of ``surfel.py``. With H = K_target [R | t] lift of its view, its point at the cell
offset (du, dv) projects to the homogeneous q0 + du a + dv b, where q0 = H (u, v, 1, inverse depth) and a, b are its
derivatives.

1. For every pair of a token and a target cell whose centre its footprint covers, the homography is inverted at that
   centre: the exact offset in the source cell and the exact z-depth on its plane.
2. What was imagined in the way of what a camera saw does not count: where a seen surfel lies behind it whose own view
   looked straight through the place. It may stand there as the edge of something coarse, or at a guessed depth.
3. The nearest z per cell decides which surface is seen. Of the tokens on that surface (within a tolerance of it) that
   face the camera, what a camera saw beats what was imagined; among equals the least ``resampling`` wins. Surfels seen
   from behind hide what lies behind them but show nothing: what is in front of them there has never been seen. The
   backs of imagined ones do not even hide.
4. Latents are interpolated bilinearly between the chosen token and its neighbours in the same view, leaving out
   neighbours that are missing or on another surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory.cameras import MIN_Z, Targets, in_frustum
from mirage_env.memory.sightlines import in_front
from mirage_env.memory.store import KEY_MASK, KEY_ROW_SHIFT, KEY_VIEW_SHIFT, Part
from mirage_env.memory.surfel import HALF, TRIMMED, lift_matrix
from mirage_env.memory.view import NOBODY, Canvas, Job, ordered_key, smallest_key

SAME_SURFACE = 0.05
"""Tokens at most this fraction behind the nearest one in a cell lie on the surface that the cell sees."""
SAME_PLANE = 0.15
"""A neighbour whose inverse depth differs from the plane's by more than this fraction is on another surface."""
MAX_SPAN = 32
"""A token is drawn into at most about this many cells per side, around its centre."""


class Hits(NamedTuple):
    """P pairs of a token and a cell whose centre it covers.

    Attributes:
        cell: (P,) int64, flat cell of the canvas.
        job, token: (P,) int64, the job and the token's index within its part.
        index: (P,) int64, the token's number among those that live in its memory.
        z: (P,) float64, z-depth of the surfel at the cell's centre.
        du, dv: (P,) float64, where the cell's centre lies in the source cell, in cells from its centre.
        magnification: (P,) float64, target cells per source cell by area; negative for a surfel seen from behind.
        resampling: (P,) float32, 1 + |J - I|^2 with J the derivative of the target cell by the source cell: 1 where
            reading only shifts what the view saw, more the more it is turned, enlarged, shrunk or sheared.
        doubt: (P,) float32, see ``doubt``.
    """

    cell: Tensor
    job: Tensor
    token: Tensor
    index: Tensor
    z: Tensor
    du: Tensor
    dv: Tensor
    magnification: Tensor
    resampling: Tensor
    doubt: Tensor


def doubt(imagined: Tensor) -> Tensor:
    """Levels of trust: 0 seen by a camera, 1 at most half imagined (such as copies of what was seen), 2 imagined."""
    return (2 * imagined).ceil()


def read_footprints(jobs: Sequence[Job], cameras: Targets, canvas: Canvas) -> None:
    """Fill ``canvas`` with what ``cameras`` see of the tokens' footprints."""
    cells = canvas.token.shape[0]
    hits = _in_nobodys_way(rasterize(jobs, cameras), jobs, cameras, cells)
    near = torch.full((cells,), torch.inf, dtype=torch.float64, device=hits.z.device)
    hides = (hits.magnification > 0) | (hits.doubt == 0)
    near.scatter_reduce_(0, hits.cell, torch.where(hides, hits.z, torch.inf), "amin", include_self=True)
    shown = (hits.z <= near[hits.cell] * (1.0 + SAME_SURFACE)) & (hits.magnification > 0)
    least = torch.full((cells,), torch.inf, device=hits.z.device)
    least.scatter_reduce_(0, hits.cell, torch.where(shown, hits.doubt, torch.inf), "amin", include_self=True)
    shown &= hits.doubt == least[hits.cell]
    key = torch.where(shown, ordered_key(hits.resampling, hits.index), NOBODY)
    best = smallest_key(hits.cell, key, cells)
    hits = _take(hits, (shown & (best[hits.cell] == key)).nonzero()[:, 0])
    canvas.depth[hits.cell] = hits.z.to(torch.float32)
    canvas.token[hits.cell] = hits.index
    canvas.back.copy_(torch.where((canvas.token < 0) & near.isfinite(), near, canvas.back))
    for k, job in enumerate(jobs):
        mine = hits if len(jobs) == 1 else _take(hits, (hits.job == k).nonzero()[:, 0])
        offset = torch.stack([mine.du, mine.dv]).to(torch.float32)
        canvas.show(mine.cell, job.part, mine.token, interpolate(job.part, mine.token, mine.du, mine.dv), offset)


def _in_nobodys_way(hits: Hits, jobs: Sequence[Job], cameras: Targets, cells: int) -> Hits:
    """The hits without those of imagined tokens where a camera saw that there is nothing.

    The witness is the view of the nearest seen surfel behind the hit, in the same cell.
    """
    guessed = hits.doubt > 0
    lines = torch.tensor([job.sight_lines for job in jobs], device=hits.z.device)
    seen = ~guessed & (hits.magnification > 0)
    key = torch.where(seen, ordered_key(hits.z.to(torch.float32), hits.index), NOBODY)
    nearest = smallest_key(hits.cell, key, cells)
    witness = torch.zeros(cells, dtype=torch.int64, device=key.device)
    chosen = (seen & (nearest[hits.cell] == key)).nonzero()[:, 0]
    witness[hits.cell[chosen]] = chosen
    behind = witness[hits.cell]
    hiding = guessed & (nearest[hits.cell] != NOBODY) & (hits.z * (1.0 + SAME_SURFACE) < hits.z[behind])
    at = (hiding & lines[hits.job]).nonzero()[:, 0]
    wrong = torch.zeros_like(guessed)
    points = _world_points(hits.cell[at], hits.z[at], cameras)
    job, token = hits.job[behind[at]], hits.token[behind[at]]
    for k, part in enumerate(job.part for job in jobs):
        mine = (job == k).nonzero()[:, 0]
        view = part.segment.key[token[mine]] >> KEY_VIEW_SHIFT
        wrong[at[mine]] = in_front(part, view, points[:, mine], SAME_SURFACE)
    return _take(hits, (~wrong).nonzero()[:, 0])


def _world_points(cell: Tensor, z: Tensor, cameras: Targets) -> Tensor:
    """(3, n) world points at z-depths (n,) behind the centres of cells (n,)."""
    camera = torch.div(cell, cameras.height * cameras.width, rounding_mode="floor")
    row = torch.div(cell, cameras.width, rounding_mode="floor") % cameras.height
    u, v = cell % cameras.width + 0.5, row + 0.5
    lift = torch.as_tensor(lifts_of(cameras), device=cell.device)[camera]
    return torch.stack([(lift[:, k, 0] * u + lift[:, k, 1] * v + lift[:, k, 2]) * z + lift[:, k, 3] for k in range(3)])


def lifts_of(cameras: Targets) -> Array:
    """(T, 3, 4) float64, each camera's ``lift_matrix``."""
    poses = geometry.invert(cameras.T_camera_world)
    return np.stack([lift_matrix(K, T) for K, T in zip(cameras.intrinsics, poses, strict=True)])


def rasterize(jobs: Sequence[Job], cameras: Targets) -> Hits:
    """All pairs of a token and a cell centre that its footprint covers, in front of the camera."""
    found = [_survivors(k, job, cameras) for k, job in enumerate(jobs)]
    form, ids = found[0] if len(found) == 1 else (torch.cat(rows, dim=1) for rows in zip(*found, strict=True))
    spans, at = _spans(form, cameras)
    form, ids = gather_columns(form, at), gather_columns(ids, at)
    first_col, first_row, cols, count = spans

    pair = torch.repeat_interleave(count)
    step = torch.arange(pair.shape[0], device=pair.device) - (count.cumsum(0) - count)[pair]
    q0x, q0y, q0w, ax, ay, aw, bx, by, bw, inverse, gu, gv = gather_columns(form, pair)
    cols = cols[pair]
    down = torch.div(step, cols, rounding_mode="floor")
    col, row = first_col[pair] + step - down * cols, first_row[pair] + down
    x, y = col + 0.5, row + 0.5
    # (q0 + du a + dv b) parallel to (x, y, 1), solved for the offset.
    ux, vx, cx = ax - x * aw, bx - x * bw, x * q0w - q0x
    uy, vy, cy = ay - y * aw, by - y * bw, y * q0w - q0y
    det = ux * vy - vx * uy
    du, dv = (cx * vy - vx * cy) / det, (ux * cy - cx * uy) / det
    w = q0w + du * aw + dv * bw
    z = w / (inverse + du * gu + dv * gv)
    covered = ((du.abs() <= HALF) & (dv.abs() <= HALF) & (z > MIN_Z)).nonzero()[:, 0]
    camera, job, token, index, trim, doubts = gather_columns(ids, pair[covered])
    inside = ((trim == 0) | _inside_trimmed(trim, du[covered], dv[covered])).nonzero()[:, 0]
    covered, camera, job, token, index = (column[inside] for column in (covered, camera, job, token, index))
    cell = (camera * cameras.height + row[covered]) * cameras.width + col[covered]
    seen_at = (z[covered], du[covered], dv[covered])
    ux, vx, uy, vy = (derivative[covered] / w[covered] for derivative in (ux, vx, uy, vy))
    resampling = 1.0 + ((ux - 1.0).square() + vx.square() + uy.square() + (vy - 1.0).square()).to(torch.float32)
    return Hits(cell, job, token, index, *seen_at, ux * vy - vx * uy, resampling, doubts[inside].to(torch.float32))


def _inside_trimmed(trim: Tensor, du: Tensor, dv: Tensor) -> Tensor:
    beyond_u = ((trim & 1) > 0) & (du < -TRIMMED) | ((trim & 2) > 0) & (du > TRIMMED)
    beyond_v = ((trim & 4) > 0) & (dv < -TRIMMED) | ((trim & 8) > 0) & (dv > TRIMMED)
    return ~(beyond_u | beyond_v)


def _survivors(k: int, job: Job, cameras: Targets) -> tuple[Tensor, Tensor]:
    """Surfels that a camera may see: their forms (12, M) q0 a b, inverse depth and slopes, and ids (6, M) int64."""
    mine = cameras[job.first : job.last]
    camera, token = in_frustum(job.part, mine, footprint=True)
    segment, views = job.part.segment, job.part.views
    key = segment.key[token]
    u, v = (key & KEY_MASK) + 0.5, (key >> KEY_ROW_SHIFT & KEY_MASK) + 0.5
    plane = segment.plane.index_select(1, token).to(torch.float64)
    inverse, gu, gv = plane
    maps = gather_columns(_view_maps(job.part, mine), camera * views + (key >> KEY_VIEW_SHIFT)).view(3, 4, -1)
    Hu, Hv, H1, Hi = maps.unbind(1)
    form = torch.cat([Hu * u + Hv * v + H1 + Hi * inverse, Hu + gu * Hi, Hv + gv * Hi, plane])
    trim, doubts = segment.trim[token].to(torch.int64), doubt(segment.imagined[token]).to(torch.int64)
    return form, torch.stack([camera + job.first, torch.full_like(token, k), token, job.numbers(token), trim, doubts])


def _view_maps(part: Part, cameras: Targets) -> Tensor:
    """(12, T * views): the (3, 4) matrices H = P lift of every pair of camera and view, P = K [R | t]."""
    P = torch.as_tensor(projections(cameras), device=part.segment.lift.device)[:, None, :, :, None]
    lift = part.segment.lift[: part.views].view(1, -1, 1, 3, 4)
    # Written out: unlike a matmul, sums of products round the same for one camera and for a batch of them.
    maps = P[..., 0, :] * lift[..., 0, :] + P[..., 1, :] * lift[..., 1, :] + P[..., 2, :] * lift[..., 2, :]
    maps[..., 3] += P[..., 3, 0]
    return maps.reshape(-1, 12).T


def projections(cameras: Targets) -> Array:
    """(T, 3, 4) float64, K [R | t] of each camera."""
    return cameras.intrinsics @ cameras.T_camera_world[:, :3]


def _spans(form: Tensor, cameras: Targets) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Rectangles of cells whose centres each surfel may cover, as first column, first row, columns and number of cells.

    Surfels that cover none are left out; the second result says which remain.
    """
    q0, a, b = form[0:3], form[3:6] * HALF, form[6:9] * HALF
    corners = torch.stack([q0 + a + b, q0 + a - b, q0 - a + b, q0 - a - b])
    w = corners[:, 2]
    foremost, corner = w.max(0)
    # A surfel that reaches behind the camera has no bounded image; it may cover any cell, up to the cap.
    front = w.amin(0) > 1e-6 * foremost
    xy = corners[:, :2] / w[:, None]
    low = torch.where(front, xy.amin(0), -torch.inf)
    high = torch.where(front, xy.amax(0), torch.inf)
    centre = torch.where(q0[2] > 0, q0[:2] / q0[2], xy.gather(0, corner.expand(1, 2, -1))[0])
    limit = torch.tensor([[cameras.width - 1], [cameras.height - 1]], dtype=q0.dtype, device=q0.device)
    first = torch.maximum((low - 0.5).ceil(), (centre - MAX_SPAN / 2).floor()).clamp(min=0.0)
    last = torch.minimum(torch.minimum((high - 0.5).floor(), (centre + MAX_SPAN / 2).ceil()), limit)
    sides = (last - first + 1.0).clamp(min=0.0)
    count = torch.where(foremost > 0, sides[0] * sides[1], 0.0)
    at = (count > 0).nonzero()[:, 0]
    first, cols = first[:, at].to(torch.int64), sides[0, at].to(torch.int64)
    return (first[0], first[1], cols, count[at].to(torch.int64)), at


def interpolate(part: Part, token: Tensor, du: Tensor, dv: Tensor) -> Tensor:
    """Latents (n, C) float32 at the offsets (du, dv) from tokens of a part, bilinear in the view that wrote them."""
    tokens = part.columns
    key, (inverse, gu, gv) = tokens.key[token], gather_columns(tokens.plane, token)
    su, sv = torch.where(du < 0, -1, 1), torch.where(dv < 0, -1, 1)
    wanted = torch.stack([key + su, key + sv * (1 << KEY_ROW_SHIFT), key + su + sv * (1 << KEY_ROW_SHIFT)])
    # Keys ascend, so neighbours along a row are neighbours in storage; only the row below or above must be searched.
    below = torch.searchsorted(tokens.key, wanted[1])
    exists = tokens.key[below.clamp(max=part.tokens - 1)] == wanted[1]
    beside = below + torch.where(su > 0, exists.to(torch.int64), -1)
    other = torch.stack([token + su, below, beside]).clamp(min=0, max=part.tokens - 1)
    found = tokens.plane[0][other]
    expected = inverse + torch.stack([gu * su, gv * sv, gu * su + gv * sv])
    usable = (tokens.key[other] == wanted) & ((found - expected).abs() <= SAME_PLANE * found)
    fu, fv = du.abs().to(torch.float32), dv.abs().to(torch.float32)
    own = (1 - fu) * (1 - fv)
    weights = torch.stack([fu * (1 - fv), (1 - fu) * fv, fu * fv]) * usable
    total = own + weights[0] + weights[1] + weights[2]
    latents = tokens.latents[token].to(torch.float32) * (own / total)[:, None]
    for k in range(3):
        latents += tokens.latents[other[k]].to(torch.float32) * (weights[k] / total)[:, None]
    return latents


def gather_columns(table: Tensor, index: Tensor) -> Tensor:
    """``table[:, index]``; row by row PyTorch does it about twice as fast."""
    return torch.stack([row.index_select(0, index) for row in table])


def _take(hits: Hits, at: Tensor) -> Hits:
    return Hits(*(column[at] for column in hits))
