"""The imagined simulator: what it takes from the true one, where its agent can go, and that its states are values.

The model has random weights; where geometry matters, the memory is given true depth.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import shapely
import torch

from mirage_env import depth as depths
from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera, CameraMotion, FloorMotion
from mirage_env.simulators.batch import step_many
from mirage_env.simulators.grid_navigation import COLLISION_SLACK
from mirage_env.simulators.imagined import ImaginedSimulator, StartView
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.world import WorldModel
from tests.small_world import small_world

FLOAT16 = 1e-3
"""What latents are off by, relatively, where worlds keep them."""
SMALL, SHARP = Camera(32, 90.0, 1.25), Camera(128, 90.0, 1.25)
WALLS = [("all", 1.0, True), ("sure", 0.05, True), ("sure", 0.5, False), ("seen", 0.05, False)]
"""What counts as an obstacle, how doubtful an imagined wall is, and whether it stops anybody."""


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return small_world()


@pytest.fixture
def photo() -> Array:
    return np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)


def toy(world: WorldModel, camera: Camera = SMALL, **arguments: Any) -> ImaginedSimulator:
    return ImaginedSimulator(world, RoomsSimulator("toy", camera), camera, **arguments)


class Spy(RoomsSimulator):
    """A true simulator that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__("toy", SMALL)
        self.asked: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name in (
            "step",
            "is_navigable",
            "geodesic_distance",
            "sample_navigable_point",
            "navigation",
            "render_views",
        ):
            object.__getattribute__(self, "asked").append(name)
        return object.__getattribute__(self, name)


# What it begins with.


def test_the_source_gives_the_start_view_and_is_asked_nothing_else(world: WorldModel) -> None:
    source = Spy()
    simulator = ImaginedSimulator(world, source, SMALL)
    simulator.reset("toy", AgentStart((0.3, 0.0, 1.0), 0.5))
    source.asked.clear()
    for motion in (FloorMotion(0.25), FloorMotion(turn=0.4), CameraMotion(), FloorMotion(-0.1)):
        simulator.step(motion)
    simulator.geodesic_distance(simulator.agent.position, (0, 0, 0))
    simulator.is_navigable(np.zeros(3))
    simulator.sample_navigable_point(np.random.default_rng(0))
    simulator.top_down()
    assert source.asked == []


def test_the_world_has_the_frame_of_its_source(world: WorldModel) -> None:
    simulator = toy(world)
    frame = simulator.reset("toy", AgentStart((0.3, 0.0, 1.0), 0.5))
    np.testing.assert_allclose(frame.pose, geometry.camera_pose((0.3, 0, 1.0), 0.5, 1.25), atol=1e-6)
    assert simulator.agent.position == pytest.approx((0.3, 0, 1.0), abs=1e-6)
    assert simulator.agent.yaw == pytest.approx(0.5, abs=1e-6)


def test_the_first_view_is_the_start_view_through_the_codec(world: WorldModel) -> None:
    simulator = toy(world)
    frame = simulator.reset("toy", AgentStart((0.3, 0.0, 1.0), 0.5))
    true = RoomsSimulator("toy", SMALL).reset("toy", AgentStart((0.3, 0.0, 1.0), 0.5))
    image = torch.as_tensor(true.rgb[None]).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        torch.testing.assert_close(frame.latents, world.codec.encode(image)[0], atol=1e-5, rtol=FLOAT16)
    assert simulator.state.steps == 0


def test_true_depth_enters_only_when_asked_for(world: WorldModel) -> None:
    start = AgentStart((0.0, 0.0, 1.0), 0.0)
    true = toy(world, start_depth="true").reset("toy", start).grid_depth
    estimated = toy(world).reset("toy", start).grid_depth
    known = RoomsSimulator("toy", SMALL).reset("toy", start).depth
    # The memory's own reading of the cells' centres, at their median depth.
    expected = depths.to_grid(torch.as_tensor(known)[None], world.codec.stride)[0]
    # All but flying cells, which the memory leaves out.
    assert torch.isclose(true, expected, atol=0.02, rtol=0.02).float().mean() > 0.95
    assert (estimated - expected).abs().max() > 0.1


def test_a_photo_stands_at_the_origin_facing_ahead_unless_it_says_otherwise(world: WorldModel, photo: Array) -> None:
    simulator = ImaginedSimulator(world, camera=SMALL)
    frame = simulator.reset(StartView(photo))
    np.testing.assert_allclose(frame.pose, geometry.camera_pose((0, 0, 0), 0, 1.25), atol=1e-6)
    assert simulator.agent == AgentStart((0.0, 0.0, 0.0), 0.0)
    pose = geometry.camera_pose((1, 0.5, 2), 1.0, 1.25)
    assert simulator.reset(StartView(photo, pose=pose)).pose == pytest.approx(pose, abs=1e-6)
    assert simulator.agent.position == pytest.approx((1, 0.5, 2))
    assert simulator.occupancy.floor_height == pytest.approx(0.5)
    # Without a scene the world begins again as it did.
    again = simulator.reset()
    np.testing.assert_allclose(again.pose, pose, atol=1e-6)
    moved = simulator.reset(StartView(photo), AgentStart((3, 0, 0), 0.2))
    np.testing.assert_allclose(moved.pose, geometry.camera_pose((3, 0, 0), 0.2, 1.25), atol=1e-6)


def test_a_photo_by_another_camera_is_looked_at_with_the_agents_own(world: WorldModel) -> None:
    wide = np.random.default_rng(1).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    simulator = ImaginedSimulator(world, camera=SMALL)
    frame = simulator.reset(StartView(wide, hfov=60.0))
    assert frame.rgb.shape == (32, 32, 3) and frame.depth.shape == (32, 32)
    assert simulator.state.steps == 1 and 0 < frame.visible.float().mean() < 1
    # A tilted camera keeps its tilt until the agent moves over the floor.
    tilted = geometry.camera_pose((0, 0, 0), 0.3, 1.25) @ geometry.exp_twist([0, 0, 0, -0.4, 0, 0])
    assert simulator.reset(StartView(wide, 60.0, pose=tilted)).pose == pytest.approx(tilted, abs=1e-6)
    level, _ = simulator.step(FloorMotion())
    np.testing.assert_allclose(level.pose, geometry.camera_pose((0, 0, 0), 0.3, 1.25), atol=1e-5)


def test_the_seed_decides_what_is_imagined(world: WorldModel) -> None:
    def turned(seed: int, keyword: bool) -> Array:
        simulator = toy(world, start_depth="true", seed=0 if keyword else seed)
        simulator.reset("toy", seed=seed if keyword else None)
        return simulator.step(FloorMotion(turn=1.0))[0].latents.numpy()

    np.testing.assert_array_equal(turned(3, True), turned(3, False))
    assert not np.array_equal(turned(3, True), turned(4, True))
    simulator = toy(world, start_depth="true")
    simulator.seed = 3
    simulator.reset("toy")
    np.testing.assert_array_equal(simulator.step(FloorMotion(turn=1.0))[0].latents.numpy(), turned(3, True))


# Where its agent can go.


def remember(simulator: ImaginedSimulator, positions_and_yaws: list[tuple[Any, float]]) -> None:
    """Let the world of a simulator know true views with their depth."""
    true, world = RoomsSimulator("toy", simulator.camera), simulator.world
    state = simulator.snapshot().state
    for position, yaw in positions_and_yaws:
        view = true.reset("toy", AgentStart(position, yaw))
        state = world.observe(state, view.rgb, view.pose, view.depth)
    simulator.restore(simulator.snapshot()._replace(state=state))


def walk(simulator: Any, start: AgentStart, steps: int = 30) -> tuple[Array, bool]:
    simulator.reset("toy", start)
    collided = False
    for _ in range(steps):
        view, hit = simulator.step(FloorMotion(0.25))
        collided |= hit
    return geometry.agent_pose(view.pose, simulator.camera.height)[0], collided


ROUND = [((0.0, 0.0, 1.0), float(yaw)) for yaw in np.linspace(0, 2 * np.pi, 8, endpoint=False)]


@pytest.mark.parametrize("yaw", [0.0, 0.9, 1.6, 2.5, 3.3, 4.4, 5.5])
def test_walking_ahead_is_blocked_where_the_truth_blocks(world: WorldModel, yaw: float) -> None:
    start = AgentStart((0.0, 0.0, 1.0), yaw)
    imagined = toy(world, SHARP, start_depth="true", imagine="never", allow_sliding=False)
    imagined.reset("toy", start)
    remember(imagined, ROUND)
    for _ in range(30):
        view, _ = imagined.step(FloorMotion(0.25))
    there = geometry.agent_pose(view.pose, SHARP.height)[0]
    truth, hit = walk(RoomsSimulator("toy", SHARP, allow_sliding=False), start)
    assert hit
    assert math.dist(there, truth) < 0.15


def test_one_start_view_already_blocks_what_it_shows(world: WorldModel) -> None:
    start = AgentStart((1.0, 0.0, 1.0), 0.0)  # the cube's front stands at z = -0.5
    imagined = toy(world, SHARP, start_depth="true", imagine="never")
    there, hit = walk(imagined, start, 10)
    assert hit and there[2] == pytest.approx(-0.5 + 0.18, abs=0.15)
    # Where nothing was seen, nothing blocks: out through the wall behind the first camera.
    imagined.reset("toy", start)
    imagined.step(FloorMotion(turn=math.pi))
    for _ in range(14):
        view, hit = imagined.step(FloorMotion(0.25))
        assert not hit
    assert view.pose[2, 3] == pytest.approx(4.5, abs=1e-4)


def test_distances_are_those_of_the_known_geometry_and_unknown_floor_is_free(world: WorldModel) -> None:
    imagined = toy(world, SHARP, start_depth="true", imagine="never")
    imagined.reset("toy", AgentStart((1.0, 0.0, 1.0), 0.0))
    a, b = np.array([1.0, 0, 1.0]), np.array([1.0, 0, -2.4])
    blind = imagined.geodesic_distance(a, b)
    remember(imagined, [*ROUND, *(((-1.0, 0.0, -1.0), float(yaw)) for yaw in np.linspace(0, 6, 6))])
    exact = RoomsSimulator("toy", SHARP)
    exact.reset("toy")
    assert imagined.geodesic_distance(a, b) == pytest.approx(exact.geodesic_distance(a, b), rel=0.04)
    assert 3.4 <= blind <= imagined.geodesic_distance(a, b) + 0.05
    path = imagined.shortest_path(a, b)
    np.testing.assert_array_equal(path[[0, -1]], [a, b])


def test_a_goal_that_geometry_covers_is_measured_from_the_floor_beside_it(world: WorldModel) -> None:
    imagined = toy(world, SHARP, start_depth="true", imagine="never")
    imagined.reset("toy", AgentStart((1.0, 0.0, 1.0), 0.0))
    cube = np.array([1.0, 0.0, -0.45])
    assert not imagined.is_navigable(cube)
    assert imagined.geodesic_distance((1.0, 0, 1.0), cube) == pytest.approx(1.45, abs=0.06)
    assert imagined.geodesic_distance((1.0, 0, 1.0), (math.nan, 0, 0)) == math.inf
    assert not imagined.is_navigable((0.0, 0.8, 1.0)) and imagined.is_navigable((0.0, 0.4, 1.0))


def test_sampled_points_lie_on_floor_that_was_seen(world: WorldModel) -> None:
    imagined = toy(world, SHARP, start_depth="true", imagine="never")
    imagined.reset("toy", AgentStart((-1.0, 0.0, 2.0), 0.0))
    grid, rng = imagined.occupancy, np.random.default_rng(0)
    true = RoomsSimulator("toy", SHARP)
    true.reset("toy")
    for _ in range(50):
        point = imagined.sample_navigable_point(rng)
        row, column = np.floor(point[[2, 0]] / grid.cell).astype(int) - (grid.row, grid.column)
        assert grid.floor[row, column] and imagined.is_navigable(point) and point[1] == pytest.approx(0, abs=1e-6)
        assert point[2] < 0.8  # ahead, where the camera sees floor
        assert true.navigation.free.buffer(0.1).intersects(shapely.Point(point[0], point[2]))


def test_an_agent_around_which_walls_are_imagined_stands_free_and_gets_away(world: WorldModel) -> None:
    imagined = toy(world, start_depth="true", imagine="never")
    imagined.reset("toy", AgentStart((0.0, 0.0, 1.0), 0.0))
    state = imagined.snapshot().state
    memory = state.memory.fork()
    K = geometry.scale_intrinsics(SMALL.intrinsics, 1 / world.codec.stride)
    for yaw in np.linspace(0, 2 * np.pi, 6, endpoint=False):  # a pillar's inside, 0.1 m away all round
        pose = geometry.camera_pose((0, 0, 1.0), float(yaw), 0.75)
        memory.write(torch.zeros(world.codec.channels, 8, 8), torch.full((8, 8), 0.1), K, pose, merge=False)
    imagined.restore(imagined.snapshot()._replace(state=dataclasses.replace(state, memory=memory)))
    assert imagined.occupancy.obstacle.any()
    assert imagined.is_navigable((0.0, 0.0, 1.0))
    view, collided = imagined.step(FloorMotion(0.25))
    assert not collided and view.pose[2, 3] == pytest.approx(0.75, abs=1e-4)


@pytest.mark.parametrize(("obstacles", "doubt", "blocks"), WALLS)
def test_walls_that_were_imagined_stop_nobody_where_only_seen_ones_count(
    world: WorldModel, obstacles: Any, doubt: float, blocks: bool
) -> None:
    imagined = toy(world, start_depth="true", imagine="never", obstacles=obstacles)
    imagined.reset("toy", AgentStart((0.0, 0.0, 2.0), 0.0))
    state = imagined.snapshot().state
    memory = state.memory.fork()
    K = geometry.scale_intrinsics(SMALL.intrinsics, 1 / world.codec.stride)
    pose = geometry.camera_pose((0.0, 0.0, 2.0), math.pi / 2, 1.25)  # a wall 1 m to the left, out of the camera's sight
    latents = torch.zeros(world.codec.channels, 8, 8)
    memory.write(latents, torch.full((8, 8), 1.0), K, pose, imagined=torch.full((8, 8), doubt), merge=False)
    imagined.restore(imagined.snapshot()._replace(state=dataclasses.replace(state, memory=memory)))
    assert imagined.occupancy.guessed.any() == blocks
    # What the camera saw, a cube and walls, is in the way all the same.
    assert imagined.occupancy.obstacle[imagined.occupancy.solid].all()
    there = np.array([-1.6, 0.0, 2.0])
    straight = imagined.geodesic_distance((0.0, 0.0, 2.0), there)
    imagined.step(FloorMotion(turn=math.pi / 2))
    hits = [imagined.step(FloorMotion(0.25))[1] for _ in range(6)]
    assert any(hits) is blocks
    assert (straight > 1.7) is blocks


def test_what_is_not_worth_imagining_is_left_unknown(world: WorldModel) -> None:
    turn, unknown = FloorMotion(turn=0.4), []
    simulators = [toy(world, start_depth="true", imagine_threshold=share) for share in (0.0, 1.0)]
    for simulator in simulators:
        simulator.reset("toy")
    together = [simulator.snapshot() for simulator in simulators]
    for simulator in simulators:
        view, _ = simulator.step(turn)
        unknown.append(int((view.depth == 0).sum()))
    assert unknown[0] == 0 < unknown[1]
    for simulator, snapshot in zip(simulators, together, strict=True):
        simulator.restore(snapshot)
    assert [int((view.depth == 0).sum()) for view, _ in step_many(simulators, [turn, turn])] == unknown


# Its states are values.


def test_a_snapshot_shares_its_memory_and_never_sees_what_comes_later(world: WorldModel) -> None:
    simulator = toy(world, start_depth="true")
    simulator.reset("toy")
    simulator.step(FloorMotion(turn=0.5))
    snapshot = simulator.snapshot()
    tokens, blocked = len(snapshot.state.memory), simulator.top_down().obstacle.copy()
    for _ in range(4):
        simulator.step(FloorMotion(turn=0.9))
    assert len(simulator.state.memory) > tokens == len(snapshot.state.memory)
    simulator.navigation  # noqa: B018  (draws what was imagined since)
    simulator.restore(snapshot)
    np.testing.assert_array_equal(simulator.top_down().obstacle, blocked)
    other = toy(world)
    other.restore(snapshot)
    np.testing.assert_array_equal(
        other.step(FloorMotion(0.2, 0.4))[0].latents, simulator.step(FloorMotion(0.2, 0.4))[0].latents
    )


def test_looking_at_the_map_changes_nothing_that_follows(world: WorldModel) -> None:
    looked, plain = toy(world, start_depth="true"), toy(world, start_depth="true")
    for simulator in (looked, plain):
        simulator.reset("toy")
    rng = np.random.default_rng(3)
    for k in range(10):
        motion = FloorMotion(0.25 * (k % 2), float(rng.normal(0, 0.5)))
        (a, hit_a), (b, hit_b) = looked.step(motion), plain.step(motion)
        assert hit_a == hit_b
        np.testing.assert_array_equal(a.latents, b.latents)
        np.testing.assert_array_equal(a.pose, b.pose)
        looked.top_down()
        looked.geodesic_distance(looked.agent.position, (0, 0, 0))
        looked.sample_navigable_point(np.random.default_rng(k))
    assert looked.geodesic_distance((0, 0, 1), (0, 0, -1)) == plain.geodesic_distance((0, 0, 1), (0, 0, -1))


def test_many_worlds_can_be_seen_in_one_batch(world: WorldModel) -> None:
    alone, batched = ([toy(world, start_depth="true", seed=k) for k in range(3)] for _ in range(2))
    for simulators in (alone, batched):
        for simulator in simulators:
            simulator.reset("toy")
    motions = [FloorMotion(turn=0.6), FloorMotion(0.25), FloorMotion(0.2, -0.9)]
    for _ in range(2):
        expected = [s.step(m) for s, m in zip(alone, motions, strict=True)]
        proposals = [s.propose(m) for s, m in zip(batched, motions, strict=True)]
        states, frames = world.step_batch([s.state for s in batched], np.stack([p.pose for p in proposals]))
        for simulator, proposal, state, frame, (view, hit) in zip(
            batched, proposals, states, frames, expected, strict=True
        ):
            seen, collided = simulator.accept(proposal, state, frame)
            assert collided == hit
            torch.testing.assert_close(seen.latents, view.latents, atol=1e-4, rtol=FLOAT16)
            np.testing.assert_array_equal(seen.pose, view.pose)


def test_the_camera_may_be_changed_between_steps(world: WorldModel) -> None:
    simulator = toy(world, start_depth="true")
    simulator.reset("toy")
    simulator.camera = Camera(48, 60.0, 1.0)
    view, _ = simulator.step(FloorMotion())
    assert view.rgb.shape == (48, 48, 3) and view.pose[1, 3] == pytest.approx(1.0)


def test_the_collision_rule_is_habitats(world: WorldModel) -> None:
    simulator = toy(world, start_depth="true")
    simulator.reset("toy")
    before = np.array(simulator.agent.position)
    hits = 0
    for k in range(20):
        motion = FloorMotion(0.25, 0.3 if k % 5 == 0 else 0.0)
        asked = geometry.arc_displacement(simulator.agent.yaw, motion.forward, motion.turn)
        _, collided = simulator.step(motion)
        after = np.array(simulator.agent.position)
        assert collided == (((after - before) ** 2).sum() + COLLISION_SLACK < (asked**2).sum())
        before, hits = after, hits + collided
    assert hits


# What it refuses.


def test_names_and_numbers_that_make_no_sense_are_refused(world: WorldModel, photo: Array) -> None:
    simulator = ImaginedSimulator(world, camera=SMALL)
    wrong: list[tuple[Any, str]] = [
        (lambda: ImaginedSimulator(world, imagine="sometimes"), "imagine must be one of"),  # type: ignore[arg-type]
        (lambda: ImaginedSimulator(world, start_depth="maybe"), "start_depth must be one of"),  # type: ignore[arg-type]
        (lambda: ImaginedSimulator(world, obstacles="none"), "obstacles must be one of"),  # type: ignore[arg-type]
        (lambda: ImaginedSimulator(world, imagine_threshold=1.5), "imagine_threshold is a share of cells"),
        (lambda: ImaginedSimulator(world, agent_radius=-1), "agent_radius"),
        (simulator.reset, "StartView"),
        (lambda: simulator.reset("toy"), "StartView"),
        (lambda: simulator.reset(StartView(photo, hfov=200.0)), "hfov"),
        (lambda: simulator.reset(StartView(photo, pose=2 * np.eye(4))), "rigid"),
        (lambda: simulator.reset(StartView(photo, depth=np.ones((3, 3)))), "shape"),
        (lambda: simulator.reset(StartView(photo, pose=np.eye(4)), AgentStart((0, 0, 0), 0)), "leave out start"),
        (lambda: simulator.reset(StartView(photo), AgentStart((math.nan, 0, 0), 0)), "finite"),
    ]
    for use, message in wrong:
        with pytest.raises(ValueError, match=message):
            use()


def test_a_world_may_begin_with_views_all_round(world: WorldModel) -> None:
    start = AgentStart((0.3, 0.0, 1.0), 0.5)
    ahead, behind = (geometry.camera_pose(start.position, start.yaw + turn, 1.25) for turn in (0.0, math.pi))
    shares = {}
    for count in (1, 4):
        simulator = toy(world, start_depth="true", num_start_views=count)
        frame = simulator.reset("toy", start)
        np.testing.assert_allclose(frame.pose, ahead, atol=1e-6)
        state = simulator.state
        K = geometry.scale_intrinsics(SMALL.intrinsics, 1 / world.codec.stride)
        view = state.memory.read(behind, K, tuple(frame.latents.shape[-2:]))
        shares[count] = float(view.visible.float().mean())
        assert count == 1 or not view.imagined.any()
    assert shares[1] < 0.1 and shares[4] > 0.8
    first = toy(world, start_depth="true").reset("toy", start)
    assert torch.equal(frame.latents, first.latents)
    with pytest.raises(ValueError, match="at least 1 view"):
        toy(world, num_start_views=0)
