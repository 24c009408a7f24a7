"""What can be said in words about annotators, and to whom; only where chance is excluded."""

from __future__ import annotations

import math

import numpy as np

from conceptset.consistency.counts import Counts
from conceptset.consistency.document import Verdict
from conceptset.consistency.figures.estimates import Estimate
from conceptset.consistency.figures.ratios import split_shares
from conceptset.consistency.figures.report import Entries
from conceptset.consistency.material import Material
from conceptset.consistency.verdicts.claims import (
    Claim,
    Evidence,
    assess,
    beside_most,
    difference,
    named,
    percent,
    screen,
    sum_images,
)
from conceptset.consistency.verdicts.misnaming import naming_claims
from conceptset.consistency.verdicts.omissions import omission_claims
from conceptset.consistency.verdicts.repeats import identity_claims, session_claims

LEAST_BIAS = 0.05  # of the area
LEAST_APART = 0.05  # of the agreement among the others
_SUMMARY = 0.5  # agreement sums up what more concrete verdicts say
_OVER = {"quality": "over outlines", "naming": "over names", "quantity": "over what is left out"}


def judge(entries: Entries, counts: Counts, material: Material) -> list[Verdict]:
    """All verdicts, strongest first.

    Args:
        entries: All figures, with their resamples.
        counts: Of all images.
        material: Its lists; its stream is not read.
    """
    evidence = Evidence.of(entries, counts, material)
    claims: list[Claim] = []
    for category in range(len(material.categories)):
        same = identity_claims(evidence, category)
        claims += [*same, *naming_claims(evidence, category), *session_claims(evidence, category)]
        for annotator in evidence.roster.first:
            if evidence.others(annotator):
                claims += _bias_claims(evidence, category, annotator)
                claims += omission_claims(evidence, category, annotator)
                if not any(claim.is_certain for claim in same):  # a copy agrees with its original
                    claims += _outlier_claims(evidence, category, annotator)
    return [claim.verdict for claim in screen(claims)]


def _bias_claims(evidence: Evidence, category: int, annotator: int) -> list[Claim]:
    """Outlines that are larger or smaller than those of most others.

    Of two persons, who is off cannot be told: the one who draws larger is the subject of the
    sentence, but nobody is blamed.
    """
    logs = evidence.held(category, annotator, "outline_bias")
    found = assess(Estimate(np.expm1(logs.values), logs.images, logs.reason))
    others = evidence.others(annotator)
    are_two = len(others) == 1 and evidence.is_person(annotator)
    if math.isnan(found.value) or (are_two and found.value < 0):
        return []
    sign = 1 if found.value > 0 else -1
    beside = [sign * _pair_bias(evidence, category, annotator, other) for other in others]
    effect = beside_most(beside)
    is_certain = found.excludes(0) and effect > 0
    whom = named(evidence.name(others[0])) if len(others) == 1 else "the others"
    text = (
        f"{named(evidence.name(annotator))} draws {percent(abs(found.value))} "
        f"{'larger' if sign > 0 else 'smaller'} than {whom}"
    )
    verdict = evidence.verdict(
        category,
        "quality",
        "" if are_two else evidence.name(annotator),
        text,
        found,
        _area_gained(evidence, category, annotator, sign) if is_certain else {},
    )
    return [Claim(verdict, effect / LEAST_BIAS, is_certain, found.p)]


def _pair_bias(evidence: Evidence, category: int, annotator: int, other: int) -> float:
    """How much larger the annotator draws than one other; 0 where that is not sure."""
    entry = evidence.pair_entry(category, min(annotator, other), max(annotator, other))
    figure = None if entry is None else entry.figures["outline_bias"]
    if figure is None or figure.value is None or figure.low is None or figure.high is None:
        return 0.0
    if figure.low <= 0 <= figure.high:
        return 0.0
    return math.expm1(figure.value if annotator < other else -figure.value)


def _area_gained(evidence: Evidence, category: int, annotator: int, sign: int) -> dict[int, float]:
    """By image, how many pixels more (or fewer) the annotator's matched segments have."""
    images, gained = [], []
    for other in evidence.others(annotator):
        matches = evidence.pair(category, annotator, other).matches
        turn = sign if annotator < other else -sign
        images.append(matches["image"])
        gained.append(turn * (matches["area_a"] - matches["area_b"]))
    return sum_images(np.concatenate(images), np.concatenate(gained))


def _outlier_claims(evidence: Evidence, category: int, annotator: int) -> list[Claim]:
    """Somebody who agrees less with the others than these do among themselves.

    A person's own pairs are part of the others' means. With n persons, and every pair present, the
    mean over the pairs without the person is (sum of the others' means - own) / (n - 2).
    """
    others = evidence.others(annotator)
    n = len(others) + 1
    if len(others) < 2:
        return []
    own = evidence.held(category, annotator, "agreement")
    means = evidence.mean_of(category, others, "agreement")
    among = means.values
    if evidence.is_person(annotator):
        among = ((n - 1) * means.values - own.values) / (n - 2)
    apart = assess(difference(own, Estimate(among, means.images, means.reason)))
    if math.isnan(apart.value):
        return []
    is_certain = apart.high is not None and apart.high < 0
    text = (
        f"{named(evidence.name(annotator))} agrees less with the others "
        f"({percent(own.values[0])}) than they do among themselves ({percent(among[0])})"
        f"{_mostly_over(evidence, category, annotator, -apart.value)}"
    )
    verdict = evidence.verdict(
        category,
        "agreement",
        evidence.name(annotator),
        text,
        assess(own),
        _disputed(evidence, category, annotator) if is_certain else {},
    )
    return [Claim(verdict, -apart.value / LEAST_APART, is_certain, apart.p, weight=_SUMMARY)]


def _mostly_over(evidence: Evidence, category: int, annotator: int, lost: float) -> str:
    """Which kind of disagreement makes up more than half of what is lost."""
    for kind, words in _OVER.items():
        own = evidence.held(category, annotator, f"split.{kind}").values[0]
        rest = evidence.mean_of(category, evidence.others(annotator), f"split.{kind}").values[0]
        n = len(evidence.others(annotator)) + 1
        factor = (n - 1) / (n - 2) if evidence.is_person(annotator) else 1.0
        if (own - rest) * factor > lost / 2 > 0:
            return f", mostly {words}"
    return ""


def _disputed(evidence: Evidence, category: int, annotator: int) -> dict[int, float]:
    """By image, the share in dispute between the annotator and the others, summed."""
    images, shares = [], []
    for other in evidence.others(annotator):
        rows = evidence.pair(category, annotator, other).compared
        share = 1 - split_shares(rows, "any")["agreement"]
        images.append(rows["image"])
        shares.append(np.nan_to_num(share))
    return sum_images(np.concatenate(images), np.concatenate(shares))
