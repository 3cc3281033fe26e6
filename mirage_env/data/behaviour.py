"""How an agent walks when it collects data: errands along shortest paths, looks around, walks out and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, FloorMotion, Simulator, View

FORWARD, LEFT, RIGHT = 1, 2, 3
_ARRIVED = 0.3
_HEADINGS = 24


@dataclass
class Walk:
    """A walk in progress: every view so far and what led from one to the next.

    Attributes:
        simulator: where the walk takes place.
        frames: how many views the walk shall have.
        forward_step: metres per step forward.
        turn_angle: radians per turn.
    """

    simulator: Simulator
    frames: int
    forward_step: float = 0.25
    turn_angle: float = math.radians(10.0)
    views: list[View] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    collided: list[bool] = field(default_factory=list)

    def begin(self, scene: Any, start: AgentStart) -> None:
        self.views, self.actions, self.collided = [self.simulator.reset(scene, start)], [], [False]

    @property
    def done(self) -> bool:
        return len(self.views) >= self.frames

    @property
    def agent(self) -> tuple[Array, float]:
        """Feet position (3,) and yaw."""
        return geometry.agent_pose(self.views[-1].pose, self.simulator.camera.height)

    def act(self, action: int) -> bool:
        """Take one discrete action; whether it was blocked."""
        turn = {FORWARD: 0.0, LEFT: self.turn_angle, RIGHT: -self.turn_angle}[action]
        motion = FloorMotion(self.forward_step if action == FORWARD else 0.0, turn)
        view, collided = self.simulator.step(motion)
        self.views.append(view)
        self.actions.append(action)
        self.collided.append(collided)
        return collided

    def turn(self, count: int, action: int) -> None:
        for _ in range(min(count, self.frames - len(self.views))):
            self.act(action)


def wander(walk: Walk, rng: np.random.Generator) -> None:
    """Fill a begun walk with errands (55 %), looks around (20 %) and walks out and back (25 %)."""
    while not walk.done:
        choice = rng.random()
        if choice < 0.55:
            walk_to(walk, random_goal(walk, rng), rng, limit=int(rng.integers(5, 31)))
        elif choice < 0.75:
            walk.turn(int(rng.integers(4, 37)), LEFT if rng.random() < 0.5 else RIGHT)
        else:
            out_and_back(walk, rng)


def out_and_back(walk: Walk, rng: np.random.Generator) -> None:
    """Walk away, turn right round, return, and often turn round again, so that the first view comes back."""
    home, _ = walk.agent
    walk_to(walk, random_goal(walk, rng), rng, limit=int(rng.integers(3, 13)))
    half_turn = round(math.pi / walk.turn_angle)
    walk.turn(half_turn, LEFT if rng.random() < 0.5 else RIGHT)
    walk_to(walk, home, rng, limit=24)
    if rng.random() < 0.7:
        walk.turn(half_turn, LEFT if rng.random() < 0.5 else RIGHT)


def walk_to(walk: Walk, goal: Array, rng: np.random.Generator, limit: int, noise: float = 0.03) -> None:
    """Follow the shortest path to goal (3,) for at most ``limit`` steps forward; stop there or when there is no way on.

    Args:
        noise: share of actions that are random turns instead.
    """
    waypoint, blocked, steps = None, 0, 0
    while steps < limit:
        position, yaw = walk.agent
        if walk.done or blocked > 1 or math.dist(position[::2], goal[::2]) < _ARRIVED:
            return
        if waypoint is None:
            waypoint = _next_waypoint(walk.simulator, position, goal)
            if waypoint is None:
                return
        if rng.random() < noise:
            walk.act(LEFT if rng.random() < 0.5 else RIGHT)
            continue
        way = waypoint - position
        error = math.remainder(math.atan2(-way[0], -way[2]) - yaw, math.tau)
        # A tolerance of half a turn would zigzag: each correction overshoots into the next one.
        if abs(error) > 0.8 * walk.turn_angle:
            walk.act(LEFT if error > 0 else RIGHT)
        else:
            blocked = blocked + 1 if walk.act(FORWARD) else 0
            waypoint, steps = None, steps + 1


def random_goal(walk: Walk, rng: np.random.Generator, tries: int = 8) -> Array:
    """A navigable point (3,) that can be reached, preferably over a metre away; the agent's own if none is found."""
    position, _ = walk.agent
    best = position
    for _ in range(tries):
        goal = walk.simulator.sample_navigable_point(rng)
        distance = walk.simulator.geodesic_distance(position, goal)
        if math.isfinite(distance):
            best = goal
            if distance > 1.0:
                break
    return best


def _next_waypoint(simulator: Simulator, position: Array, goal: Array) -> Array | None:
    """Where to head for on the way to goal; None where there is no way."""
    shortest_path = getattr(simulator, "shortest_path", None)
    if shortest_path is not None:
        path = shortest_path(position, goal)
        return next((p for p in path[1:] if math.dist(p[::2], position[::2]) > 0.05), None)
    angles = math.tau * np.arange(_HEADINGS) / _HEADINGS
    around = position + _ARRIVED * np.stack([-np.sin(angles), np.zeros(_HEADINGS), -np.cos(angles)], axis=1)
    distances = [simulator.geodesic_distance(p, goal) if simulator.is_navigable(p) else math.inf for p in around]
    best = int(np.argmin(distances))
    return around[best] if math.isfinite(distances[best]) else None
