"""Which code runs the bundled networks: compiled loops for inference on the processor, torch's modules otherwise.

The modules are the reference. Both compute the same but for rounding, about 1e-5.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor, nn

from mirage_env import kernels
from mirage_env.team import leading

NetworkPath = Literal["fastest", "torch"]

_choice = kernels.Choice[NetworkPath]("networks are run", "torch")
running_by = _choice.by


def threads(network: nn.Module, *given: Tensor) -> AbstractContextManager[None]:
    """Who has the processor while the network runs: the team, if it is compiled, or torch."""
    return leading() if compiled(network, *given) is not None else nullcontext()


def compiled(network: nn.Module, *given: Tensor) -> ModuleType | None:
    """The compiled networks, if they can run this one now; None where its modules have to.

    They run float32 on the processor in networks made of the modules that they know, without hooks, where no gradient
    is asked for.
    """
    if not _choice.fastest or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return None
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*network.parameters(), *given)):
        return None
    if not all(tensor.dtype == torch.float32 and tensor.is_cpu and tensor.numel() for tensor in given):
        return None
    loops = kernels.load("mirage_env.models.compiled.networks")
    return loops if loops is not None and loops.knows(network) else None
