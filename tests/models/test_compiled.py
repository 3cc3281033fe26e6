"""Compiled networks compute what the modules do, for a batch as alone, and never with weights of yesterday."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mirage_env.models import paths
from mirage_env.models.layers import UNet
from mirage_env.models.protocols import Sampling
from mirage_env.models.sketch import SketchFlow
from mirage_env.models.tiny import TinyCodec, TinyDenoiser

pytest.importorskip("numba")
Run = Callable[..., Tensor]


def awake(module: nn.Module) -> nn.Module:
    """With every weight in use, of such a size that activations neither vanish nor explode."""
    generator = torch.Generator().manual_seed(7)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5, generator=generator)
        else:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return module.eval().requires_grad_(False)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def codec() -> tuple[nn.Module, Run, tuple[Tensor, ...]]:
    model = awake(TinyCodec(5, (16, 48), (1, 2)))
    assert isinstance(model, TinyCodec)

    def run(model: TinyCodec, z: Tensor, nearest: Tensor, offset: Tensor) -> Tensor:
        return model.decode(z, Sampling(nearest, offset))

    return model, run, (noise(3, 5, 13, 18), noise(3, 5, 13, 18, seed=1), noise(3, 2, 13, 18, seed=2))


def unet(condition: int = 0) -> tuple[nn.Module, Run, tuple[Tensor, ...]]:
    model = awake(UNet(5, 3, (32, 48, 80), condition=condition))
    given = (noise(3, 5, 27, 34),)
    return model, lambda model, *given: model(*given), (*given, noise(3, condition)) if condition else given


def conditioned() -> tuple[nn.Module, Run, tuple[Tensor, ...]]:
    return unet(16)


def sketch() -> tuple[nn.Module, Run, tuple[Tensor, ...]]:
    model = awake(SketchFlow(5, 80, 2, condition=16))
    given = noise(3, 5, 5, 7), torch.tensor([0.2, 0.5, 1.0]), noise(3, 80, 5, 7, seed=1)
    return model, lambda model, *given: torch.cat([model(*given)[0], model(*given)[1][:, None]], dim=1), given


NETWORKS = [codec, unet, conditioned, sketch]


@pytest.fixture(params=NETWORKS, ids=lambda make: make.__name__)
def network(request: pytest.FixtureRequest) -> tuple[nn.Module, Run, tuple[Tensor, ...]]:
    return request.param()


def by_modules(run: Run, model: nn.Module, *given: Tensor) -> Tensor:
    with paths.running_by("torch"):
        return run(model, *given)


def runs_compiled(model: nn.Module, *given: Tensor) -> bool:
    return paths.compiled(model.decoder if isinstance(model, TinyCodec) else model, *given) is not None


def test_both_paths_compute_the_same(network: tuple[nn.Module, Run, tuple[Tensor, ...]]) -> None:
    model, run, given = network
    assert runs_compiled(model, *given)
    expected, found = by_modules(run, model, *given), run(model, *given)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert expected.std() > 0.02
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
    assert not torch.equal(found, expected)  # or one path ran twice


def test_an_image_in_a_batch_gets_the_bits_that_it_gets_alone(
    network: tuple[nn.Module, Run, tuple[Tensor, ...]],
) -> None:
    model, run, given = network
    threads = torch.get_num_threads()
    if isinstance(model, SketchFlow):  # torch embeds noise levels, each once: different ones in one product
        given = given[0], torch.ones(3), given[2]
    whole = run(model, *given)
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            assert torch.equal(run(model, *given), whole)
            for i in range(3):
                alone = run(model, *(tensor[i : i + 1] for tensor in given))
                assert torch.equal(alone[0], whole[i])
    finally:
        torch.set_num_threads(threads)


def test_changed_weights_count_at_once(network: tuple[nn.Module, Run, tuple[Tensor, ...]]) -> None:
    model, run, given = network
    other = copy.deepcopy(model)
    before = run(model, *given)
    assert torch.equal(run(other, *given), before)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.9)
    changed = run(model, *given)
    assert torch.allclose(changed, by_modules(run, model, *given), atol=1e-4 * float(changed.abs().max()))
    assert not torch.allclose(changed, before, atol=1e-3)
    assert torch.equal(run(other, *given), before)
    model.load_state_dict(other.state_dict())
    assert torch.equal(run(model, *given), before)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight = nn.Parameter(module.weight * 0.8, requires_grad=False)
    assert torch.allclose(run(model, *given), by_modules(run, model, *given), atol=1e-4 * float(before.abs().max()))


def test_modules_run_what_the_kernels_cannot(network: tuple[nn.Module, Run, tuple[Tensor, ...]]) -> None:
    model, _, given = network
    assert runs_compiled(model, *given)
    assert not runs_compiled(copy.deepcopy(model).double(), *given)
    assert not runs_compiled(model, *(tensor.double() for tensor in given))
    assert not runs_compiled(model, *(tensor[:0] for tensor in given))
    assert not runs_compiled(copy.deepcopy(model).requires_grad_(True), *given)
    with torch.no_grad():
        assert runs_compiled(copy.deepcopy(model).requires_grad_(True), *given)
    assert not runs_compiled(model, given[0].clone().requires_grad_(True), *given[1:])
    with torch.autocast("cpu", torch.bfloat16):
        assert not runs_compiled(model, *given)
    listened = copy.deepcopy(model)
    convolution = next(module for module in listened.modules() if isinstance(module, nn.Conv2d))
    if not isinstance(model, TinyCodec):
        convolution.register_forward_hook(lambda *_: None)
        assert not runs_compiled(listened, *given)
    with paths.running_by("torch"):
        assert not runs_compiled(model, *given)


def test_networks_of_other_widths_run_as_modules() -> None:
    model = awake(TinyDenoiser(5, (8, 24, 24), 16))
    assert isinstance(model, TinyDenoiser)
    assert paths.compiled(model.unet, noise(1, 15, 8, 8)) is None


def test_gradients_reach_the_weights(network: tuple[nn.Module, Run, tuple[Tensor, ...]]) -> None:
    model, run, given = network
    run(model.requires_grad_(True), *given).square().mean().backward()
    parameters = model.decoder.parameters() if isinstance(model, TinyCodec) else model.parameters()
    assert all(p.grad is not None for p in parameters) or isinstance(model, SketchFlow)


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(ValueError, match="'fastest' or 'torch', got 'slow'"), paths.running_by("slow"):  # type: ignore[arg-type]
        pass
