"""Which tokens go when a memory holds more than it may."""

from __future__ import annotations

import torch
from torch import Tensor

from mirage_env.memory import store
from mirage_env.memory.raster import doubt


def evicted(parts: store.Parts, budget: int, newest: int) -> list[Tensor | None]:
    """Per part the mask (n,) of the tokens above ``budget`` that go, None where there are none.

    The most in doubt go first (see ``raster.doubt``: imagined, copied, seen), among equals the oldest written; never
    one of the ``newest``, the last tokens written, of which there must be at most ``budget``.
    """
    living = sum(part.count for part in parts)
    excess = living - budget
    if excess <= 0:
        return [None] * len(parts)
    # Columns of all living tokens but the newest, in order of writing.
    levels = torch.cat([doubt(part.segment.imagined[: part.tokens][_living(part)]) for part in parts])[
        : living - newest
    ]
    order = torch.sort(levels, descending=True, stable=True).indices[:excess]
    gone = torch.zeros(living, dtype=torch.bool, device=levels.device)
    gone[order] = True
    masks: list[Tensor | None] = []
    for part, mine in zip(parts, gone.split([part.count for part in parts]), strict=True):
        mask = torch.zeros(part.tokens, dtype=torch.bool, device=gone.device)
        mask[_living(part)] = mine
        masks.append(mask)
    return masks


def _living(part: store.Part) -> Tensor | slice:
    return slice(None) if part.living is None else part.living.mask
