"""New PointNav episodes in the scenes of any simulator, by habitat-lab's rule.

The rule is that of ``generate_pointnav_episode`` in ``habitat/datasets/pointnav/pointnav_generator.py``: goals and
starts are uniform over the navigable floor, on one floor and one island that is not tiny, a bounded way apart, and most
of those are dropped to which the way is nearly straight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from mirage_env.data.episodes import Episode, Goal, Point, rotation_of
from mirage_env.data.scene_ids import scene_id_of
from mirage_env.geometry import Array
from mirage_env.simulators.base import Simulator
from mirage_env.tasks.measures import SUCCESS_DISTANCE

STARTS_PER_GOAL = 10
GOALS = 500
"""After so many goals without a fitting start a scene is given up: an empty room accepts one straight way in 125."""
MAX_CLIMB = 0.5
"""Metres of height between start and goal of one floor."""
MIN_ISLAND_RADIUS = 1.5
"""Metres from an island's middle to its farthest point; smaller ones are table tops and the like."""
_ISLAND_SAMPLES = 64


@dataclass(frozen=True)
class EpisodeRule:
    """Which starts and goals make an episode.

    Attributes:
        min_distance, max_distance: metres of floor between them.
        min_ratio: of the way along the floor to the straight line. Pairs below it are taken with the probability
            20 (ratio - 0.98)², at most 1: 0.008 where the way is straight, 0.29 just below a ``min_ratio`` of 1.1.
        radius: of goals, metres.
    """

    min_distance: float = 1.0
    max_distance: float = 30.0
    min_ratio: float = 1.1
    radius: float = SUCCESS_DISTANCE

    def __post_init__(self) -> None:
        if not (SUCCESS_DISTANCE <= self.min_distance <= self.max_distance < math.inf):
            raise ValueError(
                f"episodes need {SUCCESS_DISTANCE} <= min_distance <= max_distance metres, "
                f"got {self.min_distance} and {self.max_distance}"
            )
        if not 1 <= self.min_ratio < math.inf:
            raise ValueError(f"min_ratio is a way over a straight line, at least 1, got {self.min_ratio}")
        if not 0 < self.radius < math.inf:
            raise ValueError(f"the radius of a goal must be above 0 m, got {self.radius}")


def generate_episodes(
    simulator: Simulator,
    scenes: Sequence[Any],
    count: int,
    seed: int = 0,
    rule: EpisodeRule | None = None,
    *,
    episodes_per_scene: int = 4,
    scenes_dir: Any = None,
    progress: bool = False,
) -> list[Episode]:
    """New episodes, numbered from "0"; scenes take turns, ``episodes_per_scene`` consecutive ones each.

    An episode depends on the simulator, its scene, the rule, the seed and its number only, so that more episodes of the
    same seed begin with these.

    Args:
        scenes: what ``simulator.reset`` takes, at least one.
        count: how many in all, at least 1.
        seed: 0 or above.
        scenes_dir: where scene files are; their ids are relative to it. None: ids are the paths as they are.
        progress: whether to show a progress bar.

    Raises:
        ValueError: for bad arguments, or a scene in which no episode was found in ``GOALS * STARTS_PER_GOAL`` tries.
    """
    rule = EpisodeRule() if rule is None else rule
    for name, value, least in (
        ("episodes", count, 1),
        ("seed", seed, 0),
        ("episodes_per_scene", episodes_per_scene, 1),
    ):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    if len(scenes) == 0:
        raise ValueError("scenes must name at least one scene, got none")
    used = range(min(len(scenes), -(-count // episodes_per_scene)))
    ids = {turn: scene_id_of(scenes[turn], scenes_dir) for turn in used}
    made, opened = [], None
    for number in tqdm(range(count), unit="episode", disable=not progress):
        turn = number // episodes_per_scene % len(scenes)
        if opened != turn:
            simulator.reset(scenes[turn])
            opened = turn
        rng = np.random.default_rng([seed, number])
        made.append(generate_episode(simulator, str(number), ids[turn], rng, rule))
    return made


def generate_episode(
    simulator: Simulator, episode_id: str, scene_id: str, rng: np.random.Generator, rule: EpisodeRule
) -> Episode:
    """One episode in the scene that is open, which is called ``scene_id``. Raises like ``generate_episodes``."""
    farthest = 0.0
    for _ in range(GOALS):
        goal = np.asarray(simulator.sample_navigable_point(rng), dtype=np.float64)
        wide = None
        for _ in range(STARTS_PER_GOAL):
            start = np.asarray(simulator.sample_navigable_point(rng), dtype=np.float64)
            chance = float(rng.random())
            if abs(start[1] - goal[1]) > MAX_CLIMB:
                continue
            distance = float(simulator.geodesic_distance(start, goal))
            farthest = max(farthest, distance if math.isfinite(distance) else 0.0)
            if not (rule.min_distance <= distance <= rule.max_distance):
                continue
            straight = float(np.linalg.norm(start - goal))
            if distance < rule.min_ratio * straight and chance > _acceptance(distance / straight):
                continue
            # Asked last, because it is the dearest; a start that reaches the goal is on the goal's island.
            wide = island_radius(simulator, goal, rng) >= MIN_ISLAND_RADIUS if wide is None else wide
            if not wide:
                break
            yaw = float(rng.uniform(0.0, math.tau))
            return Episode(
                episode_id,
                scene_id,
                _point(start),
                rotation_of(yaw),
                (Goal(_point(goal), rule.radius),),
                {"geodesic_distance": distance},
            )
    raise ValueError(
        f"in scene {scene_id!r} no start and goal with {rule.min_distance} to {rule.max_distance} m of floor between "
        f"them were found in {GOALS * STARTS_PER_GOAL} tries, the longest way seen was {farthest:.1f} m; choose other "
        "distances, a lower min_ratio or another scene"
    )


def island_radius(simulator: Simulator, point: Array, rng: np.random.Generator) -> float:
    """Metres from the middle of the floor that can be reached from ``point`` (3,) to its farthest place.

    As the simulator says, if it has ``island_radius(point)``; else of those of 64 random places that reach the point,
    which is less than the whole, and least for islands that are a small part of the scene.
    """
    told = getattr(simulator, "island_radius", None)
    if told is not None:
        return float(told(point))
    places = [np.asarray(simulator.sample_navigable_point(rng), dtype=np.float64) for _ in range(_ISLAND_SAMPLES)]
    island = np.stack([point, *(p for p in places if math.isfinite(simulator.geodesic_distance(p, point)))])
    return float(np.linalg.norm(island - island.mean(0), axis=1).max())


def _acceptance(ratio: float) -> float:
    """habitat-lab's ``_ratio_sample_rate``; rounding can bring a straight way below its straight line."""
    return min(1.0, 20 * (max(ratio, 1.0) - 0.98) ** 2)


def _point(point: Array) -> Point:
    return float(point[0]), float(point[1]), float(point[2])
