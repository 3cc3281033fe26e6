"""Orientation, repeating, filtering: against known pictures, exact means, a slow lookup, supersampled views."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.simulators.antialias import edge_pixels
from mirage_env.simulators.raycast import Raycaster, TexturedMesh
from mirage_env.simulators.surface import FaceTable, visible_faces
from mirage_env.simulators.texture import TextureAtlas, mip_levels

FOUR_COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
UNIT_UV = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
SPLIT = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def rectangle(corners: list, texture: np.ndarray, repeats: float = 1.0, shift: float = 0.0) -> TexturedMesh:
    """Corners at the texture's top left, top right, bottom right, bottom left."""
    uv = UNIT_UV[SPLIT] * np.float32(repeats) + np.float32(shift)
    return TexturedMesh(np.array(corners, np.float32), SPLIT, uv, np.zeros(2, np.int32), (texture,))


def wall(z: float, texture: np.ndarray, repeats: float = 1.0, shift: float = 0.0, half: float = 1.0) -> TexturedMesh:
    corners = [[-half, half, z], [half, half, z], [half, -half, z], [-half, -half, z]]
    return rectangle(corners, texture, repeats, shift)


def look(mesh: TexturedMesh, size: int, hfov: float = 90.0, height: float = 0.0) -> np.ndarray:
    pose = geometry.camera_pose([0, 0, 0], 0.0, height)
    image, _ = Raycaster(mesh).render(pose, geometry.intrinsics(size, size, hfov), size, size)
    assert image is not None
    return image[0]


def checkerboard(n: int) -> np.ndarray:
    return np.repeat(((np.indices((n, n)).sum(0) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)


def test_row_0_is_up_and_column_0_left():
    image = look(wall(-1.0, FOUR_COLOURS), 64)
    for row, column, corner in ((16, 16, (0, 0)), (16, 48, (0, 1)), (48, 16, (1, 0)), (48, 48, (1, 1))):
        assert np.abs(image[row, column].astype(int) - FOUR_COLOURS[corner]).max() <= 8  # half a pixel off its centre


def test_textures_repeat():
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = look(wall(-1.0, texture, repeats=3), 192)
    np.testing.assert_allclose(image[:64, :64].astype(int), image[64:128, 128:], atol=1)
    for shift in (-7.0, 1.0, 1000.0):
        np.testing.assert_allclose(
            look(wall(-1.0, texture, shift=shift), 64).astype(int), look(wall(-1.0, texture), 64), atol=1
        )


def bilinear(texture: np.ndarray, u: float, v: float) -> np.ndarray:
    """Slow and plain; u, v in texels."""
    h, w = texture.shape[:2]
    x, y = u - 0.5, v - 0.5
    i, j = int(np.floor(y)), int(np.floor(x))
    fy, fx = y - i, x - j
    total = np.zeros(3)
    for di, wy in ((0, 1 - fy), (1, fy)):
        for dj, wx in ((0, 1 - fx), (1, fx)):
            total += wy * wx * texture[(i + di) % h, (j + dj) % w]
    return total


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4),
)
def test_enlarged_textures_are_bilinear(seed: int, sizes: list[tuple[int, int]]):
    rng = np.random.default_rng(seed)
    textures = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    n = 40
    material = rng.integers(0, len(textures), n)
    u, v = rng.uniform(-30, 30, (2, n)).astype(np.float32)
    u[0], v[0] = -1e-9, 0.0  # a fraction that rounds up to a whole repeat
    small = np.full(n, 0.1, np.float32)
    colours = TextureAtlas(textures).sample(material, u, v, (small, 0 * small), (0 * small, small))
    expected = np.stack(
        [bilinear(textures[m], a, b) for m, a, b in zip(material, u.tolist(), v.tolist(), strict=True)], 1
    )
    assert np.abs(colours - expected).max() <= 2.0  # weights have 8 bits


def test_a_far_checkerboard_is_grey():
    image = look(wall(-60.0, checkerboard(256), repeats=20, half=80), 64).astype(float)
    assert image.mean() == pytest.approx(127.5, abs=2)
    assert image.std() < 2
    near = look(wall(-1.0, checkerboard(8), half=2), 64)
    assert near.min() < 20 and near.max() > 235


def test_a_floor_to_the_horizon_has_no_moire():
    floor = rectangle([[-40, 0, -80], [40, 0, -80], [40, 0, 0], [-40, 0, 0]], checkerboard(64), repeats=10)
    image = look(floor, 96, height=1.25)[50:].astype(float)
    big = look(floor, 96 * 16, height=1.25)[50 * 16 :]
    reference = big.reshape(46, 16, 96, 16, 3).mean((1, 3))
    far = slice(0, 8)
    assert np.abs(image[far] - 127.5).max() < 40
    assert image[far].std() < 1.5 * reference[far].std() + 6
    psnr = 10 * np.log10(255**2 / np.mean((image - reference) ** 2))
    assert psnr > 29


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (16, 4), (1, 7), (5, 3), (13, 26)])
def test_mip_levels_keep_the_mean(shape: tuple[int, int]):
    texture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    levels = mip_levels(texture)
    np.testing.assert_array_equal(levels[0], texture)
    assert levels[-1].shape == (1, 1, 3)
    for level, following in itertools.pairwise(levels):
        assert following.shape[:2] == tuple(max(1, n // 2) for n in level.shape[:2])
    for level in levels:
        np.testing.assert_allclose(level.mean((0, 1)), texture.mean((0, 1)), atol=0.51)


def test_odd_sizes_are_averaged_by_area():
    ramp = np.repeat(np.array([[0, 60, 240]], np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(mip_levels(ramp)[1][0, 0], [100] * 3)
    five = np.repeat(np.array([[10, 20, 100, 40, 50]], np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(mip_levels(five)[1][0, :, 0], [(10 + 20 + 50) / 2.5, (50 + 40 + 50) / 2.5])


def test_textures_of_different_sizes_do_not_mix():
    rng = np.random.default_rng(0)
    textures = [np.full((h, w, 3), 20 * k, np.uint8) for k, (h, w) in enumerate([(1, 1), (64, 32), (3, 7), (128, 128)])]
    n = 2000
    material = rng.integers(0, 4, n)
    u, v = rng.uniform(-500, 500, (2, n)).astype(np.float32)
    ux, uy, vx, vy = np.exp(rng.normal(1, 4, (4, n))).astype(np.float32)
    colours = TextureAtlas(textures).sample(material, u, v, (ux, vx), (uy, vy))
    np.testing.assert_allclose(colours, np.broadcast_to(20.0 * material, (3, n)), atol=1e-3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_broken_footprints_are_harmless():
    atlas = TextureAtlas([checkerboard(16)])
    bad = np.array([np.nan, np.inf, -np.inf, 0.0, 1e38, 1e-38], np.float32)
    a, b, c, d = (m.ravel() for m in np.meshgrid(bad, bad, bad, bad))
    zero = np.zeros(len(a), np.int64)
    colours = atlas.sample(zero, zero.astype(np.float32), zero.astype(np.float32), (a, b), (c, d))
    assert colours.shape == (3, len(a))


def test_footprints_and_coordinates_of_faces_in_a_view():
    """The closed forms against barycentric interpolation at the hit and finite differences across a pixel."""
    rng = np.random.default_rng(3)
    n = 50
    mesh = TexturedMesh(
        rng.uniform(-2, 2, (3 * n, 3)).astype(np.float32),
        np.arange(3 * n, dtype=np.int32).reshape(n, 3),
        rng.uniform(-1, 2, (n, 3, 2)).astype(np.float32),
        np.zeros(n, np.int32),
        (np.zeros((32, 64, 3), np.uint8),),
    )
    size = np.array([64.0, 32.0])
    pose = geometry.camera_pose([0.3, 0.2, 6.0], 0.2, 0.0)
    coefficients = FaceTable(mesh, size[None]).in_view(np.arange(n), pose).astype(float)
    weights = rng.dirichlet([1, 1, 1], n)
    corners = mesh.vertices.astype(float)[mesh.faces]

    def texels(points: np.ndarray) -> np.ndarray:
        e = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], 2)
        b = np.linalg.pinv(e) @ (points - corners[:, 0])[..., None]
        uv = mesh.uv.astype(float)
        return (uv[:, 0] + ((uv[:, 1:] - uv[:, :1]) * b).sum(1)) * size

    def seen(camera_rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points on the planes, and their depths."""
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        d = camera_rays @ pose[:3, :3].T
        t = ((corners[:, 0] - pose[:3, 3]) * normal).sum(1) / (d * normal).sum(1)
        return pose[:3, 3] + t[:, None] * d, t

    points = (weights[:, :, None] * corners).sum(1)
    camera = geometry.transform(geometry.invert(pose), points)
    x, y, t = camera[:, 0] / camera[:, 2], camera[:, 1] / camera[:, 2], camera[:, 2]
    here = texels(points)
    wx, wy = coefficients[8:]
    for k, (o, gx, gy, gz) in enumerate((coefficients[:4], coefficients[4:8])):
        along = t * (gx * x + gy * y + gz)
        repeats = (o + along - here[:, k]) / size[k]
        np.testing.assert_allclose(repeats, np.round(repeats), atol=1e-3)
        step = 1e-5
        for axis, slope in enumerate(((gx - along * wx) * t, (gy - along * wy) * t)):
            moved = np.stack([x + step * (axis == 0), y + step * (axis == 1), np.ones(n)], 1)
            difference = (texels(seen(moved)[0])[:, k] - here[:, k]) / step
            np.testing.assert_allclose(slope, difference, rtol=2e-2, atol=1e-2 * np.abs(difference).max())


def test_visible_faces_are_the_different_ones():
    face = np.random.default_rng(0).integers(0, 1000, 300).astype(np.int32)
    visible, rank = visible_faces(face, 1000)
    expected, inverse = np.unique(face, return_inverse=True)
    np.testing.assert_array_equal(visible, expected)
    np.testing.assert_array_equal(rank, inverse)


def test_planes_have_no_edges_and_steps_do():
    x, y = np.moveaxis(geometry.pixel_grid(20, 30), -1, 0)
    plane = (1 / (0.2 + 0.005 * x + 0.003 * y)).astype(np.float32)
    material = np.zeros((20, 30), int)
    light = np.ones((1, 20, 30), np.float32)
    assert not edge_pixels(plane, material, light).any()
    step = plane.copy()
    step[:, 12:] *= 1.5
    edges = edge_pixels(step, material, None)
    assert edges[:, 11:13].all() and not edges[:, :10].any() and not edges[:, 14:].any()
    for changed in ("material", "light"):
        m, li = material.copy(), light.copy()
        (m if changed == "material" else li[0])[7:] += 1
        edges = edge_pixels(plane, m, li)
        assert edges[6:8].all() and not edges[:6].any() and not edges[8:].any()
    missed, outside = plane.copy(), material.copy()
    missed[:5], outside[:5] = 0, -1
    edges = edge_pixels(missed, outside, None)
    assert edges[4:6].all() and not edges[:4].any() and not edges[7:].any()
    assert edge_pixels(plane[:1, :1], material[:1, :1], None).shape == (1, 1)


def test_materials_keep_their_textures_in_one_view():
    left, right = wall(-1.0, FOUR_COLOURS), wall(-1.0, FOUR_COLOURS)
    left.vertices[:, 0] -= 1
    right.vertices[:, 0] += 1
    mesh = dataclasses.replace(
        left,
        vertices=np.concatenate([left.vertices, right.vertices]),
        faces=np.concatenate([SPLIT, SPLIT + 4]),
        uv=np.concatenate([left.uv, right.uv]),
        material=np.array([0, 0, 1, 1], np.int32),
        textures=(np.full((5, 3, 3), 40, np.uint8), np.full((64, 16, 3), 210, np.uint8)),
    )
    image = look(mesh, 32)
    assert (image[:, :16] == 40).all() and (image[:, 16:] == 210).all()
