"""Looking for the place of a picture by a map: what ImageNav takes without learning."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.policies.frontier import FrontierPolicy
from mirage_env.tasks.known_floor import KnownFloor


class SeekPolicy(FrontierPolicy):
    """Explores as ``FrontierPolicy`` does until its goal's place is trusted, then goes there. Fulfils ``Policy``.

    Unlike that it is not told where its goal is: it goes by the observation ``goal_place``. Where there is nothing left
    to explore, it goes to the best place that it knows of.

    Args:
        env: of ImageNav, with discrete actions and ``goal_place`` among its observations, or as the only one.
        trusted: probability from which on it goes to a place.
        stop_within: metres from that, in the floor plane.
    """

    def __init__(self, env: gym.Env[Any, Any], trusted: float = 0.6, stop_within: float = 0.4) -> None:
        super().__init__(env, stop_within)
        if "goal_place" not in self.env.observations.keys:
            raise ValueError("a seeking policy goes by the observation goal_place; make the environment with it")
        self.trusted = float(trusted)

    def reset(self) -> None:
        """Forget what was seen."""
        super().reset()
        self._place: Array | None = None
        self._explored = False

    def _goal(self, obs: Any, position: Array, yaw: float) -> Array | None:
        distance, angle, trust = map(float, obs["goal_place"] if isinstance(obs, dict) else obs)
        self._place = position + distance * geometry.forward(yaw + angle) if trust > 0 else None
        return self._place if trust >= self.trusted or self._explored else None

    def _found(
        self, known: KnownFloor, position: Array, yaw: float, goal: Array | None
    ) -> tuple[KnownFloor, Array | None]:
        known, way = super()._found(known, position, yaw, goal)
        if way is not None or goal is not None or self._place is None:
            return known, way
        self._explored = True
        return super()._found(known, position, yaw, self._place)
