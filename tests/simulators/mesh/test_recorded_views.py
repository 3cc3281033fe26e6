"""Views against recordings of habitat-sim."""

from __future__ import annotations

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.simulators.mesh.rendering import renderer_of
from mirage_env.simulators.mesh.scene import load_scene
from tests.shared_files import shared

RECORDED = "golden/habitat"
SCENES = {
    "apartment": (f"{RECORDED}/scenes/apartment.glb", 4.0),
    "simple_room": (f"{RECORDED}/scenes/simple_room.glb", 1.0),
    "living-room": ("scenes/living-room.glb", 4.0),
    "classroom": ("scenes/classroom.glb", 4.0),
}
K = geometry.intrinsics(128, 128, 90)


def compare(name, cam_to_world, rgb, depth):
    path, colour_error = SCENES[name]
    poses = geometry.opencv_from_opengl(cam_to_world)
    ours, z = renderer_of(load_scene(shared(path))).render(poses, K, 128, 128)
    assert ours is not None
    error = np.abs(z - depth)
    close = (error <= 0.01) | (error <= 0.002 * depth)
    assert close.mean() >= 0.999
    assert np.abs(ours.astype(float) - rgb[..., :3]).mean() <= colour_error


@pytest.mark.parametrize("name", SCENES)
def test_views_are_habitats(name):
    recorded = np.load(shared(f"{RECORDED}/{name}_observations.npz"))
    compare(name, recorded["cam_to_world"], recorded["rgb"], recorded["depth"])


def test_a_walk_through_the_doorway_is_habitats():
    recorded = np.load(shared(f"{RECORDED}/apartment_rollouts.npz"))
    walks = [name[: -len("_rgb")] for name in recorded.files if name.endswith("_rgb")]
    assert walks
    for walk in walks:
        every = slice(None, None, 5)
        positions, turns = recorded[f"{walk}_positions"][every], recorded[f"{walk}_rotations_wxyz"][every]
        poses = np.tile(np.eye(4), (len(positions), 1, 1))
        poses[:, :3, :3] = geometry.rotation_from_wxyz(turns)
        poses[:, :3, 3] = positions + [0, 1.25, 0]
        compare("apartment", poses, recorded[f"{walk}_rgb"][every], recorded[f"{walk}_depth_every5"])
