"""Training of the denoiser: complete what the memory shows of a view."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mirage_env.models.tiny import TinyDenoiser
from mirage_env.training.loop import Losses
from mirage_env.training.readouts import Readouts


def _masked_mean(value: Tensor, mask: Tensor) -> Tensor:
    return (value * mask).sum() / mask.sum().clamp_min(1)


def denoiser_losses(
    data: Readouts, batch: int, forget: float = 0.05, device: torch.device | str = "cpu"
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Squared error of the clean latents; half of the noise levels are 1, where a one-pass sampler starts.

    A share ``forget`` of the samples shows an empty memory, and others lose a random half-plane of it.
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, TinyDenoiser)
        sample = data.at(torch.randint(len(data), (batch,), generator=generator), device)
        visible = sample.visible & _keep(sample.visible.shape, forget, generator).to(device)
        readout, depth = sample.readout * visible[:, None], sample.readout_depth * visible
        t = torch.rand(batch, generator=generator)
        t = torch.where(torch.rand(batch, generator=generator) < 0.5, torch.ones(()), t).to(device)
        noise = torch.randn(sample.latents.shape, generator=generator).to(device)
        level = t[:, None, None, None]
        clean = model((1 - level) * sample.latents + level * noise, t, readout, depth, visible, sample.intrinsics)
        error = (clean - sample.latents).square().mean(1)
        seen = visible.float()
        return {
            "loss": error.mean(),
            "error_seen": _masked_mean(error, seen),
            "error_unseen": _masked_mean(error, 1 - seen),
            "error_readout": _masked_mean((readout - sample.latents).square().mean(1), seen),
        }

    return losses


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
    """Squared error of one-pass latents where the memory shows something and where it does not."""
    assert isinstance(model, TinyDenoiser)
    device = next(model.parameters()).device
    sample = data.spread(256, device)
    noise = torch.randn(sample.latents.shape, generator=torch.Generator().manual_seed(0)).to(device)
    clean = model.denoise(sample.readout, sample.readout_depth, sample.visible, sample.intrinsics, noise, 1)
    error = (clean - sample.latents).square().mean(1)
    seen = sample.visible.float()
    return {
        "loss": float(error.mean()),
        "error_seen": float(_masked_mean(error, seen)),
        "error_unseen": float(_masked_mean(error, 1 - seen)),
    }
