"""Walks that leave, turn right round, return the same way and turn round again, to end exactly where they began."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, FloorMotion, Simulator, View

FORWARD, LEFT, RIGHT = 1, 2, 3
_MIRRORED = {FORWARD: FORWARD, LEFT: RIGHT, RIGHT: LEFT}
_TURNING_SHARE = 0.6
_PLACES = 160
_HEADINGS = 24
_FINALISTS = 24


class Leg(NamedTuple):
    """One part of a walk: its name, and the steps ``first`` to ``last``, included; step 0 is the start."""

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class RoundTrip:
    """A walk over the floor, whose last pose is bit for bit its first.

    Attributes:
        start: where it begins.
        motions: one per step.
        positions: feet (steps + 1, 3) in metres, from the start to the end.
        yaws: (steps + 1,) radians.
        legs: its parts, in order.
        forward_step: metres per step forward.
        turn_angle: radians per turn.
    """

    start: AgentStart
    motions: tuple[FloorMotion, ...]
    positions: Array
    yaws: Array
    legs: tuple[Leg, ...]
    forward_step: float
    turn_angle: float

    def __len__(self) -> int:
        return len(self.motions)

    def poses(self, camera_height: float) -> Array:
        """T_world_camera (steps + 1, 4, 4) float64 of the level camera."""
        pairs = zip(self.positions, self.yaws, strict=True)
        return np.stack([geometry.camera_pose(position, yaw, camera_height) for position, yaw in pairs])

    def leg(self, step: int) -> Leg:
        """The leg that ends or contains this step; the start belongs to the first."""
        return next(leg for leg in self.legs if step <= leg.last)

    @property
    def length(self) -> float:
        """Metres walked."""
        return float(sum(motion.forward for motion in self.motions))


def out_and_back(
    steps: int, start: AgentStart, way_out: Sequence[int], forward_step: float = 0.25, turn_angle: float | None = None
) -> RoundTrip:
    """The walk that takes the discrete actions ``way_out``, turns round, returns the same way, and turns round again.

    Args:
        steps: even, at least 4.
        start: where it begins.
        way_out: actions 1 forward, 2 left, 3 right; exactly ``out_steps(steps, turn_angle)`` of them.
        forward_step: metres.
        turn_angle: radians, a whole part of half a turn; None: ``fitting_turn_angle(steps)``.
    """
    turn_angle = fitting_turn_angle(steps) if turn_angle is None else turn_angle
    out = out_steps(steps, turn_angle)
    if len(way_out) != out:
        raise ValueError(f"a walk of {steps} steps has {out} actions on the way out, got {len(way_out)}")
    half = _half_turn(turn_angle)
    around = [LEFT] * half
    actions = [*way_out, *around, *(_MIRRORED[action] for action in reversed(way_out)), *around]
    # Whole turns are counted, not added up, and the way back reuses the places of the way out: nothing drifts.
    headings = np.cumsum([0, *({FORWARD: 0, LEFT: 1, RIGHT: -1}[action] for action in actions)]) % (2 * half)
    yaws = start.yaw + turn_angle * headings
    places = [np.asarray(start.position, dtype=np.float64)]
    for action, yaw in zip(way_out, yaws[:out], strict=True):
        places.append(places[-1] + (forward_step if action == FORWARD else 0.0) * geometry.forward(yaw))
    positions = [*places, *[places[-1]] * half, *places[-2::-1], *[places[0]] * half]
    turns = {FORWARD: 0.0, LEFT: turn_angle, RIGHT: -turn_angle}
    motions = tuple(FloorMotion(forward_step if a == FORWARD else 0.0, turns[a]) for a in actions)
    ends = np.cumsum([out, half, out, half]).tolist()
    names = ("out", "turn round", "back", "turn round again")
    legs = tuple(Leg(name, end - n + 1, end) for name, end, n in zip(names, ends, (out, half, out, half), strict=True))
    return RoundTrip(start, motions, np.stack(positions), yaws, legs, forward_step, turn_angle)


def fitting_turn_angle(steps: int) -> float:
    """The finest turn, 10° or coarser, with which two half turns take no more than about three fifths of the steps."""
    _check_steps(steps)
    half = next((n for n in (18, 12, 9, 6, 5, 4, 3, 2) if 2 * n <= _TURNING_SHARE * steps), 1)
    return math.pi / half


def out_steps(steps: int, turn_angle: float) -> int:
    """How many of the steps lead out; at least one."""
    _check_steps(steps)
    out = steps // 2 - _half_turn(turn_angle)
    if out < 1:
        raise ValueError(f"{steps} steps are too few to turn round twice by {math.degrees(turn_angle):g}° at a time")
    return out


def plan_out_and_back(
    simulator: Simulator, steps: int = 64, seed: int = 0, forward_step: float = 0.25, turn_angle: float | None = None
) -> RoundTrip:
    """A collision-free walk in the open scene of a true simulator that goes far and passes things worth seeing.

    Among many starts, headings and gentle bends it keeps the few that get farthest from where they began, and of those
    the one whose views hold most detail. The same scene and seed give the same walk. The simulator is left as it was.

    Args:
        simulator: a true simulator with a scene open.
        steps: even, at least 4.
        seed: 0 or above.
        forward_step: metres.
        turn_angle: radians; None: ``fitting_turn_angle(steps)``.
    """
    turn_angle = fitting_turn_angle(steps) if turn_angle is None else turn_angle
    out = out_steps(steps, turn_angle)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"the seed of a walk must be a whole number, 0 or above, got {seed!r}")
    rng = np.random.default_rng([int(seed), 64])
    before = simulator.snapshot()
    candidates: list[tuple[float, int, RoundTrip]] = []
    for _ in range(_PLACES):
        place = simulator.sample_navigable_point(rng)
        yaw = math.tau * float(rng.integers(_HEADINGS)) / _HEADINGS
        start = AgentStart((float(place[0]), float(place[1]), float(place[2])), yaw)
        side, turns = int(rng.choice([LEFT, RIGHT])), int(rng.choice([0, 2, 4]))
        way_out = _feel_out(simulator, start, _bend(out, min(turns, out // 3), side), side, forward_step, turn_angle)
        walk = out_and_back(steps, start, way_out, forward_step, turn_angle)
        reach = float(np.linalg.norm(walk.positions[out] - walk.positions[0]))
        candidates.append((reach, len(candidates), walk))
    candidates.sort(key=lambda c: (-c[0], c[1]))
    farthest = candidates[0][0]
    finalists = [c for c in candidates[:_FINALISTS] if c[0] >= 0.7 * farthest]
    best = max(finalists, key=lambda c: (_detail(simulator, c[2]), -c[1]))
    simulator.restore(before)
    return best[2]


def plan_blind(steps: int = 64, reach: float = math.inf, forward_step: float = 0.25) -> RoundTrip:
    """A walk for a world of which only one view is known, from the origin facing -Z: ahead in a gentle bend, and back.

    Args:
        steps: even, at least 4.
        reach: metres that are free ahead; the steps forward are shortened to stay within.
        forward_step: metres of a step forward where there is room.
    """
    turn_angle = fitting_turn_angle(steps)
    out = out_steps(steps, turn_angle)
    way_out = _bend(out, 2 if out >= 8 else 0, RIGHT)
    forward_step = min(forward_step, max(reach, 0.0) / max(way_out.count(FORWARD), 1))
    return out_and_back(steps, AgentStart((0.0, 0.0, 0.0), 0.0), way_out, forward_step, turn_angle)


def true_views(simulator: Simulator, poses: Any, camera_height: float) -> tuple[Array, Array]:
    """Images (T, H, W, 3) uint8 and z-depth (T, H, W) of the open scene from level poses (T, 4, 4).

    Moves the agent of simulators that cannot render from a pose alone.
    """
    render_views = getattr(simulator, "render_views", None)
    if render_views is not None:
        return render_views(np.asarray(poses, dtype=np.float32))
    views: list[View] = []
    for pose in poses:
        place, yaw = geometry.agent_pose(pose, camera_height)
        views.append(simulator.reset(None, AgentStart((float(place[0]), float(place[1]), float(place[2])), yaw)))
    return np.stack([view.rgb for view in views]), np.stack([view.depth for view in views])


def _bend(out: int, turns: int, side: int) -> list[int]:
    """``out`` actions, forward but for ``turns`` turns to one side, spread evenly and away from the ends."""
    actions = [FORWARD] * out
    for k in range(turns):
        actions[round((k + 1) * out / (turns + 1))] = side
    return actions


def _feel_out(
    simulator: Simulator, start: AgentStart, wanted: list[int], side: int, forward_step: float, turn_angle: float
) -> list[int]:
    """The wanted actions, with a turn to ``side`` in place of each step forward that something blocks."""
    simulator.reset(None, start)
    actions = []
    for action in wanted:
        if action == FORWARD:
            before = simulator.snapshot()
            if simulator.step(FloorMotion(forward_step, 0.0))[1]:
                simulator.restore(before)
                action = side
        if action != FORWARD:
            simulator.step(FloorMotion(0.0, turn_angle if action == LEFT else -turn_angle))
        actions.append(action)
    return actions


def _detail(simulator: Simulator, walk: RoundTrip) -> float:
    """How much there is to see: colour change between neighbouring pixels, at the start (twice) and further on.

    Surfaces within arm's reach fill a view without showing anything, so they count against it.
    """
    out = walk.legs[0].last
    poses = walk.poses(simulator.camera.height)
    chosen = [0, out // 2, out, walk.legs[1].last, walk.legs[2].last]
    weights = [2, 1, 1, 1, 1]
    rgb, depth = true_views(simulator, poses[chosen], simulator.camera.height)
    colours = rgb.astype(np.float32) / 255
    edges = np.abs(np.diff(colours, axis=1)).mean((1, 2, 3)) + np.abs(np.diff(colours, axis=2)).mean((1, 2, 3))
    crowded = ((depth > 0) & (depth < 1.0)).mean((1, 2))
    return float(np.average(np.minimum(edges, 0.15) * (1 - crowded), weights=weights))


def _half_turn(turn_angle: float) -> int:
    half = round(math.pi / turn_angle) if 0 < turn_angle <= math.pi else 0
    if half < 1 or abs(half * turn_angle - math.pi) > 1e-9:
        raise ValueError(f"a turn must be a whole part of 180°, such as 10°, got {math.degrees(turn_angle):g}°")
    return half


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 4 or steps % 2:
        raise ValueError(f"a walk out and back needs an even number of steps, at least 4, got {steps!r}")
