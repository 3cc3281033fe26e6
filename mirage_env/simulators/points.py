"""Places and steps as Habitat counts them, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.navigation import COLLISION_SLACK


def float32_point(vector: Any) -> Array | None:
    """Three finite numbers as (3,) float32; None for others."""
    try:
        point = np.array(vector, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    return point if point.shape == (3,) and np.isfinite(point).all() else None


def checked_point(vector: Any, name: str) -> Array:
    """Three finite numbers as (3,) float32; ValueError for others."""
    point = float32_point(vector)
    if point is None:
        raise ValueError(f"{name} must be three finite numbers (x, y, z) in metres, got {vector!r}")
    return point


def stopped(start: Array, goal: Array, end: Array) -> tuple[Array, bool]:
    """Where an agent is (3,) that was asked from start to goal and got to end, float32 all, and whether it collided.

    Habitat moves the agent all the way and then back what was too much; rounding keeps up with it. It collided where
    ``moved**2 + 1e-5 < requested**2``, with moved counted in space.
    """
    end = goal + (end - goal)
    asked, moved = goal - start, end - start
    return end.astype(np.float64), float(moved @ moved) + COLLISION_SLACK < float(asked @ asked)
