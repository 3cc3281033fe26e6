"""Ghosts: what a memory still shows where something stood that has moved on. How many are left, and what they spoil."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import KDTree
from trimesh.remesh import subdivide_to_size

from mirage_env import geometry
from mirage_env.evaluation.metrics import psnr
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory
from mirage_env.memory.contradiction import MARGIN
from mirage_env.memory.rules import MemoryRules
from mirage_env.simulators.base import AgentStart, FloorMotion
from mirage_env.state import WorldState
from mirage_env.world import WorldModel

if TYPE_CHECKING:
    from mirage_env.simulators.raycast import TexturedMesh
    from mirage_env.simulators.rooms.simulator import RoomsSimulator

TOLERANCE = 0.15
"""Metres from the nearest true surface, beyond half of its own width, at which a token counts as a ghost."""
SPACING = 0.06
"""Longest edge in metres of the pieces into which true surfaces are cut; distances are right to a few millimetres."""

_FORWARD, _TURN = 0.25, math.radians(10.0)
_FULL_TURN = 36
_STARTS = 12
_LOOKS = 24


@dataclass(frozen=True)
class WatchedWalk:
    """What an agent saw that watched a home in which things move, and the same home without them.

    Attributes:
        poses: T_world_camera (N, 4, 4) float32; ``times`` (N,) time steps.
        rgb, depth: true views (N, H, W, 3) uint8 and z-depth (N, H, W) in metres.
        still_rgb, still_depth: the same views without movers.
        mover_share: mean share of the pixels that show a mover.
    """

    poses: Array
    times: tuple[int, ...]
    rgb: Array
    depth: Array
    still_rgb: Array
    still_depth: Array
    mover_share: float


@dataclass(frozen=True)
class GhostStudy:
    """Memories that observed one walk, with movers (contradiction on and off) and without (contradiction on).

    Attributes:
        steps: of the walk; ``mover_share`` see ``WatchedWalk``.
        tokens_on, tokens_off, tokens_still: in the memories.
        ghosts_on, ghosts_off, ghosts_still: tokens on no true surface; those of the still world are no ghosts, but what
            the measure mistakes for some.
        hidden_on, hidden_off: of the ghosts, those where no later view looked again: nobody could know.
        fewer: share of the ghosts that contradiction removes, 1 is all; NaN where there are none without it.
        psnr_on, psnr_off, psnr_still: dB of the readout from places of the walk, over pixels that are covered in all
            three and where no mover is at the end.
        covered_on, covered_off, covered_still: share of those pixels that the memory shows at all.
    """

    steps: int
    mover_share: float
    tokens_on: int
    tokens_off: int
    tokens_still: int
    ghosts_on: int
    ghosts_off: int
    ghosts_still: int
    hidden_on: int
    hidden_off: int
    fewer: float
    psnr_on: float
    psnr_off: float
    psnr_still: float
    covered_on: float
    covered_off: float
    covered_still: float

    def to_dict(self) -> dict[str, float]:
        """All numbers by name."""
        return {name: float(value) for name, value in asdict(self).items()}


class TrueSurface:
    """Distances to the surface of a few meshes.

    Args:
        meshes: in the world frame.
        spacing: longest edge in metres of the pieces whose corners stand for the surface. A distance d is found as at
            most ``sqrt(d**2 + spacing**2 / 3)``, and never too short.
    """

    def __init__(self, meshes: Sequence[TexturedMesh], spacing: float = SPACING) -> None:
        if not (math.isfinite(spacing) and spacing > 0):
            raise ValueError(f"spacing must be above 0 metres, got {spacing!r}")
        self.meshes, self.spacing = tuple(meshes), float(spacing)
        self._trees = [KDTree(_corners(mesh, spacing)) for mesh in self.meshes]

    def with_meshes(self, meshes: Sequence[TexturedMesh]) -> TrueSurface:
        """This surface and that of more meshes; shares what was prepared."""
        other = TrueSurface(meshes, self.spacing)
        other.meshes, other._trees = self.meshes + other.meshes, self._trees + other._trees
        return other

    def distance(self, points: Any) -> Array:
        """Metres (N,) from points (N, 3) to the nearest surface, ``inf`` without meshes."""
        points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        found = [tree.query(points)[0] for tree in self._trees]
        return np.min(found, axis=0) if found else np.full(len(points), np.inf)


def ghost_tokens(positions: Any, surface: TrueSurface, widths: Any = 0.0, tolerance: float = TOLERANCE) -> Array:
    """Which tokens (N,) bool lie on no true surface.

    Args:
        positions: (N, 3) in metres, numpy or torch.
        surface: everything that is there now: the static scene and the movers where they are.
        widths: metres across that a token stands for, (N,) or one number. A cell shows one of the surfaces that it
            contains, at its own centre: its token may be half a width beside that surface.
        tolerance: metres.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 or more metres, got {tolerance!r}")
    return surface.distance(positions) > tolerance + 0.5 * np.asarray(widths, dtype=np.float64)


def token_widths(memory: LatentMemory, focal: float) -> Array:
    """Metres across (N,) of the cells that wrote a memory's tokens; ``focal`` is that of their grid, in cells."""
    surfels = memory.surfels()
    return (surfels.positions - surfels.viewpoints).norm(dim=1).numpy() / focal


def ghost_study(simulator: RoomsSimulator, world: WorldModel, steps: int = 160, seed: int = 0) -> GhostStudy:
    """Let a model's memory observe one walk among movers with contradiction on and off, and one without movers.

    Observations have true depth; nothing is imagined. The simulator is left at the end of the walk.

    Args:
        simulator: with movers and an open scene.
        world: its codec encodes, its default memory's rules apply but for contradiction.
        steps: of the walk, 72 or more: it ends with a full turn.
        seed: of the walk.
    """
    walk = watch(simulator, steps, seed)
    surface = TrueSurface([simulator.home.mesh])
    now = surface.with_meshes([mover.mesh for mover in simulator.movers_at()])
    end = walk.times[-1]
    looks = np.linspace(0, len(walk.poses) - 1, min(_LOOKS, len(walk.poses))).round().astype(int)
    truth, _ = simulator.render_views(walk.poses[looks], end)
    still_truth, _ = simulator.render_views(walk.poses[looks], static_only=True)
    unaffected = ~simulator.mover_mask(walk.poses[looks], end, affected=True)
    hfov, stride = simulator.camera.hfov, world.codec.stride
    moving, still = (walk.rgb, walk.depth), (walk.still_rgb, walk.still_depth)
    observed = {
        name: observe(with_contradiction(world, contradiction), *views, walk.poses, hfov)
        for name, contradiction, views in (("on", True, moving), ("off", False, moving), ("still", True, still))
    }
    shown = {name: _readout(world, state, walk.poses[looks]) for name, (state, _) in observed.items()}
    common = unaffected & np.logical_and.reduce([visible for _, visible in shown.values()])
    numbers: dict[str, Any] = {"steps": steps, "mover_share": walk.mover_share}
    for name, (state, written) in observed.items():
        memory = state.memory
        assert isinstance(memory, LatentMemory)
        widths = token_widths(memory, float(state.intrinsics[0, 0]) / stride)
        there = surface if name == "still" else now
        pictures, visible = shown[name]
        reference = still_truth if name == "still" else truth
        numbers[f"tokens_{name}"] = len(memory)
        ghosts = ghost_tokens(memory.positions, there, widths)
        numbers[f"ghosts_{name}"] = int(ghosts.sum())
        if name != "still":
            K = geometry.intrinsics(walk.depth.shape[2], walk.depth.shape[1], hfov)
            again = looked_through_after(memory.positions[ghosts].numpy(), written[ghosts], walk.depth, walk.poses, K)
            numbers[f"hidden_{name}"] = int((~again).sum())
        numbers[f"psnr_{name}"] = _pooled_psnr(pictures, reference, common)
        numbers[f"covered_{name}"] = float(visible[unaffected].mean())
    off = numbers["ghosts_off"]
    numbers["fewer"] = 1 - numbers["ghosts_on"] / off if off else math.nan
    return GhostStudy(**numbers)


def with_contradiction(world: WorldModel, contradiction: bool) -> WorldModel:
    """The same model whose new memories remove what they look through, or do not."""
    rules = getattr(world.new_memory(), "rules", MemoryRules())
    name = f"{world.name}, contradiction {'on' if contradiction else 'off'}"
    return world.with_rules(replace(rules, contradiction=contradiction), name)


def watch(simulator: RoomsSimulator, steps: int, seed: int = 0) -> WatchedWalk:
    """An agent that begins near a mover, and by turns stands, turns right round and walks; at the end it turns round.

    So it looks again at places that movers have left. The simulator is left at the end of the walk.
    """
    if not getattr(simulator, "movers", 0):
        raise ValueError("ghosts need a simulator in which something moves: RoomsSimulator(..., movers=2)")
    if steps < 2 * _FULL_TURN:
        raise ValueError(f"a walk among movers needs at least {2 * _FULL_TURN} steps, got {steps}")
    rng = np.random.default_rng([seed, 3])
    view = simulator.reset(None, _start_near_movers(simulator, rng))
    poses, rgb, depth = [view.pose], [view.rgb], [view.depth]
    for motion in _motions(steps, rng):
        view, _ = simulator.step(motion)
        poses.append(view.pose)
        rgb.append(view.rgb)
        depth.append(view.depth)
    path = np.stack(poses)
    still_rgb, still_depth = simulator.render_views(path, static_only=True)
    true_depth = np.stack(depth)
    share = float((true_depth != still_depth).mean())
    return WatchedWalk(path, tuple(range(steps + 1)), np.stack(rgb), true_depth, still_rgb, still_depth, share)


def observe(world: WorldModel, rgb: Array, depth: Array, poses: Array, hfov: float) -> tuple[WorldState, Array]:
    """A world that saw N views in turn, with their depth, and the view (M,) that wrote each of its tokens."""
    state = world.start(rgb[0], hfov, depth[0], poses[0], resolution=rgb.shape[1])
    wrote = dict.fromkeys(_places(state), 0)
    for k in range(1, len(rgb)):
        state = world.observe(state, rgb[k], poses[k], depth[k])
        wrote = {place: wrote.get(place, k) for place in _places(state)}
    return state, np.array([wrote[place] for place in _places(state)], dtype=np.int64)


def _places(state: WorldState) -> list[bytes]:
    """What tells tokens apart, whatever is removed before them: where they are, to the last bit."""
    assert isinstance(state.memory, LatentMemory)
    positions = state.memory.positions.numpy()
    return np.ascontiguousarray(positions).view(f"V{positions.itemsize * 3}")[:, 0].tolist()


def looked_through_after(points: Array, written: Array, depth: Array, poses: Array, K: Array) -> Array:
    """Which world points (M, 3), (M,) bool, some view later than ``written`` (M,) saw to be empty.

    Args:
        depth: true z-depth of the views (N, H, W) in metres.
        poses: T_world_camera (N, 4, 4).
        K: (3, 3) of the views.
    """
    again = np.zeros(len(points), dtype=bool)
    for k, (surface, pose) in enumerate(zip(depth, poses.astype(np.float64), strict=True)):
        local = geometry.transform(geometry.invert(pose), points)
        ahead = (local[:, 2] > 0) & (k > written) & ~again
        pixels, z = geometry.project(local[ahead], K)
        col, row = np.floor(pixels).astype(int).T
        inside = (col >= 0) & (col < surface.shape[1]) & (row >= 0) & (row < surface.shape[0])
        at = ahead.nonzero()[0][inside]
        again[at] = surface[row[inside], col[inside]] > (1 + MARGIN) * z[inside]
    return again


def _motions(steps: int, rng: np.random.Generator) -> list[FloorMotion]:
    stand, ahead = FloorMotion(), FloorMotion(_FORWARD)
    motions: list[FloorMotion] = []
    while len(motions) < steps - _FULL_TURN:
        turn = FloorMotion(turn=float(rng.choice([-1, 1])) * _TURN)
        motions += [stand] * int(rng.integers(4, 10)) + [turn] * _FULL_TURN
        motions += [turn] * int(rng.integers(0, _FULL_TURN)) + [ahead] * int(rng.integers(2, 6))
    last = FloorMotion(turn=float(rng.choice([-1, 1])) * _TURN)
    return motions[: steps - _FULL_TURN] + [last] * _FULL_TURN


def _start_near_movers(simulator: RoomsSimulator, rng: np.random.Generator) -> AgentStart:
    """Of some random places, facing a mover, the one from which movers fill most of the view."""
    best, most = None, -1.0
    simulator.reset()
    for k in range(_STARTS):
        mover = simulator.movers_at()[k % simulator.movers]
        places = [simulator.sample_navigable_point(rng) for _ in range(8)]
        place = min(places, key=lambda p: abs(float(np.hypot(*(p - mover.position)[[0, 2]])) - 2.0))
        to_mover = mover.position - place
        start = AgentStart((float(place[0]), 0.0, float(place[2])), math.atan2(-to_mover[0], -to_mover[2]))
        share = float(simulator.mover_mask(simulator.reset(None, start).pose).mean())
        if share > most:
            best, most = start, share
    assert best is not None
    return best


def _readout(world: WorldModel, state: WorldState, poses: Array) -> tuple[Array, Array]:
    """What the memory alone shows: pictures (B, H, W, 3) uint8, and the pixels (B, H, W) bool that it covers."""
    _, frames = world.step_batch([state] * len(poses), poses, "never")
    stride = world.codec.stride
    visible = np.stack([frame.visible.numpy() for frame in frames])
    return np.stack([frame.rgb for frame in frames]), visible.repeat(stride, axis=1).repeat(stride, axis=2)


def _pooled_psnr(pictures: Array, reference: Array, mask: Array) -> float:
    """dB over the pixels of all pictures together."""
    side = pictures.shape[2]
    return float(psnr(pictures.reshape(-1, side, 3), reference.reshape(-1, side, 3), mask.reshape(-1, side)))


def _corners(mesh: TexturedMesh, spacing: float) -> Array:
    corners = subdivide_to_size(mesh.vertices, mesh.faces, spacing, max_iter=16)[0]
    return np.asarray(corners, dtype=np.float64)
