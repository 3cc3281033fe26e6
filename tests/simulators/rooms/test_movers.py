"""Movers: where they go, whom they give way to, and that a scene with them is still a value that returns."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import shapely

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera, CameraMotion, FloorMotion
from mirage_env.simulators.navigation import PolygonNavigation
from mirage_env.simulators.rooms.crew import MOVER_RADIUS
from mirage_env.simulators.rooms.movers import (
    FASTEST,
    GAP,
    Disc,
    MoverState,
    Walker,
    contact,
    place_walkers,
    step_walkers,
)
from mirage_env.simulators.rooms.simulator import RoomsSimulator

START = AgentStart((-1.5, 0.0, 2.4), 0.0)


def toy(movers: int = 2, mover_seed: int = 0, **options: Any) -> RoomsSimulator:
    return RoomsSimulator("toy", Camera(24), movers=movers, mover_seed=mover_seed, **options)


def walk(simulator: RoomsSimulator, steps: int, seed: int = 0) -> list[Array]:
    """Agent and movers as rows (x, z, yaw), at every step of a random walk."""
    rng = np.random.default_rng(seed)
    rows = []
    simulator.reset("toy", START)
    for _ in range(steps):
        turn = float(rng.normal()) * 0.4
        simulator.step(FloorMotion(0.2 if rng.random() < 0.7 else 0.0, turn))
        agent, movers = simulator.agent, states(simulator)
        rows.append(np.array([(agent.position[0], agent.position[2], agent.yaw), *((m.x, m.z, m.yaw) for m in movers)]))
    return rows


def place(state: MoverState) -> Array:
    return np.array([state.x, 0.0, state.z])


def states(simulator: RoomsSimulator) -> tuple[MoverState, ...]:
    course = simulator.snapshot().course
    assert course is not None
    return course.present


@pytest.fixture(scope="module")
def paths() -> Array:
    """(steps, 1 + movers, 3)."""
    return np.stack(walk(toy(3, 4), 400))


def test_movers_stay_on_free_floor(paths: Array) -> None:
    simulator = toy()
    simulator.reset()
    ground = simulator.home.floor.difference(shapely.union_all(simulator.home.obstacles))
    places = paths[:, 1:, :2].reshape(-1, 2)
    room = shapely.distance(ground.boundary, shapely.points(places))
    assert shapely.contains_xy(ground, places).all()
    # Round corners are polygons of a few pieces, which cut in by 2 % of the radius.
    assert room.min() > 0.97 * MOVER_RADIUS


def test_nobody_walks_through_anybody(paths: Array) -> None:
    radii = [0.18, MOVER_RADIUS, MOVER_RADIUS, MOVER_RADIUS]
    for a, b in itertools.combinations(range(4), 2):
        distance = np.hypot(*(paths[:, a, :2] - paths[:, b, :2]).T)
        assert distance.min() >= radii[a] + radii[b] - 1e-9


def test_movers_walk_at_believable_speeds_and_look_where_they_go(paths: Array) -> None:
    way = np.diff(paths[:, 1:, :2], axis=0)
    speed = np.hypot(way[..., 0], way[..., 1])
    assert speed.max() <= FASTEST + 1e-9
    assert (speed.mean(0) > 0.02).all(), "a mover hardly ever moves"
    moving = speed > 0.02
    heading = np.stack([-np.sin(paths[1:, 1:, 2]), -np.cos(paths[1:, 1:, 2])], axis=-1)
    off = np.degrees(np.arccos(np.clip((way * heading).sum(-1)[moving] / speed[moving], -1, 1)))
    assert off.max() < 60 and np.median(off) < 10
    turned = np.abs(np.remainder(np.diff(paths[:, 1:, 2], axis=0) + np.pi, math.tau) - np.pi)
    assert np.degrees(turned.max()) < 23


def test_movers_go_all_over_the_room(paths: Array) -> None:
    for mover in range(1, 4):
        spread = np.ptp(paths[:, mover, :2], axis=0)
        assert spread.max() > 1.5


def test_seeds_decide() -> None:
    one, same, other = (np.stack(walk(toy(2, seed), 30)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one[:, 1:], other[:, 1:])


def test_movers_begin_anew_at_every_reset_and_away_from_the_agent() -> None:
    simulator = toy()
    simulator.reset("toy", START)
    first = [place(m) for m in states(simulator)]
    for _ in range(10):
        simulator.step(FloorMotion(turn=0.1))
    assert simulator.time == 10
    simulator.reset("toy", START)
    assert simulator.time == 0
    np.testing.assert_array_equal([place(m) for m in states(simulator)], first)
    agent = np.asarray(START.position)
    assert all(np.linalg.norm(p - agent) > 1.2 + 0.18 + MOVER_RADIUS for p in first)


def test_a_snapshot_holds_the_movers_and_their_past() -> None:
    simulator = toy()
    simulator.reset("toy", START)
    for _ in range(6):
        simulator.step(FloorMotion(0.1, 0.1))
    snapshot = simulator.snapshot()
    before, early = simulator.movers_at(), simulator.movers_at(2)
    after = [simulator.step(FloorMotion(0.05, -0.2))[0].pose for _ in range(8)], simulator.movers_at()
    other = toy()
    for one in (simulator, other):
        one.restore(snapshot)
        assert one.snapshot() == snapshot and one.time == 6
        for was, now in zip((*before, *early), (*one.movers_at(), *one.movers_at(2)), strict=True):
            np.testing.assert_array_equal(was.mesh.vertices, now.mesh.vertices)
        poses = [one.step(FloorMotion(0.05, -0.2))[0].pose for _ in range(8)]
        np.testing.assert_array_equal(poses, after[0])
        np.testing.assert_array_equal([m.position for m in one.movers_at()], [m.position for m in after[1]])


def test_a_mover_blocks_the_agent() -> None:
    simulator = toy(1)
    simulator.reset("toy", START)
    reached = False
    for _ in range(80):
        way = place(states(simulator)[0]) - np.asarray(simulator.agent.position)
        turn = math.remainder(math.atan2(-way[0], -way[2]) - simulator.agent.yaw, math.tau)
        simulator.step(FloorMotion(0.0, turn))
        before = np.asarray(simulator.agent.position)
        gap = np.linalg.norm(place(states(simulator)[0]) - before)
        _, collided = simulator.step(FloorMotion(0.25))
        moved = float(np.linalg.norm(np.asarray(simulator.agent.position) - before))
        if collided and gap < 0.25 + 0.18 + MOVER_RADIUS:
            reached = True
            assert moved < 0.25
        assert collided == (moved**2 + 1e-5 < 0.25**2)
    assert reached


def test_a_mover_waits_for_an_agent_in_its_way_and_then_goes_elsewhere() -> None:
    simulator = toy(1)
    simulator.reset("toy", START)
    for _ in range(200):
        state = states(simulator)[0]
        if state.speed > 0.05 and state.along + 1.2 < sum(math.dist(a, b) for a, b in itertools.pairwise(state.path)):
            ahead = np.array([state.x, 0, state.z]) + 0.7 * geometry.forward(state.yaw)
            if simulator.is_navigable(ahead):
                break
        simulator.step(FloorMotion())
    else:
        pytest.fail("the mover never came straight at a free place")
    fly = geometry.invert(simulator.step(FloorMotion())[0].pose) @ geometry.camera_pose(ahead, 0.0, 1.25)
    simulator.step(CameraMotion(fly.astype(np.float64)))  # now the agent stands in its way
    leg, places = state.leg, []
    for _ in range(30):
        simulator.step(FloorMotion())
        mover = place(states(simulator)[0])
        places.append(mover)
        assert np.linalg.norm(mover - np.asarray(simulator.agent.position)) >= 0.18 + MOVER_RADIUS + GAP - 1e-6
    assert states(simulator)[0].leg > leg
    assert np.linalg.norm(np.ptp(places, axis=0)) > 0.3


def test_contact_is_where_two_discs_touch() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        x, z, dx, dz = rng.normal(size=4)
        disc = Disc(*rng.normal(size=2), 0.3)
        share = contact(x, z, dx, dz, 0.2, [disc])
        along = np.linspace(0, 1, 4001)
        apart = np.hypot(x + along * dx - disc.x, z + along * dz - disc.z) - 0.5
        if apart[0] <= 0:
            assert share in (0.0, 1.0) and (share == 1.0) == (apart[1] >= apart[0])
            continue
        met = along[apart < 0]
        assert share == pytest.approx(met[0] if len(met) else 1.0, abs=1e-3)


def test_without_movers_nothing_is_known_of_them() -> None:
    simulator = toy(0)
    pose = simulator.reset("toy", START).pose
    simulator.step(FloorMotion())
    assert simulator.movers_at() == () and simulator.time == 0
    assert not simulator.mover_mask(pose).any()
    for times in (None, 0, [7]):
        np.testing.assert_array_equal(simulator.render_views(pose, times)[0], simulator.render_views(pose)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"movers": -1}, "from 0 to 8, got -1"),
        ({"movers": 9}, "from 0 to 8, got 9"),
        ({"movers": 2.0}, "whole number"),
        ({"movers": True}, "whole number"),
        ({"mover_seed": -1}, "0 or above"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RoomsSimulator("toy", **options)


def test_other_times_and_other_movers_are_refused() -> None:
    simulator = toy()
    pose = simulator.reset("toy", START).pose
    simulator.step(FloorMotion())
    for time in (2, -1):
        with pytest.raises(ValueError, match=f"time steps 0 to 1, not for {time}"):
            simulator.render_views(pose, time)
    with pytest.raises(ValueError, match="one per pose"):
        simulator.render_views(pose, [0, 1])
    for other in (toy(0), toy(1), toy(2, 1)):
        with pytest.raises(ValueError, match="same movers"):
            other.restore(simulator.snapshot())
    with pytest.raises(ValueError, match="same movers"):
        simulator.restore(toy_snapshot_without_movers())


def toy_snapshot_without_movers() -> Any:
    simulator = toy(0)
    simulator.reset()
    return simulator.snapshot()


def test_too_many_movers_for_a_floor_are_refused() -> None:
    walker = Walker(PolygonNavigation(shapely.box(0, 0, 1.1, 1.1), [], 0.3), 0.1, 3, (0, 0))
    (alone,) = place_walkers([walker], Disc(9.0, 9.0, 0.18))
    assert alone.path and walker.navigation.is_navigable(place(alone))
    with pytest.raises(ValueError, match="no room for mover 2 of 2"):
        place_walkers([walker, walker], Disc(9.0, 9.0, 0.18))


def test_a_mover_that_cannot_go_anywhere_stays() -> None:
    walker = Walker(PolygonNavigation(shapely.box(0, 0, 1.1, 1.1), [], 0.3), 0.1, 3, (0, 0))
    agent = Disc(0.55, 0.55, 5.0)
    begin = now = place_walkers([walker], agent)
    for _ in range(20):
        now = step_walkers([walker], now, agent)
    assert walker.navigation.is_navigable(place(now[0]))
    assert abs(place(now[0]) - place(begin[0])).max() < 0.5
