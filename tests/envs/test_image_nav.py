"""``Mirage/ImageNav-v0``: where the goal image comes from, that it stays, and that it comes back from files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env import geometry
from mirage_env.data.episodes import Episode, Goal
from mirage_env.envs.factory import make_image_nav, make_point_nav
from mirage_env.envs.vector_factory import make_vec_image_nav
from mirage_env.lighting import Lighting, relit
from mirage_env.policies import ShortestPathFollower
from mirage_env.simulators.base import Camera
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.box_room import pose, room_view
from tests.exact_world import exact_world
from tests.same_bits import assert_same
from tests.small_world import small_world

SIZE = 32
KEYS = ("rgb", "imagegoal", "goal_latent", "pointgoal")
WORLDS = ("mirage", "rooms")


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    with one_thread():
        yield small_world()


def made(world: WorldModel, simulator: Any = "mirage", make: Any = make_image_nav, **more: Any) -> Any:
    arguments = {"scenes": "toy", "model": world, "resolution": SIZE, "observations": KEYS, "flatten": False}
    return make(simulator=simulator, **arguments | more)


def goal_yaw(env: Any) -> float:
    return float(env.snapshot().progress.state.yaw)


def test_truth_and_imagination_show_the_same_true_goal(world: WorldModel) -> None:
    envs = [made(world, simulator) for simulator in WORLDS]
    for seed in (0, 1, None):
        (imagined, _), (true, _) = (env.reset(seed=seed) for env in envs)
        np.testing.assert_array_equal(imagined["imagegoal"], true["imagegoal"])
        np.testing.assert_array_equal(envs[0].goal, envs[1].goal)
        assert goal_yaw(envs[0]) == goal_yaw(envs[1])
        pose = geometry.camera_pose(envs[1].goal, goal_yaw(envs[1]), 1.25)
        np.testing.assert_array_equal(true["imagegoal"], envs[1].simulator.render_views(pose)[0][0])


@pytest.mark.parametrize("simulator", WORLDS)
def test_the_goal_stays_while_the_agent_goes_and_is_another_in_the_next_episode(
    world: WorldModel, simulator: str
) -> None:
    env = made(world, simulator)
    begun, info = env.reset(seed=0)
    assert info["success_strict"] is False
    for action in (1, 2, 1, 3):
        observed, *_ = env.step(action)
        for key in ("imagegoal", "goal_latent"):
            np.testing.assert_array_equal(observed[key], begun[key])
    assert not np.array_equal(env.reset()[0]["imagegoal"], begun["imagegoal"])


@pytest.mark.parametrize("simulator", WORLDS)
def test_latents_of_the_goal_are_those_of_its_image(world: WorldModel, simulator: str) -> None:
    env = made(world, simulator)
    for seed in (0, 1):
        observed, _ = env.reset(seed=seed)
        np.testing.assert_array_equal(observed["goal_latent"], world.encode(observed["imagegoal"]))
    observed["goal_latent"][:] = 0  # what is handed out is the reader's own
    assert env.step(2)[0]["goal_latent"].any()


def test_a_follower_of_shortest_paths_solves_it_and_stops_within_a_metre(world: WorldModel) -> None:
    env = made(world, "rooms", observations=("imagegoal",))
    for stop_within, strict in ((0.9, False), (0.15, True)):
        policy = ShortestPathFollower(env, stop_within=stop_within)
        observed, info = env.reset(seed=3)
        done = False
        while not done:
            observed, reward, done, _, info = env.step(policy.act(observed, info))
        assert (info["success"], info["success_strict"]) == (True, strict)
        assert reward > 2


def test_a_world_of_a_photograph_imagines_its_goal_and_stays_as_it_is(world: WorldModel) -> None:
    image, depth = room_view(pose(), SIZE)
    simulator = ImaginedSimulator(world, camera=Camera(SIZE))
    begin = {"image": image, "depth": depth, "goal": (0.0, 0.0, -2.0)}
    env = made(world, simulator, scenes=None)
    observed, _ = env.reset(seed=1, options=begin)
    plain = made(world, ImaginedSimulator(world, camera=Camera(SIZE)), make_point_nav, scenes=None, observations="rgb")
    plain.reset(seed=1, options=begin)
    assert len(env.state.memory) == len(plain.state.memory) and env.state.steps == plain.state.steps
    goal_pose = geometry.camera_pose(env.goal, goal_yaw(env), 1.25)
    np.testing.assert_array_equal(observed["imagegoal"], world.step(env.state, goal_pose)[1].rgb)
    np.testing.assert_array_equal(env.step(1)[0]["rgb"], plain.step(1)[0])


@pytest.mark.parametrize("simulator", WORLDS)
def test_a_picture_of_ones_own_is_shown_as_the_goal(world: WorldModel, simulator: str) -> None:
    env = made(world, simulator)
    env.reset(seed=0)
    goal, place = env.goal, env.simulator.agent
    start = geometry.camera_pose(place.position, place.yaw, 1.25)
    picture = np.full((40, 60, 3), (200, 30, 60), np.uint8)
    observed, info = env.reset(seed=5, options={"pose": start, "goal": tuple(goal), "goal_image": picture})
    assert (observed["imagegoal"] == [200, 30, 60]).all()
    assert info["distance_to_goal"] > 1
    assert not (env.reset()[0]["imagegoal"] == [200, 30, 60]).all()


@pytest.mark.parametrize("simulator", WORLDS)
def test_listed_episodes_look_the_same_way_in_every_world(world: WorldModel, simulator: str) -> None:
    maker = made(world, "rooms")
    listed = []
    for i in range(2):
        maker.reset(seed=i)
        place, goal = maker.simulator.agent, tuple(maker.goal)
        listed.append(Episode(f"{i}", "toy", place.position, (0.0, 0.0, 0.0, 1.0), (Goal(goal),)))
    env = made(world, simulator, scenes="val", episodes=listed)
    first, info = env.reset(seed=0)
    assert info["episode_id"] == "0"
    yaws = [goal_yaw(env)]
    env.reset()
    yaws.append(goal_yaw(env))
    np.testing.assert_allclose(yaws, [-2.051393, -1.469351], atol=1e-6)  # on any machine, in any process
    again, _ = env.reset(seed=99, options={"episode": "0"})
    np.testing.assert_array_equal(again["imagegoal"], first["imagegoal"])


@pytest.mark.parametrize("simulator", WORLDS)
def test_snapshots_carry_the_goal(world: WorldModel, simulator: str) -> None:
    env = made(world, simulator)
    env.reset(seed=2)
    last = env.step(1)
    there = env.snapshot()
    then = [env.step(2), env.step(0), env.reset()]
    other = made(world, simulator)
    for one in (env, other):
        one.reset(seed=8)
        assert_same(one.restore(there), (last[0], last[-1]))
        assert_same([one.step(2), one.step(0), one.reset()], then)


@pytest.mark.parametrize("own", [False, True])
def test_files_carry_the_goal_bit_for_bit(world: WorldModel, own: bool, tmp_path: Path) -> None:
    env, path = made(world), tmp_path / "episode.safetensors"
    env.reset(seed=2)
    if own:
        picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        env.reset(seed=3, options={"goal": tuple(env.goal), "goal_image": picture})
    last = env.step(1)
    env.save(path)
    other = made(world)
    assert_same(other.load(path), (last[0], last[-1]))
    assert_same([other.step(2), other.step(0), other.reset()], [env.step(2), env.step(0), env.reset()])
    with pytest.raises(ValueError, match="it is of ImageNav, this environment of PointNav"):
        made(world, make=make_point_nav, observations="rgb").load(path)


@pytest.mark.parametrize("simulator", WORLDS)
def test_a_vector_gives_what_single_ones_give(simulator: str) -> None:
    with one_thread():
        exact = exact_world()
        venv = made(exact, simulator, make_vec_image_nav, num_envs=3)
        given, infos = venv.reset(seed=4)
        stepped = venv.step(np.array([1, 2, 0]))
        for i in range(3):
            env = made(exact, simulator)
            alone, info = env.reset(seed=4 + i)
            after = env.step((1, 2, 0)[i])
            for key in KEYS:
                np.testing.assert_array_equal(given[key][i], alone[key])
                np.testing.assert_array_equal(stepped[0][key][i], after[0][key])
            assert bool(infos["success_strict"][i]) is info["success_strict"]


@pytest.mark.parametrize("simulator", WORLDS)
def test_the_goal_is_seen_in_the_light_and_by_the_camera_of_the_episode(world: WorldModel, simulator: str) -> None:
    light = Lighting(0.6, 1.0, 4000)
    plain = made(world, simulator, hfov=70, camera_height=1.4).reset(seed=0)[0]
    drawn = {"lighting": light._asdict(), "hfov": 70, "camera_height": 1.4}
    observed, _ = made(world, simulator, randomise=drawn).reset(seed=0)
    np.testing.assert_array_equal(observed["imagegoal"], relit(plain["imagegoal"], light))


def test_the_ids_are_registered_with_the_fields_defaults(world: WorldModel) -> None:
    env = gymnasium.make("Mirage/ImageNav-v0", simulator="rooms", scenes="toy", resolution=SIZE)
    assert set(env.observation_space.spaces) == {"rgb", "imagegoal"}  # type: ignore[attr-defined]
    assert env.unwrapped.task.success_distance == 1.0  # type: ignore[attr-defined]
    venv = gymnasium.make_vec("Mirage/ImageNav-v0", 2, simulator="rooms", scenes="toy", success_distance=0.5)
    assert venv.unwrapped.envs[0].task.success_distance == 0.5  # type: ignore[attr-defined]


def test_bad_options_are_refused_in_one_sentence(world: WorldModel) -> None:
    env, other = made(world, "rooms"), made(world, "rooms", make_point_nav, observations="rgb")
    picture = np.zeros((20, 20, 3), np.uint8)
    for one, options, message in (
        (env, {"goal_image": picture}, r"a goal_image says nothing of where it was taken; give the option goal"),
        (env, {"goal_image": "nowhere.png", "goal": (0, 0, 0)}, "there is no image at nowhere.png"),
        (
            other,
            {"goal_image": picture, "goal": (0, 0, 0)},
            "PointNav shows no goal image; leave the option goal_image",
        ),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            one.reset(options=options)
    with pytest.raises(ValueError, match="goal_latent is an observation of ImageNav, and PointNav has no goal image"):
        made(world, "rooms", make_point_nav, observations="goal_latent")
    with pytest.raises(ValueError, match="success_distance must be above 0"):
        made(world, "rooms", success_distance=0)
