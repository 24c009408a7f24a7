"""Votes on single pixels: majority, plurality, and a majority of those who labelled the pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conceptset.consensus.ballots import ABSTAINED, cast_ballots, count_equal
from conceptset.consensus.votes import Decision, Votes
from conceptset.geometry import BoolArray, IntArray


def vote_on_pixels(method: str, votes: Votes) -> Decision:
    """The label that wins each pixel; who abstains there is not counted.

    * `majority`: more than half of the voters, unlabelled being a vote;
    * `plurality`: the most votes; a tie decides nothing;
    * `ignore-unlabelled`: more than half of those who gave it a label; nobody did: unlabelled.

    Where nobody has a vote nothing is decided.

    >>> labels = np.array([[[1, 1, 2]], [[1, 0, 3]], [[2, 0, 0]], [[3, 0, 0]]], dtype=np.int32)
    >>> votes = Votes(labels, np.zeros(labels.shape, dtype=bool))
    >>> for method in ("majority", "plurality", "ignore-unlabelled"):
    ...     decision = vote_on_pixels(method, votes)
    ...     print(decision.labels.tolist(), decision.undecided.tolist())
    [[0, 0, 0]] [[True, False, True]]
    [[1, 0, 0]] [[False, False, False]]
    [[0, 1, 0]] [[True, False, True]]
    """
    ballots = cast_ballots(votes)
    choices = ballots.choices
    if method == "ignore-unlabelled":
        named = np.where(choices == 0, ABSTAINED, choices)
        label, wins = majority_of(named)
        # no label from anybody: those who voted said so
        wins |= (named == ABSTAINED).all(axis=1) & (choices == 0).any(axis=1)
    elif method == "plurality":
        label, most, tied, _ = _leaders(choices)
        wins = (most > 0) & ~tied
    else:
        label, wins = majority_of(choices)
    decided = np.where(wins, label, 0).astype(np.int32)
    return Decision(decided[ballots.of_pixel], ~wins[ballots.of_pixel])


def majority_of(choices: NDArray[np.int32]) -> tuple[NDArray[np.int32], BoolArray]:
    """The leading label of each row, 0 for none, and whether it has more than half of the votes.

    Args:
        choices: (rows, annotators) labels, `ABSTAINED` for no vote.
    """
    label, most, _, voters = _leaders(choices)
    return label, 2 * most > voters


def _leaders(
    choices: NDArray[np.int32],
) -> tuple[NDArray[np.int32], IntArray, BoolArray, IntArray]:
    """Which label has most votes: it (0 without votes), its votes, whether tied, all votes."""
    ordered, counts = count_equal(choices)
    counts[ordered == ABSTAINED] = 0
    best = counts.argmax(axis=1)[:, np.newaxis]
    most = np.take_along_axis(counts, best, axis=1)
    label = np.take_along_axis(ordered, best, axis=1)[:, 0]
    tied: BoolArray = (counts == most).sum(axis=1) > 1
    voters: IntArray = (choices != ABSTAINED).sum(axis=1)
    votes = most[:, 0].astype(np.int64)
    return np.where(votes > 0, label, 0).astype(np.int32), votes, tied, voters


def majority_tags(given: Sequence[Sequence[int]]) -> list[int]:
    """The whole-image labels that more than half of the workers gave, sorted.

    Args:
        given: Each worker's labels; a worker without any has an empty list.

    >>> majority_tags([[3], [3, 4], []])
    [3]
    """
    labels = sorted({label for own in given for label in own})
    return [label for label in labels if 2 * sum(label in own for own in given) > len(given)]
