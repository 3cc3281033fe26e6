"""Where policies are evaluated: a true simulator, or worlds imagined from its views, with the same episodes in both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import gymnasium

from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.worlds import TRUE, make_simulator
from mirage_env.evaluation.contestants import Contestant
from mirage_env.evaluation.settings import fingerprint
from mirage_env.evaluation.world_settings import WorldSetting
from mirage_env.simulators.base import Simulator
from mirage_env.simulators.imagined import ImaginedSimulator

IMAGINED = "mirage"
MOST_KEPT = 64
"""Homes, of some 20 MB each."""


@dataclass(frozen=True, eq=False)
class Place:
    """Worlds to walk in.

    Attributes:
        simulator: the true one, "rooms", "mesh" or "habitat"; that of which views are taken where worlds are imagined.
        scenes: as it takes them.
        setting: how they are imagined; None: the truth itself.
        max_episode_steps: after which an episode is truncated.
    """

    simulator: str
    scenes: Any
    setting: WorldSetting | None = None
    max_episode_steps: int = 500

    def __post_init__(self) -> None:
        if self.simulator not in TRUE:
            raise ValueError(f"unknown simulator {self.simulator!r}; valid are {', '.join(TRUE)}")
        steps = self.max_episode_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"max_episode_steps must be a whole number of at least 1, got {steps!r}")

    @property
    def name(self) -> str:
        """Of the setting, or "truth"."""
        return "truth" if self.setting is None else self.setting.name

    def describe(self) -> dict[str, Any]:
        """What its trials depend on, for files."""
        told: dict[str, Any] = {
            "simulator": self.simulator,
            "scenes": repr(self.scenes),
            "setting": self.name,
            "max_episode_steps": self.max_episode_steps,
        }
        if self.setting is not None:
            told["model"] = fingerprint(self.setting.world)
        return told

    def make_envs(self, contestant: Contestant, task: str, count: int) -> list[NavigationEnv]:
        """``count`` environments of the task for a policy.

        Raises:
            TypeError, ValueError, FileNotFoundError: one sentence on the first argument that is wrong.
        """
        arguments: dict[str, Any] = contestant.env_arguments(task) | {"simulator": self.simulator}
        if self.setting is not None:
            arguments |= {"simulator": IMAGINED, "start_from": self.simulator, "model": self.setting.world}
            arguments |= self.setting.arguments
        venv = gymnasium.make_vec(
            f"Mirage/{task}-v0",
            num_envs=count,
            scenes=self.scenes,
            autoreset_mode="Disabled",
            max_episode_steps=self.max_episode_steps,
            **cast(Any, arguments),
        )
        envs: Sequence[NavigationEnv] = cast(Any, venv.unwrapped).envs
        if self.setting is not None:
            for env in envs:
                env.simulator = cast(Any, self.setting.adapt(cast(ImaginedSimulator, env.simulator)))
        return list(envs)


def true_simulator(name: str, scenes: Any) -> Simulator:
    """A true simulator of these scenes, for their list and their maps.

    Raises:
        TypeError, ValueError, FileNotFoundError: one sentence on scenes that do not exist.
    """
    if name not in TRUE:
        raise ValueError(f"unknown simulator {name!r}; valid are {', '.join(TRUE)}, or mirage for imagined worlds")
    return make_simulator(
        name,
        scenes=scenes,
        model="tiny",
        imagine="new",
        resolution=32,
        hfov=90.0,
        camera_height=1.25,
        allow_sliding=True,
        start_depth="true",
        latents=False,
        memory=False,
    )


def keep_scenes(simulator: str, count: int) -> None:
    """Let so many homes stay ready, up to ``MOST_KEPT``: a new one takes longer to generate than an episode to walk."""
    if simulator == "rooms":
        from mirage_env.simulators.rooms.prepared import KEPT_HOMES, keep_homes

        keep_homes(min(max(count, KEPT_HOMES), MOST_KEPT))


def file_name(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9.=+-]+", "_", name)
