"""OBJ and PLY scenes."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from PIL import Image

from mirage_env import geometry
from mirage_env.simulators.mesh.parts import UNDRESSED
from mirage_env.simulators.mesh.rendering import renderer_of
from mirage_env.simulators.mesh.scene import load_scene
from tests.glb_files import SQUARE, SQUARE_FACES

COLOURS = [[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 200]]

LIGHT = np.array(UNDRESSED.factor[:3])


def view(path):
    rgb, depth = renderer_of(load_scene(path, up="y")).render(
        geometry.camera_pose([0, 0, 1], 0, 0), geometry.intrinsics(8, 8, 90), 8, 8
    )
    np.testing.assert_allclose(depth, 1, rtol=1e-6)
    return rgb[0]


def test_an_obj_with_materials_and_a_texture(tmp_path):
    pixels = np.array(COLOURS, np.uint8).reshape(2, 2, 3).repeat(16, 0).repeat(16, 1)
    Image.fromarray(pixels).save(tmp_path / "my texture.png")
    (tmp_path / "m.mtl").write_text("newmtl a\nKd 1 1 1\nmap_Kd my texture.png\nnewmtl b\nKd 0.2 0.4 0.6\n")
    (tmp_path / "model.obj").write_text(
        "mtllib m.mtl\nv -1 1 0\nv -1 -1 0\nv 1 -1 0\nv 1 1 0\nvt 0 1\nvt 0 0\nvt 1 0\nvt 1 1\n"
        "usemtl a\nf 1/1 2/2 3/3 4/4\nusemtl b\nv 9 9 9\nv 9 8 9\nv 8 8 9\nf 5 6 7\n"
    )
    rgb = view(tmp_path / "model.obj")
    assert [rgb[r, c].tolist() for r in (2, 6) for c in (2, 6)] == COLOURS
    scene = load_scene(tmp_path / "model.obj", up="y")
    assert [51, 102, 153] in [t[0, 0].tolist() for t in scene.mesh.textures]
    before = scene.content_hash
    Image.fromarray(255 - pixels).save(tmp_path / "my texture.png")
    assert load_scene(tmp_path / "model.obj", up="y").content_hash != before


@pytest.mark.parametrize("kind", ["vertex_colors", "face_colors"])
def test_a_ply_with_colours(tmp_path, kind):
    colours = np.tile([[200, 100, 50, 255]], (4 if kind == "vertex_colors" else 2, 1))
    mesh = trimesh.Trimesh(SQUARE, SQUARE_FACES, process=False, **{kind: colours})
    mesh.export(tmp_path / "model.ply")
    assert np.abs(view(tmp_path / "model.ply") - LIGHT * [200, 100, 50]).max() <= 1


def test_a_bare_ply_is_white_in_the_light_of_habitat_sim(tmp_path):
    trimesh.Trimesh(SQUARE, SQUARE_FACES, process=False).export(tmp_path / "model.ply")
    assert np.abs(view(tmp_path / "model.ply") - LIGHT * 255).max() <= 1
