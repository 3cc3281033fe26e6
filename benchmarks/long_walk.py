"""What a step costs, and what a world weighs, as the walk through one room grows to thousands of steps."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks import reporting
from mirage_env.evaluation.tours import errands_in_room, find_start
from mirage_env.evaluation.walks import true_views
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

EARLY, LATE = 100, 2000
REPLAYED = 50
"""Steps before the early one that both worlds take once more."""
TARGETS = {"milliseconds": 1.1, "bytes": 1.5}
"""Times as much at the late step as at the early one, that the issue allows."""


def long_walk(world: WorldModel, scene: Any, steps: int, seed: int) -> tuple[WorldState, Array]:
    """A world that begins with the first view and depth of a walk in one room of a home, and the poses (steps, 4, 4) of
    the steps that follow."""
    camera = Camera(128, 90.0, 1.25)
    simulator = RoomsSimulator(scene, camera, samples=1)
    simulator.reset(simulator.scenes[0])
    rng = np.random.default_rng(seed)
    poses = errands_in_room(simulator, find_start(simulator, rng), steps, rng)
    rgb, depth = true_views(simulator, poses[:1], camera.height)
    simulator.close()
    state = world.start(rgb[0], camera.hfov, depth[0], poses[0], seed=seed, resolution=camera.resolution)
    return state, poses[1:]


def measure(
    world: WorldModel, scene: Any = "val", early: int = EARLY, late: int = LATE, seed: int = 0
) -> dict[str, Any]:
    """The walk step by step, sizes and times at both steps, and their ratios.

    Steps early in a walk look at what is new, late ones at what is known. So the times compared are of the same views:
    the ``REPLAYED`` before the early step, taken again from the worlds of both steps, in turns.
    """
    state, poses = long_walk(world, scene, late, seed)
    steps: list[dict[str, float]] = []
    kept: dict[int, WorldState] = {}
    for step, pose in enumerate(poses, start=1):
        begin = time.perf_counter()
        state, frame = world.step(state, pose)
        milliseconds = 1000 * (time.perf_counter() - begin)
        new = float((~frame.visible).float().mean())
        steps.append(
            {"milliseconds": milliseconds, "tokens": len(state.memory), "bytes": state.memory.nbytes, "new": new}
        )
        if step in (early, late):
            kept[step] = state
    times: dict[int, list[float]] = {early: [], late: []}
    for pose in poses[max(0, early - REPLAYED - 1) : early]:
        for step, spent in times.items():
            begin = time.perf_counter()
            world.step(kept[step], pose)
            spent.append(1000 * (time.perf_counter() - begin))
    at = {
        step: {"step": step, "milliseconds": float(np.median(times[step]))}
        | {key: steps[step - 1][key] for key in ("tokens", "bytes")}
        for step in (early, late)
    }
    ratios = {key: at[late][key] / at[early][key] for key in ("milliseconds", "tokens", "bytes")}
    return {"early": at[early], "late": at[late], "ratios": ratios, "steps": steps}


def main(argv: list[str] | None = None) -> None:
    arguments = reporting.model_parser(__doc__).parse_args(argv)
    early, late = (20, 60) if arguments.quick else (EARLY, LATE)
    found = measure(WorldModel.from_pretrained(arguments.model), early=early, late=late, seed=arguments.seed)
    for name, step in (("early", early), ("late", late)):
        part = found[name]
        print(
            f"step {step:>5}  {part['milliseconds']:7.2f} ms  {part['tokens']:>7,} tokens  {part['bytes']:>10,} bytes"
        )
    for key, target in TARGETS.items():
        print(reporting.goal(f"{key}, step {late} against step {early}", found["ratios"][key], "x", at_most=target))
    reporting.write(arguments, "long_walk", found)


if __name__ == "__main__":
    main()
