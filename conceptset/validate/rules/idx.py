"""IDX: index.csv, its rows and cells, and the photographs it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from conceptset.findings import Severity
from conceptset.layout import names
from conceptset.validate.context import Context, is_mask
from conceptset.validate.facts import size_text
from conceptset.validate.registry import Mark, rule
from conceptset.validate.sheets import whole

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
_SIDES = ("ih", "iw", "sh", "sw")
_MAX_SIDE = 65_535


@rule("IDX001", _ERROR, foreign=_ERROR)
def image_twice(context: Context) -> Iterator[Mark]:
    """A photograph has two rows in one index.

    It enters every figure twice, and which row counts for its labels depends on the reader.

    Remove one of the rows, or unite their cells.
    """
    for view in context.views:
        for row in view.rows:
            first = view.by_image[row.image]
            if first is not row:
                message = f"{row.image} is in line {first.line} already"
                yield Mark(message, view.index.path, row.line, "image")


@rule("IDX002", _ERROR, foreign=_ERROR)
def photograph_missing(context: Context) -> Iterator[Mark]:
    """A photograph that an index names does not exist.

    Whoever reads the row stops, or silently works on fewer images than the figures say.

    Put the file into images/, or take the row out.
    """
    for view, row, facts in context.photographs:
        if facts.fault is not None and facts.fault.kind == "missing":
            message = f"the photograph {facts.path} does not exist"
            yield Mark(message, view.index.path, row.line, "image")


@rule("IDX003", _ERROR, foreign=_ERROR)
def photograph_broken(context: Context) -> Iterator[Mark]:
    """A photograph cannot be decoded to its last pixel.

    A file cut short opens without complaint and fails, or turns grey, in the middle of a run.

    Copy the photograph again from its origin.
    """
    for view, row, facts in context.photographs:
        if facts.fault is not None and facts.fault.kind == "broken":
            message = f"the photograph {facts.path} {facts.fault.text}"
            yield Mark(message, view.index.path, row.line, "image")


@rule("IDX004", _ERROR, foreign=_ERROR)
def photograph_size(context: Context) -> Iterator[Mark]:
    """ih and iw are not the size of the photograph.

    Masks are laid over it at the wrong scale.

    Write the photograph's height to ih and its width to iw, or restore the photograph.
    """
    for view, row, facts in context.photographs:
        if facts.size and row.image_size and facts.size != row.image_size:
            size, stated = size_text(facts.size), size_text(row.image_size)
            message = f"{facts.path} is {size} (height x width), ih and iw say {stated}"
            yield Mark(message, view.index.path, row.line, "ih")


@rule("IDX005", _ERROR, foreign=_ERROR)
def size_no_number(context: Context) -> Iterator[Mark]:
    """ih, iw, sh or sw is no whole number from 1 to 65535.

    Readers convert the cell to an integer and stop.

    Write the size in pixels, in digits alone.
    """
    for view in context.views:
        for line in view.index.lines:
            for column in _SIDES:
                number = whole(line.cells[column])
                if number is None or not 1 <= number <= _MAX_SIDE:
                    message = f"{column} is {line.cells[column][:40]!r}, a size was expected"
                    yield Mark(message, view.index.path, line.line, column)


@rule("IDX006", _ERROR, foreign=None)
def empty_entry(context: Context) -> Iterator[Mark]:
    """A cell has an empty entry, or blanks around one.

    `a.png;;b.png` and `a.png; b.png` are read differently by different programs: some look for a
    file without a name, some for one that begins with a blank.

    Join the entries with a single `;` and nothing else.
    """
    for view in context.views:
        for row in view.rows:
            for column, entries in row.cells.items():
                if any(entry == "" or entry != entry.strip() for entry in entries):
                    message = f"the cell {';'.join(entries)[:120]!r} has an empty or padded entry"
                    yield Mark(message, view.index.path, row.line, column)


@rule("IDX007", _ERROR, foreign=_WARNING)
def label_zero(context: Context) -> Iterator[Mark]:
    """A cell gives the whole image the label 0.

    0 means unlabelled, but a peer counts it as a label, and its report then fails.

    Leave the cell empty.
    """
    for view in context.views:
        found: dict[str, list[int]] = {}
        for row in view.rows:
            for column, entries in row.cells.items():
                if any(whole(entry.strip()) == 0 for entry in entries):
                    found.setdefault(column, []).append(row.line)
        for column, lines in found.items():
            count = f"{len(lines)} rows give" if len(lines) > 1 else "gives"
            message = f"{count} the whole image the label 0"
            yield Mark(message, view.index.path, lines[0], column)


@rule("IDX008", _ERROR, foreign=_ERROR)
def unknown_whole_label(context: Context) -> Iterator[Mark]:
    """A cell gives the whole image a label that label.csv does not list.

    The label has no name; readers look it up and stop, or show a number.

    Correct the number, or add the label to label.csv.
    """
    if not context.root.lists_labels:
        return
    for view in context.views:
        for row in view.rows:
            for column, number in row.numbers():
                if number not in context.root.label_names:
                    message = f"the label {number} is not in {names.LABELS}"
                    yield Mark(message, view.index.path, row.line, column)


@rule("IDX009", _WARNING, foreign=None)
def unsorted_rows(context: Context) -> Iterator[Mark]:
    """The rows of an index are not in the order of the photographs' names.

    Two builds of the same images can then not be compared row by row, and shards differ.

    Sort the rows by the column image.
    """
    for view in context.views:
        for before, row in zip(view.rows, view.rows[1:], strict=False):
            if row.image < before.image:
                message = f"{row.image} comes after {before.image}"
                yield Mark(message, view.index.path, row.line, "image")
                break


@rule("IDX010", _ERROR, foreign=_ERROR)
def entry_twice(context: Context) -> Iterator[Mark]:
    """A row names one map twice, or one whole-image label twice in a cell.

    Peers read it twice, and every label in it counts double.

    Name it once.
    """
    for view in context.views:
        for row in view.rows:
            maps = Counter(name for _, name in row.maps())
            for column, name in dict.fromkeys(row.maps()):
                if maps[name] > 1:
                    message = f"the map {name} is named {maps[name]} times"
                    yield Mark(message, view.index.path, row.line, column)
                    maps[name] = 0
            for (column, number), count in Counter(row.numbers()).items():
                if count > 1:
                    message = f"the label {number} is named {count} times"
                    yield Mark(message, view.index.path, row.line, column)


@rule("IDX011", _WARNING, foreign=_WARNING)
def shared_map(context: Context) -> Iterator[Mark]:
    """Two photographs name the same label map.

    One of them is most likely labelled with the other's pixels.

    Give each photograph its own map.
    """
    owners: dict[str, str] = {}
    for view in context.views:
        for row in view.rows:
            for column, name in dict.fromkeys(row.maps()):
                owner = owners.setdefault(name, row.image)
                if owner != row.image:
                    message = f"the map {name} belongs to {owner} already"
                    yield Mark(message, view.index.path, row.line, column)


@rule("IDX012", _ERROR, foreign=_WARNING)
def column_no_category(context: Context) -> Iterator[Mark]:
    """An index has a column that category.csv does not list.

    Nobody reads the labels in it.

    Add the category to category.csv with its c_ table, or remove the column.
    """
    for view in context.views:
        if not view.category.usable:
            continue
        filled = {
            column for line in view.index.lines for column, cell in line.cells.items() if cell
        }
        for column in dict.fromkeys(view.index.header):
            if column in (*names.FIXED_COLUMNS, *view.categories, *view.stray):
                continue
            if view.folder == "" or column in filled:
                message = f"the column {column[:80]!r} is no category in {view.category.path}"
                yield Mark(message, view.index.path, 1, column[:80])


@rule("IDX013", _ERROR, foreign=_ERROR)
def category_no_column(context: Context) -> Iterator[Mark]:
    """A category in category.csv has no column in the index.

    Readers look for the column by name and stop.

    Add the column, or remove the category and its c_ table.
    """
    for view in context.views:
        if not view.index.usable:
            continue
        for line in view.category.lines:
            if line.cells["name"] not in view.index.header:
                message = f"the category {line.cells['name'][:80]!r} has no column"
                yield Mark(message, view.index.path, 1, line.cells["name"][:80])


@rule("IDX014", _WARNING, foreign=_WARNING)
def image_unlabelled(context: Context) -> Iterator[Mark]:
    """A photograph carries no label in any category.

    Peers leave such rows out, so their rows and ours no longer have the same numbers.

    Label the photograph, or take the row out; keep it where nothing to label was meant.
    """
    for row in context.root.rows:
        if not any(entry.strip().strip("0") for cell in row.cells.values() for entry in cell):
            yield Mark(f"{row.image} carries no label", names.INDEX, row.line, "image")


@rule("IDX015", _ERROR, foreign=_ERROR)
def index_empty(context: Context) -> Iterator[Mark]:
    """index.csv has no rows.

    There is nothing to look at, and programs divide by the number of images.

    Build the set from at least one image.
    """
    index = context.root.index
    if index.usable and not index.lines and not index.ragged:
        yield Mark("lists no photograph", index.path, 1)


@rule("IDX016", _WARNING, foreign=_WARNING)
def photograph_turned(context: Context) -> Iterator[Mark]:
    """A photograph carries an EXIF orientation other than upright.

    Label maps fit the pixels as they are stored; a program that obeys the orientation turns the
    photograph and not the map.

    Store the photograph upright, without the orientation tag.
    """
    for view, row, facts in context.photographs:
        if facts.orientation != 1:
            message = f"{facts.path} has the EXIF orientation {facts.orientation}"
            yield Mark(message, view.index.path, row.line, "image")


@rule("IDX017", _ERROR, foreign=_ERROR)
def photograph_as_map(context: Context) -> Iterator[Mark]:
    """A file is named both as a photograph and as a label map.

    Its colours would be read as label numbers.

    Name the label map of the image, and give photographs and maps different names.
    """
    images = {row.image for view in context.views for row in view.rows}
    for view in context.views:
        for row in view.rows:
            for column, name in dict.fromkeys(row.maps()):
                if name in images and not is_mask(name):
                    message = f"the photograph {name} is named as a label map"
                    yield Mark(message, view.index.path, row.line, column)
