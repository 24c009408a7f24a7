"""CAT: categories and labels, their names and numbers. Figures are in `cat_figures`."""

from __future__ import annotations

from collections.abc import Iterator

from conceptset.errors import LayoutError
from conceptset.findings import Severity
from conceptset.layout import names
from conceptset.layout.models import MAX_LABEL
from conceptset.validate.context import Context, lines_by_number
from conceptset.validate.registry import Mark, rule

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


@rule("CAT001", _ERROR, foreign=_ERROR)
def concept_table_missing(context: Context) -> Iterator[Mark]:
    """A category has no c_ table.

    Readers open c_<category>.csv for every row of category.csv and stop.

    Restore the table, or remove the category and its index column.
    """
    for view in context.views:
        for line in view.category.lines:
            sheet = view.concepts.get(line.cells["name"])
            if sheet is not None and sheet.fault is not None and sheet.fault.kind == "missing":
                yield Mark(f"{sheet.path} does not exist", view.category.path, line.line, "name")


@rule("CAT002", _ERROR, foreign=_WARNING)
def concept_table_stray(context: Context) -> Iterator[Mark]:
    """A c_ table belongs to no category of category.csv.

    Nobody reads it; most likely the row of its category was lost.

    Add the category to category.csv, or delete the table.
    """
    for view in context.views:
        for category in view.stray if view.category.usable else ():
            message = f"{view.category.path} lists no category {category[:80]!r}"
            yield Mark(message, view.folder + names.category_table(category))


@rule("CAT003", _ERROR, foreign=_WARNING)
def category_name(context: Context) -> Iterator[Mark]:
    """The name of a category cannot be a column and a part of a file name, or is reserved.

    It becomes a column of the index and a part of file names; `image` or `split` would hide a
    fixed column, `..._ignore` would be taken for a mask.

    Use lower-case letters, digits and `_`, a letter first.
    """
    for view in context.views:
        for line in view.category.lines:
            name = line.cells["name"]
            try:
                names.check_category(name)
            except LayoutError as error:
                if context.ours or name in names.FIXED_COLUMNS or name not in view.concepts:
                    yield Mark(error.message, view.category.path, line.line, "name")


@rule("CAT004", _ERROR, foreign=_ERROR)
def category_twice(context: Context) -> Iterator[Mark]:
    """category.csv lists a category twice.

    Peers count its labels twice and show every unit in two equal columns.

    Remove one of the rows.
    """
    for view in context.views:
        first: dict[str, int] = {}
        for line in view.category.lines:
            name = line.cells["name"]
            if first.setdefault(name, line.line) != line.line:
                message = f"the category {name!r} is in line {first[name]} already"
                yield Mark(message, view.category.path, line.line, "name")


@rule("CAT005", _ERROR, foreign=_WARNING)
def category_empty(context: Context) -> Iterator[Mark]:
    """A category has no labels.

    A peer looks for the best label of each category and finds none to choose from.

    Remove the category, its table and its column.
    """
    for view in context.views:
        for sheet in view.concepts.values():
            if sheet.usable and not sheet.lines and not sheet.ragged:
                yield Mark("the category has no labels", sheet.path)


@rule("CAT006", _ERROR, foreign=_ERROR)
def label_number(context: Context) -> Iterator[Mark]:
    """A label number is no whole number from 1 to 32767.

    0 means unlabelled, and a peer keeps label numbers in 16 bits with a sign: larger ones turn
    negative.

    Give the label a number from 1 on, in the tables and in the maps.
    """
    lowest = 1 if context.ours else 0
    for view in context.views:
        for sheet in (view.label, *view.concepts.values()):
            for line in sheet.lines:
                if line.number is None or not lowest <= line.number <= MAX_LABEL:
                    text = line.cells["number"][:40]
                    message = f"number is {text!r}, 1 to {MAX_LABEL} was expected"
                    yield Mark(message, sheet.path, line.line, "number")


@rule("CAT007", _ERROR, foreign=_ERROR)
def number_twice(context: Context) -> Iterator[Mark]:
    """label.csv lists a number twice.

    The pixels of that number have two names, and readers keep either.

    Give one of the two another number, in the maps too, or remove the row.
    """
    for view in context.views:
        first = lines_by_number(view.label)
        for line in view.label.lines:
            if line.number is not None and first[line.number] is not line:
                message = f"the number {line.number} is in line {first[line.number].line} already"
                yield Mark(message, view.label.path, line.line, "number")


@rule("CAT008", _ERROR, foreign=_WARNING)
def name_twice(context: Context) -> Iterator[Mark]:
    """One name has two label numbers.

    The pixels of one concept are split in two, and both look smaller than the concept is.

    Unite the two labels under one number, in the maps too.
    """
    first: dict[str, int] = {}
    numbers: set[int] = set()
    for line in context.root.label.lines:
        name = line.cells["name"]
        if line.number is None or line.number in numbers or not name.strip():
            continue
        numbers.add(line.number)
        if first.setdefault(name, line.line) != line.line:
            message = f"the name {name!r} has a number in line {first[name]} already"
            yield Mark(message, names.LABELS, line.line, "name")


@rule("CAT009", _ERROR, foreign=_WARNING)
def label_name(context: Context) -> Iterator[Mark]:
    """The name of a label is empty, padded with blanks, or holds `;` or control characters.

    Lists of names are joined by `;`, and a name that cannot be seen or typed cannot be asked for.

    Rename the concept in the taxonomy and build the set again.
    """
    for line in context.root.label.lines:
        name = line.cells["name"]
        if not name or name != name.strip() or ";" in name or not name.isprintable():
            message = (
                f"the name {name[:120]!r} is empty, padded, or holds ';' or control characters"
            )
            yield Mark(message, names.LABELS, line.line, "name")


@rule("CAT010", _ERROR, foreign=None)
def number_gap(context: Context) -> Iterator[Mark]:
    """The label numbers do not run from 1 without a gap.

    We number labels from 1 on; a gap says that a label was taken out by hand, and its pixels may
    still be there.

    Build the set again.
    """
    if not context.root.label.usable:
        return
    numbers = {line.number for line in context.root.label.lines if line.number is not None}
    numbers &= set(range(1, MAX_LABEL + 1))
    missing = sorted(set(range(1, max(numbers, default=0))) - numbers)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        yield Mark(f"there is no label {missing[0]}{more}", names.LABELS, pointer="number")


@rule("CAT011", _ERROR, foreign=_ERROR)
def concept_unknown(context: Context) -> Iterator[Mark]:
    """A c_ table lists a number that label.csv does not.

    The label has no row to look its name and its figures up in; readers stop.

    Add the label to label.csv, or take the row out of the c_ table.
    """
    for view in context.views:
        for sheet in view.concepts.values() if view.lists_labels else ():
            for line in sheet.lines:
                if line.number is not None and line.number not in view.label_names:
                    message = f"the label {line.number} is not in {view.label.path}"
                    yield Mark(message, sheet.path, line.line, "number")


@rule("CAT012", _ERROR, foreign=_ERROR)
def concept_renamed(context: Context) -> Iterator[Mark]:
    """A c_ table gives a number another name than label.csv.

    Reports by category and reports by label then name the same pixels differently.

    Write the name of label.csv.
    """
    for view in context.views:
        for sheet in view.concepts.values():
            for line in sheet.lines:
                known = None if line.number is None else view.label_names.get(line.number)
                if known is not None and line.cells["name"] != known:
                    message = f"the label {line.number} is {known!r} in {view.label.path}"
                    yield Mark(message, sheet.path, line.line, "name")


@rule("CAT013", _ERROR, foreign=_ERROR)
def concept_twice(context: Context) -> Iterator[Mark]:
    """A c_ table lists a label twice.

    It has two codes, and two figures of which only one can be right.

    Remove one of the rows.
    """
    for view in context.views:
        for sheet in view.concepts.values():
            first = lines_by_number(sheet)
            for line in sheet.lines:
                if line.number is not None and first[line.number] is not line:
                    message = f"the label {line.number} is in line {first[line.number].line}"
                    yield Mark(f"{message} already", sheet.path, line.line, "number")


@rule("CAT014", _ERROR, foreign=_ERROR)
def concept_unlisted(context: Context) -> Iterator[Mark]:
    """A label occurs in a category whose c_ table does not list it.

    Peers choose the primary category of a label by these tables: it is counted where it does not
    belong.

    Add the label to the c_ table, or take it out of the maps of this category.
    """
    for view in context.views:
        count = context.counted[view.folder]
        for category, sheet in view.concepts.items():
            if not sheet.usable or any(line.number is None for line in sheet.lines):
                continue
            listed = lines_by_number(sheet)
            for number, images in count.of(category).frequency.items():
                if number not in listed and number in view.label_names:
                    message = f"the label {number} occurs in {images} images and is not listed"
                    yield Mark(message, sheet.path, pointer="number")


@rule("CAT015", _ERROR, foreign=_WARNING)
def concept_code(context: Context) -> Iterator[Mark]:
    """The codes of a c_ table do not run from 1 in its rows.

    Programs use the code as a place in arrays of as many entries as the table has rows.

    Number the rows from 1.
    """
    for view in context.views:
        for sheet in view.concepts.values():
            if "code" not in sheet.header or sheet.ragged:
                continue
            for place, line in enumerate(sheet.lines, start=1):
                if line.cells["code"] != str(place):
                    message = f"code is {line.cells['code'][:40]!r}, {place} was expected"
                    yield Mark(message, sheet.path, line.line, "code")
                    break


@rule("CAT016", _WARNING, foreign=_WARNING)
def label_unused(context: Context) -> Iterator[Mark]:
    """No image carries a label that label.csv lists.

    It can have no detector, and often says that its pixels were lost or written under another
    number.

    Remove the label, or look for its pixels.
    """
    if not context.complete or any(count.broken for count in context.counted.values()):
        return
    for number, line in lines_by_number(context.root.label).items():
        if number not in context.used_labels and 1 <= number <= MAX_LABEL:
            message = f"no image carries the label {number} ({line.cells['name'][:80]!r})"
            yield Mark(message, names.LABELS, line.line, "number")


@rule("CAT017", _WARNING, foreign=_WARNING)
def synonym_clash(context: Context) -> Iterator[Mark]:
    """A synonym of a label is the name of another label.

    Whoever asks for the name gets either of two concepts.

    Unite the two labels, or take the synonym out.
    """
    numbers = {name: number for number, name in context.root.label_names.items()}
    for line in context.root.label.lines:
        for synonym in line.cells.get("syns", "").split(";"):
            other = numbers.get(synonym.strip())
            if synonym and other is not None and other != line.number:
                message = f"the synonym {synonym.strip()!r} is the name of label {other}"
                yield Mark(message, names.LABELS, line.line, "syns")


@rule("CAT018", _WARNING, foreign=_WARNING)
def label_of_two_kinds(context: Context) -> Iterator[Mark]:
    """A label is drawn in maps and given to whole images.

    A peer loses such a label, and its coverage adds pixels to whole images.

    Use two concepts: one that is drawn, one for the whole image.
    """
    count = context.counted[context.root.folder]
    lines = lines_by_number(context.root.label)
    for number in sorted(count.pixels & count.wholes & lines.keys()):
        name = lines[number].cells["name"][:80]
        message = f"the label {number} ({name!r}) is drawn and given to whole images"
        yield Mark(message, names.LABELS, lines[number].line, "number")
