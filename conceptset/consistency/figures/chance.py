"""Agreement corrected for chance, from sums over a table of labels.

Every coefficient is 1 - (disagreement seen) / (disagreement expected), and both are taken from
sums of terms that are never negative, so that nothing cancels where one label dominates. NaN where
nothing is defined: no unit, or one label only (then what is expected is nothing). Leading axes
(resamples) run along.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

NO_UNIT = "nothing that both labelled"
ONE_LABEL = "one label only: nothing to tell from chance"


class Margins(NamedTuple):
    """What the coefficients of two raters need of their square table C, of total N.

    With the margins r and k: sums over labels, so that parts of the labels can be added.

    Attributes:
        total: N, units.
        same: Sum of C[c, c].
        crossed: Sum of r_c (N - k_c).
        spread: Sum of s_c (2N - s_c), s = r + k.
        labels: How many labels occur.
    """

    total: FloatArray
    same: FloatArray
    crossed: FloatArray
    spread: FloatArray
    labels: FloatArray

    def plus(self, other: Margins) -> Margins:
        """The sums over the labels of both; the total is the same."""
        sums = (mine + theirs for mine, theirs in zip(self[1:], other[1:], strict=True))
        return Margins(self.total, *sums)


def margins(total: ArrayLike, same: ArrayLike, rows: ArrayLike, columns: ArrayLike) -> Margins:
    """The sums over some labels.

    Args:
        total: (...) N over all labels.
        same: (..., labels) diagonal of the table.
        rows: (..., labels) margins of the first rater.
        columns: (..., labels) margins of the second.
    """
    n = np.asarray(total, dtype=np.float64)
    r, k = np.asarray(rows, dtype=np.float64), np.asarray(columns, dtype=np.float64)
    s, whole = r + k, n[..., None]
    return Margins(
        total=n,
        same=np.asarray(same, dtype=np.float64).sum(axis=-1),
        crossed=(r * (whole - k)).sum(axis=-1),
        spread=(s * (2 * whole - s)).sum(axis=-1),
        labels=(s > 0).sum(axis=-1).astype(np.float64),
    )


def margins_of_table(table: ArrayLike) -> Margins:
    """The sums of whole tables, (..., labels, labels).

    >>> margins_of_table([[20, 5], [10, 15]]).labels.item()
    2.0
    """
    counts = np.asarray(table, dtype=np.float64)
    return margins(
        counts.sum(axis=(-2, -1)),
        np.diagonal(counts, axis1=-2, axis2=-1),
        counts.sum(axis=-1),
        counts.sum(axis=-2),
    )


def _ratio(above: FloatArray, below: FloatArray, defined: NDArray[np.bool_]) -> FloatArray:
    result = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=result, where=defined)
    return result


def _usable(table: Margins) -> NDArray[np.bool_]:
    return (table.total > 0) & (table.labels > 1)


def cohen_kappa(table: Margins) -> FloatArray:
    """Cohen's kappa (1960), (po - pe) / (1 - pe) with pe = sum of r_c k_c / N^2.

    NaN without a unit and where only one label occurs, which is where pe = 1.

    >>> cohen_kappa(margins_of_table([[20, 5], [10, 15]])).item()
    0.4
    """
    seen = table.total * (table.total - table.same)
    return 1 - _ratio(seen, table.crossed, _usable(table))


def gwet_ac1(table: Margins) -> FloatArray:
    """Gwet's AC1 (2008), pe = sum of p_c (1 - p_c) / (Q - 1), Q = labels that occur.

    >>> round(gwet_ac1(margins_of_table([[118, 5], [2, 0]])).item(), 4)
    0.9408
    """
    usable = _usable(table)
    expected = _ratio(table.spread / 4, table.total**2 * (table.labels - 1), usable)
    return 1 - _ratio(1 - _ratio(table.same, table.total, usable), 1 - expected, usable)


class Coincidences(NamedTuple):
    """Krippendorff's coincidences o, of total n: sums over labels.

    Attributes:
        total: n, values that can be paired.
        same: Sum of o_cc.
        spread: Sum of n_c (n - n_c).
        labels: How many labels occur.
    """

    total: FloatArray
    same: FloatArray
    spread: FloatArray
    labels: FloatArray


def coincidences(same: ArrayLike, values: ArrayLike) -> Coincidences:
    """The sums of (..., labels) diagonals o_cc and margins n_c."""
    n = np.asarray(values, dtype=np.float64)
    total = n.sum(axis=-1)
    return Coincidences(
        total=total,
        same=np.asarray(same, dtype=np.float64).sum(axis=-1),
        spread=(n * (total[..., None] - n)).sum(axis=-1),
        labels=(n > 0).sum(axis=-1).astype(np.float64),
    )


def coincidences_of_two(table: Margins) -> Coincidences:
    """What two raters without gaps amount to: every unit counts in both orders."""
    return Coincidences(2 * table.total, 2 * table.same, table.spread, table.labels)


def krippendorff_alpha(pairs: Coincidences) -> FloatArray:
    """Krippendorff's alpha for names (2004), 1 - (n - 1) D_o / D_e with gaps allowed.

    D_o = sum of o_cd over c != d, D_e = sum of n_c n_d over c != d. NaN without a unit of two
    values, and where all values are equal.

    >>> krippendorff_alpha(coincidences([10, 3], [12, 5])).round(4).item()
    0.4667
    """
    usable = (pairs.total > 1) & (pairs.labels > 1)
    seen = (pairs.total - 1) * (pairs.total - pairs.same)
    return 1 - _ratio(seen, pairs.spread, usable)


def fleiss_kappa(pairs: Coincidences) -> FloatArray:
    """Fleiss' kappa (1971), for units that all have the same number of values (not checked here).

    The mean share of agreeing pairs in a unit is then sum of o_cc / n.

    >>> fleiss_kappa(coincidences([10, 3], [12, 5])).round(4).item()
    0.4333
    """
    usable = (pairs.total > 0) & (pairs.labels > 1)
    return 1 - _ratio(pairs.total * (pairs.total - pairs.same), pairs.spread, usable)


def reason_undefined(total: float) -> str:
    """Why a coefficient has no value."""
    return ONE_LABEL if total > 0 else NO_UNIT
