"""One episode of a world evaluation: a place in a scene, walks from there, the truth along them, what is imagined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from mirage_env import geometry
from mirage_env.evaluation.baselines import variants
from mirage_env.evaluation.lanes import Lane, Track, blind, imagine_lanes, look
from mirage_env.evaluation.rollout import depth_at_cells, through_codec
from mirage_env.evaluation.settings import Settings
from mirage_env.evaluation.tours import errand_loop, errands_in_room, find_start, wandering
from mirage_env.evaluation.walks import true_views
from mirage_env.frame import Frame
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart, Camera, Simulator
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

MIRAGE, MEMORY_OFF, READOUT, LAST_FRAME = "mirage", "memory_off", "readout", "repeat_last"
RGB, REFERENCE = "rgb_memory", "reference_read"
"""As in ``mirage_env.evaluation.baselines``."""
FOLLOWED = 4
"""Pairs of consecutive views whose motion is recovered, on the walk through new views and on the longest loop."""
COLLIDE_AFTER = 64
"""Step of the walk through new views (or its last, if it is shorter) after which imagined floor is compared."""
STILL_AFTER = 16
"""Step of the walk through new views after which the camera stands still."""
SURFACE_BOX = 0.15
"""Metres per side of the boxes by which seen surface is counted, about what a cell covers two metres away."""


@dataclass(frozen=True)
class Truth:
    """True views at some steps of a walk.

    Attributes:
        steps: their numbers, rising.
        poses: T_world_camera (M, 4, 4).
        rgb: (M, H, W, 3) uint8.
        depth: z-depth (M, H, W) float32 in metres.
        ceiling: the same images through the codec (M, H, W, 3).
    """

    steps: tuple[int, ...]
    poses: Array
    rgb: Array
    depth: Array
    ceiling: Array

    def at(self, steps: Sequence[int]) -> Truth:
        """The truth at some of the steps."""
        rows = [self.steps.index(step) for step in steps]
        return Truth(tuple(steps), self.poses[rows], self.rgb[rows], self.depth[rows], self.ceiling[rows])


@dataclass(frozen=True)
class Walked:
    """One walk, its truth at the measured steps, and what each method shows at (some of) them.

    Attributes:
        poses: T_world_camera (N, 4, 4).
        truth: at the measured steps, 0 first.
        tracks: what was imagined step by step, by method.
        frames: what other methods show, by method and step.
    """

    poses: Array
    truth: Truth
    tracks: Mapping[str, Track]
    frames: Mapping[str, Mapping[int, Frame]]

    @property
    def mirage(self) -> Track:
        """What the world model itself imagined."""
        return self.tracks[MIRAGE]

    def shown(self, method: str) -> Mapping[int, Frame]:
        """Frames of a method by step."""
        return self.tracks[method].frames if method in self.tracks else self.frames[method]

    def pictures(self, method: str, steps: Sequence[int]) -> Array:
        """Images (N, H, W, 3) uint8 of a method."""
        if method == LAST_FRAME:
            return np.repeat(self.truth.ceiling[:1], len(steps), 0)
        return np.stack([self.shown(method)[step].rgb for step in steps])

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods with frames."""
        return (*self.tracks, *self.frames)


class Episode:
    """Episode ``number`` in the open scene of a true simulator. What is not asked for is never computed.

    Args:
        settings: of the evaluation.
        simulator: a true one; its camera is set.
        world: the model.
        number: 0 or above.
        scene: what to open.
    """

    def __init__(self, settings: Settings, simulator: Simulator, world: WorldModel, number: int, scene: Any) -> None:
        self.settings = settings
        self.simulator = simulator
        self.world = world
        self.number = number
        self.scene = scene
        simulator.camera = Camera(settings.resolution, settings.hfov, settings.camera_height)
        simulator.reset(scene)

    def rng(self, stream: int) -> np.random.Generator:
        """A generator of its own for each purpose."""
        return np.random.default_rng([self.settings.seed, self.number, stream])

    @cached_property
    def start(self) -> AgentStart:
        """Where all walks begin."""
        return find_start(self.simulator, self.rng(0))

    def truth(self, poses: Array, steps: Sequence[int]) -> Truth:
        """True views of some steps of a walk."""
        rgb, depth = true_views(self.simulator, poses[list(steps)], self.settings.camera_height)
        return Truth(tuple(steps), poses[list(steps)], rgb, depth, through_codec(self.world, rgb))

    def begin(self, world: WorldModel, first: Truth) -> WorldState:
        """A world that knows the first true view, with its true depth where the settings say so."""
        return self.begin_with(world, first, first.depth[0] if self.settings.depth == "true" else None)

    def begin_with(self, world: WorldModel, first: Truth, depth: Any) -> WorldState:
        """A world that knows the first true view with this depth (H, W) in metres; None: predicted from the view."""
        return world.start(
            first.rgb[0],
            self.settings.hfov,
            depth,
            first.poses[0],
            self.number,
            camera_height=self.settings.camera_height,
            resolution=self.settings.resolution,
        )

    @cached_property
    def baselines(self) -> dict[str, WorldModel]:
        """World models with the same networks and other memories, by name."""
        found = variants(self.world)
        return {name: found[name].world for name in (RGB, REFERENCE)}

    @cached_property
    def walks(self) -> dict[str, Walked]:
        """The walk through new views, "novel", and the loops, "loop 32" and so on, of all methods.

        They begin in one place with one view, and are imagined together.
        """
        settings = self.settings
        poses = {"novel": wandering(self.simulator, self.start, settings.walk_steps, self.rng(1))}
        for steps in settings.loops:
            loop = errand_loop(self.simulator, self.start, steps, self.rng(2))
            poses[f"loop {steps}"] = loop.poses(settings.camera_height)
        keep = {name: self._measured(name, len(path) - 1) for name, path in poses.items()}
        truth = {name: self.truth(path, keep[name]) for name, path in poses.items()}
        first = truth["novel"].at([0])
        worlds = {MIRAGE: self.world, **self.baselines}
        starts = {name: self.begin(world, first) for name, world in worlds.items()}
        lanes, names = [], []
        for walk, path in poses.items():
            pairs = {s for first_step in self.followed(walk) for s in (first_step, first_step + 1)}
            for method, world in worlds.items():
                last = len(path) - 1 if method == MIRAGE else self._baseline_end(walk, len(path) - 1)
                if last < 1:
                    continue
                steps = {step for step in keep[walk] if step <= last}
                states = (STILL_AFTER, COLLIDE_AFTER) if method == MIRAGE and walk == "novel" else ()
                also = pairs if method == MIRAGE else set()
                lanes.append(Lane(world, starts[method], path[: last + 1], steps | also, states))
                names.append((walk, method))
        tracks = dict(zip(names, imagine_lanes(lanes), strict=True))
        walked = {}
        for walk, path in poses.items():
            mine = {method: tracks[walk, method] for method in worlds if (walk, method) in tracks}
            walked[walk] = Walked(path, truth[walk], mine, self._standing(truth[walk], starts[MIRAGE]))
        return walked

    @cached_property
    def room_poses(self) -> Array:
        """T_world_camera (N, 4, 4) of a long walk in the room of the start."""
        return errands_in_room(self.simulator, self.start, self.settings.growth_steps[-1], self.rng(3))

    @cached_property
    def room_walk(self) -> Track:
        """That walk as imagined from its first view; only the memory's size is kept."""
        state = self.begin(self.world, self.truth(self.room_poses, [0]))
        return imagine_lanes([Lane(self.world, state, self.room_poses, (), self.settings.growth_steps)])[0]

    @cached_property
    def room_sizes(self) -> dict[int, dict[str, int]]:
        """What the true views of that walk add up to, at ``growth_steps``: "tokens" and "bytes" of a memory to which a
        camera shows each of them, and "surface", the boxes of ``SURFACE_BOX`` in which they show any surface."""
        stride, memory, sizes = self.world.codec.stride, self.world.new_memory(), {}
        K = geometry.scale_intrinsics(self.simulator.camera.intrinsics, 1 / stride)
        _, depth = true_views(self.simulator, self.room_poses, self.settings.camera_height)
        cells = depth_at_cells(depth, stride)
        nothing = torch.zeros(memory.channels, *cells.shape[1:])
        pixels, boxes = geometry.pixel_grid(*cells.shape[1:]), []
        for step, pose in enumerate(self.room_poses):
            memory.write(nothing, cells[step], K, pose)
            points = geometry.transform(pose, geometry.unproject(pixels, cells[step].numpy(), K)[cells[step] > 0])
            boxes.append(np.floor(points / SURFACE_BOX).astype(np.int64))
            if step in self.settings.growth_steps:
                surface = len(np.unique(np.concatenate(boxes), axis=0))
                sizes[step] = {"tokens": len(memory), "bytes": memory.nbytes, "surface": surface}
        return sizes

    def followed(self, walk: str) -> list[int]:
        """First steps of the pairs of views, spread over a walk, whose motion is recovered."""
        settings = self.settings
        last = {"novel": settings.walk_steps, f"loop {settings.loops[-1]}": settings.loops[-1]}.get(walk)
        return [] if last is None else sorted({int(step) for step in np.linspace(0, last - 1, FOLLOWED + 1)[1:]})

    def _measured(self, walk: str, last: int) -> list[int]:
        steps = {0, last, min(self.settings.seen_step, last)}
        return sorted(steps | set(self.settings.horizons if walk == "novel" else ()))

    def _baseline_end(self, walk: str, last: int) -> int:
        if walk == "novel":
            return min(last, self.settings.baseline_steps)
        return last if last <= self.settings.baseline_loop else 0

    def _standing(self, truth: Truth, start: WorldState) -> dict[str, dict[int, Frame]]:
        """What needs no walking: the model without a memory, and what the memory of the start view alone shows."""
        steps = [step for step in truth.steps if step > 0]
        poses = truth.at(steps).poses
        return {
            MEMORY_OFF: dict(zip(steps, blind(self.world, start, poses, steps), strict=True)),
            READOUT: dict(zip(steps, look(self.world, start, poses), strict=True)),
        }
