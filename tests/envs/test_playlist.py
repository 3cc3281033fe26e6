"""Environments that play the episodes of a file: which, in which order, and what a snapshot remembers of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env.data.episodes import Episode, Goal, rotation_of, write_episodes
from mirage_env.data.generate_episodes import generate_episodes
from mirage_env.envs.factory import make_free_camera, make_point_nav
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.playlist import Playlist, Turn, make_playlist
from mirage_env.envs.vector_factory import make_vec_point_nav
from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.same_bits import assert_same
from tests.small_world import small_world

SIZE = 32
HOME = 1_000_000


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    simulator = RoomsSimulator(["toy", HOME])
    made = generate_episodes(simulator, simulator.scenes, 7, seed=1, episodes_per_scene=5)
    return [dataclasses.replace(one, episode_id=f"e{one.episode_id}") for one in made]


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    with one_thread():
        yield small_world()


def rooms(episodes: Any, **arguments: Any) -> NavigationEnv:
    return make_point_nav(**{"simulator": "rooms", "episodes": episodes, "resolution": SIZE, **arguments})


def played(env: Any, count: int, seed: int | None = 0) -> list[str]:
    infos = [env.reset(seed=seed if i == 0 else None)[1] for i in range(count)]
    return [info["episode_id"] for info in infos]


def test_episodes_are_played_in_the_order_of_the_file(episodes: list[Episode], tmp_path: Path) -> None:
    write_episodes(tmp_path / "val.json.gz", episodes)
    env = gymnasium.make(
        "Mirage/PointNav-v0", simulator="rooms", episodes=str(tmp_path / "val.json.gz"), resolution=SIZE
    )
    for i in range(9):
        _, info = env.reset(seed=5 if i == 0 else None)
        one, simulator = episodes[i % 7], env.unwrapped.simulator  # type: ignore[attr-defined]
        assert (info["episode_id"], info["scene_id"], str(simulator.scene)) == (
            one.episode_id,
            one.scene_id,
            one.scene_id,
        )
        np.testing.assert_allclose(simulator.agent.position, one.start_position, atol=1e-6)
        assert simulator.agent.yaw == pytest.approx(one.start.yaw)
        assert env.unwrapped.goal.tolist() == list(one.goals[0].position)  # type: ignore[attr-defined]
        assert info["distance_to_goal"] == pytest.approx(one.geodesic_distance, abs=1e-5)
        assert env.step(1)[-1]["episode_id"] == one.episode_id
    assert played(env, 2, seed=9) == ["e0", "e1"], "a seed begins the list anew"


def test_spl_takes_the_distance_of_the_simulator_not_that_of_the_file(episodes: list[Episode]) -> None:
    wrong = dataclasses.replace(episodes[0], info={"geodesic_distance": 99.0})
    env = rooms([wrong])
    _, info = env.reset()
    assert info["distance_to_goal"] == pytest.approx(episodes[0].geodesic_distance, abs=1e-5)
    far = env.step(1)[-1]
    assert far["soft_spl"] == pytest.approx(max(0, 1 - far["distance_to_goal"] / info["distance_to_goal"]), abs=1e-5)


def test_shuffled_episodes_come_once_each_pass_in_an_order_of_the_seed(episodes: list[Episode]) -> None:
    env = rooms(episodes, episode_order="shuffled")
    first = played(env, 21, seed=3)
    everyone = sorted(one.episode_id for one in episodes)
    passes = [first[start : start + 7] for start in (0, 7, 14)]
    assert all(sorted(one) == everyone for one in passes)
    assert len({tuple(one) for one in [*passes, everyone]}) == 4
    assert played(env, 21, seed=3) == first == played(rooms(episodes, episode_order="shuffled"), 21, seed=3)
    assert played(env, 7, seed=4) != passes[0]


@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_an_episode_is_picked_and_the_list_goes_on(episodes: list[Episode], order: str) -> None:
    env = rooms(episodes, episode_order=order)
    straight = played(env, 4, seed=2)
    env.reset(seed=2)
    for wanted in ("e5", (str(HOME), "e5")):
        assert env.reset(options={"episode": wanted})[1]["episode_id"] == "e5"
    assert env.reset(seed=2, options={"episode": "e6"})[1]["episode_id"] == "e6"
    assert played(env, 4, seed=None) == straight


def test_ids_that_several_scenes_have_need_the_scene(episodes: list[Episode]) -> None:
    same = [dataclasses.replace(one, episode_id="7") for one in (episodes[0], episodes[5])]
    env = rooms(same)
    with pytest.raises(ValueError, match=r"2 scenes have an episode '7'; give the option \(scene_id, episode_id\)"):
        env.reset(options={"episode": "7"})
    assert env.reset(options={"episode": (str(HOME), 7)})[1]["scene_id"] == str(HOME)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"episode": "e9"}, ValueError, "no episode 'e9' among the 7"),
        ({"episode": ("toy", "e5")}, ValueError, "no episode"),
        ({"episode": 2.5}, TypeError, "must be an episode_id or"),
        ({"episode": "e1", "goal": (0, 0, 0)}, ValueError, "the option episode picks one, 'goal' would contradict it"),
        ({"scene": "toy"}, ValueError, "'scene' would contradict"),
    ],
)
def test_options_that_make_no_sense_change_nothing(
    episodes: list[Episode], options: Any, error: type[Exception], message: str
) -> None:
    env = rooms(episodes)
    env.reset(seed=0)
    with pytest.raises(error, match=message):
        env.reset(options=options)
    assert env.running and env.reset()[1]["episode_id"] == "e1"
    venv = make_vec_point_nav(2, simulator="rooms", episodes=episodes, resolution=SIZE)
    with pytest.raises(error, match=message):
        venv.reset(options=options)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_worlds_of_a_vector_share_the_file(episodes: list[Episode], count: int) -> None:
    venv = make_vec_point_nav(count, simulator="rooms", episodes=episodes, resolution=SIZE)
    rounds = [venv.reset(seed=0 if i == 0 else None)[1]["episode_id"].tolist() for i in range(-(-7 // count))]
    ids = [one.episode_id for one in episodes]
    for i in range(count):
        share = ids[i::count]
        assert [names[i] for names in rounds][: len(share)] == share
    _, infos = venv.reset(options={"episode": "e5"})
    assert infos["episode_id"].tolist() == ["e5"] * count


def test_shuffled_worlds_mix_their_own_shares_and_more_worlds_than_episodes_repeat(episodes: list[Episode]) -> None:
    some = episodes[:5]
    venv = gymnasium.make_vec(
        "Mirage/PointNav-v0", 2, simulator="rooms", episodes=some, episode_order="shuffled", resolution=SIZE
    )
    rounds = [venv.reset(seed=8 if i == 0 else None)[1]["episode_id"].tolist() for i in range(6)]
    first, second = ([names[i] for names in rounds] for i in range(2))
    assert sorted(first[:3]) == sorted(first[3:]) == ["e0", "e2", "e4"]
    assert sorted(second[:2]) == sorted(second[2:4]) == ["e1", "e3"]
    many = make_vec_point_nav(5, simulator="rooms", episodes=some[:2], resolution=SIZE)
    assert many.reset()[1]["episode_id"].tolist() == ["e0", "e1", "e0", "e1", "e0"]


def test_the_next_episode_begins_where_one_ends_in_a_vector(episodes: list[Episode]) -> None:
    venv = make_vec_point_nav(
        2, simulator="rooms", episodes=episodes[:4], resolution=SIZE, max_episode_steps=1, autoreset_mode="SameStep"
    )
    venv.reset(seed=0)
    infos = venv.step(np.array([1, 1]))[-1]
    assert infos["episode_id"].tolist() == ["e2", "e3"] and infos["episode_id"].dtype == object
    assert infos["final_info"]["episode_id"].tolist() == ["e0", "e1"]


@pytest.mark.parametrize("order", ["file", "shuffled"])
@pytest.mark.parametrize("simulator", ["rooms", "mirage"])
def test_a_snapshot_remembers_which_episode_comes_next(
    episodes: list[Episode], world: WorldModel, simulator: str, order: str
) -> None:
    env = rooms(episodes, simulator=simulator, model=world, episode_order=order)
    played(env, 6, seed=1)
    env.step(1)
    there = env.snapshot()

    def go_on(env: NavigationEnv) -> list[Any]:
        return [env.step(2), env.step(0), env.reset(), env.step(1), env.reset(), env.reset()]

    first = go_on(env)
    env.reset(seed=77)
    env.restore(there)
    assert_same(go_on(env), first)
    other = rooms(episodes, simulator=simulator, model=world, episode_order=order)
    other.restore(there)
    assert_same(go_on(other), first)


def test_a_saved_environment_goes_on_with_the_next_episode_bit_for_bit(
    episodes: list[Episode], world: WorldModel, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"simulator": "mirage", "model": world, "episode_order": "shuffled"}
    env, path = rooms(episodes, **arguments), tmp_path / "env.safetensors"
    played(env, 5, seed=1)
    env.step(1)
    env.save(path)
    other = rooms(episodes, **arguments)
    other.load(path)
    for _ in range(4):
        assert_same(other.step(1), env.step(1))
        assert_same(other.reset(), env.reset())
    for fewer, message in (
        (rooms(episodes[:6], **arguments), "plays other episodes, or in another order"),
        (rooms(episodes, simulator="mirage", model=world), "plays other episodes, or in another order"),
        (make_point_nav(simulator="mirage", model=world, scenes="toy", resolution=SIZE), "it plays the episodes of a"),
    ):
        fewer.reset(seed=0)
        before = fewer.snapshot()
        with pytest.raises(ValueError, match=message):
            fewer.load(path)
        with pytest.raises(ValueError, match=message):
            fewer.restore(env.snapshot())
        assert fewer.snapshot().progress is before.progress
    plain = make_point_nav(simulator="mirage", model=world, scenes="toy", resolution=SIZE)
    plain.reset(seed=0)
    with pytest.raises(ValueError, match="this environment plays the episodes of a file, it does not"):
        env.restore(plain.snapshot())


def test_an_imagined_world_begins_where_the_file_says(episodes: list[Episode], world: WorldModel) -> None:
    env = rooms(episodes, simulator="mirage", model=world)
    for one in episodes:
        _, info = env.reset(seed=0 if one is episodes[0] else None)
        assert (info["episode_id"], info["imagined_fraction"]) == (one.episode_id, 0.0)
        agent = env.simulator.agent  # type: ignore[attr-defined]
        np.testing.assert_allclose(agent.position, one.start_position, atol=1e-5)
        assert env.goal is not None and env.goal.tolist() == list(one.goals[0].position)
        straight = math.dist(one.start_position, one.goals[0].position)
        assert info["distance_to_goal"] >= straight - 1e-5 or math.isinf(info["distance_to_goal"])


@pytest.mark.parametrize("order", ["file", "shuffled"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gymnasiums_checker_passes(episodes: list[Episode], order: str) -> None:
    check_gymnasium(rooms(episodes, episode_order=order), skip_render_check=True)


def far_away(one: Episode) -> Episode:
    return dataclasses.replace(one, start_position=(50.0, 0.0, 50.0))


def other_island(one: Episode) -> Episode:
    return dataclasses.replace(one, goals=(Goal((50.0, 0.0, 50.0)),))


def solved(one: Episode) -> Episode:
    return dataclasses.replace(one, goals=(Goal(one.start_position),))


@pytest.mark.parametrize("simulator", ["rooms", "mirage"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (far_away, r"its start \(50\.00, 0\.00, 50\.00\) is not navigable"),
        (other_island, "there is no way along the floor from the start to the goal"),
        (solved, r"the goal lies 0\.00 m from the start, so the episode would start solved"),
    ],
)
def test_an_episode_that_cannot_be_played_is_named_and_passed_over(
    episodes: list[Episode], world: WorldModel, simulator: str, change: Any, message: str
) -> None:
    env = rooms([episodes[0], change(episodes[1]), episodes[2]], simulator=simulator, model=world)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"^episode 'e1' of scene 'toy' cannot be played: {message}"):
        env.reset()
    assert not env.running
    assert env.reset()[1]["episode_id"] == "e2"


class Filed(RoomsSimulator):
    """Rooms whose scenes are files, as those of other simulators: a file holds the seed."""

    def reset(self, scene: Any = None, start: AgentStart | None = None) -> Any:
        return super().reset(int(Path(scene).read_text()) if isinstance(scene, str | Path) else scene, start)


def test_scene_files_are_opened_from_their_folder(episodes: list[Episode], tmp_path: Path) -> None:
    path, other = tmp_path / "scans" / "home.glb", tmp_path / "scans" / "second.glb"
    path.parent.mkdir()
    path.write_text(str(HOME))
    other.write_text(str(HOME + 1))
    made = generate_episodes(Filed(HOME), [path, str(other)], 4, episodes_per_scene=2, scenes_dir=tmp_path)  # type: ignore[arg-type]
    assert [one.scene_id for one in made] == ["scans/home.glb"] * 2 + ["scans/second.glb"] * 2
    prefixed = [dataclasses.replace(one, scene_id=f"data/scene_datasets/{one.scene_id}") for one in made]
    write_episodes(tmp_path / "val.json.gz", prefixed)
    env = rooms(tmp_path / "val.json.gz", simulator=Filed("toy", Camera(SIZE)), scenes_dir=tmp_path)
    for one, seed in zip(prefixed, (HOME, HOME, HOME + 1, HOME + 1), strict=True):
        _, info = env.reset()
        assert (info["scene_id"], env.simulator.scene) == (one.scene_id, seed)  # type: ignore[attr-defined]
        assert info["distance_to_goal"] == pytest.approx(one.geodesic_distance, abs=1e-5)


class Sceneless(RoomsSimulator):
    """Rooms that know no scene."""

    def reset(self, scene: Any = None, start: AgentStart | None = None) -> Any:
        raise FileNotFoundError(f"there is no scene file {scene}")


def test_a_scene_that_does_not_open_is_named(episodes: list[Episode]) -> None:
    file = dataclasses.replace(episodes[3], scene_id="data/scene_datasets/a/b.glb")
    with pytest.raises(ValueError, match=r"'e3' of scene '.*b\.glb' cannot be played: there is no scene file"):
        rooms([file], simulator=Sceneless("toy", Camera(SIZE))).reset()


def test_scene_files_are_looked_for_when_the_environment_is_made(episodes: list[Episode], tmp_path: Path) -> None:
    file = dataclasses.replace(episodes[3], scene_id="data/scene_datasets/a/b.glb")
    with pytest.raises(FileNotFoundError, match=r"'e3' cannot be played: its scene '.*b\.glb' is not in scenes_dir"):
        rooms([episodes[0], file], scenes_dir=tmp_path)
    with pytest.raises(NotADirectoryError, match="episode 'e3' cannot be played: there is no folder scenes_dir="):
        rooms([file], scenes_dir=tmp_path / "nowhere")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.glb").touch()
    assert make_playlist([file], tmp_path).scenes == (str(tmp_path / "a" / "b.glb"),)
    with pytest.raises(ValueError, match=r"'e3' cannot be played in rooms: its scene '.*b\.glb' is neither"):
        rooms([episodes[0], file], scenes_dir=tmp_path)


def test_wrong_arguments_are_refused_by_name(episodes: list[Episode], world: WorldModel) -> None:
    two = dataclasses.replace(episodes[0], goals=(Goal((0.0, 0.0, 0.0)), Goal((1.0, 0.0, 0.0))))
    for arguments, message in (
        ({"episodes": [two]}, "episode 'e0' has 2 goals; PointNav is played with one"),
        ({"episodes": []}, "at least one episode"),
        ({"episode_order": "random"}, "unknown episode_order 'random'; valid are file, shuffled"),
        ({"scenes": "toy"}, "say in which scenes they are; leave scenes out"),
        ({"episodes": None, "episode_order": "shuffled"}, "give episodes="),
        ({"episodes": None, "scenes_dir": "x"}, "give episodes="),
    ):
        with pytest.raises(ValueError, match=message):
            rooms(**{"episodes": episodes, **arguments})
    with pytest.raises(TypeError, match=r"must be a file of PointNav episodes or a sequence of .* got int"):
        rooms(3)
    with pytest.raises(ValueError, match="FreeCamera has no goal"):
        make_free_camera(simulator="rooms", episodes=episodes)
    with pytest.raises(ValueError, match="episodes can be picked only from a file"):
        make_point_nav(simulator="rooms", scenes="toy", resolution=SIZE).reset(options={"episode": "e0"})
    with pytest.raises(ValueError, match="no source of scenes"):
        rooms(episodes, simulator=ImaginedSimulator(world, camera=Camera(SIZE))).reset()


def test_a_place_in_a_damaged_file_is_refused() -> None:
    one = Episode("0", "toy", (0.0, 0.0, 0.0), rotation_of(0.0), (Goal((1.0, 0.0, 1.0)),))
    playlist = Playlist((one,) * 4, ("toy",) * 4, world=1, worlds=2)
    for playing, turn in ((4, (0, 0)), (-1, (0, 0)), (0, (2, 0)), (0, (0, -1)), (0.5, (0, 0)), (True, (0, 0))):
        with pytest.raises(ValueError, match="at no place in the list"):
            playlist.resume([playlist.fingerprint, playing, turn])
    assert playlist.resume([playlist.fingerprint, 3, [1, 0]]).turn == Turn(1, 0)
