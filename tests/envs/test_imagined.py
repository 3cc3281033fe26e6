"""The environment over imagined worlds: what it takes from the truth, what it decodes, how a photograph becomes one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.envs.actions import MOVE_FORWARD, TURN_LEFT
from mirage_env.envs.factory import make_free_camera, make_point_nav
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.simulators.base import Camera
from mirage_env.simulators.imagined import ImaginedSimulator, StartView
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.state import WorldState
from mirage_env.workers import one_thread
from mirage_env.world import WorldModel
from tests.small_world import CHANNELS, STRIDE, small_world

SIZE = 48
CELLS = SIZE // STRIDE
KEYS = ("rgb", "depth", "latent", "memory", "visible", "pose")


@pytest.fixture(scope="module")
def world() -> Iterator[WorldModel]:
    with one_thread():
        yield small_world()


def mirage(world: WorldModel, make: Any = make_point_nav, **arguments: Any) -> NavigationEnv:
    return make(**{"simulator": "mirage", "scenes": "toy", "model": world, "resolution": SIZE, **arguments})


class CountingDecoder(torch.nn.Module):
    """A codec that counts how often it decodes."""

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.codec, self.channels, self.stride = codec, codec.channels, codec.stride
        self.decoded = 0

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.codec.encode(images)

    def decode(self, latents: torch.Tensor, sampling: Any = None) -> torch.Tensor:
        self.decoded += 1
        return self.codec.decode(latents, sampling)


def rollout(env: NavigationEnv, seed: int) -> list[Any]:
    env.action_space.seed(seed)
    given: list[Any] = [env.reset(seed=seed)]
    for _ in range(2):
        given += [env.step(1 + env.action_space.sample() % 3) for _ in range(4)]
        given.append(env.reset())
    return given


def flattened(given: Any) -> list[Any]:
    if isinstance(given, dict):
        return [leaf for key in sorted(given) for leaf in flattened(given[key])]
    if isinstance(given, (list, tuple)):
        return [leaf for part in given for leaf in flattened(part)]
    return [given.tobytes() if isinstance(given, np.ndarray) else given]


def test_the_same_seed_and_actions_give_the_same_bits(world: WorldModel) -> None:
    arguments = {"observations": KEYS, "imagine": "always"}
    env = mirage(world, **arguments)
    one = flattened(rollout(env, 5))
    assert one == flattened(rollout(env, 5))
    assert one == flattened(rollout(mirage(world, **arguments), 5))
    assert one != flattened(rollout(env, 6))


def test_the_seed_decides_what_is_imagined(world: WorldModel) -> None:
    env = mirage(world, make_free_camera, observations="latent")
    options = {"pose": geometry.camera_pose((0.0, 0.0, 0.0), 0.0, 1.25)}
    views = []
    for seed in (1, 1, 2):
        start, _ = env.reset(seed=seed, options=options)
        for _ in range(9):
            latents, *_, info = env.step(TURN_LEFT)
        assert info["imagined_fraction"] > 0.5
        views.append((start, latents))
    np.testing.assert_array_equal(views[0][1], views[1][1])
    np.testing.assert_array_equal(views[0][0], views[2][0])
    assert not np.array_equal(views[0][1], views[2][1])


def test_nothing_is_decoded_unless_pixels_are_observed_or_rendered(world: WorldModel) -> None:
    codec = CountingDecoder(world.codec)
    counted = WorldModel(codec, world.depth_model, world.denoiser)
    blind = mirage(counted, observations=("latent", "memory", "visible", "depth", "pose", "pointgoal"))
    blind.reset(seed=0)
    for _ in range(5):
        blind.step(MOVE_FORWARD)
    assert codec.decoded == 0
    watched = mirage(counted, observations="pose", render_mode="rgb_array")
    watched.reset(seed=0)
    watched.step(MOVE_FORWARD)
    assert codec.decoded == 0
    watched.render()
    watched.render()
    assert codec.decoded == 1
    seeing = mirage(counted, observations="rgb", render_mode="rgb_array")
    seeing.reset(seed=0)
    seeing.step(MOVE_FORWARD)
    seeing.render()
    assert codec.decoded == 3


def test_latent_observations_are_those_of_the_frame(world: WorldModel) -> None:
    env = mirage(world, observations=KEYS, flatten=False)
    env.reset(seed=0)
    for _ in range(3):
        observed, *_, info = env.step(TURN_LEFT)
    assert observed["latent"].shape == observed["memory"].shape == (CHANNELS, CELLS, CELLS)
    assert observed["visible"].shape == (CELLS, CELLS)
    state = env.state
    assert isinstance(state, WorldState) and state is env.simulator.state  # type: ignore[attr-defined]
    np.testing.assert_array_equal(observed["latent"], state.latents.numpy())
    seen = observed["visible"].astype(bool)
    assert 0 < seen.mean() < 1
    np.testing.assert_array_equal(observed["memory"][:, seen], observed["latent"][:, seen])
    assert (observed["memory"][:, ~seen] == 0).all()
    assert info["imagined_fraction"] >= 1 - seen.mean() - 1e-6


def test_the_truth_gives_the_start_view_and_the_goal_and_nothing_else(
    world: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = mirage(world, observations=(*KEYS, "pointgoal"))
    _, info = env.reset(seed=3)
    for name in ("step", "geodesic_distance", "is_navigable", "sample_navigable_point", "shortest_path", "reset"):
        monkeypatch.setattr(RoomsSimulator, name, lambda *_, name=name: pytest.fail(f"the truth was asked: {name}"))
    for action in (1, 2, 1, 3, 1, 0):
        *_, info = env.step(action)
    assert set(info) >= {"success", "spl", "distance_to_goal"}


def test_start_and_goal_are_those_of_the_true_episode(world: WorldModel) -> None:
    arguments = {"observations": ("pointgoal",), "scenes": "toy", "resolution": SIZE}
    options = {"pose": geometry.camera_pose((-1.0, 0.0, 2.0), 0.4, 1.25), "goal": (0.0, 0.0, -2.0)}
    imagined, in_imagination = mirage(world).reset(seed=1, options=options)
    true, in_truth = make_point_nav(simulator="rooms", **arguments).reset(seed=1, options=options)
    np.testing.assert_array_equal(imagined["pointgoal"], true["pointgoal"])
    np.testing.assert_array_equal(in_imagination["pose"], in_truth["pose"])
    sampled = [env.reset(seed=2) for env in (mirage(world), make_point_nav(simulator="rooms", **arguments))]
    np.testing.assert_array_equal(sampled[0][0]["pointgoal"], sampled[1][0]["pointgoal"])


def test_rewards_sum_up_to_the_way_that_was_gained(world: WorldModel) -> None:
    env = mirage(world, observations="pointgoal")
    _, info = env.reset(seed=4)
    start = info["distance_to_goal"]
    assert math.isfinite(start)
    rewards = []
    for action in (1, 1, 2, 1, 2, 1):
        _, reward, *_, info = env.step(action)
        rewards.append(reward)
        assert math.isfinite(reward)
    if math.isfinite(info["distance_to_goal"]):
        expected = start - info["distance_to_goal"] - 0.001 * len(rewards)
        assert sum(rewards) == pytest.approx(expected, abs=1e-9)


def photograph(height: int = 60, width: int = 80) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def floor_depth(height: int, width: int, hfov: float, camera_height: float) -> np.ndarray:
    """z-depth of an empty floor with a wall 6 m ahead."""
    K = geometry.intrinsics(width, height, hfov)
    down = (np.arange(height) + 0.5 - K[1, 2]) / K[1, 1]
    z = np.where(down > 0, camera_height / np.maximum(down, 1e-6), 6.0)
    return np.repeat(np.minimum(z, 6.0)[:, None], width, 1).astype(np.float32)


def test_a_photograph_becomes_a_world(world: WorldModel) -> None:
    env = mirage(world, make_free_camera, observations=("rgb", "pose"), flatten=False)
    observed, info = env.reset(seed=0, options={"image": photograph(), "hfov": 70})
    np.testing.assert_allclose(info["pose"], geometry.camera_pose((0, 0, 0), 0.0, 1.25), atol=1e-6)
    assert observed["rgb"].shape == (SIZE, SIZE, 3)
    pose = geometry.camera_pose((2.0, 1.0, 3.0), 1.0, 1.25)
    _, info = env.reset(options={"image": photograph(), "hfov": 70, "pose": pose})
    np.testing.assert_allclose(info["pose"], pose, atol=1e-6)


def test_the_goal_of_a_photograph_is_given_or_on_floor_that_it_shows(world: WorldModel) -> None:
    env = mirage(world, observations="pointgoal")
    given: dict[str, Any] = {"image": photograph(), "hfov": 90, "depth": floor_depth(60, 80, 90, 1.25)}
    pointgoal, info = env.reset(seed=0, options={**given, "goal": (0.0, 0.0, -3.0)})
    assert pointgoal == pytest.approx([3.0, 0.0], abs=1e-5)
    assert info["distance_to_goal"] == pytest.approx(3.0, abs=0.05)
    for seed in range(5):
        pointgoal, info = env.reset(seed=seed, options=given)
        assert 1.0 <= info["distance_to_goal"] <= 9.0
        assert abs(pointgoal[1]) <= math.pi / 4 + 0.1
    with pytest.raises(ValueError, match="would start solved"):
        env.reset(options={**given, "goal": (0.0, 0.0, -0.1)})


def test_true_rooms_give_latent_observations_too(world: WorldModel) -> None:
    env = make_point_nav(
        simulator="rooms", scenes="toy", model=world, resolution=SIZE, observations=KEYS, flatten=False
    )
    observed, _ = env.reset(seed=0)
    expected = world.codec.encode(_normalised(observed["rgb"]))[0].detach().numpy()
    np.testing.assert_allclose(observed["latent"], expected, atol=1e-5, rtol=1e-3)  # kept as float16
    for _ in range(3):
        observed, *_, info = env.step(TURN_LEFT)
    assert 0 < observed["visible"].mean() < 1
    assert info["imagined_fraction"] == 0.0


def test_true_rooms_load_no_model_unless_latents_are_observed() -> None:
    make_point_nav(simulator="rooms", scenes="toy", model="no-such-model").reset(seed=0)
    for key in ("latent", "memory", "visible"):
        with pytest.raises(FileNotFoundError, match="unknown model 'no-such-model': bundled models are"):
            make_point_nav(simulator="rooms", scenes="toy", model="no-such-model", observations=key)


def test_an_imagined_simulator_without_a_source_begins_with_its_photograph(world: WorldModel) -> None:
    simulator = ImaginedSimulator(world, camera=Camera(SIZE))
    env = make_free_camera(simulator=simulator, observations="memory")
    with pytest.raises(ValueError, match="no source of scenes"):
        env.reset(seed=0)
    simulator.reset(StartView(photograph()))
    before = env.reset(seed=0)[0]
    env.step(MOVE_FORWARD)
    np.testing.assert_array_equal(env.reset(seed=1)[0], before)


def _normalised(rgb: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(rgb[None]).permute(0, 3, 1, 2).float() / 127.5 - 1
