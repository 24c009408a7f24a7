"""One label per pixel from several people's maps, by the method that is asked for."""

from __future__ import annotations

from conceptset.consensus.deciding import METHODS, decide
from conceptset.consensus.pixels import majority_tags
from conceptset.consensus.votes import Decision, Unnamed, Votes

__all__ = ["METHODS", "Decision", "Unnamed", "Votes", "decide", "majority_tags"]
