"""Verdicts on what somebody leaves out, or draws alone."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.verdicts.claims import (
    Claim,
    Evidence,
    assess,
    beside_most,
    difference,
    named,
    percent,
    sum_images,
)

LEAST_MORE = 0.05  # of the segments, more than among the others
LEAST_ALONE = 0.1  # drawn alone: more, since whoever leaves out nothing draws some things alone
_MOSTLY = 2  # concepts are named
_HALF = 0.5  # of what is left out must be theirs
_ALL = 0.99

IntArray = NDArray[np.int64]


def omission_claims(evidence: Evidence, category: int, annotator: int) -> list[Claim]:
    """Somebody who leaves out more of the others' segments than these do, or draws more alone.

    What holds must hold beside most of the others: where one draws everything twice as finely,
    each of the others seems to leave things out, but only beside that one.
    """
    claims = _claim(evidence, category, annotator, "not_found")
    if len(evidence.others(annotator)) > 1:
        claims += _claim(evidence, category, annotator, "extra")
    return claims


def _claim(evidence: Evidence, category: int, annotator: int, figure: str) -> list[Claim]:
    others = evidence.others(annotator)
    own = evidence.held(category, annotator, figure)
    if evidence.is_person(annotator) or len(others) > 1:
        rest = evidence.mean_of(category, others, figure)
    else:  # one person and a model
        rest = evidence.held(category, annotator, "extra" if figure == "not_found" else "not_found")
    more = assess(own if math.isnan(rest.values[0]) else difference(own, rest))
    if math.isnan(more.value):
        return []
    effect = 0.0
    if more.low is not None and more.low > 0:
        effect = _beside_most(evidence, category, annotator, figure)
    scores, mostly = _what(evidence, category, annotator, figure) if effect else ({}, "")
    if own.values[0] > _ALL:
        mostly = ""
    text = _say(evidence, annotator, figure, mostly, (own.values[0], own.values[0] - more.value))
    name = evidence.name(annotator)
    verdict = evidence.verdict(category, "quantity", name, text, assess(own), scores)
    least = LEAST_MORE if figure == "not_found" else LEAST_ALONE
    return [Claim(verdict, effect / least, effect > 0, more.p)]


def _say(
    evidence: Evidence, annotator: int, figure: str, mostly: str, shares: tuple[float, float]
) -> str:
    name = named(evidence.name(annotator))
    others = evidence.others(annotator)
    own = percent(shares[0])
    rest = "nothing" if shares[1] <= 0 else percent(shares[1])
    if figure == "extra":
        return (
            f"{name} draws what the others leave out: {own} of the segments{mostly}; "
            f"of the others' segments it is {rest.replace('nothing', 'none')}"
        )
    if len(others) == 1:
        other = named(evidence.name(others[0]))
        return (
            f"{name} leaves out {own} of what {other} draws{mostly}; "
            f"{other} leaves out {rest} of what {name} draws"
        )
    return f"{name} leaves out {own} of what the others draw{mostly}; these leave out {rest}"


def _beside_most(evidence: Evidence, category: int, annotator: int, figure: str) -> float:
    """How much more is left out (or drawn alone) than most others do, one by one; 0 if unsure."""
    sure: list[float] = []
    for other in evidence.others(annotator):
        rows = evidence.pair(category, annotator, other).compared
        images = rows["image"].astype(np.int64)
        if not len(images):
            sure.append(0.0)
            continue
        mine, theirs = ("a", "b") if annotator < other else ("b", "a")
        rates = {
            whose: evidence.ratio(
                images,
                rows[f"not_found_{whose}"][:, 0].astype(np.float64),
                rows[f"segments_{whose}"].astype(np.float64),
            )
            for whose in (mine, theirs)
        }
        more, less = (theirs, mine) if figure == "not_found" else (mine, theirs)
        own, rest = rates[more], rates[less]  # the latter is undefined if nothing was drawn
        found = assess(own if math.isnan(rest.values[0]) else difference(own, rest))
        sure.append(found.value if found.low is not None and found.low > 0 else 0.0)
    return beside_most(sure)


def _what(
    evidence: Evidence, category: int, annotator: int, figure: str
) -> tuple[dict[int, float], str]:
    """(segments left out by image, words for the concepts that most of them are)."""
    images, counts = [], []
    concepts: Counter[int] = Counter()
    for other in evidence.others(annotator):
        pair = evidence.pair(category, annotator, other)
        whose = "b" if (annotator < other) == (figure == "not_found") else "a"
        images.append(pair.compared["image"])
        counts.append(pair.compared[f"not_found_{whose}"][:, 0])
        # segments without a match, where somebody was found to have left out such a thing
        cells = pair.cells[(pair.cells["quantity"] > 0) & (pair.cells[f"name_{whose}"] > 0)]
        disputed = _keys(cells["image"], cells[f"name_{whose}"])
        for rows, name, number in (
            (pair.named, "concept", pair.named[f"segments_{whose}"].astype(np.int64)),
            (pair.matches, f"name_{whose}", np.full(len(pair.matches), -1)),
        ):
            kept = np.isin(_keys(rows["image"], rows[name]), disputed)
            for code, count in zip(rows[name][kept].tolist(), number[kept].tolist(), strict=True):
                concepts[code] += count
    scores = sum_images(np.concatenate(images), np.concatenate(counts))
    return scores, _mostly(evidence, concepts)


def _keys(images: IntArray, names: IntArray) -> IntArray:
    keys: IntArray = images.astype(np.int64) * 2**32 + names
    return keys


def _mostly(evidence: Evidence, concepts: Counter[int]) -> str:
    total = sum(count for count in concepts.values() if count > 0)
    ranked = sorted(concepts.items(), key=lambda item: (-item[1], item[0]))
    for number in range(1, _MOSTLY + 1):
        first = ranked[:number]
        if len(first) == number < len(ranked) and sum(c for _, c in first) > _HALF * total > 0:
            names = [named(evidence.material.concepts[code - 1]) for code, _ in first]
            return f", mostly {' and '.join(names)}"
    if len(ranked) == 1 and len(evidence.material.concepts) > 1:
        return f", all of it {named(evidence.material.concepts[ranked[0][0] - 1])}"
    return ""
