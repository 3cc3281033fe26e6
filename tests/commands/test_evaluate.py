"""The command ``mirage-env evaluate``; what it measures is tested with the evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirage_env.cli import main
from mirage_env.models import weights
from mirage_env.world import WorldModel
from tests.small_world import small_world


@pytest.fixture
def model(tmp_path: Path) -> str:
    world: WorldModel = small_world()
    weights.save(weights.Parts(world.codec, world.depth_model, world.denoiser, 1), tmp_path / "model")
    return str(tmp_path / "model")


def test_a_report_is_written_and_its_goals_printed(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirage_env.evaluation import evaluate

    monkeypatch.setitem(evaluate.QUICK, "growth_steps", (2, 4))
    out, copy = tmp_path / "out", tmp_path / "copy.json"
    arguments = ["evaluate", "world", "--quick", "--scenes", "toy", "--episodes", "1", "--workers", "1"]
    arguments += ["--only", "growth", "--model", model, "--out", str(out), "--json", str(copy)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "memory after 4 steps in one room against 2" in shown
    assert "≤ 1.15 ×" in shown
    assert shown.endswith(f"wrote {out / 'report.md'}\n")
    assert json.loads(copy.read_text())["summary"] == json.loads((out / "report.json").read_text())["summary"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--only", "novel,speed"], "unknown part 'speed'; valid are novel,"),
        (["--simulator", "mirage"], "simulator must be a true one, such as rooms"),
        (["--episodes", "0"], "episodes must be a whole number of at least 1, got 0"),
        (["--max-loop", "8"], "max_loop leaves no loop"),
    ],
)
def test_wrong_usage_is_one_line(
    tmp_path: Path, model: str, wrong: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "world", "--model", model, "--out", str(tmp_path / "out"), *wrong]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_to_evaluate_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate"])
    assert exit_.value.code == 2
    assert "the following arguments are required: WHAT" in capsys.readouterr().err
