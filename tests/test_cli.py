"""The command line: exit statuses, sentences instead of tracebacks, and the commands without pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mirage_env
from mirage_env import cli
from mirage_env.cli import main, parse_scenes
from mirage_env.data.shards import list_shards
from mirage_env.models import weights
from tests.small_world import small_world


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mirage_env.cli", *arguments], capture_output=True, text=True)


def test_help_names_the_commands_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from mirage_env.cli import build_parser; build_parser().print_help();"
        "print(*[m for m in ('matplotlib', 'diffusers', 'shapely') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for command in ("demo", "info", "collect", "train"):
        assert f"    {command} " in done.stdout
    assert done.stderr.split() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["collect", "--out", "x"], "the following arguments are required: --episodes"),
        (["demo", "--steps", "many"], "argument --steps: invalid int value: 'many'"),
        (["demo", "--scene", "1", "--image", "x"], "not allowed with argument"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_errors_are_one_sentence_unless_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    bad = ["collect", "--episodes", "0", "--out", "/nonexistent"]
    assert main(bad) == 2
    assert capsys.readouterr().err == "mirage-env: episodes must be an integer of at least 1, got 0\n"
    with pytest.raises(ValueError, match="episodes must be"):
        main([*bad, "--debug"])


def test_defects_and_interruptions_have_their_own_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(error: type[BaseException]) -> Any:
        def command(_: Any) -> None:
            raise error("oh")

        return command

    for error, status, sentence in (
        (ZeroDivisionError, 1, "ZeroDivisionError: oh (--debug shows where"),
        (KeyboardInterrupt, 130, "interrupted; checkpoints were kept: run the same command again to go on"),
    ):
        monkeypatch.setattr(cli, "_train", fail(error))
        assert main(["train", "--data", "a", "--validation", "b", "--out", "c"]) == status
        assert sentence in capsys.readouterr().err


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"mirage-env {mirage_env.__version__}\n")


def test_info_describes_bundled_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_world().save_pretrained(tmp_path / "wee")
    (tmp_path / "wee" / "README.md").write_text(
        "---\nlicense: x\n---\n\n# Wee\n\nA model that\nknows nothing.\n\nMore.\n"
    )
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    assert main(["info", "--json", str(tmp_path / "info.json")]) == 0
    text = capsys.readouterr().out
    info = json.loads((tmp_path / "info.json").read_text())
    model = info["models"]["wee"]
    assert model["summary"] == "A model that knows nothing."
    assert model["bytes"] == sum(p.stat().st_size for p in tmp_path.rglob("*.safetensors"))
    world = small_world()
    parts = (world.codec, world.depth_model, world.denoiser)
    weighed = sum(v.numel() for part in parts for v in part.state_dict().values())  # type: ignore[attr-defined]
    assert world.recognition is not None
    assert model["parameters"] == weighed + sum(numbers.size for numbers in world.recognition)
    assert {"Mirage/PointNav-v0", "Mirage/FreeCamera-v0"} <= set(info["environments"])
    for part in ("wee: ", "A model that knows nothing.", "Mirage/PointNav-v0", "torch"):
        assert part in text


def test_collect_writes_shards_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = [
        "collect",
        "--scenes",
        "toy",
        "--steps",
        "4",
        "--resolution",
        "32",
        "--workers",
        "0",
        "--out",
        str(tmp_path),
    ]
    assert main([*common, "--episodes", "1"]) == 0
    first = list_shards(tmp_path)[0].stat().st_mtime_ns
    assert main([*common, "--episodes", "2"]) == 0
    assert len(list_shards(tmp_path)) == 2
    assert list_shards(tmp_path)[0].stat().st_mtime_ns == first
    assert "2 episodes of 4 frames" in capsys.readouterr().out
    changed = ["5" if part == "4" else part for part in common]
    assert main([*changed, "--episodes", "2"]) == 2
    assert "another steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["--data", "nowhere"], "there is no folder nowhere"),
        (["--minutes", "0"], "--minutes must be above 0"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--stages", "codec", "dreams"], "unknown stage 'dreams'"),
        (["--config", "nowhere.json"], "nowhere.json"),
    ],
)
def test_bad_training_arguments(
    extra: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path)
    arguments = ["train", "--data", folder, "--validation", folder, "--out", str(tmp_path / "out"), *extra]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_scenes_as_text() -> None:
    assert parse_scenes("val") == "val"
    assert parse_scenes("7") == 7
    assert parse_scenes("3,5,8") == [3, 5, 8]
    assert parse_scenes("0:100") == range(100)
    for text in ("1:x", "1,b", "1:2:3"):
        with pytest.raises(ValueError, match="scenes must be a split"):
            parse_scenes(text)
