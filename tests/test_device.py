"""Memories and worlds keep to their device: the same as on the processor, on a device that is only pretended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.memory_read import home_case
from mirage_env import geometry
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, paths, read_many
from mirage_env.state import WorldState
from mirage_env.world import WorldModel
from tests.pretended_device import PRETENDED, moved, pretended_device
from tests.small_world import small_world

SIZE = (12, 12)


def test_tensors_of_two_devices_refuse_to_meet() -> None:
    with pretended_device() as device:
        here, there = torch.ones(3), torch.zeros(3, device=device)
        assert there.device == PRETENDED and (there + 1).device == PRETENDED
        assert (there + 1).sum().item() == 3 and there[torch.tensor([0])].shape == (1,)
        for work in (
            lambda: here + there,
            lambda: here[there.to(torch.int64)],
            lambda: there.index_put_((torch.tensor([0]),), torch.ones(1)),
        ):
            with pytest.raises(RuntimeError, match="two devices"):
                work()
        with pytest.raises(TypeError, match="cannot become an array"):
            there.numpy()
        assert (there.cpu() + here).tolist() == [1, 1, 1]


@pytest.mark.parametrize("footprint", [True, False])
def test_a_memory_elsewhere_is_the_same_memory(footprint: bool, tmp_path: Path) -> None:
    case = home_case(tokens=400, size=SIZE[0], channels=3)
    K, poses, points = case.views[0].K, case.poses[:2], torch.randn(50, 3)
    near = [LatentMemory(3), LatentMemory(3)]
    with pretended_device() as device:
        far = [LatentMemory(3, device=device), LatentMemory(3, device=device)]
        for k, view in enumerate(case.views):
            mine, theirs = near[k % 2], far[k % 2]
            doubt = 0.4 * (k % 3 == 2)
            assert theirs.write(*view, imagined=doubt) == mine.write(*view, imagined=doubt)
        with paths.reading_by("torch"):
            expected = read_many(near, poses, K, SIZE, footprint)
        found = read_many(far, poses, K, SIZE, footprint)
        for name, grid in vars(expected).items():
            assert getattr(found, name).device == PRETENDED
            assert torch.equal(getattr(found, name).cpu(), grid), name
        assert torch.equal(far[0].looked_through(points).cpu(), near[0].looked_through(points))
        assert far[0].nbytes == near[0].nbytes and far[0].removed == near[0].removed
        assert torch.equal(far[0].surfels().tangents_u.cpu(), near[0].surfels().tangents_u)
        fork = far[0].fork()
        fork.write(*case.views[0], merge=False)
        assert len(fork) > len(far[0]) == len(near[0])
        far[0].save(tmp_path / "memory.safetensors")
        back = LatentMemory.load(tmp_path / "memory.safetensors", device)
        assert torch.equal(back.positions.cpu(), near[0].positions) and back.positions.device == PRETENDED


def walked(world: WorldModel) -> tuple[list[Array], WorldState]:
    """Pictures and depths of two worlds that turn apart, in all modes, and the first one at the end."""
    picture = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    base = geometry.camera_pose((0.0, 0.0, 0.0), 0.0, 1.25)
    states = [
        world.start(picture, seed=3, resolution=48, camera_height=1.3),
        world.start(picture, depth=np.full((48, 48), 2.0, np.float32), seed=4, resolution=48),
    ]
    shown = [world.frame(states[0]).rgb]
    for step, mode in enumerate(("new", "new", "always", "never"), start=1):
        turns = [geometry.exp_twist(np.array([0, 0, 0.1 * step, 0, 0.3 * side * step, 0])) for side in (1, -1)]
        states, frames = world.step_batch(states, np.stack([base @ turn for turn in turns]), mode)  # type: ignore[arg-type]
        shown += [picture for frame in frames for picture in (frame.rgb, frame.depth)]
    return shown, world.observe(states[0], picture, base)


def test_a_world_elsewhere_is_the_same_world(tmp_path: Path) -> None:
    near = small_world()
    expected, here = walked(near)
    with pretended_device():
        networks = (moved(network) for network in (near.codec, near.depth_model, near.denoiser))
        far = WorldModel(*networks, near.denoiser_steps, name="elsewhere")
        found, there = walked(far)
        assert there.memory.device == there.latents.device == PRETENDED  # type: ignore[attr-defined]
        assert len(there.memory) == len(here.memory)
        there.save(tmp_path / "state.safetensors")
        again = WorldState.load(tmp_path / "state.safetensors", PRETENDED)
        assert again.memory.device == again.latents.device == PRETENDED  # type: ignore[attr-defined]
        far.step(again, there.pose)
    for a, b in zip(expected, found, strict=True):
        assert np.array_equal(a, b)
