"""The plain read: a token lands in the one cell that contains its projection; the nearest wins, ties to the newest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.memory.cameras import MIN_Z, Targets, in_frustum
from mirage_env.memory.view import Canvas, Job, ordered_key, smallest_key


def read_splats(jobs: Sequence[Job], cameras: Targets, canvas: Canvas) -> None:
    """Fill ``canvas`` with what ``cameras`` see of the tokens, each in float64 from its stored position."""
    found = [_project(job, cameras) for job in jobs]
    cell, key, z, token = (torch.cat([columns[k] for columns in found]) for k in range(4))
    best = smallest_key(cell, key, canvas.token.shape[0])
    at = (best[cell] == key).nonzero()[:, 0]
    winner = cell[at]
    canvas.depth[winner] = z[at]
    canvas.token[winner] = 0xFFFFFFFF - (key[at] & 0xFFFFFFFF)
    start = 0
    for job, columns in zip(jobs, found, strict=True):
        end = start + columns[0].shape[0]
        mine = slice(*torch.searchsorted(at, torch.tensor([start, end], device=at.device)).tolist())
        canvas.show(winner[mine], job.part, token[at[mine]])
        start = end


def _project(job: Job, cameras: Targets) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cell, key, float32 z-depth and index of every token of the part inside a grid and in front of its camera."""
    mine = cameras[job.first : job.last]
    camera, token = in_frustum(job.part, mine, footprint=False)
    device = token.device
    x, y, z = job.part.segment.sphere[:3].index_select(1, token).to(torch.float64)
    pose = torch.as_tensor(mine.T_camera_world, device=device)[:, :3].reshape(-1, 12).T.index_select(1, camera)
    # Written out: unlike a matmul, sums of products round the same for one camera and for a batch of them.
    point = torch.stack([pose[k] * x + pose[k + 1] * y + pose[k + 2] * z + pose[k + 3] for k in (0, 4, 8)], dim=-1)
    K = torch.as_tensor(mine.intrinsics.copy(), device=device).index_select(0, camera)
    pixel, depth = geometry.project(point, K)
    col, row = pixel.floor().unbind(-1)
    inside = (depth > MIN_Z) & (col >= 0) & (col < cameras.width) & (row >= 0) & (row < cameras.height)
    at = inside.nonzero()[:, 0]
    grid = (camera[at] + job.first) * cameras.height + row[at].to(torch.int64)
    cell = grid * cameras.width + col[at].to(torch.int64)
    near = depth[at].to(torch.float32)
    return cell, ordered_key(near, job.numbers(token[at])), near, token[at]
