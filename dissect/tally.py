"""Pixels that masks share with labels, image by image: integers, nothing is divided here.

A mask is a map brought to the size of the label map, then strictly above the unit's threshold.
Masks are counted per region (`dissect.regions`), and regions are turned into labels once per
image, for every index that is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dissect.compiling import compiled
from dissect.regions import ImageLabels
from dissect.upsample import FloatArray, Grid, IntArray

MapArray = NDArray[np.float32]
CountArray = NDArray[np.int64] | NDArray[np.uint8]

_CELLS = 1 << 22  # counts of units in regions that are held at once


@dataclass(frozen=True, slots=True)
class ImageTally:
    """Counts of one image and one layer; pairs without a pixel are left out.

    Attributes:
        intersections: For each index, (n, 3) int64 rows (unit, label, pixels), sorted.
        area: (m, 2) int64 rows (unit, pixels of the mask), sorted.
    """

    intersections: tuple[IntArray, ...]
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
        labels: What the label maps say.
    """
    regions = len(labels.areas)
    step = max(1, _CELLS // regions)
    areas, shared = [], []
    for start in range(0, max(len(maps), 1), step):
        part = slice(start, start + step)
        counts = np.zeros((len(maps[part]), regions), dtype=np.int64)
        _count(maps[part], thresholds[part], grid, labels.region, counts)
        areas.append(counts.sum(axis=1))
        shared.append((counts.astype(np.float64) @ labels.weights).astype(np.int64))
    area, pixels = np.concatenate(areas), np.concatenate(shared)  # exact: below 2**53
    active = np.flatnonzero(area)
    return ImageTally(
        tuple(_sparse(pixels, units, labels, index) for index in range(len(labels.starts) - 1)),
        np.column_stack([units[active], area[active]]),
    )


def _sparse(pixels: IntArray, units: IntArray, labels: ImageLabels, index: int) -> IntArray:
    """The rows (unit, label, pixels) of one index."""
    own = labels.of(index)
    rows, columns = np.nonzero(pixels[:, own])
    found = pixels[:, own][rows, columns]
    return np.column_stack([units[rows], labels.labels[own][columns], found])


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
