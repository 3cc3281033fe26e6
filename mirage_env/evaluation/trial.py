"""One episode that a policy walked, as a value: its measures, its way, and in which manner it failed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mirage_env.geometry import Array
from mirage_env.tasks.measures import SUCCESS_DISTANCE

NEAR = 0.5
"""Metres of floor: an agent that came as near to the goal and never called stop knew the way and not the end."""
STUCK_STEPS = 50
STUCK_RADIUS = 0.5
"""An agent whose last so many steps all lie within so many metres of the last place is stuck."""
FAILURES = ("stopped early", "never stopped", "stuck", "lost")
DIGITS = 4
"""Places are kept to a tenth of a millimetre."""


class Plan(NamedTuple):
    """An episode to walk: ``reset(seed=seed, options={"scene": scene})`` is all that makes it.

    Attributes:
        index: its number in the evaluation.
        seed: decides start, goal and what is imagined.
        scene: of the simulator; None: drawn by the seed.
    """

    index: int
    seed: int
    scene: Any = None


@dataclass(frozen=True, eq=False)
class Trial:
    """What came of one episode. Lengths are metres, distances along the floor.

    Attributes:
        index, seed, scene: see ``Plan``.
        success: whether stop was called near enough to the goal.
        spl, soft_spl: see ``mirage_env.tasks.measures``.
        distance_to_goal: at the end; ``inf`` where there is no way, or no goal.
        closest: the least distance to the goal on the way.
        shortest: of the shortest way from the start; NaN without a goal.
        path_length: travelled.
        steps: taken, the last one, which may be a stop, included.
        collisions: steps that were blocked.
        stopped: whether the agent called stop.
        reward: the sum of rewards, undiscounted.
        positions: feet (T + 1, 3), world frame, from the start on.
        yaws: (T + 1,) radians.
        actions: T numbers, or T lists of numbers, by which the walk can be repeated.
        goal: (3,) or None.
        measures: other numbers of the last ``info``, by name; and the mean of ``imagined_fraction``.
    """

    index: int
    seed: int
    scene: Any
    success: bool
    spl: float
    soft_spl: float
    distance_to_goal: float
    closest: float
    shortest: float
    path_length: float
    steps: int
    collisions: int
    stopped: bool
    reward: float
    positions: Array
    yaws: Array
    actions: list[Any]
    goal: Array | None = None
    measures: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values by name; numbers that are not finite become strings, such as "inf"."""
        return {name: _plain(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Trial:
        """What ``to_json`` took apart; KeyError, TypeError or ValueError if it is damaged."""
        names = {f.name: f for f in dataclasses.fields(cls)}
        found = {name: values[name] for name in names}
        for name in ("spl", "soft_spl", "distance_to_goal", "closest", "shortest", "path_length", "reward"):
            found[name] = float(found[name])
        found["measures"] = {name: float(value) for name, value in found["measures"].items()}
        found["positions"] = np.array(found["positions"], dtype=np.float64).reshape(-1, 3)
        found["yaws"] = np.array(found["yaws"], dtype=np.float64)
        found["goal"] = None if found["goal"] is None else np.array(found["goal"], dtype=np.float64).reshape(3)
        if len(found["positions"]) != found["steps"] + 1 or len(found["actions"]) != found["steps"]:
            raise ValueError(f"trial {found['index']} does not have as many places and actions as steps")
        return cls(**found)


def plan_episodes(episodes: int, scenes: Sequence[Any] | None, seed: int, per_scene: int) -> list[Plan]:
    """Episodes to walk, those of one scene together, for a new home takes longer to make than an episode to walk.

    Episode i has the seed ``seed + i`` and takes place in scene ``i // per_scene``, counted round and round; so more
    episodes leave the first ones as they are.

    Args:
        scenes: None: each seed draws one.

    Raises:
        ValueError: fewer than one episode in all or per scene, or no scene.
    """
    for name, value in (("episodes", episodes), ("episodes_per_scene", per_scene)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or above, got {seed!r}")
    if scenes is None:
        return [Plan(i, seed + i) for i in range(episodes)]
    if not len(scenes):
        raise ValueError("scenes must name at least one scene, got none")
    turns = [(i // per_scene % len(scenes), i) for i in range(episodes)]
    return [Plan(i, seed + i, scenes[turn]) for turn, i in sorted(turns)]


def failure(trial: Trial) -> str | None:
    """Which of ``FAILURES`` a trial is; None for a success, and where there is no goal.

    stopped early   stop was called away from the goal
    never stopped   not called, though the agent came within ``NEAR`` of the goal (or ``SUCCESS_DISTANCE``)
    stuck           neither, and all of the last ``STUCK_STEPS`` steps (or all there are) lie within ``STUCK_RADIUS``
                    of the last place, straight as the crow flies
    lost            the rest: it walked until time ran out
    """
    if trial.success or trial.goal is None:
        return None
    if trial.stopped:
        return "stopped early"
    if trial.closest <= max(NEAR, SUCCESS_DISTANCE):
        return "never stopped"
    last = trial.positions[-(STUCK_STEPS + 1) :, [0, 2]]
    if float(np.linalg.norm(last - last[-1], axis=1).max()) <= STUCK_RADIUS:
        return "stuck"
    return "lost"


def count_failures(trials: Sequence[Trial]) -> dict[str, int]:
    """How many trials failed in which manner; all manners are named."""
    found = [failure(trial) for trial in trials]
    return {name: found.count(name) for name in FAILURES}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
