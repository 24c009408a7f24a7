"""The catalogue of rules: a rule is one function, its docstring the only text about it."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from conceptset.errors import UsageError
from conceptset.findings import Severity
from conceptset.validate.context import Context

PREFIXES = {
    "LAY": "layout",
    "IDX": "index.csv",
    "CAT": "categories and labels",
    "SEG": "segmentation images",
    "SPL": "splits",
    "ANN": "annotators",
    "SRC": "source annotations",
}


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


def rules() -> Mapping[str, Rule]:
    """All rules by code, in order."""
    importlib.import_module("conceptset.validate.rules")
    return MappingProxyType(dict(sorted(_RULES.items())))


def chosen(select: tuple[str, ...], ignore: tuple[str, ...]) -> list[Rule]:
    """The rules that run; codes may be cut short, `SEG` stands for all that begin so.

    Raises:
        UsageError: No rule has such a code.
    """
    known = rules()
    for text in (*select, *ignore):
        if not text or not any(code.startswith(text) for code in known):
            raise _unknown(text, tuple(known))
    return [
        one
        for code, one in known.items()
        if (not select or code.startswith(select)) and not (ignore and code.startswith(ignore))
    ]


def explain(code: str) -> str:
    """What a code means, why it matters and how to fix it, as text.

    Raises:
        UsageError: There is no such code.
    """
    known = rules()
    if code in known:
        one = known[code]
        elsewhere = "not checked" if one.foreign is None else str(one.foreign)
        level = str(one.severity)
        if one.foreign is not one.severity:
            level += f"; in a foreign layout: {elsewhere}"
        return f"{code} ({level})\n\n{one.what}\n\n{one.why}\n\nHow to fix: {one.fix}\n"
    defects = importlib.import_module("conceptset.parsing.defects").DEFECTS
    if code in defects:
        one = defects[code]
        return f"{code} ({one.severity})\n\n{one.title}\n\n{one.why}\n\nHow to fix: {one.fix}\n"
    raise _unknown(code, (*known, *defects))


def _unknown(text: str, known: tuple[str, ...]) -> UsageError:
    near = difflib.get_close_matches(text.upper(), known, n=3, cutoff=0.5)
    prefixes = ", ".join(sorted({code[:3] for code in known}))
    hint = f"Did you mean {', '.join(near)}?" if near else f"Codes begin with {prefixes}."
    return UsageError(f"there is no rule {text[:40]!r}", hint=hint)
