"""The examples run, and stay short."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.small_world import small_world

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    small_world().save_pretrained(folder)
    return str(folder)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_walk(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "walk.png"
    load("01_walk").main(["--scenes", "toy", "--steps", "2", "--model", model, "--out", str(out)])
    with Image.open(out) as picture:
        assert picture.height == 128
        assert picture.width % 128 == 0
    assert "% imagined" in capsys.readouterr().out


def test_photo(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out" / "views.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)).save(photo)
    load("02_photo").main([str(photo), "--model", model, "--turns", "1", "--out", str(out)])
    with Image.open(out) as picture:
        assert picture.size == (5 * 128, 128)
    assert "the fork at the photo still holds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "task"), [([], "PointNav"), (["--policy", str(EXAMPLES / "policies" / "imagenav")], "ImageNav")]
)
def test_trained_policy(given: list[str], task: str, capsys: pytest.CaptureFixture[str]) -> None:
    load("03_trained_policy").main(["--scenes", "toy", "--episodes", "2", *given])
    shown = capsys.readouterr().out
    assert f"{task}, trained with" in shown and "'simulator': 'mirage'" in shown
    assert "success" in shown.splitlines()[-1] and "over 2 episodes" in shown


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 80
