"""What a camera looks straight through goes, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory
from mirage_env.memory.rules import MemoryRules
from tests.memory.scenes import look, random_room_pose, rays, room_depth

SIZE = (16, 16)
K = geometry.intrinsics(16, 16, 90.0)
ZEROS = np.zeros((1, *SIZE))
ROOM = look(y=1.25, z=1.0)
BOX = np.array([-0.5, 0.0, -1.5]), np.array([0.5, 1.5, -0.7])


def with_box(pose: Array, low: Array = BOX[0], high: Array = BOX[1]) -> Array:
    """Depth of the room with a box in it."""
    direction = rays(K, SIZE) @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        a, b = (low - pose[:3, 3]) / direction, (high - pose[:3, 3]) / direction
    enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    return np.where((enter < leave) & (enter > 0), enter, np.inf).clip(max=room_depth(pose, K, SIZE))


def in_box(memory: LatentMemory) -> int:
    """Tokens on the sides and the top of the box, a little above the floor."""
    p = memory.positions.numpy()
    return int(((p > BOX[0] + [-0.03, 0.1, -0.03]) & (p < BOX[1] + 0.03)).all(1).sum())


def seen(pose: Array = ROOM, **options: Any) -> LatentMemory:
    memory = LatentMemory(1)
    memory.write(ZEROS, with_box(pose), K, pose, **options)
    return memory


@pytest.mark.parametrize("imagined", [0.0, 1.0])
def test_a_box_that_was_carried_away_leaves_no_ghost(imagined: float) -> None:
    memory = seen(imagined=imagined)
    before = in_box(memory)
    assert before > 20
    memory.write(ZEROS, room_depth(ROOM, K, SIZE), K, ROOM)
    assert in_box(memory) == 0
    view, room = memory.read(ROOM, K, SIZE), room_depth(ROOM, K, SIZE)
    above = np.arange(16) < 13  # where the box met the floor, it was not clearly in front of it
    np.testing.assert_allclose(view.depth[0].numpy()[above], room[above], rtol=1e-5)


def test_a_view_may_refute_all_that_there_is() -> None:
    memory, wide = LatentMemory(1), geometry.intrinsics(16, 16, 120.0)
    memory.write(ZEROS, np.full(SIZE, 2.0), K, look())
    before = len(memory)
    assert memory.write(ZEROS, np.full(SIZE, 6.0), wide, look()) == len(memory) == 256
    assert memory.removed == before and np.allclose(memory.read(look(), wide, SIZE).depth, 6.0)


def test_a_ghost_goes_when_it_is_seen_from_elsewhere_and_the_room_stays() -> None:
    memory = seen()
    before, room = in_box(memory), len(memory) - in_box(memory)
    for pose in (look(0.5, x=1.0, y=1.25, z=1.5), look(-0.7, x=-1.4, y=1.25, z=1.0), look(np.pi, y=1.25, z=-2.5)):
        memory.write(ZEROS, room_depth(pose, K, SIZE), K, pose, refine=np.inf)
    assert in_box(memory) < 0.1 * before
    assert memory.removed <= before + 0.02 * room


def test_switched_off_it_stays() -> None:
    plain = LatentMemory(1, rules=MemoryRules(contradiction=False))
    plain.write(ZEROS, with_box(ROOM), K, ROOM)
    for memory, options in ((plain, {}), (seen(), {"contradiction": False}), (seen(), {"merge": False})):
        before = in_box(memory)
        memory.write(ZEROS, room_depth(ROOM, K, SIZE), K, ROOM, **options)
        assert in_box(memory) == before > 20


def test_imagination_refutes_nothing() -> None:
    memory = seen(imagined=1.0)
    before = in_box(memory)
    for imagined in (1.0, 0.2):
        memory.write(ZEROS, room_depth(ROOM, K, SIZE), K, ROOM, imagined=imagined)
    assert in_box(memory) == before and memory.removed == 0


def test_cells_that_are_not_kept_not_measured_or_too_uncertain_refute_nothing() -> None:
    room = room_depth(ROOM, K, SIZE)
    for options in (
        {"keep": np.zeros(SIZE, dtype=bool)},
        {"depth": np.zeros(SIZE)},
        {"error": np.ones(SIZE)},
        {"error": np.full(SIZE, 0.5), "max_error": 0.6, "depth": np.minimum(room, 1.54 * with_box(ROOM))},
    ):
        memory = seen()
        before = in_box(memory)
        memory.write(**{"latents": ZEROS, "depth": room, "intrinsics": K, "pose": ROOM, **options})
        assert in_box(memory) == before


def test_what_is_too_far_to_be_written_refutes_still() -> None:
    memory = seen()
    assert memory.write(ZEROS, np.full(SIZE, 500.0), K, ROOM) == 0
    assert in_box(memory) == 0 and 0 < len(memory) <= 60  # the outer ring of cells says little


def test_walking_about_a_thing_that_stays_removes_nothing() -> None:
    rng = np.random.default_rng(0)
    memory, written = LatentMemory(1, rules=MemoryRules(refine=None)), 0
    for _ in range(25):
        pose = random_room_pose(rng)
        apart = np.maximum(BOX[0] - pose[:3, 3], pose[:3, 3] - BOX[1]).max()
        if apart > 0.3:
            written += memory.write(ZEROS, with_box(pose), K, pose)
    assert written > 1000 and memory.removed < 0.005 * written


def test_a_pole_too_thin_to_be_seen_from_afar_stays() -> None:
    low, high = np.array([-0.06, 0.0, -0.12]), np.array([0.06, 3.0, 0.0])
    near, far = look(y=1.25, z=0.6), look(x=0.11, y=1.25, z=2.8)
    memory = LatentMemory(1)
    memory.write(ZEROS, with_box(near, low, high), K, near)
    pole = np.abs(memory.positions.numpy()[:, 2]) < 0.05
    assert pole.sum() >= 16 and (with_box(far, low, high) == room_depth(far, K, SIZE)).all()
    memory.write(ZEROS, room_depth(far, K, SIZE), K, far, refine=np.inf)
    assert (np.abs(memory.positions.numpy()[:, 2]) < 0.05).sum() >= pole.sum()


def test_bad_views_remove_nothing() -> None:
    memory = seen()
    before = len(memory)
    with pytest.raises(ValueError, match="too far away"):
        memory.write(ZEROS, np.full(SIZE, 1e39), K, ROOM, max_depth=np.inf)
    assert len(memory) == before and memory.removed == 0
