"""New PointNav episodes keep habitat-lab's rule, in rooms and in worlds where the rule can be counted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirage_env.data.episodes import Episode, read_episodes, write_episodes
from mirage_env.data.generate_episodes import GOALS, STARTS_PER_GOAL, EpisodeRule, generate_episodes, island_radius
from mirage_env.geometry import Array
from mirage_env.simulators.rooms.simulator import RoomsSimulator


class Plain:
    """Navigable squares; a way is ``ratio`` times the straight line, and none leads from one square to another.

    Args:
        squares: corner x, height y, and width of each; equally likely.
    """

    def __init__(self, *squares: tuple[float, float, float], ratio: float = 1.2) -> None:
        self.squares, self.ratio = squares, ratio
        self.asked = 0
        self.opened: list[Any] = []

    def reset(self, scene: Any = None, start: Any = None) -> None:
        self.opened.append(scene)

    def sample_navigable_point(self, rng: np.random.Generator) -> Array:
        corner, height, width = self.squares[int(rng.integers(len(self.squares)))]
        return np.array([corner + width * rng.random(), height, width * rng.random()])

    def geodesic_distance(self, a: Array, b: Array) -> float:
        self.asked += 1
        together = any(c <= min(a[0], b[0]) and max(a[0], b[0]) <= c + w for c, _, w in self.squares)
        return self.ratio * float(np.linalg.norm(a - b)) if together else math.inf


def generated(simulator: Any, count: int, scenes: Any = ("a",), **options: Any) -> list[Episode]:
    return generate_episodes(simulator, scenes, count, **options)


@pytest.mark.parametrize(("ratio", "count"), [(1.0, 60), (0.999999, 60), (1.05, 200), (1.0999, 300), (1.1, 300)])
def test_straight_ways_are_dropped_as_habitat_lab_drops_them(ratio: float, count: int) -> None:
    plain = Plain((0.0, 0.0, 5.0), ratio=ratio)
    plain.island_radius = lambda point: 3.0  # type: ignore[attr-defined]
    rule = EpisodeRule(min_distance=0.2)
    near = np.mean(
        [
            plain.ratio * np.linalg.norm(np.subtract(*np.random.default_rng(i).random((2, 2)) * 5)) < 0.2
            for i in range(400)
        ]
    )
    generated(plain, count, rule=rule)
    taken = count / (plain.asked * (1 - near))
    expected = 1.0 if ratio >= 1.1 else 20 * (max(ratio, 1.0) - 0.98) ** 2
    assert taken == pytest.approx(expected, rel=3 * math.sqrt((1 - expected) / count) + 0.02)


def test_start_and_goal_lie_on_one_floor_a_bounded_way_apart() -> None:
    two_floors = Plain((0.0, 0.0, 9.0), (0.0, 2.9, 9.0))
    rule = EpisodeRule(min_distance=2.0, max_distance=5.0)
    episodes = generated(two_floors, 60, rule=rule)
    assert {one.start_position[1] for one in episodes} == {0.0, 2.9}
    for one in episodes:
        assert one.start_position[1] == one.goals[0].position[1]
        assert one.geodesic_distance is not None and 2.0 <= one.geodesic_distance <= 5.0
        way = np.subtract(one.start_position, one.goals[0].position)
        assert one.geodesic_distance == pytest.approx(1.2 * np.linalg.norm(way))
        assert one.goals[0].radius == 0.2
    yaws = np.array([one.start.yaw for one in episodes])
    assert np.histogram(yaws, 4, (-math.pi, math.pi))[0].min() >= 5


def test_the_top_of_a_table_holds_no_episode() -> None:
    table = Plain((0.0, 0.0, 9.0), (20.0, 0.0, 1.2))
    episodes = generated(table, 40, rule=EpisodeRule(min_distance=0.5))
    assert all(one.start_position[0] < 10 for one in episodes)
    rng = np.random.default_rng(0)
    assert island_radius(table, np.array([20.5, 0.0, 0.5]), rng) < 0.9  # type: ignore[arg-type]
    assert 5 < island_radius(table, np.array([1.0, 0.0, 1.0]), rng) < 9.1  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no start and goal with 0\.5 to 30\.0 m"):
        generated(Plain((20.0, 0.0, 1.2)), 1, rule=EpisodeRule(min_distance=0.5))


def test_more_episodes_begin_with_the_same_ones_and_scenes_take_turns() -> None:
    plain = Plain((0.0, 0.0, 9.0))
    few, many = generated(plain, 5, ["a", "b"], seed=4), generated(plain, 11, ["a", "b"], seed=4)
    assert many[:5] == few
    assert [one.scene_id for one in many] == [*"aaaabbbbaaa"]
    assert [one.episode_id for one in many] == [str(number) for number in range(11)]
    assert plain.opened == ["a", "b", "a", "b", "a"]
    assert generated(plain, 1, seed=5)[0].start != few[0].start
    pairs = generated(plain, 4, ["a", "b", "c"], episodes_per_scene=1)
    assert [one.scene_id for one in pairs] == [*"abca"]


def test_episodes_of_a_room_can_be_walked_and_read_back(tmp_path: Path) -> None:
    simulator = RoomsSimulator("toy")
    episodes = generated(simulator, 12, simulator.scenes)
    write_episodes(tmp_path / "toy.json.gz", episodes)
    assert read_episodes(tmp_path / "toy.json.gz") == tuple(episodes)
    straight = 0
    for one in episodes:
        simulator.reset("toy", one.start)
        start, goal = np.array(one.start_position), np.array(one.goals[0].position)
        distance = simulator.geodesic_distance(start, goal)
        assert one.geodesic_distance == distance >= 1.0
        straight += distance < 1.1 * float(np.linalg.norm(start - goal))
    assert straight <= 6


def test_scene_files_are_named_from_their_folder(tmp_path: Path) -> None:
    scene = tmp_path / "flat" / "a.glb"
    (one,) = generated(Plain((0.0, 0.0, 9.0)), 1, [scene], scenes_dir=tmp_path)
    assert one.scene_id == "flat/a.glb"


def test_a_scene_without_such_ways_says_so() -> None:
    small = Plain((0.0, 0.0, 2.0))
    with pytest.raises(
        ValueError, match=r"in scene 'a' no start and goal with 8\.0 to 30\.0 m .* 5000 tries, the longest"
    ):
        generated(small, 1, rule=EpisodeRule(min_distance=8.0))
    assert small.asked == GOALS * STARTS_PER_GOAL == 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "episodes must be an integer of at least 1, got 0"),
        ({"count": 2.5}, "episodes must be an integer of at least 1, got 2.5"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"episodes_per_scene": 0}, "episodes_per_scene must be an integer of at least 1"),
        ({"scenes": []}, "scenes must name at least one scene"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generated(Plain((0.0, 0.0, 9.0)), **{"count": 1, **arguments})


@pytest.mark.parametrize(
    "limits",
    [
        {"min_distance": 0.1},
        {"min_distance": 3.0, "max_distance": 2.0},
        {"max_distance": math.inf},
        {"min_distance": math.nan},
        {"min_ratio": 0.9},
        {"min_ratio": math.nan},
        {"radius": 0.0},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"episodes need|min_ratio is|the radius of"):
        EpisodeRule(**limits)
