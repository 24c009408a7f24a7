"""An index with its label tables, parsed for the rules: the root's, and each annotator's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conceptset.errors import UnsafeError
from conceptset.io.paths import relative_name
from conceptset.layout import names
from conceptset.validate.facts import Size
from conceptset.validate.sheets import Line, Sheet, load_sheet, whole

FIGURES = ("frequency", "coverage")
_FOREIGN = {
    names.INDEX: ("image", "ih", "iw", "sh", "sw"),
    names.LABELS: ("number", "name"),
    names.CATEGORIES: ("name",),
}


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A row of an index.

    Attributes:
        line: Its line in the file.
        image: The photograph as written.
        split: As written; empty if there is no such column.
        image_size: (height, width) of the photograph; None where ih or iw is no such number.
        map_size: The same for its label maps.
        cells: Per category column the `;` list as written, entry by entry; empty cells left out.
    """

    line: int
    image: str
    split: str
    image_size: Size | None
    map_size: Size | None
    cells: Mapping[str, tuple[str, ...]]

    def maps(self) -> Iterator[tuple[str, str]]:
        """(category, label map) of every named map."""
        for category, entries in self.cells.items():
            for entry in entries:
                if (text := entry.strip()) and not text.isdecimal():
                    yield category, text

    def numbers(self) -> Iterator[tuple[str, int]]:
        """(category, label number) of every whole-image label; 0 says nothing."""
        for category, entries in self.cells.items():
            for entry in entries:
                if (number := whole(entry.strip())) is not None and number != 0:
                    yield category, number


@dataclass(frozen=True)
class View:
    """One index with the tables beside it.

    Attributes:
        folder: Where they lie, relative to the set: empty, or `annotators/ada/`.
        index, label, category: The tables.
        concepts: The table of each category, also of stray ones.
        stray: Categories that have a table and no row in category.csv.
        columns: Index columns that are read as categories.
        rows: The rows of the index.
    """

    folder: str
    index: Sheet
    label: Sheet
    category: Sheet
    concepts: Mapping[str, Sheet]
    stray: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[IndexRow, ...]

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The names in category.csv."""
        return tuple(dict.fromkeys(line.cells["name"] for line in self.category.lines))

    @cached_property
    def label_names(self) -> dict[int, str]:
        """Label number to name, by the first row of each in label.csv."""
        return {
            line.number: line.cells["name"]
            for line in reversed(self.label.lines)
            if line.number is not None
        }

    @property
    def lists_labels(self) -> bool:
        """Whether a number that label.csv does not list is really unknown."""
        return self.label.usable and all(line.number is not None for line in self.label.lines)

    @cached_property
    def by_image(self) -> dict[str, IndexRow]:
        """The first row of each photograph."""
        result: dict[str, IndexRow] = {}
        for row in self.rows:
            result.setdefault(row.image, row)
        return result

    @property
    def sheets(self) -> Iterator[Sheet]:
        """All its tables."""
        yield from (self.index, self.label, self.category)
        yield from self.concepts.values()


def required_columns(name: str, *, ours: bool) -> tuple[str, ...]:
    """The columns a table cannot be read without; ours have all they were written with."""
    return _all_columns(name) if ours else _FOREIGN.get(name, ("number", "name"))


def lacking(sheet: Sheet) -> tuple[str, ...]:
    """Columns of Broden's that a table of a foreign layout has not, and is read without."""
    if sheet.fault is not None:
        return ()
    held = {*sheet.header, *sheet.required}
    return tuple(column for column in _all_columns(sheet.path) if column not in held)


def _all_columns(name: str) -> tuple[str, ...]:
    name = name.rpartition("/")[2]
    return names.FIXED_COLUMNS if name == names.INDEX else names.columns_of(name)


def load_view(root: Path, folder: str, *, ours: bool, above: Sequence[str] = ()) -> View:
    """The index and tables in one folder of a set.

    Args:
        root: The set.
        folder: Empty, or `annotators/ada/`.
        ours: Whether the set follows our own, stricter contract.
        above: Categories of the root, which an annotator's index may name as well.
    """

    def sheet(name: str) -> Sheet:
        return load_sheet(root, folder + name, required_columns(name, ours=ours))

    index, label, category = sheet(names.INDEX), sheet(names.LABELS), sheet(names.CATEGORIES)
    own = tuple(dict.fromkeys(line.cells["name"] for line in category.lines))
    stray = _stray_categories(root / folder, own)
    concepts = {name: sheet(names.category_table(name)) for name in (*own, *stray) if _plain(name)}
    known = {*own, *stray, *above} if category.usable else None
    columns = tuple(
        column
        for column in dict.fromkeys(index.header)
        if column not in names.FIXED_COLUMNS and (known is None or column in known)
    )
    rows = tuple(_index_row(line, columns) for line in index.lines)
    return View(folder, index, label, category, concepts, stray, columns, rows)


def _stray_categories(folder: Path, own: Sequence[str]) -> tuple[str, ...]:
    """Categories that have a table in the folder and are not among the known ones."""
    if not folder.is_dir():
        return ()
    head, tail = names.category_table("\0").split("\0")
    found = (path.name for path in folder.glob(f"{head}*{tail}"))
    categories = sorted(name[len(head) : -len(tail)] for name in found)
    return tuple(category for category in categories if category not in own)


def _plain(category: str) -> bool:
    """Whether a category's table has a file name at all."""
    return safe_name(category) == category and "/" not in category and category != ""


def _index_row(line: Line, columns: Sequence[str]) -> IndexRow:
    cells = line.cells
    return IndexRow(
        line.line,
        cells["image"],
        cells.get("split", ""),
        _size(cells["ih"], cells["iw"]),
        _size(cells["sh"], cells["sw"]),
        {name: tuple(cells[name].split(";")) for name in columns if cells[name]},
    )


def _size(height: str, width: str) -> Size | None:
    rows, columns = whole(height), whole(width)
    return (rows, columns) if rows and columns else None


def safe_name(name: str) -> str | None:
    """The clean form of a name below images/; None if it leads elsewhere."""
    try:
        return relative_name(name)
    except UnsafeError:
        return None


def list_files(folder: Path) -> tuple[list[str], list[str]]:
    """(files, symbolic links) below a folder, relative to it, sorted; links are not followed."""
    files: list[str] = []
    links: list[str] = []
    pending = [""] if folder.is_dir() else []
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_symlink():
                    links.append(name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                else:
                    files.append(name)
    return sorted(files), sorted(links)
