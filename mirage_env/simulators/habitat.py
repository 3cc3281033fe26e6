"""The true simulator over habitat-sim itself: its renderer, its navigation meshes, behind the interface of the others.

The only module that imports habitat_sim, and only when a scene is opened. Tested with 0.3.3; the calls are those that
0.2.5 to 0.3.4 have in common.
"""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.lighting import relit
from mirage_env.simulators.base import Camera, CameraView, Simulator
from mirage_env.simulators.habitat_navigation import HabitatNavigation
from mirage_env.simulators.mesh.simulator import scene_files
from mirage_env.simulators.scene_simulator import SceneSimulator

NavMeshSource = Literal["computed", "loaded"]

AGENT_HEIGHT = 1.5
"""Metres that must be free above the floor, Habitat's default."""
ANY_GPU = -1
"""Let EGL choose: its first device, which is a software renderer where there is no GPU."""
MISSING = (
    "simulator 'habitat' needs habitat-sim, which is not on the package index: "
    "`conda install habitat-sim=0.3.3 headless -c conda-forge -c aihabitat`, or simulator='mesh', which opens the same "
    "scenes without it"
)


class HabitatSimulator(SceneSimulator["HabitatScene", CameraView]):
    """Ground truth by habitat-sim: an agent in one of its scenes.

    Args:
        scenes: a scene file or several; with ``scene_dataset``, ids of its scenes.
        camera, agent_radius, allow_sliding: see ``SceneSimulator``.
        scene_dataset: a ``*.scene_dataset_config.json``; None: scenes are files.
        gpu_device_id: of the GPU that renders, as CUDA counts; ``ANY_GPU`` works without one.
        navmesh: "computed" for an agent of this radius, or "loaded" (``home.navmesh`` beside ``home.glb``, or what the
            dataset names), whatever radius it was made for.

    Raises:
        ImportError: habitat-sim is not installed.
    """

    def __init__(
        self,
        scenes: Any,
        camera: Camera | None = None,
        agent_radius: float = 0.18,
        allow_sliding: bool = True,
        scene_dataset: str | Path | None = None,
        gpu_device_id: int = ANY_GPU,
        navmesh: NavMeshSource = "computed",
    ) -> None:
        if navmesh not in get_args(NavMeshSource):
            raise ValueError(f"navmesh must be one of {', '.join(get_args(NavMeshSource))}, got {navmesh!r}")
        if scene_dataset is not None and not Path(scene_dataset).is_file():
            raise FileNotFoundError(f"there is no scene dataset {scene_dataset}; give a *.scene_dataset_config.json")
        _check_gpu(gpu_device_id)
        _habitat_sim()
        self.scene_dataset = None if scene_dataset is None else str(scene_dataset)
        self.gpu_device_id = int(gpu_device_id)
        self.navmesh: NavMeshSource = navmesh
        named = scene_files(scenes) if self.scene_dataset is None else _scene_ids(scenes)
        super().__init__(named, camera, agent_radius, allow_sliding)

    def render_views(self, poses: Any) -> tuple[Array, Array]:
        poses = geometry.check_pose(poses, "poses").reshape(-1, 4, 4)
        views = [self._rendered(pose) for pose in poses]
        return np.stack([rgb for rgb, _ in views]), np.stack([depth for _, depth in views])

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        super().close()

    def _named(self, scene: Any) -> str:
        (name,) = scene_files(scene) if self.scene_dataset is None else _scene_ids(scene)
        return name

    def _prepared(self, scene: str) -> HabitatScene:
        """The present scene makes room for another: it comes back where that cannot be opened."""
        wanted = (
            scene,
            self.scene_dataset,
            self.agent_radius,
            self.gpu_device_id,
            self.navmesh,
            self.camera.resolution,
        )
        known = self._opened
        if known is not None and known.wanted == wanted:
            return known
        if known is not None:
            known.close()
        try:
            self._opened = HabitatScene(*wanted)
        except Exception:
            self._opened = None if known is None else HabitatScene(*known.wanted)
            raise
        return self._opened

    def _ready(self) -> HabitatScene:
        """The present scene, even where a reset to another was refused, with sensors for the present camera."""
        return self._prepared(self._present().scene)

    def _view(self) -> CameraView:
        pose = self._present().place.pose(self.camera.height).astype(np.float32)
        return CameraView(*self._rendered(pose), pose)

    def _rendered(self, pose: Array) -> tuple[Array, Array]:
        rgb, depth = self._ready().render(pose, self.camera)
        return relit(rgb, self.lighting), depth


class HabitatScene:
    """One scene open in habitat-sim.

    Raises:
        ValueError: it cannot be opened, or has nothing to stand on.
    """

    def __init__(
        self,
        scene: str,
        scene_dataset: str | None,
        agent_radius: float,
        gpu_device_id: int,
        navmesh: NavMeshSource,
        resolution: int,
    ) -> None:
        habitat_sim = _habitat_sim()
        self.wanted = (scene, scene_dataset, agent_radius, gpu_device_id, navmesh, resolution)
        kept_as = (gpu_device_id, navmesh)
        backend = habitat_sim.SimulatorConfiguration()
        backend.scene_id = scene
        backend.gpu_device_id = gpu_device_id
        backend.enable_physics = False
        backend.load_semantic_mesh = False
        if scene_dataset is not None:
            backend.scene_dataset_config_file = scene_dataset
        body = habitat_sim.agent.AgentConfiguration(
            height=AGENT_HEIGHT, radius=agent_radius, sensor_specifications=_sensors(habitat_sim, resolution)
        )
        try:
            self._sim: Any = _take_engine(kept_as, habitat_sim.Configuration(backend, [body]))
        except Exception as error:  # habitat-sim has failed checks as AssertionErrors, and others
            raise ValueError(f"habitat-sim cannot open the scene {scene}: {error}") from error
        self._release = weakref.finalize(self, _give_back, kept_as, self._sim)
        self._release.atexit = False
        if navmesh == "computed":
            settings = habitat_sim.NavMeshSettings()
            settings.set_defaults()
            settings.agent_radius, settings.agent_height = agent_radius, AGENT_HEIGHT
            self._sim.recompute_navmesh(self._sim.pathfinder, settings)
        elif scene_dataset is None and (beside := Path(scene).with_suffix(".navmesh")).is_file():
            self._sim.pathfinder.load_nav_mesh(str(beside))
        self.navigation = HabitatNavigation(habitat_sim.ShortestPath, self._sim.pathfinder)
        if not self._sim.pathfinder.is_loaded:
            self.close()
            raise ValueError(
                f"habitat-sim found no floor in {scene} that an agent of radius {agent_radius:g} m can stand on"
                if navmesh == "computed"
                else f"habitat-sim found no navigation mesh of {scene}; pass navmesh='computed' to make one"
            )

    def render(self, pose: Array, camera: Camera) -> tuple[Array, Array]:
        """Image (H, W, 3) uint8 and z-depth (H, W) float32 in metres from T_world_camera (4, 4)."""
        magnum = import_module("magnum")
        node = self._sim.get_agent(0).scene_node
        node.transformation = magnum.Matrix4(geometry.opengl_from_opencv(pose).astype(np.float32))
        for sensor in node.subtree_sensors.values():
            sensor.fov = magnum.Deg(camera.hfov)
        seen = self._sim.get_sensor_observations()
        return seen[f"colour {camera.resolution}"][..., :3].copy(), seen[f"depth {camera.resolution}"].copy()

    def close(self) -> None:
        """Let go of the scene."""
        self._release()


def make_habitat(*arguments: Any, own_process: bool = False, **options: Any) -> Simulator:
    """A ``HabitatSimulator``, in a process of its own if asked: arguments and options are its.

    Raises:
        TypeError: one sentence on an option that there is not.
    """
    known = signature(HabitatSimulator).parameters
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        extra = [name for name in known if name not in ("scenes", "camera", "agent_radius", "allow_sliding")]
        raise TypeError(f"habitat has no option {unknown[0]!r}; there are {', '.join(extra)} and own_process")
    if own_process:
        from mirage_env.simulators.process import ProcessSimulator

        return cast(Simulator, ProcessSimulator(partial(HabitatSimulator, *arguments, **options)))
    return HabitatSimulator(*arguments, **options)


def _check_gpu(gpu_device_id: Any) -> None:
    """Refuse a GPU that is not there: habitat-sim would end the process."""
    if not isinstance(gpu_device_id, int) or isinstance(gpu_device_id, bool) or gpu_device_id < ANY_GPU:
        raise ValueError(f"gpu_device_id must be a whole number of at least {ANY_GPU}, got {gpu_device_id!r}")
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if gpu_device_id >= present:
        raise ValueError(
            f"there is no GPU {gpu_device_id}: this machine shows {present} of NVIDIA's; "
            f"gpu_device_id={ANY_GPU} lets EGL choose"
        )


def _habitat_sim() -> Any:
    for name in ("MAGNUM_LOG", "HABITAT_SIM_LOG"):  # read when habitat-sim is imported
        os.environ.setdefault(name, "quiet")
    try:
        return import_module("habitat_sim")
    except ImportError as error:
        raise ImportError(MISSING) from error


_ENGINES: list[Any] = []
"""All habitat_sim.Simulators of this process. They live as long as it does: one that is collected aborts it."""
_IDLE: dict[tuple[int, NavMeshSource], list[Any]] = {}
"""Those that nobody uses, by GPU and where their navigation meshes come from.

A new one takes 20 s to prepare image-based lighting on a processor, though none is asked for; one that is there takes
another scene at once.
"""


def _take_engine(kept_as: tuple[int, NavMeshSource], configuration: Any) -> Any:
    """A habitat_sim.Simulator of this configuration."""
    idle = _IDLE.setdefault(kept_as, [])
    if not idle:
        idle.append(_habitat_sim().Simulator(_no_scene(configuration)))
        _ENGINES.append(idle[-1])
    engine = idle.pop()
    try:
        engine.reconfigure(configuration)
    except Exception:
        _give_back(kept_as, engine)
        raise
    return engine


def _give_back(kept_as: tuple[int, NavMeshSource], engine: Any) -> None:
    """Without its scene: what is configured twice is not loaded again, even where that failed."""
    engine.reconfigure(_no_scene(engine.config))
    _IDLE[kept_as].append(engine)


def _no_scene(configuration: Any) -> Any:
    """The configuration without a scene."""
    backend = _habitat_sim().SimulatorConfiguration()
    backend.scene_id, backend.gpu_device_id = "NONE", configuration.sim_cfg.gpu_device_id
    backend.enable_physics = False
    return _habitat_sim().Configuration(backend, configuration.agents)


@atexit.register
def _close_engines() -> None:
    while _ENGINES:
        _ENGINES.pop().close()


def _sensors(habitat_sim: Any, resolution: int) -> list[Any]:
    """A colour and a depth camera at the agent's own place, which is put where the camera is.

    Their names tell the resolution: cameras of other names are all that makes habitat-sim make them anew.
    """
    made = []
    for name, kind in (("colour", habitat_sim.SensorType.COLOR), ("depth", habitat_sim.SensorType.DEPTH)):
        sensor = habitat_sim.CameraSensorSpec()
        sensor.uuid, sensor.sensor_type = f"{name} {resolution}", kind
        sensor.resolution = [resolution, resolution]
        sensor.position = [0.0, 0.0, 0.0]
        made.append(sensor)
    return made


def _scene_ids(spec: Any) -> tuple[str, ...]:
    several = [spec] if isinstance(spec, str) else spec
    if not isinstance(several, Sequence) or not several or not all(isinstance(name, str) and name for name in several):
        raise ValueError(f"with a scene dataset, scenes must be ids of its scenes, got {spec!r}")
    return tuple(several)
