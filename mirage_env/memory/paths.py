"""Which code reads and writes memories: compiled loops where they can run, torch elsewhere. Both give the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from mirage_env import kernels
from mirage_env.geometry import Array
from mirage_env.memory import raster, sightlines, surfel, writable
from mirage_env.memory.cameras import Targets
from mirage_env.memory.raster import Hits
from mirage_env.memory.sightlines import Rays
from mirage_env.memory.store import Part, Tokens
from mirage_env.memory.view import Canvas, Job
from mirage_env.team import leading

ReadPath = Literal["fastest", "torch"]

_choice = kernels.Choice[ReadPath]("a memory is read", "torch")
reading_by = _choice.by


def compiled(device: torch.device, name: str = "read") -> ModuleType | None:
    """The module of ``memory.compiled`` with this name, for memories on ``device``; None where torch does its work."""
    if not _choice.fastest or device.type != "cpu":
        return None
    return kernels.load(f"mirage_env.memory.compiled.{name}")


def threads(device: torch.device) -> AbstractContextManager[None]:
    """Who has the processor while memories on a device are read and written: the team, if it is compiled, or torch."""
    return leading() if compiled(device) is not None else nullcontext()


def read_footprints(jobs: Sequence[Job], cameras: Targets, canvas: Canvas) -> None:
    """``raster.read_footprints``."""
    (compiled(canvas.depth.device) or raster).read_footprints(jobs, cameras, canvas)


def rasterize(jobs: Sequence[Job], cameras: Targets) -> Hits:
    """``raster.rasterize``."""
    return (compiled(jobs[0].part.segment.key.device) or raster).rasterize(jobs, cameras)


def looked_through(parts: Sequence[Part], points: Tensor, margin: float) -> Tensor:
    """``sightlines.looked_through``."""
    return (compiled(points.device) or sightlines).looked_through(parts, points, margin)


def looked_through_along(memories: Sequence[Sequence[Part]], rays: Rays, margin: float) -> Tensor:
    """``sightlines.looked_through_along``."""
    return (compiled(rays.depth.device) or sightlines).looked_through_along(memories, rays, margin)


def inverse_depth_slopes(depth: Tensor) -> tuple[Tensor, Tensor]:
    """``surfel.inverse_depth_slopes``."""
    return (compiled(depth.device, "lift") or surfel).inverse_depth_slopes(depth)


def flying_cells(depth: Tensor) -> Tensor:
    """``writable.flying_cells``."""
    return (compiled(depth.device, "lift") or writable).flying_cells(depth)


def tokens_from_view(
    latents: Tensor,
    depth: Tensor,
    imagined: Tensor,
    intrinsics: Array,
    T_world_camera: Array,
    write: Tensor,
    dtype: torch.dtype,
) -> Tokens:
    """``surfel.tokens_from_view``."""
    path = compiled(depth.device, "lift") or surfel
    return path.tokens_from_view(latents, depth, imagined, intrinsics, T_world_camera, write, dtype)
