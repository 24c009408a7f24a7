"""All people at once: coincidences of their labels, and each against the majority of the others.

Krippendorff, Content Analysis (2004), section 11.3: a unit (here a pixel) with m >= 2 values adds
1 / (m - 1) for each ordered pair of its values. Pixels with the same labels are counted together,
and what is divided is a whole number, so neither the order of people nor of pixels matters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counting.overlay import FloatArray, sum_by
from conceptset.geometry import IntArray

NO_VALUE = -1  # an abstention
_AT_ONCE = 4_000_000  # entries of a table of pixels by labels


class Together:
    """What is added up over the pixels of an image.

    Attributes:
        same: (people + 1, labels) float64: coincidences of each label with itself, among everybody
            and then without each of them in turn.
        values: (people + 1, labels) float64: values of each label that can be paired.
        labelled_same: The same over labelled values alone; nothing for label 0.
        labelled_values: Likewise.
        others: (people, 5) int64: columns of `OTHERS` from `valid` on.
    """

    def __init__(self, people: int, labels: int) -> None:
        shape = (people + 1, labels)
        self.same, self.values = np.zeros(shape), np.zeros(shape)
        self.labelled_same, self.labelled_values = np.zeros(shape), np.zeros(shape)
        self.others: IntArray = np.zeros((people, 5), dtype=np.int64)

    def add(self, labels: IntArray, pixels: FloatArray) -> None:
        """Take in some of the pixels.

        Args:
            labels: (people, n) int64: 0 unlabelled, `NO_VALUE` where somebody abstains.
            pixels: (n,) float64, whole numbers: how many pixels are labelled so.
        """
        for part in _parts(labels.shape[1], max(self.same.shape)):
            values, weights = labels[:, part], pixels[part]
            votes = _votes(values, self.same.shape[1])
            _add_coincidences(self.same, self.values, (values, votes, weights))
            self.others += _against_others(values, votes, weights)
            labelled = np.where(values == 0, NO_VALUE, values)
            votes[:, 0] = 0
            _add_coincidences(self.labelled_same, self.labelled_values, (labelled, votes, weights))


def _parts(n: int, width: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // width)
    return (slice(begin, begin + step) for begin in range(0, n, step))


def _votes(labels: IntArray, choices: int) -> FloatArray:
    """How many people say what, (n, choices)."""
    n = labels.shape[1]
    person, place = np.nonzero(labels != NO_VALUE)
    codes = place * choices + labels[person, place]
    return np.bincount(codes, minlength=n * choices).reshape(n, choices).astype(np.float64)


def _add_coincidences(
    same: FloatArray, values: FloatArray, units: tuple[IntArray, FloatArray, FloatArray]
) -> None:
    """Units with equally many values at a time.

    Taking a person away who has a value leaves m - 1; of the pairs of equal values in the unit
    2 (n_c - 1) ordered ones go with it, n_c being how many had its label c.
    """
    labels, votes, pixels = units
    together = votes.sum(axis=1)
    for m in np.unique(together[together >= 2]).tolist():
        chosen = np.flatnonzero(together == m)
        own, vote = labels[:, chosen], votes[chosen]
        single = pixels[chosen, None] * vote
        double = single * (vote - 1)
        has = (own != NO_VALUE).astype(np.float64)
        single_has, double_has = has @ single, has @ double  # whole numbers: exact in any order
        singles, doubles = single.sum(axis=0), double.sum(axis=0)
        same[0] += doubles / (m - 1)
        values[0] += singles
        same[1:] += (doubles - double_has) / (m - 1)
        values[1:] += singles - single_has
        if m > 2:
            gone, lost = _gone(own, vote, pixels[chosen])
            same[1:] += (double_has - 2 * lost) / (m - 2)
            values[1:] += single_has - gone


def _gone(own: IntArray, vote: FloatArray, pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Per person and label: pixels it gave that label, and how many others agreed there."""
    people, choices = len(own), vote.shape[1]
    person, place = np.nonzero(own != NO_VALUE)
    label = own[person, place]
    codes, weights = person * choices + label, pixels[place]
    size = people * choices
    gone = sum_by(codes, weights, size)
    lost = sum_by(codes, weights * (vote[place, label] - 1), size)
    return gone.reshape(people, choices), lost.reshape(people, choices)


def _against_others(labels: IntArray, votes: FloatArray, pixels: FloatArray) -> IntArray:
    """Each person's labels beside what more than half of the others say who say anything.

    That can only be one of the two labels with most votes: without the person's own vote a label
    with a majority may tie with the person's, never with a third.
    """
    every = np.arange(len(votes))
    first = votes.argmax(axis=1)
    rest = votes.copy()
    rest[every, first] = -1
    second = rest.argmax(axis=1)
    has = labels != NO_VALUE
    others = votes.sum(axis=1) - has
    lead = 2 * (votes[every, first] - (labels == first)) > others
    runs_up = 2 * (votes[every, second] - (labels == second)) > others
    majority = np.where(lead, first, np.where(runs_up, second, NO_VALUE))
    counts = has & (others > 0)
    valid = counts & (majority != NO_VALUE)
    columns: list[NDArray[np.bool_]] = [
        valid,
        counts & ~valid,
        valid & (labels == 0) & (majority == 0),
        valid & (labels > 0) & (labels == majority),
        valid & ((labels > 0) | (majority > 0)),
    ]
    return np.stack([column @ pixels for column in columns], axis=1).astype(np.int64)
