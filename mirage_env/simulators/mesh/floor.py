"""Whether the floor of a scene is where a guessed frame puts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.mesh.axes import Frame
from mirage_env.simulators.raycast import TexturedMesh

_LEVEL = 0.95  # cosine between a normal and an axis
_CLEARLY = 1.1
_CHUNK = 1 << 20


def check_floor(mesh: TexturedMesh, frame: Frame, path: Path) -> None:
    """Raise ValueError with advice if a frame that nobody stated puts the floor on a wall.

    Floors, ceilings and table tops cover more area than the walls of one direction, because rooms are longer and wider
    than high. So the axis that most of the surface stands across is up, or at least as good a guess as another.
    """
    if frame.source != "habitat's default":
        return
    across = area_across(mesh)
    best = int(across.argmax())
    if across[best] <= _CLEARLY * across[1]:
        return
    names = [_name(np.linalg.inv(frame.T_world_file)[:3, :3] @ axis) for axis in np.eye(3)]
    now, then = (f"{100 * share:.0f} %" for share in (across[1], across[best]))
    raise ValueError(
        f"no floor was found in {path}: with {names[1]} up, which a {path.suffix} without a stage config has in "
        f'habitat-sim, {now} of its surface is level, and with {names[best]} up {then}; pass up="{names[best]}" '
        f'(or up="{names[1]}" if that is right), or put {path.stem}.stage_config.json with "render_asset", '
        '"up" and "front" beside it'
    )


def area_across(mesh: TexturedMesh) -> Array:
    """Shares (3,) of the surface that stand across the world's x, y and z axes, within 18 degrees."""
    areas, total = np.zeros(3), 0.0
    for start in range(0, len(mesh.faces), _CHUNK):
        corners = mesh.vertices[mesh.faces[start : start + _CHUNK]].astype(np.float64)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(normal, axis=1)
        areas += ((np.abs(normal) > _LEVEL * area[:, None]) * area[:, None]).sum(axis=0)
        total += float(area.sum())
    return areas / total if total > 0 else areas


def _name(axis: Array) -> str:
    """The letter of the axis of a file that lies nearest to a direction."""
    return "xyz"[int(np.abs(axis).argmax())]
