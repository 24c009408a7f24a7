"""What a rule is: one function, its docstring the only text about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from conceptset.findings import Severity
from conceptset.validate.context import Context


class Mark(NamedTuple):
    """Where a rule found its defect, and what it saw there.

    Attributes:
        message: What is wrong and what was expected.
        path: File, relative to the set.
        line: Line of a text file, from 1.
        pointer: Column, or JSON pointer.
        pixel: (row, column) of the first pixel that shows it.
    """

    message: str
    path: str
    line: int | None = None
    pointer: str | None = None
    pixel: tuple[int, int] | None = None


Check = Callable[[Context], Iterator[Mark]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        code: Its code.
        severity: In a set of ours.
        foreign: In a foreign layout; None where the rule does not apply there.
        what: The defect, one sentence.
        why: Why it matters.
        fix: What to do about it; the hint of its findings.
        check: The function.
    """

    code: str
    severity: Severity
    foreign: Severity | None
    what: str
    why: str
    fix: str
    check: Check


_RULES: dict[str, Rule] = {}


def rule(code: str, severity: Severity, *, foreign: Severity | None) -> Callable[[Check], Check]:
    """Register a rule; its docstring has three paragraphs: what, why, how to fix.

    Raises:
        ValueError: The code is taken, or the docstring has not three parts.
    """

    def register(check: Check) -> Check:
        if code in _RULES:
            raise ValueError(f"two rules have the code {code}")
        parts = [" ".join(part.split()) for part in (inspect.getdoc(check) or "").split("\n\n")]
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"the docstring of {code} has {len(parts)} parts, 3 are needed")
        what, why, fix = parts
        _RULES[code] = Rule(code, severity, foreign, what, why, fix, check)
        return check

    return register


def registered() -> Mapping[str, Rule]:
    """The rules of the modules imported so far, by code."""
    return MappingProxyType(dict(sorted(_RULES.items())))
