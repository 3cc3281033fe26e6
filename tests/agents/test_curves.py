"""Curves of several runs in one picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from agents.curves import main, mean_curve, read
from mirage_env.evaluation.plots import BLUE, RED


def made(folder: Path, simulator: str, successes: list[float], task: str = "pointnav") -> Path:
    folder.mkdir()
    entries = [
        {"steps": 100 * (i + 1), "training": {}, "truth": {"success": value, "spl": value / 2, "explored_area": 9.0}}
        for i, value in enumerate(successes)
    ]
    (folder / "settings.json").write_text(json.dumps({"task": task, "simulator": simulator}))
    (folder / "curve.json").write_text(json.dumps(entries))
    return folder


def test_runs_become_lines_and_means(tmp_path: Path) -> None:
    runs = [made(tmp_path / "a", "mirage", [0.2, 0.6]), made(tmp_path / "b", "mirage", [0.4, 0.8, 0.9])]
    steps, mean = mean_curve([read(run) for run in runs], "success")
    np.testing.assert_array_equal(steps, [100, 200])
    np.testing.assert_allclose(mean, [0.3, 0.7])
    runs.append(made(tmp_path / "c", "rooms", [0.1]))
    out = tmp_path / "curves.png"
    assert main([*map(str, runs), "--out", str(out)]) == 0
    with Image.open(out) as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in (RED, BLUE):
        assert (colours == np.round(255 * np.array(to_rgb(colour)))).all(1).sum() > 50


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"
    damaged = made(tmp_path / "damaged", "rooms", [0.1])
    (damaged / "curve.json").write_text('[{"steps": 3}]')
    other = made(tmp_path / "other", "rooms", [0.1], "explore")
    for runs, message in (
        ([tmp_path / "none"], "holds no settings.json"),
        ([damaged], "is missing or damaged"),
        ([made(tmp_path / "a", "mirage", [0.2]), other], "must be of one task, got explore, pointnav"),
    ):
        assert main([*map(str, runs), "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()
