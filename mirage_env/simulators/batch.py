"""One step of many simulators: imagined worlds of one model are read, completed and written in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mirage_env.simulators.base import Motion, Simulator, View

if TYPE_CHECKING:
    from mirage_env.frame import Frame
    from mirage_env.simulators.imagined import ImaginedSimulator
    from mirage_env.simulators.remembering import RememberingSimulator

Seen = tuple[View, bool]
"""What ``Simulator.step`` gives: the new view, and whether the agent collided."""


def step_many(simulators: Sequence[Simulator], motions: Sequence[Motion]) -> list[Seen]:
    """Step different simulators, each by its motion: what ``Simulator.step`` gives, in their order.

    ``ImaginedSimulator``s that share a model, the same way to imagine and a resolution make their step as one batch
    (``WorldModel.step_batch``), ``RememberingSimulator``s of one model read their memories as one.

    Raises:
        TypeError, ValueError: for a motion that makes no sense, before any imagined world has changed.
    """
    groups: dict[Any, list[int]] = {}
    for i, simulator in enumerate(simulators):
        groups.setdefault(_together(simulator, i), []).append(i)
    seen: dict[int, Seen] = {}
    for key, at in groups.items():
        step = _STEPS[key[0]]
        seen.update(zip(at, step([simulators[i] for i in at], [motions[i] for i in at]), strict=True))
    return [seen[i] for i in range(len(simulators))]


def _together(simulator: Any, number: int) -> tuple[Any, ...]:
    """The kind of simulator; those with equal keys step together."""
    if hasattr(simulator, "remember"):
        return "remembering", id(simulator.world), simulator.camera.resolution
    if hasattr(simulator, "propose") and hasattr(simulator, "accept"):
        way = simulator.imagine, simulator.imagine_threshold
        return "imagined", id(simulator.world), *way, simulator.camera.resolution
    return "alone", number


def _imagined(simulators: Sequence[ImaginedSimulator], motions: Sequence[Motion]) -> list[tuple[Frame, bool]]:
    proposals = [simulator.propose(motion) for simulator, motion in zip(simulators, motions, strict=True)]
    states, poses = [simulator.state for simulator in simulators], np.stack([proposal.pose for proposal in proposals])
    first = simulators[0]
    states, frames = first.world.step_batch(states, poses, first.imagine, first.imagine_threshold)
    arrived = zip(simulators, proposals, states, frames, strict=True)
    return [simulator.accept(proposal, state, frame) for simulator, proposal, state, frame in arrived]


def _remembering(simulators: Sequence[RememberingSimulator], motions: Sequence[Motion]) -> list[Seen]:
    inner = step_many([simulator.simulator for simulator in simulators], motions)
    views = type(simulators[0]).remember(simulators, [view for view, _ in inner])
    return [(view, collided) for view, (_, collided) in zip(views, inner, strict=True)]


def _alone(simulators: Sequence[Simulator], motions: Sequence[Motion]) -> list[Seen]:
    return [simulator.step(motion) for simulator, motion in zip(simulators, motions, strict=True)]


_STEPS: dict[str, Any] = {"imagined": _imagined, "remembering": _remembering, "alone": _alone}
