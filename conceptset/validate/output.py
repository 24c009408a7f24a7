"""A report as text, JSON, SARIF or annotations of GitHub; the same report gives the same bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from conceptset import __version__
from conceptset.errors import UsageError, printable
from conceptset.findings import Finding, Severity
from conceptset.validate.catalogue import rules
from conceptset.validate.checker import Report

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def format_report(report: Report, format: str = "text", limit: int | None = None) -> str:
    """The report in one of five forms.

    Args:
        report: What `validate` returned.
        format: `text` to read, `json` one document, `jsonl` one finding a line, `sarif` for code
            hosts, `github` for the log of an action.
        limit: List at most so many findings; the text says how many were left out.

    Raises:
        UsageError: There is no such format.
    """
    if format not in _WRITERS:
        raise UsageError(f"there is no format {format!r}", hint=f"Use {', '.join(_WRITERS)}.")
    shown = report.findings if limit is None else report.findings[: max(0, limit)]
    return _WRITERS[format](report, shown, len(report.findings) - len(shown))


def _place(finding: Finding) -> str:
    place = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    return printable(place)


def _detail(finding: Finding) -> str:
    """The message, and where in the line or picture it is meant."""
    text = finding.message
    if finding.pointer:
        text += f" [{finding.pointer}]"
    if finding.pixel is not None:
        text += f" [row {finding.pixel[0]}, column {finding.pixel[1]}]"
    return printable(text, 2000)


def _text(report: Report, shown: Sequence[Finding], left_out: int) -> str:
    lines: list[str] = []
    hinted: set[str] = set()
    for finding in shown:
        level = "" if finding.severity is Severity.ERROR else f" ({finding.severity})"
        lines.append(f"{_place(finding)}: {finding.code}{level} {_detail(finding)}")
        if finding.code not in hinted:
            hinted.add(finding.code)
            lines.append(f"    hint: {printable(finding.hint, 2000)}")
    if left_out:
        lines.append(f"... and {_count(left_out, 'more finding')}, left out by the limit.")
    counts = Counter(finding.code for finding in report.findings)
    if counts:
        lines.append("")
        known = rules()
        for code, count in sorted(counts.items()):
            lines.append(f"{count:>7}  {code}  {known[code].what}")
        lines.append("")
    looked = f"{_count(report.images, 'image')} and {_count(report.maps, 'label map')}"
    found = f"{_count(report.errors, 'error')}, {_count(report.warnings, 'warning')}"
    lines.append(f"Checked {looked}: {found if counts else 'nothing found'}.")
    return "\n".join(lines) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _dump(value: object, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, sort_keys=True)


def _json(report: Report, shown: Sequence[Finding], left_out: int) -> str:
    document = {
        "images": report.images,
        "maps": report.maps,
        "errors": report.errors,
        "warnings": report.warnings,
        "left_out": left_out,
        "findings": [finding.model_dump(mode="json") for finding in shown],
    }
    return _dump(document, indent=2) + "\n"


def _jsonl(report: Report, shown: Sequence[Finding], left_out: int) -> str:
    lines = [_dump(finding.model_dump(mode="json")) for finding in shown]
    if left_out:
        lines.append(_dump({"left_out": left_out}))
    return "".join(f"{line}\n" for line in lines)


def _sarif(report: Report, shown: Sequence[Finding], left_out: int) -> str:
    catalogue = rules()
    codes = sorted({finding.code for finding in shown})
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "conceptset",
                "version": __version__,
                "rules": [
                    {
                        "id": code,
                        "shortDescription": {"text": catalogue[code].what},
                        "fullDescription": {"text": catalogue[code].why},
                        "help": {"text": catalogue[code].fix},
                        "defaultConfiguration": {"level": str(catalogue[code].severity)},
                    }
                    for code in codes
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(finding, codes.index(finding.code)) for finding in shown],
        "properties": {"images": report.images, "maps": report.maps, "leftOut": left_out},
    }
    return _dump({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _sarif_result(finding: Finding, rule_index: int) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.path)}}
    if finding.line is not None:
        place["region"] = {"startLine": finding.line}
    properties: dict[str, Any] = {"hint": finding.hint}
    if finding.pointer is not None:
        properties["pointer"] = finding.pointer
    if finding.pixel is not None:
        properties["pixel"] = list(finding.pixel)
    return {
        "ruleId": finding.code,
        "ruleIndex": rule_index,
        "level": str(finding.severity),
        "message": {"text": f"{_detail(finding)} {finding.hint}"},
        "locations": [{"physicalLocation": place}],
        "properties": properties,
    }


def _github(report: Report, shown: Sequence[Finding], left_out: int) -> str:
    lines = []
    for finding in shown:
        where = f"file={_property(finding.path)}"
        if finding.line is not None:
            where += f",line={finding.line}"
        message = _data(f"{_detail(finding)} {finding.hint}")
        lines.append(f"::{finding.severity} {where},title={finding.code}::{message}")
    if left_out:
        lines.append(f"::notice title=conceptset::{_count(left_out, 'more finding')} left out")
    return "".join(f"{line}\n" for line in lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


_WRITERS: dict[str, Callable[[Report, Sequence[Finding], int], str]] = {
    "text": _text,
    "json": _json,
    "jsonl": _jsonl,
    "sarif": _sarif,
    "github": _github,
}

OUTPUT_FORMATS = tuple(_WRITERS)
