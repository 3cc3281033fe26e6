"""What a task is to an environment: a small object without state; an episode's state is a value that it makes."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np

from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera, Simulator, View
from mirage_env.tasks.episode import Episode
from mirage_env.tasks.progress import Progress


class Task(Protocol):
    """Which episodes there are, what a step is worth, and when an episode ends.

    A task keeps nothing: what it must know of an episode besides the agent's way is a value, ``Progress.state``, which
    ``begin`` makes and ``advance`` renews. It is a NamedTuple of read-only arrays, so that environments can fork it for
    free and write it to files, or None. Tasks that need none leave both as they are here.

    Attributes:
        name: of the task in messages.
        has_goal: whether episodes have a goal. Without one distances are ``inf``, and success and SPL stay 0.
        stop_ends: whether the agent can call stop; otherwise a stop only means not to move.
        has_goal_image: whether the state has an ``image`` (H, W, 3) uint8 of the goal.
    """

    name: ClassVar[str]
    has_goal: ClassVar[bool]
    stop_ends: ClassVar[bool]
    has_goal_image: ClassVar[bool] = False

    def sample_episode(
        self,
        simulator: Simulator,
        scene: Any,
        rng: np.random.Generator,
        start: AgentStart | None = None,
        goal: Array | None = None,
    ) -> Episode:
        """An episode in this scene of this simulator, with this start and goal (3,) where they are given."""
        ...

    def choose_goal(
        self, simulator: Simulator, position: Array, rng: np.random.Generator, goal: Array | None = None
    ) -> Array | None:
        """A goal (3,) for an agent at ``position`` (3,) in the present scene: ``goal``, checked, if given; or None."""
        ...

    def begin(
        self, simulator: Simulator, source: Simulator | None, view: View, episode: Episode, rng: np.random.Generator
    ) -> Any:
        """The state of an episode that begins; changes neither simulator.

        Args:
            simulator: the world, imagined or true; the agent stands at its start.
            source: the true simulator, with its scene open and its agent at the start, too: ``simulator`` itself or the
                one behind it; None where a world began with an image, so that no truth is known.
            view: what the agent sees first.
            episode: its start and goal.
            rng: the environment's.
        """
        return None

    def advance(self, state: Any, view: View, camera: Camera) -> Any:
        """The state after a motion led to ``view``. ``state`` stays usable as it was."""
        return state

    def loaded(self, arrays: dict[str, Array]) -> Any:
        """The state whose arrays, by name, come from a file; KeyError or ValueError where they make none."""
        if arrays:
            raise ValueError(f"{self.name} keeps no state, but it has {', '.join(sorted(arrays))}")
        return None

    def succeeded(self, now: Progress) -> bool:
        """Whether the episode is solved."""
        ...

    def reward(self, before: Progress, now: Progress) -> float:
        """Of the step that led from one to the other. ``finite_distance`` is finite even where there is no way."""
        ...

    def measures(self, now: Progress) -> dict[str, Any]:
        """What ``info`` tells of the episode so far besides the measures of every task: the same keys always."""
        return {}
