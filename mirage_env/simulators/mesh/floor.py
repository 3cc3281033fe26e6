"""Whether the floor of a scene is where its frame says."""

from __future__ import annotations

from pathlib import Path

from mirage_env.simulators.mesh.axes import Frame
from mirage_env.simulators.raycast import TexturedMesh


def check_floor(mesh: TexturedMesh, frame: Frame, path: Path) -> None:
    pass
