"""The true simulator with a memory: true views, and what an imagined one would show besides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.remembering import RememberingSimulator
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.state import as_kept
from mirage_env.world import WorldModel
from tests.small_world import CHANNELS, small_world

CAMERA = Camera(32, 90.0, 1.25)
START = AgentStart((0.2, 0.0, 1.0), 0.4)


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return small_world()


def rooms() -> RoomsSimulator:
    return RoomsSimulator("toy", CAMERA)


def test_pixels_poses_and_collisions_are_the_true_ones(world: WorldModel) -> None:
    true, remembering = rooms(), RememberingSimulator(rooms(), world)
    one, other = true.reset("toy", START), remembering.reset("toy", START)
    for k in range(8):
        np.testing.assert_array_equal(one.rgb, other.rgb)
        np.testing.assert_array_equal(one.depth, other.depth)
        np.testing.assert_array_equal(one.pose, other.pose)
        (one, hit), (other, other_hit) = (s.step(FloorMotion(0.25, 0.3 * (k % 2))) for s in (true, remembering))
        assert hit == other_hit
    a, b = true.sample_navigable_point(np.random.default_rng(0)), np.zeros(3)
    assert remembering.geodesic_distance(a, b) == true.geodesic_distance(a, b)


def test_memory_is_read_at_the_new_pose_before_the_view_is_written(world: WorldModel) -> None:
    remembering = RememberingSimulator(rooms(), world)
    view = remembering.reset("toy", START)
    assert view.visible.float().mean() > 0.9
    K = geometry.scale_intrinsics(CAMERA.intrinsics, 1 / world.codec.stride)
    for motion in (FloorMotion(turn=0.7), FloorMotion(0.25), FloorMotion(turn=-0.4)):
        before = remembering.memory_state
        assert before is not None
        view, _ = remembering.step(motion)
        expected = before.memory.read(view.pose, K, size=(8, 8))
        torch.testing.assert_close(view.memory, expected.latents[0])
        torch.testing.assert_close(view.visible, expected.visible[0])
        assert remembering.memory_state is not None
        assert len(remembering.memory_state.memory) >= len(before.memory)
    assert view.memory.shape == (CHANNELS, 8, 8) and view.imagined_fraction == 0 and not view.imagined.any()


def test_the_first_view_is_that_of_an_imagined_world_with_the_same_depth(world: WorldModel) -> None:
    one = RememberingSimulator(rooms(), world).reset("toy", START)
    other = ImaginedSimulator(world, rooms(), CAMERA, start_depth="true").reset("toy", START)
    torch.testing.assert_close(one.latents, other.latents)
    torch.testing.assert_close(one.memory, other.memory)
    torch.testing.assert_close(one.visible, other.visible)


@pytest.mark.parametrize("depth", ["true", "estimated"])
def test_worlds_have_the_scale_of_a_camera_at_another_height(world: WorldModel, depth: str) -> None:
    low = Camera(32, 90.0, 0.5)
    remembering = RememberingSimulator(RoomsSimulator("toy", low), world, depth=depth)  # type: ignore[arg-type]
    remembering.reset("toy", START)
    imagining = ImaginedSimulator(world, RoomsSimulator("toy", low), low, start_depth=depth)  # type: ignore[arg-type]
    imagining.reset("toy", START)
    assert remembering.memory_state is not None
    assert remembering.memory_state.scale == pytest.approx(imagining.state.scale)
    if depth == "true":
        assert imagining.state.scale == pytest.approx(0.5 / 1.25)


def test_latents_are_those_of_the_true_image(world: WorldModel) -> None:
    for write_memory in (True, False):
        remembering = RememberingSimulator(rooms(), world, write_memory=write_memory)
        remembering.reset("toy", START)
        view, _ = remembering.step(FloorMotion(turn=0.3))
        with torch.no_grad():
            expected = world.codec.encode(torch.as_tensor(view.rgb[None]).permute(0, 3, 1, 2) / 127.5 - 1)[0]
        torch.testing.assert_close(view.latents, as_kept(expected), atol=0, rtol=0)


def test_without_memory_nothing_is_encoded_until_asked_for(world: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, encode = [], world.codec.encode
    monkeypatch.setattr(world.codec, "encode", lambda images: calls.append(1) or encode(images))
    remembering = RememberingSimulator(rooms(), world, write_memory=False)
    remembering.reset("toy", START)
    view, _ = remembering.step(FloorMotion(0.25))
    assert not calls and remembering.memory_state is None
    assert view.latents is view.latents and len(calls) == 1
    with pytest.raises(RuntimeError, match="write_memory=True"):
        _ = view.memory


@pytest.mark.parametrize("depth", ["true", "estimated"])
def test_snapshots_return_with_their_memory(world: WorldModel, depth: str) -> None:
    remembering = RememberingSimulator(rooms(), world, depth=depth)  # type: ignore[arg-type]
    remembering.reset("toy", START)
    remembering.step(FloorMotion(turn=0.5))
    snapshot = remembering.snapshot()
    after = [remembering.step(FloorMotion(turn=0.5))[0].memory for _ in range(3)]
    remembering.restore(snapshot)
    for expected in after:
        torch.testing.assert_close(remembering.step(FloorMotion(turn=0.5))[0].memory, expected)


def test_it_passes_on_what_else_its_simulator_has_and_sets(world: WorldModel) -> None:
    remembering = RememberingSimulator(rooms(), world)
    assert remembering.scenes == remembering.simulator.scenes
    assert not hasattr(remembering, "source") and not hasattr(remembering, "state")
    remembering.allow_sliding = False
    assert remembering.simulator.allow_sliding is False
    with pytest.raises(ValueError, match="depth must be one of"):
        RememberingSimulator(rooms(), world, depth="wrong")  # type: ignore[arg-type]
