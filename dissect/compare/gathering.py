"""Which runs are compared, in which order, and what they are called."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from conceptset.errors import UsageError, printable
from dissect.state import Run, RunLayout, open_run

_DIGITS = re.compile(r"([0-9]+)")
_WORD_END = re.compile(r"[_\-./ ]")


@dataclass(frozen=True, slots=True)
class Member:
    """A run that is compared.

    Attributes:
        label: What it is called; no two of a comparison have the same.
        short: The label without what all labels begin with.
        root: Its directory.
        run: Its description.
    """

    label: str
    short: str
    root: Path
    run: Run

    @property
    def layout(self) -> RunLayout:
        """Where its files lie."""
        return RunLayout(self.root)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The runs of a comparison.

    Attributes:
        title: What pages call it: the directory that holds the runs, or how many there are.
        members: In order.
        notes: What was left out.
    """

    title: str
    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()


def gather_runs(paths: Sequence[Path]) -> Gathered:
    """The runs at some paths; a directory that is no run stands for the complete runs in it.

    The order of the paths is kept. Runs in a directory come in natural order: epoch9 before
    epoch10. Those that are incomplete are left out, which a note says.

    Raises:
        UsageError: Fewer than two runs, or one run twice.
        IncompleteError: A run that was named is not complete.
        SourceError: A path is no run and holds none, or a run cannot be read.
    """
    roots: list[Path] = []
    notes: list[str] = []
    for path in paths:
        found, unfinished = _inside(path)
        roots += found or [path]
        notes += [
            f"{path.resolve().name}/{name} is not complete and was left out" for name in unfinished
        ]
    runs = [open_run(root) for root in roots]  # says of a path without runs what is wrong with it
    seen = Counter(os.path.realpath(root) for root in roots)
    twice = [root for root in roots if seen[os.path.realpath(root)] > 1]
    if twice:
        raise UsageError("the run is named twice", path=twice[0], hint="Name each run once.")
    if len(runs) < 2:
        raise UsageError(
            "one run is nothing to compare with",
            path=roots[0],
            hint="Name two runs or more, or a directory that holds them.",
        )
    labels = name_runs(roots, [run.name for run in runs])
    shorts = shorten(labels)
    title = f"{len(runs)} runs" if len(paths) > 1 else paths[0].resolve().name
    members = tuple(
        Member(label, short, root, run)
        for label, short, root, run in zip(labels, shorts, roots, runs, strict=True)
    )
    return Gathered(title, members, tuple(notes))


def _inside(path: Path) -> tuple[list[Path], list[str]]:
    """The complete runs directly in a directory that is none, and the names of unfinished ones."""
    if RunLayout(path).manifest.is_file() or RunLayout(path).pending.is_file():
        return [], []
    if not path.is_dir():
        return [], []
    children = sorted((child for child in path.iterdir() if child.is_dir()), key=_by_name)
    complete = [child for child in children if RunLayout(child).manifest.is_file()]
    unfinished = [
        child.name
        for child in children
        if child not in complete and RunLayout(child).pending.is_file()
    ]
    return complete, unfinished if complete else []


def _by_name(path: Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    return natural_key(path.name), path.name


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """What names are sorted by so that numbers in them count as numbers.

    >>> sorted(["epoch10", "epoch9", "Epoch1"], key=natural_key)
    ['Epoch1', 'epoch9', 'epoch10']
    """
    parts = _DIGITS.split(text.casefold())
    return tuple(
        (0, int(part), "") if place % 2 else (1, 0, part)
        for place, part in enumerate(parts)
        if part
    )


def name_runs(roots: Sequence[Path], names: Sequence[str]) -> list[str]:
    """A label for each run: its own name where all differ, else as much of its path as tells.

    >>> name_runs([Path("a/run"), Path("b/run")], ["resnet18", "resnet18"])
    ['a/run', 'b/run']
    """
    if len(set(names)) == len(names) and all(names):
        return list(names)
    parts = [root.resolve().parts[1:] for root in roots]
    for depth in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(part[-depth:]) for part in parts]
        if len(set(labels)) == len(labels):
            return labels
    raise UsageError("two of the runs are the same directory")


def shorten(labels: Sequence[str]) -> list[str]:
    """The labels without the words that all of them begin with.

    >>> shorten(["squeezenet1_1_epoch003", "squeezenet1_1_epoch010"])
    ['epoch003', 'epoch010']
    >>> shorten(["resnet18", "resnet50"])
    ['resnet18', 'resnet50']
    """
    first, last = min(labels), max(labels)  # what these two begin with, all do
    same = (a == b for a, b in zip(first, last, strict=False))
    common = first[: sum(takewhile(bool, same))]
    ends = [match.end() for match in _WORD_END.finditer(common)]
    cut = ends[-1] if ends else 0
    if any(len(label) == cut for label in labels):
        return list(labels)
    return [label[cut:] for label in labels]


def show_end(text: str, limit: int) -> str:
    """The text made safe to show; of one that is too long the end, in which runs differ most.

    >>> show_end("squeezenet1_1_epoch100", 12)
    '…_1_epoch100'
    """
    shown = printable(text, 4 * len(text) + limit)
    return shown if len(shown) <= limit else f"…{shown[1 - limit :]}"
