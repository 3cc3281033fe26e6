"""A simulator of an imagined world: the memory's own geometry says where the agent walks, the model what it sees."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np

from mirage_env import geometry
from mirage_env.frame import Frame
from mirage_env.geometry import Array
from mirage_env.lighting import Lighting, relit
from mirage_env.simulators.agent import Place, Proposal, go
from mirage_env.simulators.base import AgentStart, Camera, Motion, Simulator
from mirage_env.simulators.grid_navigation import GridNavigation
from mirage_env.simulators.occupancy import OccupancyGrid
from mirage_env.simulators.start_view import StartView, posed
from mirage_env.simulators.tour import Tour, ViewSource, all_round, told
from mirage_env.state import WorldState
from mirage_env.world import Imagine, WorldModel

StartDepth = Literal["estimated", "true"]
Obstacles = Literal["all", "sure", "seen"]
BELIEVED: dict[Obstacles, float] = {"all": 1.0, "sure": 0.1, "seen": 0.0}
"""Doubt up to which what was imagined is in the way.

Along true walks through worlds that began with four views (10 homes of ``val``, 20,000 imagined surfels) the true floor
was free where 18 % of those stood that were in doubt by less than 0.1, and where 39 to 61 % of the others did.
"""

NEAREST_FLOOR = 0.5
"""Metres. A goal that imagined geometry covers is measured from the nearest free floor, if that is not farther off."""

_FLOOR_TOLERANCE = 0.5


class ImaginedSnapshot(NamedTuple):
    """A whole state of ``ImaginedSimulator``, as a value that shares the memory it came from.

    Attributes:
        state: the world.
        place: where the agent is.
        occupancy: the memory's geometry, as far as it was asked for.
        frame: the last view.
        opening: the start view that a reset without a scene returns to; None: that of the source.
    """

    state: WorldState
    place: Place
    occupancy: OccupancyGrid
    frame: Frame
    opening: StartView | None


class TopDown(NamedTuple):
    """What is known of the floor plan: rows go with z, columns with x.

    Attributes:
        obstacle, floor, navigable: (H, W) bool; unknown floor counts as navigable.
        origin: (2,) world x and z of the corner of cell (0, 0).
        cell: metres per cell.
        extent: x0, x1, z1, z0 in metres, for ``matplotlib``'s imshow.
    """

    obstacle: Array
    floor: Array
    navigable: Array
    origin: Array
    cell: float
    extent: tuple[float, float, float, float]


class ImaginedSimulator:
    """An agent in a world that is imagined from one view.

    Fulfils ``mirage_env.simulators.base.Simulator``; views are ``Frame``s. The world's frame is that of the source, so
    that coordinates mean the same in both. Collisions and distances come from the memory's own geometry, unknown
    space counts as free. The source is asked for nothing but start views.

    Args:
        world: the model.
        source: a true simulator that gives start views; None: worlds begin with a ``StartView`` only.
        camera: the agent's camera.
        agent_radius: metres.
        allow_sliding: whether a blocked agent slides along obstacles.
        imagine: see ``WorldModel.step_batch``.
        start_depth: "estimated" from the start view, or the source's "true" depth of it.
        seed: of what is imagined from the next reset on; may be assigned.
        num_start_views: how many views of the source a world begins with, 1 or more: the start view, and others from
            its place at equal angles all round. Of a ``StartView`` there is one.
        obstacles: "all" that the memory holds is in the way; or only what a camera has "seen": what was imagined is
            shown then, but stops nobody, so that no way is shut off by a guess; or also what is "sure" (``BELIEVED``).
        imagine_threshold: with "new", the share of unseen cells up to which a view is left as it is, its depth 0 there.
        tour: of the source's scene, which worlds begin with beside the start views; None: with these alone.

    Attributes:
        lighting: the light in which a world gets the image of a ``StartView``, from the next reset on; None: as it is.
            May be assigned. Views of the source come in the source's own light.
    """

    def __init__(
        self,
        world: WorldModel,
        source: Simulator | None = None,
        camera: Camera | None = None,
        agent_radius: float = 0.18,
        allow_sliding: bool = True,
        imagine: Imagine = "new",
        start_depth: StartDepth = "estimated",
        seed: int = 0,
        num_start_views: int = 1,
        obstacles: Obstacles = "all",
        imagine_threshold: float = 0.0,
        tour: Tour | None = None,
    ) -> None:
        if num_start_views < 1:
            raise ValueError(f"a world begins with at least 1 view, got num_start_views {num_start_views!r}")
        if not (math.isfinite(agent_radius) and 0 <= agent_radius < 1):
            raise ValueError(f"agent_radius must lie in [0, 1) metres, got {agent_radius!r}")
        if imagine not in get_args(Imagine):
            raise ValueError(f"imagine must be one of {', '.join(get_args(Imagine))}, got {imagine!r}")
        if start_depth not in get_args(StartDepth):
            raise ValueError(f"start_depth must be one of {', '.join(get_args(StartDepth))}, got {start_depth!r}")
        if obstacles not in get_args(Obstacles):
            raise ValueError(f"obstacles must be one of {', '.join(get_args(Obstacles))}, got {obstacles!r}")
        if not 0 <= imagine_threshold <= 1:
            raise ValueError(f"imagine_threshold is a share of cells, from 0 to 1, got {imagine_threshold!r}")
        self.world = world
        self.source = source
        self.camera = Camera() if camera is None else camera
        self.agent_radius = float(agent_radius)
        self.allow_sliding = bool(allow_sliding)
        self.imagine: Imagine = imagine
        self.start_depth: StartDepth = start_depth
        self.seed = int(seed)
        self.num_start_views = int(num_start_views)
        self.obstacles: Obstacles = obstacles
        self.imagine_threshold = float(imagine_threshold)
        self.tour = tour
        self.lighting: Lighting | None = None
        self._now: ImaginedSnapshot | None = None
        self._navigation: tuple[OccupancyGrid, float, GridNavigation] | None = None
        self._closed = False

    def reset(self, scene: Any = None, start: AgentStart | None = None, *, seed: int | None = None) -> Frame:
        """Begin a world.

        Args:
            scene: a ``StartView``, or what the source understands; None: the present one.
            start: where the agent stands; None: as the start view's pose or the source says.
            seed: of what is imagined from now on; None: as before.

        Raises:
            ValueError: without a source, for anything but a ``StartView``; and where ``start`` makes no sense.
        """
        self._check_open()
        if scene is None and self._now is not None:
            scene = self._now.opening
        if isinstance(scene, StartView):
            height = self.camera.height if scene.camera_height is None else scene.camera_height
            opening, view = scene, posed(scene, start, height)
        elif self.source is None:
            raise ValueError("this imagined world has no source of scenes; begin it with a StartView(image)")
        else:
            true = self.source.reset(scene, start)
            depth = true.depth if self.start_depth == "true" else None
            opening, view = None, StartView(true.rgb, self.source.camera.hfov, depth, true.pose)
            height = self.source.camera.height
        if seed is not None:
            self.seed = int(seed)
        # The start camera may hang at another height than the agent's own: feet, not cameras, stand on the floor.
        floor_height = float(view.pose[1, 3]) - height
        if opening is None:
            state = self._looked_round(self._toured(view, height), view)
        else:
            state = self._started(dataclasses.replace(view, image=relit(view.image, self.lighting)), height)
        place = Place.of_camera(np.asarray(view.pose, dtype=np.float64), height)
        pose = place.pose(self.camera.height)
        if self._is_own_view(view, pose):
            frame = self.world.frame(state)
        else:
            state, frame = self.world.step(state, pose, self.imagine, self.imagine_threshold)
        occupancy = OccupancyGrid(floor_height, believed=BELIEVED[self.obstacles])
        self._now = ImaginedSnapshot(state, place, occupancy, frame, opening)
        return frame

    def step(self, motion: Motion) -> tuple[Frame, bool]:
        """Move the agent or, by a ``CameraMotion``, the camera alone; the new view, and whether the agent collided."""
        proposal = self.propose(motion)
        state, frame = self.world.step(self.state, proposal.pose, self.imagine, self.imagine_threshold)
        return self.accept(proposal, state, frame)

    def propose(self, motion: Motion) -> Proposal:
        """Where a motion would take the agent. It stays where it is, so that many worlds can be seen in one batch."""
        now = self._present()
        return go(
            self.navigation, now.place, motion, now.occupancy.floor_height, self.camera.height, self.allow_sliding
        )

    def accept(self, proposal: Proposal, state: WorldState, frame: Frame) -> tuple[Frame, bool]:
        """Go where ``propose`` said, with what ``WorldModel.step`` made of ``state`` and the proposal's pose."""
        self._now = self._present()._replace(state=state, place=proposal.place, frame=frame)
        return frame, proposal.collided

    def snapshot(self) -> ImaginedSnapshot:
        """The whole state as a value, in constant time; ``restore`` returns to it any number of times."""
        return self._present()

    def restore(self, snapshot: ImaginedSnapshot) -> Frame:
        """Return to a snapshot of this or another ``ImaginedSimulator`` with the same model."""
        self._check_open()
        if not isinstance(snapshot, ImaginedSnapshot):
            raise TypeError(f"restore needs what ImaginedSimulator.snapshot() gave, got {type(snapshot).__name__}")
        self._now = snapshot
        return snapshot.frame

    def is_navigable(self, position: Any) -> bool:
        """Whether the agent can stand at position (3,) as far as the memory knows (y within 0.5 m of the floor)."""
        height = self._present().occupancy.floor_height
        return abs(float(position[1]) - height) <= _FLOOR_TOLERANCE and self.navigation.is_navigable(position)

    def geodesic_distance(self, a: Any, b: Any) -> float:
        """Metres along the floor from a (3,) to b (3,), unknown floor counting as free; ``inf`` where there is no way.

        A place that imagined geometry covers is reached through the nearest free floor within 0.5 m.
        """
        navigation = self.navigation
        places, apart = [], []
        for end in (a, b):
            point = np.asarray(end, dtype=np.float64)
            if point.shape != (3,) or not all(map(math.isfinite, point.tolist())):
                return math.inf
            places.append(point if navigation.is_navigable(point) else navigation.snap(point))
            apart.append(0.0 if places[-1] is point else math.dist(places[-1][::2], point[::2]))
        if max(apart) > NEAREST_FLOOR:
            return math.inf
        return navigation.geodesic_distance(*places) + apart[0] + apart[1]

    def shortest_path(self, a: Any, b: Any) -> Array:
        """Corners (N, 3) of a shortest path from a to b, both included; (0, 3) where there is no way."""
        return self.navigation.shortest_path(a, b)

    def sample_navigable_point(self, rng: np.random.Generator) -> Array:
        """A point (3,) on floor that was seen or imagined and can be reached from the agent, uniform over its cells.

        The agent's own place where no such floor is known.
        """
        at = np.array(self._present().place.position)
        at[1] = self._present().occupancy.floor_height
        navigation = self.navigation
        point = navigation.sample(rng, mask=self.occupancy.floor, here=at)
        return navigation.snap(at) if point is None else point

    def view_from(self, pose: Any) -> Frame:
        """The view from T_world_camera (4, 4), new in what the memory does not show; this world does not change."""
        return self.world.step(self.state, pose, "new")[1]

    def top_down(self) -> TopDown:
        """The floor plan as far as the memory knows it."""
        navigation = self.navigation
        grid = self.occupancy
        return TopDown(navigation.blocked, grid.floor, navigation.navigable, grid.origin, grid.cell, grid.extent)

    @property
    def state(self) -> WorldState:
        """The world as a value, with the camera that the simulator has now."""
        state, camera = self._present().state, self.camera
        resolution, K = (camera.resolution, camera.resolution), camera.intrinsics
        if state.resolution == resolution and np.array_equal(state.intrinsics, K):
            return state
        return dataclasses.replace(state, resolution=resolution, intrinsics=K)

    @property
    def agent(self) -> AgentStart:
        """Where the agent stands now."""
        place = self._present().place
        return AgentStart(place.position, place.yaw)

    @property
    def occupancy(self) -> OccupancyGrid:
        """The memory's geometry; tokens written since it was last asked for are added now."""
        now = self._present()
        grid = now.occupancy.extended(now.state.memory)
        if grid is not now.occupancy:
            self._now = now = now._replace(occupancy=grid)
        return now.occupancy

    @property
    def navigation(self) -> GridNavigation:
        """Navigation on ``occupancy``."""
        grid, place = self.occupancy, self._present().place
        known = self._navigation
        if known is not None and known[0] is grid and known[1] == self.agent_radius:
            navigation = known[2]
        else:
            navigation = self._navigate(grid)
        if place.free_pose is None and not navigation.is_navigable(place.position):
            # What was imagined around the agent after it came there cannot be solid.
            grid = grid.standing(place.position, self.agent_radius)
            navigation = self._navigate(grid)
            self._now = self._present()._replace(occupancy=grid)
        self._navigation = (grid, self.agent_radius, navigation)
        return navigation

    def close(self) -> None:
        """Let go of the world, and close the source; the simulator cannot be used after."""
        self._now = self._navigation = None
        self._closed = True
        if self.source is not None:
            self.source.close()

    def _navigate(self, grid: OccupancyGrid) -> GridNavigation:
        known = self._navigation
        if known is None or known[1] != self.agent_radius:
            return GridNavigation(grid.blocked, grid.origin, grid.cell, self.agent_radius, outside_free=True)
        before, _, navigation = known
        # Most of what is written blocks nothing new, and ways that are known already need no second search.
        if grid.blocks_as(before):
            return navigation
        blocked = grid.blocked
        same = navigation.cell == grid.cell and np.array_equal(navigation.origin, grid.origin)
        if same and np.array_equal(navigation.blocked, blocked):
            return navigation
        return GridNavigation(blocked, grid.origin, grid.cell, self.agent_radius, outside_free=True)

    def _started(self, view: StartView, height: float) -> WorldState:
        """A world that knows this view alone."""
        return self.world.start(
            view.image,
            self.camera.hfov if view.hfov is None else view.hfov,
            view.depth,
            view.pose,
            self.seed,
            camera_height=height,
            frame_hfov=self.camera.hfov,
            resolution=self.camera.resolution,
        )

    def _toured(self, view: StartView, height: float) -> WorldState:
        """A world that knows this view of the source, and what the tour saw, if there is one."""
        if self.tour is None:
            return self._started(view, height)
        source = cast(ViewSource, self.source)
        known = self.tour.remembered(self.world, source, self.camera, self.start_depth == "true")
        known = dataclasses.replace(known, seed=self.seed)
        return self.world.observe(known, view.image, view.pose, view.depth, view.hfov)

    def _looked_round(self, state: WorldState, view: StartView) -> WorldState:
        """The state after the source's other start views; its last view is still the first one."""
        source = cast(ViewSource, self.source)
        place, yaw = geometry.agent_pose(view.pose, source.camera.height)
        poses = all_round(place, yaw, self.num_start_views, source.camera.height)
        return told(self.world, state, source, poses[1:], self.start_depth == "true")

    def _is_own_view(self, view: StartView, pose: Array) -> bool:
        """Whether the start image is what the agent's camera sees from ``pose``."""
        size = self.camera.resolution
        same_camera = view.image.shape == (size, size, 3) and view.hfov in (None, self.camera.hfov)
        return same_camera and np.allclose(view.pose, pose, atol=1e-6)

    def _present(self) -> ImaginedSnapshot:
        self._check_open()
        if self._now is None:
            raise RuntimeError("no world has begun yet; call reset first")
        return self._now

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this simulator was closed; make a new one")
