"""How a motion that was asked for differs from the one that is made: models of actuation noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import FloorMotion

TRUNCATED_AT = 3.0
"""Standard deviations beyond which no noise of the LoCoBot is drawn."""
LEAST_SHARE = 0.05
"""Of the amount asked for that a LoCoBot moves or turns at least."""


class Spread(NamedTuple):
    """Means and variances of one kind of motion: metres ahead, metres to the right, and radians."""

    means: tuple[float, float, float]
    variances: tuple[float, float, float]


class Controller(NamedTuple):
    """The errors of motions ahead, and of turns in place."""

    ahead: Spread
    turning: Spread


LOCOBOT = {
    "ILQR": Controller(
        Spread((0.014, 0.009, 0.008), (0.006, 0.005, 0.004)), Spread((0.003, 0.003, 0.023), (0.002, 0.003, 0.012))
    ),
    "Proportional": Controller(
        Spread((0.017, 0.042, 0.031), (0.007, 0.023, 0.026)), Spread((0.001, 0.005, 0.043), (0.001, 0.004, 0.017))
    ),
    "Movebase": Controller(
        Spread((0.074, 0.036, 0.189), (0.019, 0.033, 0.038)), Spread((0.002, 0.003, 0.219), (0.0, 0.002, 0.019))
    ),
}
"""By the robot's controller. Measured on a LoCoBot with PyRobot (Murali et al. 2019, arXiv 1906.08236), as published in
habitat-sim (``habitat_sim/agent/controls/pyrobot_noisy_controls.py``), which reads the second triple as variances."""


@dataclass(frozen=True)
class GaussianActuation:
    """Independent normal errors.

    Args:
        translation: standard deviation in metres, ahead and sideways alike, of motions that go ahead or back.
        rotation_deg: standard deviation in degrees of the heading after any motion.
    """

    translation: float = 0.0
    rotation_deg: float = 0.0

    def __post_init__(self) -> None:
        _check_size(self.translation, "translation", "metres")
        _check_size(self.rotation_deg, "rotation_deg", "degrees")

    def errors(self, motion: FloorMotion, rng: np.random.Generator) -> Array:
        """Metres ahead, metres to the left and radians to the left (3,) to be added to a motion."""
        sizes = np.array([self.translation, self.translation, math.radians(self.rotation_deg)])
        return rng.standard_normal(3) * sizes * (1.0 if motion.forward else 0.0, 1.0 if motion.forward else 0.0, 1.0)


@dataclass(frozen=True)
class LoCoBotActuation:
    """PyRobot's model of a LoCoBot, as habitat-sim draws from it.

    A motion ahead errs by one triple of normal errors (ahead, to the right, heading), a turn in place by another, each
    cut off at three standard deviations; the robot always makes at least 5 % of what was asked. Errors have the sign of
    the motion: a robot overshoots, whichever way it goes. A motion that goes ahead and turns errs as one ahead.

    Args:
        controller: "ILQR", "Proportional" or "Movebase".
        multiplier: factor on the errors (0.5 in the Habitat Challenge of 2020).
    """

    controller: str = "ILQR"
    multiplier: float = 1.0

    def __post_init__(self) -> None:
        if self.controller not in LOCOBOT:
            raise ValueError(f"unknown controller {self.controller!r} of a LoCoBot; valid are {', '.join(LOCOBOT)}")
        _check_size(self.multiplier, "multiplier", "1")

    def errors(self, motion: FloorMotion, rng: np.random.Generator) -> Array:
        """Metres ahead, metres to the left and radians to the left (3,) to be added to a motion."""
        from scipy.special import ndtr, ndtri

        ahead = motion.forward != 0
        means, variances = map(np.array, getattr(LOCOBOT[self.controller], "ahead" if ahead else "turning"))
        sizes = np.sqrt(variances)
        low = np.full(3, -TRUNCATED_AT)
        own, amount = (0, motion.forward) if ahead else (2, motion.turn)
        low[own] = max(((LEAST_SHARE - 1) * abs(amount) - means[own]) / sizes[own], -TRUNCATED_AT)
        below, above = ndtr(low), ndtr(TRUNCATED_AT)
        right = self.multiplier * (means + sizes * ndtri(below + rng.random(3) * (above - below)))
        way, spin = (-1.0 if motion.forward < 0 else 1.0), (-1.0 if motion.turn < 0 else 1.0)
        return right * (way, -way, spin)


ActuationNoise = GaussianActuation | LoCoBotActuation


def with_errors(motion: FloorMotion, errors: Array) -> FloorMotion:
    """The motion that ends so many metres further ahead and to the left, as the agent faces before it, and radians to
    the left (3,)."""
    ahead, left, spin = errors.tolist()
    half = motion.turn / 2
    chord = motion.forward * float(np.sinc(half / math.pi))
    ahead, left = ahead + chord * math.cos(half), left + chord * math.sin(half)
    turn = motion.turn + spin
    c, s = math.cos(turn / 2), math.sin(turn / 2)
    return FloorMotion((c * ahead + s * left) / float(np.sinc(turn / math.tau)), turn, c * left - s * ahead)


def _check_size(value: float, name: str, unit: str) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (number and 0 <= value < math.inf):
        raise ValueError(f"{name} of actuation noise must be 0 or more ({unit}), got {value!r}")
