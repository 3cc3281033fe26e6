"""What every simulator promises, imagined and true alike: one test per promise, over all of them.

A simulator joins by an entry in ``SIMULATORS``.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.lighting import Lighting, relit
from mirage_env.simulators.base import AgentStart, Camera, CameraMotion, FloorMotion, Motion, Simulator, View
from mirage_env.simulators.habitat import make_habitat
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.mesh.simulator import MeshSimulator
from mirage_env.simulators.process import ProcessSimulator
from mirage_env.simulators.remembering import RememberingSimulator
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from tests.real_habitat import needs_habitat
from tests.simulators.mesh.files import box_room
from tests.small_world import small_world


@cache
def scene_file() -> Path:
    """A room in a file that lives as long as the tests."""
    return box_room(Path(_FILES.name) / "room.glb")


_FILES = tempfile.TemporaryDirectory()
SIMULATORS: dict[str, Callable[[], Simulator]] = {
    "habitat box": lambda: make_habitat(scene_file(), Camera(32, 90.0, 1.25)),
    "mesh box": lambda: MeshSimulator(scene_file(), Camera(32, 90.0, 1.25)),
    "mesh box, own process": lambda: cast(
        Simulator, ProcessSimulator(partial(MeshSimulator, scene_file(), Camera(32, 90.0, 1.25)))
    ),
    "rooms toy": lambda: RoomsSimulator("toy", Camera(32, 90.0, 1.25)),
    "rooms val": lambda: RoomsSimulator("val", Camera(32, 79.0, 1.1)),
    "imagined toy": lambda: ImaginedSimulator(small_world(), RoomsSimulator("toy", SMALL), SMALL, start_depth="true"),
    "remembering toy": lambda: RememberingSimulator(RoomsSimulator("toy", SMALL), small_world()),
}
DETOURS = {"habitat box": 0.1, "mesh box": 0.1, "mesh box, own process": 0.1}
"""Shares by which geodesic distances may be longer than the shortest: those of Habitat's rules, which follow the
corridor of polygons that Detour's search picks, and not the same both ways."""
LONGER = {"habitat box": 0.03, "mesh box": 0.03, "mesh box, own process": 0.03}
"""Shares by which a step that slides round a corner may be longer than asked: Habitat's rule again."""
SMALL = Camera(32, 90.0, 1.25)

TURN = math.radians(10)
WALK: list[Motion] = [
    FloorMotion(0.25),
    FloorMotion(turn=TURN),
    FloorMotion(0.25),
    FloorMotion(0.2, -0.3),
    FloorMotion(-0.1),
    FloorMotion(0.1, 0.2, -0.05),
    CameraMotion(geometry.exp_twist([0.05, -0.02, 0.1, 0.0, 0.1, 0.05])),
]


@pytest.fixture(
    params=[pytest.param(name, marks=needs_habitat) if name.startswith("habitat") else name for name in SIMULATORS]
)
def simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    made = SIMULATORS[request.param]()
    yield made
    made.close()


def content(view: View) -> tuple[Array, Array, Array]:
    return view.rgb.copy(), view.depth.copy(), view.pose.copy()


def assert_same(one: tuple[Array, ...], other: tuple[Array, ...]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def agent(simulator: Simulator, view: View) -> tuple[Array, float]:
    return geometry.agent_pose(view.pose, simulator.camera.height)


def test_it_is_a_simulator(simulator: Simulator) -> None:
    assert isinstance(simulator, Simulator)
    assert isinstance(simulator.camera, Camera)


def test_a_view_has_the_shapes_types_and_ranges_of_the_conventions(simulator: Simulator) -> None:
    simulator.reset()
    view, _ = simulator.step(FloorMotion(0.1, 0.1))
    size = simulator.camera.resolution
    assert (view.rgb.shape, view.rgb.dtype) == ((size, size, 3), np.uint8)
    assert (view.depth.shape, view.depth.dtype) == ((size, size), np.float32)
    assert (view.pose.shape, view.pose.dtype) == ((4, 4), np.float32)
    assert np.isfinite(view.depth).all() and (view.depth >= 0).all() and (view.depth > 0).any()
    geometry.check_pose(view.pose)


def test_views_can_be_seen_in_another_light(simulator: Any) -> None:
    plain = simulator.reset()
    light = Lighting(0.7, 1.2, 4000)
    source = getattr(simulator, "source", simulator)
    source.lighting = light
    lit = simulator.reset()
    np.testing.assert_array_equal(lit.depth, plain.depth)
    if source is simulator:
        np.testing.assert_array_equal(lit.rgb, relit(plain.rgb, light))
    assert not np.array_equal(lit.rgb, plain.rgb)
    images, _ = source.render_views(plain.pose)
    source.lighting = None
    np.testing.assert_array_equal(images, relit(source.render_views(plain.pose)[0], light))


def test_resetting_to_a_start_puts_the_level_camera_above_it(simulator: Simulator) -> None:
    simulator.reset()
    place = simulator.sample_navigable_point(np.random.default_rng(3))
    view = simulator.reset(None, AgentStart((place[0], place[1], place[2]), 0.7))
    expected = geometry.camera_pose(place, 0.7, simulator.camera.height)
    np.testing.assert_allclose(view.pose, expected, atol=1e-5)


def test_the_same_motions_give_the_same_views(simulator: Simulator) -> None:
    runs = []
    for _ in range(2):
        views = [content(simulator.reset())]
        collisions = []
        for motion in WALK:
            view, collided = simulator.step(motion)
            views.append(content(view))
            collisions.append(collided)
        runs.append((views, collisions))
    assert runs[0][1] == runs[1][1]
    for one, other in zip(runs[0][0], runs[1][0], strict=True):
        assert_same(one, other)


def test_a_snapshot_returns_any_number_of_times(simulator: Simulator) -> None:
    simulator.reset()
    simulator.step(WALK[0])
    before, snapshot = content(simulator.step(WALK[1])[0]), simulator.snapshot()
    after = [content(simulator.step(motion)[0]) for motion in WALK[2:]]
    for _ in range(2):
        assert_same(content(simulator.restore(snapshot)), before)
        for motion, expected in zip(WALK[2:], after, strict=True):
            assert_same(content(simulator.step(motion)[0]), expected)


def test_a_snapshot_outlives_a_reset(simulator: Simulator) -> None:
    simulator.reset()
    before, snapshot = content(simulator.step(WALK[3])[0]), simulator.snapshot()
    simulator.reset()
    simulator.step(FloorMotion(0.25))
    assert_same(content(simulator.restore(snapshot)), before)


def test_views_keep_their_content_when_the_world_moves_on(simulator: Simulator) -> None:
    simulator.reset()
    early, _ = simulator.step(FloorMotion(turn=TURN))
    expected = simulator.snapshot()
    simulator.step(FloorMotion(turn=1.0))
    late_look = content(early)
    assert_same(late_look, content(simulator.restore(expected)))


def test_sampled_points_are_navigable_and_repeat_with_the_generator(simulator: Simulator) -> None:
    simulator.reset()
    sampled = [[simulator.sample_navigable_point(rng) for _ in range(20)] for rng in map(np.random.default_rng, (5, 5))]
    np.testing.assert_array_equal(sampled[0], sampled[1])
    assert all(p.shape == (3,) and simulator.is_navigable(p) for p in sampled[0])
    assert len(np.unique(np.round(sampled[0], 6), axis=0)) == 20


def test_the_start_is_navigable(simulator: Simulator) -> None:
    position, _ = agent(simulator, simulator.reset())
    assert simulator.is_navigable(position)


def test_geodesic_distances_are_a_metric_no_shorter_than_the_straight_line(
    simulator: Simulator, request: pytest.FixtureRequest
) -> None:
    simulator.reset()
    detour = DETOURS.get(request.node.callspec.params["simulator"], 0.0)
    rng = np.random.default_rng(11)
    for _ in range(10):
        a, b, c = (simulator.sample_navigable_point(rng) for _ in range(3))
        ab = simulator.geodesic_distance(a, b)
        assert simulator.geodesic_distance(a, a) == pytest.approx(0.0, abs=1e-6)
        assert ab == pytest.approx(simulator.geodesic_distance(b, a), rel=detour, abs=1e-6)
        assert ab >= math.dist(a[::2], b[::2]) - 1e-6
        way_round = simulator.geodesic_distance(a, c) + simulator.geodesic_distance(c, b)
        assert ab <= (1 + detour) * way_round + 1e-6


def test_an_agent_stays_on_navigable_floor_and_collided_says_whether_it_moved_less_than_asked(
    simulator: Simulator, request: pytest.FixtureRequest
) -> None:
    position, _ = agent(simulator, simulator.reset())
    rng = np.random.default_rng(2)
    collisions = 0
    for k in range(120):
        if k % 12 == 0:
            view, _ = simulator.step(FloorMotion(turn=float(rng.uniform(-3, 3))))
        view, collided = simulator.step(FloorMotion(0.25))
        new, _ = agent(simulator, view)
        moved = math.dist(new, position)
        assert moved <= 0.25 * (1 + LONGER.get(request.node.callspec.params["simulator"], 0.0)) + 1e-5
        assert simulator.is_navigable(new)
        if abs(moved**2 + 1e-5 - 0.25**2) > 1e-5:  # float32 poses cannot tell closer calls
            assert collided == (moved**2 + 1e-5 < 0.25**2)
        collisions += collided
        position = new
    assert 0 < collisions < 120


def test_without_sliding_the_agent_keeps_to_its_heading(simulator: Simulator) -> None:
    simulator.allow_sliding = False
    position, _ = agent(simulator, simulator.reset())
    rng = np.random.default_rng(4)
    for _ in range(60):
        view, _ = simulator.step(FloorMotion(turn=float(rng.uniform(-0.6, 0.6))))
        view, _ = simulator.step(FloorMotion(0.25))
        new, yaw = agent(simulator, view)
        assert np.abs(np.cross(new - position, geometry.forward(yaw))).max() < 1e-4
        position = new


def test_turning_on_the_spot_never_collides_and_comes_round_after_36_turns_of_10_degrees(simulator: Simulator) -> None:
    simulator.reset()
    for _ in range(40):  # into a wall, where turning is hardest
        first, _ = simulator.step(FloorMotion(0.25))
    for k in range(36):
        view, collided = simulator.step(FloorMotion(turn=TURN))
        assert not collided
        if k == 8:
            np.testing.assert_allclose(
                view.pose[:3, :3], geometry.rotation_y(math.pi / 2) @ first.pose[:3, :3], atol=1e-5
            )
    np.testing.assert_allclose(view.pose, first.pose, atol=1e-5)


def test_a_driven_arc_moves_along_its_chord(simulator: Simulator) -> None:
    position, yaw = agent(simulator, simulator.reset())
    view, collided = simulator.step(FloorMotion(0.05, 0.4))
    new, new_yaw = agent(simulator, view)
    assert not collided
    assert math.remainder(new_yaw - yaw - 0.4, math.tau) == pytest.approx(0.0, abs=1e-5)
    np.testing.assert_allclose(new - position, geometry.arc_displacement(yaw, 0.05, 0.4), atol=1e-5)


def test_free_camera_motions_compose_and_never_collide(simulator: Simulator) -> None:
    expected = simulator.reset().pose.astype(np.float64)
    rng = np.random.default_rng(6)
    for _ in range(5):
        motion = geometry.exp_twist(rng.normal(size=6) * 0.1)
        view, collided = simulator.step(CameraMotion(motion))
        expected = expected @ motion
        assert not collided
        np.testing.assert_allclose(view.pose, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("motion", "error", "message"),
    [
        (FloorMotion(math.nan), ValueError, "finite"),
        (FloorMotion(0.1, math.inf), ValueError, "finite"),
        (CameraMotion(np.full((4, 4), np.nan)), ValueError, "finite"),
        (CameraMotion(np.eye(3)), ValueError, "4x4"),
        (CameraMotion(2 * np.eye(4)), ValueError, "rigid"),
        (1, TypeError, "FloorMotion"),
    ],
)
def test_a_motion_that_makes_no_sense_is_refused_and_changes_nothing(
    simulator: Simulator, motion: Motion, error: type[Exception], message: str
) -> None:
    simulator.reset()
    before = content(simulator.step(FloorMotion(turn=TURN))[0])
    snapshot = simulator.snapshot()
    with pytest.raises(error, match=message):
        simulator.step(motion)
    assert_same(content(simulator.restore(snapshot)), before)


@pytest.mark.parametrize("start", [AgentStart((math.nan, 0, 0), 0), AgentStart((0, 0, 0), math.inf)])
def test_a_start_that_is_not_finite_is_refused(simulator: Simulator, start: AgentStart) -> None:
    with pytest.raises(ValueError, match="finite"):
        simulator.reset(None, start)


def test_stepping_before_reset_or_after_close_is_refused(simulator: Simulator) -> None:
    for use in (lambda: simulator.step(FloorMotion()), simulator.snapshot):
        with pytest.raises(RuntimeError, match="call reset first"):
            use()
    simulator.close()
    with pytest.raises(RuntimeError, match="closed"):
        simulator.reset()


def test_a_foreign_snapshot_is_refused(simulator: Simulator) -> None:
    simulator.reset()
    with pytest.raises(TypeError, match="snapshot"):
        simulator.restore({"scene": 1})
