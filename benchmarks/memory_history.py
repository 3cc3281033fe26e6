"""Reading and writing latents against drawing and encoding pixels: every step of one walk, and the bytes at its end.

At a step a memory shows what it knows from the next camera of a walk through a home, and then takes the view from
there. All memories meet the same true views of 128 x 128 pixels, take turns, and are measured at every fourth step (at
the others they only write, for pixels take long to draw):

    latent     ``LatentMemory``, as worlds use it: latents in float16, and what it knows already is not written again.
    latent32   the same with latents in float32.
    reference  tokens as published code keeps them: a list that every frame appends to; project all, sort, scatter.
    rgb        ``RGBMemory`` by the same rules as ``latent``, pixel by pixel: drawn, closed, and encoded again.
    appended   ``RGBMemory`` without rules, the point memory of pixel world models: a point per pixel of every frame.

Latents, depth and pictures are ready before a step begins and their making is not counted. That is kind to the two
memories of pixels: in a world that is imagined, each view would have to be decoded before it is written. Bytes are
``nbytes``: a token of 16 channels takes 73 (105 in float32), a point 28; of ``appended`` the least that its points
could take, 15 (a position and a colour), is told as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import reporting
from benchmarks.memory_read import Reference
from mirage_env import geometry
from mirage_env.evaluation.rgb_memory import RGBMemory
from mirage_env.evaluation.rollout import depth_at_cells, encode_images
from mirage_env.evaluation.tours import find_start, wandering
from mirage_env.evaluation.walks import true_views
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory
from mirage_env.memory.rules import MemoryRules
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.state import KEPT
from mirage_env.world import WorldModel

STEPS, EVERY = 128, 4
SCENE = 1_000_000
TARGETS = {"time": 11.0, "bytes": 55.0}
"""How many times as fast as render + re-encode, and in how many times fewer bytes."""
POINT = 15
"""Bytes of a bare point: three float32 coordinates and three bytes of colour."""
AGAINST = "appended"


class History(NamedTuple):
    """N views of a walk: pictures (N, H, W, 3) uint8 and their z-depth (N, H, W) in metres, latents (N, C, h, w), depth
    (N, h, w) at their cells, poses (N, 4, 4) and the intrinsics (3, 3) of the latent grid."""

    rgb: Array
    depth: Array
    latents: torch.Tensor
    grid_depth: torch.Tensor
    poses: Array
    K: Array


class Way(Protocol):
    """A memory in this comparison."""

    def read(self, view: int) -> Any:
        """What it shows from the camera of a view."""
        ...

    def write(self, view: int) -> Any:
        """Take the view."""
        ...

    @property
    def nbytes(self) -> int:
        """Of all that it holds."""
        ...


def walk_of(world: WorldModel, steps: int, scene: Any = SCENE, seed: int = 0, resolution: int = 128) -> History:
    """The first view of a walk through a home, and those of ``steps`` steps that follow."""
    simulator = RoomsSimulator(scene, Camera(resolution=resolution), samples=1)
    simulator.reset(simulator.scenes[0])
    rng = np.random.default_rng(seed)
    poses = wandering(simulator, find_start(simulator, rng), steps, rng)
    rgb, depth = true_views(simulator, poses, simulator.camera.height)
    K = geometry.scale_intrinsics(simulator.camera.intrinsics, 1 / world.codec.stride)
    simulator.close()
    return History(rgb, depth, encode_images(world, rgb), depth_at_cells(depth, world.codec.stride), poses, K)


class OfLatents:
    """A ``LatentMemory`` that walks along a history."""

    def __init__(self, history: History, dtype: torch.dtype = KEPT) -> None:
        self.history, self.memory = history, LatentMemory(history.latents.shape[1], dtype)

    @property
    def nbytes(self) -> int:
        return self.memory.nbytes

    def read(self, view: int) -> Any:
        return self.memory.read(self.history.poses[view], self.history.K, self.history.grid_depth.shape[1:])

    def write(self, view: int) -> int:
        h = self.history
        return self.memory.write(h.latents[view], h.grid_depth[view], h.K, h.poses[view])


class OfTokens:
    """The reference of ``memory_read`` that walks along a history."""

    def __init__(self, history: History) -> None:
        self.history, self.memory = history, Reference(history.latents.shape[1])

    @property
    def nbytes(self) -> int:
        return self.memory.positions.nbytes + self.memory.features.nbytes

    def read(self, view: int) -> Any:
        height, width = self.history.grid_depth.shape[1:]
        return self.memory.read(self.history.poses[view, None], self.history.K, (height, width))

    def write(self, view: int) -> None:
        h = self.history
        self.memory.write(h.latents[view].numpy(), h.grid_depth[view].numpy(), h.K, h.poses[view])


class OfPixels:
    """An ``RGBMemory`` that walks along a history."""

    def __init__(self, history: History, world: WorldModel, rules: MemoryRules | None = None) -> None:
        self.history, self.memory = history, RGBMemory(world.codec, rules)

    @property
    def nbytes(self) -> int:
        return self.memory.nbytes

    def read(self, view: int) -> Any:
        return self.memory.read(self.history.poses[view], self.history.K, self.history.grid_depth.shape[1:])

    def write(self, view: int) -> int:
        h = self.history
        pictures = {"image": h.rgb[view], "image_depth": h.depth[view]}
        return self.memory.write(h.latents[view], h.grid_depth[view], h.K, h.poses[view], **pictures)


def ways_of(world: WorldModel, history: History) -> dict[str, Way]:
    """All memories, empty, by name."""
    return {
        "latent": OfLatents(history),
        "latent32": OfLatents(history, torch.float32),
        "reference": OfTokens(history),
        "rgb": OfPixels(history, world),
        "appended": OfPixels(history, world, MemoryRules.plain()),
    }


@torch.no_grad()
def measure(world: WorldModel, history: History, every: int = EVERY, progress: bool = False) -> dict[str, Any]:
    """Milliseconds of the read and the write of every so many steps, bytes at the end, and ratios to latent memories.

    The ratio of times is that of the medians over all measured steps; ``time_last`` of those over their last quarter,
    when all that grows has grown.
    """
    ways = ways_of(world, history)
    for way in ways.values():
        way.write(0)
        way.read(0)  # compiles, and warms up
    steps: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for view in tqdm(range(1, len(history.poses)), disable=None if progress else True):
        for name, way in ways.items():
            if view % every:
                way.write(view)
                continue
            read = _milliseconds(lambda way=way, view=view: way.read(view))
            write = _milliseconds(lambda way=way, view=view: way.write(view))
            steps[name].append({"step": view, "read": read, "write": write, "bytes": way.nbytes})
    found = {name: {**_summary(steps[name]), "bytes": way.nbytes} for name, way in ways.items()}
    found["appended"]["least_bytes"] = POINT * history.depth[0].size * len(history.poses)
    ratios = {}
    for name in ("latent", "latent32"):
        for other in ("reference", "rgb", "appended"):
            mine, theirs = found[name], found[other]
            ratios[f"{other} / {name}"] = {key: theirs[key] / mine[key] for key in ("time", "time_last", "bytes")}
    return {"steps": steps, "memories": found, "ratios": ratios}


def describe(found: dict[str, Any]) -> str:
    """The report as text."""
    lines = [f"{'':<12}{'read':>10}{'write':>10}{'step':>10}{'late step':>12}{'bytes':>14}"]
    for name, row in found["memories"].items():
        times = "".join(f"{row[key]:>10.2f}" for key in ("read", "write", "time"))
        lines.append(f"{name:<12}{times}{row['time_last']:>12.2f}{row['bytes']:>14,}")
    lines.append(f"{'':<23}{'time':>10}{'late':>10}{'bytes':>10}")
    for name, row in found["ratios"].items():
        lines.append(f"{name:<23}" + "".join(f"{row[key]:>9.1f}x" for key in ("time", "time_last", "bytes")))
    bare = found["memories"][AGAINST]["least_bytes"] / found["memories"]["latent"]["bytes"]
    lines.append(f"of {AGAINST}, bare points ({POINT} bytes each) would take {bare:.1f}x the bytes of latent")
    ratio = found["ratios"][f"{AGAINST} / latent"]
    for key, target in TARGETS.items():
        lines.append(reporting.goal(f"{key} of render + re-encode / latent memory", ratio[key], "x", at_least=target))
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = reporting.model_parser(__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help="of the walk, at least 4 (128; with --quick 8)")
    parser.add_argument("--scene", type=int, default=SCENE, help="seed of the home (1000000)")
    arguments = parser.parse_args(argv)
    world = WorldModel.from_pretrained(arguments.model)
    steps = 8 if arguments.quick else arguments.steps
    found = measure(world, walk_of(world, steps, arguments.scene, arguments.seed), progress=True)
    print(f"milliseconds of a step, medians over a walk of {steps}\n{describe(found)}")
    reporting.write(arguments, "memory_history", found)


def _milliseconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begin)


def _summary(rows: list[dict[str, float]]) -> dict[str, float]:
    read, write = (np.array([row[key] for row in rows]) for key in ("read", "write"))
    late = slice(-max(1, len(rows) // 4), None)
    return {
        "read": float(np.median(read)),
        "write": float(np.median(write)),
        "time": float(np.median(read + write)),
        "time_last": float(np.median((read + write)[late])),
        "mean": float((read + write).mean()),
    }


if __name__ == "__main__":
    main()
