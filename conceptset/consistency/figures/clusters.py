"""People who agree among themselves more than with the others.

Groups are joined in the order of the mean agreement between them (average linkage, Sokal and
Michener 1958). A group on the way counts as a cluster if the gap between its agreement inside and
with everybody else is larger than what the choice of images alone brings about: the same search is
run on the deviations of every resample from the material, in which there is no cluster to find,
and the largest gaps found there are the measure. So looking at many groups is paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.document import Cluster
from conceptset.consistency.figures.estimates import Estimate, ratio
from conceptset.consistency.intervals import LEVEL, MAX_UNDEFINED, MIN_IMAGES

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_SHARED = 5  # images, for a pair to count
_MIN_PEOPLE = 3
_AT_ONCE = 1_000_000  # pairs of people in all resamples together; further resamples are not used
_MIN_ROWS = 101
_UNKNOWN, _GONE = -2.0, -3.0  # below any agreement and any difference of two


class PairAgreements:
    """The agreement of each pair of persons in one category, pair by pair.

    Args:
        persons: Places of the annotators, rising.
        rows: The material and its resamples.
    """

    def __init__(self, persons: Sequence[int], rows: int) -> None:
        self._place = {person: place for place, person in enumerate(persons)}
        n = len(persons)
        kept = min(rows, max(_MIN_ROWS, _AT_ONCE // max(1, n * n)))
        self._values = np.full((kept, n, n), np.nan)
        self._images = 0

    def add(self, a: int, b: int, agreement: Estimate) -> None:
        """One pair: the mean over its images of the agreement `any`.

        Pairs with fewer than 5 images, or undefined in many resamples, are left out.
        """
        if a not in self._place or b not in self._place or len(agreement.images) < MIN_SHARED:
            return
        values = agreement.values[: len(self._values)]
        if np.isnan(values[0]) or np.isnan(values).mean() > MAX_UNDEFINED:
            return
        one, other = sorted((self._place[a], self._place[b]))
        self._values[:, one, other] = self._values[:, other, one] = values
        self._images = max(self._images, len(agreement.images))

    def clusters(self, category: str, names: Sequence[str]) -> list[Cluster]:
        """The clusters, those with the largest gap first; nobody is in two.

        None with fewer than three persons, fewer than 10 images, or no resamples.

        Args:
            category: Of the entries.
            names: Of the persons, in their order.
        """
        if len(names) < _MIN_PEOPLE or self._images < MIN_IMAGES or len(self._values) < 2:
            return []
        material = self._values[0]
        noise = np.where(np.isnan(self._values[1:]), material, self._values[1:]) - material
        noise_gap = np.nanmax(_join_all(noise).gaps, axis=0, initial=0.0)
        threshold = float(np.quantile(noise_gap, LEVEL))
        found = _join_all(material[None])
        taken: set[int] = set()
        result = []
        for step in np.argsort(-found.gaps[:, 0], kind="stable").tolist():
            members = np.flatnonzero(found.members[step, 0]).tolist()
            if found.gaps[step, 0] > threshold and not taken & set(members):
                taken |= set(members)
                result.append(
                    Cluster(
                        category=category,
                        annotators=[names[place] for place in members],
                        within=float(found.within[step, 0]),
                        between=float(found.between[step, 0]),
                    )
                )
        return result


class _Joined(NamedTuple):
    """Every group on the way, in all rows at once; m = n - 1 steps.

    Attributes:
        members: (m, rows, n) bool.
        within: (m, rows) mean agreement of the pairs inside.
        between: (m, rows) mean agreement of its members with everybody else; NaN for the last.
        gaps: (m, rows) within - between; NaN where either is undefined.
    """

    members: NDArray[np.bool_]
    within: FloatArray
    between: FloatArray
    gaps: FloatArray


def _join_all(agreement: FloatArray) -> _Joined:
    """Join the two groups with the highest mean agreement between them, until one is left.

    Args:
        agreement: (rows, n, n) symmetric, NaN where a pair says nothing.
    """
    rows, n, _ = agreement.shape
    every = np.arange(rows)
    known = ~np.isnan(agreement) & ~np.eye(n, dtype=bool)
    sums, pairs = np.where(known, agreement, 0.0), known.astype(np.float64)
    inside = np.zeros((2, rows, n))  # sum and number of pairs within each group
    groups = np.broadcast_to(np.eye(n, dtype=bool), (rows, n, n)).copy()
    alive = np.ones((rows, n), dtype=bool)
    score = np.where(known, sums, _UNKNOWN)
    score[:, range(n), range(n)] = _GONE
    members = np.zeros((n - 1, rows, n), dtype=bool)
    figures = np.full((2, n - 1, rows), np.nan)
    for step in range(n - 1):
        one, other = np.divmod(score.reshape(rows, -1).argmax(axis=1), n)  # one < other
        inside[0, every, one] += inside[0, every, other] + sums[every, one, other]
        inside[1, every, one] += inside[1, every, other] + pairs[every, one, other]
        for table in (sums, pairs):
            table[every, one] += table[every, other]
            table[every, :, one] = table[every, one]
            table[every, other] = table[every, :, other] = 0.0
            table[every, one, one] = 0.0
        alive[every, other] = False
        mean = ratio(sums[every, one], pairs[every, one])
        mean = np.where(alive, np.where(np.isnan(mean), _UNKNOWN, mean), _GONE)
        mean[every, one] = _GONE
        score[every, one] = score[every, :, one] = mean
        score[every, other] = score[every, :, other] = _GONE
        groups[every, one] |= groups[every, other]
        members[step] = groups[every, one]
        figures[0, step] = ratio(inside[0, every, one], inside[1, every, one])
        figures[1, step] = ratio(sums[every, one].sum(axis=1), pairs[every, one].sum(axis=1))
    return _Joined(members, figures[0], figures[1], figures[0] - figures[1])
