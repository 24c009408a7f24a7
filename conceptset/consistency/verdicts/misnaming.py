"""Verdicts on names: somebody who calls a thing otherwise, and names that everybody mixes up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.figures.estimates import Estimate
from conceptset.consistency.verdicts.claims import (
    Claim,
    Evidence,
    assess,
    difference,
    listed,
    named,
    percent,
    sum_images,
)

IntArray = NDArray[np.int64]

LEAST_MATCHES = 5  # with the two names, in at least
LEAST_IMAGES = 3
LEAST_SHARE = 0.05  # of the matches, more often than others do it
MOST_TRIED = 60  # confusions of a layer


class _Meetings(NamedTuple):
    """Every match from both sides: what `who` said where `other` said something.

    Attributes:
        image: (2 matches,) int64.
        who: Place of the annotator.
        other: Of the other.
        said: Code of the name that `who` gave.
        heard: Of the name that `other` gave.
    """

    image: IntArray
    who: IntArray
    other: IntArray
    said: IntArray
    heard: IntArray


def naming_claims(evidence: Evidence, category: int) -> list[Claim]:
    """Confusions of one layer: first those of single annotators, then those of nobody alone."""
    meetings = _meetings(evidence, category)
    claims: list[Claim] = []
    taken: set[tuple[int, int]] = set()
    told = np.zeros(len(meetings.who), dtype=bool)
    for who, said, heard in _candidates(meetings):
        claim = _of_one(evidence, category, meetings, (who, said, heard))
        if claim is not None:
            claims.append(claim)
            if claim.is_certain and claim.effect >= 1:
                taken.add((min(said, heard), max(said, heard)))
                told |= (meetings.who == who) & (meetings.said == said) & (meetings.heard == heard)
    claims += _of_many_names(evidence, category, meetings, told)
    claims += [
        _of_all(evidence, category, meetings, names)
        for names in _common(meetings)
        if names not in taken
    ]
    return claims


def _meetings(evidence: Evidence, category: int) -> _Meetings:
    rows = evidence.counts.matches
    first, persons = evidence.roster.first, evidence.roster.persons
    a, b = rows["a"], rows["b"]
    kept = (rows["category"] == category) & np.isin(a, first) & np.isin(b, first)
    rows = rows[kept & (np.isin(a, persons) | np.isin(b, persons))]
    sides = []
    for who, other in (("a", "b"), ("b", "a")):
        side = rows[np.isin(rows[other], persons)]  # nobody is measured by a model
        fields = ("image", who, other, f"name_{who}", f"name_{other}")
        sides.append(np.stack([side[field].astype(np.int64) for field in fields]))
    columns = np.concatenate(sides, axis=1)
    return _Meetings(*columns[:, np.argsort(columns[0], kind="stable")])


def _candidates(meetings: _Meetings) -> list[tuple[int, int, int]]:
    """(annotator, name, name of the others) that occur often enough, the most frequent first."""
    return [
        (keys[0], keys[1], keys[2])
        for keys in _frequent(meetings, (meetings.who, meetings.said, meetings.heard))
    ]


def _common(meetings: _Meetings) -> list[tuple[int, int]]:
    low = np.minimum(meetings.said, meetings.heard)
    high = np.maximum(meetings.said, meetings.heard)
    return [(keys[0], keys[1]) for keys in _frequent(meetings, (low, high))]


def _frequent(meetings: _Meetings, columns: Sequence[IntArray]) -> list[list[int]]:
    differ = meetings.said != meetings.heard
    table = np.stack([column[differ] for column in columns], axis=1)
    keys, inverse, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    both = np.stack([inverse.reshape(-1), meetings.image[differ]], axis=1)
    images = np.bincount(np.unique(both, axis=0)[:, 0], minlength=len(keys))
    order = np.argsort(-counts, kind="stable")
    often = order[(counts[order] >= LEAST_MATCHES) & (images[order] >= LEAST_IMAGES)]
    return [keys[place].tolist() for place in often[:MOST_TRIED]]


def _share(
    evidence: Evidence, meetings: _Meetings, hit: NDArray[np.bool_], among: NDArray[np.bool_]
) -> Estimate:
    """How many of the meetings are of a sort, in every resample."""
    images = meetings.image[among]
    return evidence.ratio(images, hit[among].astype(np.float64), np.ones(len(images)))


def _of_one(
    evidence: Evidence, category: int, meetings: _Meetings, found: tuple[int, int, int]
) -> Claim | None:
    """Somebody says one name where the others say another, more often than these do so.

    Of two persons nobody can say who is right: their confusion is told once, and blames nobody.
    """
    who, said, heard = found
    persons = evidence.roster.persons
    are_two = len(persons) == 2 and who in persons
    if are_two and who == max(persons):
        return None
    mine, is_heard = meetings.who == who, meetings.heard == heard
    hit = (meetings.said == said) & is_heard
    share = _share(evidence, meetings, hit, mine & is_heard)
    # meetings of the others with this annotator are the same ones seen from the other side
    rest = np.isin(meetings.who, persons) & ~mine & (meetings.other != who) & is_heard
    shown = apart = assess(share)
    if rest.any():
        apart = assess(difference(share, _share(evidence, meetings, hit, rest)))
    images = meetings.image[mine & hit]
    others = _by_frequency(evidence, meetings.other[mine & hit])
    concepts = evidence.material.concepts
    text = (
        f"{named(evidence.name(who))} calls {named(concepts[said - 1])} what {listed(others)} "
        f"call{'s' if len(others) == 1 else ''} {named(concepts[heard - 1])} "
        f"({percent(shown.value)} of {int((mine & is_heard).sum())} matched segments)"
    )
    about = "" if are_two else evidence.name(who)
    scores = sum_images(images, np.ones(len(images)))
    verdict = evidence.verdict(category, "naming", about, text, shown, scores)
    is_certain = apart.low is not None and apart.low > 0
    weight = math.sqrt(min(1.0, float((mine & hit).sum() / mine.sum()) / LEAST_SHARE))
    return Claim(verdict, apart.value / LEAST_SHARE, is_certain, apart.p, weight)


def _of_many_names(
    evidence: Evidence, category: int, meetings: _Meetings, told: NDArray[np.bool_]
) -> list[Claim]:
    """Somebody who names much otherwise than the others, in more ways than one can list."""
    claims: list[Claim] = []
    concepts = evidence.material.concepts
    differ = meetings.said != meetings.heard
    for who in evidence.roster.first:
        others = evidence.others(who)
        mine = meetings.who == who
        if len(others) < 2 or 2 * (mine & told).sum() > (mine & differ).sum():
            continue
        own = evidence.held(category, who, "name_agreement")
        rest = evidence.mean_of(category, others, "name_agreement")
        apart = assess(difference(rest, own))
        if math.isnan(apart.value) or not (mine & differ).any():
            continue
        names = np.stack([meetings.said[mine & differ], meetings.heard[mine & differ]], axis=1)
        pairs, counts = np.unique(names, axis=0, return_counts=True)
        said, heard = pairs[np.argmax(counts)].tolist()
        shown = assess(Estimate(1 - own.values, own.images, own.reason))
        text = (
            f"{named(evidence.name(who))} names {percent(shown.value)} of the matched segments "
            f"otherwise than the others, in many ways (such as {named(concepts[said - 1])} for "
            f"{named(concepts[heard - 1])})"
        )
        images = meetings.image[mine & differ]
        scores = sum_images(images, np.ones(len(images)))
        verdict = evidence.verdict(category, "naming", evidence.name(who), text, shown, scores)
        is_certain = apart.low is not None and apart.low > 0
        claims.append(Claim(verdict, apart.value / LEAST_SHARE, is_certain, apart.p))
    return claims


def _by_frequency(evidence: Evidence, others: IntArray) -> list[str]:
    places, counts = np.unique(others, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [evidence.name(int(places[place])) for place in order]


def _of_all(
    evidence: Evidence, category: int, meetings: _Meetings, names: tuple[int, int]
) -> Claim:
    """Two names for the same things, with nobody who stands out."""
    said, heard = np.isin(meetings.said, names), np.isin(meetings.heard, names)
    hit = said & heard & (meetings.said != meetings.heard)
    share = assess(_share(evidence, meetings, hit, said | heard))
    first, second = (named(evidence.material.concepts[code - 1]) for code in names)
    text = (
        f"{first} and {second} are taken for one another in {percent(share.value)} of the matched "
        "segments that bear either name, and by nobody alone"
    )
    scores = sum_images(meetings.image[hit], np.ones(int(hit.sum())))
    verdict = evidence.verdict(category, "naming", "", text, share, scores)
    is_certain = share.low is not None and share.low > LEAST_SHARE / 2
    return Claim(verdict, share.value / LEAST_SHARE, is_certain, share.p)
