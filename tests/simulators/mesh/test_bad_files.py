"""Every broken, hostile or missing scene is refused in one sentence, at once."""

from __future__ import annotations

import json
import os
import struct
import zlib

import numpy as np
import pytest
import trimesh

from mirage_env.simulators.mesh.scene import load_scene
from tests.glb_files import SQUARE, Builder, glb_bytes, png, square


def refused(path, error=ValueError, **axes):
    with pytest.raises(error) as caught:
        load_scene(path, up="y", **axes)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) < 500 and path.stem in message
    return message


def changed(tmp_path, change):
    """A square whose tree was changed, written, and what refuses it."""
    builder = square()
    change(builder.tree)
    return refused(builder.glb(tmp_path / "model.glb"))


def test_files_that_are_not_there_or_no_scenes(tmp_path):
    assert "does not exist" in refused(tmp_path / "gone.glb", FileNotFoundError)
    assert "does not exist" in refused(tmp_path / "gone.stage_config.json", FileNotFoundError)
    assert ".glb, .gltf, .obj, .ply" in refused(tmp_path / "scene.usdz")
    folder = tmp_path / "folder.glb"
    folder.mkdir()
    assert "is a folder" in refused(folder)


def test_scenes_without_faces(tmp_path):
    assert "has no faces" in refused(Builder().glb(tmp_path / "empty.glb"))
    points = Builder()
    points.node(mesh=points.mesh(faces=None, mode=0))
    assert "has no faces" in refused(points.glb(tmp_path / "points.glb"))
    (tmp_path / "points.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\n"
        "property float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n"
    )
    assert "has no faces" in refused(tmp_path / "points.ply")
    (tmp_path / "empty.obj").write_text("v 0 0 0\n")
    refused(tmp_path / "empty.obj")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vertices_that_are_nowhere(tmp_path, value):
    vertices = SQUARE.copy()
    vertices[1, 1] = value
    builder = Builder()
    builder.node(mesh=builder.mesh(vertices))
    assert "NaN or infinite" in refused(builder.glb(tmp_path / "model.glb"))
    trimesh.Trimesh(vertices, [[0, 1, 2]], process=False).export(tmp_path / "model.ply")
    assert "NaN or infinity" in refused(tmp_path / "model.ply")
    far = square()
    far.tree["nodes"][0]["scale"] = [1e300, 1e300, 1e300]
    far.tree["nodes"][0]["children"] = [far.node(root=False, mesh=0, scale=[1e300, 1, 1])]
    assert "NaN or infinity" in refused(far.glb(tmp_path / "far.glb"))


def test_missing_buffers_and_textures(tmp_path):
    builder = square()
    builder.tree["buffers"] = [{"byteLength": len(builder.chunk), "uri": "gone.bin"}]
    (tmp_path / "model.gltf").write_text(json.dumps(builder.tree))
    assert "gone.bin does not exist" in refused(tmp_path / "model.gltf", FileNotFoundError)
    del builder.tree["buffers"][0]["uri"]
    (tmp_path / "model.gltf").write_text(json.dumps(builder.tree))
    assert "names no file" in refused(tmp_path / "model.gltf")
    builder = square(texture=0)
    builder.tree.update(textures=[{"source": 0}], images=[{"uri": "gone.png"}])
    assert "gone.png does not exist" in refused(builder.glb(tmp_path / "model.glb"), FileNotFoundError)
    builder.tree["images"] = [{"uri": "https://example.com/t.png"}]
    assert "download it" in refused(builder.glb(tmp_path / "model.glb"))
    os.mkfifo(tmp_path / "pipe.png")
    builder.tree["images"] = [{"uri": "pipe.png"}]
    assert "is not a file" in refused(builder.glb(tmp_path / "model.glb"))
    (tmp_path / "model.obj").write_text("mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert "gone.mtl of" in refused(tmp_path / "model.obj", FileNotFoundError)
    (tmp_path / "gone.mtl").write_text("newmtl m\nmap_Kd gone.jpg\n")
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg of .*gone\.mtl does not exist"):
        load_scene(tmp_path / "model.obj")


def test_damaged_textures(tmp_path):
    for name, data in (("cut", png(np.zeros((64, 64, 3)))[:60]), ("noise", b"noise" * 20), ("none", b"")):
        builder = square(texture=0)
        builder.tree.update(textures=[{"source": 0}], images=[{"bufferView": builder.view(data)}])
        assert "image 0 cannot be decoded" in refused(builder.glb(tmp_path / f"{name}.glb"))


def test_a_texture_that_would_fill_the_memory_is_not_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = png(np.zeros((2, 2, 3)))
    bomb = bomb[:16] + header + bomb[29:]
    bomb = bomb[:29] + struct.pack(">I", zlib.crc32(bomb[12:29])) + bomb[33:]
    builder = square(texture=0)
    builder.tree.update(textures=[{"source": 0}], images=[{"bufferView": builder.view(bomb)}])
    refused(builder.glb(tmp_path / "bomb.glb"))


@pytest.mark.parametrize(
    ("name", "advised"),
    [
        ("KHR_draco_mesh_compression", "gltf-transform copy"),
        ("EXT_meshopt_compression", "gltf-transform copy"),
        ("KHR_texture_basisu", "ktxdecompress"),
        ("EXT_mesh_gpu_instancing", "export"),
    ],
)
def test_extensions_that_are_needed_are_named(tmp_path, name, advised):
    message = changed(tmp_path, lambda tree: tree.update(extensionsRequired=[name]))
    assert name in message and advised in message


def test_basis_textures_are_refused_by_their_extension(tmp_path):
    builder = square(texture=0)
    ktx2 = builder.view(b"\xabKTX 20\xbb\r\n\x1a\n" + bytes(60))
    builder.tree["images"] = [{"bufferView": ktx2, "mimeType": "image/ktx2"}]
    builder.tree["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    assert "KHR_texture_basisu" in refused(builder.glb(tmp_path / "hm3d.basis.glb"))
    builder.tree["textures"] = [{"source": 0}]
    assert "KHR_texture_basisu" in refused(builder.glb(tmp_path / "hm3d.basis.glb"))
    fallback = builder.add("images", {"bufferView": builder.view(png(np.full((4, 4, 3), 9)))})
    builder.tree["textures"] = [{"source": fallback, "extensions": {"KHR_texture_basisu": {"source": 0}}}]
    assert load_scene(builder.glb(tmp_path / "both.glb"), up="y").mesh.textures[0][0, 0].tolist() == [9, 9, 9]


def test_glb_files_that_lie_about_their_lengths(tmp_path):
    good = square().glb(tmp_path / "model.glb").read_bytes()
    path = tmp_path / "bad.glb"
    for place in (8, 12):  # of the file, of the first chunk
        path.write_bytes(good[:place] + struct.pack("<I", 0xFFFFFFF0) + good[place + 4 :])
        assert "declares 4,294,967,280" in refused(path)
    for data, said in (
        (b"", "not a GLB"),
        (b"glTF", "not a GLB"),
        (good[: len(good) // 2], "is cut off"),
        (good[:4] + struct.pack("<I", 1) + good[8:], "only glTF 2"),
        (glb_bytes(b"{", b""), "JSON cannot be read"),
        (glb_bytes(b"[" * 200_000, b""), "JSON cannot be read"),
        (glb_bytes(b"[]", b""), "no asset"),
        (glb_bytes(b'{"asset": {"version": "1.0"}}', b""), "only glTF 2"),
    ):
        path.write_bytes(data)
        assert said in refused(path)


@pytest.mark.parametrize("count", [10**6, 10**12, 10**30, -1, 1.5, None])
def test_accessors_that_declare_more_than_they_have(tmp_path, count):
    changed(tmp_path, lambda tree: tree["accessors"][0].update(count=count))
    changed(tmp_path, lambda tree: tree["bufferViews"][0].update(byteLength=count))
    changed(tmp_path, lambda tree: tree["bufferViews"][0].update(byteOffset=count))

    def without_data(tree):
        del tree["accessors"][0]["bufferView"]
        tree["accessors"][0].update(count=count, sparse={"count": 0})

    changed(tmp_path, without_data)


def test_nodes_that_are_no_tree(tmp_path):
    assert "ancestor" in changed(tmp_path, lambda tree: tree["nodes"][0].update(children=[0]))
    for children in ([[1], [0]], [[1, 1], []]):
        nodes = [{"children": c} for c in children]
        assert "two parents" in changed(tmp_path, lambda tree, nodes=nodes: tree.update(nodes=nodes))
    deep = [{"children": [i + 1]} for i in range(50_000)]  # no recursion, no quadratic time
    assert "has no faces" in changed(tmp_path, lambda tree: tree.update(nodes=[*deep, {}]))


def test_meshes_repeated_until_memory_ends(tmp_path):
    builder = Builder()
    sphere = trimesh.creation.icosphere(5)
    mesh = builder.mesh(sphere.vertices.astype(np.float32), sphere.faces.astype(np.uint32))
    for _ in range(5_000):
        builder.node(mesh=mesh)
    assert "triangles; up to" in refused(builder.glb(tmp_path / "model.glb"))


def test_indices_that_lead_nowhere(tmp_path):
    for change in (
        lambda tree: tree["meshes"][0]["primitives"][0].update(indices=77),
        lambda tree: tree["meshes"][0]["primitives"][0].update(material=77),
        lambda tree: tree["meshes"][0]["primitives"][0]["attributes"].update(POSITION=-1),
        lambda tree: tree["nodes"][0].update(mesh="0"),
        lambda tree: tree["accessors"][0].update(bufferView=9),
        lambda tree: tree["bufferViews"][0].update(buffer=3),
        lambda tree: tree.update(scene=4),
        lambda tree: tree["nodes"][0].update(rotation=[0, 0, 0, 0]),
        lambda tree: tree["nodes"][0].update(matrix=[1, 2, 3]),
        lambda tree: tree["nodes"][0].update(translation=[0, "x", 0]),
        lambda tree: tree["materials"][0]["pbrMetallicRoughness"].update(baseColorTexture={"index": 5}),
    ):
        assert "is broken" in changed(tmp_path, change)
    builder = Builder()
    builder.node(mesh=builder.mesh(faces=np.array([0, 1, 200], np.uint16)))
    assert "uses vertex 200 of 4" in refused(builder.glb(tmp_path / "model.glb"))


def test_random_damage_never_does_more_than_refuse(tmp_path):
    rng = np.random.default_rng(0)
    builder = square(texture=0)
    builder.tree.update(textures=[{"source": 0}])
    builder.tree["images"] = [{"bufferView": builder.view(png(rng.integers(0, 255, (8, 8, 3))))}]
    text, path = json.dumps(builder.tree), tmp_path / "model.glb"
    odd = [None, -1, 1e99, 2**40, "x", [], {}, True, [[1]], {"a": []}, "data:,", "../model.glb"]

    def spots(value, found):
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            found.append((value, key))
            spots(value[key], found)
        return found

    refusals = 0
    for _ in range(400):
        tree = json.loads(text)
        for _ in range(rng.integers(1, 3)):
            places = spots(tree, [])
            holder, key = places[rng.integers(len(places))]
            holder[key] = odd[rng.integers(len(odd))]
        chunk = bytearray(builder.chunk)
        chunk[rng.integers(len(chunk))] = rng.integers(256)
        tree.setdefault("buffers", [{"byteLength": len(chunk)}])
        path.write_bytes(glb_bytes(json.dumps(tree).encode(), bytes(chunk)))
        try:
            load_scene(path, up="y")
        except (ValueError, FileNotFoundError) as error:
            assert "\n" not in str(error)
            refusals += 1
    assert refusals > 200


def test_ply_headers_that_declare_more_than_there_is(tmp_path):
    path = tmp_path / "model.ply"
    path.write_bytes(
        b"ply\nformat binary_little_endian 1.0\nelement vertex 99999999999\nproperty float x\nend_header\n"
    )
    assert "it declares" in refused(path)
    path.write_bytes(b"ply\nformat ascii 1.0\n")
    assert "header does not end" in refused(path)
    path.write_bytes(b"solid\n")
    assert "not a PLY file" in refused(path)
    path.write_bytes(b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nend_header\n1 2 3\n")
    refused(path)


def test_random_damage_to_meshes_that_trimesh_reads(tmp_path):
    box = trimesh.creation.box()
    box.visual.vertex_colors = [9, 8, 7, 255]
    rng, refusals = np.random.default_rng(0), 0
    for suffix in ("obj", "ply"):
        good, path = box.export(file_type=suffix), tmp_path / f"model.{suffix}"
        for _ in range(100):
            data = bytearray(good.encode() if isinstance(good, str) else good)
            for _ in range(rng.integers(1, 6)):
                place = rng.integers(len(data))
                if rng.random() < 0.3:
                    del data[place : place + rng.integers(1, 20)]
                else:
                    data[place] = rng.integers(256)
            path.write_bytes(data)
            try:
                load_scene(path, up="y")
            except (ValueError, FileNotFoundError) as error:
                assert "\n" not in str(error)
                refusals += 1
    assert refusals > 50
