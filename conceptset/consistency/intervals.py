"""Percentile intervals of the bootstrap over images, and the jackknife over annotators.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 11 and 13. Every figure is
recomputed in every resample from counts per image; all figures see the same resamples, so that
differences between them have intervals too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RESAMPLES = 2000
SEED = 20170721
LEVEL = 0.95
MIN_IMAGES = 10
MAX_UNDEFINED = 0.05  # share of the resamples


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies.

    Attributes:
        low: NaN where there is no interval.
        high: NaN likewise.
        reason: Why there is none; empty if there is.
    """

    low: float
    high: float
    reason: str = ""

    def excludes(self, value: float) -> bool:
        """Whether a value lies outside; False without an interval."""
        return value < self.low or value > self.high


def draw_resamples(
    images: int, *, resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float32]:
    """How often each image is in each resample; every row adds up to `images`.

    Args:
        images: How many there are.
        resamples: Rows.
        seed: Of numpy's default generator.

    Returns:
        (resamples, images) float32, whole numbers (exact, and ready for a matrix product).

    >>> draw_resamples(4, resamples=3).sum(axis=1).tolist()
    [4.0, 4.0, 4.0]
    """
    generator = np.random.default_rng(seed)
    weights = np.empty((resamples, images), dtype=np.float32)
    for row in weights:  # one row at a time: 10^5 images need no table of all draws
        row[:] = np.bincount(generator.integers(0, images, images), minlength=images)
    return weights


def percentile_interval(estimates: FloatArray, *, images: int, level: float = LEVEL) -> Interval:
    """The percentile interval of one figure.

    Args:
        estimates: (resamples,) the figure in each; NaN where it is undefined.
        images: How many images it rests on.
        level: What share of the resamples the interval holds.

    >>> percentile_interval(np.arange(101.0), images=50, level=0.5)
    Interval(low=25.0, high=75.0, reason='')
    >>> percentile_interval(np.arange(101.0), images=3).reason
    'fewer than 10 images (3)'
    """
    if images < MIN_IMAGES:
        return Interval(np.nan, np.nan, f"fewer than {MIN_IMAGES} images ({images})")
    defined = estimates[np.isfinite(estimates)]
    if len(defined) < (1 - MAX_UNDEFINED) * len(estimates):
        share = 1 - len(defined) / len(estimates)
        return Interval(np.nan, np.nan, f"undefined in {share:.0%} of the resamples")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def percentile_intervals(
    estimates: FloatArray, *, images: Sequence[int], level: float = LEVEL
) -> list[Interval]:
    """The percentile intervals of many figures at once, each as `percentile_interval` gives it.

    Args:
        estimates: (figures, resamples); NaN where a figure is undefined.
        images: (figures,) how many images each rests on.
        level: What share of the resamples an interval holds.

    >>> percentile_intervals(np.arange(101.0)[None], images=[50], level=0.5)
    [Interval(low=25.0, high=75.0, reason='')]
    """
    if not estimates.shape[1]:
        return [_without_resamples(count) for count in images]
    finite = np.isfinite(estimates)
    whole = [i for i, count in enumerate(images) if count >= MIN_IMAGES and finite[i].all()]
    ends = np.quantile(estimates[whole], [(1 - level) / 2, (1 + level) / 2], axis=1)
    found = {
        index: Interval(float(low), float(high))
        for index, low, high in zip(whole, *ends, strict=True)
    }
    for index, row in enumerate(estimates):
        if images[index] < MIN_IMAGES:
            found[index] = _without_resamples(images[index])
        elif index not in found:
            found[index] = percentile_interval(row, images=images[index], level=level)
    return [found[index] for index in range(len(estimates))]


def _without_resamples(images: int) -> Interval:
    few = f"fewer than {MIN_IMAGES} images ({images})"
    return Interval(np.nan, np.nan, few if images < MIN_IMAGES else "no resamples were drawn")


def jackknife(values: FloatArray) -> tuple[float, float, float]:
    """Range and standard error of a figure when each annotator is left out in turn.

    Args:
        values: (n,) the figure without each annotator, n >= 3; NaN where undefined.

    Returns:
        (lowest, highest, standard error); NaN throughout with fewer than 3 defined values, and no
        standard error with fewer than 5.

    >>> jackknife(np.array([0.5, 0.5, 0.5, 0.5, 0.5]))
    (0.5, 0.5, 0.0)
    """
    defined = values[np.isfinite(values)]
    n = len(defined)
    if n < 3:
        return (np.nan, np.nan, np.nan)
    error = np.nan
    if n >= 5:
        error = float(np.sqrt((n - 1) / n * ((defined - defined.mean()) ** 2).sum()))
    return (float(defined.min()), float(defined.max()), error)
