"""The rows of one pair in one category, out of the tables of many images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counts import Counts, Table

IntArray = NDArray[np.int64]


class PairRows:
    """A table sorted by category and pair; within these, by image as it came.

    Args:
        table: Rows with the fields category, a and b.
        annotators: How many there are.
    """

    def __init__(self, table: Table, annotators: int) -> None:
        self._annotators = annotators
        size = np.int64(max(1, annotators))
        keys = (table["category"].astype(np.int64) * size + table["a"]) * size + table["b"]
        self._order = np.argsort(keys, kind="stable")
        held, starts = np.unique(keys[self._order], return_index=True)
        ends = np.append(starts[1:], len(keys))[: len(starts)]  # none of an empty table
        self._places = {
            (key // (size * size), key // size % size, key % size): slice(start, end)
            for key, start, end in zip(held.tolist(), starts.tolist(), ends.tolist(), strict=True)
        }
        self._table = table

    def has(self, category: int, a: int, b: int) -> bool:
        """Whether a pair has rows."""
        return (category, a, b) in self._places

    def of(self, category: int, a: int, b: int) -> Table:
        """The rows of one pair."""
        place = self._places.get((category, a, b))
        return self._table[:0] if place is None else self._table[self._order[place]]


class GroupedCounts:
    """Everything that is counted of pairs, pair by pair.

    Args:
        counts: Of all images.
        annotators: How many there are.
    """

    def __init__(self, counts: Counts, annotators: int) -> None:
        self.compared = PairRows(counts.compared, annotators)
        self.cells = PairRows(counts.cells, annotators)
        self.named = PairRows(counts.named, annotators)
        self.matches = PairRows(counts.matches, annotators)
        self.renamed = PairRows(counts.renamed, annotators)

    def pair(self, category: int, a: int, b: int) -> PairCounts:
        """The tables of one pair in one category."""
        return PairCounts(
            **{
                name: getattr(self, name).of(category, a, b)
                for name in ("compared", "cells", "named", "matches", "renamed")
            }
        )


class PairCounts:
    """The tables of one pair in one category.

    Attributes:
        compared: One row per shared image, images rising; the others refer to these images.
    """

    def __init__(
        self, compared: Table, cells: Table, named: Table, matches: Table, renamed: Table
    ) -> None:
        order = np.argsort(compared["image"], kind="stable")
        self.compared = compared[order]
        self.cells = cells
        self.named = named
        self.matches = matches
        self.renamed = renamed
        self.images: IntArray = self.compared["image"].astype(np.int64)

    def per_image(self, table: Table, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over the rows of a table in each shared image, (images,)."""
        places = np.searchsorted(self.images, table["image"])
        sums = np.bincount(places, values, len(self.images))
        return sums.astype(np.float64)  # of no rows, numpy makes integers


def count_names(
    first: NDArray[np.int32], second: NDArray[np.int32], weights: IntArray | None = None
) -> dict[tuple[int, int], int]:
    """How often, or with what weight, two names stand side by side.

    >>> count_names(np.array([1, 2, 1], dtype=np.int32), np.array([5, 5, 5], dtype=np.int32))
    {(1, 5): 2, (2, 5): 1}
    """
    size = np.int64(second.max(initial=0)) + 1
    keys, places = np.unique(first * size + second, return_inverse=True)
    sums = np.bincount(places, weights, len(keys))
    return {
        (int(key // size), int(key % size)): int(count)
        for key, count in zip(keys, sums, strict=True)
    }
