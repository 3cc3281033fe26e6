"""Which generated homes belong to which split. Scene n is the same home forever, so a split is a range of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SPLITS: dict[str, range] = {
    "train": range(1_000_000),
    "val": range(1_000_000, 1_001_000),
    "test": range(2_000_000, 2_001_000),
}
"""Disjoint ranges of seeds."""

TOY = "toy"
"""The scene whose every distance is known."""

Scene = int | str
"""A seed, 0 or above, or ``"toy"``."""


def resolve_scenes(spec: Any) -> Sequence[Scene]:
    """The scenes that ``spec`` names: a split, "toy", one seed, or a range or other sequence of seeds.

    A split or range comes back as a range, so that it costs nothing however long it is.

    Raises:
        ValueError: for an unknown split, a negative seed or no scene at all.
        TypeError: for anything else.
    """
    if isinstance(spec, str):
        if spec in SPLITS:
            return SPLITS[spec]
        return (check_scene(spec),)
    if isinstance(spec, range):
        if len(spec) == 0:
            raise ValueError(f"scenes must name at least one scene, got the empty {spec}")
        check_scene(min(spec[0], spec[-1]))
        return spec
    if isinstance(spec, Sequence | np.ndarray):
        if len(spec) == 0:
            raise ValueError(f"scenes must name at least one scene, got an empty {type(spec).__name__}")
        return tuple(check_scene(scene) for scene in spec)
    return (check_scene(spec),)


def check_scene(scene: Any) -> Scene:
    """The scene as a plain int or "toy"; raises ValueError or TypeError with what would be right."""
    if isinstance(scene, str):
        if scene != TOY:
            raise ValueError(f"unknown scenes {scene!r}; valid are {', '.join([*SPLITS, TOY])}, or seeds (0 or above)")
        return scene
    if isinstance(scene, int | np.integer) and not isinstance(scene, bool):
        if scene < 0:
            raise ValueError(f"a scene's seed must be 0 or above, got {scene}")
        return int(scene)
    raise TypeError(f"a scene of rooms must be a seed (0 or above) or {TOY!r}, got {scene!r}")
