"""Percentile intervals of many figures: the numbers on both ends, without sorting the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.intervals import LEVEL, MAX_UNDEFINED, MIN_IMAGES
from dissect.compiling import compiled
from dissect.counts import IntArray
from dissect.ordering import sort_values
from dissect.upsample import FloatArray

_BUCKETS = 256
_FIRST = 64  # values that the buckets are laid by


def percentile_rows(
    estimates: FloatArray, images: IntArray, *, level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """(low, high) of the percentile interval of each row.

    `conceptset.consistency.intervals.percentile_interval` for many figures at once: NaN where a
    figure rests on fewer than 10 images or is undefined in more than 5 % of the resamples.

    Args:
        estimates: (k, resamples) float64, NaN where undefined.
        images: (k,) how many images each figure rests on.
        level: What share of the resamples the interval holds.
    """
    ends = np.full((2, len(estimates)), np.nan)
    _find_rows(estimates, images, fewest_defined(estimates.shape[1]), level, *ends)
    return ends[0], ends[1]


def fewest_defined(resamples: int) -> float:
    """In how many resamples a figure has to be defined."""
    return (1 - MAX_UNDEFINED) * resamples


@compiled
def _find_rows(
    estimates: FloatArray,
    images: IntArray,
    fewest: float,
    level: float,
    low: FloatArray,
    high: FloatArray,
) -> None:
    kept, buckets = make_scratch(estimates.shape[1])
    for row in range(len(estimates)):
        if images[row] >= MIN_IMAGES:
            values = estimates[row]
            if np.isnan(values).any():
                values = values[~np.isnan(values)]
            low[row], high[row] = find_interval(values, kept, buckets, fewest, level)


@compiled
def make_scratch(resamples: int) -> tuple[FloatArray, NDArray[np.int32]]:
    """What `find_interval` writes over."""
    return np.empty(resamples), np.empty(resamples, dtype=np.int32)


@compiled
def find_interval(
    values: FloatArray, kept: FloatArray, buckets: NDArray[np.int32], fewest: float, level: float
) -> tuple[float, float]:
    """The percentile interval of one figure; NaN where too few values are defined.

    Values are counted in buckets of equal width, and only those are sorted that share a bucket
    with one of the four that the ends lie between.

    Args:
        values: (n,) in any order, all of them defined.
        kept: (n,) or more, written over.
        buckets: Likewise.
        fewest: How many must be defined.
        level: What share of the values the interval holds.
    """
    if len(values) == 0 or len(values) < fewest:
        return np.nan, np.nan
    lowest, scale = _lay_buckets(values)
    times = np.zeros(_BUCKETS, dtype=np.int32)
    for place in range(len(values)):
        rank = (values[place] - lowest) * scale
        rank = 0.0 if rank < 0.0 else rank
        buckets[place] = np.int32(_BUCKETS - 1.0 if rank > _BUCKETS - 1.0 else rank)
    for place in range(len(values)):
        times[buckets[place]] += 1
    last = len(values) - 1
    lower, upper = (1 - level) / 2 * last, (1 + level) / 2 * last
    first, before, low_end, low_total = _find_buckets(times, int(lower), min(int(lower) + 1, last))
    begin, skipped, end, _ = _find_buckets(times, int(upper), min(int(upper) + 1, last))
    found = 0
    for place in range(len(values)):
        kept[found] = values[place]
        bucket = buckets[place]
        found += (first <= bucket <= low_end) | (begin <= bucket <= end)
    sort_values(kept[:found])
    # of those before the upper end, the ones that the lower end needs are among the sorted
    skipped = skipped - (low_total - before) if begin > low_end else before
    return _between(kept[:found], lower, before), _between(kept[:found], upper, skipped)


@compiled
def _lay_buckets(values: FloatArray) -> tuple[float, float]:
    """Where the buckets begin, and how many there are to 1: wide enough for most values.

    What lies beyond them goes into the outermost; it costs time, not truth.
    """
    lowest, highest = values[0], values[0]
    for value in values[:_FIRST]:
        lowest, highest = min(lowest, value), max(highest, value)
    if lowest == highest:
        for value in values:
            lowest, highest = min(lowest, value), max(highest, value)
    width = highest - lowest
    return lowest - width / 4, _BUCKETS / (1.5 * width) if width > 1e-300 else 0.0


@compiled
def _find_buckets(times: NDArray[np.int32], first: int, last: int) -> tuple[int, int, int, int]:
    """The buckets of two places that follow one another.

    Returns:
        That of the first, how many values lie before it, that of the last, how many lie up to it.
    """
    bucket, total = 0, int(times[0])
    while total <= first:
        bucket += 1
        total += int(times[bucket])
    begin, before = bucket, total - int(times[bucket])
    while total <= last:
        bucket += 1
        total += int(times[bucket])
    return begin, before, bucket, total


@compiled
def _between(values: FloatArray, place: float, before: int) -> float:
    """What stands at a fractional place, of values of which so many at the front are left out."""
    below = int(place) - before
    above = min(below + 1, len(values) - 1)
    low, high = float(values[below]), float(values[above])
    return low + (high - low) * (place - int(place))
