"""Memories that bound what a memory is worth: one that forgets all, one that shows the last view from everywhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mirage_env.memory import LatentMemory, MemoryView
from mirage_env.memory import cameras as cams


class NoMemory:
    """Forgets whatever is written: every view is imagined from nothing.

    Args:
        channels: latent channels C.
    """

    nbytes = 0

    def __init__(self, channels: int) -> None:
        self.channels = channels

    def __len__(self) -> int:
        return 0

    def fork(self) -> NoMemory:
        """Itself, for there is nothing to share."""
        return self

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
        """Keeps nothing and returns 0."""
        return 0

    def read(self, poses: Any, intrinsics: Any, size: Any) -> MemoryView:
        """Views in which nothing is visible."""
        return LatentMemory(self.channels).read(poses, intrinsics, size)

    def looked_through(self, points: Any, margin: float = 0.05) -> Tensor:
        """Nothing."""
        return torch.zeros(len(points), dtype=torch.bool)


class LastView:
    """Shows the last view of a camera, whole and unmoved, from every pose: the frame of the step before, repeated.

    In a walk that is imagined from one image, every frame is that image, through the codec.

    Args:
        channels: latent channels C.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._latents, self._depth = torch.zeros(channels, 0, 0), torch.zeros(0, 0)

    def __len__(self) -> int:
        return self._depth.numel()

    @property
    def nbytes(self) -> int:
        """Bytes of the view."""
        return self._latents.nbytes + self._depth.nbytes

    def fork(self) -> LastView:
        """A memory of the same view."""
        other = LastView(self.channels)
        other._latents, other._depth = self._latents, self._depth
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
        refine: float | None = None,
        error: Any = None,
    ) -> int:
        """Keeps this view in place of the one before, unless any of it was imagined; the number of its cells."""
        if torch.as_tensor(imagined).any():
            return 0
        self._latents = torch.as_tensor(latents).to(torch.float32)
        self._depth = torch.as_tensor(depth).to(torch.float32)
        return len(self)

    def read(self, poses: Any, intrinsics: Any, size: Any) -> MemoryView:
        """The view from any pose; nothing if its grid was of another size."""
        targets = cams.targets(poses, intrinsics, size)
        count, shape = len(targets), (targets.height, targets.width)
        if tuple(self._depth.shape) != shape:
            return LatentMemory(self.channels).read(poses, intrinsics, size)
        token = torch.arange(len(self)).view(shape).expand(count, -1, -1)
        visible = (self._depth > 0).expand(count, -1, -1)
        return MemoryView(
            latents=torch.where(visible[:, None], self._latents, 0.0),
            depth=self._depth.expand(count, -1, -1).clone(),
            visible=visible.clone(),
            imagined=torch.zeros(count, *shape),
            token=torch.where(visible, token, -1),
        )

    def looked_through(self, points: Any, margin: float = 0.05) -> Tensor:
        """Nothing."""
        return torch.zeros(len(points), dtype=torch.bool)
