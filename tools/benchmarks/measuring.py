"""Clocks, rounds taken in turn, peaks of memory, and tables of what was found."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import platform
import re
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

Turn = Callable[[], Mapping[str, float] | None]

_DISTURBED = 0.03  # of the cores, taken by others: such a turn is taken again
_TRIES = 4


@dataclass(frozen=True)
class Options:
    """What a measurement is made with.

    Attributes:
        images: Of the set that is made for it.
        threads: Of one operation of the network.
        workers: Threads that decode and tally; None: the default of a run.
        batch_size: Images in a forward pass.
        rounds: Counted ones; one more comes first.
        cpu: Count processor time instead of wall time, on a machine that others use, too.
        jobs: Processes at a time, where there are several.
        source: A COCO file with its photographs; None: images made in code.
        command: As it was given.
        load: Of the machine, when the options were made: before anything was measured.
    """

    images: int
    threads: int
    workers: int | None
    batch_size: int
    rounds: int
    cpu: bool
    jobs: int
    source: Path | None
    command: str
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    def clock(self) -> float:
        """Seconds: of this process and its children on all cores, or on the wall."""
        return processor_seconds() if self.cpu else time.perf_counter()

    @property
    def unit(self) -> str:
        """In words."""
        return "processor time" if self.cpu else "wall time"


@dataclass(frozen=True)
class Table:
    """A result.

    Attributes:
        name: Of its place in docs/performance.md.
        columns: Their heads; the first is left-aligned, the others right.
        rows: As text.
        notes: Sentences below it.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def text(self) -> str:
        """For a terminal."""
        lines = [list(self.columns), *map(list, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = [
            "  ".join(
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join([f"== {self.name}", *shown, *self.notes])

    def markdown(self) -> str:
        """For a page."""
        rule = ["---", *["--:"] * (len(self.columns) - 1)]
        lines = ["| " + " | ".join(line) + " |" for line in (self.columns, rule, *self.rows)]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])


@dataclass
class Rounds:
    """Times of several works, taken in turn so that a busy machine disturbs all alike.

    Attributes:
        times: Seconds by name, one for each round.
        stolen: For each of our turns that is counted, the share of all cores that others on the
            host of a virtual machine took meanwhile.
        repeated: Turns that were taken again because of it.
    """

    times: dict[str, list[float]] = field(default_factory=dict)
    stolen: list[float] = field(default_factory=list)
    repeated: int = 0

    def add(self, name: str, seconds: float) -> None:
        """Take the time of a work in the round that is under way."""
        self.times.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float:
        """Seconds."""
        return statistics.median(self.times[name])

    def ratio(self, name: str, bare: str) -> float:
        """Of the medians."""
        return self.median(name) / self.median(bare)

    def disturbance(self) -> str:
        """How much of the machine others took, in one sentence; nothing if it is not known."""
        if not self.stolen:
            return ""
        again = f"; {self.repeated} were taken again, for it was more" if self.repeated else ""
        most = f"{100 * max(self.stolen):.1f} %"
        return f"Of the cores the host gave to others at most {most} in any counted turn{again}."

    def spread(self, name: str, bare: str) -> str:
        """The ratio, and that of the rounds where it was smallest and largest."""
        pairs = zip(self.times[name], self.times[bare], strict=True)
        each = sorted(one / other for one, other in pairs)
        return f"{self.ratio(name, bare):.3f} ({each[0]:.2f} to {each[-1]:.2f})"


def take_turns(works: Mapping[str, Turn], options: Options, *, warm: bool = True) -> Rounds:
    """Run all works in every round, in another order each time.

    On a virtual machine a turn during which the host gave more than some of the cores to others
    is taken again, some times; of all tries the least disturbed counts.

    Args:
        works: By name. What a work returns is kept, too: seconds by further names, or by its own
            if not all that it did should count.
        options: How.
        warm: Begin with a round that is not counted.
    """
    rounds, names = Rounds(), list(works)
    for number in range(options.rounds + warm):
        place = number % len(names)
        for name in names[place:] + names[:place]:
            if number < warm:
                works[name]()
                continue
            times, stolen = _take_turn(name, works[name], options)
            tries = 1
            while stolen > _DISTURBED and tries < _TRIES and not options.cpu:
                tries += 1
                times, stolen = min(
                    (times, stolen), _take_turn(name, works[name], options), key=lambda one: one[1]
                )
            rounds.repeated += tries - 1
            if _kernel_ticks() is not None:
                rounds.stolen.append(stolen)
            for more, seconds in times.items():
                rounds.add(more, seconds)
    return rounds


def _take_turn(name: str, work: Turn, options: Options) -> tuple[dict[str, float], float]:
    """Seconds by name, and the share of the cores that the host gave to others meanwhile."""
    before, begin = _kernel_ticks(), options.clock()
    further = work()
    spent, after = options.clock() - begin, _kernel_ticks()
    stolen = 0.0
    if before is not None and after is not None:
        stolen = (after[1] - before[1]) / max(1, after[0] - before[0])
    times = {name: spent, **(further or {})}
    said = f"  {name}: {times[name]:.2f} s, {stolen:.1%} of the cores taken"
    print(said, file=sys.stderr, flush=True)
    return times, stolen


def _kernel_ticks() -> tuple[int, int] | None:
    """Of all cores together, all ticks so far and those that the host took; Linux only."""
    info = Path("/proc/stat")
    if not info.is_file():
        return None
    ticks = [int(word) for word in info.read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks), ticks[7]


def processor_seconds() -> float:
    """Of this process and its children, those that still run included."""
    tick = os.sysconf("SC_CLK_TCK")
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + own.ru_utime + own.ru_stime
    for child in multiprocessing.active_children():
        with contextlib.suppress(FileNotFoundError):
            words = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(words[11]) + int(words[12])) / tick
    return total


def per_image(seconds: float, images: int) -> str:
    """Milliseconds."""
    return f"{1000 * seconds / images:.2f}"


def peak_of_self() -> float:
    """The most memory this process ever had, in MiB; not what its parent had when it was forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Together:
    """The most memory that this process and its children held at a moment, looked at now and then.

    Memory that several of them share counts once: each page is divided by how many have it.
    """

    def __init__(self, seconds: float = 0.5) -> None:
        """A thread begins to look, every so many seconds."""
        self._seconds = seconds
        self._most = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def take(self) -> float:
        """MiB, the most since the last time."""
        most, self._most = self._most, 0.0
        return most

    def _watch(self) -> None:
        while True:
            processes = [os.getpid(), *(one.pid for one in multiprocessing.active_children())]
            self._most = max(self._most, sum(map(_proportional, processes)))
            time.sleep(self._seconds)


def _proportional(process: int | None) -> float:
    """MiB of a process, shared pages in part; 0 if it has ended."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(text.partition("\nPss:")[2].split()[0]) / 1024


def describe_machine() -> str:
    """What the figures were taken on, in one sentence."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        model = found[1]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "numba"))
    return f"{os.cpu_count()} cores of {model}, {versions}"


def _instead(content: str, _: re.Match[str]) -> str:
    """Not as a pattern's replacement, in which a backslash would mean something."""
    return content


def write_results(page: Path, tables: Sequence[Table], options: Options) -> None:
    """Put results between the marks of their names; what has no mark goes to the end."""
    text = page.read_text() if page.is_file() else "# Performance\n"
    for table in tables:
        begin, end = f"<!-- {table.name} -->", f"<!-- end of {table.name} -->"
        about = (
            f"`{options.command}` ({options.unit}; {describe_machine()}; load when it began: "
            f"{options.load:.1f})"
        )
        content = f"{begin}\n{about}\n\n{table.markdown()}\n{end}"
        place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if place.search(text):
            text = place.sub(functools.partial(_instead, content), text)
        else:
            text = f"{text.rstrip()}\n\n{content}\n"
    page.write_text(text)
