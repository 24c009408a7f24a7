"""CAT020 to CAT027: the figures of label.csv, category.csv and c_*.csv, counted again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from conceptset.findings import Severity
from conceptset.validate.context import Context, lines_by_number
from conceptset.validate.registry import Mark, rule
from conceptset.validate.sheets import Line, Sheet, figure, has_exponent, whole
from conceptset.validate.views import View

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
_COUNTED = re.compile(r"(.+)\((\d+)\)")
_OURS = (5e-7, 1e-9)  # (absolute, relative) distance allowed: nine decimals are written
_FOREIGN = (5e-6, 5e-6)  # five or six digits are written


@rule("CAT020", _ERROR, foreign=_ERROR)
def no_figure(context: Context) -> Iterator[Mark]:
    """A cell that must hold a count or a figure holds something else.

    Readers convert the cell to a number and stop.

    Write counts as whole numbers and coverage as a decimal number, none of them negative.
    """
    for view in context.views:
        tables = (
            (view.label, ("frequency",), ("coverage",)),
            (view.category, ("first", "last", "count", "frequency"), ()),
            *((sheet, ("frequency",), ("coverage",)) for sheet in view.concepts.values()),
        )
        for sheet, counts, fractions in tables:
            for line in sheet.lines:
                bad = [c for c in counts if c in line.cells and whole(line.cells[c]) is None]
                bad += [c for c in fractions if c in line.cells and figure(line.cells[c]) is None]
                for column in bad:
                    message = f"{column} is {line.cells[column][:40]!r}, a number was expected"
                    yield Mark(message, sheet.path, line.line, column)


@rule("CAT021", _ERROR, foreign=_WARNING)
def exponent(context: Context) -> Iterator[Mark]:
    """A figure is written with an exponent.

    A peer reads `9e-05` as text, and comparing text with numbers stops it or sorts wrongly.

    Write the number in full: 0.000090000.
    """
    for view in context.views:
        for sheet in (view.label, *view.concepts.values()):
            found = [line for line in sheet.lines if has_exponent(line.cells.get("coverage", ""))]
            if found:
                more = f" (and {len(found) - 1} more rows)" if len(found) > 1 else ""
                message = f"coverage is {found[0].cells['coverage'][:40]}{more}"
                yield Mark(message, sheet.path, found[0].line, "coverage")


@rule("CAT022", _ERROR, foreign=_WARNING)
def label_categories(context: Context) -> Iterator[Mark]:
    """The column category of label.csv is not what the maps hold.

    It says in which categories a label occurs and in how many images of each; programs choose
    categories by it.

    Write `name(images)` for each category of the label, joined by `;`.
    """
    for view, line, number in _labels(context, "category"):
        count = context.counted[view.folder]
        expected = {
            category: images
            for category in view.columns
            if (images := count.of(category).frequency.get(number, 0))
        }
        said = _parse_categories(line.cells["category"])
        if said is not None:
            said = {
                name: images for name, images in said.items() if images or name not in view.columns
            }
        if said != expected:
            told = ";".join(f"{name}({images})" for name, images in expected.items())
            message = f"category is {line.cells['category'][:120]!r}, the maps hold {told!r}"
            yield Mark(message, view.label.path, line.line, "category")


def _parse_categories(text: str) -> dict[str, int] | None:
    result: dict[str, int] = {}
    for part in text.split(";") if text else ():
        match = _COUNTED.fullmatch(part.strip())
        if match is None or match[1] in result:
            return None
        result[match[1]] = int(match[2])
    return result


@rule("CAT023", _ERROR, foreign=_WARNING)
def label_frequency(context: Context) -> Iterator[Mark]:
    """The frequency of a label in label.csv is not the number of images that carry it.

    Limits on rare concepts and every share of images are computed from it.

    Write the number of images, or let `conceptset repair` count again.
    """
    for view, line, number in _labels(context, "frequency"):
        count = context.counted[view.folder]
        expected = count.labels.frequency.get(number, 0)
        added = sum(figures.frequency.get(number, 0) for figures in count.categories.values())
        said = whole(line.cells["frequency"])
        if said is not None and said != expected and (context.ours or said != added):
            message = f"frequency is {said}, {expected} images carry the label {number}"
            yield Mark(message, view.label.path, line.line, "frequency")


@rule("CAT024", _ERROR, foreign=_WARNING)
def label_coverage(context: Context) -> Iterator[Mark]:
    """The coverage of a label in label.csv is not the sum of its fractions of the images.

    Limits on small concepts and the order of the labels are computed from it.

    Write the sum over images of its share of the pixels, or let `conceptset repair` count again.
    """
    for view, line, number in _labels(context, "coverage"):
        coverage = context.counted[view.folder].labels.coverage
        mark = _coverage(context, view.label, line, coverage.get(number))
        if mark is not None:
            yield mark


@rule("CAT025", _ERROR, foreign=_WARNING)
def concept_frequency(context: Context) -> Iterator[Mark]:
    """The frequency of a label in a c_ table is not the number of images that carry it there.

    Limits on rare concepts and every share of images are computed from it.

    Write the number of images, or let `conceptset repair` count again.
    """
    for _, sheet, line, category, count in _concepts(context, "frequency"):
        expected = count.get(line.number or 0, 0)
        said = whole(line.cells["frequency"])
        if said is not None and said != expected:
            message = (
                f"frequency is {said}, {expected} images carry label {line.number} as {category}"
            )
            yield Mark(message, sheet.path, line.line, "frequency")


@rule("CAT026", _ERROR, foreign=_WARNING)
def concept_coverage(context: Context) -> Iterator[Mark]:
    """The coverage of a label in a c_ table is not the sum of its fractions of the images.

    Peers choose the primary category of a label by the largest of these figures: a wrong one
    moves the label to another category.

    Write the sum over images of its share of the pixels, or let `conceptset repair` count again.
    """
    for view, sheet, line, category, _ in _concepts(context, "coverage"):
        coverage = context.counted[view.folder].of(category).coverage
        mark = _coverage(context, sheet, line, coverage.get(line.number or 0))
        if mark is not None:
            yield mark


@rule("CAT027", _ERROR, foreign=_WARNING)
def category_figures(context: Context) -> Iterator[Mark]:
    """first, last, count or frequency of a category is not what its labels say.

    count and the range of numbers size arrays; frequency is the sum over its labels of their
    image counts.

    Write the figures of the labels, or let `conceptset repair` count again.
    """
    for view in context.views:
        count = context.counted[view.folder]
        for line in view.category.lines if view.lists_labels else ():
            category = line.cells["name"]
            sheet = view.concepts.get(category)
            if sheet is None or not sheet.usable or category in count.broken:
                continue
            found = count.of(category).frequency
            numbers = {n for n in found if n in view.label_names}
            numbers |= context.zero_rows(view, category)
            if not numbers:
                continue
            for column, expected in (
                ("first", min(numbers)),
                ("last", max(numbers)),
                ("count", len(numbers)),
                ("frequency", sum(found.get(number, 0) for number in numbers)),
            ):
                said = whole(line.cells.get(column, ""))
                if said is not None and said != expected:
                    message = f"{column} of {category} is {said}, {expected} was counted"
                    yield Mark(message, view.category.path, line.line, column)


def _labels(context: Context, column: str) -> Iterator[tuple[View, Line, int]]:
    """Every label of every view whose maps could all be counted."""
    for view in context.views:
        if column not in view.label.header or context.counted[view.folder].broken:
            continue
        if not (view.index.usable and view.category.usable):
            continue
        for number, line in lines_by_number(view.label).items():
            if number != 0:
                yield view, line, number


def _concepts(
    context: Context, column: str
) -> Iterator[tuple[View, Sheet, Line, str, Mapping[int, int]]]:
    """Every row of every c_ table whose maps could all be counted."""
    for view in context.views:
        count = context.counted[view.folder]
        for category, sheet in view.concepts.items() if view.index.usable else ():
            if column not in sheet.header or category in count.broken:
                continue
            if category not in view.columns:
                continue
            for number, line in lines_by_number(sheet).items():
                if number != 0:
                    yield view, sheet, line, category, count.of(category).frequency


def _coverage(context: Context, sheet: Sheet, line: Line, counted: float | None) -> Mark | None:
    """A mark if the coverage of a row is too far from the counted one.

    A concept that only other people used stands in our tables with everybody's coverage.
    """
    said = figure(line.cells["coverage"])
    if said is None or (counted is None and context.ours and context.several):
        return None
    expected = counted or 0.0
    absolute, relative = _OURS if context.ours else _FOREIGN
    if abs(said - expected) <= absolute + relative * expected:
        return None
    message = f"coverage is {line.cells['coverage'][:40]}, {expected:.9f} was counted"
    return Mark(message, sheet.path, line.line, "coverage")
