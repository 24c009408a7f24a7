"""Tables as hands and spreadsheets leave them, read for what they still say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conceptset.errors import ConceptsetError
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import read_table
from conceptset.layout import names
from conceptset.repair.ledger import Ledger

_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0*)?")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        line: Its line in the file.
        cells: By column, without surrounding blanks.
        is_short: It has fewer cells than the header; those it lacks are empty here.
    """

    line: int
    cells: dict[str, str]
    is_short: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table, or what is left of it.

    Attributes:
        path: Relative to the set.
        fault: Why there is nothing to read; None where there is. `does not exist` for no file.
        header: Columns, each once; the fixed ones in lower case.
        rows: Its rows.
        broken: Lines of rows with surplus cells, which belong to no column; not in `rows`.
    """

    path: str
    fault: str | None = None
    header: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    broken: tuple[int, ...] = field(default=())

    @property
    def is_missing(self) -> bool:
        """Whether there is no such file."""
        return self.fault == _MISSING

    def has(self, *columns: str) -> bool:
        """Whether it can be read and has these columns."""
        return self.fault is None and set(columns) <= set(self.header)


_MISSING = "does not exist"


def load_sheet(root: Path, name: str, ledger: Ledger) -> Sheet:
    """The table `name` of a set.

    Columns that come twice are joined where they agree; cells beyond the header are cut off where
    they are empty.
    """
    try:
        path = resolve_inside(root, name)
        if not path.is_file():
            return Sheet(name, _MISSING)
        table = read_table(path)
    except ConceptsetError as error:
        place = f" ({error.pointer})" if error.pointer else ""
        return Sheet(name, f"{error.message}{place}")
    header = tuple(_column(text) for text in table.header)
    rows: list[Row] = []
    broken: list[int] = []
    for line, cells in zip(table.lines, table.rows, strict=True):
        surplus = cells[len(header) :]
        if any(cell.strip() for cell in surplus):
            broken.append(line)
            continue
        if surplus:
            ledger.changed("LAY007", "empty cells beyond the header cut off")
        filled = [cell.strip() for cell in cells[: len(header)]]
        filled += [""] * (len(header) - len(cells))
        row = _joined(name, header, filled, line, ledger)
        rows.append(Row(line, row, is_short=len(cells) < len(header)))
    if len(set(header)) < len(header):
        ledger.changed("LAY008", "columns of one name joined")
    return Sheet(name, None, tuple(dict.fromkeys(header)), tuple(rows), tuple(broken))


def _column(text: str) -> str:
    name = text.strip()
    known = (*names.FIXED_COLUMNS, "number", "name", "syns", "annotator", "session", "directory")
    return name.lower() if name.lower() in known else name


def _joined(
    path: str, header: Sequence[str], cells: Sequence[str], line: int, ledger: Ledger
) -> dict[str, str]:
    result: dict[str, str] = {}
    for column, cell in zip(header, cells, strict=True):
        first = result.setdefault(column, cell)
        if first != cell and not first:
            result[column] = cell
        elif first != cell and cell:
            text = f"the second column {column!r} says {cell[:80]!r}, the first one is taken"
            ledger.lost("LAY008", text, path, line, column)
    return result


def number_in(text: str) -> int | None:
    """A whole number as people and spreadsheets write it, or None.

    >>> number_in(" 12"), number_in("12.0"), number_in("1e1"), number_in("-1")
    (12, 12, None, None)
    """
    match = _NUMBER.fullmatch(text.strip())
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that stand beside one index.

    Attributes:
        folder: Empty for the root's, `annotators/ada/` for a person's.
        index, label, category: As they are.
        concepts: The table of each category that has one, also where category.csv is silent.
    """

    folder: str
    index: Sheet
    label: Sheet
    category: Sheet
    concepts: dict[str, Sheet]

    def named(self) -> Iterator[Sheet]:
        """The tables that give numbers their names, the strongest first."""
        yield self.label
        yield from self.concepts.values()


def load_tables(root: Path, folder: str, ledger: Ledger) -> Tables:
    """The tables in one folder of a set; what is missing there is no error yet."""

    def sheet(name: str) -> Sheet:
        return load_sheet(root, folder + name, ledger)

    category = sheet(names.CATEGORIES)
    listed = [row.cells["name"] for row in category.rows] if category.has("name") else []
    own = root / folder if folder else root
    found = sorted(
        path.name[2:-4] for path in own.glob("c_*.csv") if path.is_file() and len(path.name) > 6
    )
    concepts = {
        name: sheet(names.category_table(name))
        for name in dict.fromkeys([*filter(None, listed), *found])
        if name in found
    }
    return Tables(folder, sheet(names.INDEX), sheet(names.LABELS), category, concepts)
