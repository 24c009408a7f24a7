"""The same function over many items, on all cores, results in order, memory bounded."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from conceptset.errors import ConceptsetError

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 8  # items per message: large enough to hide the pipe, small enough to share the work


def usable_cores() -> int:
    """Cores this process may run on (at least 1)."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _begin_worker() -> None:
    """Leave Ctrl-C to the main process, and end with it however it ends.

    Ctrl-C reaches every process of the terminal; the main one stops the others. If it is killed,
    nobody closes the pipe that they wait on, so each watches for its end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _run_chunk(function: Callable[[Item], Result], chunk: list[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def _module_of(function: Callable[..., object]) -> str:
    inner = function.func if isinstance(function, functools.partial) else function
    return inner.__module__


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, jobs: int
) -> Generator[Result]:
    """`map(function, items)` on `jobs` processes, in order.

    At most a few chunks per process are in flight, so neither items nor results pile up. With one
    job everything runs in this process. `function` and its items are pickled: a module-level
    function or a `functools.partial` of one. Close the generator (`contextlib.closing`) where the
    loop over it can fail: only then has every worker stopped when the failure is dealt with.

    Raises:
        ConceptsetError: A worker process was killed (usually for memory).
    """
    if jobs <= 1:
        yield from map(function, items)
        return
    rest = iter(items)
    pending: deque[Future[list[Result]]] = deque()
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    # imported once, by the server that workers are forked from, not by each of them
    context.set_forkserver_preload(["__main__", _module_of(function)])
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker)
    try:
        while True:
            while len(pending) < 4 * jobs and (chunk := list(itertools.islice(rest, _CHUNK))):
                pending.append(pool.submit(_run_chunk, function, chunk))
            if not pending:
                break
            yield from pending.popleft().result()
    except BrokenProcessPool as error:
        raise ConceptsetError(
            "a worker process was killed, probably because memory ran out",
            hint="Run again with fewer --jobs. (A script that calls this with several jobs "
            "needs an 'if __name__ == \"__main__\":' guard.)",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
