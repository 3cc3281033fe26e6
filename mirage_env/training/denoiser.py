"""Training of the denoiser: complete what the memory shows of a view; then the same in fewer passes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mirage_env.models.tiny import TinyDenoiser
from mirage_env.training.loop import Losses
from mirage_env.training.readouts import Readouts

ERROR_WEIGHT = 0.1
"""Of the likelihood of the errors beside the errors themselves."""
INVENTED = 0.1
"""Weight of cells that show what was imagined earlier: it need not be the truth, and is not corrected in use."""


def denoiser_losses(
    data: Readouts, batch: int, forget: float = 0.05, device: torch.device | str = "cpu"
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Squared error of the clean latents; half of the noise levels are 1, where a one-pass sampler starts.

    There the network also learns the size of that error, by its likelihood under a normal distribution. A share
    ``forget`` of the samples shows an empty memory, and others lose a random half-plane of it.
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, TinyDenoiser)
        sample = forgetful(data.at(torch.randint(len(data), (batch,), generator=generator), device), forget, generator)
        t = torch.rand(batch, generator=generator)
        t = torch.where(torch.rand(batch, generator=generator) < 0.5, torch.ones(()), t).to(device)
        noise = torch.randn(sample.latents.shape, generator=generator).to(device)
        level = t[:, None, None, None]
        noisy = (1 - level) * sample.latents + level * noise
        clean, log_error = model(noisy, t, *_shown(sample))
        error = (clean - sample.latents).square().mean(1)
        weight = _weight(sample)
        likelihood = 0.5 * (error.detach() * (-log_error).exp() + log_error) * (t == 1)[:, None, None]
        seen = sample.visible.float()
        return {
            "loss": ((error + ERROR_WEIGHT * likelihood) * weight).mean(),
            "error_seen": _masked_mean(error, seen),
            "error_unseen": _masked_mean(error, 1 - seen),
            "error_readout": _masked_mean((sample.readout - sample.latents).square().mean(1), seen),
        }

    return losses


def distillation_losses(
    teacher: TinyDenoiser, teacher_steps: int, data: Readouts, batch: int, device: torch.device | str = "cpu"
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Squared distance of one pass to where ``teacher_steps`` passes of the teacher lead from the same noise.

    One pass of a flow gives the mean of what may be there; a path of several passes ends at one possibility, decided by
    the noise, which the student learns to reach at once (as in Luhman and Luhman 2021).
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, TinyDenoiser)
        sample = forgetful(data.at(torch.randint(len(data), (batch,), generator=generator), device), 0.05, generator)
        noise = torch.randn(sample.latents.shape, generator=generator).to(device)
        with torch.no_grad():
            wanted, error = teacher.denoise(*_shown(sample), noise, teacher_steps)
        clean, log_error = model(noise, torch.ones(batch, device=noise.device), *_shown(sample))
        distance = (clean - wanted).square().mean(1)
        weight = _weight(sample)
        same_doubt = (log_error - error.clamp_min(1e-3).log()).square()
        unseen = 1 - sample.visible.float()
        return {
            "loss": ((distance + ERROR_WEIGHT * same_doubt) * weight).mean(),
            "distance_unseen": _masked_mean(distance, unseen),
            "error_unseen": _masked_mean((clean - sample.latents).square().mean(1), unseen),
            "error_teacher": _masked_mean((wanted - sample.latents).square().mean(1), unseen),
        }

    return losses


def forgetful(sample: Readouts, forget: float, generator: torch.Generator) -> Readouts:
    """A batch whose memories lost something at random, as in ``denoiser_losses``."""
    visible = sample.visible & _keep(sample.visible.shape, forget, generator).to(sample.visible.device)
    return Readouts(
        latents=sample.latents,
        depth=sample.depth,
        readout=sample.readout * visible[:, None],
        readout_depth=sample.readout_depth * visible,
        visible=visible,
        imagined=sample.imagined * visible,
        shown=sample.shown,
        intrinsics=sample.intrinsics,
    )


def _shown(sample: Readouts) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return sample.readout, sample.readout_depth, sample.visible, sample.imagined, sample.intrinsics


def _weight(sample: Readouts) -> Tensor:
    return torch.where(sample.imagined > 0, INVENTED, 1.0)


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
    """Squared error of one-pass latents where the memory shows something and where it does not, and how well the model
    knows it: correlation of its expected with its actual error over unseen cells."""
    assert isinstance(model, TinyDenoiser)
    device = next(model.parameters()).device
    sample = data.spread(256, device)
    noise = torch.randn(sample.latents.shape, generator=torch.Generator().manual_seed(0)).to(device)
    clean, expected = model.denoise(*_shown(sample), noise, 1)
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
