"""Figures with all their resamples, until they are written as a value and an interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.document import Figure
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.intervals import percentile_intervals

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Estimate(NamedTuple):
    """One figure, in the material (first) and in every resample.

    Attributes:
        values: (rows,) NaN where undefined.
        images: Places of the images that it rests on.
        reason: Why it is undefined, where the first is NaN.
    """

    values: FloatArray
    images: IntArray
    reason: str


def ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """The quotient, NaN where the divisor is 0.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    same = above.shape == below.shape  # numpy's broadcasting of shapes is slow
    quotient = np.full(above.shape if same else np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=quotient, where=below != 0)
    return quotient


def null_figure(reason: str, images: int = 0) -> Figure:
    """A figure that is undefined."""
    return Figure(value=None, n_images=images, reason=reason)


def to_figures(estimates: Mapping[str, Estimate]) -> dict[str, Figure]:
    """Every figure with its 95 % interval, or the reason why it has none."""
    if not estimates:
        return {}
    rows = np.stack([estimate.values for estimate in estimates.values()])
    counts = [len(estimate.images) for estimate in estimates.values()]
    intervals = percentile_intervals(rows[:, 1:], images=counts)
    figures = {}
    for (name, estimate), count, interval in zip(estimates.items(), counts, intervals, strict=True):
        value = float(estimate.values[0])
        if math.isnan(value):
            figures[name] = null_figure(estimate.reason, count)
        elif interval.reason:
            figures[name] = Figure(value=value, n_images=count, reason=interval.reason)
        else:
            figures[name] = Figure(
                value=value, low=interval.low, high=interval.high, n_images=count
            )
    return figures


class MeanOver:
    """The mean over pairs of a figure, one pair after the other; each pair equal.

    A pair in which the figure is undefined is left out of the mean, resample by resample.

    Args:
        rows: Of every estimate.
        images: Of the material.
    """

    def __init__(self, rows: int, images: int) -> None:
        self._sum = np.zeros(rows)
        self._count = np.zeros(rows, dtype=np.int32)
        self._rests_on = np.zeros(images, dtype=bool)
        self._reason = ""

    def add(self, estimate: Estimate, *, sign: int = 1) -> None:
        """One more pair."""
        defined = np.isfinite(estimate.values)
        self._sum[defined] += sign * estimate.values[defined]
        self._count += defined
        self._rests_on[estimate.images] = True
        self._reason = estimate.reason

    def estimate(self, reason: str) -> Estimate:
        """The mean so far; `reason` if there was no pair at all."""
        mean = ratio(self._sum, self._count.astype(np.float64))
        return Estimate(mean, np.flatnonzero(self._rests_on), self._reason or reason)


@dataclass(slots=True)
class Estimates:
    """What verdicts ask: annotators' figures resample by resample, and the resamples themselves.

    Attributes:
        resamples: For whoever has further sums over images; they then see the same resamples.
        held: By (category, annotator, figure); annotator "" is the whole layer.
    """

    resamples: Resamples
    held: dict[tuple[str, str, str], Estimate] = field(default_factory=dict)

    def keep(self, category: str, annotator: str, estimates: Mapping[str, Estimate]) -> None:
        """Remember some figures of one annotator."""
        for name, estimate in estimates.items():
            self.held[category, annotator, name] = estimate

    def figure(self, category: str, annotator: str, name: str) -> Figure:
        """One figure that is held."""
        return to_figures({name: self.held[category, annotator, name]})[name]

    def difference(self, category: str, annotator: str, name: str, others: Iterable[str]) -> Figure:
        """One annotator's figure less the mean of the others', each other equal.

        Others for whom it is undefined are left out, resample by resample. The interval excludes
        0 where the difference is more than chance among images would give.

        Args:
            category: Label layer.
            annotator: Whose figure.
            name: Of the figure, one of ANNOTATOR_FIGURES.
            others: Whom to compare with.
        """
        own = self.held[category, annotator, name]
        mean = MeanOver(len(own.values), self.resamples.images)
        for other in others:
            mean.add(self.held[category, other, name])
        rest = mean.estimate("nobody to compare with")
        reason = own.reason if math.isnan(own.values[0]) else rest.reason
        images = np.intersect1d(own.images, rest.images)
        return to_figures({name: Estimate(own.values - rest.values, images, reason)})[name]
