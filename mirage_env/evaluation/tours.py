"""Walks on which worlds are judged: errands through a home, loops that end where they began, errands in one room."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from mirage_env import geometry
from mirage_env.data.behaviour import Walk, random_goal, walk_to, wander
from mirage_env.evaluation.walks import FORWARD, RoundTrip, fitting_turn_angle, out_and_back, out_steps
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion, Motion, Simulator, View

FORWARD_STEP = 0.25
"""Metres per step forward on all walks."""
TURN_ANGLE = math.radians(10.0)
ROOM_AHEAD = 6
"""Steps forward that a start leaves free."""
ROOM_RADIUS = 2.5
"""Metres of floor around the start that count as its room where the simulator knows no rooms."""
_TRIES = 48
SURVEY = 4
"""Places of a room from which an agent looks all round before anything else."""
_FULL_TURN = 36
_ERRAND = 30
_PATIENCE = 8


class Careful:
    """A simulator in which a blocked motion is not taken at all, so that every motion taken has its full length."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    @property
    def camera(self) -> Camera:
        """That of the simulator."""
        return self.simulator.camera

    def __getattr__(self, name: str) -> Any:
        return getattr(self.simulator, name)

    def step(self, motion: Motion) -> tuple[View, bool]:
        """As ``Simulator.step``, but after a collision the agent stands where it stood."""
        before = self.simulator.snapshot()
        view, collided = self.simulator.step(motion)
        return (self.simulator.restore(before), True) if collided else (view, False)


def find_start(simulator: Simulator, rng: np.random.Generator) -> AgentStart:
    """A random place and heading in the open scene with room for ``ROOM_AHEAD`` steps forward.

    The first random one that has it, else of ``_TRIES`` the one with most; the agent is left anywhere.
    """
    best, most = None, -1
    for _ in range(_TRIES):
        place = simulator.sample_navigable_point(rng)
        start = AgentStart((float(place[0]), float(place[1]), float(place[2])), float(rng.uniform(-math.pi, math.pi)))
        simulator.reset(None, start)
        free = 0
        while free < ROOM_AHEAD and not simulator.step(FloorMotion(FORWARD_STEP))[1]:
            free += 1
        if free > most:
            best, most = start, free
        if free == ROOM_AHEAD:
            break
    assert best is not None
    return best


def wandering(simulator: Simulator, start: AgentStart, steps: int, rng: np.random.Generator) -> Array:
    """Poses (steps + 1, 4, 4) of an agent that behaves as in data collection: errands, looks around, out and back."""
    walk = Walk(simulator, steps + 1, FORWARD_STEP, TURN_ANGLE)
    walk.begin(None, start)
    wander(walk, rng)
    return _poses(walk)


def errand_loop(simulator: Simulator, start: AgentStart, steps: int, rng: np.random.Generator) -> RoundTrip:
    """A walk out along errands through the home, and back the same way to exactly where it began.

    It leaves straight ahead as far as there is room, then follows shortest paths to random places without ever
    touching anything, however long it is.

    Args:
        steps: even, at least 4.
    """
    turn_angle = fitting_turn_angle(steps)
    out = out_steps(steps, turn_angle)
    # Tries that were blocked add views, too, so that more of them are allowed than the walk has steps.
    walk = Walk(cast(Simulator, Careful(simulator)), 20 * out + 2, FORWARD_STEP, turn_angle)
    walk.begin(None, start)
    for _ in range(min(ROOM_AHEAD, out)):
        if walk.act(FORWARD):
            break
    idle = 0
    while len(_taken(walk)) < out:
        taken = len(_taken(walk))
        walk_to(walk, random_goal(walk, rng), rng, limit=min(_ERRAND, out))
        idle = 0 if len(_taken(walk)) > taken else idle + 1
        if idle >= _PATIENCE or walk.done:  # nowhere to go from here: look around for the rest
            walk.frames = len(walk.views) + out
            walk.turn(out, int(rng.integers(2, 4)))
    return out_and_back(steps, start, _taken(walk)[:out], FORWARD_STEP, turn_angle)


def errands_in_room(simulator: Simulator, start: AgentStart, steps: int, rng: np.random.Generator) -> Array:
    """Poses (steps + 1, 4, 4) of a survey, then errands and looks around, that stay in the room of the start.

    In the survey the agent looks all round at ``SURVEY`` places, each as far as can be from those before. The room is
    the one that a generated home names; elsewhere, the floor within ``ROOM_RADIUS`` metres of way.
    """
    walk = Walk(simulator, steps + 1, FORWARD_STEP, TURN_ANGLE)
    walk.begin(None, start)
    place = np.asarray(start.position)
    inside = _room_of(simulator, place)
    known = [place]
    while not walk.done:
        near = [goal for goal in (simulator.sample_navigable_point(rng) for _ in range(64)) if inside(goal)]
        if len(known) <= SURVEY or rng.random() < 0.3:
            walk.turn(
                _FULL_TURN if len(known) <= SURVEY else int(rng.integers(9, _FULL_TURN + 1)), int(rng.integers(2, 4))
            )
        if not near:
            walk.turn(9, 2)
            continue
        goal = near[0]
        if len(known) < SURVEY:
            goal = max(near, key=lambda p: min(float(np.linalg.norm(p - other)) for other in known))
        known.append(goal)
        walk_to(walk, goal, rng, limit=_ERRAND)
    return _poses(walk)


def _room_of(simulator: Simulator, place: Array) -> Any:
    """The test for lying in the room of a place (3,), with a margin to doorways, through which paths might leave."""
    home = getattr(simulator, "home", None)
    if home is not None:
        import shapely

        rooms = [room.polygon for room in home.rooms]
        point = shapely.Point(place[0], place[2])
        polygon = min(rooms, key=lambda room: room.distance(point))
        shapely.prepare(polygon)
        return lambda goal: bool(shapely.contains_xy(polygon, goal[0], goal[2]))
    return lambda goal: simulator.geodesic_distance(goal, place) <= ROOM_RADIUS


def _taken(walk: Walk) -> list[int]:
    return [action for action, collided in zip(walk.actions, walk.collided[1:], strict=True) if not collided]


def _poses(walk: Walk) -> Array:
    return np.stack([geometry.check_pose(view.pose) for view in walk.views])
