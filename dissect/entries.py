"""The counts of a layer as entries: what is added to which figure, and from which image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dissect.compiling import compiled
from dissect.counts import CountBlock, Counts, IntArray
from dissect.rows import pieces
from dissect.state import Union

BoolArray = NDArray[np.bool_]
Entries = tuple[IntArray, IntArray, IntArray]

_STRANGE_IMAGE, _STRANGE_NUMBER = -1, -2


@dataclass(frozen=True, slots=True)
class Figures:
    """What is summed: of each unit, the intersection with every label, the area by category.

    The figure of a unit and a label has the number `unit * per_unit + label`; that of a unit and
    a category `unit * per_unit + labels + category`.

    Attributes:
        place: (labels,) int64 primary category of each label.
        carried: (categories, images) on which images labels of a category count.
        rows: (images,) int64 rows of the index, rising.
        units: Units of the layer.
        union: `annotated`: masks count on all images of `carried`; `lite`: only on those where a
            label of the category lies under them.
    """

    place: IntArray
    carried: BoolArray
    rows: IntArray
    units: int
    union: Union

    @property
    def labels(self) -> int:
        """Largest label number + 1."""
        return len(self.place)

    @property
    def per_unit(self) -> int:
        """Figures of one unit."""
        return len(self.place) + len(self.carried)

    def entries(self, counts: Counts, units: range | None = None) -> Iterator[Entries]:
        """What counts, block by block: figures, places of the images in `rows`, pixels.

        Args:
            counts: A record.
            units: Only these; all if not given.

        Raises:
            ValueError: It holds an image that is not among `rows`.
            IndexError: It holds a unit or a label beyond those known.
        """
        units = range(self.units) if units is None else units
        for block in counts.blocks():
            yield self._intersections(block, units)
            yield self._areas(block, units)

    def truths(self, counts: Counts) -> Iterator[Entries]:
        """Likewise of the labels by themselves: labels, places, pixels."""
        for truth in pieces(counts.truth):
            places = find_places(self.rows, truth[:, 0])
            kept = self.carried[self.place[truth[:, 1]], places]
            yield truth[kept, 1], places[kept], truth[kept, 2]

    def _intersections(self, block: CountBlock, units: range) -> Entries:
        shared = block.intersection
        found = np.empty((3, len(shared)), dtype=np.int64)
        count = _pick(
            *(shared, self.rows, self.place, self.carried, self.units),
            *(units.start, units.stop, found),
        )
        _check(count)
        return found[0, :count], found[1, :count], found[2, :count]

    def _areas(self, block: CountBlock, units: range) -> Entries:
        area = block.area
        counted = np.zeros((len(area), len(self.carried)), dtype=np.bool_)
        places = np.empty(len(area), dtype=np.int64)
        if self.union == "annotated":
            _check(_mark(area, self.rows, self.carried, self.units, places, counted))
        else:
            none = np.zeros_like(self.carried)
            _check(_mark(area, self.rows, none, self.units, places, counted))
            _touch(area, block.intersection, places, self.place, self.carried, counted)
        counted &= ((area[:, 1] >= units.start) & (area[:, 1] < units.stop))[:, np.newaxis]
        mask, category = np.nonzero(counted)
        figures = area[mask, 1] * self.per_unit + self.labels + category
        return figures, places[mask], area[mask, 2]


def find_places(rows: IntArray, images: IntArray) -> IntArray:
    """The places of images in `rows`, which rise.

    Raises:
        ValueError: One of them is not there.
    """
    heads = np.flatnonzero(np.diff(images, prepend=-1))  # mostly many rows of one image
    found = np.searchsorted(rows, images[heads])
    if len(rows) == 0 and len(images) == 0:
        return found
    if not np.array_equal(rows[np.minimum(found, len(rows) - 1)], images[heads]):
        _check(_STRANGE_IMAGE)
    return np.repeat(found, np.diff(heads, append=len(images)))


def _check(count: int) -> None:
    if count == _STRANGE_IMAGE:
        raise ValueError("the counts hold images that were not drawn from")
    if count == _STRANGE_NUMBER:
        raise IndexError("the counts hold a unit or a label that is not known")


@compiled
def _pick(
    shared: IntArray,
    rows: IntArray,
    place: IntArray,
    carried: BoolArray,
    units: int,
    begin: int,
    end: int,
    found: IntArray,
) -> int:
    """Fill in figure, place and pixels of the intersections that count; how many these are."""
    per_unit = len(place) + len(carried)
    at = count = 0
    for row in range(len(shared)):
        image, unit, label = shared[row, 0], shared[row, 1], shared[row, 2]
        while at < len(rows) and rows[at] < image:
            at += 1
        if at == len(rows) or rows[at] != image:
            return _STRANGE_IMAGE
        if not (0 <= unit < units and 0 <= label < len(place)):
            return _STRANGE_NUMBER
        if begin <= unit < end and carried[place[label], at]:
            found[0, count] = unit * per_unit + label
            found[1, count] = at
            found[2, count] = shared[row, 3]
            count += 1
    return count


@compiled
def _mark(
    area: IntArray,
    rows: IntArray,
    carried: BoolArray,
    units: int,
    places: IntArray,
    counted: BoolArray,
) -> int:
    """Fill in the place of each mask's image, and the categories that it carries."""
    at = 0
    for row in range(len(area)):
        image = area[row, 0]
        while at < len(rows) and rows[at] < image:
            at += 1
        if at == len(rows) or rows[at] != image:
            return _STRANGE_IMAGE
        if not 0 <= area[row, 1] < units:
            return _STRANGE_NUMBER
        places[row] = at
        for category in range(len(carried)):
            counted[row, category] = carried[category, at]
    return 0


@compiled
def _touch(
    area: IntArray,
    shared: IntArray,
    places: IntArray,
    place: IntArray,
    carried: BoolArray,
    counted: BoolArray,
) -> None:
    """Mark the categories of the labels that lie under each mask; both tables are sorted."""
    row = 0
    for other in range(len(shared)):
        image, unit = shared[other, 0], shared[other, 1]
        while row < len(area) and (
            area[row, 0] < image or (area[row, 0] == image and area[row, 1] < unit)
        ):
            row += 1
        if row < len(area) and area[row, 0] == image and area[row, 1] == unit:
            category = place[shared[other, 2]]
            if carried[category, places[row]]:
                counted[row, category] = True
