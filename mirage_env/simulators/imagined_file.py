"""A snapshot of an imagined world, taken apart for a file and put together again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.frame import Frame
from mirage_env.geometry import Array
from mirage_env.images import load_depth
from mirage_env.models.protocols import Sampling
from mirage_env.simulators.agent import Place
from mirage_env.simulators.base import Camera
from mirage_env.simulators.imagined import ImaginedSimulator, ImaginedSnapshot, StartView
from mirage_env.simulators.occupancy import OccupancyGrid
from mirage_env.state import state_from_tensors, state_to_tensors

Tensors = dict[str, Tensor]
Numbers = dict[str, Any]

_VIEW = ("latents", "memory", "visible", "imagined", "grid_depth")


def snapshot_to_tensors(snapshot: ImaginedSnapshot) -> tuple[Tensors, Numbers]:
    """Everything that a snapshot holds: contiguous tensors by name, and numbers that JSON can hold.

    TypeError for a memory that has no file format, see ``WorldState.save``.
    """
    state, told = state_to_tensors(snapshot.state)
    grids, grid = _told(vars(snapshot.occupancy))
    tensors = {f"state.{name}": value for name, value in state.items()}
    tensors |= {f"occupancy.{name}": value for name, value in grids.items()}
    tensors |= {f"frame.{name}": value for name, value in _frame_tensors(snapshot.frame).items()}
    numbers: Numbers = {"state": told, "occupancy": grid, "place": snapshot.place, "opening": None}
    if snapshot.opening is not None:
        opening = vars(snapshot.opening)
        if opening["depth"] is not None:
            opening = opening | {"depth": load_depth(opening["depth"], opening["image"].shape[:2])}
        arrays, numbers["opening"] = _told(opening)
        tensors |= {f"opening.{name}": value for name, value in arrays.items()}
    return tensors, numbers


def snapshot_from_tensors(
    tensors: Tensors, numbers: Numbers, simulator: ImaginedSimulator, camera: Camera | None = None
) -> ImaginedSnapshot:
    """The snapshot that ``snapshot_to_tensors`` took apart, for a simulator to restore.

    ``camera`` is the one it will have then; None: the one it has.

    ValueError if it is of another model or camera; KeyError, TypeError or ValueError if it is damaged.
    """
    world, camera = simulator.world, simulator.camera if camera is None else camera
    state = state_from_tensors(_under("state", tensors), numbers["state"], world.device)
    world.check_fits(state)
    if state.resolution != (camera.resolution,) * 2 or not np.allclose(state.intrinsics, camera.intrinsics):
        raise ValueError(
            f"it shows {state.resolution[1]}x{state.resolution[0]} pixels of another camera than this one of "
            f"{camera.resolution} pixels and {camera.hfov:g} degrees"
        )
    kept = {name: value.to(world.device) for name, value in _under("frame", tensors).items()}
    sampling = Sampling(kept["nearest"], kept["offset"]) if "nearest" in kept else None
    frame = Frame(
        **{name: kept[name] for name in _VIEW},
        pose=geometry.check_pose(kept["pose"].cpu().numpy()).astype(np.float32),
        stride=world.codec.stride,
        decode=world.codec.decode,
        sampling=sampling,
    )
    if tuple(frame.latents.shape[1:]) != (camera.resolution // world.codec.stride,) * 2:
        raise ValueError(f"its view has {tuple(frame.latents.shape[1:])} cells")
    position, yaw, free_pose = numbers["place"]
    place = Place(_three(position), float(yaw), None if free_pose is None else tuple(map(float, free_pose)))
    grid: dict[str, Any] = {name: _read_only(value.numpy()) for name, value in _under("occupancy", tensors).items()}
    occupancy = OccupancyGrid(**numbers["occupancy"] | grid)
    opening = None
    if numbers["opening"] is not None:
        arrays: dict[str, Any] = {name: value.numpy() for name, value in _under("opening", tensors).items()}
        opening = StartView(**numbers["opening"] | arrays)
    return ImaginedSnapshot(state, place, occupancy, frame, opening)


def _frame_tensors(frame: Frame) -> Tensors:
    found = {name: getattr(frame, name) for name in _VIEW} | {"pose": torch.as_tensor(frame.pose)}
    found |= {} if frame.sampling is None else frame.sampling._asdict()
    # The state holds some of them, too, and a file takes each once.
    return {name: value.cpu().clone(memory_format=torch.contiguous_format) for name, value in found.items()}


def _told(fields: dict[str, Any]) -> tuple[Tensors, Numbers]:
    """Arrays as tensors of their own, and the other fields."""
    arrays = {name: torch.tensor(value) for name, value in fields.items() if isinstance(value, np.ndarray)}
    return arrays, {name: value for name, value in fields.items() if name not in arrays}


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def _three(numbers: Any) -> tuple[float, float, float]:
    x, y, z = map(float, numbers)
    return x, y, z


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array
