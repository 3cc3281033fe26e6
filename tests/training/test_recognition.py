"""Fitting what surfaces are known again by: on walks through a toy room, by function and by command."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mirage_env.data.collect import collect
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.training.recognition import DIRECTIONS, Walk, fit, main, read_walks, seen_twice
from mirage_env.world import WorldModel
from tests.exact_world import exact_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walks")
    collect(partial(RoomsSimulator, "toy"), folder, 2, 40, 0, 1, progress=False, resolution=64, episodes_per_scene=1)
    return folder


@pytest.fixture(scope="module")
def walks(folder: Path) -> list[Walk]:
    return read_walks(folder, exact_world().codec)


def test_surfaces_are_seen_twice_where_both_views_show_them(walks: list[Walk]) -> None:
    walk = walks[0]
    here, there = seen_twice(walk, 0, 1)
    assert len(here) == len(there) > 5
    assert not len(seen_twice(walk, 3, 3)[0])
    # What is one surface looks more alike than what is another: latents are the pixels of a cell.
    views = [walk.latents[i].flatten(1).T.numpy() for i in (0, 1)]
    alike = np.abs(views[0][here] - views[1][there]).mean()
    assert alike < np.abs(views[0][here] - views[1][np.random.default_rng(0).permutation(there)]).mean()


def test_what_is_fitted_tells_surfaces_apart(walks: list[Walk]) -> None:
    world = exact_world()
    found = fit(walks, world)
    assert found.directions.shape == (world.codec.channels, DIRECTIONS)
    assert found.evidence[0] > 0 > found.evidence[-5:].mean()
    assert all(np.isfinite(part).all() and part.dtype == np.float32 for part in found)
    for one, other in zip(found, fit(walks, world), strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_little_is_refused(walks: list[Walk]) -> None:
    few = walks[0]._replace(**{name: getattr(walks[0], name)[:12] for name in ("latents", "depth", "poses")})
    still = few._replace(depth=np.zeros_like(few.depth))
    with pytest.raises(ValueError, match="too few surfaces twice"):
        fit([still], exact_world())


def test_the_command_writes_a_model_with_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(folder), "--out", str(tmp_path / "model")]) == 0
    world = WorldModel.from_pretrained(tmp_path / "model")
    assert world.recognition is not None and world.recognition.directions.shape == (16, DIRECTIONS)
    assert main(["--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "b")]) == 2
    assert main(["--model", "huge", "--data", str(folder), "--out", str(tmp_path / "b")]) == 2
    assert "error: " in capsys.readouterr().err and not (tmp_path / "b").exists()
