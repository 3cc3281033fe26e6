"""Occupancy grids of a memory, against a toy room whose every wall is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirage_env import depth as depths
from mirage_env import geometry
from mirage_env.memory import LatentMemory
from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.occupancy import CELL, OccupancyGrid
from mirage_env.simulators.rooms.simulator import RoomsSimulator

CAMERA, STRIDE = Camera(128, 90.0, 1.25), 4
LOOKS = [((0.0, 0.0, 1.5), yaw) for yaw in np.linspace(0, 2 * np.pi, 8, endpoint=False)]


def write(memory: LatentMemory, depth: np.ndarray, pose: np.ndarray, camera: Camera = CAMERA) -> None:
    grid = depths.to_grid(torch.as_tensor(depth)[None], STRIDE)[0]
    K = geometry.scale_intrinsics(camera.intrinsics, 1 / STRIDE)
    memory.write(torch.zeros(memory.channels, *grid.shape), grid, K, pose)


@pytest.fixture(scope="module")
def views() -> list[tuple[np.ndarray, np.ndarray]]:
    """Depths and poses all round a place of the toy room: walls x = ±2, z = ±3, a cube x 0.5..1.5, z -1.5..-0.5."""
    simulator = RoomsSimulator("toy", CAMERA)
    found = []
    for position, yaw in LOOKS:
        view = simulator.reset("toy", AgentStart(position, float(yaw)))
        found.append((view.depth, view.pose))
    return found


@pytest.fixture(scope="module")
def room(views: list[tuple[np.ndarray, np.ndarray]]) -> LatentMemory:
    memory = LatentMemory(channels=1)
    for depth, pose in views:
        write(memory, depth, pose)
    return memory


def at(grid: OccupancyGrid, cells: np.ndarray, x: float, z: float) -> bool:
    r, c = math.floor(z / grid.cell) - grid.row, math.floor(x / grid.cell) - grid.column
    return bool(0 <= r < cells.shape[0] and 0 <= c < cells.shape[1] and cells[r, c])


def near(grid: OccupancyGrid, cells: np.ndarray, x: float, z: float) -> bool:
    """Whether a cell within one of (x, z) is set: a surface on the border of two cells may fall into either."""
    steps = (-grid.cell, 0.0, grid.cell)
    return any(at(grid, cells, x + dx, z + dz) for dx in steps for dz in steps)


def test_walls_are_obstacles_without_gaps_and_the_floor_between_them_is_floor(room: LatentMemory) -> None:
    grid = OccupancyGrid(0.0).extended(room)
    for z in np.arange(-2.4, 2.95, 0.05):
        assert near(grid, grid.obstacle, -2.0, z), z
    for x in np.arange(-1.95, 1.95, 0.05):
        assert near(grid, grid.obstacle, x, 3.0), x
    for x in np.arange(0.55, 1.45, 0.05):
        assert near(grid, grid.obstacle, x, -0.5), x
    x, z = np.meshgrid(np.arange(-1.85, 1.85, 0.05), np.arange(-0.3, 2.85, 0.05))
    # From 1.25 m up, the camera sees no floor nearer than that.
    seen = np.hypot(x, z - 1.5) > 1.4
    inside = list(zip(x[seen], z[seen], strict=True))
    assert not any(at(grid, grid.obstacle, *p) for p in inside)
    assert np.mean([at(grid, grid.floor, *p) for p in inside]) > 0.97
    # Behind the cube nothing was seen.
    assert not at(grid, grid.floor, 1.5, -2.5) and not at(grid, grid.obstacle, 1.5, -2.5)


def test_what_hangs_overhead_or_lies_on_the_floor_is_not_in_the_way(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    memory = LatentMemory(channels=1)
    depth, pose = views[0]
    write(memory, depth, pose)
    grid = OccupancyGrid(-1.6).extended(memory)  # as if the floor were deeper: the room's own hangs above the head
    assert not grid.floor.any()
    assert not at(grid, grid.obstacle, 0.0, -0.5)
    shallow = OccupancyGrid(0.25).extended(memory)  # a level surface a little below the assumed floor is floor
    assert at(shallow, shallow.floor, 0.0, -0.5) and not at(shallow, shallow.obstacle, 0.0, -0.5)


def test_adding_views_one_by_one_gives_the_grid_of_all_of_them(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    memory, grid = LatentMemory(channels=1), OccupancyGrid(0.0)
    for depth, pose in views:
        write(memory, depth, pose)
        grid = grid.extended(memory)
    whole = OccupancyGrid(0.0).extended(memory)
    assert (grid.row, grid.column, grid.tokens) == (whole.row, whole.column, len(memory))
    np.testing.assert_array_equal(grid.obstacle, whole.obstacle)
    np.testing.assert_array_equal(grid.floor, whole.floor)
    assert grid.extended(memory) is grid


def test_a_grid_is_a_value_that_later_writes_do_not_change(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    memory = LatentMemory(channels=1)
    write(memory, *views[0])
    early = OccupancyGrid(0.0).extended(memory)
    obstacle, floor = early.obstacle.copy(), early.floor.copy()
    fork = memory.fork()
    for depth, pose in views[1:]:
        write(memory, depth, pose)
    assert early.extended(memory).obstacle.sum() > obstacle.sum()
    np.testing.assert_array_equal(early.obstacle, obstacle)
    np.testing.assert_array_equal(early.floor, floor)
    assert early.extended(fork) is early
    with pytest.raises(ValueError, match="read-only"):
        early.obstacle[0, 0] = True


@pytest.mark.parametrize("slope", [0.05, 0.2, 0.6])
def test_streaks_between_the_surfaces_of_an_edge_are_no_walls(slope: float) -> None:
    """A cell half way between a near and a far surface, as blurred depth has them, all the way up an edge."""
    near_depth, far_depth = 1.5, 1.5 * (1 + 5 * slope)
    depth = np.full((32, 32), far_depth)
    depth[:, :16] = near_depth
    depth[:, 16] = 2 / (1 / near_depth + 1 / far_depth)
    memory = LatentMemory(channels=1)
    K = geometry.scale_intrinsics(CAMERA.intrinsics, 1 / STRIDE)
    memory.write(torch.zeros(1, 32, 32), depth, K, geometry.camera_pose((0, 0, 0), 0.0, 0.75))
    grid = OccupancyGrid(0.0).extended(memory)
    middle = -float(depth[0, 16])
    assert near(grid, grid.obstacle, -0.5, -near_depth) and near(grid, grid.obstacle, 0.5, -far_depth)
    assert not near(grid, grid.obstacle, 0.5 / 16 * -middle, middle)


def test_a_wall_seen_at_a_flat_angle_is_a_wall() -> None:
    """A corridor's wall, 0.9 m to the left of the axis along which the camera looks."""
    K = geometry.scale_intrinsics(CAMERA.intrinsics, 1 / STRIDE)
    rays = geometry.unproject(geometry.pixel_grid(32, 32), np.ones((32, 32)), K)
    with np.errstate(divide="ignore"):
        depth = np.where(rays[..., 0] < 0, -0.9 / rays[..., 0], 0)
    depth[depth > 6] = 0
    memory = LatentMemory(channels=1)
    memory.write(torch.zeros(1, 32, 32), depth, K, geometry.camera_pose((0, 0, 0), 0.0, 0.75))
    grid = OccupancyGrid(0.0).extended(memory)
    for z in np.arange(-4.5, -1.0, 0.05):
        assert near(grid, grid.obstacle, -0.9, z), z


def test_a_table_ends_where_the_floor_behind_it_begins() -> None:
    """Its top, 0.7 m high and 0.6 m deep, is seen flatly, so that its last cells reach half a metre into the floor."""
    down = geometry.unproject(geometry.pixel_grid(128, 128), np.ones((128, 128)), CAMERA.intrinsics)[..., 1]
    with np.errstate(divide="ignore"):
        floor, top = (np.where(down > 0, below / down, 0) for below in (1.25, 0.55))
    depth = np.where((top > 2.8) & (top < 3.4), top, floor)
    depth[(2.8 * down > 0.55) & (floor > 2.8)] = 2.8
    depth[depth > 10] = 0
    memory = LatentMemory(channels=1)
    write(memory, depth, geometry.camera_pose((0, 0, 0), 0.0, 1.25))
    grid = OccupancyGrid(0.0).extended(memory)
    for x in np.arange(-1, 1, 0.1):
        assert near(grid, grid.obstacle, x, -2.8), x
        for z in np.arange(3.6, 3.9, 0.05):
            assert not at(grid, grid.obstacle, x, -z), (x, z)


def test_where_an_agent_stands_nothing_blocks_it_now_or_later(views: list[tuple[np.ndarray, np.ndarray]]) -> None:
    memory = LatentMemory(channels=1)
    write(memory, *views[0])
    grid = OccupancyGrid(0.0).standing((-1.95, 0.0, -2.0), 0.18)
    assert grid.extended(memory).obstacle.any()
    later = grid.extended(memory)
    assert not near(later, later.blocked, -1.95, -2.0)
    np.testing.assert_array_equal(later.blocked, later.obstacle & ~later.stood)
    assert (later.obstacle & later.stood).any()
    np.testing.assert_array_equal(
        OccupancyGrid(0.0).extended(memory).standing((-1.95, 0, -2), 0.18).blocked, later.blocked
    )


def test_origin_and_extent_are_in_world_metres(room: LatentMemory) -> None:
    grid = OccupancyGrid(0.0).extended(room)
    np.testing.assert_allclose(grid.origin, [grid.column * CELL, grid.row * CELL])
    x0, x1, z1, z0 = grid.extent
    assert (x0, z0) == pytest.approx(tuple(grid.origin))
    assert (x1 - x0, z1 - z0) == pytest.approx((grid.obstacle.shape[1] * CELL, grid.obstacle.shape[0] * CELL))
    assert x0 <= -2 and x1 >= 2 and z0 <= -3 and z1 >= 3


def test_what_is_too_doubtful_to_be_in_the_way_may_be_floor(
    views: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    memory = LatentMemory(channels=1)
    for depth, pose in views:
        grid = depths.to_grid(torch.as_tensor(depth)[None], STRIDE)[0]
        K = geometry.scale_intrinsics(CAMERA.intrinsics, 1 / STRIDE)
        memory.write(torch.zeros(1, *grid.shape), grid, K, pose, imagined=0.5)
    believed, doubted = (OccupancyGrid(0.0, believed=level).extended(memory) for level in (0.6, 0.4))
    assert believed.obstacle.any() and not doubted.obstacle.any()
    assert doubted.floor.any() and doubted.floor.sum() == believed.floor.sum()
    with pytest.raises(ValueError, match="believed must be a doubt from 0 to 1"):
        OccupancyGrid(0.0, believed=1.1)


def test_a_grid_refuses_another_memory_and_numbers_that_make_no_sense(room: LatentMemory) -> None:
    grid = OccupancyGrid(0.0).extended(room)
    with pytest.raises(ValueError, match="another one"):
        grid.extended(LatentMemory(channels=1))
    with pytest.raises(ValueError, match="floor_height"):
        OccupancyGrid(math.nan)
    with pytest.raises(ValueError, match="cell"):
        OccupancyGrid(0.0, cell=0.0)
    assert OccupancyGrid(0.0).extended(LatentMemory(channels=1)).obstacle.size == 0


def test_what_the_memory_removes_leaves_the_grid_and_where_an_agent_stood_stays() -> None:
    K = geometry.scale_intrinsics(CAMERA.intrinsics, 1 / STRIDE)
    pose = geometry.camera_pose((0, 0, 0), 0.0, 0.75)

    def see(memory: LatentMemory, z: float) -> None:
        memory.write(torch.zeros(1, 32, 32), np.full((32, 32), z), K, pose)

    memory = LatentMemory(channels=1)  # whose rules let a later view see through what is not there any more
    see(memory, 1.5)
    before = OccupancyGrid(0.0).standing((1.0, 0.0, 1.0), 0.18).extended(memory)
    assert near(before, before.obstacle, 0.0, -1.5)
    see(memory, 2.5)
    assert memory.removed
    after = before.extended(memory)
    anew = OccupancyGrid(0.0).extended(memory)
    assert not near(after, after.obstacle, 0.0, -1.5) and near(after, after.obstacle, 0.0, -2.5)
    assert after.obstacle.sum() == anew.obstacle.sum() and after.floor.sum() == anew.floor.sum()
    assert after.stood.sum() == before.stood.sum() > 0
    assert after.extended(memory) is after
    assert near(before, before.obstacle, 0.0, -1.5)  # a value


def test_what_was_imagined_in_a_camera_s_sight_lines_is_no_obstacle() -> None:
    pose, K = geometry.camera_pose((0.0, 0.0, 0.0), 0.0, 1.25), geometry.scale_intrinsics(CAMERA.intrinsics, 1 / STRIDE)
    grid, wall = np.zeros((1, 32, 32)), np.full((32, 32), 3.0)
    for sees, blocked in ((True, False), (False, True)):
        memory = LatentMemory(channels=1)
        memory.write(grid, wall, K, pose, imagined=0.0 if sees else 1.0)
        memory.write(grid, wall / 2, K, pose, imagined=1.0, merge=False)
        found = OccupancyGrid(0.0).extended(memory)
        assert near(found, found.obstacle, 0.0, -3.0)
        assert near(found, found.obstacle, 0.0, -1.5) == blocked


def test_what_was_imagined_does_not_stand_on_floor_that_a_camera_saw() -> None:
    camera = Camera(64, 90.0, 1.25)
    view = RoomsSimulator("toy", camera).reset("toy", AgentStart((0.0, 0.0, 2.5), 0.0))
    for known in (True, False):
        memory = LatentMemory(channels=1)
        if known:
            write(memory, view.depth, view.pose, camera)
        # Seen from beyond, a wall that was imagined at z = 0.75, in the middle of the floor in view.
        back = geometry.camera_pose((0.0, 0.0, -2.5), np.pi, 1.25)
        K = geometry.scale_intrinsics(camera.intrinsics, 1 / STRIDE)
        memory.write(np.zeros((1, 16, 16)), np.full((16, 16), 3.25), K, back, imagined=1.0, merge=False)
        grid = OccupancyGrid(0.0).extended(memory)
        assert near(grid, grid.obstacle, 0.0, 0.75) == (not known)
