"""Tours: what worlds know of rooms that the start view does not show."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.lighting import Lighting
from mirage_env.memory import LatentMemory
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion
from mirage_env.simulators.imagined import ImaginedSimulator, StartView
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.simulators.tour import Tour, spread_places, told
from mirage_env.world import WorldModel
from tests.small_world import small_world

SMALL = Camera(32, 90.0, 1.25)
START = AgentStart((0.3, 0.0, 1.0), 0.5)


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return small_world()


def toy(world: WorldModel, tour: Tour | None, **arguments: Any) -> ImaginedSimulator:
    source = RoomsSimulator("toy", SMALL)
    return ImaginedSimulator(world, source, SMALL, start_depth="true", tour=tour, **arguments)


def opened(camera: Camera = SMALL) -> RoomsSimulator:
    source = RoomsSimulator("toy", camera)
    source.reset("toy")
    return source


class Islands:
    """A floor in two parts, of which one is twice as large."""

    camera = SMALL

    def sample_navigable_point(self, rng: np.random.Generator) -> Array:
        x = rng.uniform(0, 3)
        return np.array([x if x < 2 else x + 10, 0.0, 0.0])

    def geodesic_distance(self, a: Array, b: Array) -> float:
        return abs(a[0] - b[0]) if (a[0] < 5) == (b[0] < 5) else math.inf

    def render_views(self, poses: Any) -> tuple[Array, Array]:
        raise NotImplementedError


# Where it goes.


def test_places_are_far_apart_and_where_one_can_walk_to() -> None:
    places = spread_places(Islands(), 3)
    assert places.shape == (3, 3) and (places[:, 0] < 2).all()
    assert np.ptp(places[:, 0]) > 1.5
    np.testing.assert_array_equal(places, spread_places(Islands(), 3))
    assert spread_places(Islands(), 32).shape == (32, 3)


def test_a_tour_covers_what_a_start_view_cannot_show(world: WorldModel) -> None:
    hidden = geometry.camera_pose(START.position, START.yaw + math.pi, SMALL.height)
    K = geometry.scale_intrinsics(SMALL.intrinsics, 1 / world.codec.stride)
    shares = {}
    for tour in (None, Tour(4)):
        simulator = toy(world, tour)
        frame = simulator.reset("toy", START)
        view = simulator.state.memory.read(hidden, K, tuple(frame.latents.shape[-2:]))
        shares[tour is not None] = float(view.visible.float().mean())
        assert not view.imagined[view.visible].any()
        np.testing.assert_allclose(frame.pose, geometry.camera_pose(START.position, START.yaw, SMALL.height), atol=1e-6)
    assert shares[False] < 0.1 and shares[True] > 0.7


# What it is: the memory of its views, told one after the other.


@pytest.mark.parametrize("true_depth", [True, False])
def test_it_is_its_views_told_one_by_one(world: WorldModel, true_depth: bool) -> None:
    source = opened()
    known = Tour(2).remembered(world, source, SMALL, true_depth)
    poses = [
        geometry.camera_pose(place, math.tau * k / 4, SMALL.height)
        for place in spread_places(source, 2)
        for k in range(4)
    ]
    rgb, depth = source.render_views(np.stack(poses))
    views = list(zip(rgb, depth if true_depth else [None] * 8, poses, strict=True))
    first = views[0]
    state = world.start(first[0], 90.0, first[1], first[2], camera_height=SMALL.height, resolution=32)
    for image, metres, pose in views[1:]:
        state = world.observe(state, image, pose, metres, 90.0)
    assert len(state.memory) == len(known.memory) > 0
    K = geometry.scale_intrinsics(SMALL.intrinsics, 1 / world.codec.stride)
    for pose in poses[::3]:
        theirs, ours = (one.memory.read(pose, K, (8, 8)) for one in (state, known))
        for name in ("latents", "depth", "visible", "imagined"):
            assert torch.equal(getattr(theirs, name), getattr(ours, name)), name


def test_views_told_leave_the_last_view_as_it_was(world: WorldModel) -> None:
    source = opened()
    known = Tour(1).remembered(world, source, SMALL, True)
    assert told(world, known, source, np.zeros((0, 4, 4)), True).memory is known.memory
    more = told(world, known, source, geometry.camera_pose((0.3, 0, 1), 0.0, SMALL.height)[None], True)
    assert more.pose is known.pose and more.latents is known.latents and more.memory is not known.memory


# That it is remembered, and never written to.


def test_a_scene_is_toured_once(world: WorldModel) -> None:
    tour, source = Tour(1, kept=3), opened()
    known = tour.remembered(world, source, SMALL, True)
    assert tour.remembered(world, source, SMALL, True) is known
    source.lighting = Lighting(brightness=0.5)
    dark = tour.remembered(world, source, SMALL, True)
    assert dark is not known and tour.remembered(world, source, SMALL, True) is dark
    assert tour.remembered(small_world(), source, SMALL, True) is not dark
    source.lighting = None
    assert tour.remembered(world, source, SMALL, True) is known
    for hfov in (60.0, 75.0, 80.0):
        source.camera = dataclasses.replace(SMALL, hfov=hfov)
        tour.remembered(world, source, SMALL, True)
    source.camera = SMALL
    assert tour.remembered(world, source, SMALL, True) is not known


def test_a_scene_in_which_things_move_is_toured_in_every_episode(world: WorldModel) -> None:
    simulator, alone = (
        ImaginedSimulator(world, RoomsSimulator(3, SMALL, movers=2), SMALL, start_depth="true", tour=Tour(2))
        for _ in range(2)
    )
    simulator.reset(3)
    there = RoomsSimulator(3, SMALL)
    there.reset(3)
    x, _, z = there.sample_navigable_point(np.random.default_rng(0))
    for one in (simulator, alone):
        one.reset(3, AgentStart((float(x), 0.0, float(z)), 0.0))
    memory, expected = simulator.state.memory, alone.state.memory
    assert isinstance(memory, LatentMemory) and isinstance(expected, LatentMemory)
    assert torch.equal(memory.positions, expected.positions)


def test_episodes_do_not_write_to_what_they_begin_with(world: WorldModel) -> None:
    tour = Tour(2)
    one, other = toy(world, tour, num_start_views=2), toy(world, tour, num_start_views=2)
    one.reset("toy", START, seed=5)
    tokens = len(tour.remembered(world, opened(), SMALL, True).memory)
    for _ in range(4):
        one.step(FloorMotion(0.25, 0.5))
    assert len(one.state.memory) > tokens == len(tour.remembered(world, opened(), SMALL, True).memory)
    seen = other.reset("toy", START, seed=5)
    again = one.reset("toy", START, seed=5)
    alone = toy(world, Tour(2), num_start_views=2).reset("toy", START, seed=5)
    assert one.state.seed == 5
    for frame in (again, alone):
        assert torch.equal(seen.latents, frame.latents) and torch.equal(seen.grid_depth, frame.grid_depth)


def test_worlds_that_begin_with_an_image_have_none(world: WorldModel) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    plain, toured = toy(world, None), toy(world, Tour(2))
    for simulator in (plain, toured):
        simulator.reset(StartView(photo))
    assert len(plain.state.memory) == len(toured.state.memory)


# As an argument of environments.


def test_worlds_of_a_vector_share_it(world: WorldModel) -> None:
    arguments: dict[str, Any] = {"scenes": "toy", "model": world, "resolution": 32, "start_depth": "true", "tour": 1}
    venv: Any = gym.make_vec("Mirage/PointNav-v0", num_envs=2, **arguments)
    first, second = (env.simulator.tour for env in venv.unwrapped.envs)
    assert first is second and first.places == 1
    observations, _ = venv.reset(seed=3)
    single = gym.make("Mirage/PointNav-v0", **arguments)
    alone, _ = single.reset(seed=3)
    np.testing.assert_array_equal(observations["rgb"][0], alone["rgb"])
    plain: Any = gym.make("Mirage/PointNav-v0", **{**arguments, "tour": 0})
    assert plain.unwrapped.simulator.tour is None


def test_a_tour_has_a_number_of_places() -> None:
    wrong: Any
    for wrong in (0, 33, 2.0, True):
        with pytest.raises(ValueError, match="a tour is through a whole number of places from 1 to 32, got"):
            Tour(wrong)
    for wrong in (-1, 33, 2.0, True, "all"):
        with pytest.raises(ValueError, match="a tour is through a whole number of places from 1 to 32, got"):
            gym.make("Mirage/PointNav-v0", tour=wrong)
