"""Runs a program again and again, and kills it, or fails a system call, at every write.

    crash = crashes("conceptset.cli", "conceptset")  # the module with main(), the program's name
    crash.warm(argv, make_directory)                 # what a run imports stays imported
    points = crash.points(argv, cwd)                 # a clean run: every call that changes a file
    crash.everywhere(points, check)                  # check(point), a few at a time

and inside check `crash.kill(argv, cwd, point)`, `crash.interrupt(argv, cwd, point)`,
`crash.fail(argv, cwd, point, "ENOSPC")` or `crash.run(argv, cwd)`, with a directory `cwd` of its
own. Arguments are relative to `cwd`, so that the same run elsewhere makes the same calls and bytes.
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Calls that change what stands on disk. A name that an architecture lacks is ignored (`?`).
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "copy_file_range")
FLUSHES = ("fsync", "fdatasync", "syncfs", "ftruncate", "fallocate", "fchmod")
NAMES = ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat")
NAMES += ("mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "truncate", "chmod", "fchmodat")
_TRACE = "trace=" + ",".join(f"?{name}" for name in WRITES + FLUSHES + NAMES)

_CALL = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)$")
_OPEN_FILE = re.compile(r"\d+<(?P<path>[^>]*)>")
_QUOTED = re.compile(r'"(?P<path>[^"]*)"')

WORKERS = 2

# Of each kind of call so many points: the first and the last ones, where directories are made and
# work is committed, and some in between. CRASH_POINTS=all takes every one.
AT_MOST = 9


@dataclass(frozen=True)
class Point:
    """A system call of a run: the `when`-th `call` of its thread, and how strace shows it."""

    call: str
    when: int
    text: str

    def __str__(self) -> str:
        return f"{self.call} {self.when}: {self.text}"


@dataclass(frozen=True)
class Outcome:
    """How a run ended: exit code, or minus the signal; what it said on stdout and stderr."""

    code: int
    output: str


class Victim:
    """One process of victim.py."""

    def __init__(self, module: str, program: str, root: Path) -> None:
        self._program = program
        # The same order of sets everywhere; no bytecode, whose writing would be counted.
        fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        path = [str(root), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("victim.py")), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=kept | fixed | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        )

    def ask(
        self, argv: Sequence[str], cwd: Path, strace: Sequence[str] = (), *, modules: bool = False
    ) -> Outcome:
        """Run the program once."""
        request: dict[str, Any] = {"program": self._program, "argv": list(argv), "cwd": str(cwd)}
        request |= {"strace": list(strace), "modules": modules}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that runs the program died"
        answer = json.loads(line)
        assert not answer["strace"], answer["strace"]
        return Outcome(answer["code"], answer["output"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Crashes:
    """Runs of one program, a few at a time."""

    def __init__(self, module: str, program: str, root: Path) -> None:
        self._victims = [Victim(module, program, root) for _ in range(WORKERS)]
        self._free: queue.Queue[Victim] = queue.Queue()
        for victim in self._victims:
            self._free.put(victim)

    @contextmanager
    def _victim(self) -> Iterator[Victim]:
        victim = self._free.get()
        try:
            yield victim
        finally:
            self._free.put(victim)

    def warm(self, argv: Sequence[str], cwd: Callable[[], Path]) -> None:
        """Let every process import what a run imports; `cwd()` makes a directory for each."""
        with ThreadPoolExecutor(WORKERS) as pool:
            pairs = [(victim, cwd()) for victim in self._victims]
            outcomes = pool.map(lambda pair: pair[0].ask(argv, pair[1], modules=True), pairs)
        for outcome in outcomes:
            assert outcome.code == 0, outcome.output

    def run(self, argv: Sequence[str], cwd: Path) -> Outcome:
        """An undisturbed run."""
        with self._victim() as victim:
            return victim.ask(argv, cwd)

    def points(self, argv: Sequence[str], cwd: Path) -> list[Point]:
        """The calls of a clean run that change something below `cwd`, each once."""
        log = cwd.with_name(f"{cwd.name}.strace")
        options = ["-f", "-qq", "-y", "-s", "0", "-e", "signal=none", "-e", _TRACE, "-o", str(log)]
        with self._victim() as victim:
            outcome = victim.ask(argv, cwd, options)
        assert outcome.code == 0, outcome.output
        counts: Counter[tuple[str, str]] = Counter()
        found: dict[tuple[str, int], Point] = {}
        for line in log.read_text(errors="replace").splitlines():
            if match := _CALL.match(line):
                thread, call, rest = match.groups()
                counts[thread, call] += 1
                if _is_below(call, rest, cwd):
                    text = rest.replace(f"{cwd}/", "")
                    when = counts[thread, call]
                    found.setdefault((call, when), Point(call, when, text))
        return list(found.values())

    def kill(self, argv: Sequence[str], cwd: Path, point: Point) -> Outcome:
        """A run that is killed just before this call."""
        outcome = self._inject(argv, cwd, point, "signal=KILL")
        assert outcome.code == -9, f"was not killed at {point}\n{outcome}"
        return outcome

    def interrupt(self, argv: Sequence[str], cwd: Path, point: Point) -> Outcome:
        """A run in which Ctrl-C is pressed at this call."""
        return self._inject(argv, cwd, point, "signal=INT")

    def fail(self, argv: Sequence[str], cwd: Path, point: Point, error: str) -> Outcome:
        """A run in which this call fails, with ENOSPC for instance."""
        return self._inject(argv, cwd, point, f"error={error}")

    def _inject(self, argv: Sequence[str], cwd: Path, point: Point, what: str) -> Outcome:
        inject = f"inject={point.call}:{what}:when={point.when}"
        options = ["-f", "-qq", "-e", "signal=none", "-e", f"trace={point.call}", "-e", inject]
        with self._victim() as victim:
            return victim.ask(argv, cwd, [*options, "-o", os.devnull])

    def everywhere(self, points: Sequence[Point], check: Callable[[Point], None]) -> None:
        """Run `check` for every point, a few at a time; fail with all that failed."""

        def attempt(point: Point) -> str | None:
            try:
                check(point)
            except AssertionError as error:
                return f"{point}\n    {error}"
            return None

        assert points, "a run that writes nothing cannot be killed at a write"
        if os.environ.get("CRASH_POINTS") != "all":
            points = _some(points)
        with ThreadPoolExecutor(WORKERS) as pool:
            failures = [failure for failure in pool.map(attempt, points) if failure]
        if failures:
            shown = "\n".join(failures[:5])
            pytest.fail(f"{len(failures)} of {len(points)} points, the first:\n{shown}")

    def close(self) -> None:
        """End all processes."""
        for victim in self._victims:
            victim.close()


def _some(points: Sequence[Point]) -> list[Point]:
    """At most `AT_MOST` points of each kind of call: both ends whole, the middle evenly."""
    chosen = []
    for call in dict.fromkeys(point.call for point in points):
        own = [point for point in points if point.call == call]
        if len(own) > AT_MOST:
            end = AT_MOST // 3
            middle = own[end:-end]
            step = len(middle) / (AT_MOST - 2 * end)
            between = [middle[int(k * step)] for k in range(AT_MOST - 2 * end)]
            own = [*own[:end], *between, *own[-end:]]
        chosen += own
    return chosen


def _is_below(call: str, rest: str, cwd: Path) -> bool:
    if call in NAMES:
        paths = [match["path"] for match in _QUOTED.finditer(rest)]
        return any(not path.startswith("/") or path.startswith(f"{cwd}/") for path in paths)
    # sendfile and copy_file_range name two files; either order, one of them is ours
    return any(f"{match['path']}/".startswith(f"{cwd}/") for match in _OPEN_FILE.finditer(rest))


@pytest.fixture(scope="module")
def crashes(repository: Path) -> Iterator[Callable[[str, str], Crashes]]:
    """Starts the processes for one program; they end with the module."""
    started: list[Crashes] = []

    def start(module: str, program: str) -> Crashes:
        started.append(Crashes(module, program, repository))
        return started[-1]

    yield start
    for crash in started:
        crash.close()


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Everything below a directory: relative path to content; a folder ends in a slash."""

    def read(root: Path) -> dict[str, bytes]:
        found = {}
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            found.update({f"{name}/": b""} if path.is_dir() else {name: path.read_bytes()})
        return found

    return read
