"""Loops over voxels and polygons: compiled by numba where it is installed, else run as they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mirage_env import kernels


def loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` compiled, with itself as ``py_func``; itself where numba is missing.

    What a compiled loop returns is what the plain one does, bit for bit: both keep float32 and int64 apart.
    """
    try:
        return kernels.kernel(function)
    except ImportError:
        return function


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A loop as it stands, for so little work that compiling would take longer, and for tests."""
    return getattr(function, "py_func", function)
