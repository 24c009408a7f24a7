"""The rows of every index, put together by photograph."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from conceptset.geometry import check_size
from conceptset.layout import names
from conceptset.repair.files import Files
from conceptset.repair.labels import Labels
from conceptset.repair.ledger import Ledger
from conceptset.repair.sheets import Row, Sheet, Tables, number_in
from conceptset.validate.context import is_mask

_DECIMAL = re.compile(r"[0-9]{1,9}(\.0*)?")


class Entry(NamedTuple):
    """One entry of a cell: the file of a map, or the new number of a whole-image label."""

    map: str
    number: int = 0


@dataclass(slots=True)
class Listing:
    """A photograph as one index lists it.

    Attributes:
        path: The index.
        line: Its line there.
        cells: Entries by category, under its new name; empty ones left out.
        map_size: sh and sw as stated, None where they are no numbers.
        image_size: ih and iw as stated.
        split: As stated, perhaps empty.
    """

    path: str
    line: int
    cells: dict[str, list[Entry]] = field(default_factory=dict)
    map_size: tuple[int, int] | None = None
    image_size: tuple[int, int] | None = None
    split: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading an index needs to know.

    Attributes:
        files: The files of the set.
        labels: Names and numbers.
        categories: Category as the tables call it to its new name.
        ours: Whether the set has masks that no index may name.
        ledger: Where notes go.
    """

    files: Files
    labels: Labels
    categories: Mapping[str, str]
    ours: bool
    ledger: Ledger


def columns_with_files(index: Sheet, files: Files) -> set[str]:
    """Columns of an index, other than the fixed ones, of which a cell names a file."""
    others = [column for column in index.header if column not in names.FIXED_COLUMNS]
    return {
        column
        for column in others
        for row in index.rows
        if any(
            entry.strip() and files.locate(entry.strip(), _folder(row.cells.get("image", "")))
            for entry in row.cells[column].split(";")
        )
    }


def read_rows(tables: Tables, reading: Reading) -> dict[str, Listing]:
    """The photographs an index lists, by their file; rows of one photograph are united."""
    index, ledger = tables.index, reading.ledger
    for line in index.broken:
        text = "has more cells than the header, so no cell is sure; the row is left out"
        ledger.lost("LAY007", text, index.path, line)
    _tell_columns(index, reading)
    listings: dict[str, Listing] = {}
    for row in index.rows if index.has("image") else ():
        image = _photograph(row, index, reading)
        if image is None:
            continue
        listing = _listing(row, index, image, reading)
        first = listings.setdefault(image, listing)
        if first is not listing:
            _unite(first, listing, image, ledger)
    if list(listings) != sorted(listings):
        ledger.changed("IDX009", "indexes sorted by photograph")
    return listings


def _tell_columns(index: Sheet, reading: Reading) -> None:
    """Report columns that are no category and still say something."""
    for column in index.header:
        if column in names.FIXED_COLUMNS or column in reading.categories:
            continue
        filled = [row for row in index.rows if row.cells[column]]
        if filled:
            text = f"the column {column[:80]!r} is no category of the set; it is left out"
            reading.ledger.lost("IDX012", text, index.path, 1, column[:80])
        else:
            reading.ledger.changed("IDX012", "empty columns of no category taken out")


def _photograph(row: Row, index: Sheet, reading: Reading) -> str | None:
    text = row.cells["image"]
    found = reading.files.locate(text) if text else None
    if found is None:
        unsafe = text.replace("\\", "/").removeprefix("images/") in reading.files.outside
        why = "is a link that leads out of the set" if unsafe else "does not exist"
        message = f"the photograph {text[:200]!r} {why}; its row is left out"
        reading.ledger.lost(
            "LAY013" if unsafe else "IDX002", message, index.path, row.line, "image"
        )
    elif found != text:
        reading.ledger.changed("LAY012", "paths written as the files lie below images/")
    return found


def _listing(row: Row, index: Sheet, image: str, reading: Reading) -> Listing:
    cells, ledger = row.cells, reading.ledger
    if row.is_short:
        text = f"has fewer cells than the header; those of {image} that it lacks are taken as empty"
        ledger.lost("LAY007", text, index.path, row.line)
    listing = Listing(
        index.path,
        row.line,
        map_size=_size(cells.get("sh", ""), cells.get("sw", "")),
        image_size=_size(cells.get("ih", ""), cells.get("iw", "")),
        split=cells.get("split", ""),
    )
    for column, category in reading.categories.items():
        if column in names.FIXED_COLUMNS or not cells.get(column):
            continue
        entries = list(_entries(cells[column], column, row, index, image, reading))
        if entries:
            listing.cells[category] = entries
    _tell_repeated(listing, ledger)
    return listing


def _entries(
    cell: str, column: str, row: Row, index: Sheet, image: str, reading: Reading
) -> Iterator[Entry]:
    """The entries of a cell that mean something."""
    ledger = reading.ledger
    for text in cell.split(";"):
        entry = text.strip()
        if entry != text or not entry:
            ledger.changed("IDX006", "empty entries and blanks taken out of cells")
        if not entry:
            continue
        if _DECIMAL.fullmatch(entry):
            number = number_in(entry) or 0
            if number == 0:
                ledger.changed("IDX007", "whole-image labels 0 taken out")
            elif number not in reading.labels.numbers:
                message = f"the label {number} of {image} has no name; it is left out"
                ledger.lost("IDX008", message, index.path, row.line, column)
            else:
                if not entry.isdecimal():
                    ledger.changed("IDX008", "whole-image labels written as whole numbers")
                yield Entry("", reading.labels.numbers[number])
            continue
        found = _map(entry, column, row, index, image, reading)
        if found is not None:
            yield Entry(found)


def _map(
    entry: str, column: str, row: Row, index: Sheet, image: str, reading: Reading
) -> str | None:
    ledger = reading.ledger
    found = reading.files.locate(entry, _folder(image))
    if found is None:
        outside = entry in reading.files.outside
        why = "is a link that leads out of the set" if outside else "does not exist"
        text = f"the label map {entry[:200]!r} of {image} {why}; it is left out"
        ledger.lost("LAY013" if outside else "SEG001", text, index.path, row.line, column)
        return None
    if reading.ours and is_mask(found):
        ledger.changed("SEG016", "masks taken out of cells")
        return None
    if found != entry:
        ledger.changed("LAY012", "paths written as the files lie below images/")
    return found


def _tell_repeated(listing: Listing, ledger: Ledger) -> None:
    """Take out what a row names a second time; a map belongs to the first column that names it."""
    seen: set[str] = set()
    for category, entries in listing.cells.items():
        kept = [e for e in dict.fromkeys(entries) if not e.map or e.map not in seen]
        seen.update(entry.map for entry in kept if entry.map)
        ledger.changed(
            "IDX010", "maps and labels that a row names again taken out", len(entries) - len(kept)
        )
        listing.cells[category] = kept


def _unite(first: Listing, second: Listing, image: str, ledger: Ledger) -> None:
    """Bring the cells of a second row of a photograph into the first, where that one is silent."""
    first.split = first.split or second.split
    first.map_size = first.map_size or second.map_size
    lost = [c for c, entries in second.cells.items() if first.cells.get(c, entries) != entries]
    for category, entries in second.cells.items():
        first.cells.setdefault(category, entries)
    if lost:
        text = (
            f"{image} is in line {first.line} already with other cells in {', '.join(lost)}; "
            "those of the first row are kept"
        )
        ledger.lost("IDX001", text, second.path, second.line, "image")
    else:
        ledger.changed("IDX001", "rows of one photograph united")


def without_photographs(listings: Sequence[dict[str, Listing]], ledger: Ledger) -> None:
    """Take photographs that are named as label maps out of the cells."""
    images = {image for one in listings for image in one}
    for one in listings:
        for listing in one.values():
            for category, entries in listing.cells.items():
                kept = [entry for entry in entries if entry.map not in images]
                for entry in entries:
                    if entry.map in images:
                        text = f"the photograph {entry.map} is named as a label map; left out"
                        ledger.lost("IDX017", text, listing.path, listing.line, category)
                listing.cells[category] = kept


def usual_splits(splits: Sequence[str]) -> dict[str, str]:
    """Each spelling of a split to the usual one: the most frequent of those that differ in case.

    >>> usual_splits(["train", "Train", "train", "val"])
    {'train': 'train', 'Train': 'train', 'val': 'val'}
    """
    counts = Counter(split for split in splits if split)
    usual: dict[str, str] = {}
    for split, _ in counts.most_common():
        usual.setdefault(split.casefold(), split)
    return {split: usual[split.casefold()] for split in counts}


def _folder(image: str) -> str:
    return image.replace("\\", "/").rpartition("/")[0]


def _size(height: str, width: str) -> tuple[int, int] | None:
    """A stated size, None where no image has it."""
    rows, columns = number_in(height), number_in(width)
    if rows is None or columns is None:
        return None
    try:
        check_size((rows, columns))
    except ValueError:
        return None
    return rows, columns
