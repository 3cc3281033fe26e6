"""Collections are whole, resumable, and the same however they were made."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.data import collect as collecting
from mirage_env.data.behaviour import FORWARD, LEFT, RIGHT, Walk, out_and_back, wander
from mirage_env.data.collect import CONFIG, CollectConfig, collect, collect_episode
from mirage_env.data.shards import is_valid, list_shards, read_meta, read_shard
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion
from mirage_env.simulators.rooms.simulator import RoomsSimulator

toy = partial(RoomsSimulator, "toy")


def small(out: Path, episodes: int, **options: Any) -> list[Path]:
    options = {"steps": 6, "workers": 1, "resolution": 16, "progress": False, "episodes_per_scene": 1} | options
    return collect(toy, out, episodes, **options)


def contents(paths: list[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    alone = small(tmp_path / "alone", 4, seed=3)
    together = small(tmp_path / "together", 4, seed=3, workers=2)
    assert contents(alone) == contents(together)
    assert contents(small(tmp_path / "other", 4, seed=4)) != contents(alone)


def test_worker_processes_use_one_blas_thread_and_leave_the_parent_as_it_was(tmp_path: Path) -> None:
    before = dict(os.environ)
    paths = collect(ThreadReporter, tmp_path, 2, steps=1, workers=2, resolution=2, progress=False)
    assert dict(os.environ) == before
    assert all((read_shard(path).rgb == 1).all() for path in paths)


class ThreadReporter(RoomsSimulator):
    """Paints the number of threads that BLAS may use in its process."""

    def __init__(self) -> None:
        super().__init__("toy")

    def render_views(self, poses: Any) -> tuple[Any, Any]:
        size = self.camera.resolution
        depth = np.ones((len(poses), size, size), np.float32)
        return np.full((len(poses), size, size, 3), int(os.environ["OMP_NUM_THREADS"]), np.uint8), depth


def test_an_interrupted_collection_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small(tmp_path / "whole", 5)
    made: list[int] = []
    real = collect_episode

    def interrupted(simulator: Any, episode: int, *rest: Any) -> Any:
        if episode == 2 and not made.count(2):
            made.append(2)
            raise KeyboardInterrupt
        made.append(episode)
        return real(simulator, episode, *rest)

    monkeypatch.setattr(collecting, "collect_episode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "parts", 5)
    assert [path.name for path in list_shards(tmp_path / "parts")] == [path.name for path in whole[:2]]
    made.append(2)
    resumed = small(tmp_path / "parts", 5)
    assert made == [0, 1, 2, 2, 2, 3, 4]
    assert contents(resumed) == contents(whole)


def test_ctrl_c_stops_the_workers_and_leaves_only_whole_shards(tmp_path: Path) -> None:
    script = (
        "import signal\n"
        "from functools import partial\n"
        "from mirage_env.data.collect import collect\n"
        "from mirage_env.simulators.rooms.simulator import RoomsSimulator\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is born without\n"
        f"    collect(partial(RoomsSimulator, 'toy'), {str(tmp_path / 'out')!r}, 5000, 8, workers=2, resolution=32)\n"
    )
    (tmp_path / "main.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": str(Path(collecting.__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py")],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "out").glob("*.safetensors"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)  # ends only when the workers, who share stderr, have ended too
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    paths = list_shards(tmp_path / "out")
    assert 3 <= len(paths) < 5000
    assert {path.name for path in (tmp_path / "out").iterdir()} == {CONFIG, *(path.name for path in paths)}
    assert all(is_valid(path) for path in paths)


def test_damaged_shards_and_leftovers_are_replaced(tmp_path: Path) -> None:
    paths = small(tmp_path, 3)
    expected = contents(paths)
    paths[1].write_bytes(expected[1][:-10])
    (tmp_path / ".episode-000002-0badcafe.tmp.safetensors").write_bytes(b"half")
    assert contents(small(tmp_path, 3)) == expected
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, *(path.name for path in paths)}


def test_a_finished_collection_can_be_enlarged_but_not_mixed(tmp_path: Path) -> None:
    first = contents(small(tmp_path, 2))
    assert contents(small(tmp_path, 3))[:2] == first
    with pytest.raises(ValueError, match="holds a collection with another seed, steps"):
        small(tmp_path, 3, seed=1, steps=7)
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        small(tmp_path, 3)


def test_a_trajectory_holds_what_its_cameras_saw() -> None:
    simulator = RoomsSimulator("toy")
    t = collect_episode(simulator, 5, CollectConfig(seed=1, steps=20, resolution=24))
    assert t.rgb.shape == (20, 24, 24, 3) and t.depth.shape == (20, 24, 24) and t.poses.shape == (20, 4, 4)
    assert t.actions[-1] == -1 and set(t.actions[:-1]) <= {FORWARD, LEFT, RIGHT}
    np.testing.assert_allclose(t.intrinsics, geometry.intrinsics(24, 24, t.meta["hfov"]), rtol=1e-6)
    np.testing.assert_allclose(t.poses[:, 1, 3], t.meta["camera_height"], atol=1e-6)
    position, yaw = geometry.agent_pose(t.poses[0], t.meta["camera_height"])
    replay = RoomsSimulator("toy", Camera(24, t.meta["hfov"], t.meta["camera_height"]))
    view = replay.reset(t.meta["scene"], AgentStart((position[0], 0.0, position[2]), yaw))
    motions = {FORWARD: (0.25, 0.0), LEFT: (0.0, math.radians(10)), RIGHT: (0.0, -math.radians(10))}
    for k, action in enumerate(t.actions):
        np.testing.assert_allclose(view.pose, t.poses[k], atol=1e-5)
        rgb, depth = simulator.render_views(t.poses[k])
        np.testing.assert_array_equal(rgb[0], t.rgb[k])
        np.testing.assert_array_equal(depth[0], t.depth[k])
        if action >= 0:
            view, collided = replay.step(FloorMotion(*motions[int(action)]))
            assert collided == t.collided[k + 1]


def test_cameras_vary_within_their_ranges_and_most_have_the_usual_view() -> None:
    simulator = ThreadFree()
    config = CollectConfig(steps=1, resolution=2)
    metas = [collect_episode(simulator, episode, config).meta for episode in range(200)]
    hfovs, heights = [np.array([meta[key] for meta in metas]) for key in ("hfov", "camera_height")]
    assert 0.5 < (hfovs == 90.0).mean() < 0.7
    assert hfovs.min() >= 60 and hfovs.max() <= 100 and len(np.unique(hfovs)) > 50
    assert heights.min() >= 1.0 and heights.max() <= 1.5 and heights.std() > 0.1


class ThreadFree(RoomsSimulator):
    """Renders nothing, to be quick."""

    def __init__(self) -> None:
        super().__init__("toy")

    def render_views(self, poses: Any) -> tuple[Any, Any]:
        return np.zeros((len(poses), 2, 2, 3), np.uint8), np.zeros((len(poses), 2, 2), np.float32)


def test_consecutive_episodes_share_a_scene_and_scenes_can_be_given() -> None:
    simulator = ThreadFree()
    opened: list[Any] = []
    reset = simulator.reset
    simulator.reset = lambda scene=None, start=None: (opened.append(scene), reset("toy", start))[1]  # type: ignore[method-assign]
    config = CollectConfig(steps=1, resolution=2, episodes_per_scene=3)
    scenes = [collect_episode(simulator, episode, config, range(1000)).meta["scene"] for episode in range(12)]
    assert all(len(set(scenes[i : i + 3])) == 1 for i in range(0, 12, 3))
    assert len(set(scenes)) == 4
    assert set(opened) == set(scenes)


def walk_in_toy(frames: int, seed: int) -> tuple[Walk, np.random.Generator]:
    walk = Walk(RoomsSimulator("toy"), frames)
    walk.begin("toy", AgentStart((-1.2, 0.0, 2.0), 0.0))
    return walk, np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_wandering_fills_the_walk_moves_and_turns(seed: int) -> None:
    walk, rng = walk_in_toy(64, seed)
    wander(walk, rng)
    assert len(walk.views) == len(walk.actions) + 1 == len(walk.collided) == 64
    places = np.stack([view.pose[:3, 3] for view in walk.views])
    assert np.ptp(places, axis=0).max() > 0.5
    assert np.mean(walk.collided) < 0.3


@pytest.mark.parametrize("seed", range(5))
def test_out_and_back_comes_home(seed: int) -> None:
    walk, rng = walk_in_toy(200, seed)
    home, _ = walk.agent
    out_and_back(walk, rng)
    places = np.stack([view.pose[:3, 3] for view in walk.views])
    assert np.linalg.norm(places - places[0], axis=1).max() > 0.45
    assert math.dist(walk.agent[0], home) < 0.6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "episodes must be an integer of at least 1, got 0"),
        ({"workers": -1}, "workers must be an integer of at least 0"),
        ({"steps": 0}, "steps must be an integer of at least 1"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"resolution": 1.5}, "resolution must be an integer"),
        ({"hfov": 180.0}, "hfov must lie inside"),
        ({"height_range": (0.0, 1.0)}, "height_range"),
        ({"scenes": []}, "at least one scene"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"episodes": 1} | options
    with pytest.raises(ValueError, match=message):
        collect(toy, tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        small(tmp_path / "file", 1)


def test_meta_says_what_was_collected(tmp_path: Path) -> None:
    (path,) = small(tmp_path, 1, seed=9)
    meta = read_meta(path)
    assert (meta["scene"], meta["episode"], meta["seed"], meta["frames"]) == ("toy", 0, 9, 6)
    assert json.loads((tmp_path / CONFIG).read_text())["resolution"] == 16
