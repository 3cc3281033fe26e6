"""What an action means: each kind has a space, and a function that makes the motion of an action.

    "discrete"   Discrete(4)          0 stop, 1 move_forward, 2 turn_left, 3 turn_right (Habitat's)
    "velocity"   Box(-1, 1, (2,))     v in m/s (positive: ahead), w in rad/s (positive: left)
    "camera"     Box(-1, 1, (6,))     twist of the camera in its own frame: m/s along x, y, z, then rad/s about them

Velocities hold for one control period of ``forward_step / (1 m/s)``: full speed for one step covers ``forward_step``
metres, and with the default 0.25 m a full turn rate turns by 0.25 rad. The bounds ±1 are thus both physical units and
the normalised range that learning libraries ask for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import CameraMotion, FloorMotion, Motion

STOP, MOVE_FORWARD, TURN_LEFT, TURN_RIGHT = range(4)

STOP_FRACTION = 0.1
"""A velocity action with v and w both below this share of full speed calls stop (as in Habitat's velocity control)."""


class Command(NamedTuple):
    """What an action asks for.

    Attributes:
        motion: None to stay.
        stop: whether it calls stop, for tasks in which that ends an episode.
    """

    motion: Motion | None
    stop: bool = False


@dataclass(frozen=True, eq=False)
class Actions:
    """One kind of actions.

    Attributes:
        kind: its name.
        space: of the actions.
        command: what an action asks for; ValueError for one outside the space.
    """

    kind: str
    space: spaces.Space[Any]
    command: Callable[[Any], Command]


def discrete(forward_step: float = 0.25, turn_angle_deg: float = 10.0) -> Actions:
    """Habitat's actions: metres of a step ahead, degrees of a turn."""
    turn = math.radians(turn_angle_deg)
    commands = (
        Command(None, stop=True),
        Command(FloorMotion(forward=forward_step)),
        Command(FloorMotion(turn=turn)),
        Command(FloorMotion(turn=-turn)),
    )

    def command(action: Any) -> Command:
        index = np.asarray(action)
        if index.shape != () or not np.issubdtype(index.dtype, np.integer) or not 0 <= index < len(commands):
            raise ValueError(
                "a discrete action must be 0 (stop), 1 (move_forward), 2 (turn_left) or 3 (turn_right), "
                f"got {_shown(action)}"
            )
        return commands[int(index)]

    return Actions("discrete", spaces.Discrete(len(commands)), command)


def velocity(forward_step: float = 0.25, turn_angle_deg: float = 10.0) -> Actions:
    """Speeds for one control period of ``forward_step`` seconds; ``turn_angle_deg`` plays no part."""

    def command(action: Any) -> Command:
        v, w = _numbers(action, 2, "a velocity action must be two numbers (v in m/s, w in rad/s)")
        stop = bool(abs(v) < STOP_FRACTION and abs(w) < STOP_FRACTION)
        return Command(FloorMotion(float(v) * forward_step, float(w) * forward_step), stop)

    return Actions("velocity", spaces.Box(-1.0, 1.0, (2,), np.float32), command)


def camera(forward_step: float = 0.25, turn_angle_deg: float = 10.0) -> Actions:
    """A twist for one control period of ``forward_step`` seconds; ``turn_angle_deg`` plays no part."""

    def command(action: Any) -> Command:
        twist = _numbers(action, 6, "a camera action must be six numbers (m/s along x, y, z; rad/s about x, y, z)")
        return Command(CameraMotion(geometry.exp_twist(twist * forward_step)))

    return Actions("camera", spaces.Box(-1.0, 1.0, (6,), np.float32), command)


KINDS: dict[str, Callable[[float, float], Actions]] = {"discrete": discrete, "velocity": velocity, "camera": camera}


def make_actions(kind: str, forward_step: float = 0.25, turn_angle_deg: float = 10.0) -> Actions:
    """The actions of this kind.

    Args:
        kind: "discrete", "velocity" or "camera".
        forward_step: metres.
        turn_angle_deg: degrees.

    Raises:
        ValueError: for an unknown kind, a step outside (0, 10] m or a turn outside (0, 180] degrees.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown actions {kind!r}; valid are {', '.join(KINDS)}")
    if not 0 < forward_step <= 10:
        raise ValueError(f"forward_step must lie in (0, 10] metres, got {forward_step}")
    if not 0 < turn_angle_deg <= 180:
        raise ValueError(f"turn_angle_deg must lie in (0, 180] degrees, got {turn_angle_deg}")
    return KINDS[kind](float(forward_step), float(turn_angle_deg))


def _numbers(action: Any, count: int, wanted: str) -> Array:
    try:
        numbers = np.asarray(action, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    # NaN fails the comparison, as it should.
    if numbers.shape != (count,) or not (np.abs(numbers) <= 1).all():
        raise ValueError(f"{wanted} in [-1, 1], got {_shown(action)}")
    return numbers


def _shown(action: Any) -> str:
    return repr(action) if np.size(np.asarray(action, dtype=object)) <= 8 else f"an array of shape {np.shape(action)}"
