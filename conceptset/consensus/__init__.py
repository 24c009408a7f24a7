"""One label per pixel from several people's maps, by the method that is asked for."""

from __future__ import annotations

from conceptset.consensus.clusters import Clusters, cluster_segments, join_segments
from conceptset.consensus.dawid_skene import IDENTIFIABLE, Skills, learn_skills
from conceptset.consensus.deciding import COMPARES_SEGMENTS, METHODS, decide
from conceptset.consensus.pixels import majority_tags
from conceptset.consensus.votes import Decision, Unnamed, Votes

__all__ = [
    "COMPARES_SEGMENTS",
    "IDENTIFIABLE",
    "METHODS",
    "Clusters",
    "Decision",
    "Skills",
    "Unnamed",
    "Votes",
    "cluster_segments",
    "decide",
    "join_segments",
    "learn_skills",
    "majority_tags",
]
