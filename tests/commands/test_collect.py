"""``mirage-env collect`` into a file: episodes that are played. Walks into a folder: see tests/test_cli.py."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import pytest

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env.cli import main
from mirage_env.data.episodes import read_episodes


def test_episodes_are_written_and_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "toy.json.gz"
    command = ["collect", "--scenes", "toy", "--episodes", "5", "--max-distance", "4", "--out", str(out)]
    assert main(command) == 0
    assert "5 PointNav episodes in 1 scenes in" in capsys.readouterr().out
    episodes = read_episodes(out)
    assert all(one.geodesic_distance is not None and 1 <= one.geodesic_distance <= 4 for one in episodes)
    env = gymnasium.make("Mirage/PointNav-v0", simulator="rooms", episodes=str(out), resolution=32)
    _, info = env.reset(seed=0)
    assert (info["episode_id"], info["distance_to_goal"]) == ("0", pytest.approx(episodes[0].geodesic_distance))
    content = out.read_bytes()
    assert main(command) == 0 and out.read_bytes() == content
    assert main([*command, "--seed", "1"]) == 0 and out.read_bytes() != content


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["--out", "x.json.gz", "--steps", "3", "--hfov", "70"], "--steps, --hfov are of walks"),
        (["--out", "x", "--min-ratio", "1.2"], "--min-ratio is of PointNav episodes"),
        (["--out", "x.json.gz", "--min-distance", "9", "--max-distance", "3"], "got 9.0 and 3.0"),
        (["--out", "x.json.gz", "--min-distance", "20"], "in scene 'toy' no start and goal with 20.0 to 30.0 m"),
        (["--out", "x.json.gz", "--scenes", "kitchen"], "unknown scenes 'kitchen'"),
    ],
)
def test_what_cannot_be_collected_is_one_sentence_and_no_file(
    extra: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["collect", "--scenes", "toy", "--episodes", "2", *extra]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
