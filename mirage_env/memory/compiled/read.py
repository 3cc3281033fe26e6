"""The compiled counterparts of ``raster.read_footprints``, ``raster.rasterize`` and ``sightlines.looked_through``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirage_env.geometry import Array
from mirage_env.memory.cameras import Targets, frustum_planes, rounding
from mirage_env.memory.compiled.draw import draw
from mirage_env.memory.compiled.host import Columns, bounded, columns_of, sighted
from mirage_env.memory.compiled.show import blend, decide, mix, veto, witnesses
from mirage_env.memory.compiled.sights import look_along, look_through
from mirage_env.memory.compiled.team import share
from mirage_env.memory.raster import Hits, lifts_of, projections
from mirage_env.memory.sightlines import Rays
from mirage_env.memory.store import Part
from mirage_env.memory.view import Canvas, Job

_NONE = np.zeros(0, dtype=np.bool_)


class _Drawn(NamedTuple):
    """Hits of one camera as ``draw`` appends them: the first ``count`` columns."""

    count: int
    whole: Array
    exact: Array
    single: Array


class _Buffers(threading.local):
    """What a thread draws into, again and again."""

    def __init__(self) -> None:
        self.grow(4096)

    def grow(self, room: int) -> None:
        self.whole = np.empty((4, room), dtype=np.int64)
        self.exact = np.empty((4, room))
        self.single = np.empty((2, room), dtype=np.float32)


_BUFFERS = _Buffers()


def read_footprints(jobs: Sequence[Job], cameras: Targets, canvas: Canvas) -> None:
    """Fill ``canvas`` with what ``cameras`` see of the tokens' footprints."""
    columns = [columns_of(job.part) for job in jobs]
    looks: dict[int, list[int]] = {}
    for k, job in enumerate(jobs):
        for camera in range(job.first, job.last):
            looks.setdefault(camera, []).append(k)
    P, planes = projections(cameras), frustum_planes(cameras)

    def show(camera: int) -> None:
        drawn = _draw(looks[camera], camera, jobs, columns, P, planes, cameras)
        _show(looks[camera], camera, drawn, jobs, columns, cameras, canvas)

    share(show, list(looks), sum(columns[k].tokens for mine in looks.values() for k in mine))


def rasterize(jobs: Sequence[Job], cameras: Targets) -> Hits:
    """All pairs of a token and a cell centre that its footprint covers, in front of the camera."""
    columns = [columns_of(job.part) for job in jobs]
    P, planes = projections(cameras), frustum_planes(cameras)
    pieces = []
    for k, job in enumerate(jobs):
        for camera in range(job.first, job.last):
            count, *buffers = _draw([k], camera, jobs, columns, P, planes, cameras)
            pieces.append([buffer[:, :count].copy() for buffer in buffers])
    whole, exact, single = (torch.from_numpy(np.concatenate(rows, axis=1)) for rows in zip(*pieces, strict=True))
    return Hits(*whole, *exact, *single)


def looked_through(parts: Sequence[Part], points: Tensor, margin: float) -> Tensor:
    """As ``sightlines.looked_through``."""
    places = np.ascontiguousarray(points.to(torch.float64).numpy())
    found = np.zeros(len(places), dtype=np.bool_)
    for part in reversed(parts):
        columns = columns_of(part)
        host, (sights, starts) = columns.host, sighted(columns)
        look_through(host.key, columns.plane, host.imagined, sights, starts, columns.views, places, 1.0 + margin, found)
    return torch.from_numpy(found)


def looked_through_along(memories: Sequence[Sequence[Part]], rays: Rays, margin: float) -> Tensor:
    """As ``sightlines.looked_through_along``."""
    pixels, depth = np.ascontiguousarray(rays.pixels.numpy()), np.ascontiguousarray(rays.depth.numpy())
    found = np.zeros(depth.shape, dtype=np.bool_)

    def look(camera: int) -> None:
        mine = slice(rays.starts[camera], rays.starts[camera + 1])
        for part in reversed(memories[camera]):
            columns = columns_of(part)
            host, (sights, starts) = columns.host, sighted(columns)
            look_along(
                host.key, columns.plane, host.imagined, sights, starts, columns.views, pixels[mine], depth[mine],
                rays.K[camera], rays.poses[camera], 1.0 + margin, found[mine].reshape(-1),
            )  # fmt: skip

    share(look, [k for k in range(len(memories)) if rays.starts[k] < rays.starts[k + 1]], found.size)
    return torch.from_numpy(found)


def _draw(
    mine: Sequence[int],
    camera: int,
    jobs: Sequence[Job],
    columns: Sequence[Columns],
    P: Array,
    planes: Array,
    cameras: Targets,
) -> _Drawn:
    """All hits of the jobs ``mine`` in one camera, in this thread's buffers until it draws again."""
    here = cameras[camera : camera + 1]
    count, first_cell, buffers = 0, camera * cameras.height * cameras.width, _BUFFERS
    for k in mine:
        part, base = columns[k], jobs[k].base
        host, blocks, margin = part.host, bounded(part), float(rounding(jobs[k].part, here)[0])
        while True:
            total = draw(
                host.sphere, part.plane, host.trim, host.key, host.imagined, host.lift, host.bounds, part.numbers,
                part.tokens, blocks, P[camera], planes[camera], margin, cameras.height, cameras.width,
                first_cell, k, base, count, buffers.whole, buffers.exact, buffers.single,
            )  # fmt: skip
            if total <= buffers.whole.shape[1]:
                break
            before = buffers.whole, buffers.exact, buffers.single
            buffers.grow(2 * total)
            for old, new in zip(before, (buffers.whole, buffers.exact, buffers.single), strict=True):
                new[:, :count] = old[:, :count]
        count = total
    return _Drawn(count, buffers.whole, buffers.exact, buffers.single)


def _show(
    mine: Sequence[int],
    camera: int,
    drawn: _Drawn,
    jobs: Sequence[Job],
    columns: Sequence[Columns],
    cameras: Targets,
    canvas: Canvas,
) -> None:
    """Put what one camera's cells show of its hits into the canvas."""
    count, whole, exact, single = drawn
    cells = cameras.height * cameras.width
    first_cell = camera * cells
    lines, behind = np.array([job.sight_lines for job in jobs]), np.empty(count, dtype=np.int64)
    wrong = _NONE
    if witnesses(whole, exact, single, count, first_cell, cells, lines, behind):
        wrong = np.zeros(count, dtype=np.bool_)
        lift = lifts_of(cameras[camera : camera + 1])[0]
        for k in mine:
            host, (sights, starts) = columns[k].host, sighted(columns[k])
            veto(
                host.key, columns[k].plane, host.imagined, sights, starts, k, lift, cameras.width,
                whole, exact, count, first_cell, behind, wrong,
            )  # fmt: skip
    chosen = np.empty(cells, dtype=np.int64)
    found = decide(whole, exact, single, count, first_cell, cells, wrong, chosen)
    where, sources = np.empty(found, dtype=np.int64), np.empty((found, 4), dtype=np.int64)
    weights = np.empty((found, 4), dtype=np.float32)
    depth, token, trust = canvas.depth.numpy(), canvas.token.numpy(), canvas.imagined.numpy()
    for k in mine:
        host = columns[k].host
        n = blend(
            host.key, columns[k].plane, host.imagined, columns[k].tokens, k, whole, exact, chosen, found,
            depth, token, trust, canvas.offset.numpy(), where, sources, weights,
        )  # fmt: skip
        latents, rows = host.latents, sources
        if latents is None:  # only what is shown is converted
            shown = torch.from_numpy(sources[:n].reshape(-1))
            latents = jobs[k].part.segment.latents[shown].to(torch.float32).numpy()
            rows = np.arange(4 * n).reshape(n, 4)
        mixed, nearest = canvas.latents[camera].numpy(), canvas.nearest[camera].numpy()
        mix(latents, rows, weights, where, n, first_cell, mixed, nearest)
