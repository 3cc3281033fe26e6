"""The pieces of the ablations: noise on depth, and networks that know the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirage_env.evaluation.ablations import TrueDepth, TrueViews, noisy_depth
from tests.exact_world import NoiseItself, TwoMetres


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_depth_noise_has_its_size_and_both_its_halves(sigma: float) -> None:
    depth = np.full((128, 128), 3.0, np.float32)
    depth[:8, :8] = 0.0
    errors = []
    for seed in range(20):
        noisy = noisy_depth(depth, sigma, 8, np.random.default_rng(seed))
        assert noisy.dtype == np.float32
        assert (noisy[:8, :8] == 0).all() and (noisy[8:] > 0).all()
        errors.append((noisy / 3.0 - 1)[8:, 8:])
    error = np.stack(errors)
    assert error.std() == pytest.approx(sigma, rel=0.05)
    assert abs(error.mean()) < 0.1 * sigma
    # Half of the variance is of cells: what is left of it between neighbouring cells that share the smooth half.
    cells = error[:, 4::8, 4::8]
    jump = (cells[:, :, 1:] - cells[:, :, :-1]).var() / 2
    assert jump == pytest.approx(sigma**2 / 2, rel=0.15)


def test_depth_noise_follows_its_generator() -> None:
    depth = np.full((16, 16), 2.0, np.float32)
    first, again, other = (noisy_depth(depth, 0.1, 4, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert (noisy_depth(depth, 0.0, 4, np.random.default_rng(0)) == depth).all()


def test_oracles_are_the_networks_until_they_are_told() -> None:
    latents, visible = torch.zeros(1, 3, 2, 2), torch.tensor([[[True, False], [False, False]]])
    K, known = torch.eye(3)[None], torch.tensor([[[1.5, 0.0], [0.0, 0.0]]])
    depth = TrueDepth(TwoMetres())
    assert depth.estimate(latents, K, known).depth.flatten().tolist() == [1.5, 2, 2, 2]
    depth.now = torch.full((1, 2, 2), 5.0)
    found = depth.estimate(latents, K, known)
    assert found.depth.flatten().tolist() == [1.5, 5, 5, 5]
    assert not found.relative_error.any()
    views = TrueViews(NoiseItself())
    noise = torch.ones(1, 3, 2, 2)
    arguments = (latents, known, visible, torch.zeros(1, 2, 2), K, noise, 1)
    assert views.denoise(*arguments).latents[0, 0].flatten().tolist() == [0, 1, 1, 1]
    views.now = torch.full((1, 3, 2, 2), 7.0)
    assert (views.denoise(*arguments).latents == 7).all()
    assert not views.denoise(*arguments).error.any()
