"""Which kind of agreement or disagreement a pixel shows."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counting.flattening import Flat
from conceptset.consistency.counting.matching import Comparison, Meeting, compare, meet
from conceptset.consistency.counting.overlay import overlay


class Kind(IntEnum):
    """What two annotators' labels of one pixel have to do with each other."""

    UNLABELLED = 0  # both left it so: they agree
    SAME = 1  # both labelled it, same concept: they agree
    NAMING = 2  # the same thing, called differently
    QUANTITY = 3  # one of them left a thing out
    QUALITY = 4  # both have the thing, the outlines differ
    IGNORED = 5  # one of them abstains: in no count


def kinds_of_cells(meeting: Meeting, comparison: Comparison) -> NDArray[np.uint8]:
    """The kind of all pixels of each cell; the first that applies, in the order of `Kind`.

    A cell is naming if its two segments are matched or their names mean the same region; quantity
    if a segment of it was not found by the other; else quality.

    Returns:
        (thresholds, n) uint8.
    """
    a, b = meeting.a, meeting.b
    name_a, name_b = meeting.names_a[a], meeting.names_b[b]
    labelled = (a > 0) & (b > 0)
    renamed = comparison.names.renamed[:, comparison.names.of_cell]
    left_out = ~(comparison.found_a[:, a] & comparison.found_b[:, b])
    kinds = np.where(left_out, np.uint8(Kind.QUANTITY), np.uint8(Kind.QUALITY))
    kinds[labelled & (comparison.matched | renamed)] = Kind.NAMING
    kinds[:, labelled & (name_a == name_b)] = Kind.SAME
    kinds[:, (a == 0) & (b == 0)] = Kind.UNLABELLED
    return kinds


def classify_pixels(a: Flat, b: Flat, *, threshold: float = 0.5) -> NDArray[np.uint8]:
    """The `Kind` of every pixel, as two annotators' layers show it.

    Args:
        a: One layer of the first.
        b: The same of the second.
        threshold: Of a match.

    Returns:
        (height, width) uint8.

    >>> everything = Flat((1, 2), np.array([2]), np.array([1]), np.array([0, 7]), np.array([-1, 0]))
    >>> left = Flat((1, 2), np.array([1, 2]), np.array([1, 0]), *2 * (np.array([0, 7]),))
    >>> classify_pixels(everything, left).tolist()
    [[1, 4]]
    """
    meeting = meet(overlay([a, b]), (0, 1), a.concepts, b.concepts)
    kinds = kinds_of_cells(meeting, compare(meeting, (threshold,)))[0]
    table = np.full((a.count + 2, b.count + 2), Kind.IGNORED, dtype=np.uint8)
    table[meeting.a, meeting.b] = kinds
    painted: NDArray[np.uint8] = table[a.segment_map(), b.segment_map()]  # -1 is the last
    return painted
