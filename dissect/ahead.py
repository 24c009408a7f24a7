"""The same function over many items on threads, where that helps."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PROBE = 64  # items by which the others are judged
_SHORT = 5e-4  # seconds that are less than several threads would cost


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Generator[Result]:
    """`map(function, items)` on threads, results in order, few in flight.

    Args:
        function: What threads call; it should spend its time without the interpreter's lock.
        items: Taken by the thread that takes the results, a few ahead of them.
        workers: Threads, >= 1.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="ahead") as pool:
        rest = iter(items)
        pending = deque(pool.submit(function, item) for item in itertools.islice(rest, 4 * workers))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(function, item) for item in itertools.islice(rest, 1))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def map_in_turn(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Generator[Result]:
    """`map(function, items)` where items are short, unless they turn out to be waiting.

    Threads that each do little hand the interpreter's lock around, and are several times slower
    than one: a file of a local disk is read in less time than the lock takes. From a disk that
    lets a reader wait, they read side by side. The first items show which it is.

    Args:
        function: What is called.
        items: Taken as they are needed.
        workers: Threads at most, >= 1.
    """
    rest = iter(items)
    begin = time.perf_counter()
    done = 0
    for item in itertools.islice(rest, _PROBE):
        yield function(item)
        done += 1
    waits = time.perf_counter() - begin > done * _SHORT
    yield from map_ahead(function, rest, workers=workers) if waits else map(function, rest)
