"""What is wrong with data, as data: one flat record for readers, build and validator alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from conceptset.errors import AnnotationError, SourceError, printable

MAX_KEPT = 100_000  # findings that are kept; what is beyond is counted
MAX_ERRORS = 1_000_000  # in one file; reading on would only cost time


class Severity(StrEnum):
    """`error`: a reader breaks or numbers are wrong. `warning`: legal, but rarely meant."""

    ERROR = "error"
    WARNING = "warning"


class Finding(BaseModel):
    """One defect in one place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[A-Z]{3}\d{3}$", description="Rule code, never reused.")
    severity: Severity
    message: str = Field(description="What is wrong and what was expected.")
    path: str = Field(description="File, relative to the set or source, with forward slashes.")
    line: int | None = Field(default=None, ge=1, description="Line in a text file, from 1.")
    pointer: str | None = Field(default=None, description="JSON pointer or column inside the file.")
    pixel: tuple[int, int] | None = Field(
        default=None, description="(row, column) of the first pixel that shows the defect."
    )
    hint: str = Field(description="What to do about it.")

    @property
    def sort_key(self) -> tuple[str, int, str, str, str]:
        """Findings are listed by path, line and code; the rest makes the order total."""
        return (self.path, self.line or 0, self.code, self.pointer or "", self.message)

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        if self.pointer:
            place = f"{place} {self.pointer}"
        text = printable(self.message, 2000)
        stop = "" if text.endswith(".") else "."
        return f"{printable(place)}: {self.code} {text}{stop} {self.hint}"


OnError = Literal["raise", "skip", "collect"]


class Problems:
    """What is done with a bad annotation: the policy handed to readers and to build.

    `raise` stops at the first error. `skip` leaves the thing out and only counts it.
    `collect` leaves it out and keeps the finding. Warnings never stop anything. Of very many
    findings the first `MAX_KEPT` are kept.
    """

    def __init__(self, on_error: OnError = "raise") -> None:
        self.on_error = on_error
        self.skipped = 0
        self._findings: list[Finding] = []
        self._first: Finding | None = None
        self._errors: Counter[str] = Counter()  # by file

    def add(self, finding: Finding) -> None:
        """Record one finding.

        Raises:
            AnnotationError: It is an error and the policy is `raise`.
            SourceError: A file has more than `MAX_ERRORS` errors.
        """
        if finding.severity is Severity.ERROR:
            if self.on_error == "raise":
                where = f"line {finding.line}" if finding.line else finding.pointer
                raise AnnotationError(
                    finding.message,
                    code=finding.code,
                    path=finding.path,
                    pointer=where,
                    hint=f"{finding.hint} Run with --on-error skip to leave it out. "
                    f"[{finding.code}]",
                )
            self._first = self._first or finding
            self.skipped += 1
            self._errors[finding.path] += 1
            if self._errors[finding.path] > MAX_ERRORS:
                raise SourceError(
                    f"has more than {MAX_ERRORS:,} errors",
                    path=finding.path,
                    hint=f"Check how it was made. The first of them: {self._first}",
                )
            if self.on_error == "skip":
                return
        if len(self._findings) < MAX_KEPT:
            self._findings.append(finding)

    def explain(self, error: SourceError) -> None:
        """Let an error that says that nothing is left also say what was left out, and why."""
        if self._first is not None:
            error.hint = (
                f"{error.hint or ''} Left out: {self.skipped} bad annotations; the first: "
                f"{self._first}"
            ).strip()

    def extend(self, findings: Iterable[Finding]) -> None:
        """Record several findings, in order."""
        for finding in findings:
            self.add(finding)

    @property
    def findings(self) -> list[Finding]:
        """What was recorded, sorted; without exact repetitions."""
        return sorted(dict.fromkeys(self._findings), key=lambda finding: finding.sort_key)


class Silence(Problems):
    """Takes what is reported elsewhere."""

    def __init__(self) -> None:
        super().__init__("skip")

    def add(self, finding: Finding) -> None:
        """Forget a finding."""
