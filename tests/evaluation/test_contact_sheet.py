"""Contact sheets: what stands where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirage_env.evaluation.contact_sheet import colour_depth, overlay, save_png, sheet, stack_sheets
from mirage_env.evaluation.pictures import IMAGINED


def test_what_was_imagined_is_tinted_and_the_rest_is_grey() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[...] = (30, 60, 90)
    shown = overlay(image, np.array([[0.0, 1.0], [0.5, 0.0]]))
    assert shown[0, 0].tolist() == [60, 60, 60]
    expected = 0.35 * 60 + 0.65 * np.array(IMAGINED)
    assert np.abs(shown[0, 1] - expected).max() <= 0.5
    assert (shown[1, 1] == shown[0, 0]).all()


def test_near_is_bright_and_unknown_black() -> None:
    colours = colour_depth(np.array([[0.5, 5.0, 0.0]], np.float32)).astype(int)
    assert colours[0, 0].sum() > colours[0, 1].sum() > 0
    assert (colours[0, 2] == 0).all()


def test_a_sheet_holds_its_pictures() -> None:
    rows = [np.full((3, 8, 8, 3), value, np.uint8) for value in (200, 250)]
    rows[1][2] = 7
    page = sheet(rows, ("truth", "imagined"), ("1", "2", "4"), "title")
    assert (page == 200).all(-1).sum() == 3 * 64
    assert (page == 250).all(-1).sum() == 2 * 64
    assert (page == 7).all(-1).sum() == 64
    with pytest.raises(ValueError, match="one shape"):
        sheet([rows[0], rows[1][:2]], ("a", "b"), ("1",), "")


def test_sheets_are_stacked(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", np.full((4, 6, 3), 9, np.uint8))
    save_png(tmp_path / "b.png", np.full((2, 3, 3), 5, np.uint8))
    stack_sheets([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "both.png")
    both = np.asarray(Image.open(tmp_path / "both.png"))
    assert both.shape == (6, 6, 3)
    assert (both[:4] == 9).all() and (both[4:, :3] == 5).all() and (both[4:, 3:] == 0).all()
