"""Independent pieces of work for as many threads as torch may use.

After each of its operations torch's own threads wait for the next one by spinning, and take the processor from whoever
else would use it. So where most of the work is shared here, torch goes on alone: ``leading``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

ALONE = 8_000
"""Up to so many things to look at, waking another thread costs more than it saves."""
_TEAMS: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""By process, for threads do not live on in a forked one, and by size."""


class _Led(threading.local):
    threads = 1
    """Of the team, while torch has one."""


_LED = _Led()


def size() -> int:
    """How many threads share the work: as many as torch may use, or might where nobody leads."""
    return max(torch.get_num_threads(), _LED.threads)


@contextmanager
def leading() -> Iterator[None]:
    """Inside, torch's operations take one thread, and the team all."""
    torch_before, led_before = torch.get_num_threads(), _LED.threads
    _LED.threads = size()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(torch_before)
        _LED.threads = led_before


@contextmanager
def following() -> Iterator[None]:
    """Inside, torch has all threads, as if nobody led: for networks that are torch's."""
    before = torch.get_num_threads()
    torch.set_num_threads(size())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def share(work: Callable[[int], None], items: Sequence[int], looks: int) -> None:
    """Call ``work`` once with each item, in threads if there are many things to look at, such as tokens and cells.

    Each call writes to a place of its own, so the result does not depend on the number of threads.
    """
    threads = min(size(), len(items))
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
