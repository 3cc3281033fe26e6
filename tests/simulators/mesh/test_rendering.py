"""Compiled shading against NumPy's; filtering against OpenGL's definition; the caches."""

from __future__ import annotations

import gc
import os
import weakref
from itertools import pairwise

import numpy as np
import pytest
import trimesh

from mirage_env import geometry
from mirage_env.simulators.mesh.alpha import bilinear
from mirage_env.simulators.mesh.filtering import TrilinearAtlas
from mirage_env.simulators.mesh.rendering import SceneRaycaster, renderer_of, shading_by
from mirage_env.simulators.mesh.scene import load_scene, open_scene
from tests.glb_files import Builder

K = geometry.intrinsics(96, 96, 90)


def furnished(path, coloured=False, rng=None):
    """A textured room with boxes, some seen through from behind, and a leaf with holes."""
    rng = np.random.default_rng(3) if rng is None else rng
    builder = Builder()
    pixels = rng.integers(0, 255, (37, 64, 3)).repeat(2, 0).repeat(2, 1)
    wall = builder.material(texture=builder.image(pixels), factor=(1, 0.9, 0.8, 1))
    flat = builder.material(factor=(0.3, 0.6, 0.2, 1))
    leaf = np.dstack([rng.integers(0, 255, (16, 16, 3)), rng.integers(0, 2, (16, 16)) * 255])
    holed = builder.material(texture=builder.image(leaf), alphaMode="MASK")
    for i, (size, material) in enumerate([((6, 3, 5), wall), *[((0.5, 0.7, 0.4), m) for m in (flat, wall, holed) * 2]]):
        box = trimesh.creation.box(size)
        if i in (0, 3):
            box.invert()
        corners = box.vertices[box.faces].reshape(-1, 3).astype(np.float32)
        uv = rng.uniform(-2, 2, (len(corners), 2)).astype(np.float32)
        colours = rng.uniform(0.2, 1, (len(corners), 3)).astype(np.float32) if coloured else None
        place = [0, 0, 0] if i == 0 else (rng.uniform(-1, 1, 3) * [2.5, 1, 2]).tolist()
        builder.node(mesh=builder.mesh(corners, None, uv, colours, material=material), translation=place)
    return load_scene(builder.glb(path), up="y")


def poses(n, rng):
    from scipy.spatial.transform import Rotation

    T = np.tile(np.eye(4), (n, 1, 1))
    T[:, :3, :3] = Rotation.random(n, random_state=rng).as_matrix()
    T[:, :3, 3] = rng.uniform(-1, 1, (n, 3))
    return T


@pytest.mark.parametrize("coloured", [False, True])
def test_both_ways_of_shading_show_the_same(tmp_path, coloured):
    pytest.importorskip("numba")
    scene = furnished(tmp_path / "model.glb", coloured)
    rng = np.random.default_rng(1)
    views = poses(8, rng)
    caster = SceneRaycaster(scene)
    fast_rgb, fast_depth = caster.render(views, K, 96, 96)
    with shading_by("numpy"):
        rgb, depth = caster.render(views, K, 96, 96)
    np.testing.assert_array_equal(fast_depth, depth)
    assert fast_rgb is not None and rgb is not None and len(np.unique(rgb)) > 100
    off = np.abs(fast_rgb.astype(int) - rgb).max(axis=-1)
    assert (off <= 2).mean() > 0.999, f"{(off > 2).sum()} pixels differ, at most by {off.max()}"
    samples = [caster.sample(views[0], np.float32([[0.1, 0.2, 1], [-0.3, 0, 1]]), K) for _ in range(2)]
    np.testing.assert_array_equal(samples[0].colour, samples[1].colour)


def test_levels_are_mixed_as_opengl_defines_it():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (32, 64, 3)).astype(np.uint8)
    atlas = TrilinearAtlas([image])
    levels = atlas.levels_of(image)
    n = 200
    u, v = rng.uniform(-100, 100, (2, n)).astype(np.float32)
    derivatives = (rng.normal(size=(4, n)) * 2 ** rng.uniform(-2, 7, n)).astype(np.float32)
    got = atlas.sample(np.zeros(n, np.int64), u, v, tuple(derivatives[:2]), tuple(derivatives[2:]))
    rho = np.maximum(np.hypot(*derivatives[:2]), np.hypot(*derivatives[2:]))
    level = np.clip(np.log2(rho), 0, len(levels) - 1)
    for i in range(n):
        fine = min(int(level[i]), len(levels) - 1)
        at = np.array([[u[i] / 64, v[i] / 32]])
        looked = [
            np.array([bilinear(levels[min(k, len(levels) - 1)][..., c], at)[0] for c in range(3)])
            for k in (fine, fine + 1)
        ]
        share = level[i] - fine
        np.testing.assert_allclose(got[:, i], (1 - share) * looked[0] + share * looked[1], atol=1.5)


@pytest.mark.parametrize("shape", [(8, 8), (13, 6), (1, 7), (5, 1)])
def test_levels_are_bilinear_lookups_in_the_one_before(shape):
    image = np.random.default_rng(1).integers(0, 255, (*shape, 3)).astype(np.uint8)
    levels = TrilinearAtlas([image]).levels_of(image)
    assert [level.shape[:2] for level in levels[1:]] == [
        tuple(max(n >> k, 1) for n in shape) for k in range(1, int(np.log2(max(shape))) + 1)
    ]
    for above, level in pairwise(levels):
        h, w = level.shape[:2]
        centres = np.stack(np.meshgrid((np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h), -1).reshape(-1, 2)
        for c in range(3):
            looked = bilinear(above[..., c], centres).reshape(h, w)
            assert (np.abs(level[..., c] - looked) <= 1 + 1e-9).all() and (level[..., c] >= looked - 1e-5).all()


def test_many_layers_of_back_faces_are_looked_through(tmp_path):
    builder = Builder()
    for k in range(30):
        turned = {"rotation": [0, 1, 0, 0]} if k < 29 else {}
        builder.node(mesh=builder.mesh(material=builder.material()), translation=[0, 0, -0.01 * k], **turned)
    depth = renderer_of(load_scene(builder.glb(tmp_path / "a.glb"), up="y")).render(
        geometry.camera_pose([0, 0, 1], 0, 0), geometry.intrinsics(4, 4, 90), 4, 4
    )[1]
    np.testing.assert_allclose(depth[0, 1:3, 1:3], 1.29, rtol=1e-5)


@pytest.mark.parametrize("path", ["fastest", "numpy"])
def test_what_is_nearer_than_a_centimetre_is_not_seen(tmp_path, path):
    builder = Builder()
    for z in (0.0, 0.992, 0.98):
        builder.node(mesh=builder.mesh(material=builder.material()), translation=[0, 0, z])
    scene, view = load_scene(builder.glb(tmp_path / "a.glb"), up="y"), geometry.camera_pose([0, 0, 1], 0, 0)
    with shading_by(path):
        depth = renderer_of(scene).render(view, geometry.intrinsics(4, 4, 90), 4, 4)[1]
    np.testing.assert_allclose(depth, 0.02, rtol=1e-4)


def test_a_scene_has_one_ray_caster_for_as_long_as_it_lives(tmp_path):
    scene = furnished(tmp_path / "model.glb")
    assert renderer_of(scene) is renderer_of(scene) is not renderer_of(scene, alpha_test=False)
    gone = weakref.ref(renderer_of(scene))
    del scene
    gc.collect()
    assert gone() is None


def test_open_scenes_are_kept_until_their_files_change(tmp_path):
    path = tmp_path / "model.glb"
    furnished(path)
    first = open_scene(path, up="y")
    assert open_scene(path, up="y") is first
    assert open_scene(path, up="z") is not first
    furnished(path, rng=np.random.default_rng(9))
    os.utime(path, ns=(1, 1))
    assert open_scene(path, up="y").content_hash != first.content_hash
    config = tmp_path / "model.stage_config.json"
    config.write_text('{"up": [0, 1, 0], "front": [0, 0, -1]}')
    second = open_scene(path)
    assert open_scene(path) is second
    config.write_text('{"up": [0, 1, 0], "front": [-1, 0, 0]}')
    assert open_scene(path).content_hash != second.content_hash
