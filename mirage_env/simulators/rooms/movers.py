"""How movers go about in a home: from place to place along shortest paths, giving way to the agent and to each other.

State in, state out: what a mover does next follows from its state, the seed, and where everybody stands. Plans are
two-dimensional: points are (x, z) in metres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely

from mirage_env.simulators.navigation import PolygonNavigation

GAP = 0.1
"""Metres that movers leave between themselves and whoever is in their way."""
SLOWEST, FASTEST = 0.06, 0.14
"""Metres per time step of a mover in full stride."""
_ACCELERATION = 0.03  # metres per time step, per time step
_TURN_RATE = math.radians(22)  # per time step
_TURN_FIRST = math.radians(50)  # a mover that faces further away from its way turns on the spot
_LOOK_AHEAD = 0.2
_EASE = 0.34  # change of vigour per time step
_SHORTEST_LEG = 1.5
_LEG_CANDIDATES = 8
_PLACES = 96
_AWAY_FROM_AGENT = 1.2

Point = tuple[float, float]


class Disc(NamedTuple):
    """Room that somebody takes on the floor: centre (x, z) and radius in metres."""

    x: float
    z: float
    radius: float


class MoverState(NamedTuple):
    """One mover at one time, as a value.

    Attributes:
        x, z: where it stands, metres.
        yaw: radians, as of an agent.
        speed: metres of its last time step.
        travelled: metres since the beginning, which decide the phase of its stride.
        vigour: 0 standing to 1 walking.
        leg: how many destinations it has had.
        path: (x, z) corners of the way to its destination, where it stood first.
        along: metres of the path behind it.
        pause: time steps that it will stand still at least.
        waited: time steps for which somebody has been in its way.
    """

    x: float
    z: float
    yaw: float
    speed: float = 0.0
    travelled: float = 0.0
    vigour: float = 0.0
    leg: int = 0
    path: tuple[Point, ...] = ()
    along: float = 0.0
    pause: int = 0
    waited: int = 0


class Walker(NamedTuple):
    """What a mover's way depends on besides its state.

    Attributes:
        navigation: where a body of its size can be.
        cruise: metres per time step in full stride.
        patience: time steps that it waits before it goes elsewhere.
        seed: with the number of the leg, it decides every destination.
    """

    navigation: PolygonNavigation
    cruise: float
    patience: int
    seed: tuple[int, ...]


def place_walkers(walkers: Sequence[Walker], agent: Disc) -> tuple[MoverState, ...]:
    """Where walkers begin: clear of each other, and if there is room well away from the agent.

    Raises:
        ValueError: they do not fit on the floor.
    """
    taken: list[Disc] = []
    states = []
    for number, walker in enumerate(walkers):
        rng = _rng(walker, 0)
        places = [walker.navigation.sample(rng)[[0, 2]] for _ in range(_PLACES)]
        radius = walker.navigation.agent_radius
        free = [(float(x), float(z)) for x, z in places if all(_room(x, z, radius, d) >= GAP for d in taken)]
        if not free:
            raise ValueError(f"there is no room for mover {number + 1} of {len(walkers)}; ask for fewer movers")
        roomy = (p for p in free if _room(*p, radius, agent) >= _AWAY_FROM_AGENT)
        x, z = next(roomy, max(free, key=lambda p: _room(*p, radius, agent)))
        taken.append(Disc(x, z, radius))
        states.append(MoverState(x, z, float(rng.uniform(-math.pi, math.pi))))
    crowd = [agent, *taken]
    legs = []
    for i, (walker, state) in enumerate(zip(walkers, states, strict=True)):
        ready = _next_leg(walker, state, [*crowd[: i + 1], *crowd[i + 2 :]])
        if len(ready.path) > 1:
            (x0, z0), (x1, z1) = ready.path[:2]
            ready = ready._replace(yaw=math.atan2(x0 - x1, z0 - z1))
        legs.append(ready._replace(pause=0))
    return tuple(legs)


def step_walkers(walkers: Sequence[Walker], states: tuple[MoverState, ...], agent: Disc) -> tuple[MoverState, ...]:
    """One time step of all walkers, one after another; the agent has moved already."""
    now = list(states)
    for i, walker in enumerate(walkers):
        others = [agent]
        others += [
            Disc(s.x, s.z, w.navigation.agent_radius)
            for j, (w, s) in enumerate(zip(walkers, now, strict=True))
            if j != i
        ]
        now[i] = _step(walker, now[i], others)
    return tuple(now)


def contact(x: float, z: float, dx: float, dz: float, radius: float, discs: Sequence[Disc]) -> float:
    """The share of a straight motion (dx, dz) from (x, z) that a disc can make before it meets another one.

    Discs that overlap at the start do not hold it if it moves away.
    """
    share = 1.0
    length2 = dx * dx + dz * dz
    if length2 == 0:
        return share
    for disc in discs:
        ox, oz, reach = x - disc.x, z - disc.z, radius + disc.radius
        closing = -(ox * dx + oz * dz)
        if closing <= 0:
            continue
        apart = ox * ox + oz * oz - reach * reach
        root = closing * closing - length2 * apart
        if apart <= 0:
            share = 0.0
        elif root > 0:
            share = min(share, max((closing - math.sqrt(root)) / length2, 0.0))
    return share


def _step(walker: Walker, state: MoverState, others: Sequence[Disc]) -> MoverState:
    length = _length(state.path)
    if state.along >= length - 1e-9 or state.waited > walker.patience:
        state = _next_leg(walker, state, others)
        length = _length(state.path)
    if state.pause > 0:
        return _stand(state._replace(pause=state.pause - 1))
    ahead_x, ahead_z = _on_path(state.path, min(state.along + _LOOK_AHEAD, length))
    wanted = state.yaw
    if math.hypot(ahead_x - state.x, ahead_z - state.z) > 1e-6:
        wanted = math.atan2(state.x - ahead_x, state.z - ahead_z)
    error = math.remainder(wanted - state.yaw, math.tau)
    turn = min(max(error, -_TURN_RATE), _TURN_RATE)
    yaw = math.remainder(state.yaw + turn, math.tau)
    left = abs(error - turn)
    if left > _TURN_FIRST:
        return _stand(state._replace(yaw=yaw))
    # It slows down for bends, and so that it comes to rest where its path ends.
    rest = length - state.along
    wish = min(walker.cruise * math.cos(left), max(0.6 * rest, 0.02), rest)
    speed = min(max(wish, state.speed - _ACCELERATION), state.speed + _ACCELERATION, rest)
    x, z = _on_path(state.path, state.along + speed)
    radius = walker.navigation.agent_radius
    if any(_room(x, z, radius, d) < min(GAP, _room(state.x, state.z, radius, d)) for d in others):
        return _stand(state._replace(yaw=yaw, waited=state.waited + 1))
    return state._replace(
        x=x,
        z=z,
        yaw=yaw,
        speed=speed,
        travelled=state.travelled + speed,
        vigour=_eased(state.vigour, min(1.0, 0.35 + speed / walker.cruise)),
        along=state.along + speed,
        waited=0,
    )


def _stand(state: MoverState) -> MoverState:
    return state._replace(speed=0.0, vigour=_eased(state.vigour, 0.0))


def _eased(vigour: float, wish: float) -> float:
    return vigour + min(max(wish - vigour, -_EASE), _EASE)


def _next_leg(walker: Walker, state: MoverState, others: Sequence[Disc]) -> MoverState:
    """The same mover with a new destination: far enough, roomy, and not straight past somebody who is in the way."""
    rng = _rng(walker, state.leg + 1)
    here = np.array([state.x, 0.0, state.z])
    best, best_score = np.zeros((0, 3)), -math.inf
    for place in [walker.navigation.sample(rng) for _ in range(_LEG_CANDIDATES)]:
        path = walker.navigation.shortest_path(here, place)
        if len(path) < 2:
            continue
        corners = [(float(p[0]), float(p[2])) for p in path]
        long_enough = min(_length(corners) / _SHORTEST_LEG, 1.0)
        score = 2.0 * long_enough + 4.0 * min(_clearance(walker, corners[-1]), 0.25)
        x, z = _on_path(corners, 0.3)
        radius = walker.navigation.agent_radius
        if any(_room(x, z, radius, d) < min(2 * GAP, _room(state.x, state.z, radius, d)) for d in others):
            score -= 10
        if score > best_score:
            best, best_score = path, score
    pause = int(rng.integers(0, 7)) if state.waited <= walker.patience else 0
    path = tuple((float(p[0]), float(p[2])) for p in best) if len(best) else ((state.x, state.z),)
    return state._replace(leg=state.leg + 1, path=path, along=0.0, pause=pause, waited=0)


def _clearance(walker: Walker, point: Point) -> float:
    """Metres from a place where a walker can be to the nearest where it cannot."""
    return float(shapely.distance(walker.navigation.free.boundary, shapely.Point(point)))


def _rng(walker: Walker, leg: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(walker.seed[:2], spawn_key=(*walker.seed[2:], leg)))


def _room(x: float, z: float, radius: float, disc: Disc) -> float:
    """Metres between the rims of two discs, negative where they overlap."""
    return math.hypot(x - disc.x, z - disc.z) - radius - disc.radius


def _length(path: Sequence[Point]) -> float:
    return sum(math.dist(a, b) for a, b in pairwise(path))


def _on_path(path: Sequence[Point], along: float) -> Point:
    """The point of a path after so many metres, its end beyond."""
    for a, b in pairwise(path):
        piece = math.dist(a, b)
        if along <= piece and piece > 0:
            share = max(along, 0.0) / piece
            return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
        along -= piece
    return path[-1]
