"""Scene ids of datasets, and what simulators open."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirage_env.data.scene_ids import scene_argument, scene_id_of


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    (tmp_path / "habitat-test-scenes").mkdir()
    (tmp_path / "habitat-test-scenes" / "apartment_1.glb").touch()
    return tmp_path


@pytest.mark.parametrize("prefix", ["", "data/scene_datasets/"])
def test_a_file_is_found_as_habitat_lab_finds_it(scenes: Path, prefix: str) -> None:
    found = scene_argument(f"{prefix}habitat-test-scenes/apartment_1.glb", scenes)
    assert found == str(scenes / "habitat-test-scenes" / "apartment_1.glb")
    assert scene_id_of(found, scenes) == "habitat-test-scenes/apartment_1.glb"


def test_rooms_are_seeds_or_the_toy() -> None:
    assert [scene_argument(scene, "/nowhere") for scene in ("toy", "1000007")] == ["toy", 1000007]
    assert [scene_id_of(scene, "/nowhere") for scene in ("toy", 1000007)] == ["toy", "1000007"]


def test_without_a_folder_an_id_is_the_path_itself(scenes: Path) -> None:
    assert scene_argument("data/scene_datasets/a.glb") == "data/scene_datasets/a.glb"
    assert scene_id_of(Path("some/a.glb")) == "some/a.glb"


def test_what_is_not_there_is_named(scenes: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"its scene 'b\.glb' is not in scenes_dir: there is no file .*b\.glb"):
        scene_argument("b.glb", scenes)
    with pytest.raises(NotADirectoryError, match="no folder scenes_dir='/nowhere'"):
        scene_argument("b.glb", "/nowhere")
    with pytest.raises(ValueError, match=r"elsewhere/a\.glb is not in scenes_dir"):
        scene_id_of("/elsewhere/a.glb", scenes)
