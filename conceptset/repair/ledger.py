"""What a repair did, told by the codes of the validator's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

from conceptset.findings import Finding, Problems, Severity
from conceptset.validate import rules


class Note(NamedTuple):
    """One thing that happened to one file; small, so that it travels between processes.

    Attributes:
        kind: `changed`: made right, nothing is missing. `doubtful`: made right in the one way that
            can be taken back or checked; somebody should look. `lost`: could not be made right and
            is left out.
        code: The rule that the original breaks.
        text: For a change what was done, in few words that are the same for all of its kind; else
            a sentence.
        path: File, relative to the set.
        line: Its line, where it is a table.
        pointer: The column.
        times: How many things a change stands for.
    """

    kind: Literal["changed", "doubtful", "lost"]
    code: str
    text: str
    path: str = ""
    line: int | None = None
    pointer: str | None = None
    times: int = 1


class Ledger:
    """Collects notes: changes are counted by kind, everything else becomes a finding."""

    def __init__(self) -> None:
        self._changes: Counter[tuple[str, str]] = Counter()
        self._problems = Problems("collect")

    def add(self, note: Note) -> None:
        """Take in one note."""
        if note.kind == "changed":
            self._changes[note.code, note.text] += note.times
            return
        severity = Severity.ERROR if note.kind == "lost" else Severity.WARNING
        self._problems.add(
            Finding(
                code=note.code,
                severity=severity,
                message=note.text,
                path=note.path,
                line=note.line,
                pointer=note.pointer,
                hint=rules()[note.code].fix,
            )
        )

    def extend(self, notes: Iterable[Note]) -> None:
        """Take in several notes."""
        for note in notes:
            self.add(note)

    def changed(self, code: str, text: str, count: int = 1) -> None:
        """Count something that was made right."""
        if count:
            self.add(Note("changed", code, text, times=count))

    def lost(
        self, code: str, text: str, path: str, line: int | None = None, pointer: str | None = None
    ) -> None:
        """Report something that is left out."""
        self.add(Note("lost", code, text, path, line, pointer))

    def doubtful(
        self, code: str, text: str, path: str, line: int | None = None, pointer: str | None = None
    ) -> None:
        """Report something that was made right and should be looked at."""
        self.add(Note("doubtful", code, text, path, line, pointer))

    @property
    def changes(self) -> list[tuple[str, str, int]]:
        """(rule code, what was done, how often), sorted."""
        return [(code, text, count) for (code, text), count in sorted(self._changes.items())]

    @property
    def first(self) -> str | None:
        """The first thing that was left out, as a hint where nothing else is left."""
        lost = [finding for finding in self.findings if finding.severity is Severity.ERROR]
        return f"First of {len(lost)} findings: {lost[0]}" if lost else None

    @property
    def findings(self) -> list[Finding]:
        """What was left out or should be looked at, sorted."""
        return self._problems.findings
