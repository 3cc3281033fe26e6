"""Training of depth from latents: of one view alone, and completing the depth that a memory shows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mirage_env.models.tiny import TinyDepth
from mirage_env.training.loop import Losses
from mirage_env.training.readouts import Readouts


def depth_losses(
    data: Readouts,
    batch: int,
    latent_noise: float = 0.15,
    depth_noise: float = 0.03,
    device: torch.device | str = "cpu",
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Negative log-likelihood of log depth under a Laplace distribution, over cells whose depth is known.

    Half of the samples hide all that is known; the others show the memory's depth with a relative error that all cells
    share and one of their own. Latents get noise, because in use they were imagined.
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, TinyDepth)
        sample = data.at(torch.randint(len(data), (batch,), generator=generator), device)
        b = (batch, 1, 1)
        alone = torch.rand(b, generator=generator).to(device) < 0.5
        common = torch.randn(b, generator=generator).to(device) * depth_noise
        own = torch.randn(sample.depth.shape, generator=generator).to(device) * depth_noise / 2
        known = torch.where(alone, 0.0, sample.readout_depth * (common + own).exp())
        amount = torch.rand(b, generator=generator).to(device)[:, None] * latent_noise
        noise = torch.randn(sample.shown.shape, generator=generator).to(device) * amount
        log_depth, log_error = model(sample.shown + noise, sample.intrinsics, known)
        valid = (sample.depth > 0.1).float()
        error = (log_depth - sample.depth.clamp_min(0.1).log()).abs()
        nll = error * (-log_error).exp() + log_error
        loss = ((nll + error) * valid).sum() / valid.sum().clamp_min(1)
        relative = (log_depth.exp() / sample.depth.clamp_min(0.1) - 1).abs() * valid
        lonely = alone.float() * valid
        return {
            "loss": loss,
            "abs_rel_alone": (relative * lonely).sum() / lonely.sum().clamp_min(1),
            "abs_rel_completed": (relative * (valid - lonely)).sum() / (valid - lonely).sum().clamp_min(1),
        }

    return losses


@torch.no_grad()
def validate_depth(model: nn.Module, data: Readouts) -> dict[str, float]:
    """AbsRel over known cells, without and with the memory's depth."""
    assert isinstance(model, TinyDepth)
    device = next(model.parameters()).device
    sample = data.spread(256, device)
    valid = sample.depth > 0.1
    out = {}
    for name, known in (("alone", torch.zeros_like(sample.depth)), ("completed", sample.readout_depth)):
        depth = model.estimate(sample.shown, sample.intrinsics, known).depth
        out[f"abs_rel_{name}"] = float(((depth / sample.depth.clamp_min(0.1)) - 1).abs()[valid].mean())
    return out
