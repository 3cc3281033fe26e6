"""Walks imagined together against walks imagined alone, in a world whose codec is exact."""

from __future__ import annotations

import numpy as np
import pytest

from mirage_env.evaluation.lanes import Lane, blind, imagine_lanes, look
from mirage_env.evaluation.rollout import roll_out, without_memory
from mirage_env.evaluation.tours import errand_loop
from mirage_env.evaluation.walks import true_views
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.state import WorldState
from mirage_env.world import WorldModel
from tests.exact_world import exact_world

SIZE, STEPS = 32, 8


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return exact_world()


@pytest.fixture(scope="module")
def toy() -> tuple[Array, Array, Array]:
    """Poses of a walk, and its first true view with depth."""
    simulator = RoomsSimulator("toy", Camera(resolution=SIZE))
    simulator.reset()
    start = AgentStart((0.5, 0.0, 1.5), 0.3)
    poses = errand_loop(simulator, start, STEPS, np.random.default_rng(0)).poses(1.25)
    rgb, depth = true_views(simulator, poses[:1], 1.25)
    return poses, rgb[0], depth[0]


def begun(world: WorldModel, toy: tuple[Array, Array, Array], seed: int = 3) -> WorldState:
    poses, rgb, depth = toy
    return world.start(rgb, depth=depth, pose=poses[0], seed=seed, resolution=SIZE)


def test_lanes_show_what_single_walks_show(world: WorldModel, toy: tuple[Array, Array, Array]) -> None:
    poses, rgb, depth = toy
    alone = roll_out(world, rgb, poses, depth=depth, resolution=SIZE, seed=3)
    short = poses[:4]
    counts: list[int] = []
    state = begun(world, toy)
    lanes = [
        Lane(world, state, poses, range(STEPS + 1), states=(2,)),
        Lane(world, state, short, (3,)),
        Lane(world, begun(world, toy, seed=4), poses, (STEPS,), imagine="never"),
    ]
    tracks = imagine_lanes(lanes, counts.append)
    assert (tracks[0].pictures(range(STEPS + 1)) == alone.rgb).all()
    assert list(tracks[0].tokens.values()) == alone.tokens.tolist()
    assert list(tracks[0].nbytes.values()) == alone.nbytes.tolist()
    assert set(tracks[0].states) == {2, STEPS}
    assert len(tracks[0].states[2].memory) == alone.tokens[2]
    assert list(tracks[1].frames) == [3]
    assert (tracks[1].frames[3].rgb == alone.rgb[3]).all()
    never = roll_out(world, rgb, poses, depth=depth, resolution=SIZE, seed=4, imagine="never")
    assert (tracks[2].frames[STEPS].rgb == never.rgb[-1]).all()
    assert sum(counts) == STEPS + 3 + STEPS
    assert counts[:4] == [2, 2, 2, 1]  # the two lanes of one world run together until the shorter ends


def test_a_lane_that_is_told_of_its_steps_runs_alone(world: WorldModel, toy: tuple[Array, Array, Array]) -> None:
    told: list[int] = []
    state = begun(world, toy)
    lanes = [Lane(world, state, toy[0][:4], (3,), before=told.append), Lane(world, state, toy[0][:4], (3,))]
    counts: list[int] = []
    tracks = imagine_lanes(lanes, counts.append)
    assert told == [1, 2, 3]
    assert counts == [1] * 6
    assert (tracks[0].frames[3].rgb == tracks[1].frames[3].rgb).all()


def test_looking_and_blindness_need_no_walking(world: WorldModel, toy: tuple[Array, Array, Array]) -> None:
    poses, rgb, depth = toy
    never = roll_out(world, rgb, poses, depth=depth, resolution=SIZE, seed=3, imagine="never")
    steps = [1, 5, 8]
    shown = look(world, begun(world, toy), poses[steps])
    assert all((frame.rgb == never.rgb[step]).all() for frame, step in zip(shown, steps, strict=True))
    rollout = roll_out(world, rgb, poses, depth=depth, resolution=SIZE, seed=3)
    expected = without_memory(world, rollout, seed=3, only=steps)
    found = np.stack([frame.rgb for frame in blind(world, begun(world, toy), poses[steps], steps)])
    assert (found == expected).all()
