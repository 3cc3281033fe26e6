"""Standing still and turning round, in worlds whose right answer is known."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mirage_env.evaluation.metrics import psnr
from mirage_env.evaluation.stillness import stand_still, turn_on_the_spot
from mirage_env.state import WorldState
from mirage_env.world import WorldModel
from tests.box_room import pose, room_view
from tests.exact_world import NoiseItself, exact_world
from tests.small_world import small_world


def started(world: WorldModel) -> WorldState:
    rgb, depth = room_view(pose(), 32)
    return world.start(rgb, depth=depth, pose=pose(), resolution=32)


def test_a_world_that_keeps_what_it_saw_stands_still() -> None:
    world = exact_world()
    state = started(world)
    found = stand_still(world, state, steps=5)
    assert found.rgb.shape == (6, 32, 32, 3)
    assert len(found.to_first) == len(found.to_previous) == 5
    assert found.summary()["last_to_first"] > 40 and found.written == 0
    assert state.steps == 0  # it stays as it was


def test_series_are_against_the_first_and_the_one_before() -> None:
    world = small_world()
    found = stand_still(world, started(world), pose(0.0, 0.0, 40.0), steps=3, imagine="always")
    for i in range(3):
        assert found.to_first[i] == pytest.approx(psnr(found.rgb[i + 1], found.rgb[0]), nan_ok=True)
        assert found.to_previous[i] == pytest.approx(psnr(found.rgb[i + 1], found.rgb[i]), nan_ok=True)
    summary = found.summary()
    assert summary["least_to_previous"] == found.to_previous.min()
    assert summary["last_to_first"] == found.to_first[-1]


def test_boiling_is_seen() -> None:
    world = exact_world()  # its denoiser shows new noise at every step where nothing is remembered
    forgetful = dataclasses.replace(started(world), latents=torch.zeros(0))
    forgetful = dataclasses.replace(forgetful, memory=type(forgetful.memory)(world.codec.channels))
    still = stand_still(world, forgetful, steps=3)
    assert still.written == 0 and still.to_first.min() == math.inf  # the second look finds what the first one wrote
    world.denoiser = Boiling()
    boiling = stand_still(world, started(world), steps=3, imagine="always")
    assert boiling.summary()["last_to_first"] < 20 and boiling.summary()["least_to_previous"] < 20


class Boiling(NoiseItself):
    """Redraws everything from noise, also what is remembered."""

    def denoise(self, readout: Tensor, depth: Tensor, visible: Tensor, *rest: Any) -> Any:
        return super().denoise(readout, depth, torch.zeros_like(visible), *rest)


def test_a_turn_comes_back_to_what_it_showed() -> None:
    world = exact_world()
    state = started(world)
    found = turn_on_the_spot(world, state, turns=8)
    assert found.first.shape == found.second.shape == (8, 32, 32, 3)
    np.testing.assert_array_equal(found.again, psnr(found.second, found.first))
    np.testing.assert_array_equal(found.first[0], world.step(state, state.pose)[1].rgb)
    np.testing.assert_array_equal(found.first[1][:24, 20:], world.step(state, pose(turned_deg=45.0))[1].rgb[:24, 20:])
    summary = found.summary()
    assert summary["start"] > 25 and summary["least"] <= summary["mean"]
    assert state.steps == 0


def test_counts_are_checked() -> None:
    world = exact_world()
    state = started(world)
    with pytest.raises(ValueError, match="at least 1"):
        stand_still(world, state, steps=0)
    with pytest.raises(ValueError, match="at least 2"):
        turn_on_the_spot(world, state, turns=1)
    with pytest.raises(ValueError, match="rigid"):
        stand_still(world, state, 2 * np.eye(4))
