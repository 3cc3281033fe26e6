"""The whole evaluation in miniature: the toy room, a small exact world, walks of a few steps."""

from __future__ import annotations

import json
import math
from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mirage_env.evaluation
from mirage_env.evaluation import behaviour_measures, evaluate, results
from mirage_env.evaluation.evaluate import evaluate_world
from mirage_env.evaluation.ghosts import GhostStudy
from mirage_env.evaluation.parts import MEASURES
from mirage_env.evaluation.report import Report
from mirage_env.evaluation.settings import PARTS, check_parts, fingerprint
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.workers import single_threaded_children, work
from tests.exact_world import exact_world
from tests.small_world import small_world

MINI: dict[str, Any] = {
    "resolution": 32,
    "horizons": (1, 2, 4),
    "loops": (8, 12),
    "seen_step": 4,
    "baseline_steps": 2,
    "baseline_loop": 8,
    "ablation_loop": 4,
    "ablation_episodes": 1,
    "growth_episodes": 1,
    "growth_steps": (4, 8),
    "still_steps": 2,
    "ghost_episodes": 0,  # the slowest part for its size; tested below with the study itself replaced
}


def run(out: Path, episodes: int = 2, **changes: Any) -> Report:
    arguments = {"workers": 1, "progress": False, "scenes": "toy", **MINI, **changes}
    return evaluate_world(out, arguments.pop("model", None) or exact_world(), "rooms", episodes=episodes, **arguments)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run(tmp_path_factory.mktemp("evaluation"))


def test_every_part_is_measured_and_reported(whole: Report) -> None:
    assert set(MEASURES) == set(PARTS)
    assert [part for part in PARTS if not whole.summary.has(part)] == ["ghosts"]
    for title in (
        "Goals",
        "New views",
        "Closed loops",
        "Depth",
        "Camera following",
        "Calibration",
        "Spending only where",
        "Ablations",
    ):
        assert f"## {title}" in whole.text
    for file in ("report.json", "report.md", "contact_sheet.png", "psnr_by_horizon.png", "ablations.png"):
        assert (whole.folder / file).stat().st_size > 500
    assert all(f"]({file})" in whole.text for file in whole.data["pictures"].values())
    assert "LPIPS" in whole.text or whole.data["lpips"] == "measured"


def test_report_json_holds_every_number_and_where_it_comes_from(whole: Report) -> None:
    data = json.loads((whole.folder / "report.json").read_text())
    assert data["settings"]["horizons"] == [1, 2, 4]
    assert data["versions"]["torch"] and data["device"]["cores"]
    assert [episode["scene"] for episode in data["episodes"]] == ["toy", "toy"]
    assert "ablations" in data["episodes"][0] and "ablations" not in data["episodes"][1]
    assert "cells" not in data["episodes"][0]["calibration"]
    values = [episode["novel"]["numbers"]["psnr/mirage/whole/1"] for episode in data["episodes"]]
    assert data["summary"]["novel"]["psnr/mirage/whole/1"]["mean"] == pytest.approx(np.mean(values), abs=1e-6)


def test_an_exact_world_is_measured_as_one(whole: Report) -> None:
    def mean(part: str, key: str) -> float:
        return whole.summary.get(part, key).mean

    assert mean("novel", "codec ceiling") == 60.0
    assert mean("loops", "psnr/codec ceiling/8") == 60.0
    # The start view is remembered exactly, and noise is imagined in its place without a memory.
    assert mean("loops", "psnr/mirage/8") > 40
    assert mean("loops", "psnr/memory_off/8") < 12
    assert mean("novel", "psnr/mirage/seen/1") > mean("novel", "psnr/mirage/imagined/1") + 5
    assert mean("depth", "abs_rel/frame/seen") < 0.1 < mean("depth", "abs_rel/frame/imagined")
    assert mean("novel", "psnr/repeat_last/whole/1") < 40
    assert mean("following", "rotation_deg/truth/median") < 0.1
    # With the truth in place of what is imagined, the way is seen better than anything the world makes up.
    better = mean("ablations", "way whole/true depth and content of imagined")
    assert better > mean("ablations", "way whole/mirage") + 5
    # What is known is shown as it was read, and need not be drawn again; "always" draws every view.
    assert mean("imagine", "spared steps/always") == 0
    assert mean("imagine", "views per step/always") >= 1
    assert mean("imagine", "views per step/new") <= mean("imagine", "views per step/always")
    assert mean("imagine", "below always") == pytest.approx(mean("imagine", "way/always") - mean("imagine", "way/new"))
    assert math.isnan(whole.summary.get("loops", "psnr/rgb_memory/12").mean)
    assert math.isfinite(whole.summary.get("loops", "psnr/rgb_memory/8").mean)


def test_the_contact_sheet_shows_both_episodes(whole: Report) -> None:
    sheets = [np.asarray(Image.open(results.sheet_path(whole.folder, n))) for n in range(2)]
    assert not np.array_equal(*sheets)
    stacked = np.asarray(Image.open(whole.folder / "contact_sheet.png"))
    assert np.array_equal(stacked, np.concatenate(sheets))


def test_what_is_there_is_kept_and_what_is_missing_is_measured(
    whole: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured: list[tuple[int, str]] = []

    def counted(part: str, measure: Any, episode: Any) -> Any:
        measured.append((episode.number, part))
        return measure(episode)

    for part, measure in list(MEASURES.items()):
        monkeypatch.setitem(MEASURES, part, partial(counted, part, measure))
    path = results.part_path(whole.folder, 1, "still")
    before = path.read_text()
    assert run(whole.folder).data["episodes"] == whole.data["episodes"]
    assert measured == []
    path.write_text(before[:10])  # as after a crash of the machine
    again = run(whole.folder)
    assert measured == [(1, "still")]
    old, new = (json.loads(text)["numbers"] for text in (before, path.read_text()))
    assert old == new
    assert again.summary.entries.keys() == whole.summary.entries.keys()


def test_episodes_and_parts_can_be_added(tmp_path: Path) -> None:
    first = run(tmp_path, 1, only=["growth"])
    assert list(first.summary.entries) == ["growth"]
    second = run(tmp_path, 2, only=["still"], growth_episodes=1)
    assert set(second.summary.entries) == {"growth", "still"}
    assert second.summary.get("still", "psnr").n == 2


def test_other_settings_and_other_models_are_refused(tmp_path: Path) -> None:
    run(tmp_path, 1, only=["growth"])
    with pytest.raises(ValueError, match="holds an evaluation with another seed; use another folder"):
        run(tmp_path, 1, only=["growth"], seed=1)
    with pytest.raises(ValueError, match="another fingerprint, model;"):
        run(tmp_path, 1, only=["growth"], model=small_world())
    (tmp_path / results.SETTINGS).write_text("{")
    with pytest.raises(ValueError, match="is damaged; evaluate into another folder"):
        run(tmp_path, 1, only=["growth"])


def test_the_fingerprint_follows_the_weights() -> None:
    assert fingerprint(small_world(0)) == fingerprint(small_world(0)) != fingerprint(small_world(1))
    world = small_world(0)
    world.denoiser_steps = 2
    assert fingerprint(world) != fingerprint(small_world(0))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"episodes": 0}, "episodes must be a whole number of at least 1"),
        ({"only": ["speed"]}, "unknown part 'speed'; valid are novel, loops"),
        ({"only": []}, "nothing to measure"),
        ({"workers": 2}, "measured with workers=1"),
        ({"max_loop": 2}, "max_loop leaves no loop"),
        ({"depth": "none"}, "depth must be one of"),
        ({"scenes": "attic"}, "unknown scenes 'attic'"),
    ],
)
def test_bad_arguments_are_one_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        run(tmp_path / "out", **{"episodes": 1, **changes})
    assert not (tmp_path / "out").exists()


def test_a_simulator_of_ones_own(tmp_path: Path) -> None:
    make = partial(RoomsSimulator, "toy")
    report = evaluate_world(
        tmp_path, exact_world(), make, ["toy"], 1, workers=0, progress=False, only=["growth"], **MINI
    )
    assert report.data["settings"]["simulator"] == "mirage_env.simulators.rooms.simulator.RoomsSimulator"
    assert report.summary.get("growth", "tokens/8").mean > 0
    with pytest.raises(ValueError, match="must be a sequence of scenes"):
        evaluate_world(tmp_path / "other", exact_world(), make, "toy", 1, workers=0, progress=False, **MINI)
    with pytest.raises(ValueError, match="simulator must be a true one"):
        evaluate_world(tmp_path / "other", exact_world(), "mirage", episodes=1, workers=0, progress=False, **MINI)


def test_ghosts_are_studied_where_things_can_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def study(simulator: Any, world: Any, steps: int, seed: int) -> GhostStudy:
        assert (simulator.movers, simulator.mover_seed, simulator.scene, steps) == (1, 0, "toy", 72)
        return GhostStudy(72, 0.1, 900, 950, 800, 2, 40, 0, 1, 20, 0.95, 27.0, 26.0, 28.0, 0.8, 0.8, 0.8)

    monkeypatch.setattr(behaviour_measures, "ghost_study", study)
    report = run(tmp_path, 1, only=["ghosts"], ghost_episodes=1, ghost_steps=72, movers=1)
    assert report.summary.get("ghosts", "fewer").mean == pytest.approx(0.95)
    assert "| movers, contradiction off | 40 | 950 | 26.0 | 0.800 |" in report.text
    assert [reached for goal, _, reached in report.goals if goal.part == "ghosts"] == [True]


def test_parts_keep_the_order_of_the_report() -> None:
    assert check_parts(["still", "novel"]) == ("novel", "still")


def test_the_function_is_in_the_package() -> None:
    assert mirage_env.evaluation.evaluate_world is evaluate.evaluate_world
    with pytest.raises(AttributeError, match="has no attribute 'evaluate_wrold'; it has evaluate_world, Report"):
        getattr(mirage_env.evaluation, "evaluate_wrold")  # noqa: B009


@pytest.mark.parametrize("workers", [0, 2])
def test_work_is_done_here_or_elsewhere(workers: int) -> None:
    with single_threaded_children():
        assert sorted(work(partial(partial, add, 10), [1, 2, 3], workers)) == [11, 12, 13]
    assert list(work(partial(partial, add, 10), [], workers)) == []
