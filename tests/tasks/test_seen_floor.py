"""Which floor was seen: by hand in a room without furniture, and beside a picture of 16 times as many pixels."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.tasks.seen_floor import CELL, REACH, SeenFloor, floor_in_view, marked, no_floor, see

CAMERA = Camera(128, 90.0, 1.25)


def plane_and_wall(pose: Array, wall: float = math.inf, floor: float = 0.0) -> Array:
    """z-depth (H, W) over an endless floor at height ``floor``, before a wall at that z-depth."""
    K, size = CAMERA.intrinsics, CAMERA.resolution
    down = (np.arange(size) + 0.5 - K[1, 2]) / K[1, 1]
    with np.errstate(divide="ignore"):
        depth = np.where(down > 0, (float(pose[1, 3]) - floor) / down, np.inf)
    depth = np.minimum(np.broadcast_to(depth[:, None], (size, size)), wall)
    return np.where(np.isfinite(depth), depth, 0.0).astype(np.float32)


def seen_at(corner: tuple[int, int], shown: Array, x: float, z: float) -> bool:
    return bool(shown[math.floor(z / CELL) - corner[0], math.floor(x / CELL) - corner[1]])


@pytest.mark.parametrize("yaw", [0.0, math.pi / 2, 2.0])
def test_an_empty_floor_is_seen_as_far_as_it_is_in_the_picture(yaw: float) -> None:
    pose = geometry.camera_pose((0.33, 0.0, -0.71), yaw, 1.25)
    corner, shown = floor_in_view(plane_and_wall(pose), pose, CAMERA.intrinsics, 1.25)
    rows, columns = np.nonzero(np.ones_like(shown))
    centres = (np.stack([columns + corner[1], rows + corner[0]], axis=1) + 0.5) * CELL
    centres = np.insert(centres, 1, 0.0, axis=1)
    right, _, back = geometry.rotation_y(yaw).T @ (centres - [0.33, 0.0, -0.71]).T
    # How far inside the picture and the reach each cell's centre lies, metres; at 0 rounding decides.
    inside = np.min([-back - 1.25, -back - np.abs(right), REACH - np.hypot(right, back)], axis=0)
    clear = np.abs(inside) > 0.01
    np.testing.assert_array_equal(shown.ravel()[clear], inside[clear] > 0)
    assert clear.mean() > 0.98


def test_a_wall_hides_the_floor_behind_it_and_the_depth_that_is_unknown_shows_none() -> None:
    pose = geometry.camera_pose((0.05, 0.0, 0.05), 0.0, 1.25)
    depth = plane_and_wall(pose, wall=3.0)
    corner, shown = floor_in_view(depth, pose, CAMERA.intrinsics, 1.25)
    ahead = [seen_at(corner, shown, 0.05, 0.05 - z) for z in (2.0, 2.8, 3.2, 4.0)]
    assert ahead == [True, True, False, False]
    assert not floor_in_view(np.zeros_like(depth), pose, CAMERA.intrinsics, 1.25)[1].any()


@pytest.mark.parametrize(
    ("height", "is_floor"), [(-0.3, False), (-0.2, True), (0.0, True), (0.09, True), (0.15, False)]
)
def test_a_surface_is_floor_near_the_height_of_the_feet_only(height: float, is_floor: bool) -> None:
    pose = geometry.camera_pose((0.0, 0.0, 0.0), 0.0, 1.25)
    _, shown = floor_in_view(plane_and_wall(pose, floor=height), pose, CAMERA.intrinsics, 1.25)
    assert shown.any() == is_floor


def test_in_homes_what_counts_as_seen_is_seen() -> None:
    """Beside views of 512 pixels, whose tolerance is 2 cm: the figures that the module claims."""
    simulator, rng = RoomsSimulator("toy", CAMERA), np.random.default_rng(0)
    simulator.reset()
    wrong = missed = both = 0
    fine = Camera(512, 90.0, 1.25)
    for _ in range(5):
        x, y, z = map(float, simulator.sample_navigable_point(rng))
        view = simulator.reset(None, AgentStart((x, y, z), float(rng.uniform(-math.pi, math.pi))))
        _, shown = floor_in_view(view.depth, view.pose, CAMERA.intrinsics, 1.25)
        simulator.camera = fine
        depth = simulator.restore(simulator.snapshot()).depth
        simulator.camera = CAMERA
        down = (np.arange(512) + 0.5 - 256) / 256
        over = 1.25 - depth * down[:, None]
        # What is no floor is out of the way of the comparison: nothing there lies at the floor's height.
        exact = np.where((np.abs(over) < 0.02) & (depth > 0), depth, 0.0).astype(np.float32)
        _, true = floor_in_view(exact, view.pose, fine.intrinsics, 1.25)
        both += int((shown & true).sum())
        wrong += int((shown & ~true).sum())
        missed += int((true & ~shown).sum())
    assert both > 250
    assert wrong / (both + wrong) < 0.06
    assert missed / (both + missed) < 0.06


def test_what_is_seen_adds_up_and_the_value_before_stays() -> None:
    pose = geometry.camera_pose((0.0, 0.0, 0.0), 0.0, 1.25)
    first = no_floor(0.0)
    second = see(first, SimpleNamespace(depth=plane_and_wall(pose), pose=pose), CAMERA)
    assert first.area == 0 and second.area > 5
    assert see(second, SimpleNamespace(depth=plane_and_wall(pose), pose=pose), CAMERA) is second
    turned = geometry.camera_pose((0.0, 0.0, 0.0), math.pi, 1.25)
    third = see(second, SimpleNamespace(depth=plane_and_wall(turned), pose=turned), CAMERA)
    assert third.area == pytest.approx(2 * second.area, rel=0.02)
    before = second.corner - third.corner
    height, width = second.cells.shape[1:]
    kept = third.cells[:, before[0] : before[0] + height, before[1] : before[1] + width]
    assert (kept | ~second.cells).all()
    with pytest.raises(ValueError, match="read-only"):
        third.cells[0, 0, 0] = True


def test_order_does_not_matter_and_storeys_are_told_apart() -> None:
    patch = np.ones((3, 4), dtype=bool)
    marks = [((0, 0), 0.0), ((-40, 70), 0.1), ((1, 2), 0.2)]

    def all_of(order: list[int]) -> set[tuple[int, ...]]:
        floor = no_floor(0.0)
        for i in order:
            floor = marked(floor, marks[i][0], patch, marks[i][1])
        return {tuple(cell) for cell in (np.argwhere(floor.cells[0]) + floor.corner).tolist()}

    assert all_of([0, 1, 2]) == all_of([2, 1, 0])
    assert len(all_of([0, 1, 2])) == 12 + 12 + 12 - 4
    upstairs = marked(marked(no_floor(0.0), (0, 0), patch, 0.0), (0, 0), patch, 3.0)
    assert isinstance(upstairs, SeenFloor) and upstairs.heights.tolist() == [0.0, 3.0]
    assert upstairs.area == pytest.approx(24 * CELL**2)
