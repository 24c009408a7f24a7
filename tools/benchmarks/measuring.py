"""Clocks, rounds taken in turn, peaks of memory, and tables of what was found."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

Work = Callable[[], object]


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
        """Seconds: of this process on all its cores, or on the wall."""
        return time.process_time() if self.cpu else time.perf_counter()

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
    """Times of several works, taken in turn so that a busy machine disturbs all alike."""

    times: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        """Take the time of a work in the round that is under way."""
        self.times.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float:
        """Seconds."""
        return statistics.median(self.times[name])

    def ratio(self, name: str, bare: str) -> float:
        """Of the medians."""
        return self.median(name) / self.median(bare)

    def spread(self, name: str, bare: str) -> str:
        """The ratio, and that of the rounds where it was smallest and largest."""
        pairs = zip(self.times[name], self.times[bare], strict=True)
        each = sorted(one / other for one, other in pairs)
        return f"{self.ratio(name, bare):.3f} ({each[0]:.2f} to {each[-1]:.2f})"


def take_turns(
    works: Mapping[str, Callable[[], Mapping[str, float] | None]], options: Options
) -> Rounds:
    """Run all works in every round, in another order each time; the first round is not counted.

    Args:
        works: By name. What a work returns is kept beside its time: seconds by further names.
        options: How.
    """
    rounds, names = Rounds(), list(works)
    for number in range(options.rounds + 1):
        place = number % len(names)
        for name in names[place:] + names[:place]:
            begin = options.clock()
            further = works[name]()
            spent = options.clock() - begin
            if number:
                for more, seconds in {name: spent, **(further or {})}.items():
                    rounds.add(more, seconds)
    return rounds


def per_image(seconds: float, images: int) -> str:
    """Milliseconds."""
    return f"{1000 * seconds / images:.2f}"


def peak_of_self() -> float:
    """The most memory this process ever had, in MiB; not what its parent had when it was forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def describe_machine() -> str:
    """What the figures were taken on, in one sentence."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        model = found[1]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "numba"))
    return f"{os.cpu_count()} cores of {model}, {versions}"


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
            text = place.sub(lambda _, content=content: content, text)
        else:
            text = f"{text.rstrip()}\n\n{content}\n"
    page.write_text(text)
