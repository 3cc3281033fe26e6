"""Many imagined walks at once: each network passes over all of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirage_env.frame import Frame
from mirage_env.geometry import Array
from mirage_env.state import WorldState
from mirage_env.world import Imagine, WorldModel


@dataclass(frozen=True)
class Lane:
    """One walk to be imagined.

    Attributes:
        world: the model.
        state: the world at ``poses[0]``.
        poses: T_world_camera (N, 4, 4); step n leads to ``poses[n]``.
        keep: the steps whose frames are kept. Step 0 shows the state without a step.
        states: the steps whose states are kept.
        imagine: see ``WorldModel.step_batch``.
        before: called with the number of each step before it is taken, alone and not in a batch with others.
    """

    world: WorldModel
    state: WorldState
    poses: Array
    keep: Collection[int]
    states: Collection[int] = ()
    imagine: Imagine = "new"
    before: Callable[[int], object] | None = None


@dataclass(frozen=True)
class Track:
    """What was imagined along a lane.

    Attributes:
        world: the lane's.
        frames: of the kept steps.
        states: of the kept steps, and of the last.
        tokens, nbytes: of the memory after each kept step.
    """

    world: WorldModel
    frames: dict[int, Frame]
    states: dict[int, WorldState]
    tokens: dict[int, int]
    nbytes: dict[int, int]

    def pictures(self, steps: Iterable[int]) -> Array:
        """Images (N, H, W, 3) uint8 of kept steps."""
        return np.stack([self.frames[step].rgb for step in steps])


def imagine_lanes(lanes: Sequence[Lane], on_step: Callable[[int], object] | None = None) -> list[Track]:
    """Imagine every lane to its end. Which lanes run in one batch depends on the lanes only.

    Args:
        on_step: called with the number of lanes that made a step, after each.
    """
    tracks = [Track(lane.world, {}, {}, {}, {}) for lane in lanes]
    groups: dict[Any, list[int]] = {}
    for i, lane in enumerate(lanes):
        groups.setdefault(_batch_key(lane, i), []).append(i)
    for members in groups.values():
        _run(lanes, members, tracks, on_step)
    return tracks


def _run(
    lanes: Sequence[Lane], members: list[int], tracks: list[Track], on_step: Callable[[int], object] | None
) -> None:
    states = {i: lanes[i].state for i in members}
    for i in members:
        if 0 in lanes[i].keep:
            tracks[i].frames[0] = lanes[i].world.frame(states[i])
        _note(lanes[i], tracks[i], 0, states[i])
    for step in range(1, max(len(lanes[i].poses) for i in members)):
        going = [i for i in members if step < len(lanes[i].poses)]
        first = lanes[going[0]]
        if first.before is not None:
            first.before(step)
        poses = np.stack([lanes[i].poses[step] for i in going])
        after, frames = first.world.step_batch([states[i] for i in going], poses, first.imagine)
        for i, state, frame in zip(going, after, frames, strict=True):
            states[i] = state
            if step in lanes[i].keep:
                tracks[i].frames[step] = frame
            _note(lanes[i], tracks[i], step, state)
        if on_step is not None:
            on_step(len(going))


def _note(lane: Lane, track: Track, step: int, state: WorldState) -> None:
    last = step == len(lane.poses) - 1
    if step in lane.keep or step in lane.states or last:
        track.tokens[step], track.nbytes[step] = len(state.memory), state.memory.nbytes
    if step in lane.states or last:
        track.states[step] = state


def _batch_key(lane: Lane, number: int) -> Any:
    """Lanes with equal keys can share a batch: the same networks, and memories that are read in the same way."""
    if lane.before is not None:
        return number
    world = lane.world
    networks = (id(world.codec), id(world.depth_model), id(world.denoiser))
    return networks, world.denoiser_steps, world.look_ahead, lane.imagine, type(lane.state.memory).__name__


def look(world: WorldModel, state: WorldState, poses: Array) -> list[Frame]:
    """What the state's memory shows from poses (N, 4, 4), with nothing imagined: empty cells stay empty."""
    _, frames = world.step_batch([state] * len(poses), poses, "never")
    return frames


def blind(world: WorldModel, state: WorldState, poses: Array, steps: Sequence[int]) -> list[Frame]:
    """The same model with its memory switched off: each view (N, 4, 4) imagined from nothing, with its step's noise."""
    blank = dataclasses.replace(state, memory=world.new_memory())
    states = [dataclasses.replace(blank, steps=max(step - 1, 0)) for step in steps]
    return world.step_batch(states, poses)[1]
