"""Rollouts against a world whose codec is exact, so that right and wrong are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirage_env.evaluation.metrics import psnr
from mirage_env.evaluation.rollout import Rollout, compare, roll_out, through_codec, without_memory
from mirage_env.evaluation.timing import PARTS, medians, timed_parts
from mirage_env.evaluation.tokens import VOXEL, visible_tokens
from mirage_env.evaluation.walks import RoundTrip, plan_out_and_back, true_views
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, latent_memory
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.simulators.rooms.toy import COLOURS
from mirage_env.world import Imagine, WorldModel
from tests.exact_world import exact_world

SIZE = 64
STEPS = 8


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return exact_world()


@pytest.fixture(scope="module")
def toy() -> tuple[RoundTrip, Array, Array]:
    """A walk through the toy room with its true views and depth."""
    simulator = RoomsSimulator("toy", Camera(resolution=SIZE))
    simulator.reset()
    walk = plan_out_and_back(simulator, STEPS, seed=0)
    return walk, *true_views(simulator, walk.poses(1.25), 1.25)


def rolled(world: WorldModel, toy: tuple[RoundTrip, Array, Array], imagine: Imagine = "new", seed: int = 0) -> Rollout:
    walk, rgb, depth = toy
    return roll_out(world, rgb[0], walk.poses(1.25), depth=depth[0], resolution=SIZE, seed=seed, imagine=imagine)


def test_shapes_and_the_first_view(world: WorldModel, toy: tuple[RoundTrip, Array, Array]) -> None:
    steps: list[int] = []
    walk, rgb, depth = toy
    rollout = roll_out(world, rgb[0], walk.poses(1.25), depth=depth[0], resolution=SIZE, on_step=steps.append)
    count = STEPS + 1
    assert rollout.rgb.shape == rollout.readout.shape == (count, SIZE, SIZE, 3)
    assert rollout.depth.shape == rollout.visible.shape == (count, SIZE, SIZE)
    assert all(len(x) == count for x in (rollout.imagined, rollout.tokens, rollout.nbytes, rollout.milliseconds))
    assert steps == list(range(1, count))
    assert (rollout.rgb[0] == rgb[0]).all()
    assert rollout.tokens[0] == (SIZE // 4) ** 2
    assert (np.diff(rollout.tokens) >= 0).all()
    assert rollout.tokens[-1] > rollout.tokens[0]


def test_what_was_seen_comes_back_and_what_was_not_is_dark(
    world: WorldModel, toy: tuple[RoundTrip, Array, Array]
) -> None:
    walk, rgb, _ = toy
    rollout = rolled(world, toy, imagine="never")
    behind = walk.legs[1].last
    assert rollout.visible[behind].mean() < 0.5
    assert (rollout.readout[behind][~rollout.visible[behind]] == 0).all()
    assert psnr(rollout.readout[-1], rgb[0], mask=rollout.visible[-1]) > 45
    assert rollout.visible[-1].mean() > 0.99


def test_the_comparison_knows_a_perfect_codec_and_a_world_without_memory(
    world: WorldModel, toy: tuple[RoundTrip, Array, Array]
) -> None:
    rollout = rolled(world, toy)
    blind = without_memory(world, rollout)
    result = compare(world, rollout, toy[1], blind)
    assert np.isinf(result.ceiling).all()
    assert np.isinf(result.imagination[0])
    assert result.closed_loop["memory_off"] < 12
    assert result.closed_loop["imagination"] == pytest.approx(result.imagination[-1])
    assert (result.memory_off < 12).all()
    assert (through_codec(world, toy[1]) == toy[1]).all()
    with pytest.raises(ValueError, match="true views must have the rollout's shape"):
        compare(world, rollout, toy[1][:3], blind)


def test_without_memory_nothing_is_left_of_the_image(world: WorldModel, toy: tuple[RoundTrip, Array, Array]) -> None:
    walk, rgb, depth = toy
    rollout = rolled(world, toy, seed=5)
    other = rolled(world, (walk, np.zeros_like(rgb), depth), seed=5)
    blind = without_memory(world, rollout, seed=5)
    assert (blind == without_memory(world, other, seed=5)).all()
    assert (blind[[2, 7]] == without_memory(world, rollout, seed=5, only=[2, 7])).all()
    assert (blind != without_memory(world, rollout, seed=6)).any()


def test_the_same_seed_gives_the_same_rollout(world: WorldModel, toy: tuple[RoundTrip, Array, Array]) -> None:
    first, again, other = (rolled(world, toy, seed=seed) for seed in (1, 1, 2))
    assert (first.rgb == again.rgb).all()
    assert (first.rgb != other.rgb).any()


def test_poses_must_be_a_stack(world: WorldModel) -> None:
    with pytest.raises(ValueError, match=r"shape \(N, 4, 4\)"):
        roll_out(world, np.zeros((SIZE, SIZE, 3), np.uint8), np.eye(4), resolution=SIZE)


def test_parts_are_timed_and_left_as_they_were(world: WorldModel, toy: tuple[RoundTrip, Array, Array]) -> None:
    before = latent_memory.read_many, LatentMemory.write
    plain = rolled(world, toy)
    with timed_parts(world) as (measured, times):
        result = rolled(measured, toy)
    assert (latent_memory.read_many, LatentMemory.write) == before
    assert (result.rgb == plain.rgb).all()
    assert len(times["read"]) == STEPS
    assert len(times["encode"]) == 1
    assert len(times["write"]) >= 2
    assert all(value is not None and value > 0 for value in medians(times).values())
    assert tuple(times) == PARTS
    assert medians({"read": []}) == {"read": None}
    with pytest.raises(RuntimeError, match="inside"), timed_parts(world):
        raise RuntimeError("inside")
    assert (latent_memory.read_many, LatentMemory.write) == before


def test_the_cloud_lies_on_the_walls_in_their_colours(world: WorldModel, toy: tuple[RoundTrip, Array, Array]) -> None:
    rollout = rolled(world, toy, imagine="never")
    cloud = visible_tokens(world, rollout.state, rollout.poses[:1])
    assert 100 < len(cloud.token) <= (SIZE // 4) ** 2
    assert (cloud.imagined == 0).all()
    x, y, z = cloud.positions.T.astype(np.float64)
    floor = np.abs(y) < 0.01
    assert floor.sum() > 20
    assert (np.abs(cloud.colours[floor].astype(int) - COLOURS["floor"]).max(1) < 40).mean() > 0.8
    near_a_surface = np.stack([np.abs(np.abs(x) - 2), np.abs(np.abs(z) - 3), np.abs(y), np.abs(y - 2.5)])
    cube = (x > 0.4) & (x < 1.6) & (z > -1.6) & (z < -0.4) & (y < 1.1)
    assert ((near_a_surface.min(0) < 0.1) | cube).mean() > 0.9
    assert len(np.unique(np.floor(cloud.positions / VOXEL), axis=0)) > 0.9 * len(cloud.token)


def test_what_was_imagined_is_marked_in_the_cloud(world: WorldModel, toy: tuple[RoundTrip, Array, Array]) -> None:
    rollout = rolled(world, toy)
    cloud = visible_tokens(world, rollout.state, rollout.poses)
    old = cloud.token < rollout.tokens[0]
    assert cloud.imagined[old].mean() < 0.3
    assert cloud.imagined[~old].mean() > 0.7
    assert torch.isfinite(torch.as_tensor(cloud.positions)).all()
