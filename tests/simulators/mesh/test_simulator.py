"""An agent in scene files, true and imagined."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.cli import main
from mirage_env.data.episodes import read_episodes
from mirage_env.envs.factory import make_point_nav
from mirage_env.simulators import heading
from mirage_env.simulators.base import AgentStart, Camera, CameraMotion, FloorMotion
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.mesh.simulator import MeshSimulator
from tests.shared_files import shared
from tests.simulators.mesh.files import SIZE, box_room
from tests.small_world import small_world

CAMERA = Camera(32, 90.0, 1.25)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return box_room(tmp_path_factory.mktemp("mesh") / "room.glb")


@pytest.fixture
def simulator(room: Path) -> Iterator[MeshSimulator]:
    made = MeshSimulator(room, CAMERA)
    made.reset()
    yield made
    made.close()


def test_walls_are_where_the_file_has_them(simulator: MeshSimulator) -> None:
    floor = simulator.sample_navigable_point(np.random.default_rng(0))[1]
    view = simulator.reset(None, AgentStart((2.0, floor, 1.0), 0.0))  # looks along -z
    middle = view.depth[15:17, 15:17]
    np.testing.assert_allclose(middle, 1.0 + SIZE[1] / 2, atol=1e-3)
    assert view.rgb.std() > 5
    np.testing.assert_allclose(view.pose, geometry.camera_pose((2.0, floor, 1.0), 0.0, 1.25), atol=1e-6)


def test_an_agent_stops_at_the_wall_and_goes_round_the_table(simulator: MeshSimulator) -> None:
    floor = float(simulator.sample_navigable_point(np.random.default_rng(0))[1])
    simulator.reset(None, AgentStart((2.0, floor, 0.0), 0.0))
    hits = [simulator.step(FloorMotion(0.25))[1] for _ in range(12)]
    assert not hits[0] and hits[-1]
    x, _, z = simulator.agent.position
    assert x == pytest.approx(2.0, abs=0.01) and -SIZE[1] / 2 + 0.15 < z < -SIZE[1] / 2 + 0.3
    a, b = (-2.0, floor, 0.0), (2.0, floor, 0.0)
    way = simulator.geodesic_distance(a, b)
    assert 4.05 < way < 4.6 and len(simulator.shortest_path(a, b)) > 2
    assert not simulator.is_navigable((0.0, floor, 0.0)) and simulator.is_navigable(a)
    assert simulator.geodesic_distance(a, (50.0, floor, 0.0)) == math.inf


def test_a_free_camera_comes_back_to_the_floor(simulator: MeshSimulator) -> None:
    before = simulator.agent.position
    lift = np.eye(4)
    lift[1, 3] = -0.5  # up
    view, collided = simulator.step(CameraMotion(lift))
    assert not collided and view.pose[1, 3] == pytest.approx(before[1] + 1.75, abs=1e-5)
    simulator.step(FloorMotion(turn=0.1))
    assert simulator.agent.position == pytest.approx(before, abs=1e-4)


def test_what_cannot_be_opened_or_stood_on_is_refused(simulator: MeshSimulator, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no scene file .*none.glb; give a .glb, .gltf, .obj or .ply"):
        MeshSimulator(tmp_path / "none.glb")
    with pytest.raises(ValueError, match="scenes must name at least one scene file, got an empty list"):
        MeshSimulator([])
    with pytest.raises(TypeError, match="scenes must be a scene file or a sequence of them, got int"):
        MeshSimulator(3)
    before = simulator.snapshot()
    with pytest.raises(ValueError, match=r"cannot start at \(0.00, 0.00, 0.00\) in room.glb, which is not navigable"):
        simulator.reset(None, AgentStart((0.0, 0.0, 0.0), 0.0))  # in the table
    assert simulator.snapshot() == before
    with pytest.raises(TypeError, match=r"restore needs what MeshSimulator.snapshot\(\) gave"):
        simulator.restore(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["apartment", "living-room"])
def test_recorded_walks_are_walked_again(name: str) -> None:
    path = "golden/habitat/scenes/apartment.glb" if name == "apartment" else f"scenes/{name}.glb"
    motions = FloorMotion(0.25), FloorMotion(turn=math.radians(10)), FloorMotion(turn=math.radians(-10))
    simulator, furthest, collided, steps = MeshSimulator(shared(path), CAMERA), [], 0, 0
    with np.load(shared(f"golden/habitat/{name}_rollouts.npz")) as recorded:
        for key in [key.removesuffix("_actions") for key in recorded if key.endswith("_actions")]:
            simulator.allow_sliding = "noslide" not in key
            positions, turns = recorded[f"{key}_positions"], recorded[f"{key}_rotations_wxyz"]
            x, y, z = positions[0].tolist()
            simulator.reset(None, AgentStart((x, y, z), heading.yaw_of(turns[0])))
            for action, hit in zip(recorded[f"{key}_actions"], recorded[f"{key}_collided"], strict=True):
                collided += simulator.step(motions[int(action)])[1] == bool(hit)
                steps += 1
            furthest.append(float(np.linalg.norm(np.array(simulator.agent.position) - positions[-1])))
            assert math.cos(simulator.agent.yaw - heading.yaw_of(turns[-1])) > 1 - 1e-9
    assert len(furthest) >= 4 and max(furthest) < 1e-3 and collided == steps


def test_environments_over_scene_files(room: Path) -> None:
    env = gymnasium.make("Mirage/PointNav-v0", simulator="mesh", scenes=str(room), resolution=32)
    observed, info = env.reset(seed=0)
    assert observed["rgb"].shape == (32, 32, 3) and math.isfinite(info["distance_to_goal"])
    for action in (1, 2, 1):
        _, _, _, _, info = env.step(action)
    assert info["imagined_fraction"] == 0.0
    env.close()


@pytest.mark.parametrize("views", [1, 3])
def test_imagined_worlds_start_from_scene_files(room: Path, views: int) -> None:
    env = make_point_nav(
        simulator="mirage", start_from="mesh", scenes=[room], model=small_world(), resolution=32, num_start_views=views
    )
    _, info = env.reset(seed=1)
    assert isinstance(env.simulator, ImaginedSimulator) and isinstance(env.simulator.source, MeshSimulator)
    tokens = len(env.simulator.state.memory)
    assert tokens > 40 * views and math.isfinite(info["distance_to_goal"])
    env.step(1)
    with pytest.raises(ValueError, match="nobody moves in scene files"):
        make_point_nav(simulator="mirage", start_from="mesh", scenes=[room], movers=1)


def test_episodes_of_scene_files_are_written_and_played(room: Path, tmp_path: Path) -> None:
    file = tmp_path / "val.json.gz"
    asked = ["--simulator", "mesh", "--scenes", str(room), "--scenes-dir", str(room.parent), "--episodes", "3"]
    assert main(["collect", *asked, "--min-ratio", "1", "--out", str(file)]) in (None, 0)
    episodes = read_episodes(file)
    assert [episode.scene_id for episode in episodes] == [room.name] * 3
    played = {"episodes": str(file), "scenes_dir": str(room.parent), "resolution": 32}
    env = gymnasium.make("Mirage/PointNav-v0", simulator="mesh", **played)
    for episode in episodes:
        _, info = env.reset()
        assert info["episode_id"] == episode.episode_id
        assert info["distance_to_goal"] == pytest.approx(episode.geodesic_distance, abs=1e-5)
    imagined = make_point_nav(simulator="mirage", start_from="mesh", model=small_world(), **played)
    _, info = imagined.reset(seed=0)
    assert info["episode_id"] == episodes[0].episode_id
    np.testing.assert_allclose(imagined.simulator.agent.position, episodes[0].start_position, atol=1e-5)
