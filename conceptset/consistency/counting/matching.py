"""Which segments of two annotators mean the same thing, and which were left out by one of them.

Everything follows from how many pixels each region of one shares with each region of the other, a
table that is kept sparse: only the cells where two regions meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from conceptset.consistency.counting.overlay import Overlay, sum_by
from conceptset.consistency.counts import THRESHOLDS
from conceptset.geometry import BoolArray, IntArray

FloatArray = NDArray[np.float64]

_DENSE = 1 << 16  # up to here a whole table is quicker than sorting its cells
_TIE = 2.0**-40  # breaks ties between assignments in favour of equal names


@dataclass(frozen=True, slots=True, eq=False)
class Meeting:
    """Two flattened layers over their valid pixels; n cells where two regions meet.

    Attributes:
        a: (n,) int64 region of the first, ascending.
        b: (n,) int64 region of the second, ascending for each of the first.
        pixels: (n,) float64 whole numbers, above 0.
        area_a: (count + 1,) float64 valid pixels of each region of the first; 0 is unlabelled.
        area_b: Of the second.
        names_a: (count + 1,) int64 names of the first's regions, as small numbers; 0 for region 0.
        names_b: Of the second.
    """

    a: IntArray
    b: IntArray
    pixels: FloatArray
    area_a: FloatArray
    area_b: FloatArray
    names_a: IntArray
    names_b: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """The cells of a meeting summed up by name; g pairs of names, unlabelled being one.

    Attributes:
        a: (g,) int64 name by the first, ascending.
        b: (g,) int64 name by the second.
        pixels: (g,) float64.
        of_cell: (n,) int64 which pair of names a cell belongs to.
        renamed: (thresholds, g) bool: two names for the same region.
    """

    a: IntArray
    b: IntArray
    pixels: FloatArray
    of_cell: IntArray
    renamed: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What corresponds in a meeting, at each threshold.

    Attributes:
        iou: (n,) float64 of the two segments of a cell; 0 where one is unlabelled.
        matched: (thresholds, n) bool, one to one.
        names: Pairs of names.
        found_a: (thresholds, count + 1) bool: the second has this segment of the first, in
            whatever form. Segments without a valid pixel are not found; region 0 is.
        found_b: The first has this segment of the second.
    """

    iou: FloatArray
    matched: BoolArray
    names: Names
    found_a: BoolArray
    found_b: BoolArray


def meet(over: Overlay, places: tuple[int, int], names_a: IntArray, names_b: IntArray) -> Meeting:
    """Where the regions of two annotators meet; pixels that either ignores are left out.

    Args:
        over: Of several annotators.
        places: Rows of the two in it.
        names_a: (count + 1,) name of each region of the first; 0 for unlabelled.
        names_b: Of the second.
    """
    a, b = over.regions[places[0]], over.regions[places[1]]
    is_valid = (a < len(names_a)) & (b < len(names_b))
    across = len(names_b)
    cells, pixels, _ = _tabulate(
        (a * across + b)[is_valid], over.pixels[is_valid], len(names_a) * across
    )
    a, b = np.divmod(cells, across)
    return Meeting(
        a,
        b,
        pixels,
        sum_by(a, pixels, len(names_a)),
        sum_by(b, pixels, len(names_b)),
        names_a,
        names_b,
    )


def _tabulate(
    codes: IntArray, weights: FloatArray, size: int
) -> tuple[IntArray, FloatArray, IntArray]:
    """Distinct codes (below `size`), the sum of each one's weights (above 0), which one it is."""
    if size > _DENSE:
        distinct, place = np.unique(codes, return_inverse=True)
        return distinct, sum_by(place, weights, len(distinct)), place
    sums = sum_by(codes, weights, size)
    distinct = np.flatnonzero(sums)
    place = np.zeros(size, dtype=np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, sums[distinct], place[codes]


def compare(meeting: Meeting, thresholds: tuple[float, ...] = THRESHOLDS) -> Comparison:
    """What corresponds: matches, names for the same region, and what was found by the other.

    A segment is found if it is matched; or if the other has a segment of the same name that shares
    more than the threshold of the smaller of the two (drawn more coarsely or finely, split,
    merged); or if the other has another name for the region of its name, and that covers more than
    the threshold of it (renamed and cut differently). All comparisons are strict, and exact: the
    thresholds are sums of powers of two.

    Args:
        meeting: n cells.
        thresholds: Of the intersection over union.
    """
    m, bar = meeting, np.array(thresholds)[:, None]
    area_a, area_b = m.area_a[m.a], m.area_b[m.b]
    labelled = (m.a > 0) & (m.b > 0)
    iou = np.where(labelled, m.pixels / (area_a + area_b - m.pixels), 0.0)
    same = labelled & (m.names_a[m.a] == m.names_b[m.b])
    names = _sum_by_name(m, bar)
    matched = iou > bar
    for place, threshold in enumerate(thresholds):
        if threshold < 0.5:  # else at most one can be above it (Kirillov et al. 2019, section 4.1)
            matched[place] = _one_to_one(m, iou + _TIE * same, matched[place])
    met_a = met_b = matched | (same & (m.pixels > bar * np.minimum(area_a, area_b)))
    if names.renamed.any():
        renamed = names.renamed[:, names.of_cell]
        across_a, across_b = int(m.names_a.max()) + 1, int(m.names_b.max()) + 1
        in_b = _summed(m.a * across_b + m.names_b[m.b], m.pixels, len(m.area_a) * across_b)
        in_a = _summed(m.b * across_a + m.names_a[m.a], m.pixels, len(m.area_b) * across_a)
        met_a = met_a | (renamed & (in_b > bar * area_a))
        met_b = met_b | (renamed & (in_a > bar * area_b))
    found_a, found_b = _any_cell(met_a, m.a, m.area_a), _any_cell(met_b, m.b, m.area_b)
    return Comparison(iou, matched, names, found_a, found_b)


def _summed(codes: IntArray, pixels: FloatArray, size: int) -> FloatArray:
    """For each cell, the pixels of all cells with the same code."""
    _, sums, place = _tabulate(codes, pixels, size)
    return sums[place]


def _any_cell(met: BoolArray, regions: IntArray, areas: FloatArray) -> BoolArray:
    found = np.zeros((len(met), len(areas)), dtype=bool)
    found[:, 0] = True
    place, cell = np.nonzero(met)
    found[place, regions[cell]] = True
    return found


def _sum_by_name(m: Meeting, bar: FloatArray) -> Names:
    across = int(m.names_b.max()) + 1
    size = (int(m.names_a.max()) + 1) * across
    codes = m.names_a[m.a] * across + m.names_b[m.b]
    pairs, pixels, of_cell = _tabulate(codes, m.pixels, size)
    a, b = np.divmod(pairs, across)
    region_a = sum_by(m.names_a, m.area_a, 0)
    region_b = sum_by(m.names_b, m.area_b, 0)
    differ = (a > 0) & (b > 0) & (a != b)
    renamed = differ & (pixels / (region_a[a] + region_b[b] - pixels) > bar)
    return Names(a, b, pixels, of_cell, renamed)


def _one_to_one(m: Meeting, iou: FloatArray, above: BoolArray) -> BoolArray:
    """Of the cells above the threshold those of the assignment with the largest total.

    Only segments with a choice enter it. Of two annotators the one that is put first is decided by
    the table itself, so that exchanging them exchanges the result also where totals are equal.
    """
    cells = np.flatnonzero(above)
    crowded_a = np.bincount(m.a[cells], minlength=len(m.area_a)) > 1
    crowded_b = np.bincount(m.b[cells], minlength=len(m.area_b)) > 1
    cells = cells[crowded_a[m.a[cells]] | crowded_b[m.b[cells]]]
    if len(cells) == 0:
        return above
    rows, row = np.unique(m.a[cells], return_inverse=True)
    columns, column = np.unique(m.b[cells], return_inverse=True)
    table = np.zeros((len(rows), len(columns)))
    table[row, column] = iou[cells]
    is_turned = (table.shape, table.tobytes()) > (table.T.shape, table.T.tobytes())
    chosen = linear_sum_assignment(table.T if is_turned else table, maximize=True)
    taken = np.zeros(table.shape, dtype=bool)
    taken[chosen[::-1] if is_turned else chosen] = True
    result = above.copy()
    result[cells] = taken[row, column]
    return result
