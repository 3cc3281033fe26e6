"""What the denoiser is shown while it learns."""

from __future__ import annotations

import dataclasses

import torch

from mirage_env.models.tiny import TinyDenoiser
from mirage_env.training.denoiser import as_imagined, forgetful
from mirage_env.training.readouts import Readouts


def samples(n: int = 6, size: int = 8) -> Readouts:
    generator = torch.Generator().manual_seed(1)
    visible = torch.rand(n, size, size, generator=generator) < 0.7
    depth = 1 + torch.rand(n, size, size, generator=generator)
    readout = torch.randn(n, 4, size, size, generator=generator) * visible[:, None]
    K = torch.tensor([[4.0, 0, 4], [0, 4, 4], [0, 0, 1]]).expand(n, 3, 3)
    latents = torch.randn(n, 4, size, size, generator=generator)
    return Readouts(latents, depth, readout, depth * visible, visible, torch.zeros(n, size, size), K)


def denoiser() -> TinyDenoiser:
    torch.manual_seed(0)
    return TinyDenoiser(4, (8, 16, 16), sketch_width=16, sketch_blocks=1).eval()


def test_what_counts_as_imagined_is_drawn_without_being_shown() -> None:
    """Else it would be a copy of the truth, and not have the look of imagination."""
    doubted = torch.rand(6, 8, 8, generator=torch.Generator().manual_seed(2)) < 0.5
    sample = samples()
    sample = dataclasses.replace(sample, imagined=0.7 * (doubted & sample.visible))
    told = sample.imagined > 0
    other = dataclasses.replace(
        sample,
        readout=sample.readout + 5.0 * told[:, None],
        readout_depth=sample.readout_depth + 0.5 * told,
    )
    model = denoiser()
    one, two = (as_imagined(model, s, torch.Generator().manual_seed(3)).readout for s in (sample, other))
    assert torch.equal(one, two)
    assert torch.equal(one[~told[:, None].expand_as(one)], sample.readout[~told[:, None].expand_as(one)])
    assert (one - sample.readout).abs()[told[:, None].expand_as(one)].mean() > 0.1


def test_forgetful_memories_show_nothing_of_what_they_lost() -> None:
    sample = samples(200)
    rest = forgetful(sample, 0.3, torch.Generator().manual_seed(4))
    lost = sample.visible & ~rest.visible
    assert 0.3 < lost.float().sum() / sample.visible.float().sum() < 0.6
    assert not (rest.visible & ~sample.visible).any()
    for grid in (rest.readout_depth, rest.imagined, rest.readout.abs().amax(1)):
        assert not grid[~rest.visible].any()
    assert torch.equal(rest.readout[:, 0][rest.visible], sample.readout[:, 0][rest.visible])
    assert 0 < (rest.imagined > 0).sum() < rest.visible.sum()
