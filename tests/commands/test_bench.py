"""mirage-env bench runs what is in benchmarks/, and keeps what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirage_env.cli import main
from mirage_env.commands.bench import benchmarks_of

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_every_benchmark_says_what_it_measures(capsys: pytest.CaptureFixture[str]) -> None:
    known = benchmarks_of(BENCHMARKS)
    assert {
        "import_time",
        "step_time",
        "memory_read",
        "env_throughput",
        "memory_history",
        "gpu_worlds",
        "long_walk",
        "forks_and_snapshots",
    } <= known.keys()
    assert all(known.values()) and not {"reporting", "plots"} & known.keys()
    assert main(["bench", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in known)


def test_what_was_measured_is_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, together = tmp_path / "out", tmp_path / "all.json"
    arguments = ["bench", "import_time", "--quick", "--out", str(out), "--json", str(together)]
    assert main(arguments) == 0
    report = json.loads((out / "import_time.json").read_text())
    assert report["benchmark"] == "import_time" and report["median"] > 0 and "device" in report
    assert json.loads(together.read_text()) == {"import_time": report}
    assert "import mirage_env adds" in capfd.readouterr().out
    assert main(arguments) == 0
    assert "measured before" in capfd.readouterr().out
    assert json.loads((out / "import_time.json").read_text()) == report


def test_mistakes_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "nonsense", "--out", str(tmp_path)]) == 2
    assert "there is no benchmark 'nonsense'; there are " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    (tmp_path / "settings.json").write_text('{"quick": false}')
    assert main(["bench", "import_time", "--quick", "--out", str(tmp_path)]) == 2
    assert "another quick" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="clone the project"):
        benchmarks_of(tmp_path)
