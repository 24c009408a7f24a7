"""IoUs of a layer in every resample of the images: how far they would move on other images.

The bootstrap over images (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
13): images are drawn with replacement, a unit's threshold and its masks stay as they are, and
intersection, activation and truth are summed again from the counts per image, divided once. The
same resamples serve all units, labels and annotators, so that differences can be compared.

Beyond `MAX_IMAGES` images, `GROUPS` random groups of equal size are drawn in their place: the
counts of a group are summed first. Sums of random groups vary as the images do (Wolter,
Introduction to Variance Estimation, 2007, chapter 2): the variance that drawing n/k groups of k
images finds is that of drawing n images, times (n - k) / (n - 1) in the mean, here 0.999. From
1024 groups the width of an interval is known to 1 / sqrt(2 * 1024) = 2 %, while its ends, the
25th of 1000 resamples, move by 4 % from one seed to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.intervals import MIN_IMAGES, SEED, draw_resamples
from dissect.cells import Cells, lay_out, narrow_weights, sum_cells
from dissect.counts import Counts, IntArray
from dissect.entries import BoolArray, Entries, Figures
from dissect.resampled import UnitCells, bound_unit, divide_unit
from dissect.rows import pieces
from dissect.state import Union
from dissect.upsample import FloatArray

RESAMPLES = 1000
MAX_IMAGES = 4096  # that are drawn one by one; of more, groups are
GROUPS = 1024
_ENTRIES = 3 << 23  # of the counts, 12 bytes each, that are laid out by unit at a time


@dataclass(frozen=True, slots=True)
class Resamples:
    """Which images are in which resample.

    Attributes:
        rows: (n,) int64 rows of the index, rising.
        weights: (columns, resamples) float32, how often each is drawn: whole numbers.
        groups: (n,) int64 the column of each image; None: each has its own, in order.
    """

    rows: IntArray
    weights: NDArray[np.float32]
    groups: IntArray | None = None

    @classmethod
    def draw(cls, rows: IntArray, *, resamples: int = RESAMPLES) -> Resamples:
        """The resamples of these images; the same for the same number of images."""
        groups = draw_groups(len(rows)) if len(rows) > MAX_IMAGES else None
        weights = draw_resamples(len(rows) if groups is None else GROUPS, resamples=resamples)
        return cls(rows, np.ascontiguousarray(weights.T), groups)

    @classmethod
    def once(cls, rows: IntArray) -> Resamples:
        """Every image once: what is summed then is the figure itself."""
        return cls(rows, np.ones((1, 1), dtype=np.float32), np.zeros(len(rows), dtype=np.int64))

    def columns(self, places: IntArray) -> IntArray:
        """The columns of images, from their places in `rows`."""
        return places if self.groups is None else self.groups[places]


def draw_groups(images: int, *, groups: int = GROUPS, seed: int = SEED) -> IntArray:
    """(images,) int64 a random group for each image; sizes differ by one at most.

    >>> np.bincount(draw_groups(10, groups=4)).tolist()
    [3, 3, 2, 2]
    """
    order = np.random.default_rng(seed).permutation(images)
    found = np.empty(images, dtype=np.int64)
    found[order] = np.arange(images) % groups
    return found


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
    for piece in pieces(counts.truth):
        truth = piece[np.isin(piece[:, 0], rows)]
        carried[place[truth[:, 1]], np.searchsorted(rows, truth[:, 0])] = True
    return carried


class LayerSampler:
    """The counts of a layer, laid out so that they can be summed over any resample.

    Memory: the counts of as many units as have `_ENTRIES` of them together; the counts are read
    once more for each such range of units.

    Args:
        counts: The counts; their images are among those of `samples`.
        place: (labels,) int64, primary category of each label.
        carried: (categories, images of `samples`) on which images labels of a category count.
        samples: The resamples.
        units: Units of the layer.
        union: As `Figures` takes it.
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
        self.figures = Figures(place, carried, samples.rows, units, union)
        self.units, self._counts = units, counts
        self.weights = narrow_weights(samples.weights)
        truth, times = list(self.figures.truths(counts)), np.zeros(len(place), dtype=np.int64)
        for labels, _, _ in truth:
            np.add.at(times, labels, 1)
        cells = lay_out(times, self._in_columns(truth))
        self.truth: FloatArray = sum_cells(cells, self.weights, range(len(place)))
        self._times = np.zeros(units * self.figures.per_unit, dtype=np.int64)
        for figures, _, _ in self.figures.entries(counts):
            np.add.at(self._times, figures, 1)

    @property
    def entries(self) -> IntArray:
        """(units,) int64 how many counts each unit has."""
        entries: IntArray = self._times.reshape(self.units, -1).sum(axis=1)
        return entries

    def __iter__(self) -> Iterator[UnitIous]:
        """Every unit in order, one at a time."""
        for units in self.ranges():
            laid = self.lay_out(units)
            yield from map(laid.sample, units)

    def ranges(self) -> list[range]:
        """The units in parts that can be laid out at a time."""
        return split_units(self.entries)

    def lay_out(self, units: range) -> UnitRange:
        """Some units that follow one another, ready to be summed."""
        first, end = (unit * self.figures.per_unit for unit in (units.start, units.stop))
        entries = self._in_columns(self.figures.entries(self._counts, units))
        return UnitRange(self, units, lay_out(self._times[first:end], entries, first=first))

    def _in_columns(self, entries: Iterable[Entries]) -> Iterator[Entries]:
        for figures, places, pixels in entries:
            yield figures, self.samples.columns(places), pixels


def split_units(entries: IntArray) -> list[range]:
    """Ranges of units with up to `_ENTRIES` counts together, at least one unit each."""
    ends, total = [], 0
    for unit, count in enumerate(entries.tolist()):
        if total and total + count > _ENTRIES:
            ends.append(unit)
            total = 0
        total += count
    return [range(a, b) for a, b in zip([0, *ends], [*ends, len(entries)], strict=True)]


@dataclass(frozen=True, slots=True)
class UnitRange:
    """Some units of a layer, ready to be summed over any resample; threads may share it.

    Attributes:
        sampler: Where they come from.
        units: Which.
        cells: For each unit, its intersection with every label, its activation by category.
    """

    sampler: LayerSampler
    units: range
    cells: Cells

    def sample(self, unit: int, *, among: Sequence[int] | None = None) -> UnitIous:
        """The IoUs of a unit with each label, or each of some, that it shares a pixel with."""
        own = self._unit(unit, among)
        return UnitIous(unit, own.labels, divide_unit(own))

    def best(self, unit: int, *, above: float) -> IntArray:
        """As `best_of` finds it; the IoUs are not kept."""
        own = self._unit(unit)
        _, _, best = bound_unit(own, np.zeros_like(own.place), above=above)
        return np.append(own.labels, 0)[best]

    def bound(self, unit: int, images: IntArray, *, iou_threshold: float) -> Bounds:
        """The intervals of these IoUs.

        Args:
            unit: From 0.
            images: (labels,) how many images the IoU with each label rests on.
            iou_threshold: What a detector's IoU exceeds.
        """
        own = self._unit(unit)
        low, high, best = bound_unit(own, images, above=iou_threshold)
        units = np.full(len(low), unit, dtype=np.int64)
        times = np.bincount(best + 1, minlength=len(low) + 1)[1:]
        return Bounds(units, own.labels, low, high, times / max(1, len(best)))

    def _unit(self, unit: int, among: Sequence[int] | None = None) -> UnitCells:
        own, labels = self.sampler, len(self.sampler.place)
        begin = (unit - self.units.start) * own.figures.per_unit
        found = np.flatnonzero(np.diff(self.cells.heads[begin : begin + labels + 1]))
        if among is not None:
            found = found[np.isin(found, np.asarray(among, dtype=np.int64))]
        categories = range(begin + labels, begin + own.figures.per_unit)
        activation = sum_cells(self.cells, own.weights, categories)
        cells = self.cells
        return UnitCells(
            *(cells.heads[begin:], cells.columns, cells.pixels, found),
            *(own.weights, own.truth, activation, own.place),
        )


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


def bound_ious(sampler: LayerSampler, *, iou_threshold: float, workers: int = 1) -> Bounds:
    """The interval of every IoU, and how often each label makes its unit a detector.

    Memory: a range of units, and what they find.

    Args:
        sampler: The layer.
        iou_threshold: What a detector's IoU exceeds.
        workers: Threads; the outcome does not depend on them.
    """
    images = sampler.carried.sum(axis=1)[sampler.place]
    found: list[Bounds] = []
    with ThreadPoolExecutor(workers) as pool:
        for units in sampler.ranges():
            laid = sampler.lay_out(units)
            found += pool.map(
                partial(laid.bound, images=images, iou_threshold=iou_threshold), units
            )
            del laid  # before the next ones are laid out
    probability = np.concatenate([np.empty(0), *(one.probability for one in found)])
    if len(sampler.samples.rows) < MIN_IMAGES:
        probability[:] = np.nan
    none = np.empty(0, dtype=np.int64)
    return Bounds(
        np.concatenate([none, *(one.unit for one in found)]),
        np.concatenate([none, *(one.label for one in found)]),
        np.concatenate([np.empty(0), *(one.low for one in found)]),
        np.concatenate([np.empty(0), *(one.high for one in found)]),
        probability,
    )
