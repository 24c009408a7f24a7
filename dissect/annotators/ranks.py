"""Whether two annotators put the units of a layer in the same order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from dissect.upsample import FloatArray


def rank_stability(a: FloatArray, b: FloatArray) -> float:
    """Kendall's tau-b of two lists of IoUs; NaN where either has fewer than two values.

    Kendall, Rank Correlation Methods (1948), chapter 3.

    Args:
        a: (units,) float64; units where either is NaN are left out.
        b: (units,) likewise.

    >>> rank_stability(np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.2, 0.4])).__round__(4)
    0.8165
    """
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():
        return float("nan")
    from scipy.stats import kendalltau  # noqa: PLC0415 - takes longer than most of a small run

    return float(kendalltau(a, b, variant="b").statistic)


def stability_of_units(iou: FloatArray) -> Mapping[tuple[int, int], float]:
    """By pair of annotators, the tau-b of the units' best IoU.

    Args:
        iou: (annotators, units, labels) float64, NaN where undefined.
    """
    largest = np.fmax.reduce(iou, axis=2)
    return {
        (a, b): rank_stability(largest[a], largest[b]) for a, b in combinations(range(len(iou)), 2)
    }


def stability_of_concept(iou: FloatArray) -> list[float]:
    """The tau-b over units of one concept's IoU, for every pair that has one.

    Args:
        iou: (annotators, units) float64, NaN where undefined.
    """
    found = [rank_stability(iou[a], iou[b]) for a, b in combinations(range(len(iou)), 2)]
    return [value for value in found if np.isfinite(value)]
