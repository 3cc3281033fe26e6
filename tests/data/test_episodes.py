"""PointNav episodes: what habitat-lab wrote is read, what is written comes back, and what is wrong is said."""

from __future__ import annotations

import gzip
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirage_env import geometry
from mirage_env.data.episodes import Episode, Goal, PathPoint, read_episodes, rotation_of, write_episodes

# As in data/datasets/pointnav/habitat-test-scenes/v1/val/val.json.gz, and as later versions write datasets like HM3D.
SHIPPED = """{"episodes": [
{"episode_id": "0", "scene_id": "data/scene_datasets/habitat-test-scenes/van-gogh-room.glb",
 "start_position": [3.9655439853668213, 0.17669875919818878, 1.5473179817199707],
 "start_rotation": [0, 0.9999815275096604, 0, 0.006078210217345751],
 "info": {"geodesic_distance": 2.269282102584839, "difficulty": "easy"},
 "goals": [{"position": [3.8423774242401123, 0.17669875919818878, -0.7186191082000732], "radius": null}],
 "shortest_paths": null, "start_room": null},
{"episode_id": "1", "scene_id": "data/scene_datasets/habitat-test-scenes/skokloster-castle.glb",
 "start_position": [-1.2676633596420288, 0.2047852873802185, 12.595427513122559],
 "start_rotation": [0, 0.4536385088584658, 0, -0.8911857849408661],
 "info": {"geodesic_distance": 6.335183143615723, "difficulty": "easy"},
 "goals": [{"position": [2.2896811962127686, 0.11950381100177765, 16.97636604309082], "radius": null}],
 "shortest_paths": null, "start_room": null}
]}"""
LATER = """{"episodes": [
{"episode_id": "0", "scene_id": "hm3d/val/00877-4ok3usBNeis/4ok3usBNeis.basis.glb",
 "scene_dataset_config": "./data/scene_datasets/hm3d/hm3d_annotated_basis.scene_dataset_config.json",
 "additional_obj_config_paths": [], "start_position": [-0.5, 0.01, 1.25], "start_rotation": [0.0, 0.0, 0.0, 1.0],
 "info": {"geodesic_distance": 1.75}, "_shortest_path_cache": null,
 "goals": [{"position": [-0.5, 0.01, -0.5], "radius": 0.2}],
 "start_room": null, "shortest_paths": [[
  {"position": [-0.5, 0.01, 1.25], "rotation": [0.0, 0.0, 0.0, 1.0], "action": 1},
  {"position": [-0.5, 0.01, 1.0], "rotation": [0.0, 0.0, 0.0, 1.0], "action": 0}]]}
], "content_scenes_path": "{data_path}/content/{scene}.json.gz"}"""


def packed(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def changed(change: Callable[[dict[str, Any]], None]) -> str:
    """The dataset that habitat-lab ships, with its second episode changed."""
    dataset = json.loads(SHIPPED)
    change(dataset["episodes"][1])
    return json.dumps(dataset)


def episode(number: int = 0, **fields: Any) -> Episode:
    goal = Goal((1.0, 0.0, 2.5), 0.2)
    told = {"episode_id": str(number), "scene_id": "toy", "start_position": (0.1, 0.0, 0.3), "goals": (goal,)}
    return Episode(**{**told, "start_rotation": rotation_of(0.3), **fields})


def test_a_dataset_as_habitat_lab_ships_it_is_read_whole(tmp_path: Path) -> None:
    first, second = read_episodes(packed(tmp_path / "val.json.gz", SHIPPED))
    assert (first.episode_id, first.scene_id) == ("0", "data/scene_datasets/habitat-test-scenes/van-gogh-room.glb")
    assert first.start_position == (3.9655439853668213, 0.17669875919818878, 1.5473179817199707)
    assert first.goals == (Goal((3.8423774242401123, 0.17669875919818878, -0.7186191082000732), None),)
    assert first.info == {"geodesic_distance": 2.269282102584839, "difficulty": "easy"}
    assert first.geodesic_distance == 2.269282102584839
    assert (first.shortest_paths, first.start_room, first.scene_dataset_config) == (None, None, "default")
    # Habitat's scalar is last: (0, sin, 0, cos) of half the yaw.
    assert first.start.yaw == pytest.approx(math.pi - 2 * math.asin(0.006078210217345751), abs=1e-9)
    assert second.start.yaw == pytest.approx(2 * math.atan2(0.4536385088584658, -0.8911857849408661) - math.tau)
    assert second.start.position == second.start_position


def test_what_later_versions_add_is_kept_and_comes_back(tmp_path: Path) -> None:
    (read,) = read_episodes(packed(tmp_path / "val.json.gz", LATER))
    assert read.scene_dataset_config == "./data/scene_datasets/hm3d/hm3d_annotated_basis.scene_dataset_config.json"
    assert read.shortest_paths is not None
    assert read.shortest_paths[0][1] == PathPoint([-0.5, 0.01, 1.0], [0.0, 0.0, 0.0, 1.0], 0)
    write_episodes(tmp_path / "again.json.gz", [read])
    assert read_episodes(tmp_path / "again.json.gz") == (read,)


def test_an_old_dataset_is_written_with_the_keys_that_it_had(tmp_path: Path) -> None:
    write_episodes(tmp_path / "again.json.gz", read_episodes(packed(tmp_path / "val.json.gz", SHIPPED)))
    with gzip.open(tmp_path / "again.json.gz", "rt") as file:  # as habitat-lab opens it
        assert json.load(file) == json.loads(SHIPPED)


def test_plain_json_and_ids_that_are_numbers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "val.json"
    path.write_text(changed(lambda told: told.update(episode_id=17)))
    assert [one.episode_id for one in read_episodes(path)] == ["0", "17"]


def test_files_of_single_scenes_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    main = packed(tmp_path / "val.json.gz", '{"episodes": []}')
    for scene in ("Cantwell", "Adrian"):
        packed(tmp_path / "content" / f"{scene}.json.gz", SHIPPED.replace("van-gogh-room", scene))
    names = [one.scene_id.rpartition("/")[2] for one in read_episodes(main)]
    assert names == ["Adrian.glb", "skokloster-castle.glb", "Cantwell.glb", "skokloster-castle.glb"]
    assert len(read_episodes(main, content_scenes=["Cantwell"])) == 2
    with pytest.raises(FileNotFoundError, match=r"no episodes of the scene 'Denmark' in .*content"):
        read_episodes(main, content_scenes=["Denmark"])
    with pytest.raises(TypeError, match="sequence of names, got the string 'Cantwell'"):
        read_episodes(main, content_scenes="Cantwell")


def test_the_file_says_where_its_scenes_are(tmp_path: Path) -> None:
    told = {"episodes": [], "content_scenes_path": "{data_path}/scenes/{scene}_pointnav.json.gz"}
    main = packed(tmp_path / "train.json.gz", json.dumps(told))
    packed(tmp_path / "scenes" / "a_pointnav.json.gz", SHIPPED)
    packed(tmp_path / "scenes" / "another.json.gz", "not to be read")
    assert len(read_episodes(main)) == 2
    for wrong in ("content/all.json.gz", "{scene}/{scene}", 3):
        packed(main, json.dumps(told | {"content_scenes_path": wrong}))
        with pytest.raises(ValueError, match=r"must be a path with one \{scene\} in it"):
            read_episodes(main)


numbers = st.floats(-1e6, 1e6)
points = st.tuples(numbers, numbers, numbers)


@settings(max_examples=20)
@given(points, st.floats(-math.pi, math.pi), points, st.none() | st.floats(0, 3), st.text(min_size=1))
def test_numbers_and_names_come_back_exactly(start: Any, yaw: float, goal: Any, radius: Any, name: str) -> None:
    made = Episode(name, name, start, rotation_of(yaw), (Goal(goal, radius),), {"geodesic_distance": 1.5, "a": [name]})
    with tempfile.TemporaryDirectory() as folder:
        write_episodes(Path(folder) / "x.json.gz", [made])
        assert read_episodes(Path(folder) / "x.json.gz") == (made,)
    assert geometry.forward(made.start.yaw) == pytest.approx(geometry.forward(yaw), abs=1e-9)


def test_arrays_are_as_good_as_tuples() -> None:
    made = episode(start_position=np.array([0.1, 0.0, 0.3]), goals=[Goal(np.array([1, 0, 2.5], np.float32), 0.2)])  # type: ignore[arg-type]
    assert made == episode()


def test_the_same_episodes_give_the_same_bytes(tmp_path: Path) -> None:
    some = [episode(number) for number in range(3)]
    write_episodes(tmp_path / "one.json.gz", some)
    write_episodes(tmp_path / "another name.json.gz", iter(some))
    content = (tmp_path / "one.json.gz").read_bytes()
    assert content == (tmp_path / "another name.json.gz").read_bytes()
    assert content[4:8] == bytes(4) and content[3] == 0  # no time, no name


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "val.json.gz"
    write_episodes(path, [episode()])
    before = path.read_bytes()
    cases: list[tuple[list[Any], type[Exception], str]] = [
        ([], ValueError, "there are no episodes to write"),
        ([episode(), episode()], ValueError, "two episodes of scene 'toy' have the id '0'"),
        ([{"episode_id": "0"}], TypeError, "must be .*Episode, got dict"),
        ([episode(info={"x": math.nan})], ValueError, "episode '0' holds what JSON cannot"),
        ([episode(info={"x": object()})], ValueError, "episode '0' holds what JSON cannot"),
    ]
    for wrong, error, message in cases:
        with pytest.raises(error, match=message):
            write_episodes(path, wrong)
        assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["val.json.gz"]
    with pytest.raises(ValueError, match=r"named <split>\.json\.gz, .* got val\.json$"):
        write_episodes(tmp_path / "val.json", [episode()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.update(start_rotation=[0.1, 0.0, 0.0, 0.995]), "episode '1': start_rotation must turn about"),
        (lambda e: e.update(start_rotation=[0.891, 0, 0.454, 0]), "in the order xyzw, got"),
        (lambda e: e.update(start_rotation=[0, 0, 0, 0.9]), "episode '1': .*unit quaternion .* length is 0.9"),
        (lambda e: e.update(start_rotation=[0, 0, 1]), "episode '1': start_rotation must be 4 finite numbers"),
        (lambda e: e.update(start_rotation=[0, math.nan, 0, 1]), "episode '1': start_rotation must be 4 finite"),
        (
            lambda e: e.update(start_position=[0, 1]),
            r"episode '1': start_position must be 3 finite numbers .* \[0, 1\]",
        ),
        (lambda e: e.update(start_position=[0, True, 2]), "episode '1': start_position must be 3 finite"),
        (lambda e: e.update(start_position="abc"), "episode '1': start_position must be 3 finite"),
        (lambda e: e.update(start_position=[0, 10**400, 2]), "episode '1': start_position must be 3 finite"),
        (lambda e: e.pop("start_position"), "episode '1' has no start_position"),
        (lambda e: e.pop("episode_id"), r"episode number 1 \(from 0\) has no episode_id"),
        (lambda e: e.update(scene_id=3), "episode '1': scene_id must be a string"),
        (lambda e: e.pop("goals"), "episode '1' has no goals"),
        (lambda e: e.update(goals=[]), "episode '1': it has no goal"),
        (lambda e: e.update(goals={}), "episode '1': goals must be a list"),
        (lambda e: e.update(goals=[[0, 0, 0]]), "episode '1': a goal must be a dictionary with a position"),
        (lambda e: e.update(goals=[{"radius": 1}]), "episode '1': a goal has no position"),
        (lambda e: e["goals"][0].update(position=[1, 2]), "episode '1': a goal's position must be 3 finite"),
        (lambda e: e["goals"][0].update(radius=-1), "episode '1': a goal's radius must be finite metres, 0 or"),
        (lambda e: e["goals"][0].update(colour="red"), "episode '1': a goal has colour, which"),
        (lambda e: e.update(info=[]), "episode '1': info must be a dictionary"),
        (lambda e: e["info"].update(geodesic_distance="far"), "episode '1': info: geodesic_distance must be finite"),
        (lambda e: e["info"].update(geodesic_distance=math.inf), "episode '1': info: geodesic_distance must be"),
        (lambda e: e.update(shortest_paths=[[1, 2]]), "episode '1': shortest_paths must be lists of points"),
        (lambda e: e.update(start_room=3), "episode '1': start_room must be a string or null"),
        (lambda e: e.update(additional_obj_config_paths="x"), "episode '1': additional_obj_config_paths must be"),
        (lambda e: e.update(colour="red"), "episode '1' has colour, which PointNav episodes of habitat-lab do not"),
    ],
)
def test_a_wrong_episode_is_named(change: Any, message: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "val.json.gz", changed(change))
    with pytest.raises(ValueError, match=message) as refusal:
        read_episodes(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(SHIPPED.encode())[:-200], "is truncated or damaged"),
        (gzip.compress(SHIPPED.encode())[:300] + b"xx", "is truncated or damaged"),
        (b"\x1f\x8b", "is truncated or damaged"),
        (b"", "holds no JSON"),
        (b"\x80\x04pickle", "holds no JSON"),
        (b"[" * 100_000, "holds no JSON"),
        (SHIPPED[:-2].encode(), "holds no JSON"),
        (b"[1, 2]", "is no dataset of habitat-lab: it holds a list"),
        (b'{"a": 1}', "is no dataset of habitat-lab: it has no list 'episodes'"),
        (b'{"episodes": {"0": 1}}', "is no dataset of habitat-lab: it has no list 'episodes'"),
        (b'{"episodes": [3]}', r"episode number 0 \(from 0\) is of type int, not a dictionary"),
        (b'{"episodes": []}', "holds no episodes"),
    ],
)
def test_a_file_that_is_no_dataset_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "val.json.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as refusal:
        read_episodes(path)
    assert str(path) in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file of episodes .*missing\.json\.gz"):
        read_episodes(tmp_path / "missing.json.gz")
    with pytest.raises(IsADirectoryError, match="is a folder; give the dataset's file"):
        read_episodes(tmp_path)


def with_goal_keys(**keys: Any) -> str:
    return changed(lambda told: told["goals"][0].update(keys))


@pytest.mark.parametrize(
    ("text", "task"),
    [
        (changed(lambda told: told.update(object_category="chair", goals=[])), "ObjectNav"),
        ('{"episodes": [], "category_to_task_category_id": {"chair": 0}}', "ObjectNav"),
        ('{"episodes": [], "goals_by_category": {"a.glb_chair": []}}', "ObjectNav"),
        (with_goal_keys(object_id="5", object_category="chair", view_points=[]), "ObjectNav"),
        (changed(lambda told: told.update(object_category="chair", goal_object_id="5", goal_image_id=2)), "ImageNav"),
        ('{"goals": {"a_5": {"image_goals": []}}, "episodes": []}', "ImageNav"),
        (with_goal_keys(goal_image="x.png"), "ImageNav"),
        (changed(lambda told: told.update(instruction={"instruction_text": "go"}, trajectory_id=4)), "VLN"),
        ('{"episodes": [], "instruction_vocab": {"word_list": []}}', "VLN"),
        (changed(lambda told: told.update(question={"question_text": "what?"})), "EQA"),
        (with_goal_keys(room_id="kitchen"), "RoomNav"),
        (changed(lambda told: told.update(rigid_objs=[], goals=None)), "Rearrange"),
    ],
)
def test_datasets_of_other_tasks_are_refused_by_name(text: str, task: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "val.json.gz", text)
    with pytest.raises(ValueError, match=f"holds (R2R )?{task} episodes .*not supported; give PointNav ones"):
        read_episodes(path)
