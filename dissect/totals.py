"""Counts summed over images, block by block: in integers, so that no order can be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dissect.counts import Counts, IntArray
from dissect.intervals import BoolArray, Resamples, placed_blocks
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
        union: `annotated`: a unit's mask counts on all images of a category; `lite`: only on
            those where a label of the category lies under it.
    """
    labels, categories = len(place), len(carried)
    truth = np.zeros(labels, dtype=np.int64)
    intersection = np.zeros(units * labels, dtype=np.int64)
    activation = np.zeros(units * categories, dtype=np.int64)
    samples = Resamples.once(rows)
    for placed in placed_blocks(counts, samples):
        found, shared, area = placed.block.truth, placed.block.intersection, placed.block.area
        kept = carried[place[found[:, 1]], samples.places(found[:, 0])]
        np.add.at(truth, found[kept, 1], found[kept, 2])
        kept, counted = placed.counting(place, carried, union)
        np.add.at(intersection, (shared[:, 1] * labels + shared[:, 2])[kept], shared[kept, 3])
        mask, category = np.nonzero(counted)
        np.add.at(activation, area[mask, 1] * categories + category, area[mask, 2])
    shape = (units, labels), (units, categories)
    return Totals(intersection.reshape(shape[0]), activation.reshape(shape[1]), truth, place)
