"""The true simulator over generated homes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.lighting import Lighting
from mirage_env.simulators.agent import check_finite, checked_start
from mirage_env.simulators.base import AgentStart, Camera, CameraMotion, FloorMotion, Motion
from mirage_env.simulators.navigation import COLLISION_SLACK, PolygonNavigation
from mirage_env.simulators.rooms.course import Course
from mirage_env.simulators.rooms.crew import MAX_MOVERS, Crew, Moment, PosedMover, prepare_crew
from mirage_env.simulators.rooms.home import Home
from mirage_env.simulators.rooms.movers import Disc, contact
from mirage_env.simulators.rooms.prepared import PreparedHome, prepare_home
from mirage_env.simulators.rooms.splits import Scene, check_scene, resolve_scenes
from mirage_env.simulators.rooms.views import HomeView, mover_pixels, render_moments

_FLOOR_TOLERANCE = 0.5
_SKIN = 1e-4  # metres that a blocked agent leaves between itself and a mover


class RoomsSnapshot(NamedTuple):
    """A whole state of ``RoomsSimulator``, as a value.

    Attributes:
        scene: the seed or "toy".
        position: the agent's feet.
        yaw: radians in [-pi, pi].
        free_pose: T_world_camera as 16 numbers, row by row, once the camera was moved freely; None on the floor.
        course: what the movers did so far; None without movers.
    """

    scene: Scene
    position: tuple[float, float, float]
    yaw: float
    free_pose: tuple[float, ...] | None = None
    course: Course | None = None


class FloorMap(NamedTuple):
    """A picture of a floor plan, seen from above: rows go with z, columns with x.

    Attributes:
        floor: (H, W) bool, floor of the rooms and doorways, under furniture too.
        navigable: (H, W) bool, where the agent's centre can be.
        origin: (2,) world x and z of the top left corner of cell (0, 0).
        cell: metres per cell; the centre of cell (r, c) is ``origin + ((c + 0.5) * cell, (r + 0.5) * cell)``.
    """

    floor: Array
    navigable: Array
    origin: Array
    cell: float


class RoomsSimulator:
    """Ground truth: an agent in furnished homes that are generated from seeds.

    Fulfils ``mirage_env.simulators.base.Simulator``. The camera may be replaced by assignment at any time; the next
    view uses it.

    Movers (boxes on wheels and people, in turn) begin anew at every reset and make one time step per ``step``, after
    the agent. What they do follows from the scene, their seed, and where the agent is: they wait for it or turn away.
    The agent cannot walk through them. Navigable places and geodesic distances are those of the home without movers.

    Args:
        scenes: a split ("train", "val", "test"), "toy", one seed, or a range or sequence of seeds.
        camera: the agent's camera.
        agent_radius: metres.
        allow_sliding: whether a blocked agent slides along the wall.
        samples: colour samples per pixel, 1 or 4.
        movers: how many move in each home, up to 8.
        mover_seed: decides, with the scene, who they are and where they go; 0 or above.
    """

    def __init__(
        self,
        scenes: Any = "val",
        camera: Camera | None = None,
        agent_radius: float = 0.18,
        allow_sliding: bool = True,
        samples: int = 1,
        movers: int = 0,
        mover_seed: int = 0,
    ) -> None:
        if samples not in (1, 4):
            raise ValueError(f"samples must be 1 or 4 per pixel, got {samples!r}")
        if not (math.isfinite(agent_radius) and 0 <= agent_radius < 1):
            raise ValueError(f"agent_radius must lie in [0, 1) metres, got {agent_radius!r}")
        if isinstance(movers, bool) or not isinstance(movers, int | np.integer) or not 0 <= movers <= MAX_MOVERS:
            raise ValueError(f"movers must be a whole number from 0 to {MAX_MOVERS}, got {movers!r}")
        if isinstance(mover_seed, bool) or not isinstance(mover_seed, int | np.integer) or mover_seed < 0:
            raise ValueError(f"mover_seed must be a whole number, 0 or above, got {mover_seed!r}")
        self.scenes: Sequence[Scene] = resolve_scenes(scenes)
        self.camera = Camera() if camera is None else camera
        self.agent_radius = float(agent_radius)
        self.allow_sliding = bool(allow_sliding)
        self.samples = samples
        self.lighting: Lighting | None = None
        self.movers = int(movers)
        self.mover_seed = int(mover_seed)
        self._opened: PreparedHome | None = None
        self._state: RoomsSnapshot | None = None
        self._closed = False

    def reset(self, scene: Any = None, start: AgentStart | None = None) -> HomeView:
        """Open a scene (None: keep the present one, at first the first of ``scenes``) and place the agent.

        Raises:
            ValueError: for a scene that does not exist or has no room for so many movers, or a start where the agent
                cannot stand.
        """
        self._check_open()
        if scene is None:
            scene = self.scenes[0] if self._state is None else self._state.scene
        scene = check_scene(scene)
        opened = prepare_home(scene, self.agent_radius)
        if start is None:
            start = opened.default_start
        position, yaw = checked_start(start)
        if abs(position[1]) > _FLOOR_TOLERANCE or not opened.navigation.is_navigable(position):
            x, y, z = position
            raise ValueError(
                f"the agent cannot start at ({x:.2f}, {y:.2f}, {z:.2f}) in scene {scene}, which is not navigable; "
                "take a start from sample_navigable_point"
            )
        course = None
        if self.movers:
            begin = self._crew(scene).start(Disc(position[0], position[2], self.agent_radius))
            course = Course(0, (begin,), self.mover_seed)
        self._opened = opened
        self._state = RoomsSnapshot(scene, (position[0], 0.0, position[2]), math.remainder(yaw, math.tau), None, course)
        return self._view()

    def step(self, motion: Motion) -> tuple[HomeView, bool]:
        """Move the agent or, by a ``CameraMotion``, the camera alone; the new view, and whether the agent collided.

        A ``FloorMotion`` after free camera motions goes on from the floor below the camera (the nearest navigable
        place), level again.
        """
        state = self._present()
        if isinstance(motion, FloorMotion):
            check_finite(motion)
            moved, collided = np.array(state.position), False
            if motion.forward or motion.left:
                way = geometry.arc_displacement(state.yaw, motion.forward, motion.turn, motion.left)
                moved, collided = self._move(moved, way)
            yaw = math.remainder(state.yaw + motion.turn, math.tau)
            self._go_on(state, (float(moved[0]), 0.0, float(moved[2])), yaw)
            return self._view(), collided
        if isinstance(motion, CameraMotion):
            pose = self._pose() @ geometry.check_pose(motion.T_camera_next, "T_camera_next")
            below, yaw = geometry.agent_pose(pose, self.camera.height)
            below = self.navigation.snap(below)
            self._go_on(state, (float(below[0]), 0.0, float(below[2])), yaw, tuple(pose.ravel().tolist()))
            return self._view(), False
        raise TypeError(f"a motion must be a FloorMotion or a CameraMotion, got {type(motion).__name__}")

    def snapshot(self) -> RoomsSnapshot:
        """The whole state as an immutable value; ``restore`` returns to it any number of times."""
        return self._present()

    def restore(self, snapshot: RoomsSnapshot) -> HomeView:
        """Return to a snapshot of this or another ``RoomsSimulator`` with the same movers."""
        self._check_open()
        if not isinstance(snapshot, RoomsSnapshot):
            raise TypeError(f"restore needs what RoomsSimulator.snapshot() gave, got {type(snapshot).__name__}")
        theirs = (
            (0, self.mover_seed) if snapshot.course is None else (len(snapshot.course.present), snapshot.course.seed)
        )
        if theirs != (self.movers, self.mover_seed):
            raise ValueError(
                f"the snapshot has {theirs[0]} movers of seed {theirs[1]}, this simulator {self.movers} of seed "
                f"{self.mover_seed}; restore it in a simulator with the same movers"
            )
        self._opened = prepare_home(snapshot.scene, self.agent_radius)
        self._state = snapshot
        return self._view()

    def is_navigable(self, position: Any) -> bool:
        """Whether the agent can stand at position (3,), within 0.5 m of the floor's height."""
        return abs(float(position[1])) <= _FLOOR_TOLERANCE and self.navigation.is_navigable(position)

    def geodesic_distance(self, a: Any, b: Any) -> float:
        """Metres along the floor from a (3,) to b (3,); ``inf`` where there is no way. Repeated goals b are cheap."""
        return self.navigation.geodesic_distance(a, b)

    def shortest_path(self, a: Any, b: Any) -> Array:
        """Corners (N, 3) of a shortest path from a to b, both included; (0, 3) where there is no way."""
        return self.navigation.shortest_path(a, b)

    def sample_navigable_point(self, rng: np.random.Generator) -> Array:
        """A navigable point (3,), uniform over the navigable area."""
        return self.navigation.sample(rng)

    def render_views(
        self, poses: Any, times: int | Sequence[int] | None = None, static_only: bool = False
    ) -> tuple[Array, Array]:
        """Views of the present scene from any poses, now or at earlier times of the episode.

        Args:
            poses: T_world_camera (B, 4, 4); one (4, 4) is a batch of one.
            times: steps since the reset, one for all views or one per view; None: now. Without movers all are alike.
            static_only: leave the movers out.

        Returns:
            Images (B, H, W, 3) uint8 and z-depth (B, H, W) float32.

        Raises:
            ValueError: for a time to come, or one more than 4,095 steps ago.
        """
        poses, moments = self._posed_moments(poses, times)
        assert self._opened is not None
        if static_only:
            moments = [None] * len(poses)
        return render_moments(self._opened, poses, moments, self.camera, self.samples, self.lighting)

    def mover_mask(self, poses: Any, times: int | Sequence[int] | None = None, affected: bool = False) -> Array:
        """Which pixels (B, H, W) bool of the views that ``render_views`` gives show a mover in their centres.

        With ``affected``, all pixels whose colour or depth movers change: those in their shadows and at their edges,
        too.
        """
        poses, moments = self._posed_moments(poses, times)
        assert self._opened is not None
        size, samples = self.camera.resolution, self.samples if affected else None
        masks = np.zeros((len(poses), size, size), dtype=bool)
        for mask, pose, moment in zip(masks, poses, moments, strict=True):
            if moment is not None:
                mask[:] = mover_pixels(self._opened, pose, moment, self.camera, samples)
        return masks

    def movers_at(self, time: int | None = None) -> tuple[PosedMover, ...]:
        """The movers now (None) or at an earlier time of the episode: places, headings and meshes."""
        moment = self._moment(time)
        return () if moment is None else moment.movers

    @property
    def time(self) -> int:
        """Steps since the reset for which movers have moved; always 0 without movers."""
        course = self._present().course
        return 0 if course is None else course.time

    @property
    def floor_area(self) -> float:
        """Navigable area of the present scene in m²."""
        return float(self.navigation.free.area)

    def navigable_map(self, cell: float = 0.05, margin: float = 0.25) -> FloorMap:
        """The present scene's floor plan as a picture, for drawing; ``margin`` metres are left around the floor."""
        if not (cell > 0 and margin >= 0):
            raise ValueError(f"a map needs cell > 0 and margin >= 0 metres, got cell {cell} and margin {margin}")
        floor, free = self.home.floor, self.navigation.free
        x0, z0, x1, z1 = floor.bounds
        origin = np.array([x0 - margin, z0 - margin])
        columns, rows = math.ceil((x1 - x0 + 2 * margin) / cell), math.ceil((z1 - z0 + 2 * margin) / cell)
        x, z = np.meshgrid(origin[0] + (np.arange(columns) + 0.5) * cell, origin[1] + (np.arange(rows) + 0.5) * cell)
        shapely.prepare(floor)
        return FloorMap(shapely.contains_xy(floor, x, z), shapely.contains_xy(free, x, z), origin, float(cell))

    @property
    def scene(self) -> Scene:
        """The present scene: a seed or "toy"."""
        return self._present().scene

    @property
    def agent(self) -> AgentStart:
        """Where the agent stands now."""
        state = self._present()
        return AgentStart(state.position, state.yaw)

    @property
    def home(self) -> Home:
        """The present scene's home."""
        self._present()
        assert self._opened is not None
        return self._opened.home

    @property
    def navigation(self) -> PolygonNavigation:
        """The present scene's navigation geometry."""
        self._present()
        assert self._opened is not None
        return self._opened.navigation

    def close(self) -> None:
        """Let go of the scene; the simulator cannot be used after."""
        self._opened = self._state = None
        self._closed = True

    def _pose(self) -> Array:
        state = self._present()
        if state.free_pose is not None:
            return np.array(state.free_pose).reshape(4, 4)
        return geometry.camera_pose(state.position, state.yaw, self.camera.height)

    def _move(self, position: Array, way: Array) -> tuple[Array, bool]:
        """Where a motion takes the agent past walls, furniture and movers, and whether it collided."""
        state = self._present()
        if state.course is None:
            return self.navigation.move(position, way, self.allow_sliding)
        discs = self._crew(state.scene).discs(state.course.present)
        radius = self.agent_radius + _SKIN
        x, _, z = position.tolist()
        share = contact(x, z, float(way[0]), float(way[2]), radius, discs)
        moved, _ = self.navigation.move(position, share * way, self.allow_sliding)
        dx, dz = float(moved[0]) - x, float(moved[2]) - z
        if contact(x, z, dx, dz, radius, discs) < 1 - 1e-6:  # slid along a wall into a mover
            moved, dx, dz = position, 0.0, 0.0
        return moved, dx * dx + dz * dz + COLLISION_SLACK < float(way[0] ** 2 + way[2] ** 2)

    def _go_on(
        self,
        state: RoomsSnapshot,
        position: tuple[float, float, float],
        yaw: float,
        free_pose: tuple[float, ...] | None = None,
    ) -> None:
        """Put the agent there, then let the movers make their step."""
        course = state.course
        if course is not None:
            agent = Disc(position[0], position[2], self.agent_radius)
            course = course.then(self._crew(state.scene).step(course.present, agent))
        self._state = RoomsSnapshot(state.scene, position, yaw, free_pose, course)

    def _crew(self, scene: Scene) -> Crew:
        return prepare_crew(scene, self.agent_radius, self.movers, self.mover_seed)

    def _moment(self, time: int | None = None) -> Moment | None:
        """The movers at a time, None: now; None without movers."""
        state = self._present()
        if state.course is None:
            return None
        return self._crew(state.scene).moment(state.course.present if time is None else state.course.at(time))

    def _posed_moments(self, poses: Any, times: Any) -> tuple[Array, list[Moment | None]]:
        poses = geometry.check_pose(poses, "poses").reshape(-1, 4, 4)
        if times is None:
            return poses, [self._moment()] * len(poses)
        if np.ndim(times) > 1 or (np.ndim(times) == 1 and np.shape(times) != (len(poses),)):
            raise ValueError(f"times must be one whole number or one per pose, got {times!r} for {len(poses)} poses")
        return poses, [self._moment(int(time)) for time in np.broadcast_to(times, len(poses))]

    def _view(self) -> HomeView:
        assert self._opened is not None
        pose = self._pose().astype(np.float32)
        return HomeView(self._opened, pose, self.camera, self.samples, self._moment(), self.lighting)

    def _present(self) -> RoomsSnapshot:
        self._check_open()
        if self._state is None:
            raise RuntimeError("no scene is open yet; call reset first")
        return self._state

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this simulator was closed; make a new one")
