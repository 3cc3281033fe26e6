"""Training of the codec: reconstruct, also after the latents were warped into another view of the same room."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from mirage_env.models.protocols import Sampling
from mirage_env.models.tiny import TinyCodec
from mirage_env.training.frames import Trajectories, View
from mirage_env.training.loop import Losses
from mirage_env.training.warp import warp_latents


def reconstruction_error(images: Tensor, truth: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weighted squared and absolute error per pixel, of images in [-1, 1]."""
    difference = images - truth
    if weight is None:
        return difference.square().mean(), difference.abs().mean()
    total = weight.sum().clamp_min(1.0) * images.shape[1]
    return (difference.square() * weight).sum() / total, (difference.abs() * weight).sum() / total


def psnr(squared_error: Tensor) -> Tensor:
    """dB, of a squared error on the scale [-1, 1]."""
    return 10 * torch.log10(4.0 / squared_error.detach().clamp_min(1e-10))


def codec_losses(
    frames: Trajectories,
    batch: int,
    max_gap: int = 8,
    warp_weight: float = 2.0,
    noise: float = 0.05,
    soft_weight: float = 0.0,
    device: torch.device | str = "cpu",
) -> Callable[[nn.Module, torch.Generator], Losses]:
    """Losses of one step on ``batch`` pairs of views.

    With ``soft_weight``, latents that were smoothed must decode to the image smoothed as much, too: what a denoiser
    leaves open comes as a mean, and shall look like a blur and not like the grid of cells.

    Each pair is encoded and decoded, and the first view's latents are decoded again as the memory would show them from
    the second. Cells that the first view does not cover get zeros (an empty memory) or the second view's latents (a
    filled one).
    """

    def losses(model: nn.Module, generator: torch.Generator) -> Losses:
        assert isinstance(model, TinyCodec)
        a, b = frames.pairs(batch, max_gap, generator, device)
        latents = model.encode(torch.cat([a.rgb, b.rgb]))
        za, zb = latents.chunk(2)
        warped, sampling, covered = warp_latents(za, a, b, model.stride)
        filled = torch.rand(batch, 1, 1, 1, generator=generator).to(zb.device) < 0.5
        around = torch.where(filled, zb, torch.zeros_like(zb))
        jitter = torch.randn(zb.shape, generator=generator).to(zb.device) * noise
        readout = torch.where(covered[:, None], warped, around) + jitter
        nearest = torch.where(covered[:, None], sampling.nearest, around) + jitter
        still = torch.zeros_like(latents[:, :2])
        both = Sampling(torch.cat([latents, nearest]), torch.cat([still, sampling.offset]))
        images = model.decode(torch.cat([latents, readout]), both)
        plain, moved = images[: 2 * batch], images[2 * batch :]
        pixels = functional.interpolate(covered[:, None].float(), scale_factor=float(model.stride), mode="nearest")
        square, absolute = reconstruction_error(plain, torch.cat([a.rgb, b.rgb]))
        square_moved, absolute_moved = reconstruction_error(moved, b.rgb, pixels)
        # Keeps the scale of the latents near 1, so that bf16 and the jitter mean the same throughout training.
        spread = latents.mean((0, 2, 3)).square().mean() + (latents.std((0, 2, 3)) - 1).square().mean()
        loss = square + 0.2 * absolute + warp_weight * (square_moved + 0.2 * absolute_moved) + 0.01 * spread
        if soft_weight:
            loss = loss + soft_weight * _softness(model, latents, torch.cat([a.rgb, b.rgb]), generator)
        share = covered.float().mean()
        return {"loss": loss, "psnr": psnr(square), "psnr_readout": psnr(square_moved), "covered": share}

    return losses


def _softness(model: TinyCodec, latents: Tensor, images: Tensor, generator: torch.Generator) -> Tensor:
    """Squared error of smoothed latents, decoded, against images smoothed by the same box; how much varies by view."""
    cells = 2 * int(torch.randint(1, 7, (), generator=generator)) + 1
    share = torch.rand(len(latents), 1, 1, 1, generator=generator).to(latents.device)
    soft, truth = latents, images
    for _ in range(2):  # twice a box is nearly a bell
        soft, truth = _box(soft, cells), _box(truth, cells * model.stride + 1 - model.stride % 2)
    wanted = truth + share * (images - truth)
    return (model.decode(soft + share * (latents - soft)) - wanted).square().mean()


def _box(x: Tensor, size: int) -> Tensor:
    """Means over boxes of an odd number of cells, the border continued."""
    padded = functional.pad(x, (size // 2,) * 4, mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(padded, (size, 1), stride=1), (1, size), stride=1)


@torch.no_grad()
def validate_codec(model: nn.Module, frames: Trajectories, gap: int = 8, views: int = 64) -> dict[str, float]:
    """PSNR in dB of reconstruction (the codec's ceiling), and of the readout ``gap`` frames away in covered cells."""
    assert isinstance(model, TinyCodec)
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(1)
    gap = min(gap, frames.length - 1)
    episode = torch.randint(frames.episodes, (views,), generator=generator)
    first = torch.randint(frames.length - gap, (views,), generator=generator)
    a, b = frames.view(episode, first, device), frames.view(episode, first + gap, device)
    warped, sampling, covered = warp_latents(model.encode(a.rgb), a, b, model.stride)
    rebuilt = model.decode(model.encode(b.rgb))
    pixels = functional.interpolate(covered[:, None].float(), scale_factor=float(model.stride), mode="nearest")
    return {
        "psnr": _image_psnr(rebuilt, b),
        "psnr_covered": _image_psnr(rebuilt, b, pixels),
        "psnr_readout": _image_psnr(model.decode(warped * covered[:, None], sampling), b, pixels),
        "covered": float(covered.float().mean()),
    }


def _image_psnr(images: Tensor, view: View, weight: Tensor | None = None) -> float:
    """Mean over images of their PSNR; images with fewer than 256 weighted pixels are left out."""
    square = (images.clamp(-1, 1) - view.rgb).square().mean(1)
    weight = torch.ones_like(square) if weight is None else weight[:, 0]
    enough = weight.sum((1, 2)) >= 256
    error = (square * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1.0)
    return float(psnr(error)[enough].mean())
