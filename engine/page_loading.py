"""Decode pages on all cores, ahead of who takes them."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Decoded = TypeVar("Decoded")
_AHEAD = 4  # pages for each thread that are decoded or waiting to be taken: 128 KiB each


def load_pages(decode: Callable[[int], Decoded], pages: Iterable[int]) -> Generator[Decoded]:
    """Yield decode(page) of the pages in their order, decoded by as many threads as there are cores.

    At most _AHEAD pages a thread are decoded before they are asked for. An error is raised where its page would come;
    then, and when the generator is closed, no other page is begun and the threads end.
    """
    waiting, threads = iter(pages), core_count()
    executor = ThreadPoolExecutor(threads, "page")
    ahead: deque[Future[Decoded]] = deque()
    try:
        for page in waiting:
            ahead.append(executor.submit(decode, page))
            if len(ahead) >= _AHEAD * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
