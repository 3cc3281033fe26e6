"""What is unknown is imagined from a view that is turned towards it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.look_ahead import ahead_poses
from mirage_env.models.protocols import Denoised
from mirage_env.world import WorldModel
from tests.box_room import pose
from tests.exact_world import NoiseItself, PixelCodec, TwoMetres
from tests.one_view import begin

K = geometry.intrinsics(8, 8, 90.0)[None]
START = geometry.camera_pose((1.0, 0.0, 2.0), 0.4, 1.2)[None]


def seen_but(rows: slice, columns: slice) -> Tensor:
    visible = torch.ones(1, 8, 8, dtype=torch.bool)
    visible[0, rows, columns] = False
    return visible


@pytest.mark.parametrize(
    ("rows", "columns", "turn"),
    [
        (slice(None), slice(6, None), [0.0, 0.5, 0.0]),
        (slice(None), slice(0, 1), [0.0, -0.5, 0.0]),
        (slice(0, 2), slice(None), [0.5, 0.0, 0.0]),
        (slice(5, None), slice(None), [-0.5, 0.0, 0.0]),
    ],
)
def test_it_turns_towards_what_is_unknown(rows: slice, columns: slice, turn: list[float]) -> None:
    which, poses = ahead_poses(seen_but(rows, columns), K, START, 0.5)
    assert which.tolist() == [0]
    np.testing.assert_allclose(poses[0], START[0] @ geometry.exp_twist([0, 0, 0, *turn]), atol=1e-6)
    middle = geometry.unproject(np.array([[(columns.indices(8)[0] + columns.indices(8)[1]) / 2, 4.0]]), 1.0, K[0])
    if rows == slice(None):  # what was to one side has come nearer to the middle
        turned = geometry.transform(geometry.invert(poses[0]) @ START[0], middle)
        assert abs(turned[0, 0] / turned[0, 2]) < abs(middle[0, 0])


@pytest.mark.parametrize(
    "visible",
    [seen_but(slice(0, 1), slice(0, 1)), seen_but(slice(None), slice(2, 6)), seen_but(slice(None), slice(1, 8))],
)
def test_gaps_the_middle_and_views_that_are_mostly_unknown_are_left_alone(visible: Tensor) -> None:
    which, poses = ahead_poses(visible, K, START, 0.5)
    assert len(which) == 0 and poses.shape == (0, 4, 4)


class Counting(NoiseItself):
    """Counts the views that it completes."""

    calls = 0

    def denoise(self, readout: Tensor, *rest: Any) -> Denoised:
        self.calls += len(readout)
        return super().denoise(readout, *rest)


def walked(look_ahead: float) -> tuple[list[Any], int]:
    denoiser = Counting()
    world = WorldModel(PixelCodec(), TwoMetres(), denoiser, look_ahead=look_ahead)
    state, frames = begin(world), []
    for degrees in range(10, 60, 10):
        state, frame = world.step(state, pose(turned_deg=degrees))
        frames.append(frame)
    return frames, denoiser.calls


def test_what_was_imagined_ahead_is_there_in_the_next_steps() -> None:
    strips, _ = walked(0.0)
    pieces, _ = walked(30.0)
    first = pieces[0]
    assert torch.equal(first.visible, strips[0].visible) and not first.visible.all()
    assert (first.imagined[~first.visible] > 0).all() and (first.grid_depth > 0).all()
    assert pieces[1].visible.float().mean() > strips[1].visible.float().mean() + 0.05
    assert sum(float(f.visible.float().mean()) for f in pieces) > sum(float(f.visible.float().mean()) for f in strips)


def test_worlds_that_look_ahead_are_the_same_alone_and_in_a_batch() -> None:
    world = WorldModel(PixelCodec(), TwoMetres(), NoiseItself(), look_ahead=30.0)
    states = [begin(world, seed=seed) for seed in range(3)]
    poses = np.stack([pose(turned_deg=degrees) for degrees in (0, 20, -30)])
    after, frames = world.step_batch(states, poses)
    for k in range(3):
        alone, frame = world.step(states[k], poses[k])
        assert torch.equal(frame.latents, frames[k].latents) and torch.equal(frame.grid_depth, frames[k].grid_depth)
        assert torch.equal(alone.memory.positions, after[k].memory.positions)  # type: ignore[attr-defined]


def test_nothing_is_looked_ahead_for_if_nothing_is_imagined() -> None:
    world = WorldModel(PixelCodec(), TwoMetres(), NoiseItself(), look_ahead=30.0)
    state = begin(world)
    for options in ({"imagine": "never"}, {"threshold": 0.9}):
        after, _ = world.step(state, pose(turned_deg=20), **options)  # type: ignore[arg-type]
        assert after.memory is state.memory
    with pytest.raises(ValueError, match="look_ahead must be from 0 to less than 90"):
        WorldModel(PixelCodec(), TwoMetres(), NoiseItself(), look_ahead=120.0)
