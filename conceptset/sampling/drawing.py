"""The draw: concepts take turns, the least covered one first, images by the hash of their bytes."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Stratum = TypeVar("Stratum", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Stratum]):
    """An image that could be annotated again.

    Attributes:
        identity: What its lot is drawn from.
        gain: How many comparisons it would add.
        strata: What it is there for, at least one: the concepts somebody saw in it.
    """

    identity: str
    gain: int
    strata: frozenset[Stratum]


def lot(identity: str, seed: int) -> str:
    """The lot of an image; other images have no say in it.

    >>> lot("a", 0) == lot("a", 0), lot("a", 0) == lot("a", 1)
    (True, False)
    """
    return hashlib.sha256(f"sample:{seed}:{identity}".encode()).hexdigest()


def draw(
    candidates: Sequence[Candidate[Stratum]],
    size: int,
    *,
    seed: int,
    covered: Mapping[Stratum, int],
) -> list[int]:
    """Places of the candidates drawn, in the order of the draw.

    As long as images are wanted, the stratum with the fewest images has the next turn (ties: the
    one with the fewest candidates, then a lot of its own). It takes the candidate that gains most,
    among equals the one with the lowest lot; the image counts for all its strata. So every prefix
    of the order is about as even as it can be. The order of serving rare labels first is that of
    iterative stratification (Sechidis et al., On the stratification of multi-label data, 2011).

    Args:
        candidates: Images; their order does not matter unless identities are equal.
        size: How many are wanted; all of them if there are fewer.
        seed: Another one draws other images.
        covered: Images that a stratum has already.

    >>> few, many = frozenset(["few"]), frozenset(["many"])
    >>> images = [Candidate(f"{i}", 1, few if i == 7 else many) for i in range(9)]
    >>> draw(images, 2, seed=0, covered={})[0]
    7
    """
    members: dict[Stratum, list[int]] = {}
    lots = [lot(candidate.identity, seed) for candidate in candidates]
    for place in sorted(range(len(lots)), key=lambda i: (candidates[i].gain, _inverse(lots[i]))):
        for stratum in candidates[place].strata:  # the best candidate comes last
            members.setdefault(stratum, []).append(place)
    held = Counter(covered)
    turns = [
        (held[stratum], len(places), lot(repr(stratum), seed), stratum)
        for stratum, places in members.items()
    ]
    heapq.heapify(turns)
    chosen: dict[int, None] = {}
    while turns and len(chosen) < size:
        count, places, own, stratum = heapq.heappop(turns)
        if count < held[stratum]:  # it gained from another's turn since
            heapq.heappush(turns, (held[stratum], places, own, stratum))
            continue
        waiting = members[stratum]
        while waiting and waiting[-1] in chosen:
            waiting.pop()
        if not waiting:
            continue
        place = waiting.pop()
        chosen[place] = None
        held.update(candidates[place].strata)
        heapq.heappush(turns, (held[stratum], places, own, stratum))
    return list(chosen)


def _inverse(digest: str) -> int:
    """Sorts the other way round."""
    return -int(digest, 16)
