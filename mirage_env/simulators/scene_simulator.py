"""An agent in a scene that Habitat's rules govern, whoever renders it and says where it can stand."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeGuard, TypeVar

import numpy as np

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.lighting import Lighting
from mirage_env.simulators import heading
from mirage_env.simulators.agent import Floor, Place, checked_start, go
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion, Motion, View
from mirage_env.simulators.reachable import FloorCells

_SIGHT = 20.0
_PLACES, _HEADINGS = 32, 8


class SceneNavigation(Floor, Protocol):
    """Where an agent can stand in a scene, how it moves, and how far it is; see ``MeshNavigation``."""

    @property
    def largest_island(self) -> int: ...

    def is_navigable(self, position: Any) -> bool: ...

    def geodesic_distance(self, a: Any, b: Any) -> float: ...

    def shortest_path(self, a: Any, b: Any) -> Array: ...

    def sample(self, rng: np.random.Generator, island: int | None = None) -> Array: ...

    def island_radius(self, position: Any) -> float: ...

    def reachable_cells(self, position: Any, cell: float) -> FloorCells: ...


class OpenScene(Protocol):
    """A scene that has been made ready for an agent."""

    @property
    def navigation(self) -> SceneNavigation: ...


Opened = TypeVar("Opened", bound=OpenScene)
Seen = TypeVar("Seen", bound=View)


class SceneSnapshot(NamedTuple):
    """A whole state of a ``SceneSimulator``, as a value.

    Attributes:
        scene: the scene's name or file.
        place: where the agent is.
        rotation: its heading as Habitat keeps it, see ``heading``.
    """

    scene: str
    place: Place
    rotation: tuple[float, ...]


class SceneSimulator(ABC, Generic[Opened, Seen]):
    """Ground truth by Habitat's rules: what differs from one renderer to another is left to subclasses.

    Fulfils ``mirage_env.simulators.base.Simulator``. The camera may be replaced by assignment at any time; the next
    view uses it.

    Args:
        scenes: names or files, of which the first is opened where none is asked for.
        camera: the agent's camera.
        agent_radius: metres.
        allow_sliding: whether a blocked agent slides along the wall.

    Attributes:
        lighting: the light in which views are seen; None: as they are. May be assigned; the next view uses it.
    """

    def __init__(
        self, scenes: tuple[str, ...], camera: Camera | None, agent_radius: float, allow_sliding: bool
    ) -> None:
        if not (math.isfinite(agent_radius) and 0 <= agent_radius < 1):
            raise ValueError(f"agent_radius must lie in [0, 1) metres, got {agent_radius!r}")
        self.scenes = scenes
        self.camera = Camera() if camera is None else camera
        self.agent_radius = float(agent_radius)
        self.allow_sliding = bool(allow_sliding)
        self.lighting: Lighting | None = None
        self._opened: Opened | None = None
        self._state: SceneSnapshot | None = None
        self._default: tuple[Opened, AgentStart] | None = None
        self._closed = False

    @abstractmethod
    def _prepared(self, scene: str) -> Opened:
        """A scene, made ready for an agent of this radius; the present one if that is it."""

    @abstractmethod
    def _named(self, scene: Any) -> str:
        """The name of a scene that can be opened, checked."""

    @abstractmethod
    def _view(self) -> Seen:
        """What the camera sees now."""

    @abstractmethod
    def render_views(self, poses: Any) -> tuple[Array, Array]:
        """Views of the present scene from any poses.

        Args:
            poses: T_world_camera (B, 4, 4); one (4, 4) is a batch of one.

        Returns:
            Images (B, H, W, 3) uint8 and z-depth (B, H, W) float32.
        """

    def reset(self, scene: Any = None, start: AgentStart | None = None) -> Seen:
        """Open a scene (None: keep the present one, at first the first of ``scenes``) and place the agent.

        The start may lie up to 0.5 m above or below the floor, as in Habitat; the first step ahead leads to it.

        Raises:
            FileNotFoundError, ValueError: one sentence on a scene that cannot be opened or a start where the agent
                cannot stand.
        """
        self._check_open()
        if scene is None:
            scene = self.scenes[0] if self._state is None else self._state.scene
        scene = self._named(scene)
        opened = self._prepared(scene)
        position, yaw = checked_start(self._default_start(opened) if start is None else start)
        if not opened.navigation.is_navigable(position):
            x, y, z = position
            raise ValueError(
                f"the agent cannot start at ({x:.2f}, {y:.2f}, {z:.2f}) in {Path(scene).name}, which is not navigable; "
                "take a start from sample_navigable_point"
            )
        self._opened = opened
        place = Place(position, math.remainder(yaw, math.tau))
        self._state = SceneSnapshot(scene, place, _rotation(place.yaw))
        return self._view()

    def step(self, motion: Motion) -> tuple[Seen, bool]:
        """Move the agent or, by a ``CameraMotion``, the camera alone; the new view, and whether the agent collided.

        A ``FloorMotion`` after free camera motions goes on from the floor below the camera (the nearest navigable
        place), level again.
        """
        state = self._present()
        if _is_habitats(motion) and state.place.free_pose is None:
            self._state, collided = self._moved(state, motion)
        else:
            there = go(self.navigation, state.place, motion, None, self.camera.height, self.allow_sliding)
            self._state, collided = SceneSnapshot(state.scene, there.place, _rotation(there.place.yaw)), there.collided
        return self._view(), collided

    def snapshot(self) -> SceneSnapshot:
        """The whole state as an immutable value; ``restore`` returns to it any number of times."""
        return self._present()

    def restore(self, snapshot: SceneSnapshot) -> Seen:
        """Return to a snapshot of this or another simulator of its kind."""
        self._check_open()
        if not isinstance(snapshot, SceneSnapshot):
            raise TypeError(f"restore needs what {type(self).__name__}.snapshot() gave, got {type(snapshot).__name__}")
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
        return self.navigation.island_radius(point)

    def reachable_cells(self, position: Any, cell: float) -> FloorCells:
        """Where an agent at position (3,) can walk to, see ``reachable_floor``."""
        return self.navigation.reachable_cells(position, cell)

    @property
    def scene(self) -> str:
        """Name or file of the present scene."""
        return self._present().scene

    @property
    def agent(self) -> AgentStart:
        """Where the agent stands now."""
        place = self._present().place
        return AgentStart(place.position, place.yaw)

    @property
    def navigation(self) -> SceneNavigation:
        """The present scene's navigable space."""
        return self._ready().navigation

    def close(self) -> None:
        """Let go of the scene; the simulator cannot be used after."""
        self._opened = self._state = self._default = None
        self._closed = True

    def _moved(self, state: SceneSnapshot, motion: FloorMotion) -> tuple[SceneSnapshot, bool]:
        """A step ahead or a turn, with the numbers that Habitat gives it, and whether it collided."""
        rotation = np.array(state.rotation, dtype=np.float32)
        if motion.turn:
            rotation = heading.turned(rotation, math.degrees(motion.turn))
            place = Place(state.place.position, math.remainder(heading.yaw_of(rotation), math.tau))
            return SceneSnapshot(state.scene, place, tuple(rotation.tolist())), False
        way = heading.ahead(rotation, motion.forward)
        end, collided = self.navigation.move(np.array(state.place.position), way, self.allow_sliding)
        x, y, z = end.tolist()
        return state._replace(place=Place((x, y, z), state.place.yaw)), collided

    def _ready(self) -> Opened:
        """The present scene."""
        self._present()
        assert self._opened is not None
        return self._opened

    def _default_start(self, opened: Opened) -> AgentStart:
        if self._default is None or self._default[0] is not opened:
            self._default = opened, longest_view(opened.navigation)
        return self._default[1]

    def _present(self) -> SceneSnapshot:
        self._check_open()
        if self._state is None:
            raise RuntimeError("no scene is open yet; call reset first")
        return self._state

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this simulator was closed; make a new one")


def _is_habitats(motion: Any) -> TypeGuard[FloorMotion]:
    """Whether Habitat has this motion: a way ahead or a turn, not both."""
    finite = isinstance(motion, FloorMotion) and math.isfinite(motion.forward) and math.isfinite(motion.turn)
    return finite and motion.left == 0 and (motion.forward == 0 or motion.turn == 0)


def _rotation(yaw: float) -> tuple[float, ...]:
    return tuple(heading.heading(yaw).tolist())


def longest_view(navigation: SceneNavigation) -> AgentStart:
    """A place of the largest island with a long free way ahead; the same at every call."""
    rng, island = np.random.default_rng(0), navigation.largest_island
    starts = [
        (navigation.sample(rng, island), math.tau * k / _HEADINGS - math.pi)
        for _ in range(_PLACES)
        for k in range(_HEADINGS)
    ]
    (x, y, z), yaw = max(starts, key=lambda start: _free_way(navigation, *start))
    return AgentStart((float(x), float(y), float(z)), yaw)


def _free_way(navigation: SceneNavigation, position: Array, yaw: float) -> float:
    end, _ = navigation.move(position, _SIGHT * geometry.forward(yaw), allow_sliding=False)
    return float(np.linalg.norm(end - position))
