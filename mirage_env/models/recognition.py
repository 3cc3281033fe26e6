"""By what latents of one surface are known again from elsewhere: a part of a world model that is fitted, not trained.

Latents change with distance and angle. Along a few directions they change little for one surface, and much from one
surface to another: those of Fisher's linear discriminant analysis (1936). There, the distance between two latents says
how likely they are of one surface. ``mirage_env.training.recognition`` fits all of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mirage_env.files import atomic_write
from mirage_env.geometry import Array

FILE = "recognition.safetensors"
"""In a model's folder, where the model has one."""


class Recognition(NamedTuple):
    """What tells surfaces apart.

    Attributes:
        directions: (C, K) float32 from latents to what is compared.
        evidence: (N,) float32, the log-odds that two are of one surface, by how far they are apart.
        farthest: () float32, the distance at which ``evidence`` ends; what is farther counts like the last of them.
        trust: (4,) float32, log-odds that a place is the right one: a constant, and weights of what speaks for it; see
            ``mirage_env.tasks.goal_place``.
    """

    directions: Array
    evidence: Array
    farthest: Array
    trust: Array

    def features(self, latents: Array) -> Array:
        """What is compared (h·w, K) float32 of latents (C, h, w)."""
        return np.ascontiguousarray(latents.reshape(len(latents), -1).T.astype(np.float32) @ self.directions)


def load_recognition(folder: Path, channels: int) -> Recognition | None:
    """That of a model's folder for latents of so many channels; None where it has none.

    Raises:
        ValueError: its file is damaged, or of other latents.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        found = load_file(path)
        recognition = Recognition(**found)
    except (SafetensorError, TypeError) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    if any(array.dtype != np.float32 or not np.isfinite(array).all() for array in recognition):
        raise ValueError(f"{path} is damaged: it holds something else than finite float32 numbers")
    directions, evidence, farthest, trust = (array.shape for array in recognition)
    fits = len(directions) == 2 and directions[0] == channels and len(evidence) == 1 and evidence[0] > 0
    if not fits or farthest != () or trust != (4,) or recognition.farthest <= 0:
        raise ValueError(f"{path} does not fit latents of {channels} channels")
    return recognition


def save_recognition(recognition: Recognition, folder: Path) -> None:
    """Write it into a model's folder, whole or not at all."""
    with atomic_write(folder / FILE) as temporary:
        save_file({name: np.array(array, order="C") for name, array in recognition._asdict().items()}, temporary)
