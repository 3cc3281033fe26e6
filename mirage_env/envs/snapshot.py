"""A whole environment as a value, and its file: one safetensors file from which it goes on bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from mirage_env.envs.playlist import Listed, Playlist
from mirage_env.envs.randomisation.checks import check_randomised_alike
from mirage_env.envs.randomisation.randomiser import Randomiser
from mirage_env.envs.randomisation.settings import NOTHING, Randomisation, make_randomisation
from mirage_env.envs.worlds import is_imagined
from mirage_env.simulators.base import Simulator
from mirage_env.tasks.known_floor import KnownFloor
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.surface_map import SurfaceMap
from mirage_env.tasks.task import Task

if TYPE_CHECKING:
    from mirage_env.simulators.imagined import ImaginedSimulator

FORMAT = "mirage_env.NavigationEnv"
VERSION = 1

_TASK, _FLOOR, _SURFACES = "task.", "floor.", "surfaces."


class EnvSnapshot(NamedTuple):
    """An environment at one moment.

    Attributes:
        world: what ``Simulator.snapshot`` gave.
        progress: of the episode.
        generator: state of the environment's random generator, which decides the episodes to come.
        task: name of the task.
        listed: which episode of its list this is, and which comes next; None without a list.
        randomisation: that of the environment.
    """

    world: Any
    progress: Progress
    generator: dict[str, Any]
    task: str
    listed: Listed | None = None
    randomisation: Randomisation = NOTHING


def save_snapshot(snapshot: EnvSnapshot, path: str | Path) -> None:
    """Write a snapshot of an imagined world, whole or not at all."""
    import torch
    from safetensors.torch import save_file

    from mirage_env.files import atomic_write
    from mirage_env.simulators.imagined import ImaginedSnapshot
    from mirage_env.simulators.imagined_file import snapshot_to_tensors

    if not isinstance(snapshot.world, ImaginedSnapshot):
        raise TypeError("only imagined worlds can be saved; of a true one snapshot() gives a value to keep in memory")
    tensors, world = snapshot_to_tensors(snapshot.world)
    progress = snapshot.progress.to_numbers()
    told: dict[str, Any] = {"world": world, "progress": progress, "generator": snapshot.generator}
    told["task"] = snapshot.task
    if snapshot.progress.state is not None:
        kept = snapshot.progress.state._asdict()
        tensors |= {f"{_TASK}{name}": torch.tensor(value) for name, value in kept.items()}
    if snapshot.progress.floor is not None:
        tensors |= {f"{_FLOOR}{name}": torch.tensor(value) for name, value in snapshot.progress.floor.arrays().items()}
    if snapshot.progress.surfaces is not None:
        kept = snapshot.progress.surfaces._asdict()
        tensors |= {f"{_SURFACES}{name}": torch.tensor(value) for name, value in kept.items()}
    if snapshot.listed is not None:
        told["listed"] = snapshot.listed
    if snapshot.randomisation != NOTHING:
        told["randomisation"] = snapshot.randomisation.to_numbers()
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, {"format": FORMAT, "version": str(VERSION), "snapshot": json.dumps(told)})


def load_snapshot(
    path: str | Path, task: Task, simulator: Simulator, playlist: Playlist | None, randomiser: Randomiser
) -> EnvSnapshot:
    """The snapshot that ``save_snapshot`` wrote, for the task, simulator, list of episodes and randomisation that go
    on; see ``NavigationEnv.load``."""
    from mirage_env.memory.io import read_tensors
    from mirage_env.simulators.imagined_file import snapshot_from_tensors

    if not is_imagined(simulator):
        raise TypeError('only imagined worlds are kept in files; make the environment with simulator="mirage"')
    tensors, metadata = read_tensors(Path(path), FORMAT, VERSION)
    try:
        told = json.loads(metadata["snapshot"])
        if told["task"] != task.name:
            raise ValueError(f"it is of {told['task']}, this environment of {task.name}")
        generator = told["generator"]
        np.random.default_rng(0).bit_generator.state = generator
        check_randomised_alike(make_randomisation(told.get("randomisation")), randomiser.settings)
        camera = randomiser.camera(int(told["progress"].get("seed", 0)))
        world = snapshot_from_tensors(tensors, told["world"], cast("ImaginedSimulator", simulator), camera)
        listed = resumed(told.get("listed"), playlist)
        kept, floor, surfaces = (
            {name.removeprefix(part): t.numpy() for name, t in tensors.items() if name.startswith(part)}
            for part in (_TASK, _FLOOR, _SURFACES)
        )
        known = KnownFloor.of_arrays(floor) if floor else None
        seen = SurfaceMap.of_arrays(surfaces) if surfaces else None
        progress = Progress.from_numbers(told["progress"], task.loaded(kept), known, seen)
        return EnvSnapshot(world, progress, generator, task.name, listed, randomiser.settings)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not fit this environment, or is damaged: {error}") from error


def resumed(listed: Any, playlist: Playlist | None) -> Listed | None:
    """The place in the list at which an environment goes on; ValueError if that is of another list, or one has none."""
    if (listed is None) != (playlist is None):
        with_, without = ("it", "this environment") if playlist is None else ("this environment", "it")
        raise ValueError(f"{with_} plays the episodes of a file, {without} does not")
    return None if playlist is None else playlist.resume(listed)
