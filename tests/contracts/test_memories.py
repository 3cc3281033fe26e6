"""What the world loop relies on, for every memory that it can be given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.evaluation.reference_memory import ReferenceMemory
from mirage_env.evaluation.rgb_memory import RGBMemory
from mirage_env.evaluation.trivial_memories import LastView, NoMemory
from mirage_env.frame import from_uint8
from mirage_env.memory import LatentMemory, MemoryView, SpatialMemory, read_many, takes_images
from tests.box_room import pose, room_view
from tests.exact_world import CHANNELS, STRIDE, PixelCodec, exact_world

SIZE, CELLS = 32, 32 // STRIDE
K = geometry.scale_intrinsics(geometry.intrinsics(SIZE, SIZE, 90.0), 1 / STRIDE)
MEMORIES: dict[str, Callable[[], SpatialMemory]] = {
    "latent": lambda: LatentMemory(CHANNELS),
    "rgb": lambda: RGBMemory(PixelCodec()),
    "reference": lambda: ReferenceMemory(CHANNELS),
    "none": lambda: NoMemory(CHANNELS),
    "last view": lambda: LastView(CHANNELS),
}


@pytest.fixture(params=MEMORIES)
def memory(request: pytest.FixtureRequest) -> SpatialMemory:
    return MEMORIES[request.param]()


def add(memory: SpatialMemory, turned_deg: float = 0.0, **options: object) -> int:
    image, depth = room_view(pose(turned_deg=turned_deg), SIZE)
    latents = PixelCodec().encode(from_uint8(image[None]))[0]
    grid = depth[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    return memory.write(latents, grid, K, pose(turned_deg=turned_deg), **options)  # type: ignore[arg-type]


def same(a: MemoryView, b: MemoryView) -> bool:
    return all(torch.equal(getattr(a, k), getattr(b, k)) for k in ("latents", "depth", "visible", "imagined", "token"))


def test_an_empty_memory_shows_nothing(memory: SpatialMemory) -> None:
    view = memory.read(pose(), K, (CELLS, CELLS + 1))
    assert view.latents.shape == (1, CHANNELS, CELLS, CELLS + 1)
    assert not view.visible.any()
    assert not view.latents.any()
    assert not view.depth.any()
    assert (view.token == -1).all()
    assert len(memory) == 0
    assert memory.fork().channels == CHANNELS


def test_what_is_not_visible_is_zero_and_what_is_has_depth(memory: SpatialMemory) -> None:
    assert add(memory) == len(memory)
    view = memory.read(np.stack([pose(turned_deg=a) for a in (0.0, 30.0, 180.0)]), K, (CELLS, CELLS))
    assert view.visible.shape == view.depth.shape == view.imagined.shape == view.token.shape == (3, CELLS, CELLS)
    assert ((view.depth > 0) == view.visible).all()
    assert ((view.token >= 0) == view.visible).all()
    assert not view.latents.permute(0, 2, 3, 1)[~view.visible].any()
    assert (view.token < max(len(memory), 1)).all()
    assert ((view.imagined >= 0) & (view.imagined <= 1)).all()


def test_a_fork_and_its_parent_do_not_see_each_other(memory: SpatialMemory) -> None:
    add(memory)
    poses = np.stack([pose(turned_deg=a) for a in (0.0, 60.0, 120.0)])
    before, count, size = memory.read(poses, K, (CELLS, CELLS)), len(memory), memory.nbytes
    fork = memory.fork()
    assert (len(fork), fork.nbytes) == (count, size)
    add(fork, 90.0)
    assert same(memory.read(poses, K, (CELLS, CELLS)), before)
    assert (len(memory), memory.nbytes) == (count, size)
    add(memory, -90.0)
    other = fork.read(poses, K, (CELLS, CELLS))
    fresh = memory.fork().fork().read(poses, K, (CELLS, CELLS))
    assert same(fresh, memory.read(poses, K, (CELLS, CELLS)))
    if count:
        assert not same(other, fresh)


def test_the_same_writes_give_the_same_bits(memory: SpatialMemory) -> None:
    other = memory.fork()
    for one in (memory, other):
        add(one)
        add(one, 40.0, imagined=1.0)
    poses = np.stack([pose(turned_deg=a) for a in (10.0, 50.0)])
    assert same(memory.read(poses, K, (CELLS, CELLS)), other.read(poses, K, (CELLS, CELLS)))


def test_nobody_looked_through_an_empty_memory(memory: SpatialMemory) -> None:
    points = torch.tensor([[0.0, 1.25, -1.0], [0.0, 1.25, 5.0]])
    assert memory.looked_through(points).tolist() == [False, False]
    add(memory)
    assert memory.looked_through(points)[1:].tolist() == [False]


def test_a_mixture_reads_like_each_alone() -> None:
    memories = [make() for make in MEMORIES.values()]
    for memory in memories:
        add(memory)
    poses = np.stack([pose(turned_deg=float(angle)) for angle in range(0, 50, 10)])
    together = read_many(memories, poses, K, (CELLS, CELLS))
    assert len(together.latents) == len(memories)
    for i, memory in enumerate(memories):
        alone = memory.read(poses[i], K, (CELLS, CELLS))
        assert same(MemoryView(*(getattr(together, k)[i : i + 1] for k in MemoryView.__match_args__[:5])), alone)
        if together.nearest is not None and together.offset is not None:
            wanted = alone.latents if alone.nearest is None else alone.nearest
            assert torch.equal(together.nearest[i : i + 1], wanted)
            assert bool((together.offset[i] == 0).all()) or alone.offset is not None


def test_a_mixture_is_refused_in_plain_words() -> None:
    mixture = [LatentMemory(CHANNELS), NoMemory(CHANNELS)]
    with pytest.raises(ValueError, match="one pose per memory, got 2 memories and 1 poses"):
        read_many(mixture, pose()[None], K, (CELLS, CELLS))
    with pytest.raises(ValueError, match="equal channels"):
        read_many([LatentMemory(CHANNELS), NoMemory(3)], np.stack([pose(), pose()]), K, (CELLS, CELLS))
    with pytest.raises(ValueError, match="footprint is a choice that only latent memories have"):
        read_many(mixture, np.stack([pose(), pose()]), K, (CELLS, CELLS), footprint=False)


def test_a_world_steps_with_it(memory: SpatialMemory) -> None:
    world = exact_world().with_memory(lambda: memory.fork(), "other")
    image, depth = room_view(pose(), SIZE)
    state = world.start(image, depth=depth, pose=pose(), resolution=SIZE)
    assert type(state.memory) is type(memory)
    after, frame = world.step(state, pose(turned_deg=30.0))
    again, twin = world.step(state, pose(turned_deg=30.0))
    assert (frame.rgb == twin.rgb).all()
    assert len(after.memory) == len(again.memory)
    assert frame.rgb.shape == (SIZE, SIZE, 3)


def test_only_the_points_take_pictures() -> None:
    assert {name for name, make in MEMORIES.items() if takes_images(make())} == {"rgb"}
