"""Memories keep to their device: the same as on the processor, on a device that is only pretended."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.memory_read import home_case
from mirage_env.memory import LatentMemory, paths, read_many
from tests.pretended_device import PRETENDED, pretended_device

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
