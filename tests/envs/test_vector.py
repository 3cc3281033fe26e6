"""Many environments in one: what a world gives does not depend on its batch, and all of them make one batch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space, iterate
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT
from mirage_env.envs.factory import make_free_camera, make_point_nav
from mirage_env.envs.vector import NavigationVectorEnv
from mirage_env.envs.vector_factory import make_vec_free_camera, make_vec_point_nav
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.exact_world import exact_world
from tests.same_bits import assert_same
from tests.small_world import small_world

SIZE = 32
KEYS = ("rgb", "depth", "latent", "memory", "visible", "pointgoal", "pose", "odometry")
WALK = np.array([[1, 2, 3], [1, 1, 2], [2, 1, 1], [1, 3, 0], [3, 1, 1], [1, 1, 1], [2, 2, 1], [1, 0, 1], [1, 1, 3]])
"""Actions of three worlds; some of them stop."""
MODES = list(AutoresetMode)


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    """Without convolutions, so that its batches are exact on any machine."""
    with one_thread():
        yield exact_world()


def arguments(world: WorldModel, **others: Any) -> dict[str, Any]:
    return {"simulator": "mirage", "scenes": "toy", "model": world, "resolution": SIZE, **others}


def vector(world: WorldModel, count: int = 3, make: Any = make_vec_point_nav, **others: Any) -> NavigationVectorEnv:
    return make(count, **arguments(world, **others))


def world_of(given: tuple[Any, ...], i: int, venv: NavigationVectorEnv) -> tuple[Any, ...]:
    """What world i got of what ``reset`` or ``step`` gave."""
    observed, *numbers, infos = given
    own = list(iterate(venv.observation_space, observed))[i]
    info = {key: value[i] for key, value in infos.items() if not key.startswith("_") and infos[f"_{key}"][i]}
    return own, *(array[i] for array in numbers), info


# What a world gives is what it gives alone.


@pytest.mark.parametrize("imagine", ["new", "always", "never"])
def test_a_world_is_the_same_alone_and_in_any_batch_at_any_place(imagine: str, world: WorldModel) -> None:
    options = {"observations": KEYS, "imagine": imagine, "max_episode_steps": 5, "flatten": False}
    alone: dict[int, list[Any]] = {}
    for column, seed in enumerate((5, 6, 7)):
        env = make_point_nav(**arguments(world, **options))
        given: list[Any] = [env.reset(seed=seed)]
        ended = False
        for action in WALK[:, column]:
            if ended:
                observed, info = env.reset()
                given.append((observed, 0.0, False, False, info))
            else:
                given.append(env.step(action))
            ended = given[-1][2] or given[-1][3]
        alone[column] = given
    assert any(step[2] for given in alone.values() for step in given[1:])
    assert any(step[3] for given in alone.values() for step in given[1:])
    for places in ([0, 1, 2], [2, 0, 1], [1]):
        venv = vector(world, len(places), **options)
        given = [venv.reset(seed=[5 + column for column in places])]
        given += [venv.step(WALK[step, places]) for step in range(len(WALK))]
        for place, column in enumerate(places):
            for mine, single in zip(given, alone[column], strict=True):
                got = world_of(mine, place, venv)
                assert_same(got[0], single[0])
                assert got[1:-1] == single[1:-1]
                assert got[-1].keys() == single[-1].keys()
                for key, value in single[-1].items():
                    np.testing.assert_array_equal(got[-1][key], value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("simulator", "keys"),
    [("mirage", ("rgb", "memory", "pointgoal")), ("rooms", ("rgb", "pointgoal")), ("rooms", ("memory", "latent"))],
)
def test_it_gives_what_gymnasiums_own_vector_gives(
    mode: AutoresetMode, simulator: str, keys: tuple[str, ...], world: WorldModel
) -> None:
    options = arguments(world, simulator=simulator, observations=keys, max_episode_steps=4)
    mine = make_vec_point_nav(3, autoreset_mode=mode, **options)
    own = SyncVectorEnv([lambda: make_point_nav(**options)] * 3, autoreset_mode=mode)
    assert_same(mine.reset(seed=3), own.reset(seed=3))
    for actions in WALK:
        given = mine.step(actions)
        assert_same(given, own.step(actions))
        ended = given[2] | given[3]
        if mode is AutoresetMode.DISABLED and ended.any():
            again = [venv.reset(options={"reset_mask": ended.copy()}) for venv in (mine, own)]
            assert_same(*again)
    assert mine.observation_space == own.observation_space and mine.action_space == own.action_space
    assert mine.single_observation_space == own.single_observation_space
    assert mine.single_action_space == own.single_action_space
    assert mine.metadata == own.metadata
    assert mine.np_random_seed == own.np_random_seed
    assert len(mine.np_random) == 3


@pytest.mark.parametrize("actions", ["velocity", "camera"])
def test_other_actions_move_each_world_as_alone(actions: str, world: WorldModel) -> None:
    options = arguments(world, observations=("memory", "pose"), actions=actions)
    venv = make_vec_free_camera(2, **options)
    own = SyncVectorEnv([lambda: make_free_camera(**options)] * 2)
    venv.action_space.seed(0)
    assert_same(venv.reset(seed=1), own.reset(seed=1))
    for _ in range(3):
        action = venv.action_space.sample()
        assert_same(venv.step(action), own.step(action))


def test_networks_change_no_more_than_the_last_bits() -> None:
    """Convolutions round differently for other batch sizes; reads do not."""
    options = arguments(small_world(), observations=("memory", "visible", "rgb", "depth"), imagine="never")
    mine, own = make_vec_point_nav(3, **options), SyncVectorEnv([lambda: make_point_nav(**options)] * 3)
    mine.reset(seed=0), own.reset(seed=0)
    for actions in WALK[:4]:
        (got, *numbers, infos), (wanted, *others, expected) = mine.step(actions), own.step(actions)
        for key in ("memory", "visible", "depth"):
            np.testing.assert_array_equal(got[key], wanted[key])
        assert np.abs(got["rgb"].astype(int) - wanted["rgb"]).max() <= 1
        assert_same(numbers, others)
        assert_same(infos, expected)


# One batch for all.


def test_a_step_is_one_batch_of_the_worlds_that_move(world: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    venv = vector(world, 4, make_vec_free_camera, observations=("rgb", "memory"))
    venv.reset(seed=0)
    sizes: dict[str, list[int]] = {"step": [], "decode": []}
    step, decode = WorldModel.step_batch, world.codec.decode

    def counted_step(self: WorldModel, states: Any, *others: Any) -> Any:
        sizes["step"].append(len(states))
        return step(self, states, *others)

    def counted_decode(latents: torch.Tensor, sampling: Any = None) -> torch.Tensor:
        sizes["decode"].append(len(latents))
        return decode(latents, sampling)

    monkeypatch.setattr(WorldModel, "step_batch", counted_step)
    monkeypatch.setattr(world.codec, "decode", counted_decode)
    venv.step([MOVE_FORWARD, TURN_LEFT, TURN_RIGHT, MOVE_FORWARD])
    venv.step([MOVE_FORWARD, STOP, TURN_RIGHT, STOP])
    venv.step([STOP] * 4)
    assert sizes == {"step": [4, 2], "decode": [4, 2]}


def test_memories_of_true_rooms_are_read_in_one_pass(world: WorldModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from mirage_env.simulators import remembering

    venv = vector(world, 3, simulator="rooms", observations="memory")
    venv.reset(seed=0)
    sizes: list[int] = []
    read = remembering.read_many
    monkeypatch.setattr(
        remembering, "read_many", lambda memories, *a, **k: (sizes.append(len(memories)), read(memories, *a, **k))[1]
    )
    venv.step([MOVE_FORWARD, TURN_LEFT, TURN_RIGHT])
    assert sizes == [3]


def test_observations_are_new_at_every_step(world: WorldModel) -> None:
    venv = vector(world, 2, observations="memory")
    first, _ = venv.reset(seed=0)
    kept = first.copy()
    second = venv.step([TURN_LEFT, TURN_LEFT])[0]
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)


# Made by Gymnasium.


@pytest.mark.parametrize("env_id", ["Mirage/PointNav-v0", "Mirage/FreeCamera-v0"])
def test_make_vec_makes_it(env_id: str, world: WorldModel) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        venv = gymnasium.make_vec(env_id, num_envs=2, **arguments(world))
        assert isinstance(venv, NavigationVectorEnv)
        assert venv.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
        assert venv.spec is not None and venv.spec.id == env_id
        assert all(env.max_episode_steps == 500 for env in venv.envs)
        assert venv.observation_space == batch_space(venv.single_observation_space, 2)
        observed, infos = venv.reset(seed=0)
        assert observed in venv.observation_space and infos["pose"].shape == (2, 4, 4)
        venv.action_space.seed(0)
        observed, rewards, *ends, _ = venv.step(venv.action_space.sample())
        assert observed in venv.observation_space
        assert rewards.dtype == np.float64 and all(end.dtype == np.bool_ and end.shape == (2,) for end in ends)
        venv.close()
    same = gymnasium.make_vec(env_id, 2, autoreset_mode="SameStep", max_episode_steps=-1, **arguments(world))
    assert same.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert all(env.max_episode_steps is None for env in same.envs)  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_gymnasiums_wrappers_count_its_episodes(mode: AutoresetMode, world: WorldModel) -> None:
    options = {"simulator": "rooms", "observations": "pose", "max_episode_steps": 3, "autoreset_mode": mode}
    venv = RecordEpisodeStatistics(vector(world, 2, **options))
    venv.reset(seed=0)
    lengths = []
    for _ in range(9):
        infos = venv.step(np.array([TURN_LEFT, TURN_LEFT]))[-1]
        if "episode" in infos:
            lengths += infos["episode"]["l"].tolist()
    assert lengths and set(lengths) == {3}


def test_each_world_may_have_a_simulator_of_its_own(world: WorldModel) -> None:
    simulators = [RoomsSimulator("toy", Camera(SIZE)) for _ in range(2)]
    venv = make_vec_point_nav(2, simulator=simulators, observations="pose")
    assert [env.simulator for env in venv.envs] == simulators
    for given in (simulators[0], simulators[:1], [simulators[0]] * 2):
        with pytest.raises(ValueError, match=r"every world needs a simulator of its own.*sequence of 2 different"):
            make_vec_point_nav(2, simulator=given, observations="pose")


def test_render_gives_a_picture_per_world(world: WorldModel) -> None:
    venv = vector(world, 2, observations="rgb", render_mode="rgb_array")
    with pytest.raises(ResetNeeded):
        venv.render()
    observed, _ = venv.reset(seed=0)
    np.testing.assert_array_equal(np.stack(venv.render()), observed)  # type: ignore[arg-type]
    quiet = vector(world, 2)
    assert quiet.render() == (None, None)


# Resets.


def test_a_mask_resets_some_worlds_and_leaves_the_others(world: WorldModel) -> None:
    venv = vector(world, 3, observations=("pose", "memory"))
    start, _ = venv.reset(seed=0)
    after, *_ = venv.step([MOVE_FORWARD, TURN_LEFT, TURN_LEFT])
    options = {"reset_mask": np.array([True, False, True])}
    observed, infos = venv.reset(seed=[0, None, 9], options=options)
    assert set(options) == {"reset_mask"}
    np.testing.assert_array_equal(infos["_pose"], [True, False, True])
    for key in observed:
        np.testing.assert_array_equal(observed[key][0], start[key][0])
        np.testing.assert_array_equal(observed[key][1], after[key][1])
    assert venv.np_random_seed == (0, 1, 9)
    fresh = vector(world, 1, observations=("pose", "memory")).reset(seed=9)[0]
    np.testing.assert_array_equal(observed["memory"][2], fresh["memory"][0])


def test_options_hold_for_all_worlds_that_are_reset(world: WorldModel) -> None:
    venv = vector(world, 2, simulator="rooms", observations="pointgoal")
    observed, infos = venv.reset(seed=0, options={"goal": (-1.0, 0.0, -2.0)})
    assert (infos["distance_to_goal"] >= 1.0).all()
    again, _ = venv.reset(seed=[0, 1], options={"goal": (-1.0, 0.0, -2.0), "reset_mask": None})
    np.testing.assert_array_equal(observed, again)


def test_a_reset_that_fails_leaves_no_world_half_way(world: WorldModel) -> None:
    venv = vector(world, 2, simulator="rooms", observations="pose")
    venv.reset(seed=0)
    with pytest.raises(ValueError, match="no start and goal between"):
        venv.reset(options={"goal": (1.0, 0.0, -1.0), "reset_mask": np.array([False, True])})
    with pytest.raises(ResetNeeded, match=r"no episode is running in world 1; call reset\(\)"):
        venv.step([1, 1])
    venv.reset(options={"reset_mask": np.array([False, True])})
    venv.step([1, 1])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"options": {"reset_mask": [True, False]}}, TypeError, "must be a numpy array of bool, .* got list"),
        ({"options": {"reset_mask": np.array([1, 0])}}, TypeError, "numpy array of bool, one per world, got int64"),
        ({"options": {"reset_mask": np.array([True])}}, ValueError, r"must have shape \(2,\).* got \(1,\)"),
        ({"options": {"reset_mask": np.zeros(2, bool)}}, ValueError, "at least one world"),
        ({"options": {"start": 1}}, ValueError, "unknown reset option 'start'"),
        ({"options": 5}, TypeError, "must be a dictionary, got int"),
        ({"seed": [1]}, ValueError, "one per world, got 1 for 2 worlds"),
        ({"seed": [1, "a"]}, TypeError, "seeds must be whole numbers or None, got 'a'"),
        ({"seed": 1.5}, TypeError, "seed must be a whole number, .* got 1.5"),
        ({"seed": -1}, ValueError, "seeds must be 0 or above, got -1"),
    ],
)
def test_a_reset_that_makes_no_sense_changes_nothing(
    given: dict[str, Any], error: type[Exception], message: str, world: WorldModel
) -> None:
    venv = vector(world, 2, observations="pose")
    venv.reset(seed=0)
    venv.step([MOVE_FORWARD, TURN_LEFT])
    before = [env.state for env in venv.envs]
    with pytest.raises(error, match=message) as raised:
        venv.reset(**given)
    assert "\n" not in str(raised.value)
    assert all(env.state is state for env, state in zip(venv.envs, before, strict=True))
    venv.step([MOVE_FORWARD, TURN_LEFT])


def test_a_mask_cannot_come_first(world: WorldModel) -> None:
    venv = vector(world, 2, observations="pose")
    with pytest.raises(ResetNeeded, match=r"no episode is running in worlds 0, 1; call reset\(\)"):
        venv.step([1, 1])
    with pytest.raises(ResetNeeded, match="no episode has begun in world 0"):
        venv.reset(options={"reset_mask": np.array([False, True])})


# Bad input.


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([1], r"actions must be 2 whole numbers, one action per world, got int64 values of shape \(1,\)"),
        ([1, 1, 1], r"got int64 values of shape \(3,\)"),
        ([[1], [1]], r"got int64 values of shape \(2, 1\)"),
        ([1.0, 2.0], "got float64 values"),
        ([True, False], "got bool values"),
        (["1", "2"], "got <U1 values"),
        (None, "got object values"),
        (1, r"of shape \(\)"),
        ([1, 4], r"world 1: a discrete action must be 0 \(stop\).*got"),
        ([-1, 1], "world 0: a discrete action must be"),
    ],
)
def test_actions_that_make_no_sense_change_no_world(actions: Any, message: str, world: WorldModel) -> None:
    venv = vector(world, 2, observations="pose")
    venv.reset(seed=0)
    before = [env.state for env in venv.envs]
    with pytest.raises(ValueError, match=message) as raised:
        venv.step(actions)
    assert "\n" not in str(raised.value)
    assert all(env.state is state for env, state in zip(venv.envs, before, strict=True))
    venv.step([1, 2])


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 3)), r"numbers of shape \(2, 2\), one action per world, got float64 values of shape \(2, 3\)"),
        (np.zeros((2, 2), complex), "got complex128 values"),
        ([[0.0, 0.0], [0.0, np.nan]], "world 1: a velocity action must be two numbers"),
        ([[1.5, 0.0], [0.0, 0.0]], "world 0: a velocity action must be two numbers"),
    ],
)
def test_velocities_that_make_no_sense_change_no_world(actions: Any, message: str, world: WorldModel) -> None:
    venv = vector(world, 2, observations="pose", actions="velocity")
    venv.reset(seed=0)
    before = [env.state for env in venv.envs]
    with pytest.raises(ValueError, match=message):
        venv.step(actions)
    assert all(env.state is state for env, state in zip(venv.envs, before, strict=True))


def test_an_ended_episode_waits_for_its_reset_when_nothing_resets_it(world: WorldModel) -> None:
    venv = vector(world, 2, observations="pose", autoreset_mode="Disabled")
    venv.reset(seed=0)
    assert venv.step([STOP, MOVE_FORWARD])[2].tolist() == [True, False]
    state = venv.envs[1].state
    with pytest.raises(ResetNeeded, match=r"no episode is running in world 0; call reset\(\), or .*reset_mask"):
        venv.step([MOVE_FORWARD, MOVE_FORWARD])
    assert venv.envs[1].state is state
    venv.reset(options={"reset_mask": np.array([True, False])})
    venv.step([MOVE_FORWARD, MOVE_FORWARD])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"num_envs": 0}, ValueError, "num_envs must be at least 1, got 0"),
        ({"num_envs": -2}, ValueError, "num_envs must be at least 1, got -2"),
        ({"num_envs": 2.0}, TypeError, "num_envs must be a whole number of worlds, got 2.0"),
        ({"num_envs": "two"}, TypeError, "num_envs must be a whole number of worlds, got 'two'"),
        ({"num_envs": True}, TypeError, "num_envs must be a whole number of worlds, got True"),
        (
            {"autoreset_mode": "later"},
            ValueError,
            "unknown autoreset_mode 'later'; valid are NextStep, SameStep, Disabled",
        ),
        ({"observations": "video"}, ValueError, "unknown observations 'video'"),
    ],
)
def test_what_cannot_be_made_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str, world: WorldModel
) -> None:
    with pytest.raises(error, match=message):
        gymnasium.make_vec("Mirage/PointNav-v0", **{"num_envs": 2, **arguments(world), **changes})


def test_a_closed_vector_says_so(world: WorldModel) -> None:
    venv = vector(world, 2, observations="pose", render_mode="rgb_array")
    venv.reset(seed=0)
    venv.close()
    venv.close()
    for call in (lambda: venv.step([1, 1]), venv.reset, venv.render):
        with pytest.raises(ClosedEnvironmentError, match=r"\(\) was called on a closed environment"):
            call()
    assert venv.closed
