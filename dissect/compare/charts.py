"""Where the lines, dots and bars of a comparison's charts lie, in pixels of their drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conceptset.errors import printable
from dissect.compare.gathering import show_end

WIDTH = 384
HEIGHT = 196
_TOP, _BOTTOM, _LEFT, _RIGHT = 12, 26, 38, 16
_NAMES = 92  # room for the names of lines at the right
_GAP = 14  # least distance between two names
_LETTER = 6.0  # width of a letter of a label, about
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_TICKS = 5

_Height = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Value:
    """A figure of one run, with its interval where it has one; None: the run has no such figure."""

    at: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Figures of one thing over the runs.

    Attributes:
        name: What is shown at the line's end and in its tooltip.
        slot: Colour of the palette; None: the colour of text.
        values: One for each run.
        kind: A further class of the drawing, `pale` or `dashed`.
    """

    name: str
    slot: int | None
    values: tuple[Value, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """A figure where it lies; `whisker` is the path of its interval, empty without one."""

    x: float
    y: float
    place: int
    value: float
    low: float | None
    high: float | None
    whisker: str


@dataclass(frozen=True, slots=True)
class Line:
    """A series as it is drawn; `label_y` is None where its name is not shown."""

    name: str
    label: str
    slot: int | None
    kind: str
    path: str
    dots: tuple[Dot, ...]
    label_y: float | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over runs.

    Attributes:
        lines: In order.
        y: Round values.
        x: Names of runs, as many as fit.
        left: Where the runs begin.
        right: Where they end.
        bottom: Where 0 is.
        width: Of the drawing.
        height: Of the drawing.
        band: Outline between two bounds; empty without them.
        rule: Where a value to compare with lies; None without one.
    """

    lines: tuple[Line, ...]
    y: tuple[Tick, ...]
    x: tuple[Tick, ...]
    left: float
    right: float
    bottom: float
    width: int = WIDTH
    height: int = HEIGHT
    band: str = ""
    rule: float | None = None


def line_chart(
    series: Sequence[Series],
    names: Sequence[str],
    *,
    joined: bool = True,
    named: bool = False,
    percent: bool = False,
    band: Sequence[tuple[float, float]] = (),
    rule: float | None = None,
) -> LineChart:
    """Lines from run to run, from 0 to a round value above all of them.

    Args:
        series: What is drawn.
        names: Of the runs.
        joined: Draw lines, not only dots: not where neighbours are different layers.
        named: Write the name of each series at its end.
        percent: Values are shares.
        band: (low, high) of each run, drawn as an area.
        rule: A value to draw a line at.
    """
    right = WIDTH - (_NAMES if named else _RIGHT)
    places = _places(len(names), _LEFT, right)
    reach = [value.high or value.at or 0.0 for own in series for value in own.values]
    reach += [high for _, high in band] + ([rule] if rule is not None else [])
    top, ticks = round_scale(max([0.0, *reach]), whole=not percent and rule is None)
    bottom = HEIGHT - _BOTTOM

    def height(value: float) -> float:
        return round(bottom - value / top * (bottom - _TOP), 1)

    lines = [_line(own, places, height, joined=joined) for own in series]
    if named:
        lines = _spread(lines, bottom)
    return LineChart(
        lines=tuple(lines),
        y=tuple(Tick(height(value), _shown(value, percent=percent)) for value in ticks),
        x=_run_ticks(places, names, span=right - _LEFT),
        left=_LEFT,
        right=right,
        bottom=bottom,
        band=_band(places, band, height),
        rule=None if rule is None else height(rule),
    )


def _places(count: int, left: float, right: float) -> list[float]:
    """Where runs lie; a single one in the middle."""
    inner = 12
    if count == 1:
        return [round((left + right) / 2, 1)]
    step = (right - left - 2 * inner) / (count - 1)
    return [round(left + inner + place * step, 1) for place in range(count)]


def round_scale(most: float, *, whole: bool) -> tuple[float, list[float]]:
    """(top, values of the marks) of an axis from 0.

    >>> round_scale(366, whole=True)
    (400.0, [0.0, 100.0, 200.0, 300.0, 400.0])
    >>> round_scale(0, whole=True)
    (1.0, [0.0, 1.0])
    """
    if most <= 0:
        return 1.0, [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(most / _MOST_TICKS))
    steps = (power * step for step in _STEPS)
    step = next(size for size in steps if math.ceil(most / size - 1e-9) <= _MOST_TICKS)
    if whole:
        step = max(1.0, float(math.ceil(step)))
    count = math.ceil(most / step - 1e-9)
    return round(step * count, 9), [round(step * place, 9) for place in range(count + 1)]


def _shown(value: float, *, percent: bool) -> str:
    if percent:
        return f"{100 * value:g}\u202f%"
    return f"{value:,.10g}".replace(",", "\u202f")


def _line(own: Series, places: Sequence[float], height: _Height, *, joined: bool) -> Line:
    dots, path, pen = [], [], "M"
    for place, (x, value) in enumerate(zip(places, own.values, strict=True)):
        if value.at is None:
            pen = "M"  # the line is broken where a run has no figure
            continue
        y = height(value.at)
        whisker = ""
        if value.low is not None and value.high is not None:
            whisker = f"M{x} {height(value.low)}V{height(value.high)}"
        dots.append(Dot(x, y, place, value.at, value.low, value.high, whisker))
        path.append(f"{pen}{x} {y}")
        pen = "L"
    drawn = "".join(path) if joined else ""
    label_y = dots[-1].y if dots else None
    return Line(own.name, printable(own.name, 13), own.slot, own.kind, drawn, tuple(dots), label_y)


def _spread(lines: Sequence[Line], bottom: float) -> list[Line]:
    """The lines, the names at their ends moved apart so that none hides another.

    Names move down from the top one, then the whole pile up if it ends below the chart.
    """
    order = sorted(
        (line.label_y, place) for place, line in enumerate(lines) if line.label_y is not None
    )
    heights: list[float] = []
    for y, _ in order:
        heights.append(max(y, heights[-1] + _GAP) if heights else y)
    limit = bottom + 2
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], limit)
        limit = heights[index] - _GAP
    found = {place: round(y, 1) for (_, place), y in zip(order, heights, strict=True)}
    return [
        Line(
            *(line.name, line.label, line.slot, line.kind, line.path, line.dots),
            label_y=found.get(place),
        )
        for place, line in enumerate(lines)
    ]


def _run_ticks(places: Sequence[float], names: Sequence[str], *, span: float) -> tuple[Tick, ...]:
    """Names below the axis: all, or every second, third ... if they would meet."""
    longest = min(16, max(len(name) for name in names))
    room = max(1, int(span / (longest * _LETTER + 8)))
    every = math.ceil(len(names) / room)
    chosen = list(range(0, len(names), every))
    if chosen[-1] != len(names) - 1:  # the last run is the one that is looked for
        if len(names) - 1 - chosen[-1] < every and len(chosen) > 1:
            chosen.pop()
        chosen.append(len(names) - 1)
    return tuple(Tick(places[place], show_end(names[place], 16)) for place in chosen)


def _band(places: Sequence[float], band: Sequence[tuple[float, float]], height: _Height) -> str:
    if len(band) < 2:
        return ""
    upper = [f"{x} {height(high)}" for x, (_, high) in zip(places, band, strict=True)]
    lower = [f"{x} {height(low)}" for x, (low, _) in zip(places, band, strict=True)]
    return f"M{'L'.join(upper)}L{'L'.join(reversed(lower))}Z"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a stacked bar."""

    kind: str
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class StepBar:
    """What became of the units from one run to the next; `chance` is where chance would be."""

    title: str
    blocks: tuple[Block, ...]
    chance: float
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class StepChart:
    """Stacked bars, one for each step; lost units hang below the axis."""

    bars: tuple[StepBar, ...]
    y: tuple[Tick, ...]
    x: tuple[Tick, ...]
    left: float
    right: float
    zero: float
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Fate:
    """Units by what became of them; `place` is that of the later run."""

    place: int
    title: str
    kept: int
    renamed: int
    gained: int
    lost: int
    chance: float


def step_chart(fates: Sequence[Fate], names: Sequence[str]) -> StepChart:
    """Bars of units that kept their concept, changed it, became detectors; lost ones below."""
    right = WIDTH - _RIGHT
    places = _places(len(names), _LEFT, right)
    thick = round(min(34.0, 0.6 * (places[1] - places[0])) if len(places) > 1 else 34.0, 1)
    above = max([1, *(fate.kept + fate.renamed + fate.gained for fate in fates)])
    below = max([0, *(fate.lost for fate in fates)])
    top, ticks = round_scale(above, whole=True)
    scale = (HEIGHT - _BOTTOM - _TOP) / (top + below)
    zero = round(_TOP + top * scale, 1)
    bars = []
    for fate in fates:
        x = round(places[fate.place] - thick / 2, 1)
        blocks, y = [], zero
        for kind, value in (
            ("kept", fate.kept),
            ("renamed", fate.renamed),
            ("gained", fate.gained),
        ):
            size = round(value * scale, 1)
            y = round(y - size, 1)
            blocks.append(Block(kind, value, x, y, round(thick, 1), size))
        blocks.append(
            Block("lost", fate.lost, x, zero, round(thick, 1), round(fate.lost * scale, 1))
        )
        chance = round(zero - fate.chance * scale, 1)
        bars.append(StepBar(fate.title, tuple(blocks), chance, x, round(thick, 1)))
    return StepChart(
        bars=tuple(bars),
        y=tuple(Tick(round(zero - v * scale, 1), _shown(v, percent=False)) for v in ticks),
        x=_run_ticks(places, names, span=right - _LEFT),
        left=_LEFT,
        right=right,
        zero=zero,
    )


SPARK = (92, 24)


@dataclass(frozen=True, slots=True)
class Trend:
    """The best IoU of a concept over runs, small; filled dots are runs where it has detectors."""

    path: str
    dots: tuple[tuple[float, float, bool], ...]
    rule: float | None


def trend(
    ious: Sequence[float | None],
    detected: Sequence[bool],
    *,
    largest: float,
    threshold: float | None,
    joined: bool,
) -> Trend:
    """A concept's best IoU from run to run.

    Args:
        ious: Of each run; None where its set lacks the concept.
        detected: Whether any unit detects it.
        largest: The IoU at the top.
        threshold: Where a line is drawn; None: nowhere.
        joined: Draw lines between runs.
    """
    width, height = SPARK
    places = _places(len(ious), -6, width + 6)

    def level(value: float) -> float:
        return round(height - 4 - value / largest * (height - 8), 1)

    dots, path, pen = [], [], "M"
    for x, iou, is_detected in zip(places, ious, detected, strict=True):
        if iou is None:
            pen = "M"
            continue
        dots.append((x, level(iou), is_detected))
        path.append(f"{pen}{x} {level(iou)}")
        pen = "L"
    return Trend(
        "".join(path) if joined else "",
        tuple(dots),
        None if threshold is None else level(min(threshold, largest)),
    )
