"""Run compiled kernels over blocks of rows on several threads.

The kernels release the GIL and write to the rows of their block only, so what they write depends neither on the number
of threads nor on which of them takes a block. numba's own parallel loops take three times as long to compile.
"""

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

_limit = 0  # threads that kernels may use; 0: all cores


def thread_count() -> int:
    """Return how many threads kernels use now."""
    return _limit or core_count()


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def limited_threads(threads: int | None) -> Generator[int]:
    """Use at most so many threads inside the block, by default all cores; yields their number."""
    global _limit
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}; use at least 1")
    before = _limit
    _limit = min(threads or core_count(), core_count())
    try:
        yield _limit
    finally:
        _limit = before


def run_blocks(kernel: Callable[..., None], rows: int, block: int, *arguments: Any) -> None:
    """Call kernel(first, end, *arguments) for blocks of `block` rows that make up 0..rows; return when all are done."""
    run_tasks(lambda first: kernel(first, min(first + block, rows), *arguments), range(0, rows, block))


def run_tasks(work: Callable[[Any], None], tasks: Iterable[Any]) -> None:
    """Call work(task) for every task, begun in their order; the first error that one raises is raised here."""
    tasks = list(tasks)
    waiting = iter(tasks)  # shared: taking the next one is atomic

    def take() -> None:
        for task in waiting:
            work(task)

    helpers = min(thread_count(), len(tasks)) - 1
    futures = [_pool(helpers).submit(take) for _ in range(helpers)]
    try:
        take()
    finally:
        for _ in waiting:  # after an error the others stop
            pass
        for future in futures:
            future.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "kernel")
