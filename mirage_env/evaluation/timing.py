"""Where a world's step spends its time: milliseconds of each part, measured while it runs."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mirage_env.memory import LatentMemory, latent_memory
from mirage_env.world import WorldModel

PARTS = ("encode", "read", "denoise", "depth", "write", "decode")


class _Timed:
    """Stands for a network of a world model and measures some of its methods."""

    def __init__(self, target: Any, **methods: Callable[..., Any]) -> None:
        self._target, self._methods = target, methods

    def __getattr__(self, name: str) -> Any:
        return self._methods[name] if name in self._methods else getattr(self._target, name)


@contextmanager
def timed_parts(world: WorldModel) -> Iterator[tuple[WorldModel, dict[str, list[float]]]]:
    """Inside, a world model that does what ``world`` does, and the milliseconds of every call of its parts so far.

    Reads and writes of the memory are measured for all worlds of the process, so do not use it from two threads.
    """
    times: dict[str, list[float]] = {part: [] for part in PARTS}

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = function(*args, **kwargs)
            times[part].append(1000 * (time.perf_counter() - begin))
            return result

        return call

    codec, depth, denoiser = world.codec, world.depth_model, world.denoiser
    measured: Any = copy.copy(world)
    measured.codec = _Timed(codec, encode=timed("encode", codec.encode), decode=timed("decode", codec.decode))
    measured.depth_model = _Timed(depth, estimate=timed("depth", depth.estimate))
    measured.denoiser = _Timed(denoiser, denoise=timed("denoise", denoiser.denoise))
    read, write = latent_memory.read_many, LatentMemory.write
    latent_memory.read_many = timed("read", read)
    LatentMemory.write = timed("write", write)  # type: ignore[method-assign]
    try:
        yield measured, times
    finally:
        latent_memory.read_many = read
        LatentMemory.write = write  # type: ignore[method-assign]


def medians(times: dict[str, list[float]]) -> dict[str, float | None]:
    """Median milliseconds per call of each part; None for parts that never ran."""
    return {part: round(statistics.median(values), 3) if values else None for part, values in times.items()}
