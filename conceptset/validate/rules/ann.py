"""ANN: annotators, their directories, tables and segments."""

from __future__ import annotations

from collections.abc import Iterator

from conceptset.findings import Severity
from conceptset.layout import names
from conceptset.validate.context import Context
from conceptset.validate.facts import size_text
from conceptset.validate.people import Complaint
from conceptset.validate.registry import Mark, rule

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


@rule("ANN001", _ERROR, foreign=None)
def directory_missing(context: Context) -> Iterator[Mark]:
    """annotators.csv names a directory that does not exist.

    This person's labels are lost, and every comparison between annotators stops.

    Restore the directory, or take the row out.
    """
    outside = {name.removeprefix(f"{names.ANNOTATOR_FOLDER}/") for name in context.outside}
    for line in context.annotators:
        if line.safe and line.directory not in context.folders and line.directory not in outside:
            message = f"the directory {names.ANNOTATOR_FOLDER}/{line.directory} does not exist"
            yield Mark(message, names.ANNOTATORS, line.line, "directory")


@rule("ANN002", _ERROR, foreign=None)
def directory_unlisted(context: Context) -> Iterator[Mark]:
    """A directory of an annotator is not in annotators.csv.

    Its person is left out of everything without a word.

    Add the row to annotators.csv, or delete the directory.
    """
    if not context.singles[names.ANNOTATORS].usable:
        return
    listed = {line.directory for line in context.annotators}
    for folder in context.folders:
        if folder not in listed:
            message = f"is not in {names.ANNOTATORS}"
            yield Mark(message, f"{names.ANNOTATOR_FOLDER}/{folder}")


@rule("ANN003", _ERROR, foreign=None)
def directory_unsafe(context: Context) -> Iterator[Mark]:
    """The directory of an annotator is no plain file name, or two annotators share it.

    Names of people are hostile input: one with `..` or `/` leads out of the set, and in a shared
    directory one person overwrites the other. It was not opened.

    Use letters, digits, dots, `_` and `-`, another name for each person and session.
    """
    taken: dict[str, int] = {}
    for line in context.annotators:
        if not line.safe:
            message = f"{line.directory[:120]!r} is no plain directory name"
            yield Mark(message, names.ANNOTATORS, line.line, "directory")
            continue
        first = taken.setdefault(line.directory.lower(), line.line)
        if first != line.line:
            message = f"the directory {line.directory} is taken by line {first}"
            yield Mark(message, names.ANNOTATORS, line.line, "directory")


@rule("ANN004", _ERROR, foreign=None)
def image_unknown(context: Context) -> Iterator[Mark]:
    """An annotator's index lists a photograph that the root index does not.

    The root covers the images of all persons, unless it was asked to follow one annotator; this one
    is in no consensus and in no split.

    Add the photograph to index.csv, or take the row out.
    """
    if not context.root.index.usable or not context.of_everybody:
        return
    for directory, view in context.people.items():
        if directory in context.without_voice:
            continue
        for row in view.rows:
            if row.image not in context.root.by_image:
                message = f"{row.image} is not in the root's {names.INDEX}"
                yield Mark(message, view.index.path, row.line, "image")


@rule("ANN005", _WARNING, foreign=None)
def image_of_nobody(context: Context) -> Iterator[Mark]:
    """No annotator worked on a photograph of the root index.

    It counts as looked at and empty although nobody looked, and enters no comparison.

    Name the annotator of the image, or take it out.
    """
    if not context.people or not context.complete:
        return
    seen = {row.image for view in context.people.values() for row in view.rows}
    for image, row in context.root.by_image.items():
        if image not in seen:
            yield Mark(f"no annotator worked on {image}", names.INDEX, row.line, "image")


@rule("ANN006", _WARNING, foreign=None)
def session_gap(context: Context) -> Iterator[Mark]:
    """An annotator has a later session and no first one.

    Comparisons between persons take this person's lowest session for the first.

    Number the sessions of each person from 1.
    """
    first = {line.name for line in context.annotators if line.session in (1, None)}
    for line in context.annotators:
        if line.name not in first:
            message = f"{line.name!r} has session {line.session} and no session 1"
            yield Mark(message, names.ANNOTATORS, line.line, "session")
            first.add(line.name)


@rule("ANN007", _ERROR, foreign=None)
def session_twice(context: Context) -> Iterator[Mark]:
    """Two rows of annotators.csv name the same session of the same person.

    One person would count twice in every consensus and be compared with herself.

    Unite the two, or number them as two sessions.
    """
    taken: dict[tuple[str, int], int] = {}
    for line in context.annotators:
        if line.session is None:
            continue
        first = taken.setdefault((line.name, line.session), line.line)
        if first != line.line:
            message = f"session {line.session} of {line.name!r} is in line {first} already"
            yield Mark(message, names.ANNOTATORS, line.line, "annotator")


@rule("ANN008", _ERROR, foreign=None)
def image_count(context: Context) -> Iterator[Mark]:
    """annotators.csv counts other images than the annotator's index lists.

    Figures per image are divided by the wrong number.

    Write the number of rows of the annotator's index.csv.
    """
    for line in context.annotators:
        view = context.people.get(line.directory)
        if view is None or not view.index.usable or line.images is None:
            continue
        if line.images != len(view.by_image):
            message = f"says {line.images} images, {view.index.path} lists {len(view.by_image)}"
            yield Mark(message, names.ANNOTATORS, line.line, "images")


@rule("ANN009", _ERROR, foreign=None)
def segment_count(context: Context) -> Iterator[Mark]:
    """annotators.csv counts other segments than segments.jsonl holds.

    Lines were lost or added, and figures per segment are divided by the wrong number.

    Write the number of lines of segments.jsonl that are not interpolated, or restore the file.
    """
    for line in context.annotators:
        facts = context.segments.get(line.directory)
        if facts is None or facts.fault is not None or line.segments is None:
            continue
        if line.segments != facts.count:
            message = f"says {line.segments} segments, {facts.path} holds {facts.count}"
            yield Mark(message, names.ANNOTATORS, line.line, "segments")


@rule("ANN010", _ERROR, foreign=None)
def annotator_cell(context: Context) -> Iterator[Mark]:
    """A cell of annotators.csv is not what its column promises.

    Sessions and counts are whole numbers and `kind` is person or model; readers stop at
    anything else.

    Correct the cell.
    """
    for line in context.annotators:
        for column, message in line.complaints:
            yield Mark(f"{column}: {message}", names.ANNOTATORS, line.line, column)


@rule("ANN011", _ERROR, foreign=None)
def label_differs(context: Context) -> Iterator[Mark]:
    """An annotator's label.csv gives a number another name than the root's.

    A number means one concept in every map of the set; read with the wrong table, people seem to
    disagree where they do not.

    Copy number and name from the root's label.csv.
    """
    if not context.root.lists_labels:
        return
    root = context.root.label_names
    for view in context.people.values():
        for line in view.label.lines:
            name = line.cells["name"]
            if line.number is not None and root.get(line.number) != name:
                known = repr(root[line.number]) if line.number in root else "nothing"
                message = f"the label {line.number} is {name!r} here and {known} in the root"
                yield Mark(message, view.label.path, line.line, "name")


@rule("ANN012", _ERROR, foreign=None)
def size_differs(context: Context) -> Iterator[Mark]:
    """An annotator's index states other sizes for a photograph than the root's.

    The maps of two people can only be compared pixel by pixel at one size.

    Write the sizes of index.csv.
    """
    for view in context.people.values():
        for row in view.rows:
            root = context.root.by_image.get(row.image)
            if root is None:
                continue
            for column, here, there in (
                ("ih", row.image_size, root.image_size),
                ("sh", row.map_size, root.map_size),
            ):
                if here and there and here != there:
                    message = f"{size_text(here)} here, {size_text(there)} in the root"
                    yield Mark(message, view.index.path, row.line, column)


@rule("ANN013", _ERROR, foreign=None)
def segment_row(context: Context) -> Iterator[Mark]:
    """A line of segments.jsonl is no segment, or the file cannot be read.

    Consistency and every other consensus are computed from these lines and stop here.

    Restore the file, or build the set again.
    """
    for facts in context.segments.values():
        if facts.fault is not None and facts.fault.kind == "broken":
            yield Mark(f"the file {facts.fault.text}", facts.path)
    yield from _segment_faults(context, "row")


@rule("ANN014", _ERROR, foreign=None)
def segment_shape(context: Context) -> Iterator[Mark]:
    """The runs of a segment are no bitmap of its size, or are missing.

    The segment cannot be drawn, so nothing can be compared with it.

    Restore the file, or build the set again.
    """
    yield from _segment_faults(context, "shape")


@rule("ANN015", _ERROR, foreign=None)
def segment_order(context: Context) -> Iterator[Mark]:
    """Two segments of an image have the same place in the drawing order.

    Which of the two lies on top, and which one a part belongs to, is then open.

    Number the segments of each image in drawing order.
    """
    yield from _segment_faults(context, "order")


@rule("ANN016", _ERROR, foreign=None)
def segment_whole(context: Context) -> Iterator[Mark]:
    """A segment is a part of a segment that does not exist.

    The part has lost its whole; a comparison of parts stops here.

    Write the `order` of the whole, or null.
    """
    yield from _segment_faults(context, "whole")


def _segment_faults(context: Context, kind: Complaint) -> Iterator[Mark]:
    for facts in context.segments.values():
        for fault in facts.faults:
            if fault.kind == kind:
                yield Mark(fault.text, facts.path, fault.line, fault.pointer or None)


@rule("ANN017", _ERROR, foreign=None)
def segment_image(context: Context) -> Iterator[Mark]:
    """A segment lies on an image that the annotator's index does not list.

    The index says who looked at what: a segment on an image not looked at belongs to nobody.

    Add the image to the annotator's index, or take the segment out.
    """
    for directory, facts in context.segments.items():
        view = context.people[directory]
        for image, line in facts.images.items() if view.index.usable else ():
            if image not in view.by_image:
                message = f"{image} is not in {view.index.path}"
                yield Mark(message, facts.path, line, "/image")
