"""Files that are measured on but belong to no release: recordings of habitat-sim, and scenes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[1] / ".." / "shared"


def shared(name: str) -> Path:
    """The file or folder ``name`` in the shared folder ($MIRAGE_SHARED, or ../shared); skips the test without it."""
    path = Path(os.environ.get("MIRAGE_SHARED", _BESIDE)) / name
    if not path.exists():
        pytest.skip(f"needs {name} of the shared folder, which is not here")
    return path.resolve()
