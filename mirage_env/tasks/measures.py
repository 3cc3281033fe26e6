"""The measures of navigation, as the field defines them. Lengths are metres along the floor.

    S        1 if stop was called within ``SUCCESS_DISTANCE`` of the goal, else 0
    SPL      S · l / max(l, p)
    SoftSPL  max(0, 1 − d_T / l) · l / max(l, p)

with l the shortest path from start to goal, p the path that was walked and d_T the distance left at the end (Anderson
et al. 2018; Datta et al. 2020).
"""

from __future__ import annotations

import math

SUCCESS_DISTANCE = 0.2
"""Metres."""


def success(stopped: bool, distance: float, threshold: float = SUCCESS_DISTANCE) -> bool:
    """Whether the agent called stop with the goal nearer than ``threshold`` metres."""
    return bool(stopped and distance < threshold)


def spl(succeeded: bool, shortest: float, path_length: float) -> float:
    """Success weighted by path length, in [0, 1].

    Raises:
        ValueError: unless ``shortest`` is positive and finite and ``path_length`` finite and not negative.
    """
    return float(succeeded) * efficiency(shortest, path_length)


def soft_spl(distance: float, shortest: float, path_length: float) -> float:
    """SPL with progress in place of success, in [0, 1]; 0 for an infinite ``distance``. Raises like ``spl``."""
    return max(0.0, 1.0 - distance / shortest) * efficiency(shortest, path_length)


def efficiency(shortest: float, path_length: float) -> float:
    """l / max(l, p), in (0, 1]. Raises like ``spl``."""
    if not (math.isfinite(shortest) and shortest > 0):
        raise ValueError(f"the shortest path of an episode must be positive and finite, got {shortest} m")
    if not (math.isfinite(path_length) and path_length >= 0):
        raise ValueError(f"the length of a path must be finite and not negative, got {path_length} m")
    return shortest / max(shortest, path_length)
