"""What becomes of the units when the labels are somebody else's, or lack one person's vote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dissect.annotators.document import Change, Comparison
from dissect.annotators.scoring import best_labels, ious_on
from dissect.counts import Counts, IntArray
from dissect.entries import BoolArray
from dissect.state import Union
from dissect.upsample import FloatArray


@dataclass(frozen=True, slots=True)
class Question:
    """What stays the same while indices are compared.

    Attributes:
        names: Of the labels.
        place: (labels,) primary category of each label.
        units: Units of the layer.
        union: Which images an activation is summed on.
        iou_threshold: What a detector's IoU exceeds.
    """

    names: Mapping[int, str]
    place: IntArray
    units: int
    union: Union
    iou_threshold: float


def compare_indices(
    first: Counts, second: Counts, carried: BoolArray, rows: IntArray, question: Question
) -> Comparison:
    """The units by two indices of one layer on the same images.

    Args:
        first: Counts by one index.
        second: Counts by the other.
        carried: (categories, images) which images count for which category, for both.
        rows: (images,) rows of the index.
        question: What is asked.
    """
    tables = [
        ious_on(counts, question.place, carried, rows, units=question.units, union=question.union)
        for counts in (first, second)
    ]
    before, after = (best_labels(table, above=question.iou_threshold) for table in tables)
    largest = [_largest(table) for table in tables]
    changes = tuple(
        Change(
            unit=unit,
            concept=_name(before[unit], question.names),
            iou=float(largest[0][unit]),
            other_concept=_name(after[unit], question.names),
            other_iou=float(largest[1][unit]),
        )
        for unit in np.flatnonzero(before != after).tolist()
    )
    return Comparison(
        n_images=int(carried.any(axis=0).sum()),
        detectors=int((before > 0).sum()),
        other_detectors=int((after > 0).sum()),
        gained=int(((before == 0) & (after > 0)).sum()),
        lost=int(((before > 0) & (after == 0)).sum()),
        renamed=int(((before > 0) & (after > 0) & (before != after)).sum()),
        changes=changes,
    )


def _largest(table: FloatArray) -> FloatArray:
    return np.asarray(np.nan_to_num(np.fmax.reduce(table, axis=1)))


def _name(label: int, names: Mapping[int, str]) -> str | None:
    return names[int(label)] if label > 0 else None
