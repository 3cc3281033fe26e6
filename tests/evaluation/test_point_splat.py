"""Pictures of points against a slow, obvious renderer and against views whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.evaluation.metrics import psnr
from mirage_env.evaluation.point_splat import (
    DISTRUST,
    HALF,
    SAME_SURFACE,
    Picture,
    Points,
    _at_least_a_pixel,
    close_gaps,
    continue_colours,
    render,
)
from mirage_env.evaluation.rgb_memory import RGBMemory
from mirage_env.geometry import Array
from tests.box_room import pose, room_view
from tests.exact_world import CHANNELS, STRIDE, PixelCodec

SIZE = 48
K = geometry.intrinsics(SIZE, SIZE, 90.0)


def points_of(views: list[Array], size: int = SIZE) -> Points:
    """All pixels of views of the box room."""
    memory = RGBMemory(PixelCodec())
    lens = geometry.scale_intrinsics(geometry.intrinsics(size, size, 90.0), 1 / STRIDE)
    for view in views:
        image, depth = room_view(view, size)
        grid = depth[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
        blank = np.zeros((CHANNELS, *grid.shape), np.float32)
        memory.write(blank, grid, lens, view, merge=False, image=image, image_depth=depth)
    return memory.points


def picture(points: Points, view: Array, size: int = SIZE) -> Picture:
    return render(points, geometry.invert(view), geometry.intrinsics(size, size, 90.0), (size, size))


def random_points(rng: np.random.Generator, count: int) -> Points:
    """Points in front of the camera, with slants and sizes of all kinds, some seen from behind."""
    z = rng.uniform(1.0, 3.0, count)
    pixel = rng.uniform(-3, 15, (count, 2))
    position = geometry.unproject(pixel, z, geometry.intrinsics(12, 12, 90.0))
    tangents = rng.normal(0, 0.12, (count, 6)) + np.array([0.2, 0, 0, 0, 0.2, 0])
    return Points(
        torch.as_tensor(position, dtype=torch.float32),
        torch.as_tensor(tangents).to(torch.float16),
        torch.as_tensor(rng.integers(0, 256, (count, 3)), dtype=torch.uint8),
        torch.as_tensor(rng.choice([0, 100, 255], count), dtype=torch.uint8),
    )


def slow_picture(points: Points, size: int) -> tuple[Array, Array, Array]:
    """Colour, depth and coverage as the module's text says, point by point and pixel by pixel, from the world's origin.

    The widths of splats come from a singular value decomposition.
    """
    f = size / 2
    position, tangents = points.position.double().numpy(), points.tangents.double().numpy()
    splats = []
    for k in range(len(position)):
        x, y, z = position[k]
        J = np.array([[f / z, 0, -f * x / z**2], [0, f / z, -f * y / z**2]])
        A = J @ tangents[k].reshape(2, 3).T
        U, s, V = np.linalg.svd(A)
        wide = U @ np.diag(np.clip(s, 1, 12)) @ V
        made_up = float(points.imagined[k]) / 255
        splats.append((k, np.array([f * x / z + f, f * y / z + f]), np.linalg.inv(wide), np.linalg.det(A), made_up))
    colour, depth, covered = np.zeros((size, size, 3)), np.zeros((size, size)), np.zeros((size, size), bool)
    for r in range(size):
        for c in range(size):
            hits = []
            for k, centre, inverse, area, made_up in splats:
                du, dv = inverse @ (np.array([c + 0.5, r + 0.5]) - centre)
                z = position[k, 2] + du * tangents[k, 2] + dv * tangents[k, 5]
                if z > 0.02:
                    hits.append((z, k, du, dv, area, made_up))
            under = [h for h in hits if abs(h[2]) <= HALF and abs(h[3]) <= HALF and (h[4] > 0 or h[5] == 0)]
            if not under or min(under)[4] <= 0:
                continue
            near, total, sums, inverse_depth = min(under)[0], 0.0, np.zeros(3), 0.0
            for z, k, du, dv, area, made_up in hits:
                inside = abs(du) <= HALF and abs(dv) <= HALF
                tent = max(1 - abs(du), 0) * max(1 - abs(dv), 0)
                if area > 0 and abs(z - near) <= SAME_SURFACE * near and (tent > 0 or inside):
                    w = max(tent, 1e-4) * DISTRUST ** math.ceil(2 * made_up) / max(area, 1e-3) ** 2
                    total, sums, inverse_depth = total + w, sums + w * points.colour[k].numpy(), inverse_depth + w / z
            colour[r, c], depth[r, c], covered[r, c] = sums / total, total / inverse_depth, True
    return colour, depth, covered


@pytest.mark.parametrize("seed", range(4))
def test_as_the_slow_renderer(seed: int) -> None:
    points = random_points(np.random.default_rng(seed), 80)
    fast = render(points, np.eye(4), geometry.intrinsics(12, 12, 90.0), (12, 12))
    colour, depth, covered = slow_picture(points, 12)
    assert 0.2 < covered.mean() < 1
    # A point whose edge meets a pixel's centre may fall on either side.
    same = fast.covered.numpy() == covered
    assert same.mean() > 0.98
    both = same & covered
    close = np.abs(fast.colour.numpy() - colour).max(-1)[both] < 1
    assert close.mean() > 0.97
    assert np.median(np.abs(fast.depth.numpy() - depth)[both]) < 1e-3


def test_singular_values_are_raised_to_a_pixel_and_the_rest_is_kept() -> None:
    maps = torch.randn(200, 2, 2, generator=torch.Generator().manual_seed(0)) * 3
    raised = torch.stack(_at_least_a_pixel(*maps.flatten(1).T), dim=-1).view(-1, 2, 2)
    U, s, V = torch.linalg.svd(maps)
    assert torch.allclose(raised, U @ torch.diag_embed(s.clamp(1, 12)) @ V, atol=1e-3)
    eye = _at_least_a_pixel(*(torch.tensor([x]) for x in (1.0, 0.0, 0.0, 1.0)))
    assert [float(x) for x in eye] == pytest.approx([1, 0, 0, 1], abs=1e-6)


def test_a_view_comes_back_as_it_was() -> None:
    view = pose(0.5, 0.7, 25.0)
    image, depth = room_view(view, SIZE)
    shown = picture(points_of([view]), view)
    assert shown.covered.all()
    assert (shown.colour.numpy() - image).__abs__().max() < 0.6
    assert np.abs(shown.depth.numpy() / depth - 1).max() < 1e-3
    assert shown.area.numpy() == pytest.approx(np.ones((SIZE, SIZE)), abs=0.02)
    assert (shown.point.numpy() == np.arange(SIZE * SIZE).reshape(SIZE, SIZE)).all()


@pytest.mark.parametrize(("forward", "turned"), [(0.0, 7.0), (1.0, 0.0), (1.8, 5.0), (-1.0, 3.0)])
def test_other_views_have_no_holes_and_the_right_colours(forward: float, turned: float) -> None:
    start, there = pose(), pose(0.0, -forward, turned)
    shown = picture(points_of([start]), there)
    image, depth = room_view(there, SIZE)
    # What the first view saw, with a margin of two pixels.
    rays = geometry.unproject(geometry.pixel_grid(SIZE, SIZE), depth, K)
    back, z = geometry.project(geometry.transform(geometry.invert(start), geometry.transform(there, rays)), K)
    seen = (z > 0) & (back > 2).all(-1) & (back < SIZE - 2).all(-1)
    assert seen.mean() > 0.3
    assert shown.covered.numpy()[seen].all()
    assert psnr(shown.colour.numpy() / 255, image, mask=seen) > 30
    assert np.abs(shown.depth.numpy() / depth - 1)[seen].mean() < 0.01


def test_far_surfaces_are_averaged_not_aliased() -> None:
    far = pose(0.0, 2.5)
    points = points_of([pose(0.0, -2.0)])
    checks = torch.arange(SIZE).view(-1, 1) + torch.arange(SIZE)
    points = points._replace(colour=(checks % 2 * 200).to(torch.uint8).view(-1, 1).expand(-1, 3))
    shown = picture(points, far)
    inner = shown.covered & (shown.area < 0.2)
    assert inner.sum() > 20
    assert (shown.colour[inner] - 100).abs().max() < 40


def test_nearer_surfaces_hide_and_imagined_ones_yield() -> None:
    wall = points_of([pose()])
    red = wall._replace(colour=torch.zeros_like(wall.colour) + torch.tensor([255, 0, 0], dtype=torch.uint8))
    nearer = red._replace(position=wall.position * 0.5 + torch.tensor([0, 1.25, 0]) * 0.5, tangents=wall.tangents / 2)
    both = Points(*(torch.cat(columns) for columns in zip(wall, nearer, strict=True)))
    assert (picture(both, pose()).colour - torch.tensor([255.0, 0, 0])).abs().max() < 0.01
    made_up = red._replace(imagined=torch.full_like(red.imagined, 255))
    both = Points(*(torch.cat(columns) for columns in zip(made_up, wall, strict=True)))
    alone, mixed = picture(wall, pose()), picture(both, pose())
    assert (mixed.colour - alone.colour).abs().max() < 1
    assert not mixed.imagined.any()
    assert (picture(made_up, pose()).imagined == 1).all()


def test_backs_hide_unless_they_were_imagined() -> None:
    wall = points_of([pose()])
    turned = torch.cat([wall.tangents[:, 3:], wall.tangents[:, :3]], dim=1)
    back = wall._replace(tangents=turned, position=wall.position * 0.5 + torch.tensor([0, 1.25, 0]) * 0.5)
    assert not picture(back, pose()).covered.any()
    both = Points(*(torch.cat(columns) for columns in zip(wall, back, strict=True)))
    assert not picture(both, pose()).covered.any()
    dreamt = both._replace(imagined=torch.cat([wall.imagined, torch.full_like(wall.imagined, 255)]))
    assert picture(dreamt, pose()).covered.all()


def test_small_gaps_close_and_large_ones_stay() -> None:
    full = picture(points_of([pose()]), pose())
    holes = full.covered.clone()
    holes[10:12] = False
    holes[20:26, 20:26] = False
    torn = full._replace(
        colour=full.colour * holes[..., None], depth=full.depth * holes, covered=holes, imagined=full.imagined
    )
    closed = close_gaps(torn)
    assert closed.covered[10:12].all()
    assert not closed.covered[20:26, 20:26].any()
    assert (closed.colour[10:12] - full.colour[10:12]).abs().mean() < 20
    assert (closed.depth[10:12] / full.depth[10:12] - 1).abs().max() < 0.2
    assert torch.equal(closed.colour[holes], torn.colour[holes])
    assert close_gaps(full) is full


@pytest.mark.parametrize("size", [(32, 32), (20, 33)])
def test_colours_continue_beyond_what_is_covered(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    covered = torch.as_tensor(rng.random((2, *size)) < 0.3)
    plain = torch.full((2, *size, 3), 80.0)
    filled = continue_colours(plain * covered[..., None], covered)
    assert (filled - 80).abs().max() < 0.01
    noisy = torch.as_tensor(rng.uniform(0, 255, (2, *size, 3))).float()
    filled = continue_colours(noisy, covered)
    assert (filled - noisy)[covered].abs().max() < 0.01
    assert ((filled >= 0) & (filled <= 255)).all()
    nothing = continue_colours(noisy, torch.zeros_like(covered))
    assert (nothing - 127.5).abs().max() < 1e-3
    left = torch.zeros(1, 16, 16, dtype=torch.bool)
    left[:, :, :4] = True
    ramp = continue_colours(torch.where(left[..., None], torch.tensor([200.0, 10.0, 0.0]), 0.0), left)
    assert (ramp[0, :, 15] - torch.tensor([200.0, 10.0, 0.0])).abs().max() < 1


def test_no_points_no_picture() -> None:
    shown = picture(RGBMemory(PixelCodec()).points, pose())
    assert not shown.covered.any()
    assert (shown.point == -1).all()
