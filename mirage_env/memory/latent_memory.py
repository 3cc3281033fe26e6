"""The persistent latent 3-D memory: latents placed in the world by depth, read from any camera, forked for free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.memory import cameras as cams
from mirage_env.memory import store
from mirage_env.memory.budget import evicted
from mirage_env.memory.cameras import Targets
from mirage_env.memory.patches import Surfels, surfels_of
from mirage_env.memory.paths import looked_through, looked_through_along, read_footprints, tokens_from_view
from mirage_env.memory.revision import View, jobs_of, revise
from mirage_env.memory.rules import MemoryRules
from mirage_env.memory.sightlines import Rays
from mirage_env.memory.splat import read_splats
from mirage_env.memory.view import Canvas, Job, MemoryView

EXPLAINED = 0.05
"""A cell whose depth agrees with the memory's to this fraction adds nothing."""
MIN_DEPTH = 1e-6
_CHUNK = 2_000_000
"""Pairs of a token and a camera that one pass looks at: bounds the memory that a read of many poses needs."""


class LatentMemory:
    """Latent tokens in the world frame.

    Args:
        channels: latent channels C.
        dtype: floating type in which latents are stored; reads give float32.
        device: where tokens live and reads run.
        rules: what ``write`` and ``read`` do where their arguments do not say; forks and files carry them.
    """

    def __init__(
        self,
        channels: int = 16,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        rules: MemoryRules | None = None,
    ) -> None:
        if isinstance(channels, bool) or not isinstance(channels, (int, np.integer)) or channels < 1:
            raise ValueError(f"channels must be a whole number of at least 1, got {channels!r}")
        if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise ValueError(f"dtype must be a floating torch type such as torch.float32, got {dtype!r}")
        self.channels = int(channels)
        self.dtype = dtype
        self.device = torch.device(device)
        self.rules = MemoryRules() if rules is None else rules
        self.removed = 0
        """Tokens that this memory has replaced, removed or evicted so far. While it stays the same, the tokens keep
        their numbers and new ones come after them."""
        self._parts: store.Parts = ()

    def __len__(self) -> int:
        return sum(part.count for part in self._parts)

    def __repr__(self) -> str:
        return f"LatentMemory(channels={self.channels}, tokens={len(self)}, nbytes={self.nbytes})"

    @property
    def nbytes(self) -> int:
        """Bytes of the tokens and views that this memory sees; forks share them."""
        return sum(part.nbytes for part in self._parts)

    @property
    def buffers(self) -> list[Tensor]:
        """What is held for this memory, with room to grow; forks share most of it, and name the same tensors."""
        return store.buffers(self._parts)

    @property
    def positions(self) -> Tensor:
        """World positions (N, 3) float32 in metres, in order of writing."""
        columns = [part.kept.sphere[:3].T for part in self._parts]
        return torch.cat(columns) if columns else torch.zeros(0, 3, device=self.device)

    def surfels(self, start: int = 0) -> Surfels:
        """The pieces of surface that the tokens from number ``start`` on stand for, in order of writing."""
        return surfels_of(self._parts, start, self.device)

    def fork(self) -> LatentMemory:
        """A memory with the same tokens, in constant time and memory; neither sees what the other writes or removes."""
        other = LatentMemory(self.channels, self.dtype, self.device, self.rules)
        other._parts, other.removed = self._parts, self.removed
        return other

    def write(
        self,
        latents: Any,
        depth: Any,
        intrinsics: Any,
        pose: Any,
        keep: Any = None,
        merge: bool | None = None,
        *,
        imagined: Any = 0.0,
        explained: Any = None,
        tolerance: float = EXPLAINED,
        refine: float | None = None,
        contradiction: bool | None = None,
        edges: bool | None = None,
        error: Any = None,
        max_depth: float | None = None,
        max_error: float | None = None,
    ) -> int:
        """Add the tokens of one view, and drop those that it refutes or replaces.

        Only what a camera saw (``imagined`` 0) removes or replaces anything. ``docs/memory.md`` tells the rules in
        full. None for ``merge``, ``refine``, ``contradiction``, ``edges``, ``max_depth`` or ``max_error``: as the
        memory's ``rules`` say.

        Args:
            latents: (C, h, w), numpy or torch.
            depth: (h, w) z-depth in metres at the cell centres; cells with 0 have no measurement and are never written.
            intrinsics: (3, 3) of the latent grid.
            pose: (4, 4) ``T_world_camera``.
            keep: (h, w) bool, cells that may be written and may refute (e.g. neither sky nor moving); None: all.
            merge: skip cells that the memory already explains at this depth, except for a border of one cell around new
                blocks of 2 by 2 and more, which lets reads interpolate there. False appends every kept cell, and turns
                off all that is not asked for in this very call: nothing is then left out, replaced or removed but for
                ``max_tokens``.
            imagined: one number or (h, w), from 0 (a camera saw it) to 1 (it was imagined); reads give it back.
            explained: (h, w) bool, the explained cells where the caller already knows them; None: look them up. What is
                in more doubt than the cell does not explain it.
            tolerance: fraction of depth within which a cell is explained.
            refine: a cell is not explained by tokens that this view samples more than ``refine`` times as finely, by
                area; such tokens are replaced. ``inf``: never.
            contradiction: remove the tokens that this view looks straight through.
            edges: leave out flying cells, see ``writable.flying_cells``.
            error: expected relative error of the depth, one fraction or (h, w); None: 0.
            max_depth: metres beyond which nothing is written; ``inf``: no bound.
            max_error: largest ``error`` of a cell that is written; ``inf``: no bound.

        Returns:
            Number of tokens added.

        Raises:
            ValueError: shapes disagree; NaN, infinite or negative numbers; the pose is not rigid; the view has more
                cells than the memory may hold tokens. Nothing is written or removed then.
        """
        values = _tensor(latents, "latents", self.device)
        z = _tensor(depth, "depth", self.device).to(torch.float64)
        _check_grids(values, z, self.channels)
        K = cams.check_intrinsics(intrinsics)
        T = geometry.check_pose(cams.to_numpy(pose, "pose"))
        if K.shape != (3, 3) or T.shape != (4, 4):
            raise ValueError(f"write takes one view: intrinsics (3, 3) and pose (4, 4), got {K.shape} and {T.shape}")
        made_up = _grid(imagined, "imagined", z, 1.0, "from 0 (seen) to 1 (imagined)")
        off = _grid(0.0 if error is None else error, "error", z, math.inf, "of fractions of depth, 0 or more")
        kept = z > 0 if keep is None else (z > 0) & _mask(keep, "keep", z)
        known = None if explained is None else _mask(explained, "explained", z)
        rules = self.rules.overridden(merge, refine, contradiction, edges, max_depth, max_error)
        if rules.max_tokens is not None and z.numel() > rules.max_tokens:
            raise ValueError(
                f"max_tokens must allow at least one view, but {rules.max_tokens} is less than the {z.numel()} cells "
                f"of a view of {tuple(z.shape)}"
            )
        camera = Targets(geometry.invert(T)[None], K[None], *z.shape)
        parts, fresh = revise(self._parts, View(camera, z, kept, made_up, off, known), rules, tolerance)
        count = int(fresh.sum())
        if count:
            tokens = tokens_from_view(values, z, made_up, K, T, fresh, self.dtype)
            if not bool(torch.isfinite(tokens.sphere).all()):
                raise ValueError("depth and pose place tokens too far away for float32 positions")
            parts = store.append(parts, tokens)
        if rules.max_tokens is not None:
            parts = store.without(parts, evicted(parts, rules.max_tokens, count))
        before, self._parts = len(self), parts
        self.removed += before + count - len(self)
        return count

    def read(self, poses: Any, intrinsics: Any, size: Any, footprint: bool | None = None) -> MemoryView:
        """What cameras see of the memory.

        Args:
            poses: (T, 4, 4) or (4, 4) ``T_world_camera``.
            intrinsics: (T, 3, 3) or (3, 3) of the latent grid that is read.
            size: (h, w) cells of that grid.
            footprint: True draws each token as the piece of surface that it saw and interpolates between neighbours;
                False puts it into the one cell that contains its projection, nearest z first, ties to the newest; None:
                as the memory's ``rules`` say.

        Returns:
            Grids with a leading T, also for a single pose.
        """
        targets = cams.targets(poses, intrinsics, size)
        return _read([self], [(0, len(targets))], targets, footprint)

    def looked_through(self, points: Any, margin: float = 0.05) -> Tensor:
        """Which of the world points (N, 3) a camera saw to be empty, (N,) bool.

        They lie in front of a surface that it saw there, by more than the fraction ``margin`` in inverse depth. What
        was imagined proves nothing.
        """
        return looked_through(self._parts, _tensor(points, "points", self.device), margin)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; the name appears only when it is complete."""
        from mirage_env.memory.io import save_memory

        save_memory(self, path)

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> LatentMemory:
        """Read what ``save`` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is truncated, is not a latent memory, or was written by a newer format.
        """
        from mirage_env.memory.io import load_memory

        return load_memory(path, device)

    def _columns(self) -> store.Tokens:
        """All living tokens in one piece."""
        if self._parts:
            return store.gathered([part.kept for part in self._parts]).columns
        return store.Tokens(
            sphere=torch.zeros(4, 0),
            plane=torch.zeros(3, 0),
            trim=torch.zeros(0, dtype=torch.uint8),
            key=torch.zeros(0, dtype=torch.int64),
            latents=torch.zeros(0, self.channels, dtype=self.dtype),
            imagined=torch.zeros(0),
            lift=torch.zeros(0, 12, dtype=torch.float64),
        )


def read_many(
    memories: Sequence[LatentMemory], poses: Any, intrinsics: Any, size: Any, footprint: bool | None = None
) -> MemoryView:
    """One camera per memory, in one pass: the same bits as reading each alone, at the cost of the sum of their sizes.

    Args:
        memories: B memories with equal channels.
        poses: (B, 4, 4).
        intrinsics: (B, 3, 3) or (3, 3).
        size: (h, w).
        footprint: as in ``LatentMemory.read``.
    """
    targets = cams.targets(poses, intrinsics, size)
    if len(memories) != len(targets):
        raise ValueError(f"read_many needs one pose per memory, got {len(memories)} memories and {len(targets)} poses")
    if len({(memory.channels, memory.device) for memory in memories}) > 1:
        raise ValueError("read_many needs memories with equal channels on one device")
    return _read(memories, [(k, k + 1) for k in range(len(memories))], targets, footprint)


def look_along(memories: Sequence[LatentMemory], rays: Rays, margin: float = 0.05) -> Tensor:
    """``LatentMemory.looked_through`` at the places (n, m) on the rays of one camera per memory, in one pass.

    The memories lie on one device.
    """
    here = rays._replace(pixels=rays.pixels.to(memories[0].device), depth=rays.depth.to(memories[0].device))
    return looked_through_along([memory._parts for memory in memories], here, margin).to(rays.depth.device)


def _read(
    memories: Sequence[LatentMemory], runs: Sequence[tuple[int, int]], targets: Targets, footprint: bool | None
) -> MemoryView:
    """What each memory shows to its own run of cameras."""
    channels, device = (memories[0].channels, memories[0].device) if memories else (1, torch.device("cpu"))
    canvas = Canvas(len(targets), targets.height, targets.width, channels, device)
    for drawn, fill in ((True, read_footprints), (False, read_splats)):
        jobs: list[Job] = []
        for memory, run in zip(memories, runs, strict=True):
            if (memory.rules.footprint if footprint is None else footprint) == drawn:
                jobs += jobs_of(memory._parts, *run, memory.rules.sight_lines)
        for chunk in _chunks(jobs, len(targets)):
            fill(chunk, targets, canvas)
    return canvas.view()


def _chunks(jobs: list[Job], cameras: int) -> list[list[Job]]:
    """Jobs grouped into runs of cameras; all jobs of one camera are in the same chunk."""
    load = [0] * cameras
    for job in jobs:
        for camera in range(job.first, job.last):
            load[camera] += job.part.tokens
    chunks, first = [], 0
    while first < cameras:
        last, total = first + 1, load[first]
        while last < cameras and total + load[last] <= _CHUNK:
            total += load[last]
            last += 1
        clipped = [job._replace(first=max(job.first, first), last=min(job.last, last)) for job in jobs]
        chunk = [job for job in clipped if job.first < job.last]
        if chunk:
            chunks.append(chunk)
        first = last
    return chunks


def _tensor(value: Any, name: str, device: torch.device) -> Tensor:
    if isinstance(value, Tensor):
        tensor = value.detach()
    else:
        try:
            tensor = torch.from_numpy(np.array(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be an array of numbers, got {type(value).__name__}") from error
    if tensor.is_complex():
        raise ValueError(f"{name} must be an array of real numbers, got {tensor.dtype}")
    return tensor.to(device)


def _mask(value: Any, name: str, depth: Tensor) -> Tensor:
    mask = _tensor(value, name, depth.device)
    if mask.dtype != torch.bool or mask.shape != depth.shape:
        raise ValueError(
            f"{name} must be a bool grid of shape {tuple(depth.shape)}, got {mask.dtype} {tuple(mask.shape)}"
        )
    return mask


def _grid(value: Any, name: str, depth: Tensor, most: float, wanted: str) -> Tensor:
    values = _tensor(value, name, depth.device).to(torch.float32)
    if values.shape not in ((), depth.shape) or not bool(((values >= 0) & (values <= most)).all()):
        raise ValueError(f"{name} must be a number or a grid {tuple(depth.shape)}, {wanted}")
    return values.expand(depth.shape)


def _check_grids(latents: Tensor, depth: Tensor, channels: int) -> None:
    if latents.ndim != 3 or latents.shape[0] != channels:
        raise ValueError(
            f"latents must have shape (C, h, w) with C = {channels} as this memory, got {tuple(latents.shape)}"
        )
    if depth.shape != latents.shape[1:]:
        raise ValueError(
            f"depth must have the latents' shape {tuple(latents.shape[1:])} (h, w), got {tuple(depth.shape)}"
        )
    if not (1 <= depth.shape[0] <= store.MAX_GRID and 1 <= depth.shape[1] <= store.MAX_GRID):
        raise ValueError(f"a view has from 1x1 to {store.MAX_GRID}x{store.MAX_GRID} cells, got {tuple(depth.shape)}")
    for name, values in (("latents", latents), ("depth", depth)):
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"{name} holds NaN or infinite numbers; mark cells without a measurement by depth 0")
    if bool(((depth < MIN_DEPTH) & (depth != 0)).any()):
        raise ValueError("depth must be positive metres (at least 1e-6), or 0 where there is no measurement")
