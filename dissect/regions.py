"""The label maps of an image joined into one map of regions, for one index or for many.

A region is one combination of labels in all maps that are joined. What lies in a region is the
same for everybody, so pixels are visited once, and every index reads its counts off the regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dissect.compiling import compiled
from dissect.upsample import FloatArray, IntArray

LabelArray = NDArray[np.uint16]
RegionArray = NDArray[np.int32]
Weights = FloatArray | sparse.csr_array

_TABLE = 1 << 24  # codes that are looked up in a table instead of sorted
_DENSE = 1 << 22  # cells of a table of weights that is kept whole


@dataclass(frozen=True, slots=True)
class Regions:
    """Maps joined.

    Attributes:
        region: (height, width) int32, the region of each pixel, from 0.
        labels: (regions, maps) int64, what each map says there; 0 is unlabelled.
        areas: (regions,) int64, pixels.
    """

    region: RegionArray
    labels: IntArray
    areas: IntArray


def join_maps(maps: Sequence[LabelArray], size: tuple[int, int]) -> Regions:
    """The regions of several label maps.

    Args:
        maps: (height, width) uint16.
        size: (height, width), for an image without maps.

    >>> joined = join_maps([np.array([[0, 7]], np.uint16), np.array([[5, 5]], np.uint16)], (1, 2))
    >>> joined.region.tolist(), joined.labels.tolist(), joined.areas.tolist()
    ([[0, 1]], [[0, 5], [7, 5]], [1, 1])
    """
    region = np.zeros(size[0] * size[1], dtype=np.int32)
    said: list[IntArray] = []
    count = 1
    for labels in maps:
        present, codes = _renumber(labels.reshape(-1))
        used, region = _combine(region, codes, count, len(present))
        said = [column[used // len(present)] for column in said]
        said.append(present[used % len(present)])
        count = len(used)
    columns = np.stack(said, axis=1) if said else np.zeros((1, 0), dtype=np.int64)
    areas = np.bincount(region, minlength=count)
    return Regions(region.reshape(size), columns, areas)


def _renumber(labels: LabelArray) -> tuple[IntArray, RegionArray]:
    """The distinct labels, in the order in which they occur, and for each pixel its own's place."""
    table = np.full(1 << 16, -1, dtype=np.int32)
    used = np.empty(min(labels.size, table.size), dtype=np.int64)
    codes = np.empty(labels.size, dtype=np.int32)
    number = refine(np.zeros(labels.size, dtype=np.int32), labels, 0, table, used, codes)
    return used[:number], codes


def _combine(
    region: RegionArray, codes: RegionArray, regions: int, labels: int
) -> tuple[IntArray, RegionArray]:
    """The combinations `region * labels + code` that occur, and for each pixel which it has."""
    if regions * labels > _TABLE:
        used, places = np.unique(region.astype(np.int64) * labels + codes, return_inverse=True)
        return used, places.reshape(-1).astype(np.int32)
    table = np.full(regions * labels, -1, dtype=np.int32)
    used = np.empty(min(region.size, table.size), dtype=np.int64)
    refined = np.empty_like(region)
    number = refine(region, codes, labels, table, used, refined)
    return used[:number], refined


@compiled
def refine(
    region: RegionArray,
    codes: RegionArray | LabelArray,
    labels: int,
    table: RegionArray,
    used: IntArray,
    refined: RegionArray,
) -> int:
    """Number the combinations of region and code in the order in which pixels have them.

    Args:
        region: (pixels,) int32.
        codes: (pixels,) in 0 .. labels - 1.
        labels: How many codes there are.
        table: (regions * labels,) int32, all -1; overwritten.
        used: Receives the combinations, `region * labels + code`.
        refined: (pixels,) int32, receives the number of each pixel's.

    Returns:
        How many occur.
    """
    number = 0
    for pixel in range(region.size):
        code = region[pixel] * labels + codes[pixel]
        place = table[code]
        if place < 0:
            place = number
            table[code] = place
            used[place] = code
            number += 1
        refined[pixel] = place
    return number


@dataclass(frozen=True, slots=True)
class Statement:
    """What one index says of an image, region by region.

    Attributes:
        maps: (regions, n) int64 labels, 0 is unlabelled; one that stands in two maps counts twice.
        whole: Labels of the whole image; one that is named twice counts twice.
    """

    maps: IntArray
    whole: Sequence[int]


@dataclass(frozen=True, slots=True)
class ImageLabels:
    """What one or several indices say of one image.

    Attributes:
        size: (height, width) of the label maps.
        region: (height, width) int32, the region of each pixel, from 0.
        areas: (regions,) int64, pixels.
        labels: (n,) int64, for each index the labels that occur, rising; whole-image labels too.
        weights: (regions, n) float64, how often a pixel of the region carries the label: 1, or
            more where several maps or whole-image entries say so. Sparse where that is large.
        truth: (n,) int64, pixels of each label, with that multiplicity.
        starts: Where the labels of each index begin; one more at the end.
    """

    size: tuple[int, int]
    region: RegionArray
    areas: IntArray
    labels: IntArray
    weights: Weights
    truth: IntArray
    starts: tuple[int, ...]

    def of(self, index: int) -> slice:
        """The columns of one index."""
        return slice(self.starts[index], self.starts[index + 1])


def weigh_labels(regions: Regions, statements: Sequence[Statement]) -> ImageLabels:
    """The labels of every index, ready to be counted.

    Args:
        regions: The maps joined.
        statements: What each index says of them.
    """
    count = len(regions.areas)
    width = 1 + max(
        (max(int(one.maps.max(initial=0)), *one.whole, 0) for one in statements), default=0
    )
    rows, codes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for place, one in enumerate(statements):
        region, column = np.nonzero(one.maps)
        rows.append(region)
        codes.append(one.maps[region, column] + place * width)
        if one.whole:
            rows.append(np.tile(np.arange(count), len(one.whole)))
            codes.append(np.repeat(np.asarray(one.whole, np.int64) + place * width, count))
    row, code = np.concatenate(rows), np.concatenate(codes)
    used, column = np.unique(code, return_inverse=True)
    weights = _table(row, column.reshape(-1), (count, len(used)))
    truth = (regions.areas.astype(np.float64) @ weights).astype(np.int64)  # exact: below 2**53
    heads = np.searchsorted(used, np.arange(len(statements) + 1) * width)
    return ImageLabels(
        regions.region.shape,
        regions.region,
        regions.areas,
        used % width,
        weights,
        truth,
        tuple(heads.tolist()),
    )


def _table(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> Weights:
    """How often each pair of row and column occurs."""
    if shape[0] * shape[1] > _DENSE:
        pairs = (np.ones(len(rows)), (rows, columns))
        return sparse.csr_array(sparse.coo_array(pairs, shape=shape))
    places = rows * shape[1] + columns
    table = np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape)
    return table.astype(np.float64)


def join_labels(
    planes: Sequence[LabelArray], whole: Sequence[int], size: tuple[int, int]
) -> ImageLabels:
    """The label maps of one index.

    Args:
        planes: (height, width) uint16 label maps, 0 = unlabelled.
        whole: Labels of the whole image; one that is named twice counts twice.
        size: (height, width), for an image without maps.

    >>> joined = join_labels([np.array([[0, 7]], np.uint16)], [9], (1, 2))
    >>> joined.labels.tolist(), joined.truth.tolist()
    ([7, 9], [1, 2])
    """
    regions = join_maps(planes, size)
    return weigh_labels(regions, [Statement(regions.labels, whole)])
