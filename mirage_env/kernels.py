"""Loops that numba compiles, and where they may run.

They stand in packages named ``compiled``, each beside the plain code that does the same by whole arrays: the slow
reference, and what runs where numba is missing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, Generic, TypeVar

_STRICT: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy"}
"""IEEE arithmetic as torch and NumPy do it (0 divides to infinities and NaN), and other threads run meanwhile."""


Path = TypeVar("Path", bound=str)


class Choice(Generic[Path]):
    """Whether compiled loops do some work where they can ("fastest", as always), or the ``plain`` code does all of it.

    Args:
        work: what is chosen for, as a subject and verb: "networks are run".
        plain: what the plain code is called.
    """

    def __init__(self, work: str, plain: Path) -> None:
        self._work, self._plain = work, plain
        self.fastest = True

    @contextmanager
    def by(self, path: Path) -> Iterator[None]:
        """Work by this path in the meantime, in all threads."""
        if path not in ("fastest", self._plain):
            raise ValueError(f"{self._work} by the path 'fastest' or {self._plain!r}, got {path!r}")
        before, self.fastest = self.fastest, path == "fastest"
        try:
            yield
        finally:
            self.fastest = before


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` compiled on its first call, and kept on disk for later processes where there is a place for it.

    What is kept is dropped when the kernel's own file changes, not when something that it takes from another file does.
    Who changes a constant or a kernel that others use removes the ``__pycache__`` of their packages; a new installation
    has none.
    """
    import numba

    try:
        return numba.njit(cache=True, **_STRICT)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(**_STRICT)(function)


@cache
def load(name: str) -> ModuleType | None:
    """The module of kernels with this name; None where numba is not installed, or not made for this Python or NumPy."""
    try:
        importlib.import_module("numba")
    except ImportError:
        return None
    return importlib.import_module(name)
