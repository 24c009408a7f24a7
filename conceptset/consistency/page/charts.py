"""Where the dots, intervals and bars of the page lie, in pixels of their drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conceptset.consistency.document import Figure, Split

KINDS = ("agreement", "quality", "naming", "quantity")
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
_MOST_TICKS = 5


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of a scale: where, and its value."""

    x: float
    value: float


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places.

    Attributes:
        low: Value at the left end.
        high: Value at the right end.
        width: Of the drawing, the margins included.
        ticks: Round values between.
    """

    low: float
    high: float
    width: int
    ticks: tuple[Tick, ...] = ()

    def place(self, value: float) -> float:
        """Where a value lies; values outside lie on the edge."""
        share = (value - self.low) / (self.high - self.low)
        inner = self.width - 2 * MARGIN
        return round(MARGIN + inner * min(1.0, max(0.0, share)), 1)


MARGIN = 15  # half a number at either end


@dataclass(frozen=True, slots=True)
class Dot:
    """A value and its interval.

    Attributes:
        x: Of the dot.
        low: Left end of the interval; the same as `x` where there is none.
        high: Right end.
        is_certain: Whether there is an interval.
    """

    x: float
    low: float
    high: float
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a stacked bar."""

    kind: str
    share: float
    x: float
    width: float


def scale_for(
    figures: Iterable[Figure],
    width: int,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    around: float | None = None,
) -> Scale:
    """A scale that holds all values and intervals, with round ends.

    Args:
        figures: What has to fit on it.
        width: Of the drawing.
        bounds: Values that cannot be passed (0 and 1 for shares).
        around: A value that is to lie in the middle.

    >>> scale_for([Figure(value=0.62, low=0.57, high=0.71, n_images=9)], 100, bounds=(0, 1)).low
    0.55
    """
    values = [
        value
        for figure in figures
        for value in (figure.value, figure.low, figure.high)
        if value is not None
    ]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if around is not None:
        reach = max(around - low, high - around, 0.02)
        low, high = around - reach, around + reach
    step = next(
        (step for step in _STEPS if (high - low) / step < _MOST_TICKS - 1),
        10 ** math.ceil(math.log10(max(high - low, 1e-9) / 4)),
    )
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    low = max(bounds[0], round(first * step, 9))
    high = min(bounds[1], round(last * step, 9))
    if high <= low:  # everything lies on the upper bound
        first, low = first - 1, high - step
    bare = Scale(low, high, width)
    ticks = tuple(
        Tick(bare.place(value), value)
        for number in range(first, last + 1)
        if low <= (value := round(number * step, 9)) <= high
    )
    return Scale(low, high, width, ticks)


def dot(figure: Figure, scale: Scale) -> Dot | None:
    """A figure on its scale; None without a value."""
    if figure.value is None:
        return None
    x = scale.place(figure.value)
    if figure.low is None or figure.high is None:
        return Dot(x, x, x, is_certain=False)
    return Dot(x, scale.place(figure.low), scale.place(figure.high), is_certain=True)


def stack(shares: Sequence[tuple[str, float | None]], width: float) -> tuple[Part, ...]:
    """A bar of all shares, side by side; empty where one is undefined or all are 0.

    The shares fill the whole width: medians do not add up to 1.

    >>> [part.width for part in stack([("agreement", 0.75), ("quality", 0.25)], 100)]
    [75.0, 25.0]
    """
    known = [(kind, share) for kind, share in shares if share is not None]
    total = sum(share for _, share in known)
    if len(known) < len(shares) or total <= 0:
        return ()
    parts: list[Part] = []
    x = 0.0
    for kind, share in known:
        length = share / total * width
        if length > 0:
            parts.append(Part(kind, share, round(x, 1), round(length, 1)))
        x += length
    return tuple(parts)


def split_shares(split: Split) -> list[tuple[str, float | None]]:
    """The parts of a split in the order in which they are drawn."""
    return [(kind, getattr(split, kind).value) for kind in KINDS]


def bar(value: float | None, most: float, width: float) -> float:
    """Length of a bar; 0 without a value."""
    if value is None or most <= 0:
        return 0.0
    return round(min(1.0, max(0.0, value / most)) * width, 1)
