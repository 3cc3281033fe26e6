"""The differentiable warp, against the geometry of a box room."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.depth import to_grid
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory
from mirage_env.training.frames import View
from mirage_env.training.warp import grid_intrinsics, warp_latents
from tests.box_room import pose, room_view

SIZE, STRIDE = 64, 4
CELLS = SIZE // STRIDE
K = geometry.intrinsics(SIZE, SIZE, 90.0)
GRID_K = geometry.scale_intrinsics(K, 1 / STRIDE)
SOURCES = [pose(), pose(x=0.4, z=0.5, turned_deg=-20.0), pose(turned_deg=30.0)]
TARGETS = [pose(x=0.3, z=-0.5, turned_deg=12.0), pose(x=0.1, z=0.2, turned_deg=-35.0), pose(turned_deg=-30.0)]


def views(poses: list[Array]) -> View:
    rgb, depth = zip(*(room_view(p, SIZE) for p in poses), strict=True)
    images = torch.as_tensor(np.stack(rgb)).permute(0, 3, 1, 2).float() / 127.5 - 1
    matrices = torch.as_tensor(np.stack(poses), dtype=torch.float32)
    return View(images, torch.as_tensor(np.stack(depth)), matrices, torch.as_tensor(K).float().expand(len(poses), 3, 3))


def cell_centres(count: int) -> torch.Tensor:
    """(count, 2, h, w): each cell holds its own place in the grid, which interpolation keeps exactly."""
    grid = torch.as_tensor(geometry.pixel_grid(CELLS, CELLS), dtype=torch.float32)
    return grid.permute(2, 0, 1).expand(count, 2, CELLS, CELLS).contiguous()


def test_a_view_warped_to_itself_is_itself() -> None:
    source = views(SOURCES)
    latents = torch.randn(3, 5, CELLS, CELLS, generator=torch.Generator().manual_seed(0))
    warped, _, covered = warp_latents(latents, source, source, STRIDE)
    assert covered.float().mean() > 0.95  # cells on a crease of the room may find themselves on the other wall
    assert torch.allclose(warped, latents, atol=1e-4)


def test_cells_come_from_where_their_surface_is_in_the_source() -> None:
    source, target = views(SOURCES), views(TARGETS)
    warped, _, covered = warp_latents(cell_centres(3), source, target, STRIDE)
    assert warped.shape == (3, 2, CELLS, CELLS) and covered.dtype == torch.bool
    for b in range(3):
        depth = to_grid(target.depth, STRIDE)[b].double().numpy()
        world = geometry.transform(TARGETS[b], geometry.unproject(geometry.pixel_grid(CELLS, CELLS), depth, GRID_K))
        where, z = geometry.project(geometry.transform(geometry.invert(SOURCES[b]), world), GRID_K)
        inside = (z > 0.05) & (where > 0).all(-1) & (where < CELLS).all(-1)  # the room is convex: nothing hides
        assert (covered[b].numpy() == inside).mean() > 0.97
        assert not covered[b].numpy()[~inside].any()
        # Half a cell from the border there is nothing to interpolate with.
        inner = covered[b].numpy() & (where > 0.5).all(-1) & (where < CELLS - 0.5).all(-1)
        found = warped[b].permute(1, 2, 0).numpy()
        assert inner.sum() > 0.1 * CELLS * CELLS
        assert np.allclose(found[inner], where[inner], atol=2e-3)
    assert covered[0].float().mean() > covered[2].float().mean() > 0


def test_what_the_source_sees_in_front_is_not_covered() -> None:
    source, target = views(SOURCES[:1]), views(TARGETS[:1])
    hidden = source.depth.clone()
    hidden[:, :, : SIZE // 2] = 0.7
    latents = cell_centres(1)
    before = warp_latents(latents, source, target, STRIDE).covered
    warped, _, after = warp_latents(latents, View(source.rgb, hidden, source.pose, source.intrinsics), target, STRIDE)
    assert (before & ~after).any() and not (after & ~before).any()
    assert (warped[:, 0][after] > CELLS / 2 - 0.01).all()


def test_unknown_depth_covers_nothing() -> None:
    source, target = views(SOURCES[:1]), views(TARGETS[:1])
    unknown = View(target.rgb, torch.zeros_like(target.depth), target.pose, target.intrinsics)
    assert not warp_latents(cell_centres(1), source, unknown, STRIDE).covered.any()


def test_the_warp_agrees_with_the_memory() -> None:
    """What the codec is trained to survive is what the memory does."""
    source, target = views(SOURCES[:1]), views(TARGETS[:1])
    latents = torch.randn(1, 6, CELLS, CELLS, generator=torch.Generator().manual_seed(0))
    latents = torch.nn.functional.avg_pool2d(latents, 5, 1, 2)  # smooth, so that borders matter little
    memory = LatentMemory(channels=6)
    memory.write(latents[0], to_grid(source.depth, STRIDE)[0], GRID_K, SOURCES[0])
    read = memory.read(TARGETS[0], GRID_K, (CELLS, CELLS))
    warped, sampling, covered = warp_latents(latents, source, target, STRIDE)
    both = covered & read.visible
    assert both.sum() > 0.8 * covered.sum()
    difference = (warped - read.latents).abs().amax(1)[both]
    assert difference.median() < 1e-3 and (difference < 0.02).float().mean() > 0.9
    assert read.nearest is not None and read.offset is not None
    shift = (sampling.offset - read.offset).abs().amax(1)[both]
    same = ((sampling.nearest - read.nearest).abs().amax(1)[both] < 1e-6).float().mean()
    assert shift.median() < 1e-3 and same > 0.9


def test_mixed_precision_does_not_move_cells() -> None:
    source, target = views(SOURCES), views(TARGETS)
    latents = cell_centres(3).requires_grad_()
    exact, _, covered = warp_latents(latents, source, target, STRIDE)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _, covered_mixed = warp_latents(latents, source, target, STRIDE)
    assert torch.equal(exact, mixed) and torch.equal(covered, covered_mixed)
    mixed.sum().backward()
    assert latents.grad is not None and latents.grad.abs().sum() > 0


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_grid_intrinsics(stride: int) -> None:
    found = grid_intrinsics(torch.as_tensor(K).float()[None], stride)[0]
    assert np.allclose(found, geometry.scale_intrinsics(K, 1 / stride))
