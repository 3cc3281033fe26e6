"""What cameras looked through is empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry, team
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, paths, sightlines
from mirage_env.memory.compiled import looks
from mirage_env.memory.compiled.host import columns_of, sighted
from mirage_env.memory.compiled.sights import _lower_bound_near
from mirage_env.memory.protocol import look_along
from mirage_env.memory.sightlines import Rays, rays_of
from tests.memory.scenes import look, random_room_pose, room_depth

SIZE = (12, 16)
K = geometry.intrinsics(16, 12, 90.0)


def filled(poses: list[Array], imagined: float = 0.0) -> LatentMemory:
    memory = LatentMemory(1)
    for pose in poses:
        memory.write(np.zeros((1, *SIZE)), room_depth(pose, K, SIZE), K, pose, merge=False, imagined=imagined)
    return memory


def test_before_a_seen_wall_is_empty_space_and_behind_it_nothing_is_known() -> None:
    memory = LatentMemory(1)
    memory.write(np.zeros((1, *SIZE)), np.full(SIZE, 2.0), K, np.eye(4))  # a wall two metres ahead
    points = np.array(
        [[0, 0, 1.0], [0, 0, 1.85], [0, 0, 1.95], [0, 0, 2.5], [0, 0, -1.0], [1.9, 0, 1.0], [0.9, 0, 1.0]]
    )
    expected = [True, True, False, False, False, False, True]
    assert memory.looked_through(points).tolist() == expected
    assert memory.fork().looked_through(points).tolist() == expected


def test_what_was_imagined_proves_nothing() -> None:
    pose = random_room_pose(np.random.default_rng(0))
    near = geometry.transform(pose, np.array([[0.0, 0.0, 0.1]]))
    assert filled([pose]).looked_through(near).all()
    assert not filled([pose], imagined=0.5).looked_through(near).any()
    assert not LatentMemory(1).looked_through(near).any()


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("path", ["fastest", "torch"])
def test_agrees_with_a_loop_over_views(path: paths.ReadPath, seed: int) -> None:
    rng = np.random.default_rng(seed)
    poses = [random_room_pose(rng) for _ in range(3)]
    points = rng.uniform(-1.5, 1.5, (40, 3))
    with paths.reading_by(path):
        found = filled(poses).looked_through(torch.as_tensor(points), margin=0.2).numpy()
    for point, answer in zip(points, found, strict=True):
        clear, close = False, False
        for pose in poses:
            depth = room_depth(pose, K, SIZE)
            (x, y), z = geometry.project(geometry.transform(geometry.invert(pose), point), K)
            if z > 0 and 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
                ratio = depth[int(y), int(x)] / z
                clear |= ratio > 1.2
                close |= 0.7 < ratio < 1.9  # the plane of a cell and its centre may differ that much
        assert answer == clear or close


class Other:
    """A memory that is no ``LatentMemory``, but looks through one."""

    def __init__(self, memory: LatentMemory) -> None:
        self.looked_through = memory.looked_through


def random_rays(rng: np.random.Generator, counts: list[int], places: int) -> Rays:
    """Rays of cameras in the room, so many of each, with places on them in any order, before and behind its walls."""
    world = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    pixels = torch.as_tensor(rng.uniform(0, (SIZE[1], SIZE[0]), (len(world), 2)))
    poses = np.stack([random_room_pose(rng) for _ in counts])
    return rays_of(
        world, pixels, torch.as_tensor(rng.uniform(0, 5, (len(world), places))), np.stack([K] * len(counts)), poses
    )


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_places_on_rays_are_looked_through_as_points_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    memories = [filled([random_room_pose(rng) for _ in range(views)]) for views in (1, 0, 6, 2)]
    rays = random_rays(rng, [300, 5, 40, 0], int(rng.integers(1, 9)))
    found = look_along(memories, rays)
    with paths.reading_by("torch"):
        assert torch.equal(look_along(memories, rays), found)
    assert torch.equal(look_along([memories[0], Other(memories[1]), *memories[2:]], rays), found)  # type: ignore[list-item]
    assert 0 < int(found.sum()) < found.numel() and not found[300:305].any()
    for k, memory in enumerate(memories):
        mine = slice(rays.starts[k], rays.starts[k + 1])
        pixels, depth = rays.pixels[mine, None].numpy(), rays.depth[mine].numpy()
        points = geometry.transform(rays.poses[k], geometry.unproject(pixels, depth, K))
        np.testing.assert_allclose(sightlines.places(rays, k), points, atol=1e-12)
        assert torch.equal(memory.looked_through(sightlines.places(rays, k).view(-1, 3)), found[mine].view(-1))


def test_a_world_is_looked_through_alone_as_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    memories = [filled([random_room_pose(rng)]) for _ in range(5)]
    rays = random_rays(rng, [40, 200, 1, 90, 30], 8)
    found, before = look_along(memories, rays), torch.get_num_threads()
    monkeypatch.setattr(team, "ALONE", 0)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(look_along(memories, rays), found)
    finally:
        torch.set_num_threads(before)
    for k, memory in enumerate(memories):
        mine = slice(rays.starts[k], rays.starts[k + 1])
        single = Rays(
            rays.pixels[mine], rays.depth[mine], [0, len(found[mine])], rays.K[k : k + 1], rays.poses[k : k + 1]
        )
        assert torch.equal(look_along([memory], single), found[mine])


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_views_are_left_out_only_where_they_see_none_of_the_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    memory = filled([random_room_pose(rng) for _ in range(2 * looks.FEW + 2)])
    columns = columns_of(memory._parts[0])
    sights, _ = sighted(columns)
    order, frusta = looks._seeing(sights, columns.views)
    assert order[:, 0].tolist() == list(range(columns.views))[::-1] and len(frusta) == columns.views
    left_out = 0
    for _ in range(50):
        points = rng.uniform(-3, 3, 3) + rng.uniform(0.01, 1.0) * rng.uniform(-1, 1, (64, 3))
        ball, margin = looks._ball(np.ascontiguousarray(points.T), 64), float(rng.choice([-0.5, 0.0, 0.3]))
        assert (np.linalg.norm(points - ball[:3], axis=1) <= ball[3] * (1 + 1e-12)).all()
        for view, rank in order:
            if looks._out_of_view(frusta[rank], sights[view], *ball, 1.0 + margin):
                left_out += 1
                flat = torch.as_tensor(points.T)
                assert not sightlines.in_front(memory._parts[0], torch.as_tensor(int(view)), flat, margin).any()
    assert left_out > 50


def test_a_token_is_found_from_any_guess() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        key = np.sort(rng.choice(80, int(rng.integers(1, 40)), replace=False)).astype(np.int64)
        first, end = np.sort(rng.integers(0, len(key) + 1, 2))
        wanted = int(rng.integers(-2, 83))
        expected = first + np.searchsorted(key[first:end], wanted)
        assert _lower_bound_near(key, wanted, first, end, int(rng.integers(-50, 100))) == expected


@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_many_views_far_apart_are_asked_as_one_by_one(shift: float) -> None:
    lens, memory = geometry.intrinsics(16, 12, 50.0), LatentMemory(1)
    poses = [look(yaw, shift + 30 * np.cos(yaw), 0.0, 30 * np.sin(yaw)) for yaw in np.linspace(0, 6, 12)]
    for pose in poses:
        memory.write(np.zeros((1, *SIZE)), np.full(SIZE, 3.0), lens, pose, merge=False)
    pixels = torch.as_tensor(geometry.pixel_grid(*SIZE)).view(-1, 2).repeat(len(poses), 1)
    world = torch.arange(len(poses)).repeat_interleave(SIZE[0] * SIZE[1])
    depth = torch.linspace(0.1, 6.0, 8, dtype=torch.float64).expand(len(world), 8)
    rays = rays_of(world, pixels, depth, np.stack([lens] * len(poses)), np.stack(poses))
    found = look_along([memory] * len(poses), rays)
    with paths.reading_by("torch"):
        assert torch.equal(look_along([memory] * len(poses), rays), found)
    assert found[:, :3].all() and not found[:, -3:].any()


def test_no_rays_and_no_memories_find_nothing() -> None:
    nothing = rays_of(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2), torch.zeros(0, 3), K[None], np.eye(4)[None])
    assert look_along([filled([look()])], nothing).shape == (0, 3)
    assert look_along([], nothing._replace(starts=[0], K=K[:0], poses=np.zeros((0, 4, 4)))).shape == (0, 3)
