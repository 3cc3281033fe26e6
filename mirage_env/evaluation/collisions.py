"""Whether imagination and truth agree on what blocks an agent's way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from mirage_env import geometry
from mirage_env.evaluation.free_space import SeenSpace
from mirage_env.evaluation.metrics import detection_scores
from mirage_env.geometry import Array
from mirage_env.simulators.agent import Place
from mirage_env.simulators.base import AgentStart, Camera, FloorMotion, Simulator
from mirage_env.simulators.imagined import ImaginedSimulator, ImaginedSnapshot
from mirage_env.simulators.occupancy import OccupancyGrid
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

FORWARD = 0.25
"""Metres of the step that is tried."""


@dataclass(frozen=True)
class Collisions:
    """Steps that were tried from the same places in truth and imagination.

    Attributes:
        starts: (N, 4): x, y, z in metres and yaw in radians.
        truth, imagination: (N,) bool, whether the step was blocked: the agent came less far than asked.
        seen: (N,) bool, what cameras saw decides whether the step is blocked.
        solid: (N,) bool, imagination holds the place itself for an obstacle.
    """

    starts: Array
    truth: Array
    imagination: Array
    seen: Array
    solid: Array

    def summary(self) -> dict[str, float]:
        """Precision, recall and F1 of "blocked", NaN where undefined: ``seen_…`` where cameras saw, ``unseen_…`` where
        not, with ``…_steps`` and ``…_blocked`` how many were tried and truly blocked; ``solid`` counts over all."""
        found: dict[str, float] = {"solid": float(self.solid.sum())}
        for name, part in (("seen", self.seen), ("unseen", ~self.seen)):
            scores = blocked_scores(self.truth[part], self.imagination[part])
            found |= {f"{name}_{key}": value for key, value in scores.items()}
        return found


def blocked_scores(truth: Array, imagination: Array) -> dict[str, float]:
    """Precision, recall and F1 of ``imagination`` (N,) bool as a prediction of ``truth`` (N,) bool, and counts."""
    hits = float((truth & imagination).sum())
    said, true = float(imagination.sum()), float(truth.sum())
    return {**detection_scores(hits, said, true), "steps": float(len(truth)), "blocked": true}


def compare_collisions(
    truth: Simulator,
    imagined: ImaginedSimulator,
    starts: Sequence[AgentStart],
    seen: SeenSpace,
    forward: float = FORWARD,
) -> Collisions:
    """Try one step forward from each start in a true and an imagined simulator with the same agent.

    A step counts as seen where the true views decide about it: a truly blocked one where they show an obstacle that
    touches the agent on its way, a truly free one where they show all that it sweeps over. Both simulators are left as
    they were; nothing is imagined, so it costs no pass of a network.

    Args:
        truth: a true simulator with a scene open.
        imagined: a world in the same frame.
        starts: where the agent stands; those where it truly cannot are left out.
        seen: of the true views that the imagined world was given.
        forward: metres.

    Raises:
        ValueError: the two agents differ in radius, or the step is not positive.
    """
    if truth.agent_radius != imagined.agent_radius:
        raise ValueError(
            f"both agents need one radius, but the true one has {truth.agent_radius} m and the imagined one "
            f"{imagined.agent_radius} m"
        )
    if not (math.isfinite(forward) and forward > 0):
        raise ValueError(f"the step must be a positive number of metres, got {forward!r}")
    kept = [start for start in starts if truth.is_navigable(np.asarray(start.position))]
    true_before, before = truth.snapshot(), imagined.snapshot()
    motion = FloorMotion(forward, 0.0)
    true_hits, hits, solid = [], [], []
    base = imagined.navigation
    there = imagined.snapshot()
    for position, headings in groupby(kept, key=lambda start: start.position):
        free = base.is_navigable(position)
        here = there
        for start in headings:
            truth.reset(None, start)
            true_hits.append(truth.step(motion)[1])
            imagined.restore(here._replace(place=Place(start.position, start.yaw)))
            hits.append(imagined.propose(motion).collided)
            solid.append(not free)
            here = imagined.snapshot()  # with room made for the agent, which is the same for all headings
    imagined.restore(before)
    truth.restore(true_before)
    blocked = np.array(true_hits, dtype=bool)
    rows = np.array([[*start.position, start.yaw] for start in kept], dtype=np.float64).reshape(-1, 4)
    clear, obstructed = _swept(rows, seen, forward, truth.agent_radius)
    return Collisions(
        starts=rows,
        truth=blocked,
        imagination=np.array(hits, dtype=bool),
        seen=np.where(blocked, obstructed, clear),
        solid=np.array(solid, dtype=bool),
    )


def starts_in_view(
    truth: Simulator, seen: SeenSpace, rng: np.random.Generator, places: int = 24, headings: int = 8
) -> list[AgentStart]:
    """Starts at random navigable places of the floor that cameras have seen, at each with headings all around.

    Args:
        places: how many at most; fewer where the cameras saw little floor.
        headings: per place, evenly spaced from a random one.
    """
    cells = np.argwhere(seen.open & ~seen.obstacle)
    found: list[AgentStart] = []
    for row, column in rng.permutation(cells):
        if len(found) >= places * headings:
            break
        x, z = seen.origin + (np.array([column, row]) + rng.uniform(0, 1, 2)) * seen.cell
        if truth.is_navigable(np.array([x, seen.floor_height, z])):
            first = rng.uniform(0, math.tau)
            yaws = first + math.tau * np.arange(headings) / headings
            found += [AgentStart((float(x), seen.floor_height, float(z)), float(yaw)) for yaw in yaws]
    return found


def simulator_of(
    world: WorldModel, state: WorldState, camera: Camera, floor_height: float = 0.0, agent_radius: float = 0.18
) -> ImaginedSimulator:
    """An imagined simulator that goes on from a state, such as the last of a rollout; its agent is below the camera."""
    simulator = ImaginedSimulator(world, camera=camera, agent_radius=agent_radius)
    place = Place.of_camera(np.asarray(state.pose, dtype=np.float64), camera.height)
    simulator.restore(ImaginedSnapshot(state, place, OccupancyGrid(floor_height), world.frame(state), None))
    return simulator


def _swept(starts: Array, seen: SeenSpace, forward: float, radius: float) -> tuple[Array, Array]:
    """Whether all that steps from (N, 4) sweep over was seen to be open, and whether an obstacle was seen in it."""
    can, cannot = seen.decided(radius)
    along = np.linspace(0, forward, 1 + math.ceil(forward / (seen.cell / 2)))
    ahead = np.stack([geometry.forward(yaw)[[0, 2]] for yaw in starts[:, 3]]) if len(starts) else np.zeros((0, 2))
    points = starts[:, None, [0, 2]] + along[:, None] * ahead[:, None]
    free, hit = (seen.at(grid, points.reshape(-1, 2)).reshape(len(starts), len(along)) for grid in (can, cannot))
    return np.all(free, axis=1), np.any(hit, axis=1)
