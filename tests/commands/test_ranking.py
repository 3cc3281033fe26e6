"""The command ``mirage-env evaluate ranking``; what it measures is tested with the evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirage_env.cli import main
from mirage_env.models import weights
from tests.evaluation.test_contestants import run_folder, saved
from tests.small_world import small_world

QUICK = ["--scenes", "toy", "--episodes", "2", "--max-episode-steps", "6", "--num-envs", "2"]


@pytest.fixture
def model(tmp_path: Path) -> str:
    world = small_world()
    weights.save(weights.Parts(world.codec, world.depth_model, world.denoiser, 1), tmp_path / "model")
    return str(tmp_path / "model")


def test_checkpoints_of_a_run_are_ranked(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    run, out, copy = run_folder(tmp_path / "a"), tmp_path / "out", tmp_path / "copy.json"
    arguments = ["evaluate", "ranking", "--policies", str(run), "--model", model, "--out", str(out), *QUICK]
    assert main([*arguments, "--settings", "imagine=never", "--json", str(copy)]) == 0
    shown = capsys.readouterr().out
    assert "| `imagine=never` |" in shown and shown.endswith(f"wrote {out / 'report.md'}\n")
    data = json.loads(copy.read_text())
    assert data == json.loads((out / "report.json").read_text())
    assert [one["steps"] for one in data["policies"]] == [50_000, 200_000, 1_000_000]


@pytest.mark.parametrize(
    ("policies", "wrong", "sentence"),
    [
        (1, [], "a ranking needs at least 3 policies, got 1"),
        (3, ["--settings", "dream"], "unknown setting 'dream'"),
        (3, ["--scenes", "attic"], "unknown scenes 'attic'"),
        (3, ["--task", "Cooking"], "unknown task 'Cooking'"),
        (3, ["--simulator", "mesh", "--scenes", "none.glb"], "there is no scene file none.glb"),
    ],
)
def test_wrong_usage_is_one_line(
    tmp_path: Path, model: str, policies: int, wrong: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [str(saved(tmp_path / f"policy-{k}", seed=k)) for k in range(policies)]
    arguments = ["evaluate", "ranking", "--policies", *named, "--model", model, "--out", str(tmp_path / "out"), *QUICK]
    assert main([*arguments, *wrong]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
