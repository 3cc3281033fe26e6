"""The follower of shortest paths: what an agent achieves that knows the floor plan."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np

from mirage_env import geometry
from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.geometry import Array
from mirage_env.policies.base import discrete_steps

TURN_COST = 0.01
"""Metres of progress that a turn must be worth."""


class ShortestPathFollower:
    """Turns to where one step ahead brings it nearest to the goal along the floor, steps, and stops where it is near.

    Privileged: it asks the environment's simulator where steps lead and how far it is from there, as habitat-sim's
    greedy follower does. Fulfils ``Policy``.

    Args:
        env: an environment with discrete actions and a goal, whose simulator has a ``navigation``.
        forward_step, turn_angle_deg: metres and degrees; None: those of the environment.
        stop_within: metres of floor to the goal at which it calls stop.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        forward_step: float | None = None,
        turn_angle_deg: float | None = None,
        stop_within: float = 0.2,
    ) -> None:
        world = env.unwrapped
        if not isinstance(world, NavigationEnv) or not hasattr(type(world.simulator), "navigation"):
            raise TypeError("a follower of shortest paths needs an environment whose simulator has a navigation")
        self.env, ahead, turn = discrete_steps(env, "a follower of shortest paths")
        self.forward_step, self.stop_within = float(forward_step or ahead), float(stop_within)
        self._turn = math.radians(turn_angle_deg) if turn_angle_deg else turn
        most = int(math.pi / self._turn + 1e-9)
        self._turns = np.arange(-most, most + 1)[np.argsort(np.abs(np.arange(-most, most + 1)), kind="stable")]

    def reset(self) -> None:
        """There is nothing to forget."""

    def act(self, obs: Any, info: dict[str, Any]) -> int:
        """Stop, step ahead or turn."""
        if info["distance_to_goal"] <= self.stop_within or self.env.goal is None:
            return STOP
        values = [self._after(int(turns)) + TURN_COST * abs(int(turns)) for turns in self._turns]
        best = int(self._turns[int(np.argmin(values))])
        return MOVE_FORWARD if best == 0 else TURN_LEFT if best > 0 else TURN_RIGHT

    def _after(self, turns: int) -> float:
        """Metres of floor from the goal after so many turns to the left and a step ahead."""
        simulator: Any = self.env.simulator
        agent = simulator.agent
        way: Array = self.forward_step * geometry.forward(agent.yaw + turns * self._turn)
        end, _ = simulator.navigation.move(agent.position, way, simulator.allow_sliding)
        return simulator.geodesic_distance(end, self.env.goal)
