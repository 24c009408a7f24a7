"""Which method decides."""

from __future__ import annotations

import numpy as np

from conceptset.consensus.clusters import cluster_segments, labels_of
from conceptset.consensus.dawid_skene import IDENTIFIABLE, Skills, learn_skills, name_by_skills
from conceptset.consensus.pixels import vote_on_pixels
from conceptset.consensus.segment_vote import vote_on_segments
from conceptset.consensus.staple import weigh_pixels
from conceptset.consensus.votes import Decision, Votes
from conceptset.errors import UsageError

METHODS = ("majority", "plurality", "ignore-unlabelled", "segment-vote", "staple", "dawid-skene")


COMPARES_SEGMENTS = ("segment-vote", "dawid-skene")  # want to know which pixels are one thing


def decide(method: str, votes: Votes, *, skills: Skills | None = None) -> Decision:
    """One label per pixel from everybody's.

    Whoever is alone decides everything, also where they abstain. The order of the annotators does
    not matter, except for segments that overlap equally much (see `cluster_segments`).

    Args:
        method: One of `METHODS`.
        votes: What everybody says.
        skills: For `dawid-skene`, what these annotators confuse, in the order of the votes. Without
            them they are learned from this image alone; of two annotators that is impossible, and
            the majority of each pixel decides.

    Raises:
        UsageError: There is no such method.
    """
    if method not in METHODS:
        raise UsageError(f"there is no consensus {method!r}", hint=f"One of {', '.join(METHODS)}.")
    annotators = len(votes.labels)
    if annotators == 1:
        labels = votes.labels[0].copy()
        return Decision(labels, np.zeros(labels.shape, dtype=bool))
    if method == "segment-vote":
        return vote_on_segments(votes)
    if method == "staple":
        return weigh_pixels(votes)
    if method != "dawid-skene":
        return vote_on_pixels(method, votes)
    if skills is None and annotators < IDENTIFIABLE:
        return vote_on_pixels("majority", votes)
    clusters = cluster_segments(votes)
    known = learn_skills(clusters.names) if skills is None else skills
    return labels_of(clusters, name_by_skills(known, clusters.names))
