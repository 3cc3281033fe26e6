"""What the world loop asks of a memory, so that another one can take the place of ``LatentMemory``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor

from mirage_env.memory import cameras as cams
from mirage_env.memory import latent_memory, paths
from mirage_env.memory.latent_memory import LatentMemory
from mirage_env.memory.sightlines import Rays, along
from mirage_env.memory.view import MemoryView


class SpatialMemory(Protocol):
    """Views written with their depth, and read from any camera. ``LatentMemory`` says what each argument means.

    A memory that would rather keep a camera's picture than its latents is an ``ImageMemory``.
    """

    channels: int
    """Of the latents that are written and read."""

    def __len__(self) -> int:
        """Number of tokens, points or whatever else it keeps."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of what this memory sees; forks may share them."""
        ...

    def fork(self) -> SpatialMemory:
        """A memory with the same content, at next to no cost; neither sees what is written to the other."""
        ...

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
        refine: float | None = None,
        error: Any = None,
    ) -> int:
        """Add one view (C, h, w) with depth (h, w) in metres; the number of entries added."""
        ...

    def read(self, poses: Any, intrinsics: Any, size: Any) -> MemoryView:
        """What cameras (T, 4, 4) or (4, 4) see of it on a grid (h, w); a leading T, also for a single pose."""
        ...

    def looked_through(self, points: Any, margin: float = 0.05) -> Tensor:
        """Which world points (N, 3) lie in space that a camera saw to be empty, (N,) bool."""
        ...


class ImageMemory(SpatialMemory, Protocol):
    """A memory that takes the camera's own picture, where there is one, along with its latents.

    ``write`` is called with ``image`` and ``image_depth`` only for views of a camera, never for imagined ones.
    """

    wants_images: bool
    """True. Memories without this attribute take no pictures."""

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
        refine: float | None = None,
        error: Any = None,
        image: Any = None,
        image_depth: Any = None,
    ) -> int:
        """As in ``SpatialMemory``.

        Args:
            image: (H, W, 3) uint8, the picture that the latents encode, H and W the grid's sides times the stride.
            image_depth: (H, W) z-depth in metres where it was measured per pixel, 0 = unknown.
        """
        ...


def takes_images(memory: SpatialMemory) -> TypeGuard[ImageMemory]:
    """Whether ``write`` takes ``image`` and ``image_depth``."""
    return bool(getattr(memory, "wants_images", False))


def threads(memories: Sequence[SpatialMemory]) -> AbstractContextManager[None]:
    """Who has the processor while they are read and written: the team, where their loops are compiled, or torch."""
    latent = [memory for memory in memories if type(memory) is LatentMemory]
    return paths.threads(latent[0].device) if len(latent) == len(memories) else nullcontext()


def read_many(
    memories: Sequence[SpatialMemory], poses: Any, intrinsics: Any, size: Any, footprint: bool | None = None
) -> MemoryView:
    """One camera per memory, of any mixture of memories: the same bits as reading each alone.

    Latent memories alone are read in one pass, at the cost of the sum of their sizes.

    Args:
        memories: B memories with equal channels.
        poses: (B, 4, 4).
        intrinsics: (B, 3, 3) or (3, 3).
        size: (h, w).
        footprint: as in ``LatentMemory.read``; None: as each memory reads by itself.
    """
    latent = [memory for memory in memories if type(memory) is LatentMemory]
    options: dict[str, Any] = {} if footprint is None else {"footprint": footprint}
    if len(latent) == len(memories):
        return latent_memory.read_many(latent, poses, intrinsics, size, **options)
    if footprint is not None:
        raise ValueError("footprint is a choice that only latent memories have; leave it out for other memories")
    targets = cams.targets(poses, intrinsics, size)
    if len(memories) != len(targets):
        raise ValueError(f"read_many needs one pose per memory, got {len(memories)} memories and {len(targets)} poses")
    if len({memory.channels for memory in memories}) > 1:
        raise ValueError("read_many needs memories with equal channels")
    T = cams.to_numpy(poses, "poses").reshape(-1, 4, 4)
    views = [memory.read(T[k], targets.intrinsics[k], size) for k, memory in enumerate(memories)]
    return stack_views(views)


def look_along(memories: Sequence[SpatialMemory], rays: Rays) -> Tensor:
    """What ``looked_through`` says of the places on the rays of one camera per memory, (n, m) bool.

    For any mixture of memories; latent memories alone are asked in one pass.
    """
    latent = [memory for memory in memories if type(memory) is LatentMemory]
    if len(latent) == len(memories) and len({memory.device for memory in latent}) == 1:
        return latent_memory.look_along(latent, rays)
    return along(rays, lambda camera, points: memories[camera].looked_through(points))


def replaced_views(views: MemoryView, at: Tensor, new: MemoryView) -> MemoryView:
    """``views`` of some cameras with those at the indices ``at`` (N,) replaced by ``new`` of N cameras."""
    new = _whole(new) if views.nearest is not None else new
    grids = {}
    for field in dataclasses.fields(MemoryView):
        old, fresh = getattr(views, field.name), getattr(new, field.name)
        grids[field.name] = None if old is None else old.index_copy(0, at, fresh)
    return MemoryView(**grids)


def stack_views(views: Sequence[MemoryView]) -> MemoryView:
    """Views of some cameras, one after another.

    Where some have what only latent memories tell, latents of the others are their own nearest, without an offset, and
    they saw no backs.
    """
    whole = [_whole(view) for view in views] if any(view.nearest is not None for view in views) else views
    names = [field.name for field in dataclasses.fields(MemoryView)]
    columns = {name: [getattr(view, name) for view in whole] for name in names}
    stacked: dict[str, Any] = {name: torch.cat(x) for name, x in columns.items() if x[0] is not None}
    return MemoryView(**stacked)


def _whole(view: MemoryView) -> MemoryView:
    if view.nearest is not None:
        return view
    offset = view.latents.new_zeros(view.latents.shape[0], 2, *view.latents.shape[2:])
    return dataclasses.replace(view, nearest=view.latents, offset=offset, back=torch.zeros_like(view.depth))
