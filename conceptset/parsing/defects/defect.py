"""One kind of defect of source annotations."""

from __future__ import annotations

from dataclasses import dataclass

from conceptset.findings import Severity


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of defect.

    Attributes:
        code: `SRC` and three digits.
        severity: Whether it can make numbers wrong.
        title: What it is, as a heading.
        why: Why it matters.
        fix: What to do about it; the hint of a finding that has no better one.
    """

    code: str
    severity: Severity
    title: str
    why: str
    fix: str
