"""IoUs of units with each annotator's labels, and what a unit is called by each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dissect.annotators.basis import Basis
from dissect.counts import Counts, IntArray
from dissect.entries import BoolArray
from dissect.state import Union
from dissect.totals import add_up
from dissect.upsample import FloatArray

NO_DETECTOR = 0  # among best labels
NO_IMAGES = -1  # likewise: the annotator shares no image, so nothing can be said


@dataclass(frozen=True, slots=True)
class Scores:
    """IoUs of the units of a layer with every annotator's labels.

    Attributes:
        iou: (annotators, units, labels) float64, NaN where neither has a pixel. Over pairs, an
            annotator's is the mean over its pairs.
        mean: (units, labels) float64, the mean over annotators; over pairs where a category is
            compared so.
    """

    iou: FloatArray
    mean: FloatArray


def ious_on(
    counts: Counts,
    place: IntArray,
    carried: BoolArray,
    rows: IntArray,
    *,
    units: int,
    union: Union,
) -> FloatArray:
    """(units, labels) float64 IoUs over chosen images; NaN where neither has a pixel.

    Args:
        counts: Of a layer, by one index.
        place: (labels,) primary category of each label.
        carried: (categories, images) which images count for which category.
        rows: (images,) rows of the index.
        units: Units of the layer.
        union: Which of these images an activation is summed on.
    """
    totals = add_up(counts, place, carried, rows, units=units, union=union)
    with np.errstate(invalid="ignore"):
        table = np.asarray(totals.intersection / totals.union)
    table[:, 0] = np.nan  # unlabelled is no concept
    return table


def score_annotators(
    counts: Sequence[Counts], place: IntArray, basis: Basis, *, units: int, union: Union
) -> Scores:
    """The IoUs of every unit with every label, by every annotator, on the images of a basis.

    Args:
        counts: Of the layer, by annotator.
        place: (labels,) primary category of each label.
        basis: The images.
        units: Units of the layer.
        union: Which images an activation is summed on.
    """
    shape = (units, len(place))
    own = _Mean((len(counts), *shape))
    over = _Mean(shape)
    for view in basis.views:
        tables = np.stack(
            [
                ious_on(counts[a], place, view.carried, basis.rows, units=units, union=union)
                for a in view.members
            ]
        )
        own.add(tables, list(view.members))
        members = _Mean(shape)
        for table in tables:
            members.add(table)
        over.add(members.finish())
    return Scores(own.finish(), over.finish())


class _Mean:
    """A mean of arrays that leaves gaps out; NaN where there is nothing else."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.total = np.zeros(shape)
        self.times = np.zeros(shape, dtype=np.int32)

    def add(self, values: FloatArray, where: list[int] | slice = slice(None)) -> None:
        """Take values, NaN for a gap, into some of the rows."""
        self.total[where] += np.nan_to_num(values)
        self.times[where] += np.isfinite(values)

    def finish(self) -> FloatArray:
        with np.errstate(invalid="ignore"):
            return np.asarray(self.total / self.times)


def best_labels(iou: FloatArray, *, above: float) -> IntArray:
    """(..., units) int64: the label of largest IoU, the lowest number on a tie.

    Args:
        iou: (..., units, labels), NaN where undefined.
        above: What the IoU must exceed; `NO_DETECTOR` else.
    """
    filled = np.nan_to_num(iou, nan=-1.0)
    label = filled.argmax(axis=-1)
    largest = np.take_along_axis(filled, label[..., None], axis=-1)[..., 0]
    return np.where(largest > above, label, NO_DETECTOR)


@dataclass(frozen=True, slots=True)
class Modal:
    """What most annotators call the units.

    Attributes:
        label: (units,) int64; `NO_DETECTOR` is a value like any other.
        stability: (units,) float64 share of the annotators that say so; NaN with fewer than two.
    """

    label: IntArray
    stability: FloatArray


def find_modal(best: IntArray, names: Mapping[int, str]) -> Modal:
    """The most frequent best label of each unit.

    Of equally frequent ones the first by name; "no detector" is after all names, because the
    other figures of a unit are about a concept.

    Args:
        best: (annotators, units) best labels; `NO_IMAGES` is left out.
        names: Of the labels.
    """
    modal = np.full(best.shape[1], NO_DETECTOR, dtype=np.int64)
    stability = np.full(best.shape[1], np.nan)
    for unit, said in enumerate(best.T):
        values, times = np.unique(said[said != NO_IMAGES], return_counts=True)
        if len(values) == 0:
            continue
        order = [
            (-n, label == NO_DETECTOR, names.get(label, ""), label)
            for label, n in zip(values.tolist(), times.tolist(), strict=True)
        ]
        modal[unit] = min(order)[-1]
        if times.sum() > 1:
            stability[unit] = times.max() / times.sum()
    return Modal(modal, stability)


def nominal_alpha(values: NDArray[np.integer]) -> FloatArray:
    """(resamples,) Krippendorff's alpha for names, of units by annotators.

    Krippendorff, Content Analysis (2004), chapter 11: 1 - (n - 1) times the sum of coincidences
    of different values, divided by the sum of the products of their frequencies. NaN where all
    values are equal or no unit has two.

    Args:
        values: (annotators, units, resamples); `NO_IMAGES` in all units and resamples of an
            annotator who shares no image.
    """
    values = values[(values != NO_IMAGES).any(axis=(1, 2))]
    annotators, units, resamples = values.shape
    alpha = np.full(resamples, np.nan)
    if annotators < 2:
        return alpha
    apart = np.zeros(resamples, dtype=np.int64)
    for a in range(annotators):
        for b in range(a):
            apart += (values[a] != values[b]).sum(axis=0)
    n = annotators * units
    for resample in range(resamples):
        frequencies = np.bincount(values[:, :, resample].ravel()).astype(np.float64)
        expected = n * n - (frequencies**2).sum()
        if expected > 0:
            found = 2.0 * apart[resample] / (annotators - 1)
            alpha[resample] = 1.0 - (n - 1) * found / expected
    return alpha


def count_detectors(best: NDArray[np.integer]) -> tuple[IntArray, IntArray]:
    """(detectors, distinct concepts), each (annotators, resamples) int64.

    Args:
        best: (annotators, units, resamples) best labels.
    """
    detectors = (best > 0).sum(axis=1).astype(np.int64)
    unique = np.zeros_like(detectors)
    for annotator, own in enumerate(best):
        ordered = np.sort(own, axis=0)
        new = np.ones(ordered.shape, dtype=np.bool_)
        new[1:] = ordered[1:] != ordered[:-1]
        unique[annotator] = (new & (ordered > 0)).sum(axis=0)
    return detectors, unique
