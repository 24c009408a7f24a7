"""Pixels that masks share with labels, image by image: integers, nothing is divided here.

A mask is a map brought to the size of the label map, then strictly above the unit's threshold.
The label maps of an image are joined into one map of regions first (a region is one combination
of labels); masks are counted per region, and regions are turned into labels once per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dissect.compiling import compiled
from dissect.upsample import FloatArray, Grid, IntArray

MapArray = NDArray[np.float32]
LabelArray = NDArray[np.uint16]
CountArray = NDArray[np.int64] | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ImageLabels:
    """What the label maps of one image say.

    Attributes:
        size: (height, width) of the label maps.
        region: (height, width) int32, the region of each pixel, from 0.
        labels: (n,) int64, the labels that occur, rising; whole-image labels too.
        weights: (regions, n) float64, how often a pixel of the region carries the label: 1, or
            more where several maps or whole-image entries say so.
        truth: (n,) int64, pixels of each label, with that multiplicity.
    """

    size: tuple[int, int]
    region: NDArray[np.int32]
    labels: IntArray
    weights: FloatArray
    truth: IntArray


def join_labels(
    planes: Sequence[LabelArray], whole: Sequence[int], size: tuple[int, int]
) -> ImageLabels:
    """The label maps of an image as regions.

    Args:
        planes: (height, width) uint16 label maps, 0 = unlabelled.
        whole: Labels of the whole image; one that is named twice counts twice.
        size: (height, width), for an image without maps.

    >>> joined = join_labels([np.array([[0, 7]], np.uint16)], [9], (1, 2))
    >>> joined.labels.tolist(), joined.truth.tolist()
    ([7, 9], [1, 2])
    """
    pixels = size[0] * size[1]
    region = np.zeros(pixels, dtype=np.int64)
    combinations = np.zeros((1, 0), dtype=np.int64)
    for plane in planes:
        present, codes = _renumber(plane.reshape(-1).astype(np.int64))
        used, region = _renumber(region * len(present) + codes)
        combinations = np.column_stack(
            [combinations[used // len(present)], present[used % len(present)]]
        )
    everywhere = np.asarray(whole, dtype=np.int64)
    labels = np.union1d(combinations, everywhere)
    labels = labels[labels > 0].astype(np.int64)
    weights = np.zeros((len(combinations), len(labels)))
    for column in range(combinations.shape[1]):
        rows = np.flatnonzero(combinations[:, column])
        np.add.at(weights, (rows, np.searchsorted(labels, combinations[rows, column])), 1.0)
    for label in whole:
        weights[:, labels == label] += 1.0
    areas = np.bincount(region, minlength=len(combinations)).astype(np.float64)
    truth = (areas @ weights).astype(np.int64)
    return ImageLabels(size, region.reshape(size).astype(np.int32), labels, weights, truth)


def _renumber(codes: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct codes, rising, and for each element its place among them."""
    if codes.max(initial=0) < 1 << 22:  # a table is quicker than a sort
        table = np.zeros(int(codes.max(initial=0)) + 1, dtype=np.int64)
        table[codes] = 1
        used = np.flatnonzero(table)
        table[used] = np.arange(len(used))
        return used, table[codes]
    used, places = np.unique(codes, return_inverse=True)
    return used, places.reshape(-1)


@dataclass(frozen=True, slots=True)
class ImageTally:
    """Counts of one image and one layer; pairs without a pixel are left out.

    Attributes:
        intersection: (n, 3) int64 rows (unit, label, pixels), sorted.
        area: (m, 2) int64 rows (unit, pixels of the mask), sorted.
    """

    intersection: IntArray
    area: IntArray


def tally_image(
    maps: MapArray, units: IntArray, thresholds: FloatArray, *, grid: Grid, labels: ImageLabels
) -> ImageTally:
    """Masks of one image against its labels.

    Args:
        maps: (p, h, w) float32 maps of those units that may have a mask.
        units: (p,) int64 their units, rising.
        thresholds: (p,) float64 their thresholds.
        grid: The maps over the label maps.
        labels: The label maps.
    """
    counts = np.zeros((len(maps), len(labels.weights)), dtype=np.int64)
    _count(maps, thresholds, grid, labels.region, counts)
    areas = counts.sum(axis=1)
    shared = (counts.astype(np.float64) @ labels.weights).astype(np.int64)  # exact: below 2**53
    rows, columns = np.nonzero(shared)
    active = np.flatnonzero(areas)
    return ImageTally(
        np.column_stack([units[rows], labels.labels[columns], shared[rows, columns]]),
        np.column_stack([units[active], areas[active]]),
    )


def draw_masks(maps: MapArray, thresholds: FloatArray, *, grid: Grid) -> NDArray[np.bool_]:
    """(n, sh, sw) masks, pixel for pixel those that `tally_image` counts.

    Args:
        maps: (n, h, w) float32.
        thresholds: (n,) float64, the units'.
        grid: The maps over the label map.
    """
    size = (len(grid.vertical.weights), len(grid.horizontal.weights))
    every = np.arange(size[0] * size[1], dtype=np.int32).reshape(size)  # a region for each pixel
    counts = np.zeros((len(maps), every.size), dtype=np.uint8)  # each is 0 or 1
    _count(maps, thresholds, grid, every, counts)
    return counts.view(np.bool_).reshape(len(maps), *size)


def _count(
    maps: MapArray,
    thresholds: FloatArray,
    grid: Grid,
    region: NDArray[np.int32],
    counts: CountArray,
) -> None:
    """Add the pixels of each mask to `counts` (p, regions) by region."""
    if grid.reduces:
        _count_dense(maps, thresholds, grid, region, counts)
    else:
        up, across = grid.vertical, grid.horizontal
        tables = (up.starts, up.weights, across.starts, across.weights)
        count_regions(maps, thresholds, *tables, region, counts)


def _count_dense(
    maps: MapArray,
    thresholds: FloatArray,
    grid: Grid,
    region: NDArray[np.int32],
    counts: CountArray,
) -> None:
    """As `count_regions`, for maps that are reduced: a pixel depends on many cells."""
    flat = region.reshape(-1)
    for pair in range(len(maps)):
        if float(maps[pair].max()) > thresholds[pair]:
            mask = grid.spread(maps[pair : pair + 1])[0] > thresholds[pair]
            counts[pair] = np.bincount(flat[mask.reshape(-1)], minlength=counts.shape[1])


@compiled
def count_regions(
    maps: MapArray,
    thresholds: FloatArray,
    row_starts: IntArray,
    row_weights: FloatArray,
    column_starts: IntArray,
    column_weights: FloatArray,
    region: NDArray[np.int32],
    counts: CountArray,
) -> None:
    """Add, for each map, the pixels of its mask to the count of their region.

    The pixels between four neighbouring cells depend on these alone: none is in the mask if no
    cell is above the threshold, all are if every cell is; only else they are interpolated, row
    by row, in float64: `a + (b - a) * weight` along x, then along y.

    Args:
        maps: (p, h, w) float32.
        thresholds: (p,) float64.
        row_starts: (h + 1,), see `AxisTable`.
        row_weights: (sh,).
        column_starts: (w + 1,).
        column_weights: (sw,).
        region: (sh, sw) int32.
        counts: (p, regions) integers, added to.
    """
    pairs, height, width = maps.shape
    for pair in range(pairs):
        limit = thresholds[pair]
        for i in range(height):
            first_row, end_row = row_starts[i], row_starts[i + 1]
            if first_row == end_row:
                continue
            below = min(i + 1, height - 1)
            for j in range(width):
                first_column, end_column = column_starts[j], column_starts[j + 1]
                if first_column == end_column:
                    continue
                right = min(j + 1, width - 1)
                a = np.float64(maps[pair, i, j])
                b = np.float64(maps[pair, i, right])
                c = np.float64(maps[pair, below, j])
                d = np.float64(maps[pair, below, right])
                if max(a, b, c, d) <= limit:
                    continue
                if min(a, b, c, d) > limit:
                    for y in range(first_row, end_row):
                        for x in range(first_column, end_column):
                            counts[pair, region[y, x]] += 1
                    continue
                for x in range(first_column, end_column):
                    upper = a + (b - a) * column_weights[x]
                    lower = c + (d - c) * column_weights[x]
                    for y in range(first_row, end_row):
                        if upper + (lower - upper) * row_weights[y] > limit:
                            counts[pair, region[y, x]] += 1
