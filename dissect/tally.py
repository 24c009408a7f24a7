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
from dissect.tiles import Chunk, Cut, MapArray, PlaceArray, Tiling
from dissect.upsample import FloatArray, Grid, IntArray

CountArray = NDArray[np.int64] | NDArray[np.uint8]

_CELLS = 1 << 22  # counts of units in regions that are held at once


@dataclass(frozen=True, slots=True)
class ImageTally:
    """Counts of one image and one layer; pairs without a pixel are left out.

    Attributes:
        intersections: For each index, (n, 3) int64 rows (unit, label, pixels), sorted.
        area: (m, 2) int64 rows (unit, pixels of the mask), sorted.
        maxima: (m,) float32, the largest activation of each of these.
    """

    intersections: tuple[IntArray, ...]
    area: IntArray
    maxima: MapArray


def tally_image(
    chunk: Chunk, thresholds: FloatArray, *, tiling: Tiling, grid: Grid, labels: ImageLabels
) -> ImageTally:
    """Masks of one image against its labels.

    Args:
        chunk: Tiles of one image, at least all with a value above the unit's threshold.
        thresholds: (units,) float64, of all units.
        tiling: Of the maps; whole maps where the grid reduces them.
        grid: The maps over the label maps.
        labels: What the label maps say.
    """
    regions = len(labels.areas)
    starts, pair = chunk.pairs()
    units = chunk.units[starts].astype(np.int64)
    ends = np.append(starts, len(pair))
    step = max(1, _CELLS // regions)
    areas, shared = [], []
    for first in range(0, max(len(starts), 1), step):
        last = min(first + step, len(starts))
        part = chunk.only(slice(int(ends[first]), int(ends[last])))
        counts = np.zeros((last - first, regions), dtype=np.int64)
        places = pair[ends[first] : ends[last]] - first
        _count(part, places, thresholds, tiling, grid, labels.region, counts)
        areas.append(counts.sum(axis=1))
        shared.append((counts.astype(np.float64) @ labels.weights).astype(np.int64))
    area, pixels = np.concatenate(areas), np.concatenate(shared)  # exact: below 2**53
    active = np.flatnonzero(area)
    return ImageTally(
        tuple(_sparse(pixels, units, labels, index) for index in range(len(labels.starts) - 1)),
        np.column_stack([units[active], area[active]]),
        chunk.maxima(starts)[active],
    )


def _sparse(pixels: IntArray, units: IntArray, labels: ImageLabels, index: int) -> IntArray:
    """The rows (unit, label, pixels) of one index."""
    own = labels.of(index)
    rows, columns = np.nonzero(pixels[:, own])
    found = pixels[:, own][rows, columns]
    return np.column_stack([units[rows], labels.labels[own][columns], found])


def draw_masks(
    chunk: Chunk, thresholds: FloatArray, *, tiling: Tiling, grid: Grid
) -> NDArray[np.bool_]:
    """(n, sh, sw) masks of the units of one image, pixel for pixel those that are counted.

    Args:
        chunk: Tiles of one image.
        thresholds: (units,) float64, of all units.
        tiling: Of the maps.
        grid: The maps over the label map.
    """
    starts, pair = chunk.pairs()
    size = (len(grid.vertical.weights), len(grid.horizontal.weights))
    every = np.arange(size[0] * size[1], dtype=np.int32).reshape(size)  # a region for each pixel
    counts = np.zeros((len(starts), every.size), dtype=np.uint8)  # each is 0 or 1
    _count(chunk, pair, thresholds, tiling, grid, every, counts)
    return counts.view(np.bool_).reshape(len(starts), *size)


def _count(
    chunk: Chunk,
    pair: IntArray,
    thresholds: FloatArray,
    tiling: Tiling,
    grid: Grid,
    region: NDArray[np.int32],
    counts: CountArray,
) -> None:
    """Add the pixels of each mask to `counts` (pairs, regions) by region."""
    if grid.reduces:
        _count_dense(chunk, pair, thresholds, grid, region, counts)
        return
    up, over = grid.vertical, grid.horizontal
    count_regions(
        *(chunk.patches, chunk.units, chunk.tiles, pair, thresholds),
        tiling.numbers,
        *(up.starts, up.weights, over.starts, over.weights),
        region,
        counts,
    )


def _count_dense(
    chunk: Chunk,
    pair: IntArray,
    thresholds: FloatArray,
    grid: Grid,
    region: NDArray[np.int32],
    counts: CountArray,
) -> None:
    """As `count_regions`, for whole maps that are reduced: a pixel depends on many cells."""
    flat = region.reshape(-1)
    for place, unit, values in zip(pair, chunk.units, chunk.patches, strict=True):
        if float(values.max()) > thresholds[unit]:
            mask = grid.spread(values[np.newaxis])[0] > thresholds[unit]
            counts[place] = np.bincount(flat[mask.reshape(-1)], minlength=counts.shape[1])


@compiled
def count_regions(
    patches: MapArray,
    units: PlaceArray,
    tiles: PlaceArray,
    pair: IntArray,
    thresholds: FloatArray,
    cut: Cut,
    row_starts: IntArray,
    row_weights: FloatArray,
    column_starts: IntArray,
    column_weights: FloatArray,
    region: NDArray[np.int32],
    counts: CountArray,
) -> None:
    """Add, for each tile, the pixels of its part of the mask to the count of their region.

    The pixels between four neighbouring cells depend on these alone: none is in the mask if no
    cell is above the threshold, all are if every cell is; only else they are interpolated, row
    by row, in float64: `a + (b - a) * weight` along x, then along y.

    Args:
        patches: (n, patch rows, patch columns) float32.
        units: (n,) int32.
        tiles: (n,) int32.
        pair: (n,) int64, the row of `counts` that a tile belongs to.
        thresholds: (units,) float64.
        cut: Of the maps.
        row_starts: (h + 1,), see `AxisTable`.
        row_weights: (sh,).
        column_starts: (w + 1,).
        column_weights: (sw,).
        region: (sh, sw) int32.
        counts: (pairs, regions) integers, added to.
    """
    height, width, rows, columns, _, _, _, across = cut
    last_row, last_column = patches.shape[1] - 1, patches.shape[2] - 1
    for n in range(len(units)):
        limit = thresholds[units[n]]
        own = counts[pair[n]]
        top, left = tiles[n] // across * rows, tiles[n] % across * columns
        for i in range(min(rows, height - top)):
            first_row, end_row = row_starts[top + i], row_starts[top + i + 1]
            if first_row == end_row:
                continue
            below = min(i + 1, last_row)
            for j in range(min(columns, width - left)):
                first_column, end_column = column_starts[left + j], column_starts[left + j + 1]
                if first_column == end_column:
                    continue
                right = min(j + 1, last_column)
                a = np.float64(patches[n, i, j])
                b = np.float64(patches[n, i, right])
                c = np.float64(patches[n, below, j])
                d = np.float64(patches[n, below, right])
                if max(a, b, c, d) <= limit:
                    continue
                if min(a, b, c, d) > limit:
                    for y in range(first_row, end_row):
                        for x in range(first_column, end_column):
                            own[region[y, x]] += 1
                    continue
                for x in range(first_column, end_column):
                    upper = a + (b - a) * column_weights[x]
                    lower = c + (d - c) * column_weights[x]
                    for y in range(first_row, end_row):
                        if upper + (lower - upper) * row_weights[y] > limit:
                            own[region[y, x]] += 1
