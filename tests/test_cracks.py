"""Cracks of one cell between remembered surfaces are closed by what is around them, and never written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import kernels
from mirage_env.completion import LEAST
from mirage_env.cracks import GUESSED, _close_cracks, close_cracks, crack_cells, gap_cells, slit_cells
from tests.box_room import pose
from tests.exact_world import exact_world
from tests.one_view import DEPTH, begin


def visible(*open_cells: tuple[int, int]) -> torch.Tensor:
    grid = torch.ones(1, 8, 10, dtype=torch.bool)
    for cell in open_cells:
        grid[0][cell] = False
    return grid


def test_single_cells_and_lines_are_cracks_and_wider_openings_are_not() -> None:
    for line in ([(3, 4)], [(2, 5), (3, 5), (4, 5)], [(2, 3), (3, 4), (4, 5)]):
        cracks = crack_cells(visible(*line))
        assert torch.equal(cracks, ~visible(*line))
    assert not crack_cells(visible((3, 3), (3, 4), (4, 3), (4, 4))).any()
    assert not crack_cells(visible((0, 4))).any() and not crack_cells(visible((3, 9))).any()
    assert not crack_cells(torch.zeros(1, 8, 10, dtype=torch.bool)).any()


def test_a_crack_takes_one_of_the_surfaces_around_it() -> None:
    shown = visible((3, 4))
    depth = torch.full((1, 8, 10), 2.0).where(torch.arange(10) < 5, torch.tensor(5.0)) * shown
    latents = (depth[:, None] * 10).expand(-1, 3, -1, -1)
    doubt = torch.full((1, 8, 10), 0.3) * shown
    doubt[0, 2, 3] = 0.6
    grids = (latents.clone(), depth.clone(), doubt.clone())
    close_cracks(~shown, shown, *grids, torch.full_like(depth, 0.01))
    assert grids[1][0, 3, 4] == 2.0 and (grids[0][0, :, 3, 4] == 20.0).all()
    assert grids[2][0, 3, 4] == doubt[0, 2, 3]
    assert all(
        torch.equal(a[..., shown[0]], b[..., shown[0]]) for a, b in zip(grids, (latents, depth, doubt), strict=True)
    )


def test_the_loop_closes_a_crack_without_a_network_and_remembers_nothing_of_it() -> None:
    class Idle:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("a crack needs no network")

    world = exact_world()
    depth = DEPTH.copy()
    depth[12:16, 12:16] = 0
    state = begin(world, depth=depth)
    world.denoiser = world.depth_model = Idle()  # type: ignore[assignment]
    after, frame = world.step(state, pose())
    assert not frame.visible[3, 3] and frame.visible.sum() == 63
    assert float(frame.imagined[3, 3]) == np.float32(LEAST) and frame.grid_depth[3, 3] > 0
    assert len(after.memory) == len(state.memory)
    _, empty = world.step(state, pose(), imagine="never")
    assert empty.grid_depth[3, 3] == 0 and empty.imagined.max() == 0


def test_slits_are_few_cells_close_to_what_is_known() -> None:
    shown = torch.ones(4, 20, 20, dtype=torch.bool)
    shown[0, 0, :10] = False  # a line at the border
    shown[1, :13, 0] = False  # too many
    shown[2, 10:13, 10:13] = False
    shown[3, :5, :5] = False  # too wide
    shown[3, 4, :] = shown[3, :, 4] = True
    cracks = crack_cells(shown)
    slits = slit_cells(shown, cracks)
    assert torch.equal(slits[0], ~shown[0] & ~cracks[0]) and slits[0].sum() == 10
    assert not slits[1].any()
    assert torch.equal(slits[2], ~shown[2] & ~cracks[2]) and slits[2].sum() == 9
    wide = torch.ones(1, 40, 40, dtype=torch.bool)
    wide[0, 10:16, 10:16] = False
    assert not slit_cells(wide, crack_cells(wide)).any()


def test_slits_are_closed_from_their_sides_inwards() -> None:
    shown = torch.ones(1, 8, 10, dtype=torch.bool)
    shown[0, :4, 3:7] = False
    depth = (2.0 * shown).clone()
    latents = torch.where(shown[:, None], 5.0, 0.0).expand(-1, 3, -1, -1)
    grids = (latents.clone(), depth.clone(), 0.0 * depth)
    close_cracks(~shown, shown, *grids, torch.where(shown, 0.0, GUESSED))
    assert (grids[1] == 2.0).all() and (grids[0] == 5.0).all()
    assert (grids[2][~shown] == GUESSED).all() and not grids[2][shown].any()


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.02, 0.2, 0.6]))
def test_compiled_loops_do_what_torch_does(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    shown = torch.as_tensor(rng.random((4, 12, 9)) >= share * rng.random((4, 1, 1)))
    depth = torch.as_tensor(rng.choice([1.0, 1.05, 2.0, 4.0], (4, 12, 9)), dtype=torch.float32) * shown
    latents = torch.as_tensor(rng.standard_normal((4, 5, 12, 9)), dtype=torch.float32) * shown[:, None]
    doubt, least = (torch.as_tensor(rng.random((4, 12, 9)), dtype=torch.float32) for _ in range(2))
    loops = kernels.load("mirage_env.compiled.cracks")
    assert loops is not None
    cracks = crack_cells(shown)
    slits = slit_cells(shown, cracks)
    assert all(torch.equal(a, b) for a, b in zip(loops.gap_cells(shown), (cracks, slits), strict=True))
    filled = []
    for close in (loops.close_cracks, _close_cracks):
        grids = latents.clone(), depth.clone(), doubt * shown
        close(cracks | slits, shown, *grids, least)
        filled.append(grids)
    torch.testing.assert_close(filled[0][0], filled[1][0], atol=1e-6, rtol=0)
    assert torch.equal(filled[0][1], filled[1][1]) and torch.equal(filled[0][2], filled[1][2])


def test_without_numba_torch_closes_cracks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "load", lambda name: None)
    shown = visible((3, 4))
    depth, latents, doubt = 2.0 * shown, 5.0 * shown[:, None], 0.0 * shown
    assert torch.equal(gap_cells(shown)[0], ~shown)
    close_cracks(~shown, shown, latents, depth, doubt, torch.full_like(depth, GUESSED))
    assert (depth == 2.0).all() and (latents == 5.0).all()
