"""Pixels that everybody labelled alike, grouped: what a vote decides, it decides per group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conceptset.consensus.votes import Votes
from conceptset.geometry import IntArray

ABSTAINED = -1
_DIRECT = 1 << 22  # codes that are looked up in a table instead of sorted


@dataclass(frozen=True, slots=True)
class Ballots:
    """The different votes of an image.

    Attributes:
        choices: (ballots, annotators) int32 labels, `ABSTAINED` for no vote; all rows differ.
        of_pixel: (height, width) int64, the row that each pixel has.
    """

    choices: NDArray[np.int32]
    of_pixel: IntArray

    @property
    def counts(self) -> IntArray:
        """(ballots,) pixels of each row."""
        return np.bincount(self.of_pixel.ravel(), minlength=len(self.choices))


def cast_ballots(votes: Votes) -> Ballots:
    """Group the pixels of an image by what everybody says of them.

    O(annotators * pixels): the codes of an image are few, so a table finds those that occur.

    >>> labels = np.array([[[1, 1, 2]], [[1, 1, 0]]], dtype=np.int32)
    >>> ballots = cast_ballots(Votes(labels, np.zeros(labels.shape, dtype=bool)))
    >>> ballots.choices.tolist(), ballots.of_pixel.tolist()
    ([[1, 1], [2, 0]], [[0, 0, 1]])
    """
    annotators, height, width = votes.labels.shape
    choices = np.where(votes.abstained, ABSTAINED, votes.labels).reshape(annotators, -1)
    dense, base = _compress(choices - int(choices.min(initial=0)))
    codes, span = np.zeros(height * width, dtype=np.int64), 1
    for own in dense:
        if span * base > _DIRECT:
            codes, span = _compress(codes)
        codes, span = codes * base + own, span * base
    codes, span = _compress(codes)
    example = np.zeros(span, dtype=np.int64)
    example[codes] = np.arange(codes.size)
    return Ballots(choices[:, example].T, codes.reshape(height, width))


def _compress(values: NDArray[np.integer]) -> tuple[IntArray, int]:
    """The rank of each value among those that occur, and how many do; none is negative."""
    highest = int(values.max(initial=0))
    if highest >= _DIRECT:
        kept, ranks = np.unique(values, return_inverse=True)
        return ranks.reshape(values.shape).astype(np.int64), len(kept)
    occurs = np.zeros(highest + 1, dtype=bool)
    occurs[values] = True
    rank = np.cumsum(occurs, dtype=np.int64) - 1
    return rank[values], int(occurs.sum())
