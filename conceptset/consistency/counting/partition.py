"""How alike two partitions of an image are, names ignored; what is unlabelled is one region.

The figures of the segmentation benchmarks: Martin et al. 2001 (consistency errors), Arbelaez et al.
2011, section 2.3 (covering, Rand index, variation of information).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from conceptset.consistency.counting.matching import FloatArray, Meeting
from conceptset.geometry import IntArray


class PartitionFigures(NamedTuple):
    """NaN where there are no pixels to compare (of the Rand index: fewer than two)."""

    covering_a: float  # of the first by the second
    covering_b: float
    rand: float
    vi: float  # bits
    gce: float
    lce: float


def partition_figures(meeting: Meeting) -> PartitionFigures:
    """All of them for one pair of annotators in one image."""
    m = meeting
    n = float(m.pixels.sum())
    if n == 0:
        return PartitionFigures(*[math.nan] * 6)
    x, y = m.area_a[m.a], m.area_b[m.b]
    iou = m.pixels / (x + y - m.pixels)
    within_x, within_y = 1 - m.pixels / x, 1 - m.pixels / y
    return PartitionFigures(
        _covering(iou, m.a, m.area_a) / n,
        _covering(iou, m.b, m.area_b) / n,
        _rand(m, n),
        max(0.0, 2 * _entropy(m.pixels, n) - (_entropy(m.area_a, n) + _entropy(m.area_b, n))),
        min(_added(m.pixels * within_x), _added(m.pixels * within_y)) / n,
        _added(m.pixels * np.minimum(within_x, within_y)) / n,
    )


def _added(values: FloatArray) -> float:
    """Their sum, rounded once: the same in whatever order, so that exchanging a and b is exact."""
    return math.fsum(values.tolist())


def _covering(iou: FloatArray, regions: IntArray, areas: FloatArray) -> float:
    best: FloatArray = np.zeros(len(areas))
    np.maximum.at(best, regions, iou)
    return _added(areas * best)


def _rand(m: Meeting, n: float) -> float:
    """The share of the pairs of pixels that both keep together, or both keep apart."""
    if n < 2:
        return math.nan
    squares = [float((areas * areas).sum()) for areas in (m.area_a, m.area_b, m.pixels)]
    return 1 - ((squares[0] + squares[1]) / 2 - squares[2]) / (n * (n - 1) / 2)


def _entropy(areas: FloatArray, n: float) -> float:
    p = areas[areas > 0] / n
    return -_added(p * np.log2(p))
