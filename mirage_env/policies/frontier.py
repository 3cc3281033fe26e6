"""Frontier exploration: the classical way to see a place, and to find a way through it."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np

from mirage_env import geometry
from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT
from mirage_env.geometry import Array
from mirage_env.policies import evidence
from mirage_env.policies.base import discrete_steps
from mirage_env.policies.floor_plan import Plan, plan
from mirage_env.simulators.base import Camera
from mirage_env.tasks.known_floor import KnownFloor, bumped, nothing_known, settle, sighted, told
from mirage_env.tasks.seen_floor import CELL, no_floor

PATIENCE = 5
"""Steps after which a way is searched anew."""
EFFORT = 10
"""Steps that every frontier costs besides those to it: among near ones the longer goes first."""
NEAR = 0.35
"""Metres from a frontier at which it is given up if it still shows nothing."""


class FrontierPolicy:
    """Goes to where known floor borders on unknown until there is no such place, then stops. Fulfils ``Policy``.

    Frontiers are those of Yamauchi (1997); the next one is that of the most cells for its steps, turns among them.

    It knows what a robot with a depth camera and exact odometry knows: depth and pose of its views, from which it keeps
    the floor that it saw (as ``Explore`` counts it) and what stands there. In a task with a goal it knows the goal's
    place, too: it goes there by the shortest way through known or unknown floor and stops within ``stop_within`` of it;
    only while all ways seem blocked it explores. What blocks a way to a goal is what there is ``evidence`` of; what
    was seen but once is no frontier.

    Args:
        env: an environment with discrete actions. The policy reads its view, camera and goal.
        stop_within: metres from the goal, in the floor plane.
    """

    def __init__(self, env: gym.Env[Any, Any], stop_within: float = 0.15) -> None:
        self.env, self.forward_step, self._turn = discrete_steps(env, "a frontier policy")
        self.stop_within = float(stop_within)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._known: KnownFloor | None = None
        self._evidence = evidence.nothing(0.0)
        self._way: Array | None = None
        self._target: Array | None = None
        self._again = False
        self._age = 0
        self._last: tuple[Array, float, int] | None = None

    def act(self, obs: Any, info: dict[str, Any]) -> int:
        """Stop, step ahead or turn."""
        env, camera = self.env, self.env.simulator.camera
        assert env.view is not None
        position, yaw = geometry.agent_pose(env.view.pose, camera.height)
        known = self._known
        if known is None:
            # The floor below the first picture is not worth turning round for: it is seen in passing.
            known = settle(nothing_known(position[1]), position, float(position[1]), _blind(camera))
            self._evidence = evidence.nothing(position[1])
        sight, goal = sighted(env.view, camera), self._goal(obs, position, yaw)
        known = self._after_bump(told(known, sight, env.view.pose), position)
        if env.goal is not None:
            self._evidence = evidence.weighed(self._evidence, sight)
        if goal is not None and math.dist(goal[::2], position[::2]) <= self.stop_within:
            return STOP
        self._age += 1
        if self._way is None or self._age >= PATIENCE or self._reached(position):
            known, self._way = self._found(known, position, yaw, goal)
            self._age = 0
        self._known = known
        action = STOP if self._way is None else self._follow(self._way, position, yaw)
        self._last = position, yaw, action
        return action

    def _goal(self, obs: Any, position: Array, yaw: float) -> Array | None:
        """Where it believes its goal to be (3,); None while it explores."""
        return self.env.goal

    def _after_bump(self, known: KnownFloor, position: Array) -> KnownFloor:
        """With an obstacle where the last step was blocked."""
        if self._last is None or self._last[2] != MOVE_FORWARD:
            return known
        before, yaw, _ = self._last
        if float(np.linalg.norm(position - before)) >= 0.5 * self.forward_step:
            return known
        self._way = None
        reach = (self.env.simulator.agent_radius + CELL) * geometry.forward(yaw)
        self._evidence = evidence.bumped(self._evidence, before, reach)
        return bumped(known, before, reach)

    def _reached(self, position: Array) -> bool:
        return self._way is not None and math.dist(self._way[-1][::2], position[::2]) < NEAR

    def _found(
        self, known: KnownFloor, position: Array, yaw: float, goal: Array | None
    ) -> tuple[KnownFloor, Array | None]:
        """A way (N, 3) to the goal or to a frontier; None where there is neither."""
        simulator, blind = self.env.simulator, _blind(self.env.simulator.camera)
        if goal is not None:
            likely = known._replace(solid=evidence.standing(self._evidence))
            way = _way(plan(likely, position, simulator.agent_radius, blind), position, goal)
            if way is not None:
                return known, way
        while True:
            there = plan(known, position, simulator.agent_radius, blind)
            target = self._target if _is_frontier(there, self._target) else None
            if target is None:
                target = _best_frontier(there, position, yaw, self.forward_step, self._turn, blind)
            self._target = target
            if target is None and not self._again:
                # Once more, for the floor on which it only stood, and for what it gave up.
                height = float(position[1])
                self._again, known = True, settle(known._replace(settled=no_floor(height)), position, height)
                continue
            if target is None:
                return known, None
            way = _way(there, position, target)
            if way is not None and math.dist(target[::2], position[::2]) >= NEAR:
                return known, way
            # It was looked at from all the places on the way here, or no way leads there after all.
            known = settle(known, target, float(position[1]), NEAR)

    def _follow(self, way: Array, position: Array, yaw: float) -> int:
        """The action that leads along a way: to its first corner that is not yet reached."""
        away = np.hypot(*(way[:, ::2] - position[::2]).T)
        # What was passed is behind the corner that is nearest.
        ahead = np.flatnonzero((away > 0.6 * self.forward_step) & (np.arange(len(way)) >= away.argmin()))
        corner = way[ahead[0]] if len(ahead) else way[-1]
        right, _, back = geometry.rotation_y(yaw).T @ (corner - position)
        angle = math.atan2(-right, -back)
        if abs(angle) <= self._turn / 2 + 1e-6:
            return MOVE_FORWARD
        return TURN_LEFT if angle > 0 else TURN_RIGHT


def _is_frontier(there: Plan, target: Array | None) -> bool:
    """Whether a place (3,) still lies in a frontier."""
    if target is None:
        return False
    row, column = np.floor((target[[2, 0]] - there.navigation.origin[::-1]) / CELL).astype(np.int64)
    return bool(there.frontier[row, column])


def _blind(camera: Camera) -> float:
    """Metres ahead up to which the floor lies below the picture."""
    return camera.height * float(camera.intrinsics[1, 1]) / (camera.resolution / 2)


def _way(there: Plan, position: Array, target: Array) -> Array | None:
    """Corners (N, 3) of a way from position to target, each taken for the free floor nearest to it; None: no way."""
    navigation = there.navigation
    ends = [end if navigation.is_navigable(end) else navigation.snap(end) for end in (position, target)]
    if math.dist(ends[1][::2], target[::2]) > NEAR + CELL:
        return None
    way = navigation.shortest_path(*ends)
    return way if len(way) else None


def _best_frontier(
    there: Plan, position: Array, yaw: float, forward_step: float, turn: float, blind: float
) -> Array | None:
    """A frontier's cell (3,), the nearest one of the frontier that is long for its steps; None: none can be reached."""
    navigation, cells = there.navigation, np.argwhere(there.frontier)
    if not len(cells):
        return None
    paths, place = navigation.paths, (navigation.snap(position)[::2] - navigation.origin)[::-1] / CELL - 0.5
    field = paths.to_goal(place)
    if field is None:
        return None
    rows, columns = (cells - (paths.clearance.row, paths.clearance.column)).T
    distance = field.distance[rows * paths.free.shape[1] + columns] * CELL
    z, x = ((cells + 0.5) * CELL + navigation.origin[::-1]).T
    bearing = np.arctan2(position[0] - x, position[2] - z)
    steps = distance / forward_step + np.abs(np.remainder(bearing - yaw + math.pi, math.tau) - math.pi) / turn
    worth = there.frontier[tuple(cells.T)] / (steps + EFFORT)
    # Going to floor that lies below the picture does not show it: it is left for when nothing else is.
    worth *= np.where(np.hypot(x - position[0], z - position[2]) < blind, 1e-3, 1.0)
    best = int(worth.argmax())
    return np.array([x[best], position[1], z[best]]) if math.isfinite(steps[best]) else None
