"""The encoder of learned policies, as stable-baselines3 takes it."""

from __future__ import annotations

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from mirage_env.policies.network import Encoder


class ViewExtractor(BaseFeaturesExtractor):
    """``Encoder`` for a Dict of observations, its images with their channels first.

    Args:
        observation_space: as stable-baselines3 has it after ``VecTransposeImage``.
        width: of the features.
    """

    def __init__(self, observation_space: spaces.Dict, width: int = 256) -> None:
        super().__init__(observation_space, width)
        self.encoder = Encoder({key: space.shape or () for key, space in observation_space.spaces.items()}, width)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.encoder(observations)
