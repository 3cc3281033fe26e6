"""Steps per second of 1, 64 and 1,024 imagined worlds on one device, at the level of ``WorldModel.step_batch``.

Every world begins with the same picture and walks a curve of its own. A step is measured from the poses to latents that
are ready on the device, or with ``--pixels`` to pictures. Environments, whose distances and collisions are worked out
on the processor, are measured by ``env_throughput``.

    python -m benchmarks.gpu_worlds --device cuda --table gpu.md --json gpu.json
    python -m benchmarks.gpu_worlds --device cpu --quick
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import reporting
from mirage_env import geometry
from mirage_env.evaluation.report_text import table
from mirage_env.files import atomic_write
from mirage_env.frame import decode_together
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory
from mirage_env.models import weights
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.state import WorldState
from mirage_env.world import Imagine, WorldModel

WORLDS = (1, 64, 1024)
MODES: tuple[Imagine, ...] = ("new", "never")
WARM_UP, STEPS = 4, 32
SCENE = 1_000_000


def checked_device(name: str) -> torch.device:
    """The device of this name; ValueError where this computer has none."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"there is no kind of device called {name!r}; try cuda or cpu") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("this computer has no CUDA device that torch can use; try --device cpu")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"worlds are measured on cpu or cuda, not on {name!r}")
    return device


def world_on(model: str, device: torch.device) -> WorldModel:
    """A model with its networks, and the memories of its worlds, on a device."""
    parts = weights.load(model)
    codec, depth, denoiser = (part.to(device) for part in (parts.codec, parts.depth_model, parts.denoiser))
    memory = functools.partial(LatentMemory, codec.channels, device=device)
    return WorldModel(codec, depth, denoiser, parts.denoiser_steps, model, memory)


def begin(world: WorldModel, count: int, scene: Any = SCENE, resolution: int = 128) -> tuple[list[WorldState], Array]:
    """Worlds that all know one view of a home, and nothing else, and the pose (4, 4) that they stand at."""
    camera = Camera(resolution=resolution)
    simulator = RoomsSimulator(scene, camera, samples=1)
    view = simulator.reset(simulator.scenes[0])
    rgb, depth, pose = view.rgb, view.depth, np.asarray(view.pose, dtype=np.float64)
    simulator.close()
    first = world.start(rgb, camera.hfov, depth, pose, resolution=resolution)
    # The seeds differ, so that no two worlds imagine the same.
    return [_seeded(first, seed) for seed in range(count)], pose


def curves(pose: Array, count: int, steps: int, seed: int = 0) -> Array:
    """Poses (steps, count, 4, 4): 0.1 m ahead per step, along a curve that each world draws by lot."""
    bends = np.random.default_rng(seed).uniform(-0.15, 0.15, size=count)
    moves = np.stack([geometry.exp_twist(np.array([0.0, 0.0, 0.1, 0.0, bend, 0.0])) for bend in bends])
    path = [np.repeat(pose[None], count, axis=0) @ moves]
    while len(path) < steps:
        path.append(path[-1] @ moves)
    return np.stack(path)


def step_times(
    world: WorldModel, states: Sequence[WorldState], poses: Array, imagine: Imagine, pixels: bool = False
) -> tuple[list[float], list[WorldState]]:
    """Milliseconds of each step after the first ``WARM_UP`` along poses (steps, B, 4, 4), and the worlds at the end.

    With ``imagine="never"`` the steps are taken by worlds that imagined the same way before.
    """
    states = list(states)
    if imagine == "never":
        for at in poses:
            states, _ = world.step_batch(states, at, "new")
    spent = []
    for step, at in enumerate(poses):
        _wait(world)
        start = time.perf_counter()
        states, frames = world.step_batch(states, at, imagine)
        if pixels:
            decode_together(frames)
        _wait(world)
        if step >= WARM_UP:
            spent.append(1000 * (time.perf_counter() - start))
    return spent, states


def measure(
    world: WorldModel,
    counts: Sequence[int],
    steps: int,
    scene: Any = SCENE,
    *,
    resolution: int = 128,
    pixels: bool = False,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """One row per way to imagine and number of worlds."""
    rows = []
    for imagine in MODES:
        for count in counts:
            states, pose = begin(world, count, scene, resolution)
            poses = curves(pose, count, WARM_UP + steps, seed)
            spent, after = step_times(world, states, poses, imagine, pixels)
            median = float(np.median(spent))
            rows.append(
                {
                    "imagine": imagine,
                    "worlds": count,
                    "steps": len(spent),
                    "milliseconds": median,
                    "mean_milliseconds": float(np.mean(spent)),
                    "steps_per_second": 1000 * count / median,
                    "tokens": int(sum(len(state.memory) for state in after)),
                    "step_milliseconds": [round(value, 3) for value in spent],
                }
            )
    return rows


def in_markdown(rows: Sequence[dict[str, Any]], device: str) -> str:
    """The rows as a table that a page can hold."""
    head = ["`imagine`", "worlds", "ms per step of all", "worlds' steps/s", "against one world", "tokens held"]
    lines = []
    for row in rows:
        alone = [other for other in rows if other["imagine"] == row["imagine"] and other["worlds"] == 1]
        gain = f"{row['steps_per_second'] / alone[0]['steps_per_second']:.1f}x" if alone else "–"
        cells = (f"{row['worlds']:,}", f"{row['milliseconds']:.2f}", f"{row['steps_per_second']:,.0f}")
        lines.append([f"`{row['imagine']}`", *cells, gain, f"{row['tokens']:,}"])
    return f"{device}, medians of {rows[0]['steps']} steps\n\n{table(head, lines)}\n"


def main(argv: list[str] | None = None) -> None:
    parser = reporting.model_parser(__doc__)
    parser.add_argument("--device", help="cuda, cuda:1, … or cpu (cuda where there is one, else cpu)")
    parser.add_argument("--worlds", type=int, nargs="+", help="numbers of worlds (1 64 1024; on a cpu and --quick 1 4)")
    parser.add_argument("--steps", type=int, default=STEPS, help="measured of each (32; with --quick 2)")
    parser.add_argument("--pixels", action="store_true", help="decode every frame")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table there as Markdown")
    arguments = parser.parse_args(argv)
    try:
        device = checked_device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except ValueError as error:
        parser.error(str(error))
    small = arguments.quick or device.type == "cpu"
    counts = arguments.worlds or ([1, 4] if small else WORLDS)
    steps = 2 if arguments.quick else arguments.steps
    world = world_on(arguments.model, device)
    rows = measure(world, counts, steps, pixels=arguments.pixels, seed=arguments.seed)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    text = in_markdown(rows, name)
    print(text)
    if arguments.table:
        with atomic_write(arguments.table) as temporary:
            temporary.write_text(text)
    reporting.write(arguments, "gpu_worlds", {"on": name, "rows": rows})


def _seeded(state: WorldState, seed: int) -> WorldState:
    return dataclasses.replace(state, memory=state.memory.fork(), seed=seed)


def _wait(world: WorldModel) -> None:
    """Until the device has done all that it was given."""
    weight = next(world.codec.parameters()) if isinstance(world.codec, torch.nn.Module) else None
    if weight is not None and weight.device.type == "cuda":
        torch.cuda.synchronize(weight.device)


if __name__ == "__main__":
    main()
