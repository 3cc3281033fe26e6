"""The movers of one home: their bodies, where they can walk, and how they look at one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.navigation import PolygonNavigation
from mirage_env.simulators.raycast import TexturedMesh
from mirage_env.simulators.rooms.bodies import Body
from mirage_env.simulators.rooms.carts import cart
from mirage_env.simulators.rooms.figures import Figure, FiguresOverlay
from mirage_env.simulators.rooms.movers import (
    FASTEST,
    SLOWEST,
    Disc,
    MoverState,
    Walker,
    place_walkers,
    step_walkers,
)
from mirage_env.simulators.rooms.people import person
from mirage_env.simulators.rooms.prepared import KEPT_HOMES, PreparedHome, prepare_home
from mirage_env.simulators.rooms.splits import Scene

MOVER_RADIUS = 0.30
"""Metres around its axis that every mover keeps free of walls and furniture."""
MAX_MOVERS = 8

_KEPT_MOMENTS = 64


class PosedMover(NamedTuple):
    """One mover at one moment.

    Attributes:
        kind: "box" or "person".
        position: (3,) float64, where it touches the floor, metres.
        yaw: radians, as of an agent.
        radius: metres around ``position`` that it takes for collisions.
        speed: metres of the last time step.
        mesh: its surface in the world frame, lit.
    """

    kind: str
    position: Array
    yaw: float
    radius: float
    speed: float
    mesh: TexturedMesh


class Moment:
    """All movers of a home at one time."""

    def __init__(self, home: PreparedHome, bodies: Sequence[Body], states: Sequence[MoverState]) -> None:
        self.figures = [Figure(home, body, state) for body, state in zip(bodies, states, strict=True)]
        self.overlay = FiguresOverlay(self.figures)

    @property
    def movers(self) -> tuple[PosedMover, ...]:
        """The movers, in order."""
        return tuple(
            PosedMover(f.body.kind, f.T_world_body[:3, 3].copy(), f.state.yaw, MOVER_RADIUS, f.state.speed, f.mesh)
            for f in self.figures
        )


@dataclass(frozen=True, eq=False)
class Crew:
    """The movers of one home: who they are. Where they are is a tuple of ``MoverState``."""

    home: PreparedHome
    walkers: tuple[Walker, ...]
    _draws: tuple[tuple[Callable[[np.random.Generator], Body], tuple[int, ...]], ...]

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """Their bodies, drawn when they are first looked at."""
        return tuple(draw(_rng(seed)) for draw, seed in self._draws)

    def start(self, agent: Disc) -> tuple[MoverState, ...]:
        """Where they begin when the agent stands there."""
        return place_walkers(self.walkers, agent)

    def step(self, states: tuple[MoverState, ...], agent: Disc) -> tuple[MoverState, ...]:
        """One time step, after the agent's own."""
        return step_walkers(self.walkers, states, agent)

    def discs(self, states: tuple[MoverState, ...]) -> list[Disc]:
        """The room on the floor that they take."""
        return [Disc(state.x, state.z, MOVER_RADIUS) for state in states]

    def moment(self, states: tuple[MoverState, ...]) -> Moment:
        """How they look then; the last few moments stay ready."""
        return _moment(self, states)


@lru_cache(maxsize=_KEPT_MOMENTS)
def _moment(crew: Crew, states: tuple[MoverState, ...]) -> Moment:
    return Moment(crew.home, crew.bodies, states)


@lru_cache(maxsize=KEPT_HOMES)
def prepare_crew(scene: Scene, agent_radius: float, count: int, seed: int) -> Crew:
    """``count`` movers for this scene; boxes and people in turn, the first of them drawn.

    The home is that of ``prepare_home``; the agent's radius says which copy of it to share.

    Raises:
        ValueError: the home has no floor on which a mover fits.
    """
    home = prepare_home(scene, agent_radius)
    navigation = _navigation(scene, agent_radius)
    key = (seed, home.home.seed)
    first = int(np.random.default_rng(key).integers(2))
    walkers, draws = [], []
    for i in range(count):
        rng = _rng((*key, i, 0))
        cruise, patience = float(rng.uniform(SLOWEST, FASTEST)), int(rng.integers(3, 9))
        walkers.append(Walker(navigation, cruise, patience, (*key, i, 1)))
        draws.append(((cart, person)[(first + i) % 2], (*key, i, 2)))
    return Crew(home, tuple(walkers), tuple(draws))


def _rng(seed: tuple[int, ...]) -> np.random.Generator:
    """Independent streams for seeds that differ after their first two numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed[:2], spawn_key=seed[2:]))


@lru_cache(maxsize=KEPT_HOMES)
def _navigation(scene: Scene, agent_radius: float) -> PolygonNavigation:
    home = prepare_home(scene, agent_radius).home
    return PolygonNavigation(home.floor, home.obstacles, MOVER_RADIUS)
