"""Votes on segments: what is a thing, where it is and what it is called, one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conceptset.consensus.ballots import ABSTAINED
from conceptset.consensus.clusters import cluster_segments, labels_of
from conceptset.consensus.pixels import majority_of
from conceptset.consensus.votes import Decision, Votes


def vote_on_segments(votes: Votes) -> Decision:
    """The labels of the things that more than half of the annotators drew.

    >>> labels = np.array([[[5, 5, 5, 0]], [[5, 5, 0, 0]], [[6, 6, 6, 6]]], dtype=np.int32)
    >>> vote_on_segments(Votes(labels, np.zeros(labels.shape, dtype=bool))).labels.tolist()
    [[5, 5, 5, 0]]
    """
    clusters = cluster_segments(votes)
    return labels_of(clusters, name_by_majority(clusters.names))


def name_by_majority(names: NDArray[np.int32]) -> NDArray[np.int32]:
    """The label that more than half of those who drew each thing gave it; 0 without one.

    Args:
        names: (things, annotators) int32 labels; 0: did not draw it.
    """
    label, wins = majority_of(np.where(names == 0, np.int32(ABSTAINED), names))
    return np.where(wins, label, 0).astype(np.int32)
