"""Masks counted by region, from tiles: a mask is never drawn to be counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dissect.compiling import compiled
from dissect.tiles import MapArray, PlaceArray
from dissect.upsample import FloatArray, IntArray

CountArray = NDArray[np.int64] | NDArray[np.uint8]


@compiled
def count_reduced(
    maps: MapArray,
    limits: FloatArray,
    row_first: IntArray,
    row_taps: FloatArray,
    column_first: IntArray,
    column_taps: FloatArray,
    region: NDArray[np.int32],
    counts: CountArray,
    highest: MapArray,
) -> None:
    """As `count_regions`, for whole maps that are reduced: a pixel depends on many cells.

    Sums go over the columns, then over the rows, in float64.

    Args:
        maps: (pairs, h, w) float32.
        limits: (pairs,) float64 thresholds.
        row_first: (sh,), see `AxisTable`.
        row_taps: (sh, k).
        column_first: (sw,).
        column_taps: (sw, k).
        region: (sh, sw) int32.
        counts: (pairs, regions) integers, added to.
        highest: (pairs,) float32, overwritten with the largest activation of each.
    """
    across = np.empty((maps.shape[1], region.shape[1]))
    for pair in range(maps.shape[0]):
        highest[pair] = maps[pair, 0, 0]
        for i in range(maps.shape[1]):
            for j in range(maps.shape[2]):
                highest[pair] = max(highest[pair], maps[pair, i, j])
        if highest[pair] <= limits[pair]:
            continue
        for i in range(maps.shape[1]):
            for x in range(region.shape[1]):
                total = 0.0
                for k in range(column_taps.shape[1]):
                    total += maps[pair, i, column_first[x] + k] * column_taps[x, k]
                across[i, x] = total
        for y in range(region.shape[0]):
            for x in range(region.shape[1]):
                total = 0.0
                for k in range(row_taps.shape[1]):
                    total += across[row_first[y] + k, x] * row_taps[y, k]
                if total > limits[pair]:
                    counts[pair, region[y, x]] += 1


@compiled
def find_pairs(units: PlaceArray) -> IntArray:
    """Where each unit begins in the tiles of one image, and at last where they end.

    Args:
        units: (n,) int32, rising.
    """
    starts = np.empty(len(units) + 1, dtype=np.int64)
    number = 0
    for n in range(len(units)):
        if n == 0 or units[n] != units[n - 1]:
            starts[number] = n
            number += 1
    starts[number] = len(units)
    return starts[: number + 1]


@compiled
def find_uniform(
    region: NDArray[np.int32], row_starts: IntArray, column_starts: IntArray
) -> NDArray[np.int32]:
    """(h, w) int32, the region that all pixels of a cell lie in; -1 where they lie in several.

    Args:
        region: (sh, sw) int32.
        row_starts: (h + 1,), see `AxisTable`.
        column_starts: (w + 1,).
    """
    uniform = np.empty((len(row_starts) - 1, len(column_starts) - 1), dtype=np.int32)
    for i in range(uniform.shape[0]):
        for j in range(uniform.shape[1]):
            found = np.int32(-1)
            if row_starts[i] < row_starts[i + 1] and column_starts[j] < column_starts[j + 1]:
                found = region[row_starts[i], column_starts[j]]
                for y in range(row_starts[i], row_starts[i + 1]):
                    for x in range(column_starts[j], column_starts[j + 1]):
                        if region[y, x] != found:
                            found = np.int32(-1)
                            break
                    if found < 0:
                        break
            uniform[i, j] = found
    return uniform


@compiled
def count_regions(  # noqa: PLR0917 - a compiled function takes no keywords
    patches: MapArray,
    tiles: PlaceArray,
    starts: IntArray,
    limits: FloatArray,
    cut: IntArray,
    row_starts: IntArray,
    row_weights: FloatArray,
    column_starts: IntArray,
    column_weights: FloatArray,
    region: NDArray[np.int32],
    uniform: NDArray[np.int32],
    counts: CountArray,
    highest: MapArray,
) -> None:
    """Add, for each unit, the pixels of its mask to the count of their region.

    The pixels between four neighbouring cells depend on these alone: none is in the mask if no
    cell is above the threshold, all are if every cell is; only else they are interpolated.

    Args:
        patches: (n, patch rows, patch columns) float32.
        tiles: (n,) int32.
        starts: (pairs + 1,) int64, of `find_pairs`.
        limits: (pairs,) float64, their thresholds.
        cut: (8,) int64, of the maps.
        row_starts: (h + 1,), see `AxisTable`.
        row_weights: (sh,).
        column_starts: (w + 1,).
        column_weights: (sw,).
        region: (sh, sw) int32.
        uniform: (h, w) int32, of `find_uniform`.
        counts: (pairs, regions) integers, added to.
        highest: (pairs,) float32, overwritten with the largest activation of each.
    """
    height, width, rows, columns, across = cut[0], cut[1], cut[2], cut[3], cut[7]
    high = np.zeros((patches.shape[1] + 1, patches.shape[2] + 1), dtype=np.int64)
    last_row, last_column = patches.shape[1] - 1, patches.shape[2] - 1
    for pair in range(len(starts) - 1):
        limit = limits[pair]
        most = patches[starts[pair], 0, 0]
        for n in range(starts[pair], starts[pair + 1]):
            most = max(most, compare_patch(patches[n], limit, high))
            top, left = tiles[n] // across * rows, tiles[n] % across * columns
            for i in range(min(rows, height - top)):
                first, end = row_starts[top + i], row_starts[top + i + 1]
                for j in range(min(columns, width - left)):
                    above = high[i, j] + high[i, j + 1] + high[i + 1, j] + high[i + 1, j + 1]
                    if above == 0:
                        continue
                    within = uniform[top + i, left + j]
                    below, right = min(i + 1, last_row), min(j + 1, last_column)
                    for x in range(column_starts[left + j], column_starts[left + j + 1]):
                        begin, stop = first, end
                        if above < 4:
                            a, b = np.float64(patches[n, i, j]), np.float64(patches[n, i, right])
                            c = np.float64(patches[n, below, j])
                            d = np.float64(patches[n, below, right])
                            upper = a + (b - a) * column_weights[x]
                            lower = c + (d - c) * column_weights[x]
                            begin, stop = find_above(upper, lower, row_weights, first, end, limit)
                        if within >= 0:
                            counts[pair, within] += stop - begin
                        else:
                            for y in range(begin, stop):
                                counts[pair, region[y, x]] += 1
        highest[pair] = most


@compiled
def compare_patch(patch: MapArray, limit: float, high: IntArray) -> np.float32:
    """Set `high` to 1 where a patch is above a limit, else 0; a last row and column repeat.

    Args:
        patch: (rows, columns) float32.
        limit: In float64.
        high: (rows + 1, columns + 1) int64, overwritten.

    Returns:
        The largest value, float32.
    """
    rows, columns = patch.shape
    most: np.float32 = patch[0, 0]
    for i in range(rows):
        for j in range(columns):
            value = patch[i, j]
            high[i, j] = value > limit
            most = value if value > most else most
        high[i, columns] = high[i, columns - 1]
    for j in range(columns + 1):
        high[rows, j] = high[rows - 1, j]
    return most


@compiled
def find_above(
    upper: float, lower: float, weights: FloatArray, first: int, end: int, limit: float
) -> tuple[int, int]:
    """The rows `first <= y < end` in which `upper + (lower - upper) * weights[y]` is above a limit.

    Weights do not fall from row to row, and neither rounding of a product nor of a sum reverses
    an order: so the values of a column never turn round, and rows above the limit are together
    at one end.

    Returns:
        The first of these rows and the one after the last.
    """
    slope = lower - upper
    at_first = upper + slope * weights[first] > limit
    at_last = upper + slope * weights[end - 1] > limit
    if at_first and at_last:
        return first, end
    if not at_first and not at_last:
        return first, first
    low, high = first, end - 1  # the limit is passed between these
    while high - low > 1:
        middle = (low + high) // 2
        if (upper + slope * weights[middle] > limit) == at_first:
            low = middle
        else:
            high = middle
    return (first, high) if at_first else (high, end)
