"""The demonstration on the toy room and on a photo, with random weights: every file is there and whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image

from mirage_env.cli import main
from mirage_env.demo import FPS, GIF_BYTES, free_way, photo_setting, run_demo
from mirage_env.evaluation.timing import PARTS
from tests.exact_world import exact_world
from tests.small_world import small_world

STEPS = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    small_world().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landscape photo of 160 x 120 pixels."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    y, x = np.mgrid[:120, :160]
    Image.fromarray(np.stack([x + 60, y + 90, 200 - x // 2], axis=-1).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def toy(model: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("toy") / "demo"
    copy = out.parent / "copy.json"
    arguments = ["--scene", "toy", "--steps", str(STEPS), "--seed", "3", "--model", model]
    assert main(["demo", *arguments, "--out", str(out), "--json", str(copy)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert json.loads(copy.read_text()) == report
    return out, report


def sizes_of(out: Path) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Frames and size (width, height) of the pictures and films in a folder."""
    found: dict[str, tuple[int, tuple[int, ...]]] = {}
    for path in out.iterdir():
        if path.suffix == ".mp4":
            reader = imageio.get_reader(path)
            found[path.name] = reader.count_frames(), tuple(reader.get_data(0).shape[1::-1])  # type: ignore[attr-defined]
        elif path.suffix != ".json":
            with Image.open(path) as picture:
                picture.load()
                found[path.name] = getattr(picture, "n_frames", 1), picture.size
    return found


def test_all_files_of_a_room_are_whole(toy: tuple[Path, Any]) -> None:
    out, report = toy
    names = {"demo.mp4", "demo.gif", "psnr.png", "top_down.png", "report.json"}
    assert {path.name for path in out.iterdir()} == names == set(report["files"])
    found = sizes_of(out)
    assert found["demo.mp4"][0] == STEPS + 1 + FPS
    assert found["demo.gif"][0] == STEPS + 1
    assert found["demo.mp4"][1][0] > 4 * 3 * 128  # truth, imagination, memory, map, three times as large
    assert 3 * 2 * 128 < found["demo.gif"][1][0] < 900
    assert (out / "demo.gif").stat().st_size <= GIF_BYTES
    for name in ("psnr.png", "top_down.png"):
        assert min(found[name][1]) > 300


def test_the_report_of_a_room_has_every_field(toy: tuple[Path, Any]) -> None:
    _, report = toy
    views = STEPS + 1
    assert (report["source"], report["scene"], report["split"]) == ("room", "toy", None)
    assert set(report["psnr"]) == {"imagination", "codec_ceiling", "memory_off", "readout_where_visible"}
    assert all(len(values) == views for values in report["psnr"].values())
    for name in ("imagined_fraction", "visible_fraction", "tokens", "bytes", "depth_abs_rel"):
        assert len(report[name]) == views
    closed = report["closed_loop_psnr"]
    assert closed["below_ceiling"] == pytest.approx(closed["ceiling"] - closed["imagination"], abs=1e-4)
    assert closed["above_memory_off"] == pytest.approx(closed["imagination"] - closed["memory_off"], abs=1e-4)
    assert closed["imagination"] == pytest.approx(report["psnr"]["imagination"][-1], abs=1e-4)
    assert set(report["milliseconds"]) == {*PARTS, "step"}
    assert all(value > 0 for value in report["milliseconds"].values())
    assert report["counts"] == {"views": views, "tokens": report["tokens"][-1], "bytes": report["bytes"][-1]}
    assert report["seeds"] == {"walk": 3, "imagination": 3}
    assert report["walk"]["legs"][-1]["last"] == STEPS == report["steps"]
    assert report["seconds"] > 0
    assert {"versions", "device", "model", "camera"} <= report.keys()
    assert report["imagined_fraction"][0] == 0


def test_a_photo_needs_no_truth(model: str, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "photo"
    report = run_demo(out, image=photo, hfov=65, steps=STEPS, model=model, progress=False)
    assert {path.name for path in out.iterdir()} == {"demo.mp4", "demo.gif", "top_down.png", "report.json"}
    found = sizes_of(out)
    assert (found["demo.mp4"][0], found["demo.gif"][0]) == (STEPS + 1 + FPS, STEPS + 1)
    assert report["psnr"] is None
    assert report["depth_abs_rel"] is None
    assert (report["source"], report["image"], report["image_size"]) == ("photo", "photo.jpg", [120, 160])
    assert set(report["closed_loop_psnr"]) == {
        "imagination", "memory_off", "ceiling", "below_ceiling", "above_memory_off"
    }  # fmt: skip
    assert len(report["tokens"]) == STEPS + 1


def test_the_same_seed_gives_the_same_numbers(model: str, toy: tuple[Path, Any], tmp_path: Path) -> None:
    again = run_demo(tmp_path, scene="toy", steps=STEPS, seed=3, model=model, progress=False)
    for name in ("psnr", "closed_loop_psnr", "tokens", "imagined_fraction", "walk"):
        assert again[name] == toy[1][name]


def test_the_photo_is_compared_where_it_reaches(photo: Path) -> None:
    setting = photo_setting(exact_world(), photo, hfov=65, steps=STEPS, seed=0)
    picture, known = setting.reference
    assert picture.shape == (128, 128, 3)
    assert known.all(axis=1).sum() == 96  # 4:3, as wide as the frame
    assert known[16:112].all()
    assert abs(int(picture[64, 64, 0]) - 140) < 4
    assert setting.camera.hfov == 65


def test_the_way_ahead_ends_before_what_stands_there() -> None:
    world = exact_world()  # it takes everything to be two metres away
    state = world.start(np.zeros((128, 128, 3), np.uint8), hfov=90.0)
    assert free_way(state, 1.25) == pytest.approx(1.4, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--scene", "kitchen"], "the seed of a room"),
        (["--scene", "-4"], "0 or above"),
        (["--scene", "toy", "--steps", "7"], "even number of steps"),
        (["--scene", "toy", "--hfov", "190"], r"hfov must lie inside \(0, 180\)"),
        (["--scene", "toy", "--seed", "-1"], "seed of a walk"),
        (["--image", "nowhere.jpg"], "no image at nowhere.jpg"),
        (["--image", __file__], "not a whole image file"),
        (["--model", "hugs"], "unknown model 'hugs'"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    arguments: list[str], sentence: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    rest = [] if "--model" in arguments else ["--model", model]
    assert main(["demo", *arguments, *rest, "--out", str(out)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mirage-env: ")
    import re

    assert re.search(sentence, error)
    assert not out.exists()


def test_a_scene_and_an_image_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a scene or an image, not both"):
        run_demo(tmp_path, scene=1, image=tmp_path)


def test_a_folder_that_cannot_be_written_is_found_before_the_walk(model: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="cannot write to"):
        run_demo(tmp_path / "file", scene="toy", steps=STEPS, model=model, progress=False)
