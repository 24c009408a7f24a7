"""Where the bars of the report's charts lie, in pixels of their drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conceptset.errors import printable
from dissect.report.reading import ConceptCount, Score
from dissect.state import DetectorCounts

MAX_CONCEPTS = 120
_ROW = 22
_MIN_ROWS = 12
_WIDTH = 804
_MAX_COLUMNS = 3
_SPARK = 64


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a chart.

    Attributes:
        name: What it stands for, in full.
        label: The same, short enough for its place.
        slot: Its colour.
        value: What it shows.
        x: Left end of the bar.
        y: Top of the row.
        width: Length of the bar.
        other: A second value, and `other_width` the length of its bar.
    """

    name: str
    label: str
    slot: int
    value: int
    x: float
    y: float
    width: float
    other: int = 0
    other_width: float = 0.0


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, and the size of the drawing they lie in.

    Attributes:
        bars: In order.
        width: Of the drawing.
        height: Of the drawing.
        column: Width of a row.
        left: Where the bars of a row begin.
        left_out: How many bars were too many.
    """

    bars: tuple[Bar, ...]
    width: int
    height: int
    column: int
    left: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Spark:
    """The small bar beside an IoU: how far it reaches, and how far masks of these sizes could.

    `low` and `high` are the ends of its interval; None where there is none.
    """

    width: float
    ceiling: float
    tick: float
    low: float | None = None
    high: float | None = None


def category_chart(detectors: DetectorCounts, slots: Mapping[str, int]) -> Chart:
    """Detectors by category, and the distinct concepts beneath, in the set's order."""
    left, length, row = 112, 190, 34
    counts = {name: detectors.categories[name] for name in slots if name in detectors.categories}
    most = max([1, *(max(count.detectors, count.unique) for count in counts.values())])
    bars = tuple(
        Bar(
            name=name,
            label=_short(name, 14),
            slot=slots[name],
            value=count.detectors,
            x=left,
            y=place * row,
            width=_length(count.detectors, most, length),
            other=count.unique,
            other_width=_length(count.unique, most, length),
        )
        for place, (name, count) in enumerate(counts.items())
    )
    width = left + length + 54
    return Chart(bars, width, max(1, len(bars)) * row, width, left)


def concept_chart(counts: Sequence[ConceptCount], slots: Mapping[str, int]) -> Chart:
    """Detectors by concept, the most frequent first, in up to three columns."""
    shown = counts[:MAX_CONCEPTS]
    rows = max(_MIN_ROWS, math.ceil(len(shown) / _MAX_COLUMNS))
    columns = max(1, math.ceil(len(shown) / rows))
    column = min(_WIDTH // columns, 480)
    left = 126
    length = column - left - 44
    most = max([1, *(count.units for count in shown)])
    bars = tuple(
        Bar(
            name=count.concept,
            label=_short(count.concept, 15),
            slot=slots.get(count.category, 0),
            value=count.units,
            x=place // rows * column + left,
            y=place % rows * _ROW,
            width=_length(count.units, most, length),
        )
        for place, count in enumerate(shown)
    )
    height = min(rows, max(1, len(shown))) * _ROW
    return Chart(bars, columns * column, height, column, left, len(counts) - len(shown))


def spark(score: Score, *, largest: float, threshold: float) -> Spark:
    """The bar of one IoU.

    Args:
        score: Whose.
        largest: The IoU that fills the whole length.
        threshold: Where the tick stands.
    """
    return Spark(
        width=_length(score.iou, largest, _SPARK),
        ceiling=_length(min(score.size_ceiling, largest), largest, _SPARK),
        tick=_length(threshold, largest, _SPARK),
        low=None if score.low is None else _length(score.low, largest, _SPARK),
        high=None if score.high is None else _length(min(score.high, largest), largest, _SPARK),
    )


@dataclass(frozen=True, slots=True)
class Span:
    """A figure on a line: where it is, and from where to where its interval reaches."""

    at: float
    low: float
    high: float


def span(
    value: float, low: float | None, high: float | None, *, largest: float, length: int
) -> Span:
    """A figure and its interval on a line of a length; without an interval both ends are there."""
    at = _length(value, largest, length)
    if low is None or high is None:
        return Span(at, at, at)
    return Span(at, _length(low, largest, length), _length(min(high, largest), largest, length))


def _length(value: float, most: float, length: int) -> float:
    return round(value / most * length, 1)


def _short(text: str, limit: int) -> str:
    return printable(text, limit)
