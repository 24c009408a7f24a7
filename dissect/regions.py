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
from dissect.ordering import sort_values
from dissect.upsample import FloatArray, IntArray

LabelArray = NDArray[np.uint16]
RegionArray = NDArray[np.int32]
Weights = FloatArray | sparse.csr_array

_SLOTS = 1 << 9  # of the table of regions at first, a power of two
_MIXER = 0x5851F42D4C957F2D  # odd: every bit of a key moves its slot
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
    pixels = size[0] * size[1]
    region = np.zeros(pixels, dtype=np.int32)
    first = np.zeros(1, dtype=np.int64)
    areas = np.full(1, pixels, dtype=np.int64)
    flat = [labels.reshape(-1) for labels in maps]
    for one in range(0, len(flat), 2):  # a map that is left over goes with itself
        region, first, areas = refine(region, flat[one], flat[min(one + 1, len(flat) - 1)])
    columns = np.empty((len(first), len(flat)), dtype=np.int64)
    for place, labels in enumerate(flat):
        columns[:, place] = labels[first]
    return Regions(region.reshape(size), columns, areas)


@compiled
def refine(
    region: RegionArray, one: LabelArray, two: LabelArray
) -> tuple[RegionArray, IntArray, IntArray]:
    """Number the combinations of region and two labels in the order in which pixels have them.

    Args:
        region: (pixels,) int32.
        one: (pixels,) uint16, a map.
        two: (pixels,) uint16, another.

    Returns:
        (pixels,) int32, the number of each pixel's; of each combination its first pixel and its
        area in pixels, int64.
    """
    pixels, slots = region.size, _SLOTS
    refined = np.empty(pixels, dtype=np.int32)
    first = np.empty(pixels, dtype=np.int64)
    areas = np.empty(pixels, dtype=np.int64)
    count = done = 0
    while done < pixels:  # once too many slots of the table are taken, it is made anew and larger
        keys, numbers = np.full(slots, -1, dtype=np.int64), np.empty(slots, dtype=np.int32)
        for number in range(count):
            key = _key_of(region, one, two, first[number])
            slot = (key * _MIXER >> 44) & (slots - 1)
            while keys[slot] >= 0:
                slot = (slot + 1) & (slots - 1)
            keys[slot], numbers[slot] = key, number
        maps, found = (region, one, two), (refined, first, areas)
        done, count = _number_pixels(maps, keys, numbers, found, done, count)
        slots *= 4
    return refined, first[:count].copy(), areas[:count].copy()


@compiled
def _key_of(region: RegionArray, one: LabelArray, two: LabelArray, pixel: int) -> np.int64:
    labels = (np.int64(one[pixel]) << 16) | np.int64(two[pixel])
    return (np.int64(region[pixel]) << 32) | labels


@compiled
def _number_pixels(
    maps: tuple[RegionArray, LabelArray, LabelArray],
    keys: IntArray,
    numbers: RegionArray,
    found: tuple[RegionArray, IntArray, IntArray],
    begin: int,
    count: int,
) -> tuple[int, int]:
    """As `refine`, from pixel `begin` on, while `keys`, an open hash table, has room.

    Returns:
        The first pixel that was not looked at, and how many combinations there are by now.
    """
    region, one, two = maps
    refined, first, areas = found
    mask = keys.size - 1
    last, number, start = np.int64(-1), np.int32(0), begin  # of the run of equal pixels
    for pixel in range(begin, region.size):
        key = _key_of(region, one, two, pixel)
        if key != last:
            if pixel > begin:
                areas[number] += pixel - start
            if 4 * count > mask:
                return pixel, count
            last, start = key, pixel
            slot = (key * _MIXER >> 44) & mask
            while keys[slot] >= 0 and keys[slot] != key:
                slot = (slot + 1) & mask
            if keys[slot] < 0:
                keys[slot], numbers[slot] = key, count
                first[count], areas[count] = pixel, 0
                count += 1
            number = numbers[slot]
        refined[pixel] = number
    areas[number] += region.size - start
    return region.size, count


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
    maps = np.concatenate(
        [np.empty((len(regions.areas), 0), np.int64)] + [one.maps for one in statements], axis=1
    )
    whole = np.array([label for one in statements for label in one.whole], dtype=np.int64)
    ends = np.cumsum([(0, 0), *((one.maps.shape[1], len(one.whole)) for one in statements)], axis=0)
    rows, columns, labels, starts = _number_labels(maps, whole, ends)
    weights = _table(rows, columns, (len(regions.areas), len(labels)))
    truth = (regions.areas.astype(np.float64) @ weights).astype(np.int64)  # exact: below 2**53
    return ImageLabels(
        regions.region.shape,
        regions.region,
        regions.areas,
        labels,
        weights,
        truth,
        tuple(starts.tolist()),
    )


@compiled
def _number_labels(
    maps: IntArray, whole: IntArray, ends: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """A column for each label of each index, and where labels stand.

    Args:
        maps: (regions, n) int64, what all indices say, side by side; 0 is unlabelled.
        whole: (m,) int64 labels of the whole image, one index after the other.
        ends: (indices + 1, 2) int64, where the part of each index begins in both; then the end.

    Returns:
        Region and column of each label that is said, as often as it is; the label of each column,
        rising within an index; (indices + 1,) where the columns of each index begin.
    """
    regions, planes = maps.shape
    column_of = np.full(1 + _largest(maps, whole), -1, dtype=np.int64)
    said = regions * (planes + whole.size)
    rows, columns = np.empty(said, dtype=np.int64), np.empty(said, dtype=np.int64)
    labels = np.empty(regions * planes + whole.size, dtype=np.int64)
    starts = np.zeros(len(ends), dtype=np.int64)
    used = number = 0
    for index in range(len(ends) - 1):
        begin = used
        everywhere = whole[ends[index, 1] : ends[index + 1, 1]]
        for label in everywhere:
            if column_of[label] < 0:
                column_of[label], labels[used] = 0, label
                used += 1
        for region in range(regions):
            for plane in range(ends[index, 0], ends[index + 1, 0]):
                label = maps[region, plane]
                if label > 0 and column_of[label] < 0:
                    column_of[label], labels[used] = 0, label
                    used += 1
        sort_values(labels[begin:used])
        for column in range(begin, used):
            column_of[labels[column]] = column
        for region in range(regions):
            for label in everywhere:
                rows[number], columns[number] = region, column_of[label]
                number += 1
            for plane in range(ends[index, 0], ends[index + 1, 0]):
                if maps[region, plane] > 0:
                    rows[number], columns[number] = region, column_of[maps[region, plane]]
                    number += 1
        for column in range(begin, used):
            column_of[labels[column]] = -1
        starts[index + 1] = used
    return rows[:number], columns[:number], labels[:used].copy(), starts


@compiled
def _largest(maps: IntArray, whole: IntArray) -> int:
    """The highest number of a label, 0 if there is none."""
    found = 0
    for region in range(maps.shape[0]):
        for plane in range(maps.shape[1]):
            found = max(found, maps[region, plane])
    for label in whole:
        found = max(found, label)
    return found


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
