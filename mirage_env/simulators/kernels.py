"""Which code navigates: compiled loops where they can run, NumPy and SciPy everywhere else. Both give the same bits."""

from __future__ import annotations

from types import ModuleType
from typing import Literal, NamedTuple

from mirage_env import kernels

NavigationPath = Literal["fastest", "scipy"]

FARTHEST = 2.0**40
"""Cells from the origin up to which loops count in int64 and sums of lengths keep their whole parts."""

_choice = kernels.Choice[NavigationPath]("worlds are navigated", "scipy")
navigating_by = _choice.by


class Kernels(NamedTuple):
    """The modules of ``simulators.compiled``."""

    clearance: ModuleType
    samples: ModuleType
    ways: ModuleType


def compiled(*cells: float) -> Kernels | None:
    """The compiled loops; None where NumPy and SciPy do the work, as they do for places out of reach (or NaN)."""
    if not _choice.fastest or not all(-FARTHEST < cell < FARTHEST for cell in cells):
        return None
    return _kernels()


def _kernels() -> Kernels | None:
    modules = [kernels.load(f"mirage_env.simulators.compiled.{name}") for name in Kernels._fields]
    return None if None in modules else Kernels(*modules)  # type: ignore[arg-type]
