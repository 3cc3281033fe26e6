"""The persistent latent 3-D memory: latents placed in the world by depth, read from any camera, forked for free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory import cameras as cams
from mirage_env.memory import store
from mirage_env.memory.cameras import Targets
from mirage_env.memory.patches import Surfels, surfels_of
from mirage_env.memory.raster import explained_cells, read_footprints
from mirage_env.memory.sightlines import looked_through
from mirage_env.memory.splat import read_splats
from mirage_env.memory.surfel import tokens_from_view
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
    """

    def __init__(
        self, channels: int = 16, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> None:
        if isinstance(channels, bool) or not isinstance(channels, (int, np.integer)) or channels < 1:
            raise ValueError(f"channels must be a whole number of at least 1, got {channels!r}")
        if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise ValueError(f"dtype must be a floating torch type such as torch.float32, got {dtype!r}")
        self.channels = int(channels)
        self.dtype = dtype
        self.device = torch.device(device)
        self._parts: store.Parts = ()

    def __len__(self) -> int:
        return sum(part.tokens for part in self._parts)

    def __repr__(self) -> str:
        return f"LatentMemory(channels={self.channels}, tokens={len(self)}, nbytes={self.nbytes})"

    @property
    def nbytes(self) -> int:
        """Bytes of the tokens and views that this memory sees; forks share them."""
        return sum(column.nbytes for part in self._parts for column in part.columns)

    @property
    def positions(self) -> Tensor:
        """World positions (N, 3) float32 in metres, in order of writing."""
        columns = [part.columns.sphere[:3].T for part in self._parts]
        return torch.cat(columns) if columns else torch.zeros(0, 3, device=self.device)

    def surfels(self, start: int = 0) -> Surfels:
        """The pieces of surface that the tokens from number ``start`` on stand for, in order of writing."""
        return surfels_of(self._parts, start, self.device)

    def fork(self) -> LatentMemory:
        """A memory with the same tokens, in constant time and memory; neither sees what is written to the other."""
        other = LatentMemory(self.channels, self.dtype, self.device)
        other._parts = self._parts
        return other

    def write(
        self,
        latents: Any,
        depth: Any,
        intrinsics: Any,
        pose: Any,
        keep: Any = None,
        merge: bool = True,
        *,
        imagined: Any = 0.0,
        explained: Any = None,
        tolerance: float = EXPLAINED,
        refine: float | None = None,
    ) -> int:
        """Add the tokens of one view.

        Args:
            latents: (C, h, w), numpy or torch.
            depth: (h, w) z-depth in metres at the cell centres; cells with 0 have no measurement and are never written.
            intrinsics: (3, 3) of the latent grid.
            pose: (4, 4) ``T_world_camera``.
            keep: (h, w) bool, cells that may be written (e.g. neither sky nor moving); None: all.
            merge: skip cells that the memory already explains at this depth, except for a border of one cell around the
                new ones, which lets reads interpolate there. False appends every kept cell.
            imagined: one number or (h, w), from 0 (a camera saw it) to 1 (it was imagined); reads give it back.
            explained: (h, w) bool, the explained cells where the caller already knows them; None: look them up.
            tolerance: fraction of depth within which a cell is explained.
            refine: a cell is not explained by tokens that this view samples more than ``refine`` times as finely, by
                area, so that coming closer adds detail; None: never add detail.

        Returns:
            Number of tokens added.

        Raises:
            ValueError: shapes disagree; NaN, infinite or negative numbers; the pose is not rigid. Nothing is written
                then.
        """
        values = _tensor(latents, "latents", self.device)
        z = _tensor(depth, "depth", self.device).to(torch.float64)
        _check_grids(values, z, self.channels)
        K = cams.check_intrinsics(intrinsics)
        T = geometry.check_pose(cams.to_numpy(pose, "pose"))
        if K.shape != (3, 3) or T.shape != (4, 4):
            raise ValueError(f"write takes one view: intrinsics (3, 3) and pose (4, 4), got {K.shape} and {T.shape}")
        made_up = _fractions(imagined, z)
        fresh = z > 0
        if keep is not None:
            fresh = fresh & _mask(keep, "keep", z)
        known = None if explained is None else _mask(explained, "explained", z)
        if merge and self._parts:
            known = self._explained(z, K, T, tolerance, refine) if known is None else known
            new = fresh & ~known
            fresh = fresh & (F.max_pool2d(new[None].to(torch.float32), 3, stride=1, padding=1)[0] > 0)
        count = int(fresh.sum())
        if count:
            tokens = tokens_from_view(values, z, made_up, K, T, fresh, self.dtype)
            if not bool(torch.isfinite(tokens.sphere).all()):
                raise ValueError("depth and pose place tokens too far away for float32 positions")
            self._parts = store.append(self._parts, tokens)
        return count

    def read(self, poses: Any, intrinsics: Any, size: Any, footprint: bool = True) -> MemoryView:
        """What cameras see of the memory.

        Args:
            poses: (T, 4, 4) or (4, 4) ``T_world_camera``.
            intrinsics: (T, 3, 3) or (3, 3) of the latent grid that is read.
            size: (h, w) cells of that grid.
            footprint: True draws each token as the piece of surface that it saw and interpolates between neighbours;
                False puts it into the one cell that contains its projection, nearest z first, ties to the newest.

        Returns:
            Grids with a leading T, also for a single pose.
        """
        targets = cams.targets(poses, intrinsics, size)
        return _read(self._jobs(0, len(targets)), targets, self.channels, self.device, footprint)

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
        """All tokens in one piece."""
        if self._parts:
            return store.gathered([part.columns for part in self._parts]).columns
        return store.Tokens(
            sphere=torch.zeros(4, 0),
            plane=torch.zeros(3, 0),
            trim=torch.zeros(0, dtype=torch.uint8),
            key=torch.zeros(0, dtype=torch.int64),
            latents=torch.zeros(0, self.channels, dtype=self.dtype),
            imagined=torch.zeros(0),
            lift=torch.zeros(0, 12, dtype=torch.float64),
        )

    def _jobs(self, first: int, last: int) -> list[Job]:
        jobs, base = [], 0
        for part in self._parts:
            jobs.append(Job(part, base, first, last))
            base += part.tokens
        return jobs

    def _explained(self, depth: Tensor, K: Array, T: Array, tolerance: float, refine: float | None) -> Tensor:
        targets = Targets(geometry.invert(T)[None], K[None], *depth.shape)
        return explained_cells(self._jobs(0, 1), targets, depth, tolerance, math.inf if refine is None else refine)


def read_many(
    memories: Sequence[LatentMemory], poses: Any, intrinsics: Any, size: Any, footprint: bool = True
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
    jobs = [job for k, memory in enumerate(memories) for job in memory._jobs(k, k + 1)]
    channels, device = (memories[0].channels, memories[0].device) if memories else (1, torch.device("cpu"))
    return _read(jobs, targets, channels, device, footprint)


def _read(jobs: list[Job], targets: Targets, channels: int, device: torch.device, footprint: bool) -> MemoryView:
    canvas = Canvas(len(targets), targets.height, targets.width, channels, device)
    fill = read_footprints if footprint else read_splats
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


def _fractions(value: Any, depth: Tensor) -> Tensor:
    values = _tensor(value, "imagined", depth.device).to(torch.float32)
    if values.shape not in ((), depth.shape) or not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError(f"imagined must be a number or a grid {tuple(depth.shape)}, from 0 (seen) to 1 (imagined)")
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
