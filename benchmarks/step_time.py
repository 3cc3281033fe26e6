"""How long a step of one world takes, with RGB while imagining and with the bare memory; in encodings, too."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
import torch

import mirage_env  # noqa: F401  registers the environments
from benchmarks import reporting
from mirage_env.world import WorldModel

WARM_UP = 8
TARGETS = {"rgb_new": 80.0, "memory_never": 10.0}
"""Milliseconds that the issue allows."""
CASES: dict[str, dict[str, Any]] = {
    "rgb_new": {"observations": "rgb", "imagine": "new"},
    "memory_never": {"observations": "memory", "imagine": "never"},
}
_ACTIONS = (1, 1, 2, 1, 1, 3, 1, 2, 2, 1, 3, 3)


@torch.no_grad()
def step_times(
    world: WorldModel, case: dict[str, Any], steps: int, scenes: Any, seed: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of ``steps`` steps of ``Mirage/PointNav-v0``, walking about, and of an encoding after each."""
    env = gymnasium.make("Mirage/PointNav-v0", simulator="mirage", scenes=scenes, model=world, **case)
    rng = np.random.default_rng(seed)
    image = torch.zeros(1, 3, 128, 128)
    env.reset(seed=seed)
    stepping, encoding = [], []
    for step in range(WARM_UP + steps):
        action = int(rng.choice(_ACTIONS))
        begin = time.perf_counter()
        *_, terminated, truncated, _ = env.step(action)
        between = time.perf_counter()
        world.codec.encode(image)
        end = time.perf_counter()
        if step >= WARM_UP:
            stepping.append(1000 * (between - begin))
            encoding.append(1000 * (end - between))
        if terminated or truncated:
            env.reset()
    env.close()
    return stepping, encoding


def measure(world: WorldModel, steps: int, scenes: Any = "val", seed: int = 0) -> dict[str, Any]:
    """Medians and spread of every case, and their ratio to one encoding in the same run."""
    found: dict[str, Any] = {}
    encodings: list[float] = []
    for name, case in CASES.items():
        times, encoding = step_times(world, case, steps, scenes, seed)
        encodings += encoding
        found[name] = _spread(times) | {"target": TARGETS[name]}
    found["encode"] = _spread(encodings)
    for name in CASES:
        found[name]["encodings"] = found[name]["median"] / found["encode"]["median"]
    return found


def main(argv: list[str] | None = None) -> None:
    parser = reporting.model_parser(__doc__)
    parser.add_argument("--steps", type=int, default=128, help="measured per case (128; with --quick 8)")
    arguments = parser.parse_args(argv)
    steps = 8 if arguments.quick else arguments.steps
    found = measure(WorldModel.from_pretrained(arguments.model), steps, seed=arguments.seed)
    print(f"codec, one encoding: {found['encode']['median']:.2f} ms")
    for name, text in (
        ("rgb_new", 'env.step, rgb, imagine="new"'),
        ("memory_never", 'env.step, memory, imagine="never"'),
    ):
        case = found[name]
        spread = f"{text} (90 %: {case['p90']:.2f}; {case['encodings']:.1f} encodings)"
        print(reporting.goal(spread, case["median"], "ms", at_most=case["target"]))
    reporting.write(arguments, "step_time", {"milliseconds": found})


def _spread(times: list[float]) -> dict[str, float]:
    ordered = np.array(times)
    return {"median": float(np.median(ordered)), "p90": float(np.quantile(ordered, 0.9)), "count": len(times)}


if __name__ == "__main__":
    main()
