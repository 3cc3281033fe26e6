"""Work on numbered items in processes with one BLAS thread each."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_worker: dict[str, Callable[[int], Any]] = {}


def work(prepare: Callable[[], Callable[[int], Any]], items: Sequence[int], workers: int) -> Generator[Any, None, None]:
    """Results for the items, as they are ready.

    After an exception, Ctrl-C among them, or when the generator is closed, items under way are finished first.

    Args:
        prepare: called once per process, makes the function of one item; importable there, with its arguments.
        items: in the order in which they are begun.
        workers: processes; 0 or 1 works in this one.
    """
    if workers <= 1 or len(items) <= 1:
        function = prepare() if items else None
        for item in items:
            assert function is not None
            yield function(item)
        return
    yield from in_processes(_run, items, workers, workers + 1, _prepare, (prepare,))


def in_processes(
    run: Callable[[Any], Any],
    items: Sequence[Any],
    workers: int,
    ahead: int,
    start: Callable[..., None],
    arguments: tuple[Any, ...],
) -> Generator[Any, None, None]:
    """``run`` of each item in spawned processes of one BLAS thread each; results as they are ready.

    The parent alone handles Ctrl-C. After an exception, or when the generator is closed, items under way are finished.

    Args:
        run, start: importable there; ``start`` is called with ``arguments`` once per process.
        workers: processes, at most one per item.
        ahead: items that are handed out at a time.
    """
    context = multiprocessing.get_context("spawn")
    with single_threaded_children():
        pool = ProcessPoolExecutor(max(1, min(workers, len(items))), context, _start, (start, arguments))
        try:
            waiting, remaining = set[Future[Any]](), iter(items)
            while True:
                while len(waiting) < ahead and (item := next(remaining, None)) is not None:
                    with _uninterrupted():
                        waiting.add(pool.submit(run, item))
                if not waiting:
                    break
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block. Processes that are started inside never hear of it, not even before they
    could say that they do not want to."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start(*arguments)


def _prepare(prepare: Callable[[], Callable[[int], Any]]) -> None:
    import torch

    torch.set_num_threads(1)
    _worker["function"] = prepare()


def _run(item: int) -> Any:
    return _worker["function"](item)


@contextlib.contextmanager
def single_threaded_children() -> Iterator[None]:
    """Processes started inside use one BLAS thread each: two that spin on tiny products cost more than they give."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside: the same bits however many there are, and for small networks a second one only waits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
