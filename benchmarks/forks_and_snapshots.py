"""What forks and snapshots of a world cost: time of each, and the memory that a thousand forks really hold."""

from __future__ import annotations

import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import reporting
from benchmarks.long_walk import long_walk
from mirage_env import geometry
from mirage_env.memory import LatentMemory
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

STEPS, FORKS, AHEAD = 300, 1000, 10
TARGETS = {"fork microseconds": 20.0, "fork bytes": 2048.0, "held": 1.5}
"""What the issue allows."""
TIMES = 200
TOGETHER = 50


def microseconds(function: Callable[[], object], times: int = TIMES) -> float:
    """Median time of a call."""
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        function()
        spent.append(1e6 * (time.perf_counter() - begin))
    return statistics.median(spent)


def fork_bytes(memory: LatentMemory, forks: int = TIMES) -> float:
    """Bytes that Python allocates per fork."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [memory.fork() for _ in range(forks)]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / len(kept)


def stepped_forks(world: WorldModel, base: WorldState, forks: int, ahead: int, seed: int) -> list[WorldState]:
    """Forks of one world, each of which walked its own curve for ``ahead`` steps, out of what the world knows.

    So many as ``TOGETHER`` step in one batch.
    """
    bends = np.random.default_rng(seed).uniform(-0.4, 0.4, size=forks)
    grown: list[WorldState] = []
    for first in range(0, forks, TOGETHER):
        some = bends[first : first + TOGETHER]
        moves = np.stack([geometry.exp_twist(np.array([0.0, 0.0, 0.4, 0.0, bend, 0.0])) for bend in some])
        states, poses = [base] * len(some), np.repeat(np.array(base.pose, dtype=np.float64)[None], len(some), axis=0)
        for _ in range(ahead):
            poses = poses @ moves
            states, _ = world.step_batch(states, poses)
        grown += states
    return grown


def held_bytes(memories: Iterable[LatentMemory]) -> int:
    """Bytes of all buffers behind these memories, each counted once, with the room they keep to grow."""
    buffers = {buffer.data_ptr(): buffer.nbytes for memory in memories for buffer in memory.buffers}
    return sum(buffers.values())


def measure(
    world: WorldModel, scene: Any = "val", steps: int = STEPS, forks: int = FORKS, seed: int = 0
) -> dict[str, Any]:
    """All of it, of one world after ``steps`` steps."""
    base, poses = long_walk(world, scene, steps, seed)
    for pose in poses:
        base, _ = world.step(base, pose)
    assert isinstance(base.memory, LatentMemory)
    found: dict[str, Any] = {
        "tokens": len(base.memory),
        "bytes": base.memory.nbytes,
        "fork microseconds": microseconds(base.memory.fork),
        "fork bytes": fork_bytes(base.memory),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        found["save microseconds"] = microseconds(lambda: base.save(path), 20)
        found["load microseconds"] = microseconds(lambda: WorldState.load(path), 20)
        found["file bytes"] = path.stat().st_size
    grown: Sequence[WorldState] = stepped_forks(world, base, forks, AHEAD, seed)
    memories = [state.memory for state in grown if isinstance(state.memory, LatentMemory)]
    written = sum(memory.nbytes - base.memory.nbytes for memory in memories)
    held = held_bytes([base.memory, *memories])
    return found | {
        "forks": forks,
        "written": written,
        "held bytes": held,
        "held": held / (written + base.memory.nbytes),
    }


def main(argv: list[str] | None = None) -> None:
    arguments = reporting.model_parser(__doc__).parse_args(argv)
    steps, forks = (20, 10) if arguments.quick else (STEPS, FORKS)
    found = measure(WorldModel.from_pretrained(arguments.model), steps=steps, forks=forks, seed=arguments.seed)
    print(f"a world of {steps} steps: {found['tokens']:,} tokens, {found['bytes']:,} bytes")
    print(reporting.goal("a fork", found["fork microseconds"], "us", at_most=TARGETS["fork microseconds"]))
    print(reporting.goal("a fork", found["fork bytes"], "bytes", at_most=TARGETS["fork bytes"]))
    save, load = (found[f"{name} microseconds"] / 1000 for name in ("save", "load"))
    print(f"a snapshot: {save:.1f} ms to save, {load:.1f} ms to load")
    text = f"{forks} forks, {AHEAD} steps each: held over base and newly written"
    print(reporting.goal(text, found["held"], "x", at_most=TARGETS["held"]))
    reporting.write(arguments, "forks_and_snapshots", found)


if __name__ == "__main__":
    main()
