"""The IoUs of one unit with every label in every resample, and the intervals of these."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.intervals import LEVEL, MIN_IMAGES
from dissect.cells import Weights, add_weighted
from dissect.compiling import compiled
from dissect.counts import IntArray
from dissect.percentiles import fewest_defined, find_interval, make_scratch
from dissect.upsample import FloatArray

_INT32 = 2**31 - 1
Sums = NDArray[Any]  # int32 or float64


class UnitCells(NamedTuple):
    """What a unit's IoUs are made of.

    Attributes:
        heads: (labels + 1 or more,) int64, where the intersections with each label begin.
        columns: (n,) int32 as in `Cells`.
        pixels: (n,) int64 likewise.
        labels: (k,) int64 labels that are looked at, rising.
        weights: (columns, resamples) how often each column counts.
        truth: (labels, resamples) float64.
        activation: (categories, resamples) float64, of the unit.
        place: (labels,) int64, the category of each label.
    """

    heads: IntArray
    columns: NDArray[np.int32]
    pixels: IntArray
    labels: IntArray
    weights: Weights
    truth: FloatArray
    activation: FloatArray
    place: IntArray


class _Scratch(NamedTuple):
    """What an intersection is summed in: per column, per resample, and the columns that it has."""

    together: Sums
    sums: Sums
    used: IntArray


def _scratch(unit: UnitCells) -> _Scratch:
    columns, resamples = unit.weights.shape
    # an intersection is part of the truth, and so are its sums: mostly 32 bits are enough
    dtype = np.int32 if unit.truth.max(initial=0.0) <= _INT32 else np.float64
    return _Scratch(
        np.zeros(columns, dtype), np.zeros(resamples, dtype), np.zeros(columns, dtype=np.int64)
    )


def divide_unit(unit: UnitCells) -> FloatArray:
    """(k, resamples) float64 IoUs; NaN in a resample without a pixel of either."""
    ious = np.empty((len(unit.labels), unit.weights.shape[1]))
    _divide(unit, _scratch(unit), ious)
    return ious


def bound_unit(
    unit: UnitCells, images: IntArray, *, above: float
) -> tuple[FloatArray, FloatArray, IntArray]:
    """The interval of each IoU, and the unit's best label in each resample.

    Args:
        unit: The unit.
        images: (labels,) how many images the IoU with each label rests on.
        above: What the largest IoU of a resample must exceed.

    Returns:
        (k,) lower and upper ends, NaN where there is no interval; (resamples,) the place in
        `labels` of the largest IoU, the first of equal ones, -1 where none exceeds `above`.
    """
    resamples = unit.weights.shape[1]
    ends = np.full((2, len(unit.labels)), np.nan)
    best = np.full(resamples, -1, dtype=np.int64)
    _bound(unit, _scratch(unit), images, fewest_defined(resamples), LEVEL, above, ends, best)
    return ends[0], ends[1], best


@compiled
def _divide(unit: UnitCells, scratch: _Scratch, ious: FloatArray) -> None:
    for row in range(len(unit.labels)):
        _divide_row(unit, scratch, unit.labels[row], ious[row])


@compiled
def _divide_row(unit: UnitCells, scratch: _Scratch, label: int, ious: FloatArray) -> int:
    """Fill the IoUs with one label, (resamples,); how many are defined."""
    begin, end, sums = unit.heads[label], unit.heads[label + 1], scratch.sums
    sums.fill(0)
    add_weighted(
        unit.columns[begin:end],
        unit.pixels[begin:end],
        unit.weights,
        scratch.together,
        scratch.used,
        sums,
    )
    truth, activation = unit.truth[label], unit.activation[unit.place[label]]
    defined = 0
    for resample in range(len(sums)):
        shared = np.float64(sums[resample])
        either = truth[resample] + activation[resample] - shared
        ious[resample] = shared / either if either > 0 else np.nan
        defined += either > 0
    return defined


@compiled
def _bound(
    unit: UnitCells,
    scratch: _Scratch,
    images: IntArray,
    fewest: float,
    level: float,
    above: float,
    ends: FloatArray,
    best: IntArray,
) -> None:
    ious, largest = np.empty(len(best)), np.full(len(best), above)
    kept, buckets = make_scratch(len(best))
    for row in range(len(unit.labels)):
        defined = _divide_row(unit, scratch, unit.labels[row], ious)
        for resample in range(len(best)):
            better = ious[resample] > largest[resample]  # False for NaN
            largest[resample] = ious[resample] if better else largest[resample]
            best[resample] = row if better else best[resample]
        if images[unit.labels[row]] >= MIN_IMAGES:
            values = ious if defined == len(ious) else ious[~np.isnan(ious)]
            ends[0, row], ends[1, row] = find_interval(values, kept, buckets, fewest, level)
