"""The footprint read against rays and planes: analytic fields, holes, occlusion, and the slow reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, paths
from mirage_env.memory.reference import ReferenceMemory
from mirage_env.memory.rules import MemoryRules
from tests.memory.scenes import look, plane_depth, random_room_pose, room_depth, world_points

SIZE = (24, 32)
K = geometry.intrinsics(32, 24, 90.0)
SLANTED = np.array([0.3, 0.2, 1.0])


def source_field(pixels: Array) -> Array:
    """Latents (3, ...) that are linear in source grid coordinates (..., 2)."""
    x, y = pixels[..., 0], pixels[..., 1]
    return np.stack([0.1 * x - 0.05 * y, 0.02 * y + 1.0, 0.03 * x])


def slanted_memory(offset: float = -3.0) -> LatentMemory:
    memory = LatentMemory(3)
    depth = plane_depth(SLANTED, offset, look(), K, SIZE)
    assert (depth > 0).all()
    memory.write(source_field(geometry.pixel_grid(*SIZE)), depth, K, look())
    return memory


@pytest.mark.parametrize(
    "pose",
    [
        look(),
        look(z=-1.5),
        look(0.4, x=0.7),
        look(-0.3, x=-0.5, y=0.4, z=-0.8, pitch=0.2),
        look(z=-2.0, x=0.2),
        look(z=4),
    ],
    ids=["same", "closer", "turned left", "all axes", "close to the wall", "far away"],
)
def test_a_slanted_plane_with_a_linear_field_is_read_exactly_and_without_holes(pose: Array) -> None:
    view = slanted_memory().read(pose, K, SIZE)
    depth = plane_depth(SLANTED, -3.0, pose, K, SIZE)
    points = world_points(depth, pose, K)
    pixels, z = geometry.project(geometry.transform(geometry.invert(look()), points), K)
    inside = (depth > 0) & (z > 0) & ((pixels > 0.5) & (pixels < [31.5, 23.5])).all(-1)
    covered = view.visible[0].numpy()
    assert inside.sum() > 15
    assert covered[inside].all()
    beyond = (depth == 0) | (z <= 0) | ~((pixels > -0.1) & (pixels < [32.1, 24.1])).all(-1)
    assert not covered[beyond].any()
    np.testing.assert_allclose(view.depth[0].numpy()[inside], depth[inside], rtol=1e-5)
    np.testing.assert_allclose(view.latents[0].numpy()[:, inside], source_field(pixels)[:, inside], atol=2e-4)


def test_reading_the_written_view_gives_it_back() -> None:
    rng = np.random.default_rng(0)
    latents, depth = rng.standard_normal((5, *SIZE)).astype(np.float32), rng.uniform(0.5, 6, SIZE).astype(np.float32)
    depth[rng.random(SIZE) < 0.3] = 0
    pose = look(0.7, 10.0, -3.0, 4.0, 0.2)
    memory = LatentMemory(5)
    memory.write(latents, depth, K, pose, edges=False)
    view = memory.read(pose, K, SIZE)
    np.testing.assert_array_equal(view.visible[0].numpy(), depth > 0)
    np.testing.assert_allclose(view.depth[0].numpy(), depth, rtol=1e-6)
    np.testing.assert_allclose(view.latents[0].numpy(), latents * (depth > 0), atol=1e-5)


def test_a_near_plane_hides_a_far_one_whichever_was_written_first() -> None:
    near, far = np.full(SIZE, 2.0), np.full(SIZE, 4.0)
    near[:, 16:] = 0
    for order in ((near, far), (far, near)):
        memory = LatentMemory(1)
        for depth in order:
            memory.write(depth[None], depth, K, look(), merge=False)
        pose = look(x=0.3, z=-0.3)
        view = memory.read(pose, K, SIZE)
        x = world_points(np.full(SIZE, 1.7), pose, K)[..., 0]
        hidden, open_ = x < -0.1, x > 0.1
        assert (view.depth[0].numpy()[hidden & view.visible[0].numpy()] < 1.8).all()
        assert view.latents[0, 0].numpy()[hidden].max() <= 2.0 + 1e-5
        assert (view.depth[0].numpy()[open_ & view.visible[0].numpy()] > 3.6).all()
        assert view.visible[0].numpy()[4:-4, 6:-6].mean() > 0.95


def test_latents_do_not_mix_across_a_depth_edge() -> None:
    depth = np.full(SIZE, 4.0)
    depth[:, :16] = 2.0
    latents = np.where(depth == 2.0, 1.0, -1.0)[None]
    memory = LatentMemory(1)
    memory.write(latents, depth, K, look())
    view = memory.read(look(0.05, x=0.1), K, SIZE)
    values = view.latents[0, 0][view.visible[0]]
    np.testing.assert_allclose(values.abs().numpy(), 1.0, atol=1e-6)


def test_the_back_of_a_surface_shows_nothing_but_hides_what_is_behind() -> None:
    memory = LatentMemory(1)
    memory.write(np.ones((1, *SIZE)), np.full(SIZE, 2.0), K, look(), merge=False)  # wall at z = -2, seen from z > -2
    wide = np.full(SIZE, 6.0)
    memory.write(2 * np.ones((1, *SIZE)), wide, K, look(np.pi, z=-4), merge=False)  # wall at z = +2, seen through it
    behind = look(np.pi, z=-4)
    view = memory.read(behind, K, SIZE)
    middle = np.s_[0, 8:-8, 8:-8]
    assert not view.visible[middle].any()
    assert view.back is not None and np.allclose(view.back[middle], 2.0)
    before = memory.read(look(np.pi, z=-1.5), K, SIZE)
    assert before.visible[middle].all() and before.back is not None and not before.back[middle].any()


def test_the_back_of_what_was_imagined_hides_nothing_and_is_not_told() -> None:
    memory = LatentMemory(1)
    memory.write(np.ones((1, *SIZE)), np.full(SIZE, 2.0), K, look(), merge=False, imagined=1.0)
    view = memory.read(look(np.pi, z=-4), K, SIZE)
    assert not view.visible.any() and view.back is not None and not view.back.any()


def test_of_equally_good_views_a_read_shows_the_newest() -> None:
    memory = LatentMemory(1)
    for value in (1.0, 2.0):
        memory.write(np.full((1, *SIZE), value), np.full(SIZE, 2.0), K, look(), merge=False)
    assert (memory.read(look(), K, SIZE).latents == 2.0).all()


def test_what_a_camera_saw_beats_finer_and_newer_imagination() -> None:
    wall = np.array([0.0, 0.0, 1.0])
    memory = LatentMemory(1)
    for pose, value, imagined in ((look(), 1.0, 0.0), (look(z=-1.5), 2.0, 0.5), (look(z=-2.0), 3.0, 1.0)):
        depth = plane_depth(wall, -3.0, pose, K, SIZE)
        memory.write(np.full((1, *SIZE), value), depth, K, pose, merge=False, imagined=imagined)
    view = memory.read(look(z=-1.0), K, SIZE)
    np.testing.assert_allclose(view.latents[0, 0, 8:-8, 12:-12].numpy(), 1.0, rtol=1e-6)
    assert (view.imagined[0, 8:-8, 12:-12] == 0.0).all()


def test_what_is_imagined_hides_nothing_from_a_camera_that_looked_through_its_place() -> None:
    memory, near, far = LatentMemory(1), np.full(SIZE, 1.0), np.full(SIZE, 4.0)
    far[:, 16:] = 0  # nothing is known about the right half
    memory.write(np.ones((1, *SIZE)), far, K, look())
    memory.write(2 * np.ones((1, *SIZE)), near, K, look(), merge=False, imagined=1.0)
    view = memory.read(look(), K, SIZE)
    np.testing.assert_allclose(view.latents[0, 0].numpy(), np.where(far > 0, 1.0, 2.0), atol=1e-5)
    view = memory.read(look(0.05, x=0.1), K, SIZE)
    np.testing.assert_allclose(view.latents[0, 0][:, 4:12].numpy(), 1.0, atol=1e-5)
    memory.write(3 * np.ones((1, *SIZE)), near, K, look(), merge=False)  # a camera sees it there after all
    np.testing.assert_allclose(memory.read(look(), K, SIZE).latents, 3.0, atol=1e-5)


def test_without_the_rule_what_is_imagined_hides_what_is_behind_it() -> None:
    memory = LatentMemory(1, rules=MemoryRules(sight_lines=False))
    memory.write(np.ones((1, *SIZE)), np.full(SIZE, 4.0), K, look())
    memory.write(2 * np.ones((1, *SIZE)), np.full(SIZE, 1.0), K, look(), merge=False, imagined=1.0)
    np.testing.assert_allclose(memory.read(look(), K, SIZE).latents, 2.0, atol=1e-5)


def test_of_two_views_of_a_surface_the_one_that_is_resampled_least_is_shown() -> None:
    wall = np.full(SIZE, 4.0)
    near = look(z=-2.0)
    for order in ((0, 1), (1, 0)):
        memory = LatentMemory(1)
        for k in order:
            pose, depth = ((look(), wall), (near, wall / 2))[k]
            memory.write(np.full((1, *SIZE), float(k)), depth, K, pose, merge=False)
        own = memory.read(look(), K, SIZE).latents
        assert (own == 0).all()  # the finer view would have to be shrunk
        middle = (slice(None), slice(None), slice(5, 11), slice(5, 11))
        np.testing.assert_allclose(memory.read(look(z=-1.7), K, SIZE).latents[middle], 1.0, rtol=1e-6)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["planes", "room", "noise"]), merge=st.booleans())
@pytest.mark.parametrize("path", ["fastest", "torch"])
def test_agrees_with_rays_against_planes(path: paths.ReadPath, seed: int, kind: str, merge: bool) -> None:
    rng = np.random.default_rng(seed)
    size, channels = (7, 8), 2
    K = geometry.intrinsics(8, 7, 85.0)
    memory, reference = LatentMemory(channels), ReferenceMemory(channels)
    normal, poses = rng.standard_normal(3), [random_room_pose(rng) for _ in range(4)]
    for pose in poses[:2]:
        if kind == "room":
            depth = room_depth(pose, K, size)
        elif kind == "planes":
            depth = plane_depth(normal, 3.0, pose, K, size)
        else:
            depth = rng.uniform(1.0, 3.0, size) * (rng.random(size) > 0.2)
        keep = rng.random(size) > 0.1
        latents = rng.standard_normal((channels, *size)).astype(np.float32)
        imagined = float(rng.choice([0.0, 0.5, 1.0]))
        added = memory.write(latents, depth, K, pose, keep=keep, merge=merge, imagined=imagined)
        assert added == reference.write(latents, depth, K, pose, keep=keep, merge=merge, imagined=imagined)
    poses[2] = poses[0] @ geometry.exp_twist(rng.uniform(-0.2, 0.2, 6))
    for pose in poses[1:]:
        latents, depth, visible = reference.read(pose, K, size, footprint=True)
        with paths.reading_by(path):
            view = memory.read(pose, K, size)
        np.testing.assert_array_equal(view.visible[0].numpy(), visible)
        np.testing.assert_allclose(view.depth[0].numpy(), depth, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(view.latents[0].numpy(), latents, rtol=1e-3, atol=1e-3)
        assert view.back is not None
        np.testing.assert_allclose(view.back[0].numpy(), reference.backs(pose, K, size), rtol=1e-4, atol=1e-6)


def test_a_room_seen_from_several_places_is_read_without_holes_and_with_true_depth() -> None:
    rng = np.random.default_rng(3)
    K, size = geometry.intrinsics(32, 32, 90.0), (32, 32)
    memory = LatentMemory(2)
    for x, z in ((-1.5, -1.5), (1.5, 1.5), (0.0, 0.0)):
        for k in range(8):
            pose = look(k * np.pi / 4, x, 1.25, z)
            memory.write(rng.standard_normal((2, *size)), room_depth(pose, K, size), K, pose)
    for k in range(8):
        pose = look(0.3 + k * 0.7, rng.uniform(-1, 1), 1.25, rng.uniform(-1, 1))
        view = memory.read(pose, K, size)
        true = room_depth(pose, K, size)
        error = np.abs(view.depth[0].numpy() - true)[view.visible[0].numpy()] / true[view.visible[0].numpy()]
        assert view.visible.float().mean() > 0.99
        assert np.median(error) < 1e-4 and np.mean(error < 0.05) > 0.98


def test_the_same_read_twice_is_the_same_bits_and_does_not_depend_on_threads() -> None:
    rng = np.random.default_rng(0)
    memory = LatentMemory(3)
    for _ in range(6):
        pose = random_room_pose(rng)
        memory.write(rng.standard_normal((3, *SIZE)), room_depth(pose, K, SIZE), K, pose, merge=False)
    pose = random_room_pose(rng)
    before = torch.get_num_threads()
    views = []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            views.append(memory.read(pose, K, SIZE))
    finally:
        torch.set_num_threads(before)
    for view in views[1:]:
        assert torch.equal(view.latents, views[0].latents) and torch.equal(view.depth, views[0].depth)
