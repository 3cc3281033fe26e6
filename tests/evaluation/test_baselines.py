"""The baselines of a comparison, on a world whose codec is exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.evaluation.baselines import variants
from mirage_env.evaluation.metrics import psnr
from mirage_env.evaluation.reference_memory import ReferenceMemory, integer_centres
from mirage_env.evaluation.rollout import Rollout, roll_out, without_memory
from mirage_env.geometry import Array
from tests.box_room import pose, room_view
from tests.exact_world import CHANNELS, STRIDE, exact_world

SIZE, CELLS = 48, 12
K = geometry.scale_intrinsics(geometry.intrinsics(SIZE, SIZE, 90.0), 1 / STRIDE)
POSES = np.stack([pose(turned_deg=angle) for angle in (0.0, 30.0, 60.0, 30.0, 0.0)])
IMAGE, DEPTH = room_view(POSES[0], SIZE)
NAMES = ("mirage", "rgb_memory", "rgb_memory_decoded", "reference_read", "readout", "memory_off", "repeat_last")


@pytest.fixture(scope="module")
def rolled() -> dict[str, Rollout]:
    options = {"depth": DEPTH, "resolution": SIZE, "seed": 3}
    return {name: v.roll_out(IMAGE, POSES, **options) for name, v in variants(exact_world()).items()}


def test_the_names_and_what_they_share() -> None:
    world = exact_world()
    found = variants(world)
    assert tuple(found) == NAMES == tuple(variant.name for variant in found.values())
    assert found["mirage"].world is world
    assert all(v.world.codec is world.codec and v.world.denoiser is world.denoiser for v in found.values())
    assert {v.name for v in found.values() if v.imagine == "never"} == {"readout"}
    assert all(v.text for v in found.values())


def test_all_begin_with_the_start_view(rolled: dict[str, Rollout]) -> None:
    for rollout in rolled.values():
        assert rollout.rgb.shape == (5, SIZE, SIZE, 3)
        assert (rollout.rgb[0] == IMAGE).all()


def test_mirage_is_the_plain_rollout(rolled: dict[str, Rollout]) -> None:
    plain = roll_out(exact_world(), IMAGE, POSES, depth=DEPTH, resolution=SIZE, seed=3)
    assert (rolled["mirage"].rgb == plain.rgb).all()


def test_memories_come_back_and_no_memory_does_not(rolled: dict[str, Rollout]) -> None:
    for name in ("mirage", "rgb_memory", "rgb_memory_decoded", "readout"):
        assert psnr(rolled[name].rgb[-1], IMAGE) > 30
    assert psnr(rolled["memory_off"].rgb[-1], IMAGE) < 12


def test_the_readout_is_dark_where_nothing_was_seen(rolled: dict[str, Rollout]) -> None:
    seen = rolled["readout"].visible[2]
    assert 0.05 < seen.mean() < 0.8
    assert not rolled["readout"].rgb[2][~seen].any()
    assert (rolled["readout"].tokens == rolled["readout"].tokens[0]).all()


def test_memory_off_is_what_without_memory_shows(rolled: dict[str, Rollout]) -> None:
    blind = without_memory(exact_world(), rolled["mirage"], seed=3)
    off = rolled["memory_off"]
    assert (off.rgb[1:] == blind[1:]).all()
    assert not off.visible.any()
    assert (off.tokens == 0).all()


def test_the_last_frame_is_repeated(rolled: dict[str, Rollout]) -> None:
    repeated = rolled["repeat_last"]
    assert (repeated.rgb == IMAGE).all()
    assert repeated.visible.all()  # (though nobody knows the way to it any more, so that it counts as doubtful)
    assert (repeated.depth == repeated.depth[0]).all()


def test_a_later_observation_is_the_last_view() -> None:
    world = variants(exact_world())["repeat_last"].world
    state = world.start(IMAGE, depth=DEPTH, pose=POSES[0], resolution=SIZE)
    image, depth = room_view(POSES[2], SIZE)
    state = world.observe(state, image, POSES[2], depth)
    assert (world.step(state, POSES[1])[1].rgb == image).all()


def slow_reference(views: list[tuple[Array, Array, Array]], there: Array) -> tuple[Array, Array]:
    """Latents (C, h, w) and depth (h, w): lift from integer centres, project, round, nearest wins, then newest."""
    latents, depth = np.zeros((CHANNELS, CELLS, CELLS)), np.zeros((CELLS, CELLS))
    for values, z, view in views:
        for r in range(CELLS):
            for c in range(CELLS):
                local = np.array([(c - K[0, 2]) / K[0, 0], (r - K[1, 2]) / K[1, 1], 1.0]) * z[r, c]
                x, y, near = geometry.transform(geometry.invert(there) @ view, local)
                if near <= 0:
                    continue
                i, j = math.floor(K[1, 1] * y / near + K[1, 2] + 0.5), math.floor(K[0, 0] * x / near + K[0, 2] + 0.5)
                if 0 <= i < CELLS and 0 <= j < CELLS and (depth[i, j] == 0 or near <= depth[i, j]):
                    latents[:, i, j], depth[i, j] = values[:, r, c], near
    return latents, depth


def test_the_reference_read_against_plain_loops() -> None:
    rng = np.random.default_rng(0)
    memory, views = ReferenceMemory(CHANNELS), []
    for angle in (0.0, 17.0, -33.0):
        view = pose(rng.uniform(-1, 1), rng.uniform(-1, 1), angle)
        z = room_view(view, CELLS)[1]
        values = rng.normal(size=(CHANNELS, CELLS, CELLS)).astype(np.float32)
        views.append((values, z, view))
        explained = torch.ones(CELLS, CELLS, dtype=torch.bool)
        assert memory.write(values, z, K, view, explained=explained, imagined=angle != 0) == CELLS * CELLS
    there = pose(0.3, 0.2, 9.0)
    view = memory.read(there, K, (CELLS, CELLS))
    latents, depth = slow_reference(views, there)
    same = np.abs(view.depth[0].numpy() - depth) < 1e-4
    assert same.mean() > 0.97  # a projection that falls on the border of two cells may round either way
    assert np.abs(view.latents[0].numpy() - latents)[:, same].max() < 1e-5
    assert len(memory) == 3 * CELLS * CELLS


def test_integer_centres_move_what_is_lifted_by_half_a_cell() -> None:
    z = np.full((CELLS, CELLS), 2.0)
    memory = ReferenceMemory(CHANNELS)
    memory.write(np.zeros((CHANNELS, CELLS, CELLS)), z, K, np.eye(4))
    lifted = memory._memory.positions.numpy().reshape(CELLS, CELLS, 3)
    true = geometry.unproject(geometry.pixel_grid(CELLS, CELLS), z, K)
    cell = 2.0 / K[0, 0]
    assert (lifted - true)[..., :2] == pytest.approx(np.full((CELLS, CELLS, 2), -cell / 2), abs=1e-5)
    shifted = integer_centres(np.stack([K, K]))
    assert (shifted[:, :2, 2] - K[:2, 2] == 0.5).all()
    assert (K[:2, 2] == CELLS / 2).all()
