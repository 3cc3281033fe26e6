"""The bundled model: a codec, depth from latents and a memory-conditioned denoiser that run on two CPU cores.

Each is a diffusers ``ModelMixin``, so that ``save_pretrained`` and ``from_pretrained`` read and write safetensors
folders.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from mirage_env.models import paths
from mirage_env.models.layers import ResidualBlock, UNet, embedded, euler_steps, inverse_depth, ray_channels
from mirage_env.models.protocols import Denoised, DepthEstimate, Sampling
from mirage_env.models.sketch import POOL, SketchFlow, enlarged, pooled


class TinyCodec(ModelMixin, ConfigMixin):
    """Convolutional autoencoder whose latents survive being warped.

    No layer looks further than a few cells and none normalises over space, so that shifting the image shifts the
    latents; training makes decode(warp(z)) match warp(x) (the aim of EQ-VAE, Kouzelis et al. 2025) with the warps that
    the memory really makes. Latents leave with zero mean and unit variance per channel, over the data that
    ``fit_statistics`` saw.

    Args:
        channels: of the latents.
        widths: of the layers at stride 2, 4, …; their number sets the stride, 2 ** len(widths).
        blocks: residual blocks per width.
    """

    @register_to_config
    def __init__(
        self, channels: int = 16, widths: tuple[int, ...] = (48, 96), blocks: tuple[int, ...] = (1, 3)
    ) -> None:
        super().__init__()
        self.channels = channels
        self.stride = 2 ** len(widths)
        self.mean: Tensor
        self.deviation: Tensor
        down: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, widths[0], 3, padding=1)]
        for level, width in enumerate(widths):
            if level:
                down.append(nn.Conv2d(widths[level - 1], width, 4, stride=2, padding=1))
            down.extend(ResidualBlock(width) for _ in range(blocks[level]))
        down += [nn.SiLU(), nn.Conv2d(widths[-1], channels, 1)]
        self.encoder = nn.Sequential(*down)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        up: list[nn.Module] = [nn.Conv2d(4 * channels + 2, widths[-1], 3, padding=1)]
        for level in reversed(range(len(widths))):
            up.extend(ResidualBlock(widths[level]) for _ in range(blocks[level]))
            width_out = widths[level - 1] if level else 3
            up += [nn.SiLU(), nn.Conv2d(widths[level], 4 * width_out, 3, padding=1), nn.PixelShuffle(2)]
        self.decoder = nn.Sequential(*up)

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1], H and W multiples of the stride, to latents (B, C, H/stride, W/stride)."""
        if images.shape[-1] % self.stride or images.shape[-2] % self.stride:
            raise ValueError(f"height and width must be multiples of {self.stride}, got {tuple(images.shape[-2:])}")
        return (self.encoder(images).float() - self.mean[:, None, None]) / self.deviation[:, None, None]

    def decode(self, latents: Tensor, sampling: Sampling | None = None) -> Tensor:
        """Latents (B, C, h, w) to images (B, 3, h·stride, w·stride), about in [-1, 1], not clamped.

        Beside the latents the network sees the stored ones nearest by, and their products with the offset, the first
        terms of a shift by it: a continuous picture from local codes (in the way of LIIF, Chen et al. 2021).
        """
        with paths.threads(self.decoder, latents):
            given = self._shown(latents, sampling)
            kernels = paths.compiled(self.decoder, given)
            return self.decoder(given).float() if kernels is None else kernels.decoded(self.decoder, given)

    def _shown(self, latents: Tensor, sampling: Sampling | None) -> Tensor:
        z = latents * self.deviation[:, None, None] + self.mean[:, None, None]
        if sampling is None:
            zero = torch.zeros_like(z)
            return torch.cat([z, z, zero, zero, zero[:, :2]], dim=1)
        nearest = sampling.nearest * self.deviation[:, None, None] + self.mean[:, None, None]
        right, down = sampling.offset[:, :1], sampling.offset[:, 1:]
        return torch.cat([z, nearest, nearest * right, nearest * down, right, down], dim=1)

    @torch.no_grad()
    def fit_statistics(self, images: Tensor) -> None:
        """Make latents of such images (B, 3, H, W) leave with zero mean and unit variance per channel."""
        raw = self.encoder(images).float()
        self.mean.copy_(raw.mean((0, 2, 3)))
        self.deviation.copy_(raw.std((0, 2, 3)).clamp_min(1e-4))


class TinyDepth(ModelMixin, ConfigMixin):
    """Depth from latents, completing what is known of it.

    Metric scale from one image rests on a camera ``canonical_height`` above the floor; for another height, scale what
    goes in and comes out (the image of a room is that of a scaled room from a camera as much higher).
    """

    canonical_height = 1.25

    @register_to_config
    def __init__(self, channels: int = 16, widths: tuple[int, ...] = (64, 96, 160)) -> None:
        super().__init__()
        self.unet = UNet(channels + 4, 2, widths)
        # Training starts from "what is known is right, the rest is two metres away, all to about an eighth".
        nn.init.zeros_(self.unet.head[2].weight)  # type: ignore[arg-type]
        depth_bias, error_bias = self.unet.head[2].bias.data.chunk(2)  # type: ignore[union-attr]
        nn.init.zeros_(depth_bias)  # type: ignore[arg-type]
        nn.init.constant_(error_bias, -2.0)  # type: ignore[arg-type]

    def forward(self, latents: Tensor, intrinsics: Tensor, known_depth: Tensor) -> tuple[Tensor, Tensor]:
        """Log depth and log scale of its Laplace error, each (B, h, w)."""
        known = torch.stack([inverse_depth(known_depth), (known_depth > 0).float()], dim=1)
        rays = ray_channels(intrinsics, *latents.shape[-2:])
        log_depth, log_error = self.unet(torch.cat([latents, rays, known], dim=1)).float().unbind(1)
        # Where depth is known the network only corrects it, so a good readout is never relearnt.
        prior = torch.where(known_depth > 0, known_depth, known_depth.new_tensor(2.0)).log()
        return prior + log_depth, log_error.clamp(-5.0, 2.0)

    def estimate(self, latents: Tensor, intrinsics: Tensor, known_depth: Tensor) -> DepthEstimate:
        with paths.threads(self.unet, latents):
            log_depth, log_error = self(latents, intrinsics, known_depth)
        return DepthEstimate(log_depth.exp().clamp(0.05, 50.0), log_error.exp())


class TinyDenoiser(ModelMixin, ConfigMixin):
    """Completes latents in two stages: a ``SketchFlow`` decides what is there, a U-Net draws it.

    The U-Net is a rectified-flow denoiser too (Liu et al. 2022): from ``x_t = (1 - t) x_0 + t noise``, what the memory
    shows and the sketch it predicts the clean latents, and how wrong they will be. Often one pass does, as the sketch
    leaves less open.

    Args:
        channels: of the latents.
        widths, condition: of the U-Net, see ``UNet``.
        sketch_width, sketch_blocks: see ``SketchFlow``; a width of 0 leaves the first stage out.
        sketch_steps: in which a sketch is drawn.
    """

    @register_to_config
    def __init__(
        self,
        channels: int = 16,
        widths: tuple[int, ...] = (96, 144, 192),
        condition: int = 128,
        sketch_width: int = 0,
        sketch_blocks: int = 5,
        sketch_steps: int = 4,
    ) -> None:
        super().__init__()
        self.embedding_size = condition
        self.sketch_steps = sketch_steps
        self.sketch = SketchFlow(channels, sketch_width, sketch_blocks, condition) if sketch_width else None
        self.time = nn.Sequential(nn.Linear(condition, condition), nn.SiLU(), nn.Linear(condition, condition))
        self.unet = UNet((3 if sketch_width else 2) * channels + 5, channels + 1, widths, condition=condition)

    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        readout: Tensor,
        depth: Tensor,
        visible: Tensor,
        imagined: Tensor,
        intrinsics: Tensor,
        sketch: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Clean latents (B, C, h, w) predicted from ``noisy`` at noise levels t (B,), log of their squared error."""
        height, width = noisy.shape[-2:]
        memory = torch.stack([inverse_depth(depth), visible.float()], dim=1)
        rays = ray_channels(intrinsics, height, width)
        condition = embedded(self.time, t, self.embedding_size)
        x = [noisy, readout, memory, rays, imagined[:, None]]
        if self.sketch is not None:
            assert sketch is not None
            x.append(enlarged(sketch, height, width))
        out = self.unet(torch.cat(x, dim=1), condition).float()
        return readout + out[:, :-1], out[:, -1].clamp(-7.0, 2.0)

    def denoise(
        self,
        readout: Tensor,
        depth: Tensor,
        visible: Tensor,
        imagined: Tensor,
        intrinsics: Tensor,
        noise: Tensor,
        steps: int = 1,
    ) -> Denoised:
        """See ``protocols.Denoiser``: Euler steps over evenly spaced noise levels 1, …, 1/steps, after the sketch.

        The error is what the sketch and the first pass leave open, not how noisy the last passes are.
        """
        if steps < 1:
            raise ValueError(f"a denoiser needs at least 1 step, got {steps}")
        with paths.threads(self.unet, readout):
            return self._denoise((readout, depth, visible, imagined, intrinsics), noise, steps)

    def _denoise(self, shown: tuple[Tensor, ...], noise: Tensor, steps: int) -> Denoised:
        depth = shown[1]
        sketch, error = None, torch.zeros_like(depth)
        if self.sketch is not None:
            # The mean of 16 independent numbers, scaled back to a variance of 1.
            sketch, left_open = self.sketch.sample(self.sketch.known(*shown), pooled(noise) * POOL, self.sketch_steps)
            error = enlarged(left_open[:, None], *depth.shape[-2:])[:, 0]
        clean, log_error = euler_steps(lambda noisy, t: self(noisy, t, *shown, sketch), noise, steps)
        return Denoised(clean, (error + log_error.exp()).clamp_max(1.0))
