"""What decides the numbers of a world evaluation, besides the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from mirage_env.models import fingerprint as fingerprints
from mirage_env.world import WorldModel

StartDepth = Literal["true", "predicted"]

PARTS = (
    "novel",
    "loops",
    "depth",
    "following",
    "collisions",
    "calibration",
    "still",
    "growth",
    "imagine",
    "ablations",
    "ghosts",
)
"""What can be measured, by name, in the order of the report."""
QUICK = {"horizons": (1, 2, 4, 8, 16, 32), "loops": (32, 128), "ablation_episodes": 2, "growth_episodes": 1}
QUICK_EPISODES = 8
QUICK_PARTS = tuple(part for part in PARTS if part not in ("growth", "ghosts"))


@dataclass(frozen=True)
class Settings:
    """Everything that the results in a folder have in common. Kept beside them, and compared on resuming.

    Attributes:
        model: name, with ``fingerprint`` of its weights.
        simulator, scenes: where the episodes take place.
        seed: 0 or above; with the number of the episode it decides everything that is random.
        depth: of the start view: "true", as from the sensor of an RGB-D robot, or "predicted" from the image.
        resolution, hfov, camera_height: of the camera: pixels, degrees, metres.
        horizons: steps of the walk through new views at which it is measured, rising; the walk ends at the last.
        loops: steps of the walks that end where they began, even, rising.
        seen_step: the step at which cells are measured that a camera has seen, on all walks.
        baseline_steps: how far other memories walk through new views.
        baseline_loop: the longest loop that other memories walk.
        ablation_loop: steps of the loop on which variants, and ways to imagine, are compared.
        ablation_episodes: how many episodes, the first, are repeated with variants.
        growth_steps: of a walk in one room, where the memory is weighed.
        growth_episodes: how many episodes, the first, walk in one room.
        still_steps: how long the camera stands still.
        ghost_episodes: in how many scenes, the first, things move.
        ghost_steps: of the walk there.
        movers: how many move.
    """

    model: str = "tiny"
    fingerprint: str = ""
    simulator: str = "rooms"
    scenes: str = "val"
    seed: int = 0
    depth: StartDepth = "true"
    resolution: int = 128
    hfov: float = 90.0
    camera_height: float = 1.25
    horizons: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    loops: tuple[int, ...] = (32, 128, 512)
    seen_step: int = 32
    baseline_steps: int = 64
    baseline_loop: int = 128
    ablation_loop: int = 128
    ablation_episodes: int = 16
    growth_steps: tuple[int, int] = (200, 1000)
    growth_episodes: int = 8
    still_steps: int = 32
    ghost_episodes: int = 16
    ghost_steps: int = 160
    movers: int = 2

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise ValueError(f"seed must be a whole number, 0 or above, got {self.seed!r}")
        if self.depth not in get_args(StartDepth):
            raise ValueError(f"depth must be one of {', '.join(get_args(StartDepth))}, got {self.depth!r}")
        for name, least in (("horizons", 1), ("loops", 4), ("growth_steps", 1)):
            values = getattr(self, name)
            if not values or any(not isinstance(v, int | np.integer) or v < least for v in values):
                raise ValueError(f"{name} must be whole numbers of at least {least}, got {values!r}")
            if list(values) != sorted(set(values)):
                raise ValueError(f"{name} must rise, got {values!r}")
        if any(steps % 2 for steps in (*self.loops, self.ablation_loop)):
            raise ValueError(f"a loop has an even number of steps, got {self.loops} and {self.ablation_loop}")

    @property
    def walk_steps(self) -> int:
        """Steps of the walk through new views."""
        return self.horizons[-1]

    def episodes_of(self, part: str) -> float:
        """How many episodes, the first, a part is measured in; infinity for all of them."""
        limits = {
            "ablations": self.ablation_episodes,
            "growth": self.growth_episodes,
            "ghosts": self.ghost_episodes,
        }
        return limits.get(part, float("inf"))


def check_parts(parts: Any) -> tuple[str, ...]:
    """The parts in the order of the report; ValueError for one that does not exist."""
    wanted = tuple(parts)
    for part in wanted:
        if part not in PARTS:
            raise ValueError(f"unknown part {part!r}; valid are {', '.join(PARTS)}")
    if not wanted:
        raise ValueError(f"nothing to measure; name some of {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in wanted)


def fingerprint(world: WorldModel) -> str:
    """A few digits that change with any weight of the model, or with the number of passes of its denoiser."""
    return fingerprints.fingerprint((world.codec, world.depth_model, world.denoiser), world.denoiser_steps)
