"""IoUs of a layer in every resample of the images: how far they would move on other images.

The bootstrap over images (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
13): images are drawn with replacement, a unit's threshold and its masks stay as they are, and
intersection, activation and truth are summed again from the counts per image, divided once. The
same resamples serve all units, labels and annotators, so that differences can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from conceptset.consistency.intervals import LEVEL, MAX_UNDEFINED, MIN_IMAGES, draw_resamples
from dissect.counts import Counts, IntArray
from dissect.state import Union
from dissect.upsample import FloatArray

RESAMPLES = 1000

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Resamples:
    """Which images are in which resample.

    Attributes:
        rows: (n,) int64 rows of the index, rising.
        weights: (n, resamples) float32, how often each is drawn: whole numbers.
    """

    rows: IntArray
    weights: NDArray[np.float32]

    @classmethod
    def draw(cls, rows: IntArray, *, resamples: int = RESAMPLES) -> Resamples:
        """The resamples of these images; the same for the same number of images."""
        weights = draw_resamples(len(rows), resamples=resamples)
        return cls(rows, np.ascontiguousarray(weights.T))

    @classmethod
    def once(cls, rows: IntArray) -> Resamples:
        """Every image once: what is summed then is the figure itself."""
        return cls(rows, np.ones((len(rows), 1), dtype=np.float32))

    def columns(self, images: IntArray) -> IntArray:
        """The places of rows of the index in `rows`.

        Raises:
            ValueError: One of them is not there.
        """
        places = np.searchsorted(self.rows, images)
        if len(self.rows) == 0 and len(images) == 0:
            return places
        if not np.array_equal(self.rows[np.minimum(places, len(self.rows) - 1)], images):
            raise ValueError("the counts hold images that were not drawn from")
        return places


@dataclass(frozen=True, slots=True)
class UnitIous:
    """The IoUs of one unit.

    Attributes:
        unit: From 0.
        labels: (k,) int64 labels that share a pixel with its masks, rising.
        iou: (k, resamples) float64; NaN in a resample without a pixel of either.
    """

    unit: int
    labels: IntArray
    iou: FloatArray


def carrying(counts: Counts, place: IntArray, categories: int, rows: IntArray) -> BoolArray:
    """(categories, images) whether a label of each primary category occurs in each image.

    Args:
        counts: Of any layer: the truth is the same in all.
        place: (labels,) primary category of each label.
        categories: How many there are.
        rows: (images,) rows of the index, rising; others are left out.
    """
    carried = np.zeros((categories, len(rows)), dtype=np.bool_)
    truth = counts.truth[np.isin(counts.truth[:, 0], rows)]
    carried[place[truth[:, 1]], np.searchsorted(rows, truth[:, 0])] = True
    return carried


class LayerSampler:
    """The counts of a layer, laid out so that they can be summed over any resample.

    Args:
        counts: The counts; their images are among those of `samples`.
        place: (labels,) int64, primary category of each label.
        carried: (categories, images of `samples`) on which images labels of a category count.
        samples: The resamples.
        units: Units of the layer.
        union: `annotated`: masks count on all images of `carried`; `lite`: only on those where a
            label of the category lies under them.
    """

    def __init__(
        self,
        counts: Counts,
        place: IntArray,
        carried: BoolArray,
        samples: Resamples,
        *,
        units: int,
        union: Union,
    ) -> None:
        self.place, self.carried, self.samples = place, carried, samples
        self.units, self.union, labels = units, union, len(place)
        images = len(samples.rows)
        row, label, pixels = counts.truth.T
        column = samples.columns(row)
        kept = carried[place[label], column]
        truth = _table(label[kept], column[kept], pixels[kept], (labels, images))
        self.truth: FloatArray = truth @ samples.weights.astype(np.float64)
        row, unit, label, pixels = counts.intersection.T
        column = samples.columns(row)
        kept = carried[place[label], column]
        keys = unit[kept] * labels + label[kept]
        self.shared = _table(keys, column[kept], pixels[kept], (units * labels, images))
        row, unit, pixels = counts.area.T
        self.area = _table(unit, samples.columns(row), pixels, (units, images))

    def __iter__(self) -> Iterator[UnitIous]:
        """Every unit in order, one at a time."""
        return (self.sample(unit) for unit in range(self.units))

    def sample(self, unit: int) -> UnitIous:
        """The IoUs of a unit with each label it shares a pixel with."""
        width = len(self.place)
        starts = self.shared.indptr[unit * width : (unit + 1) * width + 1]
        labels = np.flatnonzero(np.diff(starts)).astype(np.int64)
        begin, end = self.area.indptr[unit : unit + 2]
        active, area = self.area.indices[begin:end], self.area.data[begin:end]
        weights = self.samples.weights[active].astype(np.float64)  # sums stay exact: below 2**53
        of_entry = slice(int(starts[0]), int(starts[-1]))
        columns = np.searchsorted(active, self.shared.indices[of_entry])
        limits = np.append(starts[labels], starts[-1]) - starts[0]
        block = sparse.csr_array(
            (self.shared.data[of_entry], columns, limits), shape=(len(labels), len(active))
        )
        shared = np.asarray(block @ weights)
        if self.union == "annotated":
            counted = self.carried[:, active]
        else:
            counted = np.zeros((len(self.carried), len(active)), dtype=np.bool_)
            of_label = np.repeat(self.place[labels], np.diff(limits))
            counted[of_label, columns] = True
        # sparse, though it is not: a small dense product waits for the threads of BLAS
        activation = np.asarray(sparse.csr_array(counted * area) @ weights)
        either = self.truth[labels]
        either += activation[self.place[labels]]
        either -= shared
        with np.errstate(invalid="ignore"):  # 0 / 0 where a resample has no pixel of either
            np.divide(shared, either, out=shared)
        return UnitIous(unit, labels, shared)


def _table(
    row: IntArray, column: IntArray, pixels: IntArray, shape: tuple[int, int]
) -> sparse.csr_array:
    """Counts as a sparse matrix of float64; each row's columns rise."""
    table = sparse.coo_array((pixels.astype(np.float64), (row, column)), shape=shape).tocsr()
    table.sort_indices()
    return table


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
    ordered = np.sort(estimates, axis=1)  # NaN last; quicker than selecting four places
    resamples = estimates.shape[1]
    defined = np.full(len(ordered), resamples)
    gaps = np.isnan(ordered[:, -1])
    defined[gaps] = np.isfinite(ordered[gaps]).sum(axis=1)
    found = np.full((2, len(ordered)), np.nan)
    rows = np.flatnonzero((images >= MIN_IMAGES) & (defined >= (1 - MAX_UNDEFINED) * resamples))
    for end, share in zip(found, ((1 - level) / 2, (1 + level) / 2), strict=True):
        place = share * (defined[rows] - 1)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, defined[rows] - 1)
        low, high = ordered[rows, below], ordered[rows, above]
        end[rows] = low + (high - low) * (place - below)
    return found[0], found[1]


def best_of(ious: UnitIous, *, above: float) -> IntArray:
    """The label of largest IoU in each resample, the lowest number on a tie.

    Args:
        ious: Of a unit.
        above: What the IoU must exceed.

    Returns:
        (resamples,) int64; 0 where no label exceeds it.
    """
    best = np.zeros(ious.iou.shape[1], dtype=np.int64)
    largest = np.full(len(best), above)
    for row in np.flatnonzero(np.fmax.reduce(ious.iou, axis=1, initial=above) > above):
        better = ious.iou[row] > largest  # False for NaN
        best[better] = ious.labels[row]
        largest[better] = ious.iou[row][better]
    return best


@dataclass(frozen=True, slots=True)
class Bounds:
    """Intervals of all IoUs of a layer, in the order of (unit, label).

    Attributes:
        unit: (m,) int64.
        label: (m,) int64.
        low: (m,) float64, NaN where there is no interval.
        high: (m,) likewise.
        probability: (m,) share of the resamples in which the label is the unit's best and above
            the threshold; NaN with fewer than 10 images.
    """

    unit: IntArray
    label: IntArray
    low: FloatArray
    high: FloatArray
    probability: FloatArray


def bound_ious(sampler: LayerSampler, *, iou_threshold: float) -> Bounds:
    """The interval of every IoU, and how often each label makes its unit a detector.

    Memory: one unit's IoUs in all resamples at a time.
    """
    images = sampler.carried.sum(axis=1)
    labels, lows, highs, shares, units = [], [], [], [], []
    for ious in sampler:
        low, high = percentile_rows(ious.iou, images[sampler.place[ious.labels]])
        best = best_of(ious, above=iou_threshold)
        times = np.bincount(best, minlength=len(sampler.place))[ious.labels]
        units.append(np.full(len(ious.labels), ious.unit, dtype=np.int64))
        labels.append(ious.labels)
        lows.append(low)
        highs.append(high)
        shares.append(times / len(best))
    probability = np.concatenate([np.empty(0), *shares])
    if len(sampler.samples.rows) < MIN_IMAGES:
        probability[:] = np.nan
    empty = np.empty(0, dtype=np.int64)
    return Bounds(
        np.concatenate([empty, *units]),
        np.concatenate([empty, *labels]),
        np.concatenate([np.empty(0), *lows]),
        np.concatenate([np.empty(0), *highs]),
        probability,
    )
