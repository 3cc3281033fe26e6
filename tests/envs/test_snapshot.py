"""A whole environment as a value, and in a file: from both it goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded

from mirage_env.envs.factory import make_free_camera, make_point_nav
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.simulators.imagined import ImaginedSimulator, StartView
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.box_room import pose, room_view
from tests.same_bits import assert_same
from tests.small_world import small_world

SIZE = 32
KEYS = ("rgb", "depth", "memory", "visible", "pose", "odometry")


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    with one_thread():
        yield small_world()


def made(world: WorldModel, make: Any = make_point_nav, **arguments: Any) -> NavigationEnv:
    keys = (*KEYS, "pointgoal") if make is make_point_nav else KEYS
    arguments = {"simulator": "mirage", "scenes": "toy", "resolution": SIZE, "observations": keys, **arguments}
    return make(model=world, **arguments)


def go_on(env: NavigationEnv, seed: int, steps: int = 7) -> list[Any]:
    """What happens from here: steps, the end of the episode, and the beginning of the next."""
    rng = np.random.default_rng(seed)
    given: list[Any] = [env.render()]
    given += [env.step(int(rng.integers(1, 4))) for _ in range(steps)]
    return [*given, env.step(0), env.reset(), env.step(2)]


@pytest.mark.parametrize("simulator", ["mirage", "rooms"])
def test_a_restored_environment_goes_on_as_it_did(world: WorldModel, simulator: str) -> None:
    keys = ("rgb", "pose", "pointgoal")
    env = made(world, simulator=simulator, observations=keys, render_mode="rgb_array")
    env.reset(seed=3)
    last = [env.step(action) for action in (2, 1, 1)][-1]
    there = env.snapshot()
    first = go_on(env, 1)
    for _ in range(2):
        observed, info = env.restore(there)
        assert_same((observed, info), (last[0], last[-1]))
        assert_same(go_on(env, 1), first)
    env.restore(there)
    assert env.running and env.step(2)[-1]["pose"].shape == (4, 4)


@pytest.mark.parametrize("make", [make_point_nav, make_free_camera])
def test_a_loaded_environment_goes_on_bit_for_bit(world: WorldModel, make: Any, tmp_path: Path) -> None:
    env = made(world, make, render_mode="rgb_array")
    env.reset(seed=3)
    last = [env.step(action) for action in (2, 2, 1, 1, 3)][-1]
    env.save(tmp_path / "episode.safetensors")
    other = made(world, make, render_mode="rgb_array")
    assert_same(other.load(tmp_path / "episode.safetensors"), (last[0], last[-1]))
    assert_same(go_on(other, 1), go_on(env, 1))


def test_a_world_of_a_photograph_remembers_how_it_began(world: WorldModel, tmp_path: Path) -> None:
    image, depth = room_view(pose(), SIZE)
    simulators = [ImaginedSimulator(world, camera=made(world).simulator.camera) for _ in range(2)]
    env, other = (made(world, simulator=simulator, scenes=None) for simulator in simulators)
    env.reset(seed=1, options={"image": image, "depth": depth})
    env.step(1)
    env.save(tmp_path / "photo.safetensors")
    other.load(tmp_path / "photo.safetensors")
    opening = simulators[1].snapshot().opening
    assert isinstance(opening, StartView) and np.array_equal(opening.image, image)
    np.testing.assert_array_equal(opening.depth, depth.astype(np.float32))
    assert_same(go_on(other, 1), go_on(env, 1))


def test_what_cannot_be_saved_or_does_not_fit_is_refused_and_changes_nothing(world: WorldModel, tmp_path: Path) -> None:
    env, path = made(world), tmp_path / "episode.safetensors"
    with pytest.raises(ResetNeeded, match="no episode has begun"):
        env.save(path)
    env.reset(seed=2)
    env.save(path)
    true = made(world, simulator="rooms", observations="rgb")
    true.reset(seed=2)
    with pytest.raises(TypeError, match="only imagined worlds can be saved"):
        true.save(tmp_path / "true")
    with pytest.raises(TypeError, match='simulator="mirage"'):
        true.load(path)
    with pytest.raises(TypeError, match=r"what snapshot\(\) gave, got dict"):
        env.restore({})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the snapshot is of PointNav, this environment of FreeCamera"):
        made(world, make_free_camera).restore(env.snapshot())
    torch.manual_seed(1)
    stranger = small_world(seed=7)
    refused = [
        (made(world, make_free_camera), "it is of PointNav, this environment of FreeCamera"),
        (made(world, resolution=2 * SIZE), "32x32 pixels of another camera"),
        (made(world, hfov=60), "of another camera than this one of 32 pixels and 60 degrees"),
        (made(stranger), "made by another codec"),
    ]
    for other, message in refused:
        before = other.reset(seed=9)
        with pytest.raises(ValueError, match=message):
            other.load(path)
        assert_same(other.reset(seed=9), before)
    before = env.snapshot()
    whole = path.read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        env.load(tmp_path / "cut")
    env.simulator.state.save(tmp_path / "state")
    with pytest.raises(ValueError, match=r"does not hold a mirage_env\.NavigationEnv"):
        env.load(tmp_path / "state")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        env.load(tmp_path / "missing")
    assert env.running and env.snapshot().progress is before.progress
