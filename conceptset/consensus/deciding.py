"""Which method decides."""

from __future__ import annotations

import numpy as np

from conceptset.consensus.pixels import vote_on_pixels
from conceptset.consensus.votes import Decision, Votes
from conceptset.errors import UsageError

METHODS = ("majority", "plurality", "ignore-unlabelled", "segment-vote", "staple", "dawid-skene")


def decide(method: str, votes: Votes) -> Decision:
    """One label per pixel from everybody's.

    Whoever is alone decides everything, also where they abstain. The order of the annotators does
    not matter.

    Args:
        method: One of `METHODS`.
        votes: What everybody says.

    Raises:
        UsageError: There is no such method.
    """
    if method not in METHODS:
        raise UsageError(f"there is no consensus {method!r}", hint=f"One of {', '.join(METHODS)}.")
    if len(votes.labels) == 1:
        labels = votes.labels[0].copy()
        return Decision(labels, np.zeros(labels.shape, dtype=bool))
    if method in ("majority", "plurality", "ignore-unlabelled"):
        return vote_on_pixels(method, votes)
    raise UsageError(f"--consensus {method} is not available in this version")
