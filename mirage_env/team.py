"""Independent pieces of work for as many threads as torch may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

ALONE = 8_000
"""Up to so many things to look at, waking another thread costs more than it saves."""
_TEAMS: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""By process, for threads do not live on in a forked one, and by size."""


def share(work: Callable[[int], None], items: Sequence[int], looks: int) -> None:
    """Call ``work`` once with each item, in threads if there are many things to look at, such as tokens and cells.

    Each call writes to a place of its own, so the result does not depend on the number of threads.
    """
    threads = min(torch.get_num_threads(), len(items))
    if threads <= 1 or looks <= ALONE:
        for item in items:
            work(item)
        return

    def several(first: int) -> None:
        for item in items[first::threads]:
            work(item)

    who = os.getpid(), threads
    if who not in _TEAMS:
        _TEAMS[who] = ThreadPoolExecutor(threads - 1, thread_name_prefix="mirage-team")
    others = [_TEAMS[who].submit(several, first) for first in range(1, threads)]
    several(0)
    for other in others:
        other.result()
