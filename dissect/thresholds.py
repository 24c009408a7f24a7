"""The exact threshold of every unit, from the largest activations of all parts of a data set.

The threshold is the `floor(q N) + 1`-th largest of a unit's N activations. Of every part of the
images (a shard) it is enough to know its own so many largest: its tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dissect.tiles import IntArray, MapArray

FloatArray = NDArray[np.float64]


def rank_of_threshold(quantile: Fraction, samples: int) -> int:
    """Which of the activations, from the largest (1), is the threshold: `floor(q N) + 1`.

    >>> rank_of_threshold(Fraction("0.005"), 199), rank_of_threshold(Fraction("0.005"), 200)
    (1, 2)
    """
    return int(quantile * samples) + 1


@dataclass(frozen=True, slots=True)
class Tail:
    """The largest activations of every unit on some images.

    Nothing is known of activations below `floor`; above it, all are here.

    Attributes:
        heads: (units + 1,) int64, where the values of each unit begin.
        values: (n,) float32, those above the floor, unit by unit, in any order.
        floor: (units,) float32; minus infinity where nothing was left out.
        ties: (units,) int64, at least so many activations equal the floor.
    """

    heads: IntArray
    values: MapArray
    floor: MapArray
    ties: IntArray

    def of(self, unit: int, rank: int) -> MapArray:
        """Up to `rank` or more of the largest activations of a unit that are known."""
        values = self.values[self.heads[unit] : self.heads[unit + 1]]
        ties = min(int(self.ties[unit]), max(0, rank - len(values)))
        if not ties:
            return values
        return np.concatenate([values, np.full(ties, self.floor[unit], dtype=np.float32)])


def select_thresholds(tails: Sequence[Tail], rank: int) -> tuple[MapArray, NDArray[np.bool_]]:
    """The threshold of every unit from the tails of all shards.

    Args:
        tails: Of the shards, in any order.
        rank: Which value is wanted, from the largest (1).

    Returns:
        (units,) float32 thresholds, and for which of them the tails suffice. The `rank`-th
        largest value that they know is the threshold unless one that they left out, at a floor
        or below, could be larger: a floor may have been set too high.
    """
    units = len(tails[0].floor)
    thresholds = np.full(units, -np.inf, dtype=np.float32)
    known = np.zeros(units, dtype=bool)
    for unit in range(units):
        values = np.concatenate([tail.of(unit, rank) for tail in tails])
        if len(values) >= rank:
            place = len(values) - rank
            thresholds[unit] = np.partition(values, place)[place]
            known[unit] = thresholds[unit] >= max(tail.floor[unit] for tail in tails)
    return thresholds + np.float32(0), known  # no -0.0: it equals 0.0 and is written so
