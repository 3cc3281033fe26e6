"""Which code navigates: compiled loops where they can run, NumPy and SciPy everywhere else. Both give the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Literal, NamedTuple

from mirage_env import kernels

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


def _kernels() -> Kernels | None:
    modules = [kernels.load(f"mirage_env.simulators.compiled.{name}") for name in Kernels._fields]
    return None if None in modules else Kernels(*modules)  # type: ignore[arg-type]
