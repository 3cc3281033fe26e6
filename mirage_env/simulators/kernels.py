"""Which code navigates: compiled loops where they can run, NumPy and SciPy everywhere else. Both give the same bits."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Literal, NamedTuple

NavigationPath = Literal["fastest", "scipy"]

FARTHEST = 2.0**40
"""Cells from the origin up to which loops count in int64 and sums of lengths keep their whole parts."""

_chosen: NavigationPath = "fastest"


class Kernels(NamedTuple):
    """The modules of ``simulators.compiled``."""

    clearance: ModuleType
    samples: ModuleType
    ways: ModuleType


@contextmanager
def navigating_by(path: NavigationPath) -> Iterator[None]:
    """Navigate by this path in the meantime, in all threads: "fastest" (as always) or "scipy"."""
    global _chosen
    if path not in ("fastest", "scipy"):
        raise ValueError(f"worlds are navigated by the path 'fastest' or 'scipy', got {path!r}")
    before, _chosen = _chosen, path
    try:
        yield
    finally:
        _chosen = before


def compiled(*cells: float) -> Kernels | None:
    """The compiled loops; None where NumPy and SciPy do the work, as they do for places out of reach (or NaN)."""
    if _chosen != "fastest" or not all(-FARTHEST < cell < FARTHEST for cell in cells):
        return None
    return _kernels()


@cache
def _kernels() -> Kernels | None:
    try:
        importlib.import_module("numba")
    except ImportError:  # not installed, or not made for this Python or NumPy
        return None
    from mirage_env.simulators.compiled import clearance, samples, ways

    return Kernels(clearance, samples, ways)
