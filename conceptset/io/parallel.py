"""The same function over many items, on all cores, results in order, memory bounded.

`Engine` is where such work is done; whoever maps over images is handed one. `LocalEngine` starts
processes on this machine, `conceptset.io.cluster.RayEngine` tasks on many.
"""

from __future__ import annotations

import functools
import gc
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol, TypeVar

from conceptset.errors import ConceptsetError

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8  # items per message: large enough to hide the pipe, small enough to share the work


@dataclass(frozen=True, slots=True)
class Need:
    """What one item takes of the machine that works on it; processes of this one do not count it.

    Attributes:
        cores: Of the processor.
        gpus: Graphics processors; a part of one may be shared.
        memory: Bytes of main memory, 0 if it does not matter.
    """

    cores: float = 1
    gpus: float = 0
    memory: int = 0


class Engine(Protocol):
    """Where a function is applied to many items.

    `function` and its items are pickled: a module-level function or a `functools.partial` of one.
    An item may be worked on again after the process that had it was killed, so doing it twice must
    do no harm. Arrays that come back, or are handed over, may be read-only. Close what a method
    returns (`contextlib.closing`) where the loop over it can fail: only then has every worker
    stopped when the failure is dealt with.
    """

    @property
    def is_parallel(self) -> bool:
        """Whether anything is gained by handing out work."""
        ...

    def ordered_map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        name: Callable[[Item], str] | None = None,
    ) -> Generator[Result]:
        """`map(function, items)`, in order, with few items and results in memory.

        Args:
            function: Takes far less than a second per item.
            items: Taken as they are needed.
            name: What a message calls an item.

        Raises:
            ConceptsetError: Workers were killed, and it was no use to try again.
        """
        ...

    def as_completed(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        need: Need,
        name: Callable[[Item], str] | None = None,
    ) -> Generator[tuple[int, Result]]:
        """(number of the item from 0, its result) of each, in the order in which they are done.

        Args:
            function: May take long; it should return little.
            items: Handed out one by one.
            need: What each takes.
            name: What a message calls an item.

        Raises:
            ConceptsetError: Workers were killed, and it was no use to try again.
        """
        ...

    def slots(self, need: Need) -> int:
        """How many items are worked on at once, 0 if none can be.

        Args:
            need: What each takes.
        """
        ...

    def require(self, need: Need, *, hint: str | None = None) -> None:
        """Make sure that an item that takes this can be worked on.

        Args:
            need: What it takes.
            hint: What can be done if not.

        Raises:
            ConceptsetError: It cannot.
        """
        ...

    def check_sight(self, paths: Iterable[Path], *, writes: Path | None = None) -> None:
        """Make sure that every worker sees these files as this process does.

        Args:
            paths: Files and directories that are read.
            writes: A directory that workers write to.

        Raises:
            ConceptsetError: One does not.
        """
        ...


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
    """`map(function, items)` on `jobs` processes, in order; see `Engine`.

    At most a few chunks per process are in flight, so neither items nor results pile up. With one
    job everything runs in this process.

    Raises:
        ConceptsetError: A worker process was killed (usually for memory).
    """
    if jobs <= 1:
        yield from map(function, items)
        return
    with _workers(function, jobs) as pool:
        yield from _in_order(pool, functools.partial(_run_chunk, function), items, jobs)


def completed_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, jobs: int
) -> Generator[tuple[int, Result]]:
    """(number of the item, its result) on `jobs` processes, as they are done; see `Engine`.

    Raises:
        ConceptsetError: A worker process was killed (usually for memory).
    """
    rest = enumerate(items)
    if jobs <= 1:
        for place, item in rest:
            yield place, function(item)
        return
    running: dict[Future[Result], int] = {}
    with _workers(function, jobs) as pool:
        while True:
            for place, item in itertools.islice(rest, jobs - len(running)):
                running[pool.submit(function, item)] = place
            if not running:
                break
            for future in wait_for(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


def can_fork() -> bool:
    """Whether `forked_map` works here: not in a worker of somebody else's that may have no own."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def forked_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, jobs: int
) -> Generator[Result]:
    """`map(function, items)` on copies of this process, in order.

    Copies start within milliseconds and know all that this process knew when the first result was
    asked for, so the function may be a closure over anything; only items and results travel. Call
    it where `can_fork()`, while no other thread of ours is at work, with a function that uses
    neither torch nor a device: threads and their locks are not copied.

    Args:
        function: Called in the copies.
        items: Taken a few chunks ahead of the results, in this process.
        jobs: Copies, >= 1.

    Raises:
        ConceptsetError: A copy was killed (usually for memory).
    """
    context = multiprocessing.get_context("fork")
    begin = functools.partial(_begin_copy, function)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=begin)
    with _ending(pool, hint="Run again with fewer --workers."):
        with warnings.catch_warnings():
            # Python 3.12 warns of every copy of a process that has threads; see above
            warnings.simplefilter("ignore", DeprecationWarning)
            pool.submit(int)  # all copies are made now
        yield from _in_order(pool, _run_copied, items, jobs)


_copied: Callable[[Any], Any] | None = None  # what a copy was made to call


def _begin_copy(function: Callable[[Any], Any]) -> None:
    global _copied  # noqa: PLW0603 - of a process that does nothing else
    _copied = function
    gc.freeze()  # a collection would write to, and so copy, all that is shared with the parent
    _begin_worker()


def _run_copied(chunk: list[Any]) -> list[Any]:
    if _copied is None:
        raise AssertionError("not a copy made by forked_map")
    return _run_chunk(_copied, chunk)


def _in_order(
    pool: ProcessPoolExecutor,
    work: Callable[[list[Item]], list[Result]],
    items: Iterable[Item],
    jobs: int,
) -> Generator[Result]:
    """The results of chunks of items, a few chunks per process in flight."""
    rest = iter(items)
    pending: deque[Future[list[Result]]] = deque()
    while True:
        while len(pending) < 4 * jobs and (chunk := list(itertools.islice(rest, CHUNK))):
            pending.append(pool.submit(work, chunk))
        if not pending:
            break
        yield from pending.popleft().result()


@contextmanager
def _workers(function: Callable[..., object], jobs: int) -> Generator[ProcessPoolExecutor]:
    """Processes that end with the block; what they had not begun is dropped."""
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    # imported once, by the server that workers are forked from, not by each of them
    context.set_forkserver_preload(["__main__", _module_of(function)])
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker)
    hint = (
        "Run again with fewer --jobs. (A script that calls this with several jobs "
        "needs an 'if __name__ == \"__main__\":' guard.)"
    )
    with _ending(pool, hint=hint):
        yield pool


@contextmanager
def _ending(pool: ProcessPoolExecutor, *, hint: str) -> Generator[None]:
    """A block after which no process of a pool is left, and what it had not begun is dropped."""
    try:
        yield
    except BrokenProcessPool as error:
        raise ConceptsetError(
            "a worker process was killed, probably because memory ran out", hint=hint
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class LocalEngine:
    """Processes of this machine, started anew for each map; see `Engine`.

    Args:
        jobs: How many; with one, everything runs in this process.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    @property
    def is_parallel(self) -> bool:
        """Whether there is more than this process."""
        return self.jobs > 1

    def ordered_map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        name: Callable[[Item], str] | None = None,
    ) -> Generator[Result]:
        """See `Engine`; nothing is tried twice."""
        return ordered_map(function, items, jobs=self.jobs)

    def as_completed(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        need: Need,
        name: Callable[[Item], str] | None = None,
    ) -> Generator[tuple[int, Result]]:
        """See `Engine`; nothing is tried twice, and `need` is not looked at."""
        return completed_map(function, items, jobs=self.jobs)

    def slots(self, need: Need) -> int:
        """So many as there are processes; `need` is not looked at."""
        return self.jobs

    def require(self, need: Need, *, hint: str | None = None) -> None:
        """Nothing to do: this machine is asked to do what it is asked to do."""

    def check_sight(self, paths: Iterable[Path], *, writes: Path | None = None) -> None:
        """Nothing to do: processes of this machine see what it sees."""


IN_PROCESS = LocalEngine(1)
