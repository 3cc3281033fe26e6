"""The memory of coloured points, over a codec that loses nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.evaluation.metrics import psnr
from mirage_env.evaluation.rgb_memory import RGBMemory
from mirage_env.frame import from_uint8, to_uint8
from mirage_env.geometry import Array
from mirage_env.memory import MemoryView
from mirage_env.memory.rules import MemoryRules
from tests.box_room import pose, room_view
from tests.exact_world import CHANNELS, STRIDE, PixelCodec, exact_world

SIZE, CELLS = 48, 48 // STRIDE
K = geometry.scale_intrinsics(geometry.intrinsics(SIZE, SIZE, 90.0), 1 / STRIDE)


def grid_depth(depth: Array) -> Array:
    """Depth at the centres of the cells, between their four middle pixels."""
    inverse = 1 / depth.reshape(CELLS, STRIDE, CELLS, STRIDE)[:, 1:3, :, 1:3]
    return (1 / inverse.mean((1, 3))).astype(np.float32)


def add(memory: RGBMemory, view: Array, with_image: bool = True, depth_factor: float = 1.0, **options: Any) -> int:
    image, depth = room_view(view, SIZE)
    depth = (depth * depth_factor).astype(np.float32)
    latents = PixelCodec().encode(from_uint8(image[None]))[0]
    if with_image:
        options |= {"image": image, "image_depth": depth}
    return memory.write(latents, grid_depth(depth), K, view, **options)


def shown(view: MemoryView) -> Array:
    return to_uint8(PixelCodec().decode(view.latents))


def covered(view: MemoryView) -> Array:
    return view.visible.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2).numpy()


def read(memory: RGBMemory, view: Array) -> MemoryView:
    return memory.read(view, K, (CELLS, CELLS))


@pytest.mark.parametrize("with_image", [True, False])
def test_the_view_itself_and_views_beside_it(with_image: bool) -> None:
    memory = RGBMemory(PixelCodec())
    assert add(memory, pose(), with_image) == len(memory) == SIZE * SIZE
    same = read(memory, pose())
    assert same.visible.all()
    assert np.abs(shown(same)[0].astype(int) - room_view(pose(), SIZE)[0]).max() <= 1
    beside = pose(0.2, -0.8, 8.0)
    image, depth = room_view(beside, SIZE)
    view = read(memory, beside)
    assert view.visible.float().mean() > 0.7
    assert psnr(shown(view)[0], image, mask=covered(view)[0]) > 30
    off = np.abs(view.depth[0].numpy() / grid_depth(depth) - 1)[view.visible[0].numpy()]
    assert off.mean() < 0.02
    assert not read(memory, pose(turned_deg=180.0)).visible.any()


def test_a_camera_picture_is_kept_as_it_is() -> None:
    image, depth = room_view(pose(), SIZE)
    blank = np.zeros((CHANNELS, CELLS, CELLS), np.float32)
    memory = RGBMemory(PixelCodec())
    memory.write(blank, grid_depth(depth), K, pose(), image=image)
    assert (memory.points.colour.view(SIZE, SIZE, 3).numpy() == image).all()
    decoded = RGBMemory(PixelCodec())
    decoded.write(blank, grid_depth(depth), K, pose())
    assert (decoded.points.colour == 128).all()


def test_without_camera_images_it_knows_what_the_codec_kept() -> None:
    image, depth = room_view(pose(), SIZE)
    world = exact_world().with_memory(lambda: RGBMemory(PixelCodec(), camera_images=False), "points")
    state = world.start(255 - image, depth=depth, pose=pose(), resolution=SIZE)
    assert not state.memory.fork().wants_images  # type: ignore[attr-defined]
    memory = RGBMemory(PixelCodec(), camera_images=False)
    blank = np.zeros((CHANNELS, CELLS, CELLS), np.float32)
    memory.write(blank, grid_depth(depth), K, pose(), image=image, image_depth=depth)
    assert (memory.points.colour == 128).all()


def test_what_is_explained_adds_nothing() -> None:
    memory = RGBMemory(PixelCodec())
    add(memory, pose())
    assert add(memory, pose()) == 0
    assert add(memory, pose(turned_deg=5.0)) < 0.2 * SIZE * SIZE
    told = torch.ones(CELLS, CELLS, dtype=torch.bool)
    told[:, 0] = False
    assert add(memory.fork(), pose(turned_deg=180.0), explained=told) == SIZE * STRIDE
    assert add(memory.fork(), pose(), merge=False) == SIZE * SIZE
    assert add(memory.fork(), pose(turned_deg=180.0), keep=~told) == SIZE * STRIDE


def test_a_closer_view_adds_detail_if_asked() -> None:
    closer = pose(0.0, -2.0)
    kept, added = RGBMemory(PixelCodec(), MemoryRules(refine=None)), RGBMemory(PixelCodec())
    for memory in (kept, added):
        add(memory, pose())
        add(memory, closer)
    assert len(added) > len(kept) + 0.5 * SIZE * SIZE
    image = room_view(closer, SIZE)[0]
    inner = np.zeros((SIZE, SIZE), bool)
    inner[16:32, 16:32] = True
    assert psnr(shown(read(added, closer))[0], image, inner) > psnr(shown(read(kept, closer))[0], image, inner) + 3


def test_imagined_points_yield_to_seen_ones_and_never_cover_them() -> None:
    memory = RGBMemory(PixelCodec())
    assert add(memory, pose(), with_image=False, depth_factor=0.97, imagined=1.0) == SIZE * SIZE
    assert (read(memory, pose()).imagined == 1).all()
    assert add(memory, pose(), imagined=1.0, explained=torch.zeros(CELLS, CELLS, dtype=torch.bool)) == 0
    assert add(memory, pose()) == SIZE * SIZE
    view = read(memory, pose())
    assert view.imagined.mean() < 0.03  # the continued depth of cells is off where walls meet
    assert np.abs(view.depth[0].numpy() / grid_depth(room_view(pose(), SIZE)[1]) - 1).max() < 0.03
    half = torch.zeros(CELLS, CELLS)
    half[:, CELLS // 2 :] = 0.4
    memory = RGBMemory(PixelCodec())
    add(memory, pose(), with_image=False, imagined=half)
    assert read(memory, pose()).imagined[0, 0, [0, -1]].tolist() == pytest.approx([0, 0.4], abs=0.01)


def test_what_a_camera_looks_through_goes_if_the_rules_say_so() -> None:
    for rules, ghosts in ((MemoryRules(), 0.0), (MemoryRules(contradiction=False), 1.0)):
        memory = RGBMemory(PixelCodec(), rules)
        add(memory, pose(), depth_factor=0.5)
        before = memory.fork()
        add(memory, pose())
        nearer = read(memory, pose()).depth[0].numpy() < 0.7 * grid_depth(room_view(pose(), SIZE)[1])
        assert nearer.mean() == ghosts
        assert len(before) == SIZE * SIZE
    small = RGBMemory(PixelCodec())
    speck = torch.zeros(CELLS, CELLS, dtype=torch.bool)
    speck[5, 5] = True
    add(small, pose(), depth_factor=0.5, keep=speck)
    add(small, pose(), keep=~speck)
    assert len(small) == SIZE * SIZE  # nothing was measured right there


def test_rules_keep_out_what_is_far_or_unsure() -> None:
    depth = grid_depth(room_view(pose(), SIZE)[1])
    near = RGBMemory(PixelCodec(), MemoryRules(max_depth=float(np.median(depth))))
    assert 0.3 < add(near, pose(), with_image=False) / SIZE**2 < 0.7
    error = np.zeros((CELLS, CELLS))
    error[:, :3] = 0.9
    assert add(RGBMemory(PixelCodec()), pose(), error=error) == SIZE * (SIZE - 3 * STRIDE)


def test_cameras_prove_space_empty_and_imagination_does_not() -> None:
    points = torch.tensor([[0.0, 1.25, -1.0], [0.0, 1.25, -2.95], [0.0, 1.25, 1.0]])
    memory = RGBMemory(PixelCodec())
    add(memory, pose(), imagined=1.0)
    assert not memory.looked_through(points).any()
    add(memory, pose())
    assert memory.looked_through(points).tolist() == [True, False, False]
    assert memory.fork().looked_through(points).tolist() == [True, False, False]


def test_size_counts_every_column() -> None:
    memory = RGBMemory(PixelCodec())
    add(memory, pose())
    add(memory, pose(turned_deg=60.0))
    points = len(memory) * (12 + 12 + 3 + 1)
    assert points < memory.nbytes < points + 2 * CELLS * CELLS * 100
    assert "points=" in repr(memory)


def test_many_small_writes_keep_their_order() -> None:
    memory = RGBMemory(PixelCodec())
    row = torch.zeros(CELLS, CELLS, dtype=torch.bool)
    for r in range(CELLS):
        add(memory, pose(), keep=torch.roll(row.index_fill(0, torch.tensor([0]), True), r, 0))
    assert len(memory._chunks) < 6
    whole = RGBMemory(PixelCodec())
    add(whole, pose())
    assert all(torch.equal(a, b) for a, b in zip(memory.points, whole.points, strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latents": np.zeros((3, CELLS, CELLS))}, r"latents \(48, h, w\) with depth \(h, w\)"),
        ({"depth": np.ones((CELLS, 2))}, r"latents \(48, h, w\) with depth \(h, w\)"),
        ({"depth": -np.ones((CELLS, CELLS))}, "depth from 0"),
        ({"depth": np.full((CELLS, CELLS), np.nan)}, "depth from 0"),
        ({"pose": 2 * np.eye(4)}, "not a rigid motion"),
        ({"pose": np.stack([np.eye(4)] * 2)}, "one view"),
        ({"image": np.zeros((SIZE, SIZE, 3))}, "image must be uint8"),
        ({"image_depth": np.ones((SIZE, 3))}, "image_depth must be finite metres"),
        ({"keep": np.ones(3, bool)}, "keep must be a number or a grid"),
        ({"imagined": 7.0}, "imagined must lie between 0 and 1"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(change: dict[str, Any], words: str) -> None:
    good = {"latents": np.zeros((CHANNELS, CELLS, CELLS)), "depth": np.ones((CELLS, CELLS)), "pose": np.eye(4)}
    memory = RGBMemory(PixelCodec())
    with pytest.raises(ValueError, match=words):
        memory.write(**{"intrinsics": K, **good, **change})
    assert len(memory) == 0
    assert memory.nbytes == 0
    with pytest.raises(ValueError, match="almost_all is a share"):
        RGBMemory(PixelCodec(), almost_all=0.0)


def test_the_world_gives_it_the_camera_picture_and_comes_back_to_it() -> None:
    image, depth = room_view(pose(), SIZE)
    world = exact_world()
    world = world.with_memory(lambda: RGBMemory(world.codec), "points")
    state = world.start(image, depth=depth, pose=pose(), resolution=SIZE)
    assert isinstance(state.memory, RGBMemory)
    assert (state.memory.points.colour.view(SIZE, SIZE, 3).numpy() == image).all()
    first = state
    for angle in (40.0, 80.0, 40.0, 0.0):
        state, frame = world.step(state, pose(turned_deg=angle))
    assert psnr(frame.rgb, image) > 40
    assert len(state.memory) > len(first.memory) == SIZE * SIZE
    assert world.step(first, pose(turned_deg=80.0))[1].imagined.mean() > 0.5
