"""Pixels that everybody labelled alike, grouped: what a vote decides, it decides per group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptset.consensus.votes import Votes
from conceptset.geometry import IntArray

ABSTAINED = -1
_DIRECT = 1 << 18  # codes that are looked up in a table instead of sorted


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

    O(annotators * pixels): few combinations occur in an image, and a table finds them. Pixels that
    all label alike, usually most, are not combined at all.

    >>> labels = np.array([[[1, 1, 2]], [[1, 1, 0]]], dtype=np.int32)
    >>> ballots = cast_ballots(Votes(labels, np.zeros(labels.shape, dtype=bool)))
    >>> ballots.choices.tolist(), ballots.of_pixel.tolist()
    ([[1, 1], [2, 0]], [[0, 0, 1]])
    """
    annotators, height, width = votes.labels.shape
    labels = votes.labels.reshape(annotators, -1)
    silent = votes.abstained.reshape(annotators, -1)
    disputed = silent.any(axis=0) | (labels[1:] != labels[0]).any(axis=0)
    same, differ = np.flatnonzero(~disputed), np.flatnonzero(disputed)
    alike, shared = rank_values(labels[0][same])
    choices = np.where(silent[:, differ], np.int32(ABSTAINED), labels[:, differ])
    unlike, apart = group_columns(choices)
    of_pixel = np.empty(height * width, dtype=np.int64)
    of_pixel[same], of_pixel[differ] = alike, unlike + len(shared)
    example = np.empty(apart, dtype=np.int64)
    example[unlike] = np.arange(unlike.size)
    together = np.repeat(shared[:, np.newaxis], annotators, axis=1)
    rows = np.concatenate([together, choices[:, example].T])
    return Ballots(rows, of_pixel.reshape(height, width))


def group_columns(choices: NDArray[np.integer[Any]]) -> tuple[IntArray, int]:
    """The rank of each column of (annotators, pixels) among those that occur, and their number."""
    codes = np.zeros(choices.shape[1], dtype=np.int64)
    dense: NDArray[np.integer[Any]] = choices - choices.min(initial=0)
    if int(dense.max(initial=0)) >= _DIRECT:
        dense = np.unique(dense, return_inverse=True)[1].reshape(choices.shape)
    base, span = int(dense.max(initial=0)) + 1, 1
    for own in dense:
        if span * base > _DIRECT:
            codes, kept = rank_values(codes)
            span = len(kept)
        codes, span = codes * base + own, span * base
    ranks, kept = rank_values(codes)
    return ranks, len(kept)


def rank_values(
    values: NDArray[np.integer[Any]],
) -> tuple[IntArray, NDArray[np.integer[Any]]]:
    """The rank of each value among those that occur, and these, rising; none is negative."""
    highest = int(values.max(initial=0))
    if highest >= min(_DIRECT, 8 * values.size + 1024):  # a few values are sorted sooner
        kept, ranks = np.unique(values, return_inverse=True)
        return ranks.reshape(values.shape).astype(np.int64), kept
    occurs = np.bincount(values.ravel(), minlength=1) > 0
    rank = np.cumsum(occurs, dtype=np.int64) - 1
    return rank[values], np.flatnonzero(occurs).astype(values.dtype)


def count_equal(rows: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """How often each value stands in its row.

    Args:
        rows: (rows, values).

    Returns:
        The values, rising in each row; and beside each the number of its like in the row where it
        stands for the last time, 0 elsewhere. Both of the shape of `rows`, int32.

    >>> values, counts = count_equal(np.array([[7, 2, 7]], dtype=np.int32))
    >>> values.tolist(), counts.tolist()
    ([[2, 7, 7]], [[1, 0, 2]])
    """
    ordered = np.sort(rows, axis=1)
    place = np.arange(rows.shape[1], dtype=np.int32)
    changes = ordered[:, 1:] != ordered[:, :-1]
    begins = np.zeros(ordered.shape, dtype=np.int32)
    begins[:, 1:] = np.where(changes, place[1:], 0)
    counts = place - np.maximum.accumulate(begins, axis=1) + 1
    counts[:, :-1][~changes] = 0
    return ordered, counts
