"""A concept set opened for use: ours, or a foreign Broden layout without a manifest.

Opening is strict about what is needed and silent about the rest; `conceptset validate` is the
place that lists every defect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from conceptset.errors import LayoutError, UsageError
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import Table, read_json, read_table
from conceptset.layout import names
from conceptset.layout.models import AnnotatorRow, Manifest

_HINT = "Run 'conceptset validate' on the set for the whole list of defects."


@dataclass(frozen=True, slots=True)
class Cell:
    """What one image has in one category.

    Attributes:
        maps: Label maps, relative to images/.
        labels: Label numbers that hold for the whole image; never 0.
    """

    maps: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()


def parse_cell(text: str) -> Cell:
    """A `;` list of maps and whole-image labels; empty entries and the label 0 say nothing.

    >>> parse_cell("a_part_1.png;a_part_2.png"), parse_cell("12;0")
    (Cell(maps=('a_part_1.png', 'a_part_2.png'), labels=()), Cell(maps=(), labels=(12,)))
    """
    entries = [entry.strip() for entry in text.split(";")]
    maps = tuple(entry for entry in entries if entry and not entry.isdecimal())
    labels = tuple(int(entry) for entry in entries if entry.isdecimal() and int(entry) != 0)
    return Cell(maps, labels)


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A row of an index.

    Attributes:
        row: Place in the index, from 0.
        image: Photograph, relative to images/.
        split: Its part of the set; empty if the index has no such column.
        image_size: (height, width) of the photograph.
        map_size: (height, width) of its label maps.
        cells: By category, only those that say something.
    """

    row: int
    image: str
    split: str
    image_size: tuple[int, int]
    map_size: tuple[int, int]
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class CategoryLabel:
    """One label in the table of one category."""

    number: int
    name: str
    frequency: int
    coverage: float


@dataclass(frozen=True)
class ConceptSet:
    """A concept set.

    Attributes:
        root: Its directory.
        manifest: None for a foreign layout.
        names: Label number to name.
        categories: In the order of category.csv.
        tables: Per category, its labels in the order of its own table.
        entries: The rows of the index that was opened.
    """

    root: Path
    manifest: Manifest | None
    names: Mapping[int, str]
    categories: tuple[str, ...]
    tables: Mapping[str, tuple[CategoryLabel, ...]]
    entries: tuple[IndexEntry, ...]

    def file(self, name: str) -> Path:
        """The path of a photograph or map that an index names.

        Raises:
            UnsafeError: The name leads out of the set.
        """
        return resolve_inside(self.root / names.IMAGE_FOLDER, name)

    @cached_property
    def annotators(self) -> tuple[AnnotatorRow, ...]:
        """The rows of annotators.csv; none in a foreign layout."""
        path = self.root / names.ANNOTATORS
        if not path.is_file():
            return ()
        return tuple(
            AnnotatorRow.model_validate(record) for _, record in read_table(path).records()
        )

    def primary(self, categories: Sequence[str] | None = None) -> dict[int, str]:
        """The primary category of every label.

        It is the enabled category in whose table the label has the largest coverage; ties, and
        labels of no enabled category, go to the later one, as the peers' programs decide.
        """
        enabled = self.categories if categories is None else tuple(categories)
        best = dict.fromkeys(self.names, (-math.inf, enabled[-1]))
        for category in enabled:
            for label in self.tables[category]:
                if label.number in best and label.coverage >= best[label.number][0]:
                    best[label.number] = (label.coverage, category)
        return {number: category for number, (_, category) in best.items()}


def open_manifest(root: Path) -> Manifest | None:
    """The manifest of a set, None for a foreign layout.

    Raises:
        LayoutError: The directory is no concept set, or a build that never finished.
    """
    if not root.is_dir():
        raise LayoutError("is no directory", path=root, hint="A concept set was expected.")
    path = root / names.MANIFEST
    if path.is_file():
        try:
            return Manifest.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            raise LayoutError(
                first["msg"], path=path, pointer="/" + "/".join(map(str, first["loc"])), hint=_HINT
            ) from error
    if ".partial-" in root.resolve().name or (root / names.IMAGES).is_file():
        raise LayoutError(
            f"has no {names.MANIFEST}: its build never finished",
            path=root,
            hint="Build it again; a directory without a manifest can be deleted.",
        )
    if not (root / names.INDEX).is_file():
        raise LayoutError(
            f"has neither {names.MANIFEST} nor {names.INDEX}",
            path=root,
            hint="A concept set was expected.",
        )
    return None


def open_concept_set(root: Path, index: str = names.INDEX) -> ConceptSet:
    """Open a concept set, or a foreign layout, for reading.

    Args:
        root: Its directory.
        index: The index to use, relative to `root`; an annotator's for instance.

    Raises:
        LayoutError: A table is missing or a cell that is needed cannot be read.
    """
    manifest = open_manifest(root)
    labels = read_table(root / names.LABELS)
    by_number = {
        integer(labels, line, record, "number"): record.get("name", "")
        for line, record in labels.records()
    }
    categories = tuple(
        record["name"]
        for _, record in require(read_table(root / names.CATEGORIES), "name").records()
    )
    if not categories:
        raise LayoutError("lists no category", path=root / names.CATEGORIES, hint=_HINT)
    tables = {category: _category_labels(root, category) for category in categories}
    entries = read_index(root, index, categories)
    return ConceptSet(root, manifest, by_number, categories, tables, entries)


def read_index(root: Path, index: str, categories: Sequence[str]) -> tuple[IndexEntry, ...]:
    """The rows of one index of a set.

    Args:
        root: The set's directory.
        index: Relative to it.
        categories: All categories of the set.

    Raises:
        LayoutError: A cell that is needed cannot be read.
        UsageError: There is no such index.
    """
    path = resolve_inside(root, index)
    if not path.is_file():
        raise UsageError("there is no such index", path=path, hint="Give one with --index FILE.")
    return tuple(_entries(read_table(path), categories))


def _category_labels(root: Path, category: str) -> tuple[CategoryLabel, ...]:
    path = resolve_inside(root, names.category_table(category))
    table = require(read_table(path), "number", "name")
    return tuple(
        CategoryLabel(
            integer(table, line, record, "number"),
            record["name"],
            int(decimal(table, line, record, "frequency")) if "frequency" in record else 0,
            decimal(table, line, record, "coverage") if "coverage" in record else 0.0,
        )
        for line, record in table.records()
    )


def _entries(table: Table, categories: Sequence[str]) -> list[IndexEntry]:
    require(table, "image", "ih", "iw", "sh", "sw", *categories)
    result = []
    for row, (line, record) in enumerate(table.records()):
        sides = [integer(table, line, record, column) for column in ("ih", "iw", "sh", "sw")]
        cells = {name: parse_cell(record[name]) for name in categories if record[name]}
        result.append(
            IndexEntry(
                row,
                record["image"],
                record.get("split", ""),
                (sides[0], sides[1]),
                (sides[2], sides[3]),
                {name: cell for name, cell in cells.items() if cell.maps or cell.labels},
            )
        )
    return result


def require(table: Table, *columns: str) -> Table:
    """The table itself, if it has these columns.

    Raises:
        LayoutError: One is missing.
    """
    missing = [column for column in columns if column not in table.header]
    if missing:
        raise LayoutError(
            f"has no column {', '.join(missing)}", path=table.path, pointer="line 1", hint=_HINT
        )
    return table


def integer(table: Table, line: int, record: Mapping[str, str], column: str) -> int:
    """A cell as a non-negative integer.

    Raises:
        LayoutError: It is none.
    """
    text = record.get(column, "")
    if not text.strip().isdecimal() or len(text) > 18:
        raise LayoutError(
            f"{column} is {text[:40]!r}, a whole number was expected",
            path=table.path,
            pointer=f"line {line}",
            hint=_HINT,
        )
    return int(text)


def decimal(table: Table, line: int, record: Mapping[str, str], column: str) -> float:
    """A cell as a finite number; an exponent (`9e-05`, as Broden has it) is read.

    Raises:
        LayoutError: It is none.
    """
    try:
        value = float(record[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LayoutError(
            f"{column} is {record[column][:40]!r}, a number was expected",
            path=table.path,
            pointer=f"line {line}",
            hint=_HINT,
        )
    return value
