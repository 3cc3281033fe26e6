"""Depth between pixels and latent cells, against plain loops and against planes whose depth is known everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.depth import EDGE, to_grid, to_pixels
from mirage_env.geometry import Array

STRIDE, SIZE = 4, 32
K = geometry.intrinsics(SIZE, SIZE, 90.0)
GRID_K = geometry.scale_intrinsics(K, 1 / STRIDE)


def plane(normal: Array, distance: float, intrinsics: Array, size: int) -> torch.Tensor:
    """z-depth (1, size, size) float32 of the plane normal . X = distance in the camera's frame; 0 behind it."""
    rays = geometry.unproject(geometry.pixel_grid(size, size), np.ones((size, size)), intrinsics)
    z = distance / (rays @ normal)
    return torch.as_tensor(np.where(z > 0, z, 0.0), dtype=torch.float32)[None]


def slow_to_grid(depth: Array, stride: int) -> Array:
    """The definition, cell by cell."""
    h, w = depth.shape[0] // stride, depth.shape[1] // stride
    out = np.zeros((h, w))
    for r in range(h):
        for c in range(w):
            cell = depth[r * stride : (r + 1) * stride, c * stride : (c + 1) * stride].reshape(-1)
            inverse = sorted((1 / float(z) for z in cell if z > 0), reverse=True)
            if 2 * len(inverse) < stride * stride or not inverse:
                continue
            nearer, farther = inverse[(len(inverse) - 1) // 2], inverse[len(inverse) // 2]
            edge = nearer >= EDGE * farther and 2 * (nearer - farther) >= inverse[0] - inverse[-1]
            out[r, c] = 1 / nearer if edge else 1 / ((nearer + farther) / 2)
    return out


@given(seed=st.integers(0, 2**32 - 1), holes=st.floats(0, 0.9), stride=st.sampled_from([2, 3, 4]))
def test_the_grid_is_what_plain_loops_say(seed: int, holes: float, stride: int) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.choice([1.0, 1.02, 1.5, 4.0], (stride * 3, stride * 5)) * rng.uniform(
        0.99, 1.01, (stride * 3, stride * 5)
    )
    depth = np.where(rng.random(depth.shape) < holes, 0.0, depth).astype(np.float32)
    fast = to_grid(torch.as_tensor(depth)[None], stride)[0].numpy()
    slow = slow_to_grid(depth, stride)
    assert np.array_equal(fast == 0, slow == 0)
    assert np.allclose(fast, slow, rtol=1e-5)


@pytest.mark.parametrize(
    ("normal", "distance"),
    [((0, 0, 1), 3.0), ((0, 1, 0), 1.25), ((0.3, -0.2, 1), 2.0), ((0.9, 0.1, 1), 1.0), ((0, -1, 0), 1.2)],
)
def test_planes_are_exact_in_both_directions(normal: tuple[float, ...], distance: float) -> None:
    n = np.array(normal, dtype=float)
    pixels, cells = plane(n, distance, K, SIZE), plane(n, distance, GRID_K, SIZE // STRIDE)
    found = to_grid(pixels, STRIDE)
    # A cell through which the plane's horizon nearly passes is an edge to itself.
    whole = (cells > 0) & (cells < 4 * distance)
    assert whole.sum() >= 24
    assert torch.allclose(found[whole], cells[whole], rtol=1e-4)
    back = to_pixels(cells, STRIDE)
    assert back.shape == pixels.shape
    inner = whole.clone()
    inner[:, 1:] &= whole[:, :-1]
    inner[:, :-1] &= whole[:, 1:]
    inner = inner.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)
    assert torch.allclose(back[inner], pixels[inner], rtol=1e-4)


def test_at_an_edge_a_cell_belongs_to_its_larger_surface_and_the_nearer_wins_ties() -> None:
    depth = torch.full((1, 4, 12), 4.0)
    depth[:, :, :1] = 1.0  # a quarter of the first cell
    depth[:, :, 4:7] = 1.0  # three quarters of the second
    depth[:, :, 8:10] = 1.0  # half of the third
    assert torch.equal(to_grid(depth, 4), torch.tensor([[[4.0, 1.0, 1.0]]]))


def test_a_cell_needs_half_of_its_pixels() -> None:
    depth = torch.full((1, 4, 8), 2.0)
    depth[:, :2, :4] = 0.0  # half is left
    depth[:, :2, 4:] = 0.0
    depth[:, 2, 4] = 0.0  # less than half is left
    assert torch.equal(to_grid(depth, 4), torch.tensor([[[2.0, 0.0]]]))


def test_pixels_never_mix_two_surfaces_nor_the_unknown() -> None:
    cells = torch.full((1, 6, 6), 4.0)
    cells[:, :, 3:] = 1.0
    cells[:, 2, 2] = 0.0
    pixels = to_pixels(cells, STRIDE)
    expected = cells.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)
    assert torch.allclose(pixels, expected, rtol=1e-6)
    assert torch.equal(pixels == 0, expected == 0)


def test_pixels_stay_within_twice_the_depth_of_their_cell() -> None:
    cells = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0)) * 10 + 0.1
    pixels = to_pixels(cells, STRIDE)
    own = cells.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)
    assert (pixels > 0).all() and (pixels <= 2 * own * (1 + 1e-5)).all()


def test_a_grid_too_small_for_slopes() -> None:
    assert torch.equal(to_pixels(torch.full((1, 2, 2), 3.0), 2), torch.full((1, 4, 4), 1 / (1 / torch.tensor(3.0))))
