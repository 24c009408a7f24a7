"""Sums over images, and medians, in every resample of the bootstrap.

Row 0 of all that is returned here is the material itself, the others are resamples. A figure is a
formula of sums, applied to all rows at once. Sums over resamples are exact: columns are rounded to
multiples of a power of two so small that no partial sum needs more than 53 bits. They are then the
same whatever the order in which a matrix product adds, so equal input gives equal bytes, and what
is 0 or undefined in a resample is so exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from conceptset.consistency.intervals import RESAMPLES, SEED, draw_resamples

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BLOCK = 512  # images at a time: their weights as float64 stay in the cache
_EXACT32 = 2**24  # whole numbers below are exact in float32
_DENSE = 0.05  # from this share of images with a label on, its row is cheaper as a dense one
_WINDOW = 7.0  # standard deviations around the middle that hold every resample's median


class Values(NamedTuple):
    """Values whose median is asked for.

    Attributes:
        images: (values,) the image of each, in any order, several per image allowed.
        values: (values,) finite.
    """

    images: IntArray
    values: FloatArray


class Resamples:
    """The resamples of some images; all figures see the same.

    Args:
        images: How many there are.
        resamples: How often to draw; 0 is allowed.
        seed: Of the draw.
    """

    def __init__(self, images: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        drawn = draw_resamples(images, resamples=resamples, seed=seed)
        kind = np.uint8 if drawn.size == 0 or drawn.max() < 256 else np.uint16
        self.images = images
        self.count = resamples
        self._weights = np.ascontiguousarray(drawn.T.astype(kind))  # (images, resamples)

    @property
    def rows(self) -> int:
        """The material and its resamples."""
        return 1 + self.count

    def totals(self, images: IntArray, columns: FloatArray) -> FloatArray:
        """Sums of each column over the images of every resample.

        Args:
            images: (n,) place of each row's image, in any order, several rows per image allowed.
            columns: (n, k) finite values.

        Returns:
            (k, rows) float64.

        >>> Resamples(3, resamples=0).totals(np.array([0, 2]), np.array([[1.0], [2.0]]))
        array([[3.]])
        """
        sums = np.zeros((columns.shape[1], self.rows))
        sums[:, 0] = columns.sum(axis=0)
        if not self.count or not columns.size:
            return sums
        # small counts are exact in float32 too, at half the cost
        small = (np.abs(columns).max(axis=0) * self.images < _EXACT32) & (
            columns == np.rint(columns)
        ).all(axis=0)
        if small.any():
            sums[small, 1:] = self._product(images, columns[:, small].astype(np.float32))
        if not small.all():
            sums[~small, 1:] = self._product(images, self._rounded(columns[:, ~small]))
        return sums

    def _product(self, images: IntArray, columns: NDArray[np.floating]) -> NDArray[np.floating]:
        """(columns, resamples) sums; as exact as the numbers' type allows."""
        sums = np.zeros((columns.shape[1], self.count), columns.dtype)
        for start in range(0, len(images), _BLOCK):
            part = slice(start, start + _BLOCK)
            sums += columns[part].T @ self._weights[images[part]].astype(columns.dtype)
        return sums

    def label_totals(self, table: sparse.csr_array[np.float64]) -> FloatArray:
        """Sums of each row of a sparse table over the images of every resample.

        Args:
            table: (k, images) finite values; what stands twice in a place is added.

        Returns:
            (k, rows) float64.
        """
        sums = np.zeros((table.shape[0], self.rows))
        sums[:, 0] = table.sum(axis=1)
        marked = np.zeros(self.images, dtype=bool)
        marked[table.indices] = True
        held = np.flatnonzero(marked)
        if not self.count or not len(held):
            return sums
        places = np.cumsum(marked, dtype=np.int32) - 1
        table = sparse.csr_array(
            (table.data, places[table.indices], table.indptr), shape=(table.shape[0], len(held))
        )
        dense = np.diff(table.indptr) > _DENSE * len(held)
        if dense.any():
            sums[dense] = self.totals(held, table[dense].toarray().T)
        if not dense.all():
            sums[~dense, 1:] = self._sparse(table[~dense], held)
        return sums

    def _sparse(self, table: sparse.csr_array[np.float64], images: IntArray) -> FloatArray:
        scale = self._scales(np.asarray(abs(table).max(axis=1).todense()).ravel())
        steps = np.repeat(scale, np.diff(table.indptr))
        grid = table.copy()
        grid.data = np.rint(table.data * steps) / steps
        sums = np.zeros((table.shape[0], self.count))
        width = max(16, 2**22 // max(1, len(images)))
        for start in range(0, self.count, width):
            part = slice(start, start + width)
            sums[:, part] = grid @ self._weights[images, part].astype(np.float64)
        return sums

    def _scales(self, largest: FloatArray) -> FloatArray:
        """Powers of two, whose fractions leave every partial sum exact; see the module."""
        _, bits = np.frexp(np.maximum(largest, 1e-200) * max(1, self.images))
        scales: FloatArray = np.ldexp(1.0, 52 - bits)
        return scales

    def _rounded(self, columns: FloatArray) -> FloatArray:
        scale = self._scales(np.abs(columns).max(axis=0))
        rounded = columns * scale
        np.rint(rounded, out=rounded)
        rounded /= scale
        return rounded

    def medians(self, asked: Sequence[Values]) -> FloatArray:
        """The median of each list of values in every resample.

        A value counts as often as its image was drawn; the median of an even number of values is
        the mean of the two in the middle, as numpy's. Nothing but a window around the middle of
        the sorted values is looked at: how far a resample's median strays from there is known
        from the counts per image.

        Returns:
            (len(asked), rows) float64, NaN where no value is drawn.
        """
        medians = np.full((len(asked), self.rows), np.nan)
        full = [index for index, one in enumerate(asked) if len(one.values)]
        medians[full, 0] = [np.median(asked[index].values) for index in full]
        if not full or not self.count:
            return medians
        held, images = np.unique(
            np.concatenate([asked[index].images for index in full]), return_inverse=True
        )
        ends = np.cumsum([len(asked[index].values) for index in full])
        windows = [
            _Window.around_middle(asked[index], places, len(held))
            for index, places in zip(full, np.split(images, ends[:-1]), strict=True)
        ]
        columns = np.stack([c for w in windows for c in (w.before, w.each)], axis=1)
        sums = self.totals(held, columns.astype(np.float64))[:, 1:]
        for index, window, base, total in zip(full, windows, sums[::2], sums[1::2], strict=True):
            found = self._within(window, held, base, total)
            if found is None:  # a resample strayed beyond the window: look at everything
                found = self._within(window.opened(), held, np.zeros(self.count), total)
            assert found is not None
            medians[index, 1:] = found
        return medians

    def _within(
        self, window: _Window, held: IntArray, base: FloatArray, total: FloatArray
    ) -> FloatArray | None:
        """Medians of all resamples if the window holds them all, else nothing."""
        drawn = total > 0
        first = np.maximum(total - 1, 0) // 2 - base  # ranks within the window, from 0
        second = total // 2 - base
        if (first[drawn] < 0).any():
            return None
        values, places = window.values[window.inside], held[window.images[window.inside]]
        medians = np.full(self.count, np.nan)
        width = max(16, 2**20 // max(1, len(values)))
        for start in range(0, self.count, width):
            part = slice(start, start + width)
            reached = self._weights[places, part].astype(np.int32)
            for row in range(1, len(reached)):  # ten times as fast as numpy's cumsum down columns
                reached[row] += reached[row - 1]
            one, two = (
                (reached <= rank[part].astype(np.int32)).sum(axis=0, dtype=np.int32)
                for rank in (first, second)
            )
            hit = drawn[part]
            if (two[hit] >= len(values)).any():
                return None
            medians[part][hit] = (values[one[hit]] + values[two[hit]]) / 2
        return medians


class _Window(NamedTuple):
    """Sorted values, and the places among them where medians are looked for.

    Attributes:
        images: (values,) of each value, as a place among those held.
        inside: The window.
        before: (held,) values of each image below the window.
        each: (held,) values of each image.
    """

    values: FloatArray
    images: IntArray
    inside: slice
    before: IntArray
    each: IntArray

    @classmethod
    def around_middle(cls, asked: Values, places: IntArray, held: int) -> _Window:
        """A window that all but surely holds the medians of all resamples.

        How many drawn values lie below the middle one, less half of all that are drawn, has mean
        near 0 and this variance: the sum over images of (values below - values / 2)^2.
        """
        order = np.argsort(asked.values, kind="stable")
        images = places[order]
        middle = len(images) // 2
        each = np.bincount(images, minlength=held)
        below = np.bincount(images[:middle], minlength=held)
        spread = math.sqrt(float(((below - each / 2) ** 2).sum()))
        half = math.ceil(_WINDOW * spread) + 8
        inside = slice(max(0, middle - half), min(len(images), middle + half))
        before = np.bincount(images[: inside.start], minlength=held)
        return cls(asked.values[order], images, inside, before, each)

    def opened(self) -> _Window:
        """The same with everything inside."""
        return self._replace(inside=slice(0, len(self.values)))
