"""Imagined worlds that are told part of the truth, or that remember in another way: to find what is to blame."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
import torch

from mirage_env import depth as depths
from mirage_env.evaluation.rgb_memory import RGBMemory
from mirage_env.frame import Frame
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory
from mirage_env.simulators.agent import Proposal
from mirage_env.simulators.imagined import ImaginedSimulator
from mirage_env.simulators.occupancy import ANKLE, FLOOR_BAND, HEAD, LEVEL, LEVEL_BAND, OccupancyGrid
from mirage_env.simulators.tour import ViewSource
from mirage_env.state import WorldState


class InformedSimulator(ImaginedSimulator):
    """An imagined world with the truth in place of some of its parts.

    Obstacles are those of its memory where that is a ``LatentMemory``, the points of an ``RGBMemory``, and otherwise
    none.

    Args:
        simulator: the imagined world that it takes the place of; it must have a source.
        true_collisions: the source says where the agent can walk, and how far it is from place to place.
        true_views: each view on the way is the true one, encoded, and the memory is told it with its depth before the
            next step. What the memory showed beforehand is ``memory`` and ``visible``, as in a
            ``RememberingSimulator``.
    """

    def __init__(self, simulator: ImaginedSimulator, true_collisions: bool = False, true_views: bool = False) -> None:
        if (true_collisions or true_views) and simulator.source is None:
            raise ValueError("a world can be told the truth only where it has a source; this one began with an image")
        super().__init__(
            simulator.world,
            simulator.source,
            simulator.camera,
            simulator.agent_radius,
            simulator.allow_sliding,
            simulator.imagine,
            simulator.start_depth,
            simulator.seed,
            simulator.num_start_views,
            simulator.obstacles,
            simulator.imagine_threshold,
            simulator.tour,
        )
        self.true_collisions, self.true_views = true_collisions, true_views
        self._gridded: RGBMemory | None = None

    def accept(self, proposal: Proposal, state: WorldState, frame: Frame) -> tuple[Frame, bool]:
        """As ``ImaginedSimulator.accept``; with true views, what was imagined is dropped."""
        if self.true_views:
            rgb, depth = cast(ViewSource, self.source).render_views(proposal.pose[None])
            before = self._present().state
            state = self.world.observe(before, rgb[0], proposal.pose, depth[0])
            state = dataclasses.replace(state, steps=before.steps + 1)
            stride = self.world.codec.stride
            frame = dataclasses.replace(
                frame,
                latents=state.latents,
                imagined=torch.zeros_like(frame.imagined),
                grid_depth=depths.to_grid(torch.as_tensor(depth), stride)[0].to(frame.grid_depth),
                sampling=None,
            )
        return super().accept(proposal, state, frame)

    def step(self, motion: Any) -> tuple[Frame, bool]:
        """As ``ImaginedSimulator.step``."""
        proposal = self.propose(motion)
        seen = self.world.step(self.state, proposal.pose, self.imagine, self.imagine_threshold)
        return self.accept(proposal, *seen)

    def is_navigable(self, position: Any) -> bool:
        """In the true world, with true collisions."""
        return self._truth.is_navigable(position) if self.true_collisions else super().is_navigable(position)

    def geodesic_distance(self, a: Any, b: Any) -> float:
        """In the true world, with true collisions."""
        return self._truth.geodesic_distance(a, b) if self.true_collisions else super().geodesic_distance(a, b)

    def sample_navigable_point(self, rng: np.random.Generator) -> Array:
        """In the true world, with true collisions."""
        if self.true_collisions:
            return self._truth.sample_navigable_point(rng)
        return super().sample_navigable_point(rng)

    @property
    def navigation(self) -> Any:
        """That of the true world, with true collisions."""
        return self._truth.navigation if self.true_collisions else super().navigation

    @property
    def occupancy(self) -> OccupancyGrid:
        """The memory's geometry."""
        now = self._present()
        memory = now.state.memory
        if isinstance(memory, LatentMemory):
            return super().occupancy
        if isinstance(memory, RGBMemory) and memory is not self._gridded:
            self._gridded = memory
            self._now = now = now._replace(occupancy=points_occupancy(now.occupancy, memory))
        return now.occupancy

    @property
    def _truth(self) -> Any:
        return self.source


def points_occupancy(grid: OccupancyGrid, memory: RGBMemory) -> OccupancyGrid:
    """The grid of the same floor with the points of a memory instead of what it held; where an agent stood stays.

    Heights mean what they mean in ``OccupancyGrid``; a point marks the cell that it lies in, which leaves no holes
    where its camera was nearer than about 3 m (at 128 pixels and 90 degrees).
    """
    points = memory.points
    position = points.position.numpy().astype(np.float64)
    tangents = points.tangents.numpy().astype(np.float64)
    normal = np.cross(tangents[:, :3], tangents[:, 3:])
    flat = np.abs(normal[:, 1]) > LEVEL * np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    height = position[:, 1] - grid.floor_height
    level = (np.abs(height) <= FLOOR_BAND) | (flat & (np.abs(height) <= LEVEL_BAND))
    there = level | ((height >= ANKLE) & (height <= HEAD))
    seen = points.imagined.numpy() == 0
    doubtful = np.flatnonzero(there & ~seen)
    if len(doubtful):
        there[doubtful] = ~memory.looked_through(position[doubtful]).cpu().numpy()
    cells = np.floor(position[there][:, ::2] / grid.cell).astype(np.int64)[:, ::-1]
    if not len(cells):
        return grid
    grid = grid._grown(cells.min(0), cells.max(0))
    row, column = (cells - (grid.row, grid.column)).T
    level, seen = level[there], seen[there]
    grids = {}
    for name, mark in (
        ("solid", ~level & seen),
        ("guessed", ~level & ~seen),
        ("floor", level),
        ("clear", level & seen),
    ):
        grids[name] = np.zeros(grid.floor.shape, dtype=bool)
        grids[name][row[mark], column[mark]] = True
        grids[name].flags.writeable = False
    return dataclasses.replace(grid, tokens=len(memory), **grids)
