"""What a step costs, and what a world weighs, as a walk through one room grows to thousands of steps.

Two walks that begin with the same view and look round the same room:

    walked    an agent walks in the imagined world, which stops it where something stands, as agents are trained.
    replayed  the views of an agent that walked in the true room. What was imagined out of its sight stands elsewhere
              than the truth, so this camera also goes through walls, into space that is new.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple, cast

import numpy as np

from benchmarks import reporting
from mirage_env.evaluation.tours import errands_in_room, find_start
from mirage_env.evaluation.walks import true_views
from mirage_env.frame import Frame
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera, Motion, Simulator
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

EARLY, LATE = 100, 2000
REPLAYED = 50
"""Steps before the early one that both worlds take once more."""
TARGETS = {"milliseconds": 1.1, "bytes": 1.5}
"""Times as much at the late step as at the early one, that the issue allows."""
CAMERA = Camera(128, 90.0, 1.25)


class Walk(NamedTuple):
    """A walk through a world: rows of numbers and poses, one for each step, and the worlds after the steps to keep."""

    steps: list[dict[str, float]]
    poses: list[Array]
    kept: dict[int, WorldState]

    @classmethod
    def begun(cls) -> Walk:
        return cls([], [], {})

    def add(self, state: WorldState, visible: Any, seconds: float, keep: tuple[int, ...]) -> None:
        """One more step, which led to a state."""
        row = {"milliseconds": 1000 * seconds, "tokens": len(state.memory), "bytes": state.memory.nbytes}
        self.steps.append(row | {"new": float((~visible).float().mean())})
        self.poses.append(state.pose)
        if len(self.steps) in keep:
            self.kept[len(self.steps)] = state


class Agent:
    """The imagined world as its tours see it: the rooms are those of the true home, and every step is noted."""

    def __init__(self, imagined: ImaginedSimulator, home: Any, keep: tuple[int, ...]) -> None:
        self.imagined, self.home, self.keep = imagined, home, keep
        self.walk = Walk.begun()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.imagined, name)

    def step(self, motion: Motion) -> tuple[Frame, bool]:
        begin = time.perf_counter()
        frame, collided = self.imagined.step(motion)
        self.walk.add(self.imagined.state, frame.visible, time.perf_counter() - begin, self.keep)
        return frame, collided


def _opened(scene: Any, seed: int) -> tuple[RoomsSimulator, AgentStart, np.random.Generator]:
    simulator = RoomsSimulator(scene, CAMERA, samples=1)
    simulator.reset(simulator.scenes[0])
    rng = np.random.default_rng(seed)
    return simulator, find_start(simulator, rng), rng


def long_walk(world: WorldModel, scene: Any, steps: int, seed: int) -> tuple[WorldState, Array]:
    """A world that begins with the first view and depth of a walk in one room of a home, and the poses (steps, 4, 4) of
    the steps that follow."""
    simulator, start, rng = _opened(scene, seed)
    poses = errands_in_room(simulator, start, steps, rng)
    rgb, depth = true_views(simulator, poses[:1], CAMERA.height)
    simulator.close()
    state = world.start(rgb[0], CAMERA.hfov, depth[0], poses[0], seed=seed, resolution=CAMERA.resolution)
    return state, poses[1:]


def replayed(world: WorldModel, scene: Any, steps: int, keep: tuple[int, ...], seed: int) -> Walk:
    """The true agent's views."""
    state, poses = long_walk(world, scene, steps, seed)
    walk = Walk.begun()
    for pose in poses:
        begin = time.perf_counter()
        state, frame = world.step(state, pose)
        walk.add(state, frame.visible, time.perf_counter() - begin, keep)
    return walk


def walked(world: WorldModel, scene: Any, steps: int, keep: tuple[int, ...], seed: int) -> Walk:
    """An agent's own walk."""
    simulator, start, rng = _opened(scene, seed)
    imagined = ImaginedSimulator(world, simulator, CAMERA, start_depth="true", seed=seed)
    agent = Agent(imagined, getattr(simulator, "home", None), keep)
    errands_in_room(cast(Simulator, agent), start, steps, rng)
    imagined.close()
    return agent.walk


def measure(
    world: WorldModel, scene: Any = "val", early: int = EARLY, late: int = LATE, seed: int = 0
) -> dict[str, Any]:
    """For each walk, sizes and times at both steps, and their ratios.

    Steps early in a walk look at what is new, late ones at what is known. So the times compared are of the same views:
    the ``REPLAYED`` before the early step, taken again from the worlds of both steps, in turns.
    """
    walks = {"walked": walked, "replayed": replayed}
    return {name: _compared(world, walk(world, scene, late, (early, late), seed)) for name, walk in walks.items()}


def _compared(world: WorldModel, walk: Walk) -> dict[str, Any]:
    early, late = sorted(walk.kept)
    times: dict[int, list[float]] = {early: [], late: []}
    for pose in walk.poses[max(0, early - REPLAYED - 1) : early]:
        for step, spent in times.items():
            begin = time.perf_counter()
            world.step(walk.kept[step], pose)
            spent.append(1000 * (time.perf_counter() - begin))
    at = {
        step: {"step": step, "milliseconds": float(np.median(times[step]))}
        | {key: walk.steps[step - 1][key] for key in ("tokens", "bytes")}
        for step in (early, late)
    }
    ratios = {key: at[late][key] / at[early][key] for key in ("milliseconds", "tokens", "bytes")}
    return {"early": at[early], "late": at[late], "ratios": ratios, "steps": walk.steps}


def main(argv: list[str] | None = None) -> None:
    arguments = reporting.model_parser(__doc__).parse_args(argv)
    early, late = (20, 60) if arguments.quick else (EARLY, LATE)
    found = measure(WorldModel.from_pretrained(arguments.model), early=early, late=late, seed=arguments.seed)
    for name, walk in found.items():
        for part in (walk["early"], walk["late"]):
            size = f"{part['tokens']:>7,} tokens  {part['bytes']:>10,} bytes"
            print(f"{name:<9} step {part['step']:>5}  {part['milliseconds']:7.2f} ms  {size}")
        for key, target in TARGETS.items():
            print(
                reporting.goal(f"{name}: {key}, step {late} against {early}", walk["ratios"][key], "x", at_most=target)
            )
    reporting.write(arguments, "long_walk", found)


if __name__ == "__main__":
    main()
