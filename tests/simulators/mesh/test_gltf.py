"""What is read out of glTF files: geometry as trimesh reads it, and all that colours depend on."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import trimesh
from PIL import Image

from mirage_env import geometry
from mirage_env.simulators.mesh.gltf import read_gltf
from mirage_env.simulators.mesh.parts import UNDRESSED
from mirage_env.simulators.mesh.rendering import renderer_of
from mirage_env.simulators.mesh.scene import load_scene
from tests.glb_files import SQUARE, SQUARE_FACES, SQUARE_UV, Builder, png, square

QUARTERS = np.array([[[200, 0, 0], [0, 200, 0]], [[0, 0, 200], [200, 200, 200]]], np.uint8)
RED, GREEN, BLUE, GREY = QUARTERS.reshape(4, 3).tolist()


def view(path, size=8, **options):
    """The square from the front, one metre before it, filling the image."""
    rgb, depth = renderer_of(load_scene(path, up="y"), **options).render(
        geometry.camera_pose([0, 0, 1], 0, 0), geometry.intrinsics(size, size, 90), size, size
    )
    return rgb[0], depth[0]


def quarters(rgb):
    """Colours at the centres of the four quarters, row by row."""
    n = len(rgb)
    return [rgb[r, c].tolist() for r in (n // 4, 3 * n // 4) for c in (n // 4, 3 * n // 4)]


def blocks(n=16):
    return QUARTERS.repeat(n, 0).repeat(n, 1)


def textured(uv=SQUARE_UV, sampler=None, reference=None, pixels=None, **material):
    builder = Builder()
    texture = builder.image(blocks() if pixels is None else pixels)
    if sampler is not None:
        builder.tree["textures"][0]["sampler"] = builder.add("samplers", sampler)
    number = builder.material(texture=texture, **material)
    builder.tree["materials"][number]["pbrMetallicRoughness"]["baseColorTexture"].update(reference or {})
    builder.node(mesh=builder.mesh(uv=uv, material=number))
    return builder


def test_geometry_and_transforms_are_as_trimesh_reads_them(tmp_path):
    rng = np.random.default_rng(0)
    scene = trimesh.Scene()
    parent = None
    for i in range(6):
        T = trimesh.transformations.random_rotation_matrix(rng.random(3))
        T[:3, 3] = rng.normal(size=3)
        T[:3, :3] *= rng.uniform(0.5, 2, 3)
        mesh = trimesh.creation.icosphere(1) if i % 2 else trimesh.creation.box()
        scene.add_geometry(mesh, node_name=f"n{i}", parent_node_name=parent, transform=T)
        parent = f"n{i}" if i < 4 else None
    scene.export(tmp_path / "model.glb")
    parts = read_gltf(tmp_path / "model.glb").parts
    ours = np.concatenate([p.vertices[p.faces] for p in parts])
    loaded = trimesh.load_scene(tmp_path / "model.glb", process=False)
    theirs = np.concatenate(
        [
            trimesh.transform_points(g.vertices, loaded.graph[n][0])[g.faces]
            for n in loaded.graph.nodes_geometry
            for g in [loaded.geometry[loaded.graph[n][1]]]
        ]
    )
    order = [np.lexsort(t.reshape(len(t), 9).round(4).T) for t in (ours, theirs)]
    np.testing.assert_allclose(ours[order[0]], theirs[order[1]], atol=1e-5)


def test_a_mirrored_node_keeps_its_front_in_front(tmp_path):
    for scale in ([1, 1, 1], [-1, 1, 1]):
        builder = square(factor=(0.2, 0.4, 0.6, 1))
        builder.tree["nodes"][0]["scale"] = scale
        rgb, depth = view(builder.glb(tmp_path / "model.glb"))
        assert (depth == pytest.approx(1)) and (rgb == [51, 102, 153]).all()


def test_back_faces_are_not_seen_even_where_double_sided(tmp_path):
    builder = square(doubleSided=True)
    builder.tree["nodes"][0]["rotation"] = [0, 1, 0, 0]  # half a turn about y
    rgb, depth = view(builder.glb(tmp_path / "model.glb"))
    assert not rgb.any() and not depth.any()


def test_triangle_strips_fans_and_primitives_without_indices(tmp_path):
    strip, fan = SQUARE[[0, 1, 3, 2]], SQUARE
    triangles = SQUARE[SQUARE_FACES.ravel()]
    for mode, vertices in ((5, strip), (6, fan), (4, triangles)):
        builder = Builder()
        builder.node(mesh=builder.mesh(vertices, None, mode=mode, material=builder.material()))
        _, depth = view(builder.glb(tmp_path / "model.glb"))
        np.testing.assert_allclose(depth, 1, rtol=1e-6)


def test_textures_lie_as_gltf_says_and_base_colours_multiply_them(tmp_path):
    assert quarters(view(textured().glb(tmp_path / "a.glb"))[0]) == [RED, GREEN, BLUE, GREY]
    dimmed = textured(factor=(0.5, 1, 0.25, 1)).glb(tmp_path / "b.glb")
    assert quarters(view(dimmed)[0]) == [[100, 0, 0], [0, 200, 0], [0, 0, 50], [100, 200, 50]]


def test_blended_materials_are_opaque(tmp_path):
    rgb, depth = view(square(factor=(0.2, 0.4, 0.6, 0.1), alphaMode="BLEND").glb(tmp_path / "model.glb"))
    assert (rgb == [51, 102, 153]).all() and (depth > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
def test_vertex_colours_multiply_and_are_interpolated(tmp_path, dtype):
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    colours = np.array([[0, top, 0, top], [0, top, 0, top], [top, top, 0, top], [top, top, 0, top]], dtype)
    builder = Builder()
    builder.node(mesh=builder.mesh(colours=colours, material=builder.material(factor=(1, 0.5, 1, 1))))
    rgb, _ = view(builder.glb(tmp_path / "model.glb"))
    ramp = 255 * (np.arange(8) + 0.5) / 8
    np.testing.assert_allclose(rgb[3, :, 0], ramp, atol=1)
    assert (np.abs(rgb[..., 1].astype(int) - 128) <= 1).all() and not rgb[..., 2].any()


def test_normalised_texture_coordinates_and_quantised_positions(tmp_path):
    builder = Builder()
    number = builder.material(texture=builder.image(blocks()))
    uv = np.concatenate([SQUARE_UV * 65535, np.zeros((4, 0))], 1).astype(np.uint16)
    mesh = builder.mesh((SQUARE * 100).astype(np.float32), uv=SQUARE_UV, material=number)
    attributes = builder.tree["meshes"][mesh]["primitives"][0]["attributes"]
    attributes["TEXCOORD_0"] = builder.accessor(uv, normalized=True)
    attributes["POSITION"] = builder.accessor((SQUARE * 100).astype(np.int16))
    builder.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    builder.node(mesh=mesh, scale=[0.01, 0.01, 0.01])
    assert quarters(view(builder.glb(tmp_path / "model.glb"))[0]) == [RED, GREEN, BLUE, GREY]


def test_sparse_accessors_change_single_elements(tmp_path):
    builder = square()
    places, corner = builder.view(np.array([3], np.uint16).tobytes()), builder.view(np.float32([9, 8, 7]).tobytes())
    builder.tree["accessors"][0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": places, "componentType": 5123},
        "values": {"bufferView": corner},
    }
    (part,) = read_gltf(builder.glb(tmp_path / "model.glb")).parts
    np.testing.assert_array_equal(part.vertices, [*SQUARE[:3], [9, 8, 7]])


def test_interleaved_attributes(tmp_path):
    builder = square()
    rows = np.concatenate([SQUARE, SQUARE_UV], axis=1).astype(np.float32)
    both = builder.view(rows.tobytes())
    builder.tree["bufferViews"][both]["byteStride"] = 20
    builder.tree["accessors"][0]["bufferView"] = both
    (part,) = read_gltf(builder.glb(tmp_path / "model.glb")).parts
    np.testing.assert_array_equal(part.vertices, SQUARE)


def test_texture_transforms(tmp_path):
    half_turn = {"rotation": np.pi, "offset": [1, 1]}
    moved = textured(reference={"extensions": {"KHR_texture_transform": half_turn}}).glb(tmp_path / "a.glb")
    assert quarters(view(moved)[0]) == [GREY, BLUE, GREEN, RED]
    scaled = {"scale": [0.5, 1], "offset": [0.5, 0]}
    right = textured(reference={"extensions": {"KHR_texture_transform": scaled}}).glb(tmp_path / "b.glb")
    assert quarters(view(right)[0]) == [GREEN, GREEN, GREY, GREY]
    quarter = {"rotation": np.pi / 2, "offset": [0, 1]}  # (u, v) -> (v, 1 - u), counter-clockwise about (0, 0)
    turned = textured(reference={"extensions": {"KHR_texture_transform": quarter}}).glb(tmp_path / "c.glb")
    assert quarters(view(turned)[0]) == [BLUE, RED, GREY, GREEN]


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        (10497, [RED, GREEN, RED, GREEN, RED, GREEN]),
        (33648, [GREEN, RED, RED, GREEN, GREEN, RED]),
        (33071, [RED, RED, RED, GREEN, GREEN, GREEN]),
    ],
)
def test_wrapping_beyond_the_image(tmp_path, wrap, expected):
    uv = SQUARE_UV * [3, 1] - [1, 0]  # three images side by side
    rgb, _ = view(textured(uv.astype(np.float32), {"wrapS": wrap, "wrapT": 10497}).glb(tmp_path / "a.glb"), 24)
    assert [rgb[6, c].tolist() for c in range(2, 24, 4)] == expected


def test_nearest_texels_keep_hard_edges(tmp_path):
    hard = view(textured(pixels=QUARTERS, sampler={"magFilter": 9728}).glb(tmp_path / "a.glb"), 16)[0]
    soft = view(textured(pixels=QUARTERS).glb(tmp_path / "b.glb"), 16)[0]
    assert quarters(hard) == [RED, GREEN, BLUE, GREY]
    assert hard[4, 6].tolist() == RED and soft[4, 6].tolist() != RED


def test_alpha_is_a_hole_in_masked_materials_only(tmp_path):
    pixels = np.dstack([blocks(), np.full((32, 32), 255, np.uint8)])
    pixels[:, :16, 3] = 60
    masked = textured(pixels=pixels, alphaMode="MASK", alphaCutoff=0.3)
    behind = masked.mesh(SQUARE * 4 - np.float32([0, 0, 1]), material=masked.material(factor=(0, 0, 1, 1)))
    masked.node(mesh=behind)
    path = masked.glb(tmp_path / "a.glb")
    rgb, depth = view(path)
    assert quarters(rgb) == [[0, 0, 255], GREEN, [0, 0, 255], GREY]
    np.testing.assert_allclose(depth[:, [1, 6]], [[2, 1]] * 8, rtol=1e-5)
    rgb, depth = view(path, alpha_test=False)  # habitat-sim's own rule
    assert quarters(rgb) == [RED, GREEN, BLUE, GREY] and (depth == pytest.approx(1))
    opaque = textured(pixels=pixels).glb(tmp_path / "b.glb")
    assert quarters(view(opaque)[0]) == [RED, GREEN, BLUE, GREY]


@pytest.mark.parametrize("mode", ["L", "P", "LA", "I;16", "CMYK"])
def test_images_of_other_modes(tmp_path, mode):
    grey = np.full((8, 8), 77, np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    name = "t.jpg" if mode == "CMYK" else "t.png"
    image.save(tmp_path / name)
    builder = square()
    builder.tree["images"] = [{"uri": name}]
    builder.tree["textures"] = [{"source": 0}]
    builder.tree["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
    rgb, _ = view(builder.glb(tmp_path / "model.glb"))
    assert (np.abs(rgb.astype(int) - 77) <= 2).all()


def test_files_beside_and_data_uris(tmp_path):
    builder = textured()
    image = png(blocks())
    (tmp_path / "the texture.png").write_bytes(image)
    (tmp_path / "b.bin").write_bytes(builder.chunk)
    builder.tree["buffers"] = [{"byteLength": len(builder.chunk), "uri": "b.bin"}]
    builder.tree["images"] = [{"uri": "the%20texture.png"}]
    path = tmp_path / "model.gltf"
    path.write_text(json.dumps(builder.tree))
    assert quarters(view(path)[0]) == [RED, GREEN, BLUE, GREY]
    first = load_scene(path, up="y").content_hash
    (tmp_path / "the texture.png").write_bytes(png(255 - blocks()))
    assert load_scene(path, up="y").content_hash != first
    builder.tree["images"] = [{"uri": "data:image/png;base64," + base64.b64encode(image).decode()}]
    builder.tree["buffers"][0]["uri"] = "data:;base64," + base64.b64encode(builder.chunk).decode()
    path.write_text(json.dumps(builder.tree))
    assert quarters(view(path)[0]) == [RED, GREEN, BLUE, GREY]


def test_a_mesh_that_two_nodes_show_and_a_scene_that_is_not_the_first(tmp_path):
    builder = square()
    builder.node(mesh=0, translation=[0, 0, -5])
    builder.tree["scenes"].append({"nodes": [1]})
    both = load_scene(builder.glb(tmp_path / "a.glb"), up="y")
    assert sorted({*both.mesh.vertices[:, 2].tolist()}) == [-5, 0]
    builder.tree["scene"] = 1
    second = load_scene(builder.glb(tmp_path / "b.glb"), up="y")
    assert {*second.mesh.vertices[:, 2].tolist()} == {-5}
    assert both.content_hash != second.content_hash
    assert both.content_hash == load_scene(tmp_path / "a.glb", up="y").content_hash
    assert both.content_hash != load_scene(tmp_path / "a.glb", up="x").content_hash


def test_vertex_colours_without_a_material_as_trimesh_writes_them(tmp_path):
    colours = np.tile([200, 100, 50, 255], (4, 1))
    trimesh.Trimesh(SQUARE, SQUARE_FACES, vertex_colors=colours, process=False).export(tmp_path / "model.glb")
    lit = np.array(UNDRESSED.factor[:3]) * [200, 100, 50]
    assert np.abs(view(tmp_path / "model.glb")[0] - lit).max() <= 1
