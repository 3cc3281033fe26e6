"""The rules of the axes: bare files, stage configurations, arguments, and floors that are not where a guess is."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh

from mirage_env.simulators.mesh.scene import load_scene

# A triangle with corners on the file's axes shows where each axis went.
ON_AXES = trimesh.Trimesh(np.eye(3), [[0, 1, 2]], process=False)
Z_UP = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # where habitat-sim takes the file's x, y, z: sim = (x, z, -y)


def room(path, size=(5.0, 4.0, 2.5)):
    """A box seen from inside, ``size`` along the file's axes."""
    box = trimesh.creation.box(size)
    box.invert()
    box.export(path)
    return path


def corners(path, **axes):
    mesh = load_scene(path, **axes).mesh
    return mesh.vertices[mesh.faces[0]]


def test_a_bare_glb_is_z_up_and_other_bare_files_are_y_up(tmp_path):
    for suffix, expected in ((".glb", Z_UP), (".gltf", np.eye(3)), (".obj", np.eye(3)), (".ply", np.eye(3))):
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        if suffix == ".gltf":
            for name, data in trimesh.exchange.gltf.export_gltf(trimesh.Scene(ON_AXES)).items():
                (folder / name).write_bytes(data)
        else:
            ON_AXES.export(folder / f"model{suffix}")
        np.testing.assert_allclose(corners(folder / f"model{suffix}"), expected, atol=1e-6)


def test_a_stage_config_beside_the_scene_decides(tmp_path):
    path = tmp_path / "model.glb"
    ON_AXES.export(path)
    config = tmp_path / "model.stage_config.json"
    config.write_text(json.dumps({"up": [0, 1, 0], "front": [0, 0, -1], "render_asset": "model.glb"}))
    np.testing.assert_allclose(corners(path), np.eye(3), atol=1e-6)
    np.testing.assert_allclose(corners(config), np.eye(3), atol=1e-6)
    config.write_text(json.dumps({"up": [0, 0, 1], "front": [0, 1, 0]}))
    np.testing.assert_allclose(corners(path), Z_UP, atol=1e-6)
    config.write_text("{}")  # habitat-sim guesses z-up only where there is no configuration
    np.testing.assert_allclose(corners(path), np.eye(3), atol=1e-6)
    config.write_text(json.dumps({"scale": [2, 1, 1]}))
    np.testing.assert_allclose(corners(path), np.diag([2.0, 1, 1]), atol=1e-6)


def test_a_stage_config_may_name_another_file(tmp_path):
    ON_AXES.export(tmp_path / "other.ply")
    (tmp_path / "model.glb").write_bytes(b"never read")
    (tmp_path / "model.stage_config.json").write_text(json.dumps({"render_asset": "other.ply"}))
    assert load_scene(tmp_path / "model.glb").name == "other"


def test_fields_that_habitat_reads_and_does_not_use_are_named(tmp_path):
    ON_AXES.export(tmp_path / "model.glb")
    (tmp_path / "model.stage_config.json").write_text(json.dumps({"origin": [1, 2, 3], "units_to_meters": 0.01}))
    with pytest.warns(UserWarning, match="origin and units_to_meters in .* change nothing"):
        np.testing.assert_allclose(corners(tmp_path / "model.glb"), np.eye(3), atol=1e-6)


def test_up_and_front_that_are_not_at_right_angles_mean_y_up(tmp_path):
    ON_AXES.export(tmp_path / "model.glb")
    (tmp_path / "model.stage_config.json").write_text(json.dumps({"up": [0, 0, 1]}))  # front stays (0, 0, -1)
    with pytest.warns(UserWarning, match="right angles"):
        np.testing.assert_allclose(corners(tmp_path / "model.glb"), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("up", ["x", "-x", "y", "-y", "z", "-z", (1.0, 1.0, 0.0)])
def test_up_overrides_everything(tmp_path, up):
    ON_AXES.export(tmp_path / "model.glb")
    (tmp_path / "model.stage_config.json").write_text(json.dumps({"up": [0, 1, 0], "front": [0, 0, -1]}))
    frame = load_scene(tmp_path / "model.glb", up=up).frame
    T = frame.T_world_file
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    signed = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}
    named = (-1 if up[0] == "-" else 1) * np.array(signed[up[-1]], float) if isinstance(up, str) else np.array(up)
    np.testing.assert_allclose(T[:3, :3] @ named / np.linalg.norm(named), [0, 1, 0], atol=1e-12)


def test_front_goes_ahead(tmp_path):
    ON_AXES.export(tmp_path / "model.glb")
    T = load_scene(tmp_path / "model.glb", up="z", front="-x").frame.T_world_file
    np.testing.assert_allclose(T[:3, :3] @ [-1, 0, 0], [0, 0, -1], atol=1e-12)


@pytest.mark.parametrize("axes", [{"up": "w"}, {"up": "xy"}, {"up": (0, 0, 0)}, {"up": "y", "front": "-y"}, {"up": 3}])
def test_axes_that_are_none_are_refused(tmp_path, axes):
    ON_AXES.export(tmp_path / "model.glb")
    with pytest.raises(ValueError, match="up"):
        load_scene(tmp_path / "model.glb", **axes)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"up": [0, 1]}', '{"up": [0, NaN, 0]}', '{"scale": [1, 0, 1]}', "[" * 99999]
)
def test_damaged_stage_configs_are_refused(tmp_path, text):
    ON_AXES.export(tmp_path / "model.glb")
    (tmp_path / "model.stage_config.json").write_text(text)
    with pytest.raises(ValueError, match=r"model\.stage_config\.json"):
        load_scene(tmp_path / "model.glb")


def test_a_guess_that_puts_the_floor_on_a_wall_is_refused_with_advice(tmp_path):
    assert load_scene(room(tmp_path / "z_up.glb")).frame.source == "habitat's default"
    y_up = room(tmp_path / "y_up.glb", (5.0, 2.5, 4.0))
    with pytest.raises(ValueError, match=r'no floor was found in .*y_up\.glb.*pass up="y".*stage_config\.json'):
        load_scene(y_up)
    assert load_scene(y_up, up="y").frame.source == "argument"
    assert load_scene(y_up, up="z").frame.source == "argument"  # who says so is believed
    with pytest.raises(ValueError, match='pass up="z"'):
        load_scene(room(tmp_path / "z_up.ply"))
