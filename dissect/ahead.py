"""The same function over many items on threads, ahead of whoever takes the results."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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
