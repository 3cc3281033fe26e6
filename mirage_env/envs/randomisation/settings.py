"""What is randomised, and how much; checked before anything is made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from mirage_env.envs.randomisation.actuation import ActuationNoise, GaussianActuation, LoCoBotActuation
from mirage_env.lighting import COLDEST, DAYLIGHT, WARMEST

Range = tuple[float, float]
"""Lowest and highest value; draws are uniform."""

MODELS = {"gaussian": GaussianActuation, "locobot": LoCoBotActuation}


@dataclass(frozen=True)
class PoseNoise:
    """Errors of the agent's position and compass sensors: normal, new at every observation.

    Args:
        position: standard deviation in metres, along both axes of the floor.
        heading_deg: standard deviation in degrees.
    """

    position: float = 0.0
    heading_deg: float = 0.0

    def __post_init__(self) -> None:
        for name, unit in (("position", "metres"), ("heading_deg", "degrees")):
            value = getattr(self, name)
            if not (_is_number(value) and 0 <= value < math.inf):
                raise ValueError(f"{name} of pose_noise must be 0 or more {unit}, got {value!r}")


@dataclass(frozen=True)
class LightingRanges:
    """The lights of episodes; a single number is a range of one value. See ``mirage_env.lighting.Lighting``."""

    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    temperature: Range = (DAYLIGHT, DAYLIGHT)

    def __post_init__(self) -> None:
        limits = {"brightness": (0.05, 20.0), "contrast": (0.0, 5.0), "temperature": (WARMEST, COLDEST)}
        for name, (least, most) in limits.items():
            object.__setattr__(self, name, _range(getattr(self, name), f"{name} of lighting", least, most))


@dataclass(frozen=True)
class Randomisation:
    """What is drawn anew, beside the episodes themselves; None: it is as the environment says.

    Args:
        pose_noise: of the observations ``pointgoal`` and ``pose``, at every step. ``info`` stays true.
        actuation: of the motions that are made, at every step.
        camera_height: metres above the floor, drawn for every episode.
        hfov: degrees, drawn for every episode.
        lighting: of the views of a true world and of the image an imagined world begins with, drawn for every episode.
        seed: another seed gives other draws in the same episodes.
    """

    pose_noise: PoseNoise | None = None
    actuation: ActuationNoise | None = None
    camera_height: Range | None = None
    hfov: Range | None = None
    lighting: LightingRanges | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.camera_height is not None:
            object.__setattr__(self, "camera_height", _range(self.camera_height, "camera_height", 0.05, 10.0))
        if self.hfov is not None:
            object.__setattr__(self, "hfov", _range(self.hfov, "hfov", 1.0, 179.0))
        whole = isinstance(self.seed, int | np.integer) and not isinstance(self.seed, bool)
        if not (whole and 0 <= self.seed < 2**64):
            raise ValueError(f"seed of randomise must be a whole number from 0 to below 2**64, got {self.seed!r}")

    def to_numbers(self) -> dict[str, Any]:
        """Plain lists and numbers by name, for files; those of different randomisations differ."""
        told = dataclasses.asdict(self)
        if self.actuation is not None:
            told["actuation"]["model"] = next(name for name, kind in MODELS.items() if isinstance(self.actuation, kind))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


NOTHING = Randomisation()


def make_randomisation(settings: Any) -> Randomisation:
    """What ``randomise=`` of an environment means.

    Args:
        settings: None, a ``Randomisation``, or a mapping with its names: ``pose_noise`` (a mapping of its numbers),
            ``actuation`` ("gaussian" or "locobot" with its defaults, or a mapping with ``model`` and its numbers),
            ``camera_height`` and ``hfov`` ((low, high)), ``lighting`` (a mapping of ranges) and ``seed``.

    Raises:
        TypeError, ValueError: one sentence on the first setting that is wrong.
    """
    if settings is None:
        return NOTHING
    if isinstance(settings, Randomisation):
        return settings
    given = _mapping(settings, "randomise", Randomisation)
    made = {name: value for name, value in given.items() if value is not None}
    for name, kind in (("pose_noise", PoseNoise), ("lighting", LightingRanges)):
        if name in made and not isinstance(made[name], kind):
            made[name] = kind(**_mapping(made[name], name, kind))
    if "actuation" in made and not isinstance(made["actuation"], tuple(MODELS.values())):
        made["actuation"] = _actuation(made["actuation"])
    return Randomisation(**made)


def _actuation(given: Any) -> ActuationNoise:
    told = {"model": given} if isinstance(given, str) else given
    if not isinstance(told, Mapping):
        raise TypeError(f"actuation must be {' or '.join(map(repr, MODELS))} or a mapping with a model, got {given!r}")
    model = told.get("model")
    if model not in MODELS:
        raise ValueError(f"unknown model {model!r} of actuation noise; valid are {', '.join(MODELS)}")
    numbers = {name: value for name, value in told.items() if name != "model"}
    return cast(ActuationNoise, MODELS[model](**_mapping(numbers, f"actuation {model}", MODELS[model])))


def _mapping(given: Any, name: str, kind: type[Any]) -> dict[str, Any]:
    """The entries; TypeError or ValueError unless they are fields of this dataclass."""
    known = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a mapping with any of {', '.join(known)}, got {given!r}")
    unknown = [str(key) for key in given if key not in known]
    if unknown:
        raise ValueError(f"{name} has no setting {unknown[0]!r}; valid are {', '.join(known)}")
    return dict(given)


def _range(given: Any, name: str, least: float, most: float) -> Range:
    pair = (given, given) if _is_number(given) else given
    if not (isinstance(pair, Sequence) and len(pair) == 2 and all(map(_is_number, pair))):
        raise ValueError(f"{name} must be a range (low, high), got {given!r}")
    low, high = float(pair[0]), float(pair[1])
    if not least <= low <= high <= most:
        raise ValueError(f"{name} must be a range (low, high) within {least:g} to {most:g}, got {given!r}")
    return low, high


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
