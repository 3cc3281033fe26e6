"""The compiled counterparts of ``raster.read_footprints``, ``raster.rasterize`` and ``sightlines.looked_through``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirage_env.geometry import Array
from mirage_env.memory.cameras import Targets, frustum_planes, remoteness, rounding
from mirage_env.memory.compiled.draw import draw
from mirage_env.memory.compiled.host import Columns, bounded, columns_of, sighted
from mirage_env.memory.compiled.looks import look_along, look_through
from mirage_env.memory.compiled.show import blend, decide, mix, settle, veto, witnesses
from mirage_env.memory.raster import Hits, lifts_of, projections
from mirage_env.memory.sightlines import Rays
from mirage_env.memory.store import Part
from mirage_env.memory.view import Canvas, Job
from mirage_env.team import share

_NONE = np.zeros(0, dtype=np.bool_)
_QUICKER = 8
"""So many places are looked at in the time of one token or cell of a read."""


class _Drawn(NamedTuple):
    """Hits of one camera as ``draw`` appends them: the first ``count`` columns."""

    count: int
    whole: Array
    exact: Array
    single: Array


class _Scene(NamedTuple):
    """What is drawn, and the cameras that it is drawn into.

    ``sight_lines`` (jobs,) is that of the jobs; ``P``, ``planes`` and ``remote`` are the cameras' ``projections``,
    ``frustum_planes`` and ``remoteness``, ``lifts`` their ``lifts_of``.
    """

    jobs: Sequence[Job]
    columns: Sequence[Columns]
    sight_lines: Array
    cameras: Targets
    P: Array
    planes: Array
    remote: Array
    lifts: Array

    @classmethod
    def of(cls, jobs: Sequence[Job], cameras: Targets) -> _Scene:
        lines = np.array([job.sight_lines for job in jobs], dtype=np.bool_)
        views = projections(cameras), frustum_planes(cameras), remoteness(cameras), lifts_of(cameras)
        return cls(jobs, [columns_of(job.part) for job in jobs], lines, cameras, *views)


class _Grids(NamedTuple):
    """The grids of a ``Canvas`` as NumPy arrays."""

    latents: Array
    nearest: Array
    depth: Array
    token: Array
    imagined: Array
    offset: Array
    back: Array

    @classmethod
    def of(cls, canvas: Canvas) -> _Grids:
        return cls(*(getattr(canvas, name).numpy() for name in cls._fields))


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
    scene, grids = _Scene.of(jobs, cameras), _Grids.of(canvas)
    looks: dict[int, list[int]] = {}
    for k, job in enumerate(jobs):
        for camera in range(job.first, job.last):
            looks.setdefault(camera, []).append(k)

    def show(camera: int) -> None:
        _show(looks[camera], camera, _draw(looks[camera], camera, scene), scene, grids)

    tokens = sum(jobs[k].part.tokens for mine in looks.values() for k in mine)
    share(show, list(looks), tokens + len(looks) * cameras.height * cameras.width)


def rasterize(jobs: Sequence[Job], cameras: Targets) -> Hits:
    """All pairs of a token and a cell centre that its footprint covers, in front of the camera."""
    scene = _Scene.of(jobs, cameras)
    pieces = []
    for k, job in enumerate(jobs):
        for camera in range(job.first, job.last):
            count, *buffers = _draw([k], camera, scene)
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

    asked = [k for k in range(len(memories)) if rays.starts[k] < rays.starts[k + 1]]
    share(look, asked, found.size // _QUICKER)
    return torch.from_numpy(found)


def _draw(mine: Sequence[int], camera: int, scene: _Scene) -> _Drawn:
    """All hits of the jobs ``mine`` in one camera, in this thread's buffers until it draws again."""
    height, width = scene.cameras.height, scene.cameras.width
    count, first_cell, buffers = 0, camera * height * width, _BUFFERS
    for k in mine:
        part, job = scene.columns[k], scene.jobs[k]
        host, blocks = part.host, bounded(part)
        margin = float(rounding(job.part, scene.remote[camera]))
        while True:
            total = draw(
                host.sphere, part.plane, host.trim, host.key, host.imagined, host.lift, host.bounds, part.numbers,
                part.tokens, blocks, scene.P[camera], scene.planes[camera], margin, height, width,
                first_cell, k, job.base, count, buffers.whole, buffers.exact, buffers.single,
            )  # fmt: skip
            if total <= buffers.whole.shape[1]:
                break
            before = buffers.whole, buffers.exact, buffers.single
            buffers.grow(2 * total)
            for old, new in zip(before, (buffers.whole, buffers.exact, buffers.single), strict=True):
                new[:, :count] = old[:, :count]
        count = total
    return _Drawn(count, buffers.whole, buffers.exact, buffers.single)


def _settle(k: int, camera: int, drawn: _Drawn, scene: _Scene, grids: _Grids) -> None:
    """``_show`` for a camera that looks at the part of one job: all at once, so that threads seldom meet in Python."""
    part, (sights, starts) = scene.columns[k], sighted(scene.columns[k])
    cells = scene.cameras.height * scene.cameras.width
    settle(
        part.host.key, part.plane, part.host.imagined, part.host.latents, sights, starts, part.tokens, k,
        scene.sight_lines, scene.lifts[camera], scene.cameras.width, drawn.whole, drawn.exact, drawn.single,
        drawn.count, camera * cells, cells, grids.depth, grids.token, grids.imagined, grids.offset, grids.back,
        grids.latents, grids.nearest,
    )  # fmt: skip


def _show(mine: Sequence[int], camera: int, drawn: _Drawn, scene: _Scene, grids: _Grids) -> None:
    """Put what one camera's cells show of its hits into the canvas."""
    if len(mine) == 1 and scene.columns[mine[0]].host.latents is not None:
        _settle(mine[0], camera, drawn, scene, grids)
        return
    count, whole, exact, single = drawn
    width, cells = scene.cameras.width, scene.cameras.height * scene.cameras.width
    first_cell = camera * cells
    behind, wrong = np.empty(count, dtype=np.int64), _NONE
    if witnesses(whole, exact, single, count, first_cell, cells, scene.sight_lines, behind):
        wrong = np.zeros(count, dtype=np.bool_)
        for k in mine:
            part, (sights, starts) = scene.columns[k], sighted(scene.columns[k])
            veto(
                part.host.key, part.plane, part.host.imagined, sights, starts, k, scene.lifts[camera], width,
                whole, exact, count, first_cell, behind, wrong,
            )  # fmt: skip
    chosen = np.empty(cells, dtype=np.int64)
    found = decide(whole, exact, single, count, first_cell, cells, wrong, chosen, grids.back)
    cell, sources = np.empty(found, dtype=np.int64), np.empty((found, 4), dtype=np.int64)
    weights = np.empty((found, 4), dtype=np.float32)
    for k in mine:
        part, latents = scene.columns[k], scene.columns[k].host.latents
        n = blend(
            part.host.key, part.plane, part.host.imagined, part.tokens, k, whole, exact, chosen, found,
            grids.depth, grids.token, grids.imagined, grids.offset, cell, sources, weights,
        )  # fmt: skip
        rows = sources
        if latents is None:  # only what is shown is converted
            shown = torch.from_numpy(sources[:n].reshape(-1))
            latents = scene.jobs[k].part.segment.latents[shown].to(torch.float32).numpy()
            rows = np.arange(4 * n).reshape(n, 4)
        mix(latents, rows, weights, cell, n, grids.latents, grids.nearest)
