"""Runs the rules over a set and says what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conceptset.errors import UsageError
from conceptset.findings import Finding, Severity
from conceptset.io.parallel import Engine
from conceptset.validate.catalogue import chosen
from conceptset.validate.context import Context
from conceptset.validate.gather import gather
from conceptset.validate.registry import Rule


@dataclass(frozen=True, slots=True)
class Report:
    """What a validation found.

    Attributes:
        findings: Sorted by path, line and code.
        images: Photographs that were decoded.
        maps: Label maps that were decoded.
    """

    findings: tuple[Finding, ...]
    images: int
    maps: int

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.findings) - self.errors

    def failed(self, fail_on: Literal["error", "warning"] = "error") -> bool:
        """Whether there is a finding of this severity or worse."""
        return self.errors > 0 or (fail_on == "warning" and self.warnings > 0)


def validate(
    root: Path,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    jobs: int | None = None,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check a concept set, or a foreign Broden layout, down to the last pixel.

    Args:
        root: Its directory.
        select: Codes or beginnings of codes to run; all where empty.
        ignore: Codes or beginnings of codes to leave out.
        jobs: Processes; None takes all cores, and one process for a small set.
        engine: Where images are looked at, instead of processes of this machine.
        progress: Called with (images done, images in all).

    Raises:
        UsageError: `root` is no directory, or a code does not exist.
        ClusterError: The machines of `engine` do not see it, or lost the work too often.
            What is wrong with the set is a finding, never an exception.
    """
    selected = chosen(tuple(select), tuple(ignore))
    if not root.is_dir():
        raise UsageError("is no directory", path=root, hint="Give the directory of a concept set.")
    context = gather(root, jobs=jobs, engine=engine, progress=progress)
    findings = {finding for one in selected for finding in _apply(one, context)}
    return Report(
        tuple(sorted(findings, key=lambda one: (one.sort_key, one.pixel or ()))),
        images=sum(facts.photo is not None for facts in context.images.values()),
        maps=len(context.maps),
    )


def _apply(one: Rule, context: Context) -> list[Finding]:
    severity = one.severity if context.ours else one.foreign
    if severity is None:
        return []
    return [
        Finding(
            code=one.code,
            severity=severity,
            message=mark.message,
            path=mark.path,
            line=mark.line,
            pointer=mark.pointer,
            pixel=mark.pixel,
            hint=one.fix,
        )
        for mark in one.check(context)
    ]
