"""The tiny model's architecture: shapes, equivariance to shifts, determinism; nothing depends on trained weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mirage_env import geometry
from mirage_env.models.layers import ConditionedBlock, UNet, inverse_depth, ray_channels, time_embedding
from mirage_env.models.protocols import Sampling
from mirage_env.models.tiny import TinyCodec, TinyDenoiser, TinyDepth

K = torch.as_tensor(geometry.intrinsics(16, 12, 90.0), dtype=torch.float32)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def awake(module: torch.nn.Module) -> torch.nn.Module:
    """With every weight in use: residual branches begin at zero."""
    for parameter in module.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return module.eval().requires_grad_(False)


@pytest.mark.parametrize("widths", [(8, 16), (8, 8, 16)])
def test_the_codec_keeps_shapes_at_its_stride(widths: tuple[int, ...]) -> None:
    codec = TinyCodec(6, widths, (1,) * len(widths)).eval()
    assert codec.stride == 2 ** len(widths)
    images = torch.rand(2, 3, 32, 48, generator=seeded())
    latents = codec.encode(images)
    assert latents.shape == (2, 6, 32 // codec.stride, 48 // codec.stride) and latents.dtype == torch.float32
    assert codec.decode(latents).shape == images.shape
    with pytest.raises(ValueError, match=rf"must be multiples of {codec.stride}, got \(30, 48\)"):
        codec.encode(images[:, :, :30])


def test_fitted_statistics_normalise_the_latents_and_change_no_picture() -> None:
    codec = awake(TinyCodec(8, (8, 16), (1, 1)))
    assert isinstance(codec, TinyCodec)
    images = torch.rand(4, 3, 32, 32, generator=seeded()) * 2 - 1
    before = codec.decode(codec.encode(images))
    codec.fit_statistics(images)
    latents = codec.encode(images)
    assert torch.allclose(latents.mean((0, 2, 3)), torch.zeros(8), atol=1e-4)
    assert torch.allclose(latents.std((0, 2, 3)), torch.ones(8), atol=1e-3)
    assert torch.allclose(codec.decode(latents), before, atol=1e-4)


def test_decoding_knows_how_latents_were_sampled() -> None:
    codec = awake(TinyCodec(6, (8, 16), (1, 1)))
    assert isinstance(codec, TinyCodec)
    z = torch.randn(1, 6, 8, 8, generator=seeded())
    still = Sampling(z, torch.zeros(1, 2, 8, 8))
    plain = codec.decode(z)
    assert torch.allclose(codec.decode(z, still), plain, atol=1e-6)
    assert not torch.allclose(codec.decode(z, Sampling(z, still.offset + 0.3)), plain, atol=1e-3)
    assert not torch.allclose(codec.decode(z, Sampling(z + 1, still.offset)), plain, atol=1e-3)


@pytest.mark.parametrize(("down", "right"), [(4, 0), (0, 8), (12, 4)])
def test_shifting_the_image_by_whole_cells_shifts_the_latents(down: int, right: int) -> None:
    codec = awake(TinyCodec(8, (8, 16), (1, 1)))
    assert isinstance(codec, TinyCodec)
    wide = torch.rand(1, 3, 96, 96, generator=seeded()) * 2 - 1
    a = codec.encode(wide[:, :, 16:80, 16:80])
    b = codec.encode(wide[:, :, 16 + down : 80 + down, 16 + right : 80 + right])
    r, c, border = down // 4, right // 4, 4  # cells; no layer looks further than the border
    overlap = a[:, :, r + border : 16 - border, c + border : 16 - border]
    moved = b[:, :, border : 16 - border - r, border : 16 - border - c]
    assert overlap.numel() > 0 and torch.allclose(overlap, moved, atol=1e-6)
    assert not torch.allclose(a[:, :, :2], b[:, :, :2], atol=1e-3)  # without the shift they differ


@pytest.mark.parametrize(("r", "c"), [(1, 0), (0, 2), (3, 1)])
def test_shifting_the_latents_shifts_the_image(r: int, c: int) -> None:
    codec = awake(TinyCodec(8, (8, 16), (1, 1)))
    assert isinstance(codec, TinyCodec)
    wide = torch.randn(1, 8, 24, 24, generator=seeded())
    a, b = codec.decode(wide[:, :, 2:18, 2:18]), codec.decode(wide[:, :, 2 + r : 18 + r, 2 + c : 18 + c])
    border = 6 * 4  # pixels
    overlap = a[:, :, 4 * r + border : 64 - border, 4 * c + border : 64 - border]
    moved = b[:, :, border : 64 - border - 4 * r, border : 64 - border - 4 * c]
    assert overlap.numel() > 0 and torch.allclose(overlap, moved, atol=1e-5)
    assert not torch.allclose(a, b, atol=1e-3)


@pytest.mark.parametrize("size", [(16, 16), (7, 9), (1, 3), (33, 8)])
def test_a_unet_takes_grids_of_any_size(size: tuple[int, int]) -> None:
    unet = awake(UNet(5, 3, (8, 16, 16), condition=4))
    x = torch.randn(2, 5, *size, generator=seeded())
    out = unet(x, torch.randn(2, 4, generator=seeded(1)))
    assert out.shape == (2, 3, *size) and torch.isfinite(out).all() and out.std() > 0
    assert torch.equal(out, unet(x, torch.randn(2, 4, generator=seeded(1))))


def test_one_side_of_a_view_knows_of_the_other() -> None:
    unet = awake(UNet(1, 1, (8, 16, 16)))
    x = torch.zeros(1, 1, 32, 32)
    changed = x.clone()
    changed[..., 0, 0] = 5.0
    assert (unet(x) - unet(changed))[..., -1, -1].abs() > 0


def test_a_condition_changes_the_block_that_was_made_for_one() -> None:
    block = awake(ConditionedBlock(8, 16, condition=4))
    x = torch.randn(2, 8, 4, 4, generator=seeded())
    a, b = block(x, torch.zeros(2, 4)), block(x, torch.ones(2, 4))
    assert a.shape == (2, 16, 4, 4) and not torch.allclose(a, b)


def test_rays_go_through_the_cell_centres() -> None:
    rays = ray_channels(K[None], 12, 16)
    expected = geometry.unproject(geometry.pixel_grid(12, 16), 1.0, K.double().numpy())
    assert torch.allclose(rays[0].permute(1, 2, 0).double(), torch.as_tensor(expected[..., :2]), atol=1e-6)


def test_small_functions() -> None:
    assert torch.equal(inverse_depth(torch.tensor([0.0, 2.0, 0.01])), torch.tensor([0.0, 0.5, 20.0]))
    embedded = time_embedding(torch.tensor([0.0, 1.0]), 8)
    assert embedded.shape == (2, 8) and torch.equal(embedded[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    assert not torch.allclose(embedded[0], embedded[1])


def test_an_untrained_depth_model_keeps_what_is_known() -> None:
    model = TinyDepth(8, (8, 16, 16)).eval()
    known = torch.rand(2, 12, 16, generator=seeded()) * 4 + 0.5
    known[:, :, 8:] = 0.0
    latents = torch.randn(2, 8, 12, 16, generator=seeded(1))
    estimate = model.estimate(latents, K.expand(2, 3, 3), known)
    assert torch.allclose(estimate.depth[:, :, :8], known[:, :, :8], rtol=1e-5)
    assert torch.allclose(estimate.depth[:, :, 8:], torch.tensor(2.0))
    assert (estimate.relative_error > 0).all()


def test_depth_stays_within_bounds_whatever_the_weights_say() -> None:
    model = awake(TinyDepth(8, (8, 16, 16)))
    assert isinstance(model, TinyDepth)
    model.unet.head[2].bias[:] = torch.tensor([90.0, -90.0, 0.0, 0.0, 90.0, -90.0, 0.0, 0.0])
    estimate = model.estimate(torch.randn(1, 8, 12, 16, generator=seeded()), K[None], torch.zeros(1, 12, 16))
    assert float(estimate.depth.min()) >= 0.05 and float(estimate.depth.max()) <= 50.0
    assert torch.isfinite(estimate.relative_error).all()


@pytest.fixture
def denoising() -> tuple[TinyDenoiser, tuple[Tensor, ...]]:
    model = awake(TinyDenoiser(8, (8, 16, 16), 32, sketch_width=16, sketch_blocks=2, sketch_steps=2))
    assert isinstance(model, TinyDenoiser)
    visible = torch.rand(2, 12, 16, generator=seeded()) < 0.5
    readout = torch.randn(2, 8, 12, 16, generator=seeded(1)) * visible[:, None]
    noise = torch.randn(2, 8, 12, 16, generator=seeded(2))
    imagined = torch.rand(2, 12, 16, generator=seeded(3)) * visible
    return model, (readout, 2.0 * visible, visible, imagined, K.expand(2, 3, 3), noise)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_denoising_is_decided_by_its_noise(steps: int, denoising: tuple[TinyDenoiser, tuple[Tensor, ...]]) -> None:
    model, given = denoising
    clean, error = model.denoise(*given, steps)
    assert clean.shape == given[0].shape and clean.dtype == torch.float32
    assert error.shape == given[1].shape and bool(((error > 0) & (error <= 1)).all())
    assert torch.equal(clean, model.denoise(*given, steps).latents)
    assert not torch.allclose(clean, model.denoise(*given[:5], given[5] + 1.0, steps).latents)
    assert not torch.allclose(clean, model.denoise(*given[:3], 1 - given[3], *given[4:], steps).latents)


def test_denoising_steps_follow_the_straight_path(denoising: tuple[TinyDenoiser, tuple[Tensor, ...]]) -> None:
    model, (readout, depth, visible, imagined, intrinsics, noise) = denoising
    ones = torch.ones(2)
    shown = (readout, depth, visible, imagined, intrinsics)
    assert model.sketch is not None
    coarse = 4 * torch.nn.functional.avg_pool2d(noise, 4)
    sketch, open_ = model.sketch.sample(model.sketch.known(*shown), coarse, 2)
    first, log_error = model(noise, ones, *shown, sketch)
    assert torch.equal(model.denoise(*shown, noise, 1).latents, first)
    expected = log_error.exp() + torch.nn.functional.interpolate(open_[:, None], scale_factor=4, mode="bilinear")[:, 0]
    assert torch.allclose(model.denoise(*shown, noise, 2).error, expected.clamp_max(1.0))
    # x_t = (1 - t) x_0 + t noise, with the prediction for x_0
    second, _ = model((first + noise) / 2, ones / 2, *shown, sketch)
    assert torch.allclose(model.denoise(*shown, noise, 2).latents, second, atol=1e-5)


def test_a_sketch_is_drawn_along_the_straight_path(denoising: tuple[TinyDenoiser, tuple[Tensor, ...]]) -> None:
    flow, shown = denoising[0].sketch, denoising[1][:5]
    assert flow is not None
    known, coarse = flow.known(*shown), torch.randn(2, 8, 3, 4, generator=seeded(5))
    first, log_error = flow(coarse, torch.ones(2), known)
    second, _ = flow((first + coarse) / 2, torch.full((2,), 0.5), known)
    sketch, open_ = flow.sample(known, coarse, 2)
    assert torch.allclose(sketch, second, atol=1e-5) and torch.equal(open_, 2 * log_error.exp())


@pytest.mark.parametrize(("height", "width"), [(12, 16), (9, 14), (5, 4)])
def test_sketches_fit_grids_of_any_size(height: int, width: int) -> None:
    model = awake(TinyDenoiser(8, (8, 16, 16), 32, sketch_width=16, sketch_blocks=1, sketch_steps=2))
    assert isinstance(model, TinyDenoiser)
    latents = torch.randn(1, 8, height, width, generator=seeded())
    assert model.sketch is not None
    model.sketch.deviation.fill_(0.5)
    sketch = model.sketch.of(latents)
    assert sketch.shape == (1, 8, -(-height // 4), -(-width // 4))
    assert torch.allclose(sketch[0, :, 0, 0], 2 * latents[0, :, :4, :4].mean((1, 2)), atol=1e-6)
    assert torch.allclose(
        sketch[0, :, -1, -1], 2 * latents[0, :, (height - 1) // 4 * 4 :, (width - 1) // 4 * 4 :].mean((1, 2)), atol=1e-6
    )
    visible = torch.zeros(1, height, width, dtype=torch.bool)
    clean, error = model.denoise(latents, visible.float(), visible, visible.float(), K[None], latents)
    assert clean.shape == latents.shape and error.shape == visible.shape


@pytest.mark.parametrize("steps", [0, -1])
def test_a_denoiser_needs_a_step(steps: int, denoising: tuple[TinyDenoiser, tuple[Tensor, ...]]) -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        denoising[0].denoise(*denoising[1], steps)


def test_a_denoiser_without_a_sketch_is_one_network(denoising: tuple[TinyDenoiser, tuple[Tensor, ...]]) -> None:
    model = awake(TinyDenoiser(8, (8, 16, 16), 32))
    assert isinstance(model, TinyDenoiser) and model.sketch is None
    (*shown, noise), ones = denoising[1], torch.ones(2)
    clean, log_error = model(noise, ones, *shown)
    found = model.denoise(*shown, noise)  # type: ignore[arg-type]
    assert torch.equal(found.latents, clean) and torch.equal(found.error, log_error.exp().clamp_max(1.0))
