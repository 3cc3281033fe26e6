"""Training of the denoiser: sketch what the memory does not show of a view, and draw it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mirage_env.models.sketch import SketchFlow, pooled
from mirage_env.models.tiny import TinyDenoiser
from mirage_env.training.loop import Losses
from mirage_env.training.readouts import Readouts

ERROR_WEIGHT = 0.1
"""Of the likelihood of the errors beside the errors themselves."""
DOUBTED = 0.3
"""Share of the memories in which everything counts as imagined."""
SKETCH_NOISE = 0.4
"""Most noise on the sketches that the denoiser learns from, in deviations of sketches: drawn ones are not perfect."""
SEEN_SKETCH, LEAST_LEVEL = 0.3, 0.3
"""Weight of seen beside unseen parts of a sketch, and the noise level below which errors count no more than there."""


def denoiser_losses(
    data: Readouts, batch: int, forget: float = 0.05, device: torch.device | str = "cpu"
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Squared error of the clean latents, given the true sketch with a little noise; three quarters of the noise levels
    are 1, where a one-pass sampler starts.

    There the network also learns the size of that error, by its likelihood under a normal distribution. For the
    memories see ``forgetful``.
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, TinyDenoiser)
        sample = doubted_memories(data, batch, model, forget, generator, device)
        t = _levels(batch, 0.75, generator).to(device)
        noise = torch.randn(sample.latents.shape, generator=generator).to(device)
        level = t[:, None, None, None]
        noisy = (1 - level) * sample.latents + level * noise
        sketch = _rough_sketch(model, sample, generator)
        clean, log_error = model(noisy, t, *_shown(sample), sketch)
        error = (clean - sample.latents).square().mean(1)
        likelihood = 0.5 * (error.detach() * (-log_error).exp() + log_error) * (t == 1)[:, None, None]
        seen = sample.visible.float()
        return {
            "loss": (error + ERROR_WEIGHT * likelihood).mean(),
            "error_seen": _masked_mean(error, seen),
            "error_unseen": _masked_mean(error, 1 - seen),
            "error_readout": _masked_mean((sample.readout - sample.latents).square().mean(1), seen),
        }

    return losses


@torch.no_grad()
def drawn_again(model: TinyDenoiser, sample: Readouts, generator: torch.Generator) -> Tensor:
    """True views (B, C, h, w) as the denoiser draws them of their sketches, with what the memory shows of them."""
    noise = torch.randn(sample.latents.shape, generator=generator).to(sample.latents.device)
    sketch = _rough_sketch(model, sample, generator)
    return model(noise, noise.new_ones(len(noise)), *_shown(sample), sketch)[0]


def as_imagined(model: TinyDenoiser, sample: Readouts, generator: torch.Generator) -> Readouts:
    """The sample with what counts as imagined in its memories as the denoiser draws it, to which the memory shows only
    the rest: imagination meets itself."""
    doubted = sample.imagined > 0
    drawn = drawn_again(model, _without(sample, doubted), generator)
    return dataclasses.replace(sample, readout=torch.where(doubted[:, None], drawn, sample.readout))


def _rough_sketch(model: TinyDenoiser, sample: Readouts, generator: torch.Generator) -> Tensor:
    """Sketches of the true views with a little noise."""
    assert model.sketch is not None
    sketch = model.sketch.of(sample.latents)
    amount = SKETCH_NOISE * torch.rand(len(sketch), 1, 1, 1, generator=generator)
    return sketch + (amount * torch.randn(sketch.shape, generator=generator)).to(sketch.device)


def sketch_losses(
    data: Readouts, batch: int, denoiser: TinyDenoiser, forget: float = 0.05, device: torch.device | str = "cpu"
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Squared error of the clean sketch over all noise levels, a quarter of them 1; little noise counts more.

    At level 1 the network also learns the size of the error, as in ``denoiser_losses``. What the memory shows as
    imagined is what ``denoiser`` drew.
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, SketchFlow)
        sample = doubted_memories(data, batch, denoiser, forget, generator, device)
        wanted = model.of(sample.latents)
        t = _levels(batch, 0.25, generator).to(device)
        level = t[:, None, None, None]
        noise = torch.randn(wanted.shape, generator=generator).to(device)
        noisy = (1 - level) * wanted + level * noise
        clean, log_error = model(noisy, t, model.known(*_shown(sample)))
        squares = (clean - wanted).square()
        error, of_latents = squares.mean(1), (squares * model.deviation.square()[:, None, None]).mean(1)
        first = (t == 1).float()[:, None, None]
        likelihood = 0.5 * (of_latents.detach() * (-log_error).exp() + log_error) * first
        unseen = _mostly_unseen(sample)
        weight = (SEEN_SKETCH + unseen) / level[:, 0].clamp_min(LEAST_LEVEL)
        return {
            "loss": (error * weight + ERROR_WEIGHT * likelihood).mean(),
            "error_first": _masked_mean(error, unseen * first),
            "error_later": _masked_mean(error, unseen * (1 - first)),
        }

    return losses


def distillation_losses(
    teacher: SketchFlow,
    steps: int,
    data: Readouts,
    batch: int,
    denoiser: TinyDenoiser,
    forget: float = 0.05,
    device: torch.device | str = "cpu",
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Squared distance of a one-step sketch to where ``steps`` steps of the teacher lead from the same noise.

    One step of a flow predicts the mean of what may be there; a path of several ends at one possibility, decided by the
    noise, which the student learns to reach at once (as in Luhman and Luhman 2021).
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, SketchFlow)
        sample = doubted_memories(data, batch, denoiser, forget, generator, device)
        wanted = model.of(sample.latents)
        noise = torch.randn(wanted.shape, generator=generator).to(device)
        with torch.no_grad():
            drawn, left_open = teacher.sample(teacher.known(*_shown(sample)), noise, steps)
        sketch, log_error = model(noise, torch.ones(batch, device=noise.device), model.known(*_shown(sample)))
        distance = (sketch - drawn).square().mean(1)
        unseen = _mostly_unseen(sample)
        same_doubt = (log_error - (left_open / 2).clamp_min(1e-4).log()).square()
        return {
            "loss": (distance * (SEEN_SKETCH + unseen) + ERROR_WEIGHT * same_doubt).mean(),
            "distance": _masked_mean(distance, unseen),
            "error": _masked_mean((sketch - wanted).square().mean(1), unseen),
            "error_teacher": _masked_mean((drawn - wanted).square().mean(1), unseen),
        }

    return losses


def doubted_memories(
    data: Readouts,
    batch: int,
    denoiser: TinyDenoiser,
    forget: float,
    generator: torch.Generator,
    device: torch.device | str,
) -> Readouts:
    """A random batch that all stages learn from: see ``forgetful`` and ``as_imagined``."""
    sample = data.at(torch.randint(len(data), (batch,), generator=generator), device)
    return as_imagined(denoiser, forgetful(sample, forget, generator), generator)


def _levels(batch: int, full: float, generator: torch.Generator) -> Tensor:
    """Noise levels (B,), evenly distributed but for the share ``full`` of 1."""
    t = torch.rand(batch, generator=generator)
    return torch.where(torch.rand(batch, generator=generator) < full, torch.ones(()), t)


def _mostly_unseen(sample: Readouts) -> Tensor:
    """Cells of the sketch (B, rows, columns) float of which the memory shows less than half."""
    return (pooled(sample.visible[:, None].float())[:, 0] < 0.5).float()


def forgetful(sample: Readouts, forget: float, generator: torch.Generator) -> Readouts:
    """A batch whose memories lost something at random, and doubt some of what they show.

    A share ``forget`` shows an empty memory, others lose a random half-plane of it. In part of the rest all, or a
    half-plane, counts as imagined: what was well imagined is to be gone on from like what was seen.
    """
    device = sample.visible.device
    kept = _without(sample, ~_keep(sample.visible.shape, forget, generator).to(device))
    doubt = torch.rand(len(kept.visible), 1, 1, generator=generator) * ~_keep(sample.visible.shape, DOUBTED, generator)
    return dataclasses.replace(kept, imagined=doubt.to(device) * kept.visible)


def _without(sample: Readouts, lost: Tensor) -> Readouts:
    """The sample whose memories do not show the cells ``lost`` (B, h, w)."""
    visible = sample.visible & ~lost
    return dataclasses.replace(
        sample,
        readout=sample.readout * visible[:, None],
        readout_depth=sample.readout_depth * visible,
        visible=visible,
        imagined=sample.imagined * visible,
    )


def _shown(sample: Readouts) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return sample.readout, sample.readout_depth, sample.visible, sample.imagined, sample.intrinsics


def _masked_mean(value: Tensor, mask: Tensor) -> Tensor:
    return (value * mask).sum() / mask.sum().clamp_min(1)


def _keep(shape: torch.Size, forget: float, generator: torch.Generator) -> Tensor:
    """Cells of the memory that stay, bool (B, h, w): none (share ``forget``), one side of a line (a quarter) or all."""
    b, h, w = shape
    kind = torch.rand(b, generator=generator)[:, None, None]
    angle = torch.rand(b, generator=generator)[:, None, None] * 2 * torch.pi
    offset = (torch.rand(b, generator=generator)[:, None, None] - 0.5) * 1.2
    y, x = torch.meshgrid(torch.linspace(-0.5, 0.5, h), torch.linspace(-0.5, 0.5, w), indexing="ij")
    side = x * angle.cos() + y * angle.sin() < offset
    return torch.where(kind < forget, torch.zeros_like(side), side | (kind > forget + 0.25))


@torch.no_grad()
def validate_denoiser(model: nn.Module, data: Readouts) -> dict[str, float]:
    """Squared error of latents drawn in one pass of true sketches, where the memory shows something and where not, and
    how well the model knows it: correlation of its expected with its actual error over unseen cells."""
    assert isinstance(model, TinyDenoiser)
    device = next(model.parameters()).device
    sample = data.spread(256, device)
    noise = torch.randn(sample.latents.shape, generator=torch.Generator().manual_seed(0)).to(device)
    assert model.sketch is not None
    clean, log_error = model(noise, noise.new_ones(len(noise)), *_shown(sample), model.sketch.of(sample.latents))
    expected = log_error.exp()
    error = (clean - sample.latents).square().mean(1)
    seen = sample.visible.float()
    pairs = torch.stack([expected[~sample.visible], error[~sample.visible]])
    return {
        "loss": float(error.mean()),
        "error_seen": float(_masked_mean(error, seen)),
        "error_unseen": float(_masked_mean(error, 1 - seen)),
        "expected_unseen": float(_masked_mean(expected, 1 - seen)),
        "expectation": float(torch.corrcoef(pairs)[0, 1].nan_to_num()) if pairs.shape[1] > 1 else 0.0,
    }


@torch.no_grad()
def validate_sketch(model: nn.Module, data: Readouts) -> dict[str, float]:
    """Squared error of clean sketches where the memory shows little, by noise level, as a share of their variance."""
    assert isinstance(model, SketchFlow)
    sample = data.spread(256, next(model.parameters()).device)
    wanted, known = model.of(sample.latents), model.known(*_shown(sample))
    noise = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0)).to(wanted.device)
    unseen = _mostly_unseen(sample)
    found = {}
    for t in (1.0, 0.75, 0.5, 0.25):
        clean, _ = model((1 - t) * wanted + t * noise, noise.new_full((len(noise),), t), known)
        found[f"error_{t:g}"] = float(_masked_mean((clean - wanted).square().mean(1), unseen))
    return found
