"""A better sampling replaces what it supersedes, opens no hole and changes nothing that is still shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, revision
from mirage_env.memory.rules import MemoryRules
from tests.memory.scenes import look, random_room_pose, room_depth

SIZE = (12, 16)
K = geometry.intrinsics(16, 12, 90.0)
ZEROS = np.zeros((1, *SIZE))
FAR, NEAR = np.full(SIZE, 3.0), np.full(SIZE, 1.6)
CLOSER = look(z=-1.4)  # sees 3.5 times as finely, and all of 6 x 8 of the old cells


def wall(**options: float) -> LatentMemory:
    memory = LatentMemory(1, rules=MemoryRules(refine=2.0))
    memory.write(ZEROS, FAR, K, look(), **options)
    return memory


def test_a_view_from_half_the_distance_replaces_what_lies_inside_it() -> None:
    memory = wall()
    assert memory.write(ZEROS + 1, NEAR, K, CLOSER) == 192
    # The outer ring of the cells that it sees wholly stays, for those beyond interpolate with it.
    assert memory.removed == 4 * 6 and len(memory) == 192 + 192 - 24
    assert memory.write(ZEROS + 1, NEAR, K, CLOSER) == 0


def test_below_the_factor_or_switched_off_nothing_is_replaced() -> None:
    for refine, added in ((5.0, 0), (np.inf, 0), (3.4, 192)):
        memory = wall()
        assert memory.write(ZEROS, NEAR, K, CLOSER, refine=refine) == added
        assert (memory.removed > 0) == (added > 0)
    memory = LatentMemory(1, rules=MemoryRules(refine=None))
    memory.write(ZEROS, FAR, K, look())
    assert memory.write(ZEROS, NEAR, K, CLOSER) == 0


def test_a_camera_replaces_what_was_imagined_at_any_fineness() -> None:
    memory = wall(imagined=1.0)
    wider = geometry.intrinsics(16, 12, 120.0)
    memory.write(ZEROS, FAR, wider, look())  # coarser than what was imagined
    assert memory.removed == 192 and not memory.read(look(), K, SIZE).imagined.any()


def test_imagination_replaces_nothing() -> None:
    for before in (0.0, 1.0):
        memory = wall(imagined=before)
        memory.write(ZEROS, NEAR, K, CLOSER, imagined=0.5)
        assert memory.removed == 0


def test_what_was_imagined_does_not_keep_out_what_a_camera_sees() -> None:
    assert wall(imagined=1.0).write(ZEROS, FAR, K, look(), refine=np.inf) == 192
    assert wall(imagined=0.5).write(ZEROS, FAR, K, look(), imagined=1.0) == 0
    assert wall(imagined=1.0).write(ZEROS, FAR, K, look(), imagined=0.5) == 192


def test_another_surface_replaces_nothing() -> None:
    memory = wall()
    memory.write(ZEROS, np.full(SIZE, 1.4), K, look(z=-1.4), contradiction=False)  # 20 cm before the wall
    assert memory.removed == 0


def room(pose: Array) -> tuple[Array, Array]:
    """Latents that are smooth over the room's surfaces, and its depth."""
    depth = room_depth(pose, K, SIZE)
    points = geometry.transform(pose, geometry.unproject(geometry.pixel_grid(*SIZE), depth, K))
    return np.sin(points).transpose(2, 0, 1).astype(np.float32), depth


@pytest.mark.parametrize("seed", range(3))
def test_in_a_room_no_hole_opens_and_every_view_is_as_good(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    replaced, kept = (LatentMemory(3, rules=MemoryRules(contradiction=False, refine=2.0)) for _ in range(2))
    start = look(rng.uniform(-3, 3), rng.uniform(-1, 1), 1.25, rng.uniform(-1, 1))
    poses = [
        start,
        *(start @ geometry.exp_twist([0, 0, step, 0, turn, 0]) for step, turn in rng.uniform(-1, 1, (8, 2))),
    ]
    for pose in poses:
        latents, depth = room(pose)
        replaced.write(latents, depth, K, pose)
        with monkeypatch.context() as patch:
            patch.setattr(revision, "superseded", lambda parts, *_: [None] * len(parts))
            kept.write(latents, depth, K, pose)
    assert kept.removed == 0 and replaced.removed >= (20 if seed == 0 else 0)
    for pose in [*poses, *(random_room_pose(rng) for _ in range(6))]:
        a, b = replaced.read(pose, K, SIZE), kept.read(pose, K, SIZE)
        assert torch.equal(a.visible, b.visible)
        truth = torch.from_numpy(room(pose)[0])
        errors = [(view.latents[0] - truth).abs().mean(0)[a.visible[0]].sum() for view in (a, b)]
        assert errors[0] <= 1.05 * errors[1] + 1e-3 * a.visible.sum()
        np.testing.assert_allclose(a.depth, b.depth, rtol=0.02)


def test_going_back_to_the_first_view_is_as_good_as_without() -> None:
    errors = []
    for refine in (2.0, None):
        memory = LatentMemory(3, rules=MemoryRules(refine=refine))
        for step in (0.0, 0.6, 1.2, 1.8):
            pose = look(0.3, y=1.25) @ geometry.exp_twist([0, 0, step, 0, 0, 0])
            memory.write(room(pose)[0], room(pose)[1], K, pose)
        first = look(0.3, y=1.25)
        view = memory.read(first, K, SIZE)
        assert view.visible.all()
        errors.append(float((view.latents[0] - torch.as_tensor(room(first)[0])).abs().mean()))
    assert errors[1] < 0.003 and errors[0] < errors[1] + 0.003


def test_cameras_that_stay_in_one_room_add_ever_less_and_replace_ever_more() -> None:
    rng, memory = np.random.default_rng(0), LatentMemory(1)
    written, removed = np.zeros(200), np.zeros(200)
    for step in range(200):
        pose = random_room_pose(rng)
        written[step] = memory.write(ZEROS, room_depth(pose, K, SIZE), K, pose)
        removed[step] = memory.removed
    assert written[100:].sum() < 0.6 * written[:100].sum()
    assert removed[199] - removed[99] > removed[99] > 0


@pytest.mark.parametrize(("detail", "added"), [(0.0, 192), (0.12, 192), (1.0, 0)])
def test_what_is_fine_enough_is_not_refined(detail: float, added: int) -> None:
    memory = LatentMemory(1, rules=MemoryRules(refine=2.0, detail=detail))
    zeros = np.zeros((1, *SIZE))
    memory.write(zeros, np.full(SIZE, 3.0), K, look())
    assert memory.write(zeros, np.full(SIZE, 1.5), K, look(z=-1.5)) == added
