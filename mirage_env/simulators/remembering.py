"""A true simulator whose views are also kept in a latent memory: policies that look at memory can be run in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.frame import from_uint8
from mirage_env.geometry import Array
from mirage_env.lighting import Lighting
from mirage_env.memory import read_many
from mirage_env.simulators.base import AgentStart, Camera, Motion, Simulator, View
from mirage_env.simulators.imagined import StartDepth
from mirage_env.state import WorldState, as_kept
from mirage_env.world import WorldModel


class RememberedView:
    """A true view, with what an imagined ``Frame`` has: its latents, and what the memory showed of it beforehand."""

    def __init__(self, view: View, world: WorldModel, readout: Readout | None, latents: Tensor | None = None) -> None:
        self._view, self._world, self._readout = view, world, readout
        if latents is not None:
            self.latents = latents

    @property
    def rgb(self) -> Array:
        """The true image (H, W, 3) uint8."""
        return self._view.rgb

    @property
    def depth(self) -> Array:
        """True z-depth (H, W) float32 in metres, 0 where nothing is hit."""
        return self._view.depth

    @property
    def pose(self) -> Array:
        """T_world_camera (4, 4) float32."""
        return self._view.pose

    @cached_property
    def latents(self) -> Tensor:
        """Of the true image (C, h, w) float32; encoded when first asked for, unless that was already done."""
        with torch.no_grad():
            return as_kept(self._world.codec.encode(from_uint8(self._view.rgb[None])))[0]

    @property
    def memory(self) -> Tensor:
        """What the memory showed (C, h, w) before this view was written; 0 where not ``visible``."""
        return self._memory().latents

    @property
    def visible(self) -> Tensor:
        """Cells that the memory showed (h, w) bool."""
        return self._memory().visible

    @property
    def imagined(self) -> Tensor:
        """0 in every cell (h, w) float32: a camera saw all of it."""
        return torch.zeros(self.latents.shape[-2:])

    @property
    def imagined_fraction(self) -> float:
        """0."""
        return 0.0

    def _memory(self) -> Readout:
        if self._readout is None:
            raise RuntimeError("this simulator keeps no memory; make it with write_memory=True")
        return self._readout


class Readout(NamedTuple):
    """Memory latents (C, h, w) and visible cells (h, w) of one view."""

    latents: Tensor
    visible: Tensor


class RememberingSnapshot(NamedTuple):
    """A whole state of ``RememberingSimulator``: that of its simulator, the memory's and the last view."""

    inner: Any
    state: WorldState | None
    view: RememberedView


class RememberingSimulator:
    """A true simulator with a memory.

    Fulfils ``mirage_env.simulators.base.Simulator`` over another one, whose further attributes it passes on. At each
    step the memory is first read from the new pose and then told what was seen there, as ``WorldModel.observe``
    does; the first view of an episode shows what was just written, as that of an imagined world does.

    Args:
        simulator: the true one.
        world: the model whose codec and memory are used.
        depth: which depth the memory gets: the simulator's "true" one, or one "estimated" from the latents.
        write_memory: False keeps no memory: views have ``latents`` (encoded only when asked for) but no ``memory``.
    """

    def __init__(
        self, simulator: Simulator, world: WorldModel, depth: StartDepth = "true", write_memory: bool = True
    ) -> None:
        if depth not in ("true", "estimated"):
            raise ValueError(f"depth must be one of true, estimated, got {depth!r}")
        self.simulator = simulator
        self.world = world
        self.depth = depth
        self.write_memory = bool(write_memory)
        self._state: WorldState | None = None
        self._view: RememberedView | None = None

    @property
    def camera(self) -> Camera:
        """That of the true simulator."""
        return self.simulator.camera

    @camera.setter
    def camera(self, camera: Camera) -> None:
        self.simulator.camera = camera

    @property
    def lighting(self) -> Lighting | None:
        """That of the true simulator, if it has one."""
        return getattr(self.simulator, "lighting", None)

    @lighting.setter
    def lighting(self, lighting: Lighting | None) -> None:
        setattr(self.simulator, "lighting", lighting)  # noqa: B010  (not every simulator has it)

    @property
    def agent_radius(self) -> float:
        """Metres."""
        return self.simulator.agent_radius

    @agent_radius.setter
    def agent_radius(self, radius: float) -> None:
        self.simulator.agent_radius = radius

    @property
    def allow_sliding(self) -> bool:
        """Whether a blocked agent slides along walls."""
        return self.simulator.allow_sliding

    @allow_sliding.setter
    def allow_sliding(self, allow: bool) -> None:
        self.simulator.allow_sliding = allow

    @property
    def memory_state(self) -> WorldState | None:
        """The memory so far, as a value; None without one."""
        return self._state

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("simulator", "state"):
            raise AttributeError(name)
        return getattr(self.simulator, name)

    def reset(self, scene: Any = None, start: AgentStart | None = None) -> RememberedView:
        """Open a scene with an empty memory; see ``Simulator.reset``."""
        view = self.simulator.reset(scene, start)
        self._state, readout, latents = None, None, None
        if self.write_memory:
            camera = self.simulator.camera
            state = self.world.start(
                view.rgb,
                camera.hfov,
                view.depth if self.depth == "true" else None,
                view.pose,
                camera_height=camera.height,
                resolution=camera.resolution,
            )
            frame = self.world.frame(state)
            self._state, readout, latents = state, Readout(frame.memory, frame.visible), frame.latents
        self._view = RememberedView(view, self.world, readout, latents)
        return self._view

    def step(self, motion: Motion) -> tuple[RememberedView, bool]:
        """Move the agent, read the memory there, then write what it sees."""
        view, collided = self.simulator.step(motion)
        return self.remember([self], [view])[0], collided

    @staticmethod
    def remember(simulators: Sequence[RememberingSimulator], views: Sequence[View]) -> list[RememberedView]:
        """The second half of a step: what simulators of one model and resolution saw, read and then written.

        All memories are read in one pass; each simulator keeps its view (one per simulator) as its last.
        """
        reading = [i for i, simulator in enumerate(simulators) if simulator._state is not None]
        readouts = dict(zip(reading, _read([simulators[i] for i in reading], [views[i] for i in reading]), strict=True))
        remembered = []
        for i, (simulator, view) in enumerate(zip(simulators, views, strict=True)):
            latents = None
            if simulator._state is not None:
                depth = view.depth if simulator.depth == "true" else None
                simulator._state = simulator.world.observe(simulator._state, view.rgb, view.pose, depth)
                latents = simulator._state.latents if simulator._state.latents.ndim == 3 else None
            simulator._view = RememberedView(view, simulator.world, readouts.get(i), latents)
            remembered.append(simulator._view)
        return remembered

    def snapshot(self) -> RememberingSnapshot:
        """The whole state as a value; ``restore`` returns to it any number of times."""
        inner = self.simulator.snapshot()
        if self._view is None:
            raise RuntimeError("no scene is open yet; call reset first")
        return RememberingSnapshot(inner, self._state, self._view)

    def restore(self, snapshot: RememberingSnapshot) -> RememberedView:
        """Return to a snapshot of this or another such simulator."""
        if not isinstance(snapshot, RememberingSnapshot):
            raise TypeError(f"restore needs what RememberingSimulator.snapshot() gave, got {type(snapshot).__name__}")
        self.simulator.restore(snapshot.inner)
        self._state, self._view = snapshot.state, snapshot.view
        return snapshot.view

    def is_navigable(self, position: Array) -> bool:
        """In the true world."""
        return self.simulator.is_navigable(position)

    def geodesic_distance(self, a: Array, b: Array) -> float:
        """In the true world, metres; ``inf`` where there is no way."""
        return self.simulator.geodesic_distance(a, b)

    def sample_navigable_point(self, rng: Any) -> Array:
        """In the true world (3,)."""
        return self.simulator.sample_navigable_point(rng)

    def close(self) -> None:
        """Close the true simulator."""
        self._state = self._view = None
        self.simulator.close()


def _read(simulators: Sequence[RememberingSimulator], views: Sequence[View]) -> list[Readout]:
    """What the memories of simulators show of their views."""
    states = [simulator._state for simulator in simulators if simulator._state is not None]
    if not states:
        return []
    stride = simulators[0].world.codec.stride
    K = np.stack([geometry.scale_intrinsics(state.intrinsics, 1 / stride) for state in states])
    size = (states[0].resolution[0] // stride, states[0].resolution[1] // stride)
    shown = read_many([state.memory for state in states], np.stack([view.pose for view in views]), K, size)
    return [Readout(latents, visible) for latents, visible in zip(shown.latents, shown.visible, strict=True)]
