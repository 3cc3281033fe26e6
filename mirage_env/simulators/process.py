"""A simulator in a process of its own: OpenGL by EGL and CUDA in one process are a known trap."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from mirage_env.geometry import Array
from mirage_env.lighting import Lighting
from mirage_env.simulators.base import AgentStart, Camera, CameraView, Motion, Simulator, View
from mirage_env.simulators.reachable import FloorCells

_FIELDS = frozenset({"camera", "lighting", "allow_sliding", "agent_radius", "scenes", "scene", "agent"})
_METHODS = frozenset(
    {
        "reset",
        "step",
        "snapshot",
        "restore",
        "is_navigable",
        "geodesic_distance",
        "shortest_path",
        "sample_navigable_point",
        "island_radius",
        "reachable_cells",
        "render_views",
    }
)


class ProcessSimulator:
    """Fulfils ``Simulator`` by one that lives in a spawned process; what that one raises is raised here.

    Views come whole, rendered. Of what simulators may have besides, it passes on ``scenes``, ``scene``, ``agent``,
    ``shortest_path``, ``island_radius``, ``reachable_cells`` and ``render_views``.

    Args:
        factory: makes the simulator; importable in the other process (a class, a function, or a ``partial`` of one).

    Raises:
        Exception: what ``factory`` raises.
    """

    def __init__(self, factory: Callable[[], Simulator]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, factory), daemon=True)
        self._process.start()
        theirs.close()
        self._closed = False
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def reset(self, scene: Any = None, start: AgentStart | None = None) -> View:
        return self._ask("reset", scene, start)

    def step(self, motion: Motion) -> tuple[View, bool]:
        return self._ask("step", motion)

    def snapshot(self) -> Any:
        return self._ask("snapshot")

    def restore(self, snapshot: Any) -> View:
        return self._ask("restore", snapshot)

    def is_navigable(self, position: Any) -> bool:
        return self._ask("is_navigable", position)

    def geodesic_distance(self, a: Any, b: Any) -> float:
        return self._ask("geodesic_distance", a, b)

    def shortest_path(self, a: Any, b: Any) -> Array:
        return self._ask("shortest_path", a, b)

    def sample_navigable_point(self, rng: np.random.Generator) -> Array:
        place, state = self._ask("sample_navigable_point", rng)
        rng.bit_generator.state = state
        return place

    def island_radius(self, point: Any) -> float:
        return self._ask("island_radius", point)

    def reachable_cells(self, position: Array, cell: float) -> FloorCells:
        return self._ask("reachable_cells", position, cell)

    def render_views(self, poses: Any) -> tuple[Array, Array]:
        return self._ask("render_views", poses)

    @property
    def camera(self) -> Camera:
        return self._ask("get", "camera")

    @camera.setter
    def camera(self, camera: Camera) -> None:
        self._ask("set", "camera", camera)

    @property
    def lighting(self) -> Lighting | None:
        return self._ask("get", "lighting")

    @lighting.setter
    def lighting(self, lighting: Lighting | None) -> None:
        self._ask("set", "lighting", lighting)

    @property
    def agent_radius(self) -> float:
        return self._ask("get", "agent_radius")

    @agent_radius.setter
    def agent_radius(self, metres: float) -> None:
        self._ask("set", "agent_radius", metres)

    @property
    def allow_sliding(self) -> bool:
        return self._ask("get", "allow_sliding")

    @allow_sliding.setter
    def allow_sliding(self, allowed: bool) -> None:
        self._ask("set", "allow_sliding", allowed)

    @property
    def scenes(self) -> Any:
        return self._ask("get", "scenes")

    @property
    def scene(self) -> Any:
        return self._ask("get", "scene")

    @property
    def agent(self) -> AgentStart:
        return self._ask("get", "agent")

    def close(self) -> None:
        """End the process; the simulator cannot be used after."""
        if self._closed:
            return
        self._closed = True
        self._pipe.close()  # which the other process takes as the end
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()

    def _ask(self, name: str, *arguments: Any) -> Any:
        if self._closed:
            raise RuntimeError("this simulator was closed; make a new one")
        try:
            self._pipe.send((name, arguments))
        except OSError:
            raise RuntimeError(self._died()) from None
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise RuntimeError(self._died()) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _died(self) -> str:
        self._process.join(5)
        return f"the simulator's process ended (exit status {self._process.exitcode}); make a new simulator"


def _serve(pipe: Connection, factory: Callable[[], Simulator]) -> None:
    """Answer calls until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the pipe
    try:
        simulator = factory()
        pipe.send(None)
    except Exception as error:
        pipe.send(error)
        return
    while True:
        try:
            name, arguments = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            answer = _done(simulator, name, arguments)
        except Exception as error:
            answer = error
        pipe.send(answer)
    simulator.close()


def _done(simulator: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    if name == "get" and arguments[0] in _FIELDS:
        return getattr(simulator, arguments[0])
    if name == "set" and arguments[0] in _FIELDS:
        return setattr(simulator, *arguments)
    if name not in _METHODS:
        raise AttributeError(f"simulators in other processes have no {name}")
    answer = getattr(simulator, name)(*arguments)
    if name == "sample_navigable_point":
        return answer, arguments[0].bit_generator.state
    if name in ("reset", "restore"):
        return _whole(answer)
    if name == "step":
        return _whole(answer[0]), answer[1]
    return answer


def _whole(view: View) -> CameraView:
    """A view that can be sent: rendered, and without its scene."""
    return CameraView(view.rgb, view.depth, view.pose)
