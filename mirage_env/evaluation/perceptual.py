"""LPIPS (Zhang et al. 2018), where a package and its weights are on this machine. Nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mirage_env.geometry import Array

WEIGHTS = "alexnet-owt-7be5be79.pth"
"""The backbone's file in torch's hub folder, as torchvision names it."""


def why_not() -> str:
    """Why LPIPS is left out, in one sentence; "" where it can be measured."""
    if not any(find_spec(name) for name in ("lpips", "torchmetrics")) or not find_spec("torchvision"):
        return "LPIPS is left out: it needs torchvision and one of the packages lpips and torchmetrics"
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    return "" if path.is_file() else f"LPIPS is left out: the weights of its backbone are not at {path}"


@cache
def lpips() -> Callable[[Array, Array], Array] | None:
    """The distance (N,) of images (N, H, W, 3) uint8 from references, 0 for equal ones; None where ``why_not`` says."""
    if why_not():
        return None
    import torch

    network: Any
    if find_spec("lpips"):
        from lpips import LPIPS  # type: ignore[import-not-found]

        network = LPIPS(net="alex", verbose=False)
    else:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity  # type: ignore[import-not-found]

        network = LearnedPerceptualImagePatchSimilarity(net_type="alex").net

    from mirage_env.frame import from_uint8

    @torch.no_grad()
    def distance(images: Array, references: Array) -> Array:
        pairs = zip(images, references, strict=True)
        values = [network(from_uint8(a[None]), from_uint8(b[None])).item() for a, b in pairs]
        return np.array(values, dtype=np.float64)

    return distance
