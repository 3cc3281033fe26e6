"""The state of an imagined world, as a value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mirage_env import geometry
from mirage_env.files import atomic_write
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, SpatialMemory
from mirage_env.memory.io import memory_from_tensors, memory_to_tensors, read_tensors

FORMAT = "mirage_env.WorldState"
VERSION = 1
KEPT = torch.float16
"""What worlds keep latents as. They are rounded once, where they come in: a memory then shows what was seen, bit for
bit."""


@dataclass(frozen=True, eq=False)
class WorldState:
    """Everything that decides what comes next. A step returns a new state and leaves this one usable: forks are free.

    Attributes:
        memory: the world so far. Never write to it: ``WorldModel`` writes to forks.
        pose: T_world_camera (4, 4) float32 of the last view.
        latents: of the last view (C, h, w) float32, what float16 can hold.
        intrinsics: K (3, 3) float64 of the camera whose views are imagined, at full resolution.
        resolution: (height, width) of those views in pixels.
        seed, steps: the random generator: the noise of step n is drawn from a generator seeded with (seed, n).
        scale: metres of this world per metre of the networks', whose camera always hangs 1.25 m above the floor.
        codec: fingerprint of the codec whose latents these are; "" where it is not known.
    """

    memory: SpatialMemory
    pose: Array
    latents: Tensor
    intrinsics: Array
    resolution: tuple[int, int]
    seed: int
    steps: int = 0
    scale: float = 1.0
    codec: str = ""

    def save(self, path: str | Path) -> None:
        """Write the state to one safetensors file, whole or not at all.

        TypeError for a memory other than a ``LatentMemory``: it has no file format.
        """
        tensors, numbers = state_to_tensors(self)
        with atomic_write(Path(path)) as temporary:
            save_file(tensors, temporary, {"format": FORMAT, "version": str(VERSION), "state": json.dumps(numbers)})

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> WorldState:
        """The state that ``save`` wrote, with its memory and latents on a device.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is truncated, damaged, foreign or of a newer version.
        """
        tensors, metadata = read_tensors(Path(path), FORMAT, VERSION)
        try:
            return state_from_tensors(tensors, json.loads(metadata["state"]), device)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def as_kept(latents: Tensor) -> Tensor:
    """Latents rounded to what a world keeps, as float32."""
    most = torch.finfo(KEPT).max
    return latents.clamp(-most, most).to(KEPT).to(torch.float32)


def state_to_tensors(state: WorldState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Everything that a state holds: contiguous tensors by name, and numbers that JSON can hold.

    TypeError for a memory other than a ``LatentMemory``: it has no file format.
    """
    if not isinstance(state.memory, LatentMemory):
        found = type(state.memory).__name__
        raise TypeError(f"only states with a LatentMemory can be saved, this one has a {found}")
    tensors = {f"memory.{name}": value for name, value in memory_to_tensors(state.memory).items()}
    tensors |= {
        "pose": torch.as_tensor(state.pose).contiguous(),
        "latents": state.latents.cpu().contiguous(),
        "intrinsics": torch.as_tensor(state.intrinsics).contiguous(),
    }
    return tensors, {name: getattr(state, name) for name in ("resolution", "seed", "steps", "scale", "codec")}


def state_from_tensors(
    tensors: dict[str, Tensor], numbers: dict[str, Any], device: torch.device | str = "cpu"
) -> WorldState:
    """The state that ``state_to_tensors`` took apart; KeyError, TypeError or ValueError if they do not fit together."""
    columns = {k.removeprefix("memory."): v for k, v in tensors.items() if k.startswith("memory.")}
    height, width = numbers["resolution"]
    return WorldState(
        memory=memory_from_tensors(columns, device),
        pose=geometry.check_pose(tensors["pose"].numpy()).astype("float32"),
        latents=tensors["latents"].to(device),
        intrinsics=tensors["intrinsics"].numpy(),
        resolution=(int(height), int(width)),
        seed=int(numbers["seed"]),
        steps=int(numbers["steps"]),
        scale=float(numbers["scale"]),
        codec=str(numbers.get("codec", "")),
    )
