"""Depth against closed forms and a brute-force tracer; culling, occlusion, light, anti-aliasing; bad meshes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mirage_env import geometry
from mirage_env.simulators import raycast
from mirage_env.simulators.antialias import edge_pixels
from mirage_env.simulators.raycast import Raycaster, TexturedMesh

GREY = np.full((1, 1, 3), 100, np.uint8)
ROOM = np.array([4.0, 2.5, 6.0])  # from the origin to this corner
UNIT_UV = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float32)


def quads(corners: Any, **changes: Any) -> TexturedMesh:
    """Quads (Q, 4, 3), corners counter-clockwise: the texture's top left, bottom left, bottom right, top right."""
    corners = np.asarray(corners, np.float32).reshape(-1, 4, 3)
    n = len(corners)
    split = np.array([[0, 1, 2], [0, 2, 3]])
    mesh = TexturedMesh(
        vertices=corners.reshape(-1, 3),
        faces=(4 * np.arange(n)[:, None, None] + split).reshape(-1, 3).astype(np.int32),
        uv=np.tile(UNIT_UV[split], (n, 1, 1)),
        material=np.zeros(2 * n, np.int32),
        textures=(GREY,),
    )
    return dataclasses.replace(mesh, **changes)


def wall(z: float, half: float = 1.0, **changes: Any) -> TexturedMesh:
    """A square at world z, facing +z, texture upright for a camera that looks along -z."""
    return quads([[-half, half, z], [-half, -half, z], [half, -half, z], [half, half, z]], **changes)


def box_room() -> TexturedMesh:
    x, y, z = ROOM
    corner = {key: (x * (key & 1), y * (key >> 1 & 1), z * (key >> 2)) for key in range(8)}
    sides = [(0, 2, 6, 4), (1, 3, 7, 5), (0, 1, 5, 4), (2, 3, 7, 6), (0, 1, 3, 2), (4, 5, 7, 6)]
    return quads([[corner[k] for k in side] for side in sides])


def looking_ahead(z: float = 0.0) -> np.ndarray:
    """Camera at (0, 0, z) that looks along -z."""
    return geometry.camera_pose([0, 0, z], 0.0, 0.0)


def random_poses(n: int, rng: np.random.Generator, low: Any, high: Any) -> np.ndarray:
    T = np.tile(np.eye(4), (n, 1, 1))
    T[:, :3, :3] = Rotation.random(n, random_state=rng).as_matrix()
    T[:, :3, 3] = rng.uniform(low, high, (n, 3))
    return T


def rays(pose: np.ndarray, K: np.ndarray, height: int, width: int) -> np.ndarray:
    camera = geometry.unproject(geometry.pixel_grid(height, width), 1.0, K)
    return camera @ pose[:3, :3].T


def test_depth_inside_a_box_is_the_closed_form():
    rng = np.random.default_rng(0)
    K = geometry.intrinsics(64, 48, 90.0)
    poses = random_poses(12, rng, 0.1 * ROOM, 0.9 * ROOM)
    image, depth = Raycaster(box_room()).render(poses, K, 48, 64)
    assert image is not None
    assert image.shape == (12, 48, 64, 3) and image.dtype == np.uint8
    assert depth.shape == (12, 48, 64) and depth.dtype == np.float32
    for pose, seen in zip(poses, depth, strict=True):
        d, o = rays(pose, K, 48, 64), pose[:3, 3]
        with np.errstate(divide="ignore"):
            exit_through = np.where(d > 0, (ROOM - o) / d, -o / d)
        np.testing.assert_allclose(seen, exit_through.min(axis=-1), atol=1e-4, rtol=0)
    assert (image == 100).all()


def test_tessellation_leaves_no_cracks():
    n = 40
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, n + 1)], indexing="ij"), -1)
    flat = (
        np.concatenate([grid, np.full((n + 1, n + 1, 1), -1.0)], -1)
        @ Rotation.from_euler("xyz", [0.1, 0.2, 0.3]).as_matrix()
    )
    corners = np.stack([flat[:-1, :-1], flat[1:, :-1], flat[1:, 1:], flat[:-1, 1:]], 2).reshape(-1, 4, 3)
    _, depth = Raycaster(quads(corners)).render(
        looking_ahead(), geometry.intrinsics(256, 256, 40.0), 256, 256, rgb=False
    )
    assert (depth > 0).all()


def nearest_hits(mesh: TexturedMesh, origin: np.ndarray, directions: np.ndarray, cull: bool) -> np.ndarray:
    """Depth by solving o + t d = a + b1 e1 + b2 e2 for every ray and face, in float64."""
    best = np.zeros(len(directions))
    for i, d in enumerate(directions):
        hits = []
        for a, b, c in mesh.vertices.astype(float)[mesh.faces]:
            if cull and np.cross(b - a, c - a) @ d > 0:
                continue
            t, b1, b2 = np.linalg.solve(np.stack([-d, b - a, c - a], 1), origin - a)
            if t > 0 and b1 >= 0 and b2 >= 0 and b1 + b2 <= 1:
                hits.append(t)
        best[i] = min(hits, default=0.0)
    return best


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cull=st.booleans())
def test_depth_of_a_triangle_soup_is_brute_force(seed: int, cull: bool):
    rng = np.random.default_rng(seed)
    n = 25
    mesh = TexturedMesh(
        vertices=rng.uniform(-2, 2, (3 * n, 3)).astype(np.float32),
        faces=np.arange(3 * n, dtype=np.int32).reshape(n, 3),
        uv=rng.normal(size=(n, 3, 2)).astype(np.float32),
        material=np.zeros(n, np.int32),
        textures=(GREY,),
    )
    pose = random_poses(1, rng, -1, 1)[0]
    K = geometry.intrinsics(8, 8, 80.0)
    _, depth = Raycaster(mesh, cull_backfaces=cull).render(pose, K, 8, 8)
    expected = nearest_hits(mesh, pose[:3, 3], rays(pose, K, 8, 8).reshape(-1, 3), cull)
    # A ray through an edge, to within rounding, may go either way.
    agree = np.isclose(depth.ravel(), expected, rtol=1e-4, atol=1e-4)
    assert agree.mean() > 0.95


def test_back_faces_show_unless_culled():
    front, back = wall(-3.0), wall(-2.0)
    back = dataclasses.replace(back, faces=back.faces[:, ::-1].copy())
    mesh = TexturedMesh(
        np.concatenate([back.vertices, front.vertices]),
        np.concatenate([back.faces, front.faces + 4]),
        np.concatenate([back.uv, front.uv]),
        np.array([0, 0, 1, 1], np.int32),
        (GREY, GREY + np.uint8(50)),
    )
    K = geometry.intrinsics(9, 9, 20.0)
    image, depth = Raycaster(mesh).render(looking_ahead(), K, 9, 9)
    assert image is not None and (image == 100).all()
    np.testing.assert_allclose(depth, 2.0, rtol=1e-6)
    image, depth = Raycaster(mesh, cull_backfaces=True).render(looking_ahead(), K, 9, 9)
    assert image is not None and (image == 150).all()
    np.testing.assert_allclose(depth, 3.0, rtol=1e-5)


@pytest.mark.parametrize(("layers", "expected"), [(40, 5.0), (raycast._MAX_CULLED_LAYERS + 6, 0.0)])
def test_culling_passes_many_layers_but_not_endlessly(layers: int, expected: float):
    backs = [wall(-1 - 0.01 * k).vertices[::-1] for k in range(layers)]
    mesh = quads([*backs, wall(-5.0, half=5).vertices])
    _, depth = Raycaster(mesh, cull_backfaces=True).render(looking_ahead(), geometry.intrinsics(5, 5, 20.0), 5, 5)
    np.testing.assert_allclose(depth, expected, atol=1e-3)


def test_rays_that_miss_have_depth_0_and_the_background():
    mesh = wall(-2.0, half=0.5, light=np.full((2, 3), 0.5, np.float32))
    image, depth = Raycaster(mesh, background=(1, 2, 3)).render(
        looking_ahead(), geometry.intrinsics(32, 32, 90.0), 32, 32
    )
    assert image is not None
    missed = depth[0] == 0
    assert 0 < missed.sum() < missed.size
    assert (image[0][missed] == (1, 2, 3)).all()
    assert (image[0][~missed] == 50).all()
    image, depth = Raycaster(mesh).render(looking_ahead(-3), geometry.intrinsics(32, 32, 90.0), 32, 32, samples=4)
    assert not depth.any() and image is not None and not image.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_light_is_interpolated_between_corners(channels: int):
    rng = np.random.default_rng(0)
    light = rng.uniform(0, 3, (2, 3, channels)).astype(np.float32)
    mesh = wall(-1.0, light=light[..., 0] if channels == 1 else light)
    K = geometry.intrinsics(40, 40, 90.0)
    image, _ = Raycaster(mesh).render(looking_ahead(), K, 40, 40)
    assert image is not None
    x, y = np.moveaxis(geometry.pixel_grid(40, 40) / 40, -1, 0)
    lower = np.stack([1 - y, y - x, x], -1) @ light[0]  # corners (0, 0) (0, 1) (1, 1) in x to the right and y down
    upper = np.stack([1 - x, y, x - y], -1) @ light[1]
    expected = np.clip(100 * np.where((y > x)[..., None], lower, upper), 0, 255)
    off_diagonal = np.abs(x - y) > 1e-3
    assert np.abs(image[0] - expected)[off_diagonal].max() <= 1.0
    assert image.max() == 255  # clipped, not wrapped round


def test_occlusion_ends_at_the_distance():
    raycaster = Raycaster(wall(-2.0))
    origins = np.array([[0, 0, 0], [0, 0, 0], [5, 0, 0], [0, 0, -3]], float)
    directions = np.array([[0, 0, -9], [0, 0, 0.1], [0, 0, -1], [0, 0, 1]])
    np.testing.assert_array_equal(raycaster.occluded(origins, directions), [True, False, False, True])
    np.testing.assert_array_equal(raycaster.occluded(origins, directions, 1.5), [False, False, False, True])
    reach = np.array([2.1, 9, 9, 0.9])
    np.testing.assert_array_equal(raycaster.occluded(origins, directions, reach), [True, False, False, False])
    np.testing.assert_array_equal(reach, [2.1, 9, 9, 0.9])
    np.testing.assert_array_equal(raycaster.occluded(origins, [0, 0, -1], 1.99), [False] * 4)
    assert raycaster.occluded(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("origins", "directions", "reach", "message"),
    [
        (np.zeros((2, 2)), [[0, 0, 1]], 1.0, r"must be \(N, 3\)"),
        (np.zeros((2, 3)), np.ones((3, 3)), 1.0, r"must be \(N, 3\)"),
        (np.zeros((1, 3)), [[0, 0, 0]], 1.0, "longer than 0"),
        (np.full((1, 3), np.nan), [[0, 0, 1]], 1.0, "finite"),
        (np.zeros((1, 3)), [[0, 0, 1]], -1.0, "max_distance"),
        (np.zeros((1, 3)), [[0, 0, 1]], np.nan, "max_distance"),
    ],
)
def test_bad_occlusion_queries(origins: Any, directions: Any, reach: float, message: str):
    with pytest.raises(ValueError, match=message):
        Raycaster(wall(-2.0)).occluded(origins, directions, reach)


def test_a_batch_is_its_views_and_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    mesh = dataclasses.replace(
        box_room(),
        textures=(rng.integers(0, 255, (32, 48, 3), dtype=np.uint8),),
        light=rng.uniform(0.3, 1, (12, 3, 3)).astype(np.float32),
    )
    raycaster = Raycaster(mesh)
    K = geometry.intrinsics(40, 30, 90.0)
    poses = random_poses(3, rng, 0.2 * ROOM, 0.8 * ROOM)
    image, depth = raycaster.render(poses, K, 30, 40, samples=4)
    monkeypatch.setattr(raycast, "_RAYS_PER_CHUNK", 177)
    for i in range(3):
        one_image, one_depth = raycaster.render(poses[i], K, 30, 40, samples=4)
        assert one_image is not None and image is not None
        np.testing.assert_array_equal(one_image[0], image[i])
        np.testing.assert_array_equal(one_depth[0], depth[i])
    none, same_depth = raycaster.render(poses, K, 30, 40, rgb=False)
    assert none is None
    np.testing.assert_array_equal(same_depth, depth)
    assert raycaster.render(poses[:0], K, 30, 40)[1].shape == (0, 30, 40)


def test_four_samples_smooth_edges_only():
    turn = Rotation.from_euler("z", 20, degrees=True).as_matrix()
    near = wall(-2.0, half=0.8)
    mesh = quads([near.vertices @ turn.T, wall(-4.0, half=9).vertices], material=np.array([0, 0, 1, 1], np.int32))
    mesh = dataclasses.replace(mesh, textures=(GREY * 0, GREY * 0 + np.uint8(200)))
    K = geometry.intrinsics(64, 64, 60.0)
    raycaster = Raycaster(mesh)
    single, depth = raycaster.render(looking_ahead(), K, 64, 64)
    smooth, depth_4 = raycaster.render(looking_ahead(), K, 64, 64, samples=4)
    fine, _ = raycaster.render(looking_ahead(), geometry.scale_intrinsics(K, 2), 128, 128)
    assert single is not None and smooth is not None and fine is not None
    np.testing.assert_array_equal(depth, depth_4)
    assert set(np.unique(single)) == {0, 200}
    assert set(np.unique(smooth)) == {0, 50, 100, 150, 200}
    np.testing.assert_array_equal(smooth[0], fine[0].reshape(64, 2, 64, 2, 3).mean((1, 3)))


def test_quarters_are_filtered_as_the_small_pixels_they_are():
    rng = np.random.default_rng(0)
    mesh = quads([wall(-2.0, half=0.8).vertices, wall(-4.0, half=9).vertices])
    mesh = dataclasses.replace(mesh, textures=(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8),))
    K = geometry.intrinsics(64, 64, 60.0)
    raycaster = Raycaster(mesh)
    smooth, depth = raycaster.render(looking_ahead(), K, 64, 64, samples=4)
    fine, _ = raycaster.render(looking_ahead(), geometry.scale_intrinsics(K, 2), 128, 128)
    assert smooth is not None and fine is not None
    edges = edge_pixels(depth[0], np.zeros((64, 64), int), None)
    assert 0 < edges.mean() < 0.2
    means = fine[0].reshape(64, 2, 64, 2, 3).mean((1, 3))
    np.testing.assert_allclose(smooth[0][edges], means[edges], atol=1.01)


def test_a_picture_of_samples_is_not_moved():
    """The mean over a symmetric scene stays symmetric: sub-samples surround the pixel's centre."""
    mesh = quads([wall(-2.0, half=0.333).vertices])
    smooth, _ = Raycaster(mesh).render(looking_ahead(), geometry.intrinsics(33, 33, 60.0), 33, 33, samples=4)
    assert smooth is not None
    np.testing.assert_array_equal(smooth, smooth[:, ::-1])
    np.testing.assert_array_equal(smooth, smooth[:, :, ::-1])


GOOD = wall(-1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vertices": np.full((4, 3), np.nan, np.float32)}, "vertices hold NaN"),
        ({"vertices": np.zeros((4, 2), np.float32)}, r"vertices must be \(V, 3\), got shape \(4, 2\)"),
        ({"faces": np.zeros((0, 3), np.int32)}, "no faces"),
        ({"faces": np.zeros((2, 4), np.int32)}, r"faces must be \(F, 3\)"),
        ({"faces": np.zeros((2, 3), np.float32)}, "faces must be integer"),
        ({"faces": GOOD.faces + 1}, r"faces must index vertices 0\.\.3, got 1\.\.4"),
        ({"faces": GOOD.faces - 1}, r"faces must index vertices 0\.\.3, got -1\.\.2"),
        ({"uv": GOOD.uv[:1]}, "uv must be"),
        ({"uv": GOOD.uv + np.float32(np.inf)}, "uv holds NaN"),
        ({"material": np.zeros(3, np.int32)}, "material must be"),
        ({"material": np.zeros(2, np.float32)}, "material must be"),
        ({"material": np.ones(2, np.int32)}, r"material must index textures 0\.\.0, got 1\.\.1"),
        ({"textures": ()}, "no textures"),
        ({"textures": (GREY.astype(np.float32),)}, r"textures\[0\] must be a \(H, W, 3\) uint8 image"),
        ({"textures": (GREY[:0],)}, r"textures\[0\] must be"),
        ({"textures": (GREY, GREY[..., 0])}, r"textures\[1\] must be"),
        ({"light": np.ones((2, 4), np.float32)}, "light must be"),
        ({"light": -np.ones((2, 3), np.float32)}, "light holds negative"),
        ({"light": np.full((2, 3, 3), np.nan, np.float32)}, "light holds negative, NaN"),
    ],
)
def test_bad_meshes_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Raycaster(dataclasses.replace(GOOD, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poses": np.eye(3)}, "4x4"),
        ({"poses": np.full((4, 4), np.nan)}, "finite"),
        ({"poses": np.diag([2.0, 1, 1, 1])}, "not a rigid motion"),
        ({"poses": np.tile(np.eye(4), (2, 2, 1, 1))}, r"poses must be \(B, 4, 4\)"),
        ({"K": np.eye(4)}, "K must be"),
        ({"K": -np.eye(3)}, "K must be"),
        ({"K": np.array([[1.0, 0.1, 1], [0, 1, 1], [0, 0, 1]])}, "K must be"),
        ({"height": 0}, "at least 1x1"),
        ({"samples": 2}, "samples must be 1 or 4"),
    ],
)
def test_bad_views_are_refused(changes: dict[str, Any], message: str):
    arguments: dict[str, Any] = {"poses": np.eye(4), "K": geometry.intrinsics(4, 4, 90.0), "height": 4, "width": 4}
    with pytest.raises(ValueError, match=message):
        Raycaster(GOOD).render(**(arguments | changes))
