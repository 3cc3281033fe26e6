"""The command ``python -m agents.evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.evaluate import main
from tests.evaluation.test_contestants import run_folder

QUICK = ["--scenes", "toy", "--episodes", "2", "--max-episode-steps", "6", "--num-envs", "2"]


def test_a_run_is_evaluated_by_its_best_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out, copy = run_folder(tmp_path / "a"), tmp_path / "out", tmp_path / "copy.json"
    arguments = ["--policy", str(run), "--out", str(out), *QUICK, "--pictures", "1", "--no-film"]
    assert main([*arguments, "--json", str(copy)]) == 0
    shown = capsys.readouterr().out
    assert "| Success |" in shown and "failures: " in shown and str(out / "report.md") in shown
    data = json.loads(copy.read_text())
    assert data["policy"] == "a/best" and data["episodes"] == 2 and data["pictures"] == {"maps": "maps.png"}
    assert main(arguments) == 0
    assert json.loads((out / "report.json").read_text())["steps_of_this_run"] == 0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--policy", "runs/none"], "there is no folder runs/none"),
        (["--episodes", "0"], "episodes must be a whole number of at least 1, got 0"),
        (["--scenes", "attic"], "unknown scenes 'attic'"),
        (["--task", "FreeCamera"], "was trained for PointNav; it cannot be evaluated in FreeCamera"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, wrong: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_folder(tmp_path / "a")
    assert main(["--policy", str(run), "--out", str(tmp_path / "out"), *QUICK, *wrong]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
