"""Pixels of many figures laid out by figure, and their sums in every resample of the images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dissect.compiling import compiled
from dissect.counts import IntArray
from dissect.entries import Entries
from dissect.upsample import FloatArray

Weights = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Cells:
    """Pixels by figure, each figure's in the order of the rows they come from.

    Attributes:
        heads: (figures + 1,) int64, where each figure's begin.
        columns: (n,) int32, the image or group of images that pixels lie in.
        pixels: (n,) int64.
    """

    heads: IntArray
    columns: NDArray[np.int32]
    pixels: IntArray


def lay_out(times: IntArray, parts: Iterable[Entries], *, first: int = 0) -> Cells:
    """Cells of some figures.

    Args:
        times: (figures,) int64, how many entries each has.
        parts: Figures, columns and pixels, each (n,) int64; entries of other figures are left out.
        first: Number of the first figure.
    """
    heads = np.zeros(len(times) + 1, dtype=np.int64)
    np.cumsum(times, out=heads[1:])
    cells = Cells(heads, np.empty(heads[-1], np.int32), np.empty(heads[-1], np.int64))
    free = heads[:-1].copy()
    for figures, columns, pixels in parts:
        _place(figures, columns, pixels, first, free, cells.columns, cells.pixels)
    return cells


@compiled
def _place(
    figures: IntArray,
    columns: IntArray,
    pixels: IntArray,
    first: int,
    free: IntArray,
    to_columns: NDArray[np.int32],
    to_pixels: IntArray,
) -> None:
    """Put every entry at the next free place of its figure."""
    for entry in range(len(figures)):
        figure = figures[entry] - first
        if 0 <= figure < len(free):
            place = free[figure]
            to_columns[place] = columns[entry]
            to_pixels[place] = pixels[entry]
            free[figure] = place + 1


def narrow_weights(weights: NDArray[np.float32]) -> Weights:
    """Whole numbers as narrow as they may be: what a sum over resamples waits for is memory.

    Raises:
        ValueError: One is negative or beyond 65,535.
    """
    if weights.min(initial=0) < 0 or weights.max(initial=0) > np.iinfo(np.uint16).max:
        raise ValueError("an image cannot be drawn less than never or more than 65,535 times")
    return weights.astype(np.uint16)


def sum_cells(cells: Cells, weights: Weights, figures: range) -> FloatArray:
    """(figures, resamples) float64: whole numbers, exact below 2**53.

    Args:
        cells: Of these figures and perhaps others.
        weights: (columns, resamples) how often each column counts.
        figures: Those to be summed, one after the other.
    """
    sums = np.zeros((len(figures), weights.shape[1]))
    heads = cells.heads[figures.start : figures.stop + 1]
    _sum(heads, cells.columns, cells.pixels, weights, sums)
    return sums


@compiled
def _sum(
    heads: IntArray,
    columns: NDArray[np.int32],
    pixels: IntArray,
    weights: Weights,
    sums: FloatArray,
) -> None:
    together = np.zeros(weights.shape[0], dtype=np.float64)
    used = np.empty(weights.shape[0], dtype=np.int64)
    for figure in range(len(heads) - 1):
        add_weighted(
            columns[heads[figure] : heads[figure + 1]],
            pixels[heads[figure] : heads[figure + 1]],
            weights,
            together,
            used,
            sums[figure],
        )


@compiled
def add_weighted(
    columns: NDArray[np.int32],
    pixels: IntArray,
    weights: Weights,
    together: NDArray[Any],
    used: IntArray,
    sums: NDArray[Any],
) -> None:
    """Add one figure's pixels, > 0, to its sums; `together` is zero before and after.

    The pixels of a column are put together first, since a group holds many images.
    """
    found = 0
    for entry in range(len(columns)):
        column = columns[entry]
        if together[column] == 0 and found < len(used):
            used[found] = column
            found += 1
        together[column] += pixels[entry]
    for place in range(found):
        own = weights[used[place]]
        value = together[used[place]]
        for resample in range(len(sums)):
            sums[resample] += value * own[resample]
        together[used[place]] = 0
