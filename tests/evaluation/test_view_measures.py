"""Measures of walks, on views made by hand so that every number is known."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mirage_env.evaluation import perceptual
from mirage_env.evaluation.episode import LAST_FRAME, MEMORY_OFF, MIRAGE, READOUT, Truth, Walked
from mirage_env.evaluation.lanes import Track
from mirage_env.evaluation.settings import Settings
from mirage_env.evaluation.view_measures import (
    EXACT,
    calibration,
    closed_loops,
    decibels,
    depths,
    novel_views,
    region_masks,
    seen_cells,
)
from mirage_env.frame import Frame
from mirage_env.geometry import Array
from tests.exact_world import STRIDE, exact_world

SIZE = 16
GRID = SIZE // STRIDE
TWENTY = 10 * math.log10(255**2 / 25.5**2)  # a difference of a tenth of the range everywhere


def grey(value: float) -> Array:
    return np.full((SIZE, SIZE, 3), value, np.uint8)


def frame(value: float, imagined_columns: int = 0, depth: float = 2.0, visible_columns: int = GRID) -> Frame:
    """A grey view whose last columns of cells are imagined, and whose first are visible."""
    world = exact_world()
    latents = world.codec.encode(torch.as_tensor(grey(value)[None]).permute(0, 3, 1, 2).float() / 127.5 - 1)[0]
    imagined = torch.zeros(GRID, GRID)
    if imagined_columns:
        imagined[:, -imagined_columns:] = 0.75
    visible = torch.zeros(GRID, GRID, dtype=torch.bool)
    visible[:, :visible_columns] = True
    shown = torch.full((GRID, GRID), depth)
    return Frame(latents, latents, visible, imagined, shown, np.eye(4), STRIDE, world.codec.decode)


def walked(frames: dict[int, Frame], true: float, ceiling: float, others: dict[str, dict[int, Frame]]) -> Walked:
    """Truth: one grey everywhere, two metres away; through the codec, another grey."""
    steps = tuple(sorted({0, *frames}))
    poses = np.repeat(np.eye(4)[None], len(steps), 0)
    rgb, lossy = (np.stack([grey(value)] * len(steps)) for value in (true, ceiling))
    truth = Truth(steps, poses, rgb, np.full((len(steps), SIZE, SIZE), 2.0, np.float32), lossy)
    track = Track(exact_world(), frames, {}, dict.fromkeys(steps, 7), {})
    return Walked(np.repeat(np.eye(4)[None], steps[-1] + 1, 0), truth, {MIRAGE: track}, others)


def episode(walks: dict[str, Walked], **settings: Any) -> Any:
    return SimpleNamespace(settings=Settings(**settings), walks=walks, world=exact_world())


def test_seen_is_what_is_visible_and_not_imagined_at_all() -> None:
    view = frame(100, imagined_columns=1, visible_columns=3)
    assert seen_cells(view).sum() == 3 * GRID
    assert seen_cells(frame(100, imagined_columns=2, visible_columns=3)).sum() == 2 * GRID
    assert seen_cells(frame(100, imagined_columns=0, visible_columns=3)).sum() == 3 * GRID
    masks = region_masks([view], STRIDE)
    assert masks["whole"].all()
    assert masks["seen"][0, :, : 3 * STRIDE].all() and not masks["seen"][0, :, 3 * STRIDE :].any()
    assert (masks["imagined"] == ~masks["seen"]).all()


def test_decibels_are_bounded_and_need_enough_pixels() -> None:
    image, other = grey(100)[None], grey(125.5)[None]
    assert decibels(image, image)[0] == EXACT
    mask = np.zeros((1, SIZE, SIZE), bool)
    mask[0, 0, :5] = True  # 5 of 256 pixels: just under 2 %
    assert math.isnan(decibels(image, other, mask)[0])
    mask[0, 0, 5] = True
    assert math.isfinite(decibels(image, other, mask)[0])


def test_novel_views_by_region_and_method() -> None:
    # Imagined columns are as wrong as the rest here: 51 of 255 (13.98 dB); the codec is off by 25.5 -> 26 (19.8 dB).
    frames = {0: frame(100), 1: frame(151, imagined_columns=1), 2: frame(100, imagined_columns=GRID)}
    others = {MEMORY_OFF: {1: frame(0), 2: frame(0)}}
    walk = walked(frames, true=100, ceiling=126, others=others)
    found = novel_views(episode({"novel": walk}, horizons=(1, 2)))
    fifth = 20 * math.log10(5)
    assert found[f"psnr/{MIRAGE}/whole/1"] == pytest.approx(fifth)
    assert found[f"psnr/{MIRAGE}/seen/1"] == pytest.approx(fifth)
    assert found["share/seen/1"] == 0.75 and found["share/seen/2"] == 0.0
    assert found[f"psnr/{MIRAGE}/whole/2"] == EXACT
    assert math.isnan(found[f"psnr/{MIRAGE}/seen/2"])
    lossy = 20 * math.log10(255 / 26)
    assert found["psnr/codec ceiling/imagined/1"] == pytest.approx(lossy)
    assert found["codec ceiling"] == pytest.approx(lossy)
    assert found[f"psnr/{LAST_FRAME}/whole/2"] == pytest.approx(lossy)
    assert found[f"psnr/{MEMORY_OFF}/whole/1"] == pytest.approx(20 * math.log10(255 / 100))
    assert found[f"ssim/{MIRAGE}/whole/2"] == pytest.approx(1.0)
    assert f"ssim/{MEMORY_OFF}/seen/1" not in found


def test_loops_compare_the_last_view_with_the_first_true_one() -> None:
    walks = {}
    for steps, value in ((4, 126), (8, 151)):
        others = {MEMORY_OFF: {2: frame(0), steps: frame(0)}, READOUT: {2: frame(100), steps: frame(100)}}
        frames = {0: frame(100), 2: frame(126, imagined_columns=2), steps: frame(value)}
        walks[f"loop {steps}"] = walked(frames, true=100, ceiling=110, others=others)
    found = closed_loops(episode(walks, loops=(4, 8), seen_step=2))
    ceiling, near, far = (20 * math.log10(255 / error) for error in (10, 26, 51))
    assert found["psnr/codec ceiling/4"] == pytest.approx(ceiling)
    assert found[f"psnr/{MIRAGE}/4"] == pytest.approx(near)
    assert found["below ceiling/8"] == pytest.approx(ceiling - far)
    assert found["drift"] == pytest.approx(near - far)
    assert found[f"above {MEMORY_OFF}/4"] == pytest.approx(near - 20 * math.log10(255 / 100))
    assert found[f"psnr/{READOUT}/8"] == EXACT
    assert found["seen/psnr"] == pytest.approx(near)
    assert found["seen/below ceiling"] == pytest.approx(ceiling - near)
    assert found["seen/share"] == 0.5
    assert found["tokens/8"] == 7


def test_depth_of_frames_and_of_what_the_memory_shows() -> None:
    # Twice too far in the imagined half, of which the memory covers nothing; exact elsewhere.
    view = frame(100, imagined_columns=2, visible_columns=2)
    view.grid_depth[:, 2:] = 4.0
    walk = walked({0: frame(100), 1: view}, true=100, ceiling=100, others={})
    found = depths(episode({"novel": walk}))
    assert found["abs_rel/readout/covered"] == 0.0
    assert found["delta_125/readout/covered"] == 1.0
    assert found["abs_rel/frame/seen"] == pytest.approx(0.0, abs=0.05)
    assert found["abs_rel/frame/imagined"] == pytest.approx(1.0, abs=0.1)
    assert found["abs_rel/frame/whole/novel/1"] == pytest.approx(0.5, abs=0.06)
    assert found["delta_125/frame/imagined/novel/1"] == 0.0
    assert found["abs_rel/frame/whole"] == found["abs_rel/frame/whole/novel/1"]


def test_calibration_takes_every_cell_but_those_of_the_start() -> None:
    frames = {0: frame(0), 1: frame(151, imagined_columns=1), 3: frame(100)}
    walk = walked(frames, true=100, ceiling=100, others={})
    cells = calibration(episode({"novel": walk, "loop 4": walk}))
    assert len(cells["unsure"]) == len(cells["error"]) == 2 * 2 * GRID * GRID
    assert sorted(set(cells["unsure"])) == [0.0, 0.75]
    assert cells["unsure"].count(0.75) == 2 * GRID
    assert sorted(set(cells["error"])) == [0.0, pytest.approx(0.04)]


def test_without_weights_lpips_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(perceptual, "find_spec", lambda name: None)
    assert "needs torchvision and one of the packages" in perceptual.why_not()
    monkeypatch.setattr(perceptual, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert str(tmp_path) in perceptual.why_not()
    perceptual.lpips.cache_clear()
    assert perceptual.lpips() is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / perceptual.WEIGHTS).write_bytes(b"")
    assert perceptual.why_not() == ""
    perceptual.lpips.cache_clear()
