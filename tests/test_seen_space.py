"""Ways through space that nobody saw are doubtful, and nothing is imagined into space that a camera saw to be empty."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, paths
from mirage_env.memory.surfel import inverse_depth_slopes
from mirage_env.seen_space import (
    BEFORE_BACK,
    DOUBTFUL_WAY,
    FARTHEST,
    FREE_WAY,
    before_backs,
    behind_seen_space,
    doubtful_ways,
    placed,
)
from tests.memory.scenes import look, random_room_pose, room_depth

SIZE = (6, 8)
K = geometry.intrinsics(8, 6, 90.0)
CELLS = list(np.ndindex(*SIZE))

Views = tuple[list[LatentMemory], Tensor, Tensor, Array, Array]


def room_memory(rng: np.random.Generator, views: int) -> LatentMemory:
    """The box room, as cameras at random places saw some of it."""
    memory = LatentMemory(1)
    for _ in range(views):
        pose = random_room_pose(rng)
        memory.write(np.zeros((1, *SIZE)), room_depth(pose, K, SIZE), K, pose, merge=False)
    return memory


def some_views(seed: int) -> Views:
    """Memories, depth, cells, intrinsics and poses of five worlds; one memory is empty, one world has no cells."""
    rng = np.random.default_rng(seed)
    memories = [room_memory(rng, views) for views in (2, 1, 0, 3, 2)]
    poses = np.stack([random_room_pose(rng) for _ in memories]).astype(np.float32)
    depth = torch.as_tensor(rng.uniform(0.3, 5, (5, *SIZE)), dtype=torch.float32)
    depth[torch.as_tensor(rng.random((5, *SIZE)) < 0.1)] = 0.0
    cells = torch.as_tensor(rng.random((5, *SIZE)) < 0.7)
    cells[4] = False
    return memories, depth, cells, np.stack([K] * 5), poses


def one(views: Views, i: int) -> Views:
    memories, depth, cells, lenses, poses = views
    return memories[i : i + 1], depth[i : i + 1], cells[i : i + 1], lenses[i : i + 1], poses[i : i + 1]


def empty_at(memory: LatentMemory, pose: Array, u: float, v: float, z: float) -> bool:
    """Whether a camera looked through this place."""
    point = geometry.unproject(np.array([u, v]), np.array(z), K)
    return bool(memory.looked_through(geometry.transform(pose.astype(np.float64), point)[None])[0])


def test_what_is_seen_from_behind_a_wall_that_nobody_saw_is_doubtful() -> None:
    memory = LatentMemory(1)
    memory.write(np.zeros((1, *SIZE)), np.full(SIZE, 2.0), K, look(z=0.0))  # a wall at z = -2, seen from z = 0
    cells = torch.ones(1, *SIZE, dtype=torch.bool)
    near, far = look(z=0.0)[None], look(z=4.0)[None]  # where that camera stood, and four metres behind it
    assert (doubtful_ways([memory], torch.full((1, *SIZE), 2.0), cells, K[None], near) == 0).all()
    doubt = doubtful_ways([memory], torch.full((1, *SIZE), 6.0), cells, K[None], far)[0]
    ray = float(np.linalg.norm(geometry.unproject(np.array([4.5, 3.5]), np.array(1.0), K)))
    # Of eight places on the way, five lie behind the wall's camera, and one beside what it saw.
    unknown = 6 / 8 * 6.0 * ray
    assert float(doubt[3, 4]) == pytest.approx(1 - math.exp(-(((unknown - FREE_WAY) / DOUBTFUL_WAY) ** 2)))
    assert (doubtful_ways([memory], torch.full((1, *SIZE), 0.5), cells, K[None], far) == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_doubtful_ways_are_those_of_a_loop_over_cells(seed: int) -> None:
    views = memories, depth, cells, _, poses = some_views(seed)
    doubt = doubtful_ways(*views)
    assert doubt.dtype == torch.float32 and (doubt > 0).any() and (doubt[~cells] == 0).all() and (doubt[4] == 0).all()
    for i, memory in enumerate(memories):
        for row, col in CELLS if i < 4 else ():
            z, u, v = float(depth[i, row, col]), col + 0.5, row + 0.5
            known = sum(empty_at(memory, poses[i], u, v, z * (k + 0.5) / 8) for k in range(8)) if z > 0 else 8
            length = z * float(np.linalg.norm(geometry.unproject(np.array([u, v]), np.array(1.0), K)))
            unknown = max((1 - known / 8) * length - FREE_WAY, 0.0)
            expected = 1 - math.exp(-((unknown / DOUBTFUL_WAY) ** 2)) if bool(cells[i, row, col]) else 0.0
            assert float(doubt[i, row, col]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_imagined_surface_goes_where_a_loop_over_cells_moves_it(seed: int) -> None:
    views = memories, depth, cells, _, poses = some_views(seed)
    moved, keep = behind_seen_space(*views)
    corners = ((0.0, 0.0), (-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5))
    outcomes = set()
    for i, memory in enumerate(memories):
        inverse, slopes = inverse_depth_slopes(moved[i].double())
        for row, col in CELLS:
            z = depth[i, row, col]
            if not (bool(cells[i, row, col]) and z > 0):
                assert moved[i, row, col] == z and keep[i, row, col]
                continue

            def blocked(depths: list[float], i: int = i, row: int = row, col: int = col) -> bool:
                at = [(col + 0.5 + du, row + 0.5 + dv, d) for (du, dv), d in zip(corners, depths, strict=True)]
                return any(empty_at(memories[i], poses[i], *place) for place in at)

            farther = [z * factor for factor in torch.logspace(0, math.log10(FARTHEST), 24)]
            free = [k for k, d in enumerate(farther) if not blocked([float(d)] * 5)]
            assert moved[i, row, col] == farther[free[0] if free else 1]
            tilt = [slopes[0, row, col] * du + slopes[1, row, col] * dv for du, dv in corners]
            assert bool(keep[i, row, col]) != blocked([1 / max(float(inverse[row, col] + t), 1e-6) for t in tilt])
            outcomes.add(("stays" if free and free[0] == 0 else "moves", bool(keep[i, row, col])))
        assert len(memory) or bool(keep[i].all())
    assert {("stays", True), ("moves", True)} <= outcomes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("function", [doubtful_ways, behind_seen_space])
def test_same_bits_alone_and_by_either_path(function: type, seed: int) -> None:
    def ask(views: Views) -> list[Tensor]:
        found = function(*views)
        return [found] if isinstance(found, Tensor) else list(found)

    views = some_views(seed)
    together = ask(views)
    with paths.reading_by("torch"):
        for a, b in zip(ask(views), together, strict=True):
            assert torch.equal(a, b)
    for i in range(5):
        for a, b in zip(ask(one(views, i)), together, strict=True):
            assert torch.equal(a[0], b[i])


def test_what_is_imagined_behind_the_back_of_a_seen_wall_stands_before_it_and_is_shown_then() -> None:
    memory = LatentMemory(1)
    memory.write(np.zeros((1, *SIZE)), np.full(SIZE, 2.0), K, look(z=0.0))  # a wall at z = -2, seen from z = 0
    pose = look(math.pi, z=-4.0).astype(np.float32)  # from its other side
    view = memory.read(pose, K, SIZE)
    assert view.back is not None
    cells = view.back > 0
    assert cells.any() and not view.visible[cells].any() and torch.allclose(view.back[cells], torch.tensor(2.0))
    for guess, expected in ((5.0, 2.0 * BEFORE_BACK), (1.2, 1.2)):
        depth, keep = placed([memory], torch.full((1, *SIZE), guess), view.back, cells, K[None], pose[None])
        assert torch.allclose(depth[cells], torch.tensor(expected)) and bool(keep.all())
        assert (depth[~cells] == guess).all()
        other = memory.fork()
        other.write(np.ones((1, *SIZE)), depth[0], K, pose, cells[0], imagined=0.5, explained=~cells[0])
        again = other.read(pose, K, SIZE)
        assert again.visible[cells].all() and torch.allclose(again.depth[cells], depth[cells], rtol=1e-5)


def test_what_has_no_place_between_seen_space_and_a_back_is_not_kept() -> None:
    memory = LatentMemory(1)
    pose = look().astype(np.float32)
    memory.write(np.zeros((1, *SIZE)), np.full(SIZE, 4.0), K, pose)  # looks through all that is nearer
    backs = torch.full((1, *SIZE), 1.5)
    cells = torch.zeros(1, *SIZE, dtype=torch.bool)
    cells[0, 3, 4] = True
    depth, keep = placed([memory], torch.full((1, *SIZE), 3.0), backs, cells, K[None], pose[None])
    assert keep.sum() == keep.numel() - 1 and not keep[0, 3, 4]
    assert depth[0, 3, 4] == pytest.approx(1.5 * BEFORE_BACK) and (depth[~cells] == 3.0).all()


def test_without_backs_only_seen_space_counts() -> None:
    views = memories, depth, cells, lenses, poses = some_views(0)
    for back in (None, torch.zeros_like(depth)):
        for a, b in zip(placed(memories, depth, back, cells, lenses, poses), behind_seen_space(*views), strict=True):
            assert torch.equal(a, b)
    back = torch.as_tensor(np.random.default_rng(0).uniform(0.0, 4.0, depth.shape), dtype=torch.float32)
    back[:, :2] = 0.0
    limited = before_backs(depth, back, cells)
    for at in np.ndindex(*depth.shape):
        behind = bool(cells[at]) and back[at] > 0 and depth[at] > BEFORE_BACK * back[at]
        assert limited[at] == (BEFORE_BACK * back[at] if behind else depth[at])
