"""The consensus of an image without one person: who else would have decided, and what.

Votes are cast region by region: all pixels of a region say the same, so a method that looks at
single pixels decides each region once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conceptset.consensus import COMPARES_SEGMENTS, METHODS, Votes, decide
from dissect.regions import Regions
from dissect.upsample import IntArray

BoolArray = NDArray[np.bool_]
MAJORITY = "majority"
_LOCAL = (MAJORITY, "plurality", "ignore-unlabelled")  # decide each pixel by itself
_CELLS = 1 << 23  # votes that are put to `decide` at once


@dataclass(frozen=True, slots=True)
class Method:
    """How the consensus without a person is formed.

    Attributes:
        name: One of conceptset's methods.
        of_root: What the root index was formed by: a method, or an annotator's name.
        reason: Why they differ; empty if they do not.
    """

    name: str
    of_root: str
    reason: str


def choose_method(of_root: str) -> Method:
    """The method of the root index where label maps suffice for it, else the majority.

    >>> choose_method("plurality").name, choose_method("dawid-skene").name
    ('plurality', 'majority')
    """
    if of_root in METHODS and of_root not in COMPARES_SEGMENTS:
        return Method(of_root, of_root, "")
    if of_root in METHODS:
        reason = f"{of_root} compares segments, which label maps do not hold"
    else:
        reason = "the root index holds the labels of one annotator"
    return Method(MAJORITY, of_root, reason)


@dataclass(frozen=True, slots=True)
class Polled:
    """What those who have a vote say of an image, region by region.

    Attributes:
        labels: (voters, maps, regions) int32, 0 is unlabelled; `maps` are the label layers of the
            consensus: a category may have several.
        abstained: (voters, maps, regions) bool.
    """

    labels: NDArray[np.int32]
    abstained: BoolArray


def decide_together(method: str, polled: Polled, regions: Regions) -> IntArray:
    """(maps, regions) int64, what everybody together decides; 0 where nothing is decided."""
    voters, maps, count = polled.labels.shape
    if method not in _LOCAL:
        return _decide_pixels(method, polled, regions)
    if maps == 0:
        return np.zeros((0, count), dtype=np.int64)
    shape = (voters, 1, maps * count)
    votes = Votes(polled.labels.reshape(shape), polled.abstained.reshape(shape))
    return decide(method, votes).labels.reshape(maps, count).astype(np.int64)


def decide_without(method: str, polled: Polled, regions: Regions, leave: Sequence[int]) -> IntArray:
    """What the others decide when one voter is left out.

    Args:
        method: One of conceptset's.
        polled: The votes of two or more.
        regions: Where they were cast.
        leave: Voters to leave out, one at a time.

    Returns:
        (len(leave), maps, regions) int64 labels; 0 also stands where nothing is decided.
    """
    voters, maps, count = polled.labels.shape
    if maps == 0:
        return np.zeros((len(leave), 0, count), dtype=np.int64)
    if voters == 2:  # whoever is alone decides everything
        return polled.labels[[1 - one for one in leave]].astype(np.int64)
    if method in _LOCAL:
        choices = np.where(polled.abstained, -1, polled.labels).reshape(voters, -1)
        step = max(1, _CELLS // (voters * voters))
        parts = [
            _leave_each_out(method, choices[:, start : start + step])[list(leave)]
            for start in range(0, choices.shape[1], step)
        ]
        return np.concatenate(parts, axis=1).reshape(len(leave), maps, count).astype(np.int64)
    rest = [[voter for voter in range(voters) if voter != one] for one in leave]
    others = [Polled(polled.labels[one], polled.abstained[one]) for one in rest]
    return np.stack([_decide_pixels(method, one, regions) for one in others])


def _leave_each_out(method: str, choices: NDArray[np.int32]) -> NDArray[np.int32]:
    """What three or more voters decide of each place when one of them has no vote.

    That depends on what the one said there, not on who it is: so a place is decided once for
    each choice that somebody made there.

    Args:
        method: One that takes every place by itself.
        choices: (voters, places) int32 labels, -1 for no vote.

    Returns:
        (voters, places) int32, without the voter of the row.
    """
    disputed = ((choices != choices[0]) | (choices < 0)).any(axis=0)
    result = np.repeat(choices[:1], len(choices), axis=0)  # right where all have the same to say
    result[:, disputed] = _settle_disputed(method, choices[:, disputed])
    return result


def _settle_disputed(method: str, choices: NDArray[np.int32]) -> NDArray[np.int32]:
    order = np.argsort(choices, axis=0, kind="stable")
    ordered = np.take_along_axis(choices, order, axis=0)
    first = np.ones(ordered.shape, dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    voter, place = np.nonzero(first)
    left = ordered[:, place]
    left[voter, np.arange(len(place))] = -1
    votes = Votes(np.maximum(left, 0)[:, np.newaxis], (left < 0)[:, np.newaxis])
    decided = np.zeros(choices.shape, dtype=np.int32)
    decided[voter, place] = decide(method, votes).labels[0]
    ranks = np.arange(len(choices))[:, np.newaxis]
    begin = np.maximum.accumulate(np.where(first, ranks, 0), axis=0)  # of the run of equal choices
    result = np.empty_like(decided)
    np.put_along_axis(result, order, np.take_along_axis(decided, begin, axis=0), axis=0)
    return result


def _decide_pixels(method: str, polled: Polled, regions: Regions) -> IntArray:
    """(maps, regions) int64, by a method that looks at all pixels; equal votes, equal labels."""
    _, maps, count = polled.labels.shape
    example = np.zeros(count, dtype=np.int64)  # a pixel of each region
    example[regions.region] = np.arange(regions.region.size).reshape(regions.region.shape)
    result = np.zeros((maps, count), dtype=np.int64)
    for number in range(maps):
        votes = Votes(
            polled.labels[:, number][:, regions.region],
            polled.abstained[:, number][:, regions.region],
        )
        result[number] = decide(method, votes).labels.reshape(-1)[example]
    return result
