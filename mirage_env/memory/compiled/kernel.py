"""How kernels are compiled.

What is kept on disk is dropped when the kernel's own file changes, not when something that it takes from another file
does. Who changes a constant or a kernel that others here use removes ``compiled/__pycache__``; a new installation of
the package has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

_STRICT: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy"}
"""IEEE arithmetic as torch does it (0 divides to infinities and NaN), and other threads run meanwhile."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` compiled on its first call, and kept on disk for later processes where there is a place for it."""
    try:
        return numba.njit(cache=True, **_STRICT)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(**_STRICT)(function)
