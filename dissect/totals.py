"""Counts summed over images, block by block: in integers, so that no order can be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dissect.counts import Counts, IntArray
from dissect.entries import BoolArray, Figures
from dissect.state import Union


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts summed over images.

    Attributes:
        intersection: (units, labels) int64; column = label number.
        activation: (units, categories) int64, under the union rule asked for.
        truth: (labels,) int64.
        place: (labels,) int64, the primary category of each label, as a place.
    """

    intersection: IntArray
    activation: IntArray
    truth: IntArray
    place: IntArray

    @property
    def union(self) -> IntArray:
        """(units, labels) int64, pixels in the mask or in the label."""
        return self.activation[:, self.place] + self.truth - self.intersection


def add_up(
    counts: Counts,
    place: IntArray,
    carried: BoolArray,
    rows: IntArray,
    *,
    units: int,
    union: Union,
) -> Totals:
    """Sums over the images on which labels count.

    Args:
        counts: The record.
        place: (labels,) primary category of each label.
        carried: (categories, images) which images count for which category.
        rows: (images,) rows of the index, rising, among them all of the record.
        units: Units of the layer.
        union: As `Figures` takes it.
    """
    figures = Figures(place, carried, rows, units, union)
    truth = np.zeros(len(place), dtype=np.int64)
    for labels, _, pixels in figures.truths(counts):
        np.add.at(truth, labels, pixels)
    sums = np.zeros(units * figures.per_unit, dtype=np.int64)
    for numbers, _, pixels in figures.entries(counts):
        np.add.at(sums, numbers, pixels)
    table = sums.reshape(units, figures.per_unit)
    return Totals(table[:, : len(place)], table[:, len(place) :], truth, place)
