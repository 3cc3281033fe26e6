"""Ghosts: distances to true surfaces against a closed form, and the study against memories that must have ghosts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.evaluation import ghosts
from mirage_env.evaluation.ghosts import TrueSurface, ghost_study, ghost_tokens, looked_through_after, token_widths
from mirage_env.memory import LatentMemory
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.simulators.rooms.toy import toy_home
from mirage_env.workers import one_thread
from tests.small_world import STRIDE, small_world


def distance_to_toy(points: np.ndarray) -> np.ndarray:
    """Metres from points inside the toy room to its walls, floor, ceiling and cube."""
    low, high = np.array([-2, 0, -3.0]), np.array([2, 2.5, 3.0])
    to_room = np.minimum(points - low, high - points).min(1)
    out = np.maximum(np.maximum(np.array([0.5, 0, -1.5]) - points, points - np.array([1.5, 1, -0.5])), 0)
    return np.minimum(to_room, np.linalg.norm(out, axis=1))


@pytest.fixture(scope="module")
def room() -> TrueSurface:
    return TrueSurface([toy_home().mesh], 0.1)


def test_distances_are_those_of_the_room(room: TrueSurface) -> None:
    points = np.random.default_rng(0).uniform([-2, 0, -3], [2, 2.5, 3], (4000, 3))
    inside_cube = ((points > [0.5, 0, -1.5]) & (points < [1.5, 1, -0.5])).all(1)
    points = points[~inside_cube]
    true, found = distance_to_toy(points), room.distance(points)
    assert (found >= true - 1e-6).all()
    assert (found <= np.sqrt(true**2 + 0.1**2 / 3) + 1e-6).all()


def test_a_token_in_the_air_is_a_ghost_and_one_on_a_surface_is_not(room: TrueSurface) -> None:
    points = torch.tensor([[0.0, 1.2, 1.0], [-2.0, 1.0, 0.3], [1.0, 1.0, -1.0], [1.0, 1.3, -1.0], [0.0, 0.3, 2.0]])
    assert ghost_tokens(points, room).tolist() == [True, False, False, True, True]
    assert ghost_tokens(points, room, widths=[0.0, 0.0, 0.0, 0.4, 0.2]).tolist() == [True, False, False, False, True]
    assert ghost_tokens(np.zeros((0, 3)), room).shape == (0,)
    with pytest.raises(ValueError, match="tolerance"):
        ghost_tokens(points, room, tolerance=-0.1)
    with pytest.raises(ValueError, match="spacing"):
        TrueSurface([], 0.0)


def test_a_mover_s_surface_is_true_where_it_stands_and_a_ghost_where_it_stood(room: TrueSurface) -> None:
    simulator = RoomsSimulator("toy", Camera(16), movers=1)
    simulator.reset()
    then = simulator.movers_at()[0].mesh
    high = then.vertices[then.vertices[:, 1] > 0.5 * then.vertices[:, 1].max()]
    from mirage_env.simulators.base import FloorMotion

    for _ in range(60):
        simulator.step(FloorMotion())
        now = simulator.movers_at()[0]
        if np.linalg.norm(now.position - high.mean(0) * [1, 0, 1]) > 1.0:
            break
    assert not ghost_tokens(high, room.with_meshes([then])).any()
    assert ghost_tokens(high, room.with_meshes([now.mesh])).mean() > 0.5
    assert not ghost_tokens(now.mesh.vertices, room.with_meshes([now.mesh])).any()


def test_widths_are_those_of_the_cells_that_wrote() -> None:
    memory = LatentMemory(channels=1)
    K = np.array([[8.0, 0, 8], [0, 8, 8], [0, 0, 1]])
    memory.write(torch.zeros(1, 16, 16), torch.full((16, 16), 3.0), K, geometry.camera_pose((0, 0, 0), 0.4, 1.2))
    widths = token_widths(memory, 8.0)
    rays = np.linalg.norm(geometry.unproject(geometry.pixel_grid(16, 16), 3.0, K), axis=-1)
    np.testing.assert_allclose(np.sort(widths), np.sort(rays.ravel()) / 8, rtol=1e-4)


def test_contradiction_leaves_fewer_ghosts_in_the_toy_room() -> None:
    simulator = RoomsSimulator("toy", Camera(32), movers=2)
    simulator.reset()
    with one_thread():
        study = ghost_study(simulator, small_world(), steps=80, seed=1)
    assert study.ghosts_off > 30
    assert study.fewer == pytest.approx(1 - study.ghosts_on / study.ghosts_off)
    assert study.fewer > 0.6
    assert study.hidden_on <= study.ghosts_on and study.hidden_off <= study.ghosts_off - study.ghosts_on
    assert study.ghosts_still <= 0.01 * study.tokens_still
    assert 0.002 < study.mover_share < 0.5
    assert study.covered_on > 0.9 * study.covered_off
    assert all(math.isfinite(value) for value in study.to_dict().values())
    assert simulator.time == 80


def test_a_study_needs_movers_and_steps() -> None:
    with pytest.raises(ValueError, match="movers=2"):
        ghost_study(RoomsSimulator("toy", Camera(32)), small_world())
    with pytest.raises(ValueError, match="at least 72 steps, got 40"):
        ghost_study(RoomsSimulator("toy", Camera(32), movers=1), small_world(), steps=40)


def test_memories_differ_in_contradiction_only() -> None:
    world = small_world()
    on, off = (ghosts.with_contradiction(world, state).new_memory() for state in (True, False))
    assert isinstance(on, LatentMemory) and isinstance(off, LatentMemory)
    assert on.rules.contradiction and not off.rules.contradiction
    assert {**on.rules.to_dict(), "contradiction": False} == off.rules.to_dict()
    assert world.codec.stride == STRIDE


def test_a_place_was_looked_through_by_views_that_saw_farther_and_only_by_later_ones() -> None:
    K = geometry.intrinsics(8, 8, 90.0)
    poses = np.stack([geometry.camera_pose((0, 0, 0), yaw, 1.0) for yaw in (0.0, math.pi, 0.0)])
    depth = np.stack([np.full((8, 8), z) for z in (2.0, 5.0, 3.0)])
    ahead, behind = [0.1, 1.0, -2.0], [0.1, 1.0, 2.0]
    points, written = np.array([ahead, ahead, behind, behind, [0.1, 1.0, -2.95]]), np.array([0, 2, 0, 1, 0])
    assert looked_through_after(points, written, depth, poses, K).tolist() == [True, False, True, False, False]
