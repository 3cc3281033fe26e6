"""The adapter to habitat-sim: against habitat-sim's own agent, and against ``mesh``, its double."""

from __future__ import annotations

import gc
import json
import math
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest

from mirage_env.envs.factory import make_point_nav
from mirage_env.simulators import habitat
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion
from mirage_env.simulators.habitat import HabitatSimulator
from mirage_env.simulators.mesh.simulator import MeshSimulator
from tests.real_habitat import needs_habitat
from tests.simulators.mesh.files import flat_room
from tests.small_world import small_world


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flat_room(tmp_path_factory.mktemp("habitat") / "room.glb")


def test_without_habitat_sim_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, room: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "habitat_sim", None)
    with pytest.raises(ImportError, match=r"conda install habitat-sim.*or simulator='mesh'"):
        make_point_nav(simulator="habitat", scenes=[room])


@pytest.mark.parametrize(
    "given, error, sentence",
    [
        ({"navmesh": "none"}, ValueError, "navmesh must be one of computed, loaded, got 'none'"),
        ({"gpu_device_id": 99}, ValueError, "there is no GPU 99: this machine shows"),
        ({"gpu_device_id": 0.5}, ValueError, "gpu_device_id must be a whole number of at least -1, got 0.5"),
        ({"scene_dataset": "no.json"}, FileNotFoundError, "there is no scene dataset no.json"),
        ({"device": 0}, TypeError, "habitat has no option 'device'; there are scene_dataset, gpu_device_id, navmesh"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(
    given: dict[str, Any], error: type[Exception], sentence: str, room: Path
) -> None:
    with pytest.raises(error, match=sentence):
        make_point_nav(simulator="habitat", scenes=[room], habitat=given)


def test_its_options_are_of_no_other_simulator(room: Path) -> None:
    with pytest.raises(ValueError, match='must be "habitat" with them'):
        make_point_nav(simulator="mesh", scenes=[room], habitat={})


class TestRealHabitat:
    pytestmark: ClassVar[list[Any]] = [*needs_habitat]

    @pytest.fixture()
    def simulator(self, room: Path) -> Any:
        made = HabitatSimulator(room, Camera(32))
        yield made
        made.close()

    @pytest.mark.parametrize("sliding", [True, False])
    def test_it_moves_as_an_agent_of_habitat_sim_does(self, simulator: HabitatSimulator, sliding: bool) -> None:
        import habitat_sim  # type: ignore[import-not-found]

        simulator.allow_sliding = sliding
        simulator.reset()
        opened = simulator._opened
        assert opened is not None
        opened._sim.config.sim_cfg.allow_sliding = sliding
        agent, rng = opened._sim.get_agent(0), np.random.default_rng(0)
        agent.set_state(habitat_sim.AgentState(np.array(simulator.agent.position), _quaternion(simulator)))
        for _ in range(150):
            forward = bool(rng.random() < 0.6)
            degrees = 10.0 if rng.random() < 0.5 else -10.0
            name, amount = ("move_forward", 0.25) if forward else ("turn_left", degrees)
            kept = agent.scene_node.transformation
            _, collided = simulator.step(FloorMotion(0.25) if forward else FloorMotion(turn=math.radians(degrees)))
            agent.scene_node.transformation = kept  # the adapter carries the same node about to look from it
            spec = habitat_sim.agent.ActuationSpec(amount)
            assert agent.controls.action(agent.scene_node, name, spec, apply_filter=True) == collided
            np.testing.assert_allclose(simulator.agent.position, agent.scene_node.translation, atol=2e-6)
            ours, theirs = _quaternion(simulator), agent.scene_node.rotation
            np.testing.assert_allclose([ours.w, ours.y], [theirs.scalar, theirs.vector[1]], atol=2e-6)

    def test_it_sees_walks_and_measures_as_its_double_does(self, simulator: HabitatSimulator, room: Path) -> None:
        double, rng = MeshSimulator(room, Camera(32)), np.random.default_rng(1)
        view = simulator.reset()
        same = double.reset(None, simulator.agent)
        for _ in range(60):
            assert np.abs(view.depth - same.depth).max() < 0.01
            assert np.abs(view.rgb.astype(int) - same.rgb).mean() <= 1
            motion = FloorMotion(0.25) if rng.random() < 0.6 else FloorMotion(turn=math.radians(10))
            (view, collided), (same, other) = simulator.step(motion), double.step(motion)
            assert collided == other
            np.testing.assert_allclose(view.pose, same.pose, atol=1e-5)
        places = [double.sample_navigable_point(rng) for _ in range(20)]
        for a, b in zip(places[::2], places[1::2], strict=True):
            assert simulator.geodesic_distance(a, b) == pytest.approx(double.geodesic_distance(a, b), abs=1e-4)
        assert simulator.island_radius(places[0]) == pytest.approx(double.island_radius(places[0]), abs=1e-3)

    def test_an_engine_that_nobody_holds_is_used_again(self, simulator: HabitatSimulator, room: Path) -> None:
        simulator.reset()
        before = len(habitat._ENGINES)
        for _ in range(2):
            HabitatSimulator(room, Camera(32)).reset()
            gc.collect()
        assert len(habitat._ENGINES) <= before + 1

    def test_another_camera_is_used_at_once(self, simulator: HabitatSimulator, room: Path) -> None:
        simulator.reset()
        simulator.camera = Camera(48, 60.0, 1.0)
        view, _ = simulator.step(FloorMotion(turn=0.3))
        double = MeshSimulator(room, Camera(48, 60.0, 1.0))
        double.reset(None, simulator.agent)
        assert view.rgb.shape == (48, 48, 3)
        assert np.abs(view.depth - double.render_views(view.pose)[1][0]).max() < 0.01

    def test_a_scene_that_cannot_be_opened_changes_nothing(self, simulator: HabitatSimulator, tmp_path: Path) -> None:
        before = simulator.reset()
        (tmp_path / "torn.glb").write_bytes(b"glTF")
        with pytest.raises(ValueError, match="habitat-sim cannot open the scene"):
            simulator.reset(tmp_path / "torn.glb")
        other = flat_room(tmp_path / "other.glb")
        with pytest.raises(ValueError, match="which is not navigable"):
            simulator.reset(other, AgentStart((0.0, 30.0, 0.0), 0.0))
        assert simulator.is_navigable(simulator.agent.position)
        np.testing.assert_array_equal(simulator.restore(simulator.snapshot()).rgb, before.rgb)

    def test_a_navigation_mesh_is_loaded_where_one_is(self, room: Path, tmp_path: Path) -> None:
        copy = flat_room(tmp_path / "copy.glb")
        lonely = HabitatSimulator(copy, Camera(32), navmesh="loaded")
        with pytest.raises(ValueError, match="found no navigation mesh"):
            lonely.reset()
        computed = HabitatSimulator(copy, Camera(32))
        computed.reset()
        assert computed._opened is not None
        computed._opened.navigation.pathfinder.save_nav_mesh(str(copy.with_suffix(".navmesh")))
        lonely.reset()
        np.testing.assert_allclose(lonely.agent.position, computed.agent.position, atol=1e-5)
        computed.close()
        lonely.close()

    def test_environments_and_imagined_worlds_stand_on_it(self, room: Path) -> None:
        env = gymnasium.make("Mirage/PointNav-v0", simulator="habitat", scenes=[room], resolution=32)
        first, _ = env.reset(seed=3)
        again, _ = env.reset(seed=3)
        np.testing.assert_array_equal(first["rgb"], again["rgb"])
        env.step(1)
        env.close()
        world = make_point_nav(
            simulator="mirage", start_from="habitat", scenes=[room], model=small_world(), resolution=32
        )
        world.reset(seed=0)
        world.step(1)
        world.close()

    def test_it_lives_in_a_process_of_its_own(self, simulator: HabitatSimulator, room: Path) -> None:
        apart: Any = habitat.make_habitat(room, Camera(32), own_process=True)
        start = AgentStart(*_start(simulator))
        np.testing.assert_array_equal(apart.reset(None, start).rgb, simulator.reset(None, start).rgb)
        there, here = apart.step(FloorMotion(0.25)), simulator.step(FloorMotion(0.25))
        np.testing.assert_array_equal(there[0].depth, here[0].depth)
        apart.close()

    def test_scenes_of_a_dataset_are_named_by_their_ids(self, room: Path, tmp_path: Path) -> None:
        config = tmp_path / "homes.scene_dataset_config.json"
        config.write_text(json.dumps({"stages": {"paths": {".json": [f"{room.parent}/*.stage_config.json"]}}}))
        simulator = HabitatSimulator("room", Camera(32), scene_dataset=config)
        direct = HabitatSimulator(room, Camera(32))
        np.testing.assert_array_equal(simulator.reset().rgb, direct.reset().rgb)
        simulator.close()
        direct.close()


def _start(simulator: HabitatSimulator) -> tuple[tuple[float, float, float], float]:
    simulator.reset()
    return simulator.agent.position, 0.4


def _quaternion(simulator: HabitatSimulator) -> Any:
    import quaternion  # type: ignore[import-not-found]

    return quaternion.quaternion(*simulator.snapshot().rotation)
