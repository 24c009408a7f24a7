"""The same function over many items on the machines of a Ray cluster.

Ray (the extra `cluster`) carries functions and results between machines and starts workers; what
is lost with a worker or a machine is done again here, item by item, so that the message can say
which item it was. Files do not travel: all machines must see them under the same paths.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from conceptset.errors import ClusterError, ConceptsetError, printable
from conceptset.io.parallel import CHUNK, Item, Need, Result
from conceptset.io.sight import Question, answer, probe, questions_of

ATTEMPTS = 4  # how often an item is begun before its workers' end is taken for its fault

_AHEAD = 4  # batches handed out per slot, so that no worker waits for this process
_LISTEN_SECONDS = 5.0  # between looks at whether the cluster still has a machine for the work
_PATIENCE_SECONDS = 60.0  # without such a machine, until we give up
_GRACE_SECONDS = 10.0  # for what runs when a map is closed, until its process is killed
_GROWS = "A cluster that grows on demand needs one such machine from the beginning."
_NODE_SECONDS = 120.0  # for a machine to start a worker and look at the paths


@dataclass(slots=True)
class _Batch(Generic[Item]):
    """Items handed out together.

    Attributes:
        place: Number of the first one.
        items: In order.
        attempts: How often they were handed out.
    """

    place: int
    items: list[Item]
    attempts: int = 0


def work(folder: str, function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    """On a worker: the function of each item, in the folder that relative paths are seen from."""
    with suppress(OSError):  # `check_sight` has told of it where it matters
        os.chdir(folder)
    return [function(item) for item in items]


class RayEngine:
    """Tasks on a Ray cluster that this process is connected to; see `Engine`.

    Args:
        ray: The module, connected.
        most: How many batches are handed out at once at most; None is as many as the cluster takes.

    Attributes:
        retried: Batches that were lost with a worker or a machine and handed out again.
    """

    is_parallel = True

    def __init__(self, ray: Any, *, most: int | None = None) -> None:  # noqa: ANN401
        self.retried = 0
        self._ray = ray
        self._most = most
        self._folder = str(Path.cwd())
        lost = ("WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "ObjectLostError")
        also = ("LocalRayletDiedError", "TaskCancelledError")
        self._lost = tuple(getattr(ray.exceptions, name) for name in (*lost, *also))

    def ordered_map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        name: Callable[[Item], str] | None = None,
    ) -> Generator[Result]:
        """See `Engine`.

        Raises:
            ClusterError: An item's worker ended too often, or no machine is left.
        """
        task = self._task(function, Need())
        early: dict[int, list[Result]] = {}
        turn = 0
        with closing(self._batches(task, items, Need(), CHUNK, name, lambda: len(early))) as done:
            for place, results in done:
                early[place] = results
                while turn in early:
                    current = early.pop(turn)
                    turn += len(current)
                    yield from current

    def as_completed(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        need: Need,
        name: Callable[[Item], str] | None = None,
    ) -> Generator[tuple[int, Result]]:
        """See `Engine`.

        Raises:
            ClusterError: An item's worker ended too often, or no machine is left that has what an
                item needs.
        """
        task = self._task(function, need)
        with closing(self._batches(task, items, need, 1, name, lambda: 0)) as done:
            for place, (result,) in done:
                yield place, result

    def _task(self, function: Callable[[Item], Result], need: Need) -> Callable[[list[Item]], Any]:
        """What hands out a batch; the function travels to each machine once."""
        shipped = self._ray.put(function)
        remote = self._ray.remote(work).options(
            num_cpus=need.cores,
            num_gpus=need.gpus or None,
            memory=need.memory or None,
            max_retries=0,  # tried again by us, see above; Ray would hide which one it was
        )
        return lambda items: remote.remote(self._folder, shipped, items)

    def _batches(
        self,
        task: Callable[[list[Item]], Any],
        items: Iterable[Item],
        need: Need,
        size: int,
        name: Callable[[Item], str] | None,
        held: Callable[[], int],
    ) -> Generator[tuple[int, list[Any]]]:
        """(number of the first item, results) of each batch, as they are done.

        Args:
            task: Hands out a batch.
            items: Taken as they are needed.
            need: What a batch takes.
            size: Items in a batch.
            name: What a message calls an item.
            held: How many finished batches the caller keeps back; they count as handed out.
        """
        running: dict[Any, _Batch[Item]] = {}
        again: deque[_Batch[Item]] = deque()
        rest = _batched(items, size)
        most = self._window(need)
        try:
            while True:
                while again or len(running) + held() < most:
                    batch = again.popleft() if again else next(rest, None)
                    if batch is None:
                        break
                    batch.attempts += 1
                    running[task(batch.items)] = batch
                if not running:
                    return
                ref = self._first(list(running), need)
                batch = running.pop(ref)
                results = self._fetch(ref, batch, again, name)
                if results is not None:
                    yield batch.place, results
                most = self._window(need)
        finally:
            self._stop(list(running))

    def _fetch(
        self,
        ref: object,
        batch: _Batch[Item],
        again: deque[_Batch[Item]],
        name: Callable[[Item], str] | None,
    ) -> list[Any] | None:
        """The results of a batch that has ended; None, and it is put back, if they are lost."""
        try:
            results: list[Any] = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._lost as error:
            self.retried += 1
            if batch.attempts >= ATTEMPTS:
                raise _given_up(batch, name) from error
            # one by one: one of them may be what ends the workers
            again.extend(
                _Batch(place, [item], batch.attempts)
                for place, item in enumerate(batch.items, start=batch.place)
            )
            return None
        return results

    def _first(self, running: list[Any], need: Need) -> object:
        """A batch that has ended.

        Raises:
            ClusterError: None can end any more.
        """
        since = None
        while True:
            ready, _ = self._ray.wait(running, timeout=_LISTEN_SECONDS)
            if ready:
                return ready[0]
            if self.slots(need):
                since = None
                continue
            since = since or time.monotonic()
            if time.monotonic() - since > _PATIENCE_SECONDS:
                raise ClusterError(
                    f"the cluster has lost every machine with {_told(need)}",
                    hint="See why its nodes ended (ray status), and run again.",
                )

    def _window(self, need: Need) -> int:
        slots = self.slots(need)
        return _AHEAD * max(1, slots) if self._most is None else self._most

    def slots(self, need: Need) -> int:
        """See `Engine`; machines that are busy for others are counted."""
        wanted = {"CPU": need.cores, "GPU": need.gpus, "memory": float(need.memory)}
        return sum(
            int(min(has.get(kind, 0.0) / amount for kind, amount in wanted.items() if amount))
            for has in self._machines().values()
        )

    def _machines(self) -> dict[str, dict[str, float]]:
        """What each machine has, by its identifier; those that can do no work are left out."""
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        return {node["NodeID"]: node["Resources"] for node in nodes if node["Resources"].get("CPU")}

    def _stop(self, running: list[Any]) -> None:
        """Have nothing of these run any more, politely first."""
        for force in (False, True):
            if not running:
                return
            with suppress(self._ray.exceptions.RayError, ConnectionError):
                for ref in running:
                    self._ray.cancel(ref, force=force)
                _, running = self._ray.wait(
                    running, num_returns=len(running), timeout=_GRACE_SECONDS
                )

    def size(self) -> tuple[int, int, int]:
        """(machines, cores, GPUs)."""
        machines = self._machines().values()
        cores, gpus = (int(sum(m.get(kind, 0) for m in machines)) for kind in ("CPU", "GPU"))
        return len(machines), cores, gpus

    def require(self, need: Need, *, hint: str | None = None) -> None:
        """See `Engine`.

        Raises:
            ClusterError: No machine has what is needed.
        """
        if not self.slots(need):
            raise ClusterError(
                f"no machine of the cluster has {_told(need)}",
                hint=f"{hint} {_GROWS}" if hint else _GROWS,
            )

    def check_sight(self, paths: Iterable[Path], *, writes: Path | None = None) -> None:
        """See `Engine`: a task on each machine looks at the files and writes one.

        Raises:
            ClusterError: A machine does not see them, cannot write, or has another version of ours.
        """
        self.require(Need())
        with probe(writes) as test:
            asked = self._ask([*questions_of(paths), *test.questions], test.folder)
            for node, ref in asked.items():
                try:
                    complaint = self._ray.get(ref, timeout=_NODE_SECONDS)
                except self._ray.exceptions.TaskUnschedulableError:
                    continue  # it has left since
                except self._ray.exceptions.RayError as error:
                    reason = str(error).strip().splitlines()[-1]
                    complaint = f"cannot run our tasks ({printable(reason)})"
                if complaint is None and not test.was_written_by(node):
                    complaint = f"writes, but not where this machine sees it: {writes}"
                if complaint is not None:
                    raise ClusterError(
                        f"node {self._address_of(node)} of the cluster {complaint}",
                        hint="All nodes must have the same version of conceptset, and see what is "
                        "read and the output on a shared file system, under the same paths.",
                    )

    def _ask(self, questions: list[Question], folder: Path | None) -> dict[str, Any]:
        """A running task of each machine that looks around."""
        place = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        look = self._ray.remote(answer)
        return {
            node: look.options(
                num_cpus=0, max_retries=0, scheduling_strategy=place(node, soft=False)
            ).remote(self._folder, questions, folder, node)
            for node in self._machines()
        }

    def _address_of(self, wanted: str) -> str:
        for node in self._ray.nodes():
            if node["NodeID"] == wanted:
                return f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})"
        return wanted


def _batched(items: Iterable[Item], size: int) -> Generator[_Batch[Item]]:
    rest = iter(items)
    place = 0
    while batch := list(itertools.islice(rest, size)):
        yield _Batch(place, batch)
        place += len(batch)


def _given_up(batch: _Batch[Item], name: Callable[[Item], str] | None) -> ConceptsetError:
    item = batch.items[0]
    called = f" ({printable(name(item))})" if name is not None else ""
    return ClusterError(
        f"item {batch.place + 1}{called} was begun {batch.attempts} times on the cluster, and each "
        "time its worker or machine ended, probably because memory ran out",
        hint="Look at that item, or give workers more memory.",
    )


def _told(need: Need) -> str:
    """A need in words.

    >>> _told(Need(cores=2, gpus=1))
    '2 cores and 1 GPU'
    """
    parts = [f"{need.cores:g} core{'s' if need.cores != 1 else ''}"]
    parts += [f"{need.gpus:g} GPU{'s' if need.gpus != 1 else ''}"] if need.gpus else []
    parts += [f"{need.memory / (1 << 30):.1f} GiB of memory"] if need.memory else []
    return " and ".join(parts)
