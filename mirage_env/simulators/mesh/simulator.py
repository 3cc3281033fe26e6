"""The true simulator over scene files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.simulators.agent import Place, checked_start, go
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion, Motion
from mirage_env.simulators.mesh import heading
from mirage_env.simulators.mesh.axes import Axis
from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.prepared import PreparedScene, prepare_scene
from mirage_env.simulators.views import RenderedView, render


class MeshSnapshot(NamedTuple):
    """A whole state of ``MeshSimulator``, as a value.

    Attributes:
        scene: path of the scene file.
        place: where the agent is.
        rotation: its heading as Habitat keeps it, see ``heading``.
    """

    scene: str
    place: Place
    rotation: tuple[float, ...]


class MeshSimulator:
    """Ground truth: an agent in a scene that a file holds, seen and walked as in habitat-sim.

    Fulfils ``mirage_env.simulators.base.Simulator``. The camera may be replaced by assignment at any time; the next
    view uses it. Views are unlit; faces are transparent from behind.

    Args:
        scenes: a scene file (.glb, .gltf, .obj or .ply), or several.
        camera: the agent's camera.
        agent_radius: metres.
        allow_sliding: whether a blocked agent slides along the wall.
        samples: colour samples per pixel, 1 or 4. habitat-sim takes 1.
        up, front: which way up and ahead are in the files, see ``load_scene``; None: as a stage configuration beside
            the file says, else habitat-sim's rule (a bare .glb is z-up).
    """

    def __init__(
        self,
        scenes: Any,
        camera: Camera | None = None,
        agent_radius: float = 0.18,
        allow_sliding: bool = True,
        samples: int = 1,
        up: Axis | None = None,
        front: Axis | None = None,
    ) -> None:
        if samples not in (1, 4):
            raise ValueError(f"samples must be 1 or 4 per pixel, got {samples!r}")
        if not (math.isfinite(agent_radius) and 0 <= agent_radius < 1):
            raise ValueError(f"agent_radius must lie in [0, 1) metres, got {agent_radius!r}")
        self.scenes = scene_files(scenes)
        self.camera = Camera() if camera is None else camera
        self.agent_radius = float(agent_radius)
        self.allow_sliding = bool(allow_sliding)
        self.samples = samples
        self.up, self.front = up, front
        self._opened: PreparedScene | None = None
        self._state: MeshSnapshot | None = None
        self._closed = False

    def reset(self, scene: Any = None, start: AgentStart | None = None) -> RenderedView:
        """Open a scene file (None: keep the present one, at first the first of ``scenes``) and place the agent.

        The start may lie up to 0.5 m above or below the floor, as in Habitat; the first step ahead leads to it.

        Raises:
            FileNotFoundError, ValueError: one sentence on a scene that cannot be opened or a start where the agent
                cannot stand.
        """
        self._check_open()
        if scene is None:
            scene = self.scenes[0] if self._state is None else self._state.scene
        (scene,) = scene_files(scene)
        opened = self._prepared(scene)
        position, yaw = checked_start(opened.default_start if start is None else start)
        if not opened.navigation.is_navigable(position):
            x, y, z = position
            raise ValueError(
                f"the agent cannot start at ({x:.2f}, {y:.2f}, {z:.2f}) in {Path(scene).name}, which is not navigable; "
                "take a start from sample_navigable_point"
            )
        self._opened = opened
        place = Place(position, math.remainder(yaw, math.tau))
        self._state = MeshSnapshot(scene, place, _rotation(place.yaw))
        return self._view()

    def step(self, motion: Motion) -> tuple[RenderedView, bool]:
        """Move the agent or, by a ``CameraMotion``, the camera alone; the new view, and whether the agent collided.

        A ``FloorMotion`` after free camera motions goes on from the floor below the camera (the nearest navigable
        place), level again.
        """
        state = self._present()
        if _is_habitats(motion) and state.place.free_pose is None:
            self._state, collided = self._moved(state, motion)
        else:
            there = go(self.navigation, state.place, motion, None, self.camera.height, self.allow_sliding)
            self._state, collided = MeshSnapshot(state.scene, there.place, _rotation(there.place.yaw)), there.collided
        return self._view(), collided

    def snapshot(self) -> MeshSnapshot:
        """The whole state as an immutable value; ``restore`` returns to it any number of times."""
        return self._present()

    def restore(self, snapshot: MeshSnapshot) -> RenderedView:
        """Return to a snapshot of this or another ``MeshSimulator``."""
        self._check_open()
        if not isinstance(snapshot, MeshSnapshot):
            raise TypeError(f"restore needs what MeshSimulator.snapshot() gave, got {type(snapshot).__name__}")
        self._opened = self._prepared(snapshot.scene)
        self._state = snapshot
        return self._view()

    def is_navigable(self, position: Any) -> bool:
        """Whether the agent can stand at position (3,), within 0.5 m of the floor's height."""
        return self.navigation.is_navigable(position)

    def geodesic_distance(self, a: Any, b: Any) -> float:
        """Metres along the floor from a (3,) to b (3,), as Habitat counts them; ``inf`` where there is no way.

        Habitat's way is up to some percent longer than the shortest, and not quite the same back.
        """
        return self.navigation.geodesic_distance(a, b)

    def shortest_path(self, a: Any, b: Any) -> Array:
        """Corners (N, 3) of a shortest path from a to b, both included; (0, 3) where there is no way."""
        return self.navigation.shortest_path(a, b)

    def sample_navigable_point(self, rng: np.random.Generator) -> Array:
        """A navigable point (3,), uniform over the navigable area of all floors and islands."""
        return self.navigation.sample(rng)

    def island_radius(self, point: Any) -> float:
        """Metres from the middle of the island nearest to point (3,) to its furthest corner; 0 where there is none."""
        found = self.navigation.island(point)
        return self.navigation.islands[found].radius if found >= 0 else 0.0

    def render_views(self, poses: Any) -> tuple[Array, Array]:
        """Views of the present scene from any poses.

        Args:
            poses: T_world_camera (B, 4, 4); one (4, 4) is a batch of one.

        Returns:
            Images (B, H, W, 3) uint8 and z-depth (B, H, W) float32.
        """
        self._present()
        assert self._opened is not None
        return render(self._opened, geometry.check_pose(poses, "poses").reshape(-1, 4, 4), self.camera, self.samples)

    @property
    def scene(self) -> str:
        """Path of the present scene."""
        return self._present().scene

    @property
    def agent(self) -> AgentStart:
        """Where the agent stands now."""
        place = self._present().place
        return AgentStart(place.position, place.yaw)

    @property
    def navigation(self) -> MeshNavigation:
        """The present scene's navigable space."""
        self._present()
        assert self._opened is not None
        return self._opened.navigation

    def close(self) -> None:
        """Let go of the scene; the simulator cannot be used after."""
        self._opened = self._state = None
        self._closed = True

    def _moved(self, state: MeshSnapshot, motion: FloorMotion) -> tuple[MeshSnapshot, bool]:
        """A step ahead or a turn, with the numbers that Habitat gives it, and whether it collided."""
        rotation = np.array(state.rotation, dtype=np.float32)
        if motion.turn:
            rotation = heading.turned(rotation, math.degrees(motion.turn))
            place = Place(state.place.position, math.remainder(heading.yaw_of(rotation), math.tau))
            return MeshSnapshot(state.scene, place, tuple(rotation.tolist())), False
        way = heading.ahead(rotation, motion.forward)
        end, collided = self.navigation.move(np.array(state.place.position), way, self.allow_sliding)
        x, y, z = end.tolist()
        return state._replace(place=Place((x, y, z), state.place.yaw)), collided

    def _prepared(self, scene: str) -> PreparedScene:
        known = self._opened
        if known and self._state and self._state.scene == scene and known.agent_radius == self.agent_radius:
            return known
        return prepare_scene(scene, self.agent_radius, self.up, self.front)

    def _view(self) -> RenderedView:
        assert self._opened is not None
        pose = self._present().place.pose(self.camera.height).astype(np.float32)
        return RenderedView(self._opened, pose, self.camera, self.samples)

    def _present(self) -> MeshSnapshot:
        self._check_open()
        if self._state is None:
            raise RuntimeError("no scene is open yet; call reset first")
        return self._state

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this simulator was closed; make a new one")


def _is_habitats(motion: Any) -> TypeGuard[FloorMotion]:
    """Whether Habitat has this motion: a way or a turn, not both."""
    finite = isinstance(motion, FloorMotion) and math.isfinite(motion.forward) and math.isfinite(motion.turn)
    return finite and (motion.forward == 0 or motion.turn == 0)


def _rotation(yaw: float) -> tuple[float, ...]:
    return tuple(heading.heading(yaw).tolist())


def scene_files(spec: Any) -> tuple[str, ...]:
    """The scene files that ``spec`` names: a path, or several.

    Raises:
        TypeError, ValueError, FileNotFoundError: one sentence on what is no file.
    """
    several = [spec] if isinstance(spec, str | os.PathLike) else spec
    if not isinstance(several, Sequence):
        raise TypeError(f"scenes must be a scene file or a sequence of them, got {type(spec).__name__}")
    if not several:
        raise ValueError(f"scenes must name at least one scene file, got an empty {type(spec).__name__}")
    for path in several:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"a scene must be the path of a file, got {path!r}")
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no scene file {path}; give a .glb, .gltf, .obj or .ply file")
    return tuple(os.fspath(path) for path in several)
