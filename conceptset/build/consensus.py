"""One label per pixel from several annotators' maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conceptset.geometry import BoolArray


def majority(votes: NDArray[np.int32], abstained: BoolArray) -> tuple[NDArray[np.int32], BoolArray]:
    """The label that more than half of the voters gave each pixel.

    "Unlabelled" is a vote like any other; who abstained at a pixel is not counted there. One
    annotator alone decides everything.

    Args:
        votes: (annotators, height, width) labels, 0 is unlabelled.
        abstained: (annotators, height, width), True where the annotator has no vote.

    Returns:
        The labels, (height, width) int32, 0 without a majority; and where there was none, bool.

    >>> votes = np.array([[[1, 1, 2]], [[1, 0, 3]], [[2, 0, 0]]], dtype=np.int32)
    >>> labels, undecided = majority(votes, np.zeros(votes.shape, dtype=bool))
    >>> labels.tolist(), undecided.tolist()
    ([[1, 0, 0]], [[False, False, True]])
    """
    if len(votes) == 1:
        return votes[0].copy(), np.zeros(votes.shape[1:], dtype=bool)
    voters = (~abstained).sum(axis=0)
    labels = np.zeros(votes.shape[1:], dtype=np.int32)
    undecided = np.ones(votes.shape[1:], dtype=bool)
    for label in np.unique(votes):
        wins = 2 * ((votes == label) & ~abstained).sum(axis=0) > voters
        labels[wins] = label
        undecided[wins] = False
    return labels, undecided


def majority_tags(given: Sequence[Sequence[int]]) -> list[int]:
    """The whole-image labels that more than half of the workers gave, sorted.

    Args:
        given: Each worker's labels; a worker without any has an empty list.

    >>> majority_tags([[3], [3, 4], []])
    [3]
    """
    labels = sorted({label for own in given for label in own})
    return [label for label in labels if 2 * sum(label in own for own in given) > len(given)]
