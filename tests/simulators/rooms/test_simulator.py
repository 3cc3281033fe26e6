"""The true simulator: its scenes, its views against known distances, and what it does not pay for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.simulators.base import AgentStart, Camera, CameraMotion, FloorMotion
from mirage_env.simulators.rooms.prepared import prepare_home
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.simulators.rooms.splits import SPLITS, resolve_scenes
from mirage_env.simulators.rooms.toy import COLOURS


def toy(**options: Any) -> RoomsSimulator:
    return RoomsSimulator("toy", Camera(33, 90.0, 1.25), **options)


def test_splits_are_disjoint() -> None:
    names = list(SPLITS)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            a, b = SPLITS[one], SPLITS[other]
            assert a[-1] < b[0] or b[-1] < a[0]


@pytest.mark.parametrize(
    ("spec", "first", "count"),
    [
        ("train", 0, 1_000_000),
        ("val", 1_000_000, 1000),
        ("test", 2_000_000, 1000),
        ("toy", "toy", 1),
        (7, 7, 1),
        (range(5, 9), 5, 4),
        ([3, "toy", np.int64(4)], 3, 3),
        (np.arange(2, 4), 2, 2),
    ],
)
def test_scenes_are_resolved(spec: Any, first: Any, count: int) -> None:
    scenes = resolve_scenes(spec)
    assert (scenes[0], len(scenes)) == (first, count)
    assert all(type(scene) in (int, str) for scene in scenes[:3])


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("valid", ValueError, "unknown scenes 'valid'; valid are train, val, test, toy"),
        (-1, ValueError, "0 or above, got -1"),
        (range(-2, 3), ValueError, "0 or above, got -2"),
        ([], ValueError, "at least one scene"),
        (range(0), ValueError, "at least one scene"),
        (1.5, TypeError, "got 1.5"),
        ([True], TypeError, "got True"),
        (None, TypeError, "got None"),
    ],
)
def test_scenes_that_do_not_exist_are_refused(spec: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_scenes(spec)
    with pytest.raises(error, match=message):
        RoomsSimulator(spec)


def test_the_middle_pixel_measures_the_toy_room() -> None:
    simulator = toy()
    for yaw, depth, wall in (
        (0.0, 3.0, "-z"),
        (math.pi / 2, 0.5, "-x"),
        (math.pi, 3.0, "+z"),
        (-math.pi / 2, 3.5, "+x"),
    ):
        view = simulator.reset("toy", AgentStart((-1.5, 0, 0), yaw))
        assert view.depth[16, 16] == pytest.approx(depth, abs=1e-5)
        assert tuple(view.rgb[16, 16]) == COLOURS[wall]
    low = RoomsSimulator("toy", Camera(33, 90.0, 0.5)).reset("toy", AgentStart((1.0, 0, 1.0), 0.0))
    assert low.depth[16, 16] == pytest.approx(1.5, abs=1e-5)
    assert tuple(low.rgb[16, 16]) == COLOURS["obstacle"]


def test_a_view_is_rendered_once_and_only_when_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = toy()
    raycaster = prepare_home("toy", simulator.agent_radius).raycaster
    calls = []
    render = raycaster.render
    monkeypatch.setattr(raycaster, "render", lambda *a, **k: (calls.append(k), render(*a, **k))[1])
    view = simulator.reset()
    simulator.step(FloorMotion(0.25))
    assert not calls
    first = view.rgb
    assert view.rgb is first and view.depth is view.depth
    assert len(calls) == 1
    other, _ = simulator.step(FloorMotion(0.0, 0.1))
    assert other.depth is other.depth
    assert [call.get("rgb", True) for call in calls] == [True, False]


def test_render_views_gives_what_single_views_give() -> None:
    simulator = toy()
    views = [simulator.reset(), *(simulator.step(FloorMotion(0.2, 0.3))[0] for _ in range(4))]
    rgb, depth = simulator.render_views(np.stack([view.pose for view in views]))
    np.testing.assert_array_equal(rgb, [view.rgb for view in views])
    np.testing.assert_array_equal(depth, [view.depth for view in views])


@pytest.mark.parametrize("place", [(1.0, 0, -1.0), (1.9, 0, 0), (9.0, 0, 0), (0.0, 1.0, 0.0)])
def test_a_start_where_the_agent_cannot_stand_is_refused(place: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="which is not navigable"):
        toy().reset("toy", AgentStart(place, 0.0))


def test_reset_without_a_scene_keeps_the_present_one() -> None:
    simulator = RoomsSimulator(["toy", 3], Camera(8))
    simulator.reset()
    assert simulator.scene == "toy"
    simulator.reset(3)
    simulator.reset()
    assert simulator.scene == 3


def test_homes_are_shared_and_the_last_few_stay_ready() -> None:
    a, b = RoomsSimulator("toy"), RoomsSimulator("toy")
    a.reset()
    b.reset()
    assert a.home is b.home
    a.reset(1_000_000)
    home = a.home
    a.reset("toy")
    a.reset(1_000_000)
    assert a.home is home


def test_floor_motion_after_flying_goes_on_from_the_floor_below() -> None:
    simulator = toy()
    simulator.reset("toy", AgentStart((-1.0, 0, 0), 0.0))
    up = np.eye(4)
    up[:3, 3] = 0.3, -0.8, 0.5  # right, up, forward in the camera's frame
    flown, _ = simulator.step(CameraMotion(up))
    np.testing.assert_allclose(flown.pose[:3, 3], [-0.7, 2.05, -0.5], atol=1e-6)
    view, _ = simulator.step(FloorMotion(0.25))
    np.testing.assert_allclose(view.pose, geometry.camera_pose((-0.7, 0, -0.75), 0.0, 1.25), atol=1e-6)


def test_the_floor_plan_as_a_picture_has_the_areas_of_the_plan() -> None:
    simulator = toy()
    simulator.reset()
    plan = simulator.navigable_map(cell=0.02)
    assert plan.floor.shape == plan.navigable.shape == (325, 225)
    assert plan.floor.sum() * 0.02**2 == pytest.approx(24.0, rel=0.01)
    assert plan.navigable.sum() * 0.02**2 == pytest.approx(simulator.floor_area, rel=0.01)
    row, column = np.argwhere(plan.navigable)[100]
    x, z = plan.origin + (np.array([column, row]) + 0.5) * plan.cell
    assert simulator.is_navigable((x, 0, z))
    with pytest.raises(ValueError, match="cell > 0"):
        simulator.navigable_map(cell=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 3}, "samples must be 1 or 4"),
        ({"agent_radius": -0.1}, "agent_radius"),
        ({"agent_radius": math.nan}, "agent_radius"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RoomsSimulator("toy", **options)


@pytest.mark.parametrize("seed", [0, 17, 1_000_000, 2_000_003])
def test_generated_homes_can_be_walked_through(seed: int) -> None:
    """Most of each home's free space is one island that reaches into every room."""
    navigation = prepare_home(seed, 0.18).navigation
    home = prepare_home(seed, 0.18).home
    largest = navigation.islands[0]
    assert largest.area > 0.85 * navigation.free.area
    assert all(largest.intersects(room.polygon) for room in home.rooms)
