"""How long a read takes: compiled loops, torch, and the way of the reference, side by side in one run.

    worlds     homes seen from random places until the memory holds 1,000, 10,000 and 40,000 tokens; one camera reads a
               grid of 32 x 32 cells, 16 channels, and asks how well the way to what it sees is known.
    history    a walk of 81 frames, then its next 9 cameras read a grid of 44 x 80 cells, 48 channels, at once.

Four ways to read the same views:

    compiled   a ``LatentMemory`` by the loops of ``mirage_env.memory.compiled``.
    torch      the same memory by torch's operations, which any device has.
    nearest    a ``LatentMemory`` with ``MemoryRules.plain()``: every token of every view, exactly the nearest per cell.
    reference  the same tokens in one list: project all, sort by depth, scatter, so that the nearest comes last.

Compiled and torch must agree in every bit of every cell. Of the reference the report says in how many cells it shows
the nearest token, because a scatter writes duplicate indices in no defined order.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks import reporting
from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, MemoryView, paths
from mirage_env.memory.rules import MemoryRules
from mirage_env.seen_space import doubtful_ways
from mirage_env.simulators.base import Camera, FloorMotion
from mirage_env.simulators.rooms.simulator import RoomsSimulator

TOKENS = (1_000, 10_000, 40_000)
FRAMES, NEXT = 81, 9
VIEWS_PER_HOME = 200
TARGET = 20.0
"""How many times as fast as the reference the read of a history is to be."""


class Written(NamedTuple):
    """One view: latents (C, h, w), depth (h, w), intrinsics of the grid and pose."""

    latents: Array
    depth: Array
    K: Array
    pose: Array


class Case(NamedTuple):
    """Views that were written, and the cameras (T, 4, 4) that read them."""

    name: str
    views: list[Written]
    poses: Array
    tokens: int | None = None


class Reference:
    """A memory as published ones are: a list of points that every frame appends to."""

    def __init__(self, channels: int) -> None:
        self.positions, self.features = torch.zeros(0, 3), torch.zeros(0, channels)

    def write(self, latents: Array, depth: Array, K: Array, pose: Array) -> None:
        """Append every cell with a depth."""
        points = geometry.unproject(geometry.pixel_grid(*depth.shape), depth, K)
        world = torch.as_tensor(geometry.transform(pose, points)[depth > 0], dtype=torch.float32)
        self.positions = torch.cat([self.positions, world])
        self.features = torch.cat([self.features, torch.as_tensor(latents[:, depth > 0].T, dtype=torch.float32)])

    def read(self, poses: Array, K: Array, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Latents (T, C, h, w) and depth (T, h, w), 0 where there is nothing."""
        lens, cells = torch.as_tensor(K, dtype=torch.float32), size[0] * size[1]
        latents = torch.zeros(len(poses), cells, self.features.shape[1])
        depth = torch.zeros(len(poses), cells)
        for k, T in enumerate(torch.as_tensor(geometry.invert(poses), dtype=torch.float32)):
            pixel, z = geometry.project(geometry.transform(T, self.positions), lens)
            col, row = pixel.floor().unbind(-1)
            inside = (z > 0) & (col >= 0) & (row >= 0) & (col < size[1]) & (row < size[0])
            at = inside.nonzero()[:, 0]
            at = at[z[at].argsort(descending=True)]
            cell = (row[at] * size[1] + col[at]).to(torch.int64)
            latents[k, cell] = self.features[at]
            depth[k, cell] = z[at]
        return latents.view(len(poses), *size, -1).permute(0, 3, 1, 2).contiguous(), depth.view(-1, *size)


def home_case(tokens: int, seed: int = 0, size: int = 32, channels: int = 16) -> Case:
    """Views of homes from random places, until a memory of them holds so many tokens, and cameras in the last home."""
    rng = np.random.default_rng(seed)
    memory, views = LatentMemory(channels), []
    while len(memory) < tokens:
        home, view = divmod(len(views), VIEWS_PER_HOME)
        if view == 0:
            simulator = RoomsSimulator(1_000_000 + home, Camera(resolution=size), samples=1)
            simulator.reset()
        pose, shift = _place(simulator, rng), np.array([100.0 * home, 0.0, 0.0])
        depth = simulator.render_views(pose)[1][0]
        pose[:3, 3] += shift
        latents = rng.standard_normal((channels, size, size)).astype(np.float32)
        views.append(Written(latents, depth, simulator.camera.intrinsics, pose))
        memory.write(*views[-1])
    poses = np.stack([_place(simulator, rng) for _ in range(8)])
    poses[:, :3, 3] += shift
    return Case(f"world of {tokens:,} tokens", views, poses, tokens)


def history_case(
    frames: int = FRAMES, following: int = NEXT, size: tuple[int, int] = (44, 80), channels: int = 48, seed: int = 0
) -> Case:
    """A walk through a home, and the cameras of its next steps."""
    rng = np.random.default_rng(seed)
    simulator = RoomsSimulator(1_000_000, Camera(resolution=size[1]), samples=1)
    poses = [simulator.reset().pose]
    while len(poses) < frames + following:
        motions = (FloorMotion(forward=0.25), FloorMotion(turn=np.radians(10)), FloorMotion(turn=-np.radians(10)))
        motion = motions[int(rng.choice(3, p=(0.6, 0.25, 0.15)))]
        view, collided = simulator.step(motion)
        for _ in range(9 if collided else 0):
            view, _ = simulator.step(motions[1])
        poses.append(view.pose)
    # The middle rows of square pictures.
    K, above = simulator.camera.intrinsics.copy(), (size[1] - size[0]) // 2
    K[1, 2] -= above
    views = []
    for pose in np.stack(poses[:frames]).astype(np.float64):
        depth = simulator.render_views(pose)[1][0, above : above + size[0]]
        views.append(Written(rng.standard_normal((channels, *size)).astype(np.float32), depth, K, pose))
    return Case(f"history of {frames} frames", views, np.stack(poses[frames:]).astype(np.float64))


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Milliseconds of all ways to read, in turn, and how many cells are exact."""
    channels, *size = case.views[0].latents.shape
    K = case.views[0].K
    memory, plain = LatentMemory(channels), LatentMemory(channels, rules=MemoryRules.plain())
    reference = Reference(channels)
    for view in case.views:
        memory.write(*view)
        plain.write(*view)
        reference.write(*view)
    # The cameras of a history are read at once, those of a world one by one.
    batches = case.poses[:, None] if case.tokens else case.poses[None]
    found: dict[str, Any] = {"tokens": len(memory), "appended_tokens": len(plain), "views": len(case.views)}
    found |= _exactness(memory, plain, reference, batches, K, (size[0], size[1]))
    ways: dict[str, Callable[[Array], Any]] = {
        "compiled": lambda poses: memory.read(poses, K, size),
        "torch": by_torch(lambda poses: memory.read(poses, K, size)),
        "nearest": lambda poses: plain.read(poses, K, size),
        "reference": lambda poses: reference.read(poses, K, (size[0], size[1])),
    }
    if case.tokens:
        seen = {poses.tobytes(): memory.read(poses, K, size) for poses in batches}

        def look(poses: Array) -> Tensor:
            view = seen[poses.tobytes()]
            return doubtful_ways([memory], view.depth, view.visible, K[None], poses)

        ways |= {"ways_compiled": look, "ways_torch": by_torch(look)}
    found["milliseconds"] = interleaved(ways, batches, repeats)
    median = {name: spread["median"] for name, spread in found["milliseconds"].items()}
    found["faster_than_torch"] = median["torch"] / median["compiled"]
    found["faster_than_reference"] = median["reference"] / median["compiled"]
    return found


def by_torch(work: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """``work`` without compiled loops."""

    def slowly(poses: Array) -> Any:
        with paths.reading_by("torch"):
            return work(poses)

    return slowly


def interleaved(ways: Mapping[str, Callable[[Array], Any]], batches: Array, repeats: int) -> dict[str, Any]:
    """Median and least milliseconds of each way, in turn on the same cameras, after one call to warm up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(1 + repeats):
        for name, work in ways.items():
            begin = time.perf_counter()
            work(batches[repeat % len(batches)])
            times[name].append(1000 * (time.perf_counter() - begin))
    return {name: {"median": float(np.median(t[1:])), "least": min(t[1:])} for name, t in times.items()}


def _exactness(
    memory: LatentMemory, plain: LatentMemory, reference: Reference, batches: Array, K: Array, size: tuple[int, int]
) -> dict[str, Any]:
    cells = differing = filled = nearest = 0
    for poses in batches:
        fast = memory.read(poses, K, size)
        slow = by_torch(lambda poses: memory.read(poses, K, size))(poses)
        cells, differing = cells + fast.visible.numel(), differing + int(differing_cells(fast, slow).sum())
        true, depth = plain.read(poses, K, size), reference.read(poses, K, size)[1]
        filled += int(true.visible.sum())
        nearest += int((true.visible & ((depth - true.depth).abs() <= 1e-4 * true.depth)).sum())
    return {"cells": cells, "differing_cells": differing, "reference_nearest": nearest / max(filled, 1)}


def differing_cells(a: MemoryView, b: MemoryView) -> Tensor:
    """(T, h, w) bool, where any bit of two views differs."""
    found = torch.zeros_like(a.visible)
    for name, x in vars(a).items():
        kind = torch.int64 if x.dtype == torch.int64 else torch.int32 if x.dtype == torch.float32 else x.dtype
        different = x.view(kind) != getattr(b, name).view(kind)
        found |= different.any(1) if different.ndim == 4 else different
    return found


FIRST_CALL = """
import time
import numpy as np, torch
from mirage_env.memory import LatentMemory
memory, K = LatentMemory(2), np.array([[4.0, 0, 4], [0, 4, 4], [0, 0, 1]])
begin = time.perf_counter()
memory.write(np.ones((2, 8, 8)), np.ones((8, 8)), K, np.eye(4))
memory.write(np.ones((2, 8, 8)), np.full((8, 8), 0.5), K, np.eye(4), merge=False, imagined=1.0)
memory.read(np.eye(4), K, (8, 8))
memory.looked_through(np.zeros((1, 3)))
print(time.perf_counter() - begin)
"""


def first_calls() -> dict[str, float]:
    """Seconds of the first writes, read and look of a process: with nothing compiled, and with all of it on disk."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST_CALL]
        seconds = [
            float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
            for _ in range(2)
        ]
    return {"cold_seconds": seconds[0], "warm_seconds": seconds[1]}


def describe(name: str, found: Mapping[str, Any]) -> str:
    """One case in words."""
    times = found["milliseconds"]
    lines = [f"{name}: {found['tokens']:,} tokens; appended: {found['appended_tokens']:,}"]
    for way, spread in times.items():
        lines.append(f"  {way:<14} {spread['median']:9.3f} ms  (fastest {spread['least']:.3f})")
    lines.append(
        f"  compiled is {found['faster_than_torch']:.1f} x as fast as torch, "
        f"{found['faster_than_reference']:.1f} x as the reference"
    )
    exact = f"{found['differing_cells']} of {found['cells']:,} cells differ between compiled and torch"
    lines.append(f"  {exact}; the reference shows the nearest token in {100 * found['reference_nearest']:.1f} %")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = reporting.parser(__doc__)
    parser.add_argument(
        "--repeats", type=int, default=40, help="reads per way and world; a history gets a quarter (40)"
    )
    parser.add_argument(
        "--tokens", type=int, nargs="*", help="sizes of the worlds (1000 10000 40000; with --quick 500)"
    )
    parser.add_argument("--frames", type=int, help="of the history; 0 leaves it out (81; with --quick 4)")
    parser.add_argument("--first-calls", action="store_true", help="also how long compiling takes (half a minute)")
    parser.add_argument("--threads", type=int, help="that torch and the loops may use")
    arguments = parser.parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    sizes = arguments.tokens if arguments.tokens is not None else (500,) if arguments.quick else TOKENS
    frames = arguments.frames if arguments.frames is not None else 4 if arguments.quick else FRAMES
    most = 2 if arguments.quick else arguments.repeats
    cases: list[Callable[[], Case]] = [functools.partial(home_case, tokens) for tokens in sizes]
    if frames:
        cases.append(functools.partial(history_case, frames))
    found: dict[str, Any] = {}
    for make in tqdm(cases, disable=None):
        case = make()
        found[case.name] = measure(case, most if case.tokens else max(1, most // 4))
        print(describe(case.name, found[case.name]))
        if not case.tokens:
            print(
                reporting.goal("reference / compiled", found[case.name]["faster_than_reference"], "x", at_least=TARGET)
            )
    if arguments.first_calls:
        found["first_calls"] = first_calls()
        print("first calls: {cold_seconds:.1f} s cold, {warm_seconds:.2f} s warm".format(**found["first_calls"]))
    reporting.write(arguments, "memory_read", {"cases": found})


def _place(simulator: RoomsSimulator, rng: np.random.Generator) -> Array:
    """A camera at a random place of a home."""
    position = simulator.sample_navigable_point(rng)
    return geometry.camera_pose(position, rng.uniform(-np.pi, np.pi), simulator.camera.height)


if __name__ == "__main__":
    main()
