"""A simulator in a process of its own; that it keeps the contract is tested with the others."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mirage_env.simulators.base import Camera
from mirage_env.simulators.mesh.simulator import MeshSimulator
from mirage_env.simulators.process import ProcessSimulator
from tests.simulators.mesh.files import box_room


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return box_room(tmp_path_factory.mktemp("process") / "room.glb")


def test_it_gives_what_the_simulator_gives(room: Path) -> None:
    apart, here = ProcessSimulator(partial(MeshSimulator, room)), MeshSimulator(room)
    apart.camera = here.camera = Camera(24, 75.0, 1.0)
    assert apart.camera == here.camera and apart.scenes == here.scenes
    np.testing.assert_array_equal(apart.reset().rgb, here.reset().rgb)
    assert apart.agent == here.agent and apart.scene == here.scene
    one, other = np.random.default_rng(0), np.random.default_rng(0)
    for _ in range(3):
        a, b = apart.sample_navigable_point(one), here.sample_navigable_point(other)
        np.testing.assert_array_equal(a, b)
    assert one.bit_generator.state == other.bit_generator.state
    start = here.agent.position
    np.testing.assert_array_equal(apart.shortest_path(start, a), here.shortest_path(start, b))
    assert apart.island_radius(a) == here.island_radius(a)
    np.testing.assert_array_equal(apart.render_views(np.eye(4))[1], here.render_views(np.eye(4))[1])
    apart.close()


def test_what_is_raised_there_is_raised_here(room: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no scene file nowhere\.glb"):
        ProcessSimulator(partial(MeshSimulator, "nowhere.glb"))
    apart = ProcessSimulator(partial(MeshSimulator, room))
    with pytest.raises(FileNotFoundError, match=r"there is no scene file nowhere\.glb"):
        apart.reset("nowhere.glb")
    apart.reset()
    apart.close()
    with pytest.raises(RuntimeError, match="was closed"):
        apart.reset()


def test_a_process_that_dies_is_told_in_one_sentence(room: Path) -> None:
    apart = ProcessSimulator(partial(MeshSimulator, room))
    assert apart._process.pid is not None
    os.kill(apart._process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"process ended \(exit status -9\); make a new simulator"):
        apart.reset()
        apart.reset()
    apart.close()
