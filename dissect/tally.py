"""Pixels that masks share with labels, image by image: integers, nothing is divided here.

A mask is a map brought to the size of the label map, then strictly above the unit's threshold.
Masks are counted per region (`dissect.regions`), and regions are turned into labels once per
image, for every index that is looked at.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dissect.compiling import compiled
from dissect.mask_kernels import CountArray, count_reduced, count_regions, find_pairs, find_uniform
from dissect.regions import ImageLabels, Weights
from dissect.tiles import Chunk, MapArray, PlaceArray, Tiling
from dissect.upsample import FloatArray, Grid, IntArray

Number = TypeVar("Number", bound=np.generic)

_CELLS = 1 << 22  # counts of units in regions that are held at once


@dataclass(frozen=True, slots=True)
class ImageTally:
    """Counts of one image and one layer; pairs without a pixel are left out.

    Attributes:
        intersections: For each index, (n, 4) int64 rows (image, unit, label, pixels), sorted.
        area: (m, 3) int64 rows (image, unit, pixels of the mask), sorted.
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
        chunk: Tiles of one image, at least all with a value above the unit's threshold; there is
            one or more.
        thresholds: (units,) float64, of all units.
        tiling: Of the maps; whole maps where the grid reduces them.
        grid: The maps over the label maps.
        labels: What the label maps say.
    """
    regions = len(labels.areas)
    starts = find_pairs(chunk.units)
    image, units = int(chunk.rows[0]), chunk.units[starts[:-1]]
    step = max(1, _CELLS // regions)
    areas, shared, maxima = [], [], []
    for first in range(0, len(units), step):
        part = starts[first : first + step + 1]
        counts = np.zeros((len(part) - 1, regions), dtype=np.int64)
        highest = count_masks(chunk, part, thresholds, tiling, grid, labels.region, counts)
        areas.append(counts.sum(axis=1))
        shared.append(_share(counts, labels.weights))
        maxima.append(highest)
    ends = np.array(labels.starts, dtype=np.int64)
    rows, heads = list_pixels(_joined(shared), image, units, labels.labels, ends)
    area, high = list_areas(_joined(areas), _joined(maxima), image, units)
    return ImageTally(
        tuple(rows[start:stop] for start, stop in itertools.pairwise(heads.tolist())), area, high
    )


def _share(counts: IntArray, weights: Weights) -> IntArray:
    """(pairs, labels) int64 `counts @ weights`; few of either are not 0.

    Not by numpy, whose products start threads of their own in each of our threads.
    """
    if isinstance(weights, np.ndarray):
        return multiply_few(counts, weights)
    table = sparse.csr_array(counts)
    return np.asarray((table @ weights).toarray()).astype(np.int64)


@compiled
def multiply_few(counts: IntArray, weights: FloatArray) -> IntArray:
    """(pairs, labels) int64 `counts @ weights` for whole numbers, most of which are 0.

    Args:
        counts: (pairs, regions) int64.
        weights: (regions, labels) float64.
    """
    regions, labels = weights.shape
    used = np.empty((regions, labels), dtype=np.int64)
    number = np.zeros(regions, dtype=np.int64)
    for region in range(regions):
        for label in range(labels):
            if weights[region, label] != 0:
                used[region, number[region]] = label
                number[region] += 1
    product = np.zeros((counts.shape[0], labels), dtype=np.int64)
    for pair in range(counts.shape[0]):
        for region in range(regions):
            pixels = counts[pair, region]
            if pixels != 0:
                for place in range(number[region]):
                    label = used[region, place]
                    product[pair, label] += pixels * np.int64(weights[region, label])
    return product


def _joined(parts: list[NDArray[Number]]) -> NDArray[Number]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@compiled
def list_pixels(
    pixels: IntArray, image: int, units: PlaceArray, labels: IntArray, ends: IntArray
) -> tuple[IntArray, IntArray]:
    """The counts that are not 0, one index after the other.

    Args:
        pixels: (pairs, labels) int64.
        image: Row of the image.
        units: (pairs,) int32, rising.
        labels: (labels,) int64, rising within an index.
        ends: (indices + 1,) int64, where the labels of each index begin.

    Returns:
        (n, 4) int64 rows (image, unit, label, pixels), sorted within an index; (indices + 1,)
        int64, where the rows of each begin.
    """
    heads = np.zeros(len(ends), dtype=np.int64)
    place = 0
    for pair in range(len(units)):
        for column in range(pixels.shape[1]):
            place += pixels[pair, column] != 0
    rows = np.empty((place, 4), dtype=np.int64)
    place = 0
    for index in range(len(ends) - 1):
        for pair in range(len(units)):
            for column in range(ends[index], ends[index + 1]):
                if pixels[pair, column] != 0:
                    rows[place, 0], rows[place, 1] = image, units[pair]
                    rows[place, 2], rows[place, 3] = labels[column], pixels[pair, column]
                    place += 1
        heads[index + 1] = place
    return rows, heads


@compiled
def list_areas(
    area: IntArray, highest: MapArray, image: int, units: PlaceArray
) -> tuple[IntArray, MapArray]:
    """The masks that have a pixel.

    Args:
        area: (pairs,) int64, their pixels.
        highest: (pairs,) float32, their largest activations.
        image: Row of the image.
        units: (pairs,) int32.

    Returns:
        (m, 3) int64 rows (image, unit, pixels), and (m,) float32 of `highest`.
    """
    number = 0
    for pair in range(len(units)):
        number += area[pair] != 0
    rows, maxima = np.empty((number, 3), dtype=np.int64), np.empty(number, dtype=np.float32)
    place = 0
    for pair in range(len(units)):
        if area[pair] != 0:
            rows[place, 0], rows[place, 1], rows[place, 2] = image, units[pair], area[pair]
            maxima[place] = highest[pair]
            place += 1
    return rows, maxima


def count_masks(
    chunk: Chunk,
    starts: IntArray,
    thresholds: FloatArray,
    tiling: Tiling,
    grid: Grid,
    region: NDArray[np.int32],
    counts: CountArray,
) -> MapArray:
    """Add the pixels of each mask to `counts` (pairs, regions) by region.

    Returns:
        (pairs,) float32, the largest activation of each.
    """
    up, over = grid.vertical, grid.horizontal
    highest = np.empty(len(counts), dtype=np.float32)
    limits = thresholds[chunk.units[starts[:-1]]]
    if grid.reduces:
        tables = (up.first, up.taps, over.first, over.taps)
        count_reduced(chunk.patches[starts[:-1]], limits, *tables, region, counts, highest)
        return highest
    uniform = find_uniform(region, up.starts, over.starts)
    count_regions(
        *(chunk.patches, chunk.tiles, starts, limits, tiling.numbers),
        *(up.starts, up.weights, over.starts, over.weights),
        *(region, uniform, counts, highest),
    )
    return highest
