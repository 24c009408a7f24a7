"""Tables as the rules see them: every row with its line, every fault as data."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptset.errors import ConceptsetError, UnsafeError
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import read_table
from conceptset.validate.facts import Fault

_WHOLE = re.compile(r"[0-9]{1,18}")
_FIGURE = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_LINE = re.compile(r"line (\d+)")


@dataclass(frozen=True, slots=True)
class Line:
    """A complete row of a table.

    Attributes:
        line: Where it begins in the file, from 1.
        cells: By column.
        number: The cell `number` where the table has one and it is a whole number.
    """

    line: int
    cells: dict[str, str]
    number: int | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """One CSV file.

    Attributes:
        path: Relative to the set.
        required: Columns it must have.
        fault: Why it could not be read.
        fault_line: Where reading stopped, if that is known.
        header: Its columns.
        lines: Its complete rows; empty where a required column is missing.
        ragged: (line, cells) of rows with another number of cells than the header.
    """

    path: str
    required: tuple[str, ...]
    fault: Fault | None = None
    fault_line: int | None = None
    header: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    ragged: tuple[tuple[int, int], ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Required columns that a readable table lacks."""
        if self.fault is not None:
            return ()
        return tuple(column for column in self.required if column not in self.header)

    @property
    def usable(self) -> bool:
        """Whether its rows are all there: what it does not list is then really missing."""
        return self.fault is None and not self.missing and not self.ragged


def load_sheet(root: Path, name: str, required: Sequence[str]) -> Sheet:
    """The table `name` of a set; never raises for what is in it."""
    needed = tuple(required)
    try:
        path = resolve_inside(root, name)
    except UnsafeError as error:
        return Sheet(name, needed, Fault("outside", error.message))
    if not path.exists():
        return Sheet(name, needed, Fault("missing", "does not exist"))
    if not path.is_file():
        return Sheet(name, needed, Fault("broken", "is no file"))
    try:
        table = read_table(path)
    except ConceptsetError as error:
        at = _LINE.fullmatch(error.pointer or "")
        return Sheet(name, needed, Fault("broken", error.message), int(at[1]) if at else None)
    width = len(table.header)
    complete = set(needed) <= set(table.header)
    rows = tuple(zip(table.lines, table.rows, strict=True))
    lines = tuple(
        _line(line, dict(zip(table.header, row, strict=True)))
        for line, row in rows
        if complete and len(row) == width
    )
    ragged = tuple((line, len(row)) for line, row in rows if len(row) != width)
    return Sheet(name, needed, header=table.header, lines=lines, ragged=ragged)


def _line(line: int, cells: dict[str, str]) -> Line:
    return Line(line, cells, whole(cells.get("number", "")))


def whole(text: str) -> int | None:
    """A non-negative whole number, or None.

    >>> whole("12"), whole(" 12"), whole("1.0"), whole("-1")
    (12, None, None, None)
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def figure(text: str) -> float | None:
    """A finite number that is not negative, with or without an exponent, or None.

    >>> figure("0.5"), figure("9e-05"), figure("nan"), figure("-1")
    (0.5, 9e-05, None, None)
    """
    if not _FIGURE.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) and value >= 0 else None


def has_exponent(text: str) -> bool:
    """Whether a number is written with an exponent.

    >>> has_exponent("9e-05"), has_exponent("0.00009"), has_exponent("red")
    (True, False, False)
    """
    return "e" in text.lower() and figure(text) is not None
