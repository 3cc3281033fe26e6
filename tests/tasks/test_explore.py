"""What exploring pays, and what was seen of the true floor."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mirage_env.simulators.base import AgentStart, Camera, FloorMotion
from mirage_env.simulators.mesh.simulator import MeshSimulator
from mirage_env.simulators.reachable import reachable_floor
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.tasks.episode import Episode
from mirage_env.tasks.explore import Exploration, Explore
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.seen_floor import CELL
from tests.simulators.mesh.files import flat_room

RNG = np.random.default_rng(0)


def exploration(seen: list[tuple[int, int]], true: list[tuple[int, int]]) -> Exploration:
    """Seen and true cells, on lattices with corners of their own."""
    cells, true_cells = np.zeros((1, 8, 8), dtype=bool), np.zeros((6, 6), dtype=bool)
    for row, column in seen:
        cells[0, row + 2, column + 2] = True
    for row, column in true:
        true_cells[row + 1, column + 1] = True
    return Exploration(cells, np.array([-2, -2]), np.zeros(1), true_cells, np.array([-1, -1]))


def at(state: Exploration) -> Progress:
    return Progress.begun(None, np.eye(4), np.zeros(3), math.inf, state)


def test_new_floor_is_paid_by_the_square_metre() -> None:
    task = Explore(reward_per_m2=2.0, slack=0.01)
    before, after = at(exploration([(0, 0)], [])), at(exploration([(0, 0), (0, 1), (3, 3)], []))
    assert task.reward(before, after) == pytest.approx(2.0 * 2 * CELL**2 - 0.01)
    assert task.reward(after, after) == pytest.approx(-0.01)
    assert not task.succeeded(replace(after, stopped=True))


def test_coverage_is_the_share_of_the_true_floor_that_was_seen() -> None:
    true = [(0, 0), (0, 1), (3, 3), (4, 4)]
    assert exploration([(0, 0), (3, 3), (1, 1), (5, 5)], true).coverage == 0.5
    assert exploration([], true).coverage == 0.0
    assert exploration(true, true).coverage == 1.0
    empty = exploration([], true)._replace(cells=np.zeros((1, 0, 0), dtype=bool))
    assert empty.coverage == 0.0
    unknown = exploration([(0, 0)], [])
    assert math.isnan(unknown.coverage)
    told = Explore().measures(at(unknown))
    assert told["explored_area"] == pytest.approx(CELL**2) and math.isnan(told["coverage"])


def test_only_the_storey_of_the_start_counts_for_coverage() -> None:
    one = exploration([], [(0, 0)])
    upstairs = np.concatenate([one.cells, exploration([(0, 0)], []).cells])
    two = one._replace(cells=upstairs, heights=np.array([0.0, 3.0]))
    assert two.coverage == 0.0 and two.seen.area == pytest.approx(CELL**2)


def test_turning_round_in_the_toy_room_shows_its_floor() -> None:
    task, simulator = Explore(), RoomsSimulator("toy", Camera(64))
    view = simulator.reset("toy", AgentStart((0.0, 0.0, 1.0), 0.0))
    state = first = task.begin(simulator, simulator, view, Episode("toy", None), RNG)
    assert 0 < first.seen.area < 10
    coverage = [first.coverage]
    for _ in range(12):
        view, _ = simulator.step(FloorMotion(turn=math.radians(30)))
        state = task.advance(state, view, simulator.camera)
        coverage.append(state.coverage)
    assert coverage == sorted(coverage) and coverage[-1] > 2 * coverage[0]
    # What cannot be seen from one place is behind furniture, or nearer than the picture begins.
    assert 0.6 < coverage[-1] < 1.0
    assert task.advance(state, view, simulator.camera) is state
    assert (first.coverage, state.true_cells is first.true_cells) == (coverage[0], True)


def test_without_a_truth_coverage_is_unknown() -> None:
    simulator = RoomsSimulator("toy", Camera(64))
    view = simulator.reset("toy")
    state = Explore().begin(simulator, None, view, Episode(None, None), RNG)
    assert math.isnan(state.coverage) and state.seen.area > 0


def test_a_damaged_state_is_refused() -> None:
    task, whole = Explore(), exploration([(0, 0)], [(0, 0)])
    again = task.loaded(whole._asdict())
    assert again.coverage == whole.coverage
    with pytest.raises(KeyError):
        task.loaded({"cells": whole.cells})
    for wrong in ({"cells": whole.cells[0]}, {"heights": np.zeros(2)}, {"corner": np.zeros(3)}):
        with pytest.raises(ValueError, match="damaged"):
            task.loaded(whole._asdict() | wrong)


@pytest.mark.parametrize("arguments", [{"reward_per_m2": 0.0}, {"reward_per_m2": math.nan}, {"slack": math.inf}])
def test_rewards_that_make_no_sense_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Explore needs"):
        Explore(**arguments)


def test_the_floor_that_can_be_reached_is_where_the_agent_can_stand(tmp_path_factory: pytest.TempPathFactory) -> None:
    room = flat_room(tmp_path_factory.mktemp("reachable") / "room.glb")
    for simulator in (RoomsSimulator("toy"), MeshSimulator(room)):
        simulator.reset()
        here = np.array(simulator.agent.position)
        floor = reachable_floor(simulator, here, CELL)
        assert floor is not None
        rows, columns = np.indices(floor.cells.shape)
        z, x = (rows + floor.corner[0] + 0.5) * CELL, (columns + floor.corner[1] + 0.5) * CELL
        picked = RNG.integers(floor.cells.size, size=200)
        for i in picked:
            point = np.array([x.flat[i], here[1], z.flat[i]])
            reachable = simulator.is_navigable(point) and math.isfinite(simulator.geodesic_distance(here, point))
            assert floor.cells.flat[i] == reachable
        assert floor.cells.flat[picked].any() and not floor.cells.flat[picked].all()


def test_a_simulator_without_a_map_has_no_reachable_floor() -> None:
    class Mapless:
        camera = Camera()

    assert reachable_floor(Mapless(), np.zeros(3), CELL) is None  # type: ignore[arg-type]
