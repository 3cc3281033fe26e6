"""Settings of imagined worlds by name: what a ranking sweeps to find which of them makes imagination predictive."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mirage_env.evaluation.ablations import SWITCHES, noisy_depth
from mirage_env.evaluation.baselines import variants
from mirage_env.evaluation.informed import InformedSimulator
from mirage_env.memory import LatentMemory
from mirage_env.memory.rules import MemoryRules
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.tour import MOST_PLACES
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

DEFAULT = "default"


@dataclass(frozen=True, eq=False)
class WorldSetting:
    """A way to imagine worlds.

    Attributes:
        name: as it was written.
        world: the model to imagine with.
        arguments: of ``gymnasium.make``.
        informed: arguments of ``InformedSimulator``.
    """

    name: str
    world: WorldModel
    arguments: dict[str, Any] = field(default_factory=dict)
    informed: dict[str, bool] = field(default_factory=dict)

    def adapt(self, simulator: ImaginedSimulator) -> ImaginedSimulator:
        """The simulator to use in place of one that was made with the model and the arguments."""
        plain = isinstance(self.world.new_memory(), LatentMemory) and not self.informed
        return simulator if plain else InformedSimulator(simulator, **self.informed)


class NoisyStartDepth(WorldModel):
    """A world whose cameras measure depth with relative errors of standard deviation ``sigma``: see ``noisy_depth``.

    The errors of a view are the same whenever a world with its seed is told it.
    """

    def __init__(self, world: WorldModel, sigma: float) -> None:
        vars(self).update(vars(world))
        self.sigma = sigma

    def _observe(
        self, state: WorldState, image: Any, pose: Any, depth: Any, hfov: float, camera_height: float | None
    ) -> WorldState:
        if depth is not None:
            seeds = [state.seed, *np.asarray(pose, dtype=np.float32).ravel().view(np.uint32).tolist()]
            depth = noisy_depth(np.asarray(depth), self.sigma, self.codec.stride, np.random.default_rng(seeds))
        return super()._observe(state, image, pose, depth, hfov, camera_height)


def world_setting(text: str, world: WorldModel, arguments: Mapping[str, Any] | None = None) -> WorldSetting:
    """The setting that ``text`` names, several joined by "+": "start-views=4+true-depth".

    default            the world as it is
    memory-off         every view imagined from nothing; no obstacle is known (``NoMemory``)
    rgb-memory         coloured points instead of latents, and obstacles from these points (``RGBMemory``)
    no-merge, …        a rule of the memory turned off, see ``ablations.SWITCHES``
    no-look-ahead      a step imagines what it sees, and no more
    denoiser-steps=N   network passes per imagined view
    imagine=MODE       always, new or never
    start-views=N      1 to 8 true views to begin with, all round
    tour=N             true views all round from 1 to 32 other places, too
    seen-obstacles     what was imagined is shown, but stops nobody
    sure-obstacles     nor does what was imagined with doubt
    true-depth         the true depth of start views
    depth-noise=S      that, with relative errors of standard deviation S
    true-collisions    the truth says where the agent can walk and how far it is to the goal; views are imagined
    true-views         each view on the way is the true one, and is told to the memory with its depth; walls are the
                       memory's

    Args:
        world: that imagines.
        arguments: of ``gymnasium.make``, for what the setting leaves open.

    Raises:
        ValueError: one sentence on a setting that does not exist, or a value that makes no sense.
    """
    setting = WorldSetting(text, world, dict(arguments or {}))
    for part in text.split("+"):
        name, _, value = part.partition("=")
        if name not in _CHANGES or bool(value) != (name in _TAKE_VALUES):
            shown = [f"{known}={_TAKE_VALUES[known]}" if known in _TAKE_VALUES else known for known in _CHANGES]
            raise ValueError(f"unknown setting {part!r}; valid are {', '.join(shown)}, or several joined by +")
        setting = _CHANGES[name](setting, value)
    return setting


def world_settings(texts: Sequence[str], world: WorldModel) -> list[WorldSetting]:
    """The settings, each named once; ValueError otherwise, or for none."""
    if not texts:
        raise ValueError(f"name at least one setting of the imagined worlds, such as {DEFAULT!r}")
    if len(set(texts)) < len(texts):
        raise ValueError(f"each setting can be named once, got {', '.join(texts)}")
    return [world_setting(text, world) for text in texts]


Change = Callable[[WorldSetting, str], WorldSetting]


def _arguments(**made: Any) -> Change:
    return lambda setting, value: dataclasses.replace(setting, arguments=setting.arguments | made)


def _argument(name: str, convert: Callable[[str], Any]) -> Change:
    return lambda setting, value: dataclasses.replace(setting, arguments=setting.arguments | {name: convert(value)})


def _memory(name: str) -> Change:
    def change(setting: WorldSetting, value: str) -> WorldSetting:
        return dataclasses.replace(setting, world=variants(setting.world)[name].world)

    return change


def _rule(changes: dict[str, Any]) -> Change:
    def change(setting: WorldSetting, value: str) -> WorldSetting:
        made = setting.world.with_rules(dataclasses.replace(MemoryRules(), **changes), setting.name)
        return dataclasses.replace(setting, world=made)

    return change


def _truth(name: str) -> Change:
    return lambda setting, value: dataclasses.replace(setting, informed=setting.informed | {name: True})


def _denoiser_steps(setting: WorldSetting, value: str) -> WorldSetting:
    world = copy.copy(setting.world)
    world.denoiser_steps = int(_number(value, 1, 1000, "denoiser-steps", whole=True))
    return dataclasses.replace(setting, world=world)


def _no_look_ahead(setting: WorldSetting, value: str) -> WorldSetting:
    world = copy.copy(setting.world)
    world.look_ahead = 0.0
    return dataclasses.replace(setting, world=world)


def _depth_noise(setting: WorldSetting, value: str) -> WorldSetting:
    sigma = _number(value, 0, 1, "depth-noise")
    arguments = setting.arguments | {"start_depth": "true"}
    return dataclasses.replace(setting, world=NoisyStartDepth(setting.world, sigma), arguments=arguments)


def _number(text: str, least: float, most: float, name: str, whole: bool = False) -> float:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = np.nan
    if not least <= number <= most:
        kind = "whole number" if whole else "number"
        raise ValueError(f"{name} takes a {kind} from {least} to {most}, got {text!r}")
    return number


_CHANGES: dict[str, Change] = {
    DEFAULT: lambda setting, value: setting,
    "memory-off": _memory("memory_off"),
    "rgb-memory": _memory("rgb_memory"),
    **{name.replace(" ", "-"): _rule(changes) for name, changes in SWITCHES.items()},
    "no-look-ahead": _no_look_ahead,
    "denoiser-steps": _denoiser_steps,
    "imagine": _argument("imagine", str),
    "start-views": _argument("num_start_views", lambda text: int(_number(text, 1, 8, "start-views", whole=True))),
    "tour": _argument("tour", lambda text: int(_number(text, 1, MOST_PLACES, "tour", whole=True))),
    "seen-obstacles": _arguments(obstacles="seen"),
    "sure-obstacles": _arguments(obstacles="sure"),
    "true-depth": _arguments(start_depth="true"),
    "depth-noise": _depth_noise,
    "true-collisions": _truth("true_collisions"),
    "true-views": _truth("true_views"),
}
_TAKE_VALUES = {"denoiser-steps": "N", "imagine": "MODE", "start-views": "N", "tour": "N", "depth-noise": "S"}
