"""All rules by code: to run, to choose from, to explain."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import conceptset.validate.rules  # noqa: F401  registers them
from conceptset.errors import UsageError
from conceptset.parsing.defects import DEFECTS
from conceptset.validate.registry import Rule, registered


def rules() -> Mapping[str, Rule]:
    """All rules by code, in order."""
    return registered()


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
    if code in DEFECTS:
        defect = DEFECTS[code]
        parts = (defect.title, defect.why, f"How to fix: {defect.fix}")
        return f"{code} ({defect.severity})\n\n" + "\n\n".join(parts) + "\n"
    raise _unknown(code, (*known, *DEFECTS))


def titles() -> list[tuple[str, str, str]]:
    """(code, severity, title) of every rule and of every defect of annotations, sorted."""
    found = [(code, str(one.severity), one.what) for code, one in rules().items()]
    found += [(code, str(one.severity), one.title) for code, one in DEFECTS.items()]
    return sorted(found)


def _unknown(text: str, known: tuple[str, ...]) -> UsageError:
    near = difflib.get_close_matches(text.upper(), known, n=3, cutoff=0.5)
    prefixes = ", ".join(sorted({code[:3] for code in known}))
    hint = f"Did you mean {', '.join(near)}?" if near else f"Codes begin with {prefixes}."
    return UsageError(f"there is no rule {text[:40]!r}", hint=hint)
