"""Verdicts on one person's sessions, and on two names that may be one person."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counts import Table
from conceptset.consistency.document import PairEntry
from conceptset.consistency.figures.ratios import split_shares
from conceptset.consistency.verdicts.claims import (
    Assessed,
    Claim,
    Evidence,
    assess,
    difference,
    named,
    percent,
    sum_images,
)

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

MORE_WITH_ONESELF = 0.05  # of agreement is what everybody should have
LEAST_DRIFT = 0.05  # of the area
ALIKE = 0.98  # agreement that two people do not reach by hand
EQUAL_MASKS = 0.8  # of the matches, to the pixel
LEAST_MATCHES = 10


def session_claims(evidence: Evidence, category: int) -> list[Claim]:
    """People who repeat themselves no better than others do, or whose outlines have moved."""
    claims: list[Claim] = []
    for first, again in _sessions(evidence):
        entry = evidence.pair_entry(category, first, again)
        if entry is None or entry.n_images == 0:
            continue
        claims += _no_better(evidence, category, (first, again))
        claims += _drift(evidence, category, (first, again), entry)
    return claims


def _sessions(evidence: Evidence) -> Iterator[tuple[int, int]]:
    """The first session of each person with each later one."""
    for place, one in enumerate(evidence.material.annotators):
        for first in evidence.roster.first:
            other = evidence.material.annotators[first]
            if place != first and (one.name, one.kind) == (other.name, other.kind):
                yield first, place


def _agreement(rows: Table) -> tuple[IntArray, FloatArray]:
    """(images, agreement `any`) where it is defined."""
    share = split_shares(rows, "any")["agreement"]
    defined = np.isfinite(share)
    return rows["image"][defined].astype(np.int64), share[defined]


def _no_better(evidence: Evidence, category: int, pair: tuple[int, int]) -> list[Claim]:
    """A repeat that agrees with the first session no better than other people do.

    Image by image, on images of both sessions and of others; the claim is that the gain over
    others is below five points for sure.
    """
    first, _ = pair
    images, own = _agreement(evidence.pair(category, *pair).compared)
    size = evidence.resamples.images
    total, count = np.zeros(size), np.zeros(size)
    for other in evidence.others(first):
        places, shares = _agreement(evidence.pair(category, first, other).compared)
        total[places] += shares
        count[places] += 1
    kept = count[images] > 0
    images, own = images[kept], own[kept]
    if not len(images):
        return []
    order = np.argsort(images, kind="stable")
    images, own = images[order], own[order]
    ones = np.ones(len(images))
    rest = total[images] / count[images]
    self_agreement = evidence.ratio(images, own, ones)
    with_others = evidence.ratio(images, rest, ones)
    gain = difference(self_agreement, with_others)
    short = assess(gain, null=MORE_WITH_ONESELF)
    name = evidence.name(first)
    text = (
        f"{named(name)} agrees with the own repeat ({percent(self_agreement.values[0])}) hardly "
        f"better than with the others ({percent(with_others.values[0])}) on the same images"
    )
    shown = assess(self_agreement)
    scores = sum_images(images, 1 - own)
    verdict = evidence.verdict(category, "sessions", name, text, shown, scores)
    is_certain = short.high is not None and short.high < MORE_WITH_ONESELF
    return [Claim(verdict, 1 + max(0.0, -short.value) / MORE_WITH_ONESELF, is_certain, short.p)]


def _drift(
    evidence: Evidence, category: int, pair: tuple[int, int], entry: PairEntry
) -> list[Claim]:
    """Outlines that grew or shrank from the first session to the later one."""
    figure = entry.figures["outline_bias"]
    if figure.value is None or figure.low is None or figure.high is None:
        return []
    turn = -1 if pair[0] < pair[1] else 1  # the entry is of the lower place against the higher
    low, high = sorted(float(np.expm1(turn * end)) for end in (figure.low, figure.high))
    value = float(np.expm1(turn * figure.value))
    first, again = (named(evidence.name(place)) for place in pair)
    text = (
        f"{again} draws {percent(abs(value))} {'larger' if value > 0 else 'smaller'} than {first}: "
        "the same person, later"
    )
    matches = evidence.pair(category, *pair).matches
    gained = np.abs(matches["area_a"] - matches["area_b"])
    shown = Assessed(value, low, high, _p_of(value, low, high))
    verdict = evidence.verdict(
        category,
        "sessions",
        evidence.name(pair[0]),
        text,
        shown,
        sum_images(matches["image"], gained),
    )
    return [Claim(verdict, abs(value) / LEAST_DRIFT, shown.excludes(0), shown.p)]


def _p_of(value: float, low: float, high: float) -> float:
    """About how probable a value is by chance, from its 95 % interval alone."""
    spread = max(high - low, 1e-12) / (2 * 1.96)
    return float(np.exp(-0.5 * (value / spread) ** 2))  # an upper bound of the normal tail


def identity_claims(evidence: Evidence, category: int) -> list[Claim]:
    """Two persons whose drawings are the same, to the pixel and to the name."""
    claims: list[Claim] = []
    name = evidence.material.categories[category]
    for a, b in itertools.combinations(evidence.roster.persons, 2):
        entry = evidence.pairs.get((name, evidence.name(a), evidence.name(b)))
        agreement = None if entry is None else entry.pixels.any.mean.agreement
        if agreement is None or agreement.value is None or agreement.value < ALIKE:
            continue
        matches = evidence.pair(category, a, b).matches
        if len(matches) < LEAST_MATCHES:
            continue
        is_equal = (matches["shared"] == matches["area_a"]) & (
            matches["shared"] == matches["area_b"]
        )
        images = matches["image"].astype(np.int64)
        order = np.argsort(images, kind="stable")
        equal = evidence.ratio(
            images[order], is_equal[order].astype(np.float64), np.ones(len(images))
        )
        claims.append(_same(evidence, category, (a, b), assess(equal, null=EQUAL_MASKS / 2)))
    return claims


def _same(evidence: Evidence, category: int, pair: tuple[int, int], equal: Assessed) -> Claim:
    first, second = (named(evidence.name(place)) for place in pair)
    text = (
        f"{first} and {second} may be the same person, or one started from the other's drawings: "
        f"{percent(equal.value)} of their matched segments are equal to the pixel "
        f"(--alias {second}={first})"
    )
    matches = evidence.pair(category, *pair).matches
    scores = sum_images(matches["image"], np.ones(len(matches)))
    verdict = evidence.verdict(category, "identity", "", text, equal, scores)
    is_certain = equal.low is not None and equal.low >= EQUAL_MASKS
    return Claim(verdict, 5.0, is_certain, equal.p)
