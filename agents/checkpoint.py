"""The state of a training run between two legs, in one file that is read without executing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.save_util import recursive_getattr

from mirage_env.files import atomic_write

FORMAT = 1


def save_checkpoint(path: Path, agent: BaseAlgorithm) -> None:
    """Write weights, optimisers and the number of steps, whole or not at all. A replay buffer is not kept."""
    names = agent._get_torch_save_params()[1]
    state = {
        "format": FORMAT,
        "steps": agent.num_timesteps,
        "parameters": agent.get_parameters(),
        "variables": {name: recursive_getattr(agent, name).detach() for name in names},
    }
    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(path: Path, agent: BaseAlgorithm) -> None:
    """Go on from what ``save_checkpoint`` wrote of an agent of the same settings.

    Raises:
        ValueError: the file is damaged, of another version, or of an agent with another network.
    """
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
        version = state["format"]
    except Exception as error:  # torch raises errors of many kinds for bytes that are not its own
        raise ValueError(f"the checkpoint {path} is damaged: {type(error).__name__}: {error}") from None
    if version != FORMAT:
        raise ValueError(f"the checkpoint {path} is of format {version!r}; this version of mirage-env reads {FORMAT}")
    try:
        agent.set_parameters(state["parameters"], exact_match=True, device="cpu")
        with torch.no_grad():
            for name, value in state["variables"].items():
                recursive_getattr(agent, name).copy_(value)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"the checkpoint {path} is of another agent than the run's settings describe: {error}"
        ) from None
    agent.num_timesteps = int(state["steps"])
