"""Training of depth from latents: of one view alone, and completing the depth that a memory shows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mirage_env.models.tiny import TinyDenoiser, TinyDepth
from mirage_env.training.denoiser import doubted_memories, drawn_again
from mirage_env.training.loop import Losses
from mirage_env.training.readouts import Readouts

ALONE, FORGET = 0.4, 0.05


def depth_losses(
    data: Readouts,
    batch: int,
    denoiser: TinyDenoiser,
    latent_noise: float = 0.15,
    depth_noise: float = 0.03,
    device: torch.device | str = "cpu",
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Negative log-likelihood of log depth under a Laplace distribution, over cells whose depth is known.

    A share ``ALONE`` of the samples are true views of which nothing is known. The others are views as the world loop
    completes them: what the memory shows, its depth with a relative error that all cells share and one of their own,
    and in the rest what the denoiser draws of the true sketch: that has the look of imagination and the geometry of
    the truth.
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, TinyDepth)
        sample = doubted_memories(data, batch, denoiser, FORGET, generator, device)
        b = (batch, 1, 1)
        alone = torch.rand(b, generator=generator).to(device) < ALONE
        drawn = torch.where(sample.visible[:, None], sample.readout, drawn_again(denoiser, sample, generator))
        common = torch.randn(b, generator=generator).to(device) * depth_noise
        own = torch.randn(sample.depth.shape, generator=generator).to(device) * depth_noise / 2
        known = torch.where(alone, 0.0, sample.readout_depth * (common + own).exp())
        amount = torch.rand(b, generator=generator).to(device)[:, None] * latent_noise
        noise = torch.randn(drawn.shape, generator=generator).to(device) * amount
        latents = torch.where(alone[:, None], sample.latents, drawn) + noise
        log_depth, log_error = model(latents, sample.intrinsics, known)
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
def validate_depth(model: nn.Module, data: Readouts, denoiser: TinyDenoiser) -> dict[str, float]:
    """AbsRel of true views of which nothing is known, and of views completed as in ``depth_losses``."""
    assert isinstance(model, TinyDepth)
    device = next(model.parameters()).device
    sample = data.spread(256, device)
    valid = sample.depth > 0.1
    drawn = drawn_again(denoiser, sample, torch.Generator().manual_seed(0))
    completed = torch.where(sample.visible[:, None], sample.readout, drawn)
    unknown = torch.zeros_like(sample.depth)
    out = {}
    for name, latents, known in (
        ("alone", sample.latents, unknown),
        ("completed", completed, sample.readout_depth),
    ):
        depth = model.estimate(latents, sample.intrinsics, known).depth
        out[f"abs_rel_{name}"] = float(((depth / sample.depth.clamp_min(0.1)) - 1).abs()[valid].mean())
    return out
