"""LAY: the layout, its manifest, its files and their names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import ValidationError

from conceptset.findings import Severity
from conceptset.layout import names
from conceptset.layout.digests import digest_of_files
from conceptset.layout.models import ImageRow
from conceptset.validate.context import Context, is_mask, is_usable
from conceptset.validate.registry import Mark, rule
from conceptset.validate.views import lacking

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
_STORED = re.compile(r"([A-Za-z0-9._-]+)/[A-Za-z0-9._-]+\.(jpg|png)", re.ASCII)


@rule("LAY001", _ERROR, foreign=None)
def manifest_unusable(context: Context) -> Iterator[Mark]:
    """The manifest cannot be read or lacks what a manifest must say.

    conceptset.json says how the set was made and seals its files; without it nothing can be
    traced back, and readers refuse the set.

    Build the set again, or restore conceptset.json from a copy.
    """
    if context.manifest.problem is not None:
        yield Mark(context.manifest.problem, names.MANIFEST, pointer=context.manifest.pointer)


@rule("LAY002", _ERROR, foreign=None)
def manifest_missing(context: Context) -> Iterator[Mark]:
    """The set has files that only our writer makes, but no manifest.

    The manifest is written last: without it the build never finished, and any file may be
    missing or cut short.

    Build the set again; a directory without a manifest can be deleted.
    """
    if not context.manifest.present:
        yield Mark(f"{names.MANIFEST} does not exist", names.MANIFEST)


@rule("LAY003", _ERROR, foreign=None)
def manifest_newer(context: Context) -> Iterator[Mark]:
    """The schema version of the set is newer than this program.

    A newer layout may mean something else by the same columns, so nothing read from it is sure.

    Install a newer conceptset.
    """
    if context.manifest.newer is not None:
        message = f"schema version {context.manifest.newer} is not known here"
        yield Mark(message, names.MANIFEST, pointer=context.manifest.pointer)


@rule("LAY004", _ERROR, foreign=_ERROR)
def table_missing(context: Context) -> Iterator[Mark]:
    """A table that every set has does not exist.

    Readers open it by its name and stop.

    Restore the file, or build the set again.
    """
    concepts = {sheet.path for view in context.views for sheet in view.concepts.values()}
    for sheet in context.sheets:
        if sheet.path not in concepts and sheet.fault and sheet.fault.kind == "missing":
            yield Mark("the table does not exist", sheet.path)
    for facts in context.segments.values():
        if facts.fault is not None and facts.fault.kind == "missing":
            yield Mark("the table does not exist", facts.path)


@rule("LAY005", _ERROR, foreign=_ERROR)
def table_unreadable(context: Context) -> Iterator[Mark]:
    """A table is no UTF-8 text, no CSV, or empty.

    Nothing in it can be used, and whatever depends on it was not checked.

    Save it as UTF-8 CSV with commas and a header line, or build the set again.
    """
    for sheet in context.sheets:
        if sheet.fault is not None and sheet.fault.kind == "broken":
            yield Mark(f"the table {sheet.fault.text}", sheet.path, sheet.fault_line)


@rule("LAY006", _ERROR, foreign=_ERROR)
def column_missing(context: Context) -> Iterator[Mark]:
    """A table lacks a column that readers look for by name.

    Nothing in the table can be used, and whatever depends on it was not checked.

    Add the column, or correct its name in the header line.
    """
    for sheet in context.sheets:
        for column in sheet.missing:
            yield Mark(f"has no column {column!r}", sheet.path, 1, column)


@rule("LAY007", _ERROR, foreign=_ERROR)
def ragged_row(context: Context) -> Iterator[Mark]:
    """A row has more or fewer cells than the header.

    A reader pairs its cells with the wrong columns or drops the row; it was not checked further.

    Correct the row; a cell that holds a comma needs quotes.
    """
    for sheet in context.sheets:
        for line, count in sheet.ragged:
            yield Mark(f"has {count} cells, the header has {len(sheet.header)}", sheet.path, line)


@rule("LAY008", _ERROR, foreign=_ERROR)
def column_twice(context: Context) -> Iterator[Mark]:
    """A table has two columns of one name.

    Readers keep one of the two, not all of them the same one.

    Remove or rename one of the columns.
    """
    for sheet in context.sheets:
        for column in dict.fromkeys(sheet.header):
            if sheet.header.count(column) > 1:
                count = sheet.header.count(column)
                yield Mark(f"has {count} columns {column!r}", sheet.path, 1, column)


@rule("LAY009", _ERROR, foreign=None)
def table_changed(context: Context) -> Iterator[Mark]:
    """A table is not the one that was built: its digest differs from the manifest's.

    Results that name this set by its manifest no longer say what they were computed from.

    Build the set again, or let `conceptset repair` write a consistent copy.
    """
    if context.manifest.model is None:
        return
    sealed = context.manifest.model.digests.tables
    explained = {sheet.path for sheet in context.sheets if sheet.fault is not None}
    explained |= {facts.path for facts in context.segments.values() if facts.fault is not None}
    for name, now in context.sealed.items():
        gone = _is_of_unknown(context, name)
        if now is None and name not in explained and not gone:
            yield Mark("is named in the manifest and does not exist", name)
        elif now is not None and now != sealed[name]:
            yield Mark("was changed after the build: its digest is another", name)


def _is_of_unknown(context: Context, name: str) -> bool:
    """Whether a path, in the set or in images/, belongs to an annotator who is not read."""
    parts = name.split("/")
    return parts[0] == names.ANNOTATOR_FOLDER and not context.people.keys() & set(parts[1:2])


@rule("LAY010", _ERROR, foreign=None)
def pictures_changed(context: Context) -> Iterator[Mark]:
    """Label maps or photographs are not the ones that were built: their digest differs.

    Results that name this set by its manifest no longer say what they were computed from.

    Build the set again, or let `conceptset repair` write a consistent copy.
    """
    model = context.manifest.model
    if model is None or not context.complete:
        return
    if any(True for finder in (orphans, unsafe_name) for _ in finder(context)):
        return
    photos = {facts.path: facts.digest for _, _, facts in context.photographs}
    maps = {facts.path: facts.digest for facts in context.maps.values()}
    maps |= {facts.path: facts.digest for _, facts in context.masks}
    for key, found, sealed in (
        ("maps", maps, model.digests.maps),
        ("photographs", photos, model.digests.photographs),
    ):
        known = {path: value for path, value in found.items() if value is not None}
        if len(known) == len(found) and digest_of_files(known) != sealed:
            message = f"the {key} were changed after the build: their common digest is another"
            yield Mark(message, names.MANIFEST, pointer=f"/digests/{key}")


def orphans(context: Context) -> Iterator[str]:
    """Files below images/ that nothing names; remains of an interrupted write apart."""
    named = {facts.path for _, facts in context.masks}
    for view in context.views:
        for row in view.rows:
            named.add(row.image)
            named.update(name for _, name in row.maps())
    skipped = {name.removeprefix(f"{names.IMAGE_FOLDER}/") for name in context.leftovers}
    skipped |= {name for name in context.files if _is_of_unknown(context, name)}
    return (name for name in context.files if name not in named and name not in skipped)


@rule("LAY011", _WARNING, foreign=None)
def orphan(context: Context) -> Iterator[Mark]:
    """A file below images/ that no index names.

    Whatever it shows, nobody will see it; often its row was lost or its name misspelt.

    Name it in an index, or delete it.
    """
    if not all(view.index.usable for view in context.views):
        return
    for name in orphans(context):
        what = "the mask belongs to no row" if is_mask(name) else "no index names the file"
        yield Mark(what, f"{names.IMAGE_FOLDER}/{name}")


@rule("LAY012", _ERROR, foreign=_ERROR)
def unsafe_name(context: Context) -> Iterator[Mark]:
    r"""A file name in an index is absolute, leaves images/, or is not written plainly.

    A name with `..` or a drive letter could make a reader open any file of the machine; one with
    `\`, `//` or `./` is found on one system and not on another. It was not opened.

    Write the path below images/ with single forward slashes.
    """
    for view in context.views:
        for row in view.rows:
            for column, name in (("image", row.image), *row.maps()):
                if not is_usable(name):
                    message = f"{name[:200]!r} is no plain path below {names.IMAGE_FOLDER}/"
                    yield Mark(message, view.index.path, row.line, column)


@rule("LAY013", _ERROR, foreign=_ERROR)
def link_outside(context: Context) -> Iterator[Mark]:
    """A symbolic link leads out of the set.

    The set changes when something else changes, breaks when it is copied, and could show any file
    of the machine. The link was not followed.

    Replace the link by the file it points to.
    """
    for name in context.outside:
        yield Mark("is a symbolic link that leads out of its folder", name)


@rule("LAY014", _WARNING, foreign=_WARNING)
def case_clash(context: Context) -> Iterator[Mark]:
    """Two files below images/ differ only in upper and lower case.

    Copied to a system that ignores case, one overwrites the other.

    Rename one of them, in the index too.
    """
    first: dict[str, str] = {}
    for name in context.files:
        other = first.setdefault(name.lower(), name)
        if other != name:
            yield Mark(f"differs from {other} only in case", f"{names.IMAGE_FOLDER}/{name}")


@rule("LAY015", _WARNING, foreign=None)
def leftover(context: Context) -> Iterator[Mark]:
    """A file of an interrupted write lies in the set.

    It is incomplete; no reader opens it, but it takes room and travels with every copy.

    Delete it.
    """
    for name in context.leftovers:
        yield Mark("was left behind by a write that never finished", name)


@rule("LAY016", _ERROR, foreign=None)
def manifest_counts(context: Context) -> Iterator[Mark]:
    """The manifest counts other things than the tables hold.

    Programs that plan memory and time by the manifest plan wrongly, and people are told a wrong
    size.

    Build the set again.
    """
    model = context.manifest.model
    if model is None:
        return
    root = context.root
    sessions = len(context.annotators)
    persons = len({line.name for line in context.annotators})
    readable = all(facts.fault is None for facts in context.segments.values())
    complete = context.complete
    segments = sum(facts.count for facts in context.segments.values())
    for key, usable, held in (
        ("images", complete, {len(context.all_images)}),
        ("labels", root.label.usable, {len(root.label.lines)}),
        ("categories", root.category.usable, {len(root.category.lines)}),
        ("annotators", complete, {sessions, persons}),
        ("segments", readable and complete, {segments}),
    ):
        said = getattr(model.counts, key)
        if usable and said not in held and not _edited(context):
            message = f"the manifest says {said} {key}, the tables hold {max(held)}"
            yield Mark(message, names.MANIFEST, pointer=f"/counts/{key}")


def _edited(context: Context) -> bool:
    """Whether some table is not the sealed one, which then explains any other count."""
    model = context.manifest.model
    sealed = {} if model is None else model.digests.tables
    return any(now != sealed[name] for name, now in context.sealed.items())


@rule("LAY017", _ERROR, foreign=None)
def image_table_differs(context: Context) -> Iterator[Mark]:
    """images.csv and the indexes do not list the same photographs.

    A photograph without its row cannot be traced to its original; a row without a photograph
    promises one that is not there.

    Build the set again, or add the missing row.
    """
    table = context.singles[names.IMAGES]
    if not (table.usable and context.root.index.usable):
        return
    listed = {line.cells["image"]: line.line for line in reversed(table.lines)}
    for image, line in listed.items():
        if image not in context.all_images and context.complete:
            yield Mark(f"no index names {image}", table.path, line, "image")
    for image, row in context.root.by_image.items():
        if image not in listed:
            yield Mark(f"{image} is not in {names.IMAGES}", names.INDEX, row.line, "image")


@rule("LAY018", _ERROR, foreign=None)
def image_table_row(context: Context) -> Iterator[Mark]:
    """A row of images.csv does not hold what its columns promise, or names an image again.

    Where a photograph came from can then not be looked up, nor whether it is still the same.

    Build the set again, or correct the cell.
    """
    table = context.singles[names.IMAGES]
    seen: dict[str, int] = {}
    for line in table.lines:
        cells = {column: line.cells[column] for column in ImageRow.model_fields}
        try:
            ImageRow.model_validate(cells)
        except ValidationError as error:
            first = error.errors()[0]
            yield Mark(first["msg"], table.path, line.line, str(first["loc"][0]))
        earlier = seen.setdefault(line.cells["image"], line.line)
        if earlier != line.line:
            message = f"{line.cells['image']} is in line {earlier} already"
            yield Mark(message, table.path, line.line, "image")


@rule("LAY019", _ERROR, foreign=None)
def image_name(context: Context) -> Iterator[Mark]:
    """A photograph is not named `source/stem.jpg` in letters, digits, dots, `_` and `-`.

    Peers split cells at `;` and rows at `,`, and masks are found by source and stem; `annotators`
    and `consensus` are folders of ours and no sources.

    Rename the photograph and its maps, or build the set again.
    """
    for row in context.root.rows:
        match = _STORED.fullmatch(row.image)
        if is_usable(row.image) and (match is None or match[1] in names.RESERVED_SOURCES):
            message = f"{row.image[:200]!r} is no name of the form source/stem.jpg"
            yield Mark(message, names.INDEX, row.line, "image")


@rule("LAY020", _WARNING, foreign=_WARNING)
def column_of_broden_missing(context: Context) -> Iterator[Mark]:
    """A table has no such column as Broden's own tables have; it can be read without.

    Programs written for Broden look the column up by its name and stop, or take another value.

    Add the column, or let `conceptset repair` write it.
    """
    for view in context.views:
        for sheet in view.sheets:
            for column in lacking(sheet):
                yield Mark(f"has no column {column!r}, Broden's has", sheet.path, 1, column)
