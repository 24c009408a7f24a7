"""Clusters of people: found where planted, not found in noise; and the order of annotators."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptset.consistency.counting.image import CountSettings, count_image
from conceptset.consistency.counts import concatenate
from conceptset.consistency.figures.clusters import PairAgreements
from conceptset.consistency.figures.estimates import Estimate
from conceptset.consistency.intervals import draw_resamples
from conceptset.consistency.material import AnnotatedImage, Annotator, Segment
from conceptset.geometry import encode_counts, mask_to_counts

RESAMPLES = 300


def clusters_of(truth, *, images=60, seed=0, spread=0.1, share=1.0, order=None):
    """Clusters of people whose agreement scatters around the truth from image to image."""
    n = len(truth)
    chance = np.random.default_rng(seed)
    weights = np.vstack([np.ones(images), draw_resamples(images, resamples=RESAMPLES)])
    own = chance.normal(0, spread, (n, images))
    pairs = {}
    for a, b in itertools.combinations(range(n), 2):
        values = truth[a][b] + own[a] + own[b] + chance.normal(0, spread, images)
        pairs[a, b] = values, chance.random(images) < share
    places = list(range(n)) if order is None else order
    agreements = PairAgreements(range(n), 1 + RESAMPLES)
    for (a, b), (values, kept) in pairs.items():
        drawn = weights[:, kept]
        with np.errstate(invalid="ignore"):
            mean = drawn @ values[kept] / drawn.sum(axis=1)
        estimate = Estimate(mean, np.flatnonzero(kept), "")
        agreements.add(*sorted((places[a], places[b])), estimate)
    names = [""] * n
    for place, name in zip(places, (f"p{number}" for number in range(n)), strict=True):
        names[place] = name
    return agreements.clusters("object", names)


def schools(*groups, inside=0.9, across=0.7):
    """Agreement within groups and between them."""
    n = sum(map(len, groups))
    of = {member: number for number, group in enumerate(groups) for member in group}
    return [[inside if of[a] == of[b] else across for b in range(n)] for a in range(n)]


def test_two_schools():
    one, other = clusters_of(schools([0, 1, 2], [3, 4]))
    assert {tuple(one.annotators), tuple(other.annotators)} == {("p0", "p1", "p2"), ("p3", "p4")}
    for cluster in (one, other):
        assert cluster.category == "object"
        assert cluster.within == pytest.approx(0.9, abs=0.05)
        assert cluster.between == pytest.approx(0.7, abs=0.05)
    assert one.within - one.between >= other.within - other.between


def test_one_who_stands_apart():
    (cluster,) = clusters_of(schools([0, 1, 3], [2]))
    assert cluster.annotators == ["p0", "p1", "p3"]


@pytest.mark.parametrize(("n", "images"), [(3, 12), (5, 40), (10, 40)])
def test_noise_is_no_cluster(n, images):
    """About one in twenty, whatever the number of people (the search is paid for)."""
    flat = schools(list(range(n)))
    found = sum(bool(clusters_of(flat, images=images, seed=seed)) for seed in range(60))
    assert found <= 8


def test_images_that_only_some_worked_on():
    two = clusters_of(schools([0, 1, 2], [3, 4, 5]), images=120, share=0.5)
    assert {tuple(c.annotators) for c in two} == {("p0", "p1", "p2"), ("p3", "p4", "p5")}


@given(st.permutations(range(5)), st.integers(0, 5))
@settings(max_examples=10)
def test_order_of_people_does_not_matter(order, seed):
    truth = schools([0, 1, 2], [3, 4], inside=0.85)
    plain = clusters_of(truth, seed=seed)
    other = clusters_of(truth, seed=seed, order=list(order))
    assert {frozenset(c.annotators) for c in plain} == {frozenset(c.annotators) for c in other}
    assert {round(c.within, 9) for c in plain} == {round(c.within, 9) for c in other}


@pytest.mark.parametrize(
    "case", [{"truth": schools([0, 1])}, {"truth": schools([0, 1], [2]), "images": 9}]
)
def test_too_few_say_nothing(case):
    assert clusters_of(**case) == []


def test_pairs_that_share_too_little_are_left_out():
    """Nothing is known between the two halves: nobody agrees with them less."""
    agreements = PairAgreements(range(4), 3)
    for a, b in itertools.combinations(range(4), 2):
        images = np.arange(30 if (a < 2) == (b < 2) else 4)
        agreements.add(a, b, Estimate(np.array([0.9, 0.91, 0.89]), images, ""))
    agreements.add(0, 7, Estimate(np.array([0.9, 0.9, 0.9]), np.arange(30), ""))  # a model
    assert agreements.clusters("object", list("abcd")) == []


# the order of annotators, against a plain mean of agreements


def drawn(labels):
    """Segments of one annotator: the cells of a grid that are labelled."""
    segments = []
    for place, concept in enumerate(labels.tolist()):
        if concept:
            row, column = 2 * (place // 4), 2 * (place % 4)
            mask = np.zeros((8, 8), dtype=bool)
            mask[row : row + 2, column : column + 2] = True
            counts = encode_counts(mask_to_counts(mask))
            segments.append(Segment(len(segments), "region", concept, 0, str(concept), counts))
    return tuple(segments)


def mistaken(truth, chance, rate):
    """Labels, some of them drawn anew."""
    wrong = chance.random(len(truth)) < rate
    return np.where(wrong, chance.integers(0, 4, len(truth)), truth)


def counts_of(seed, errors, *, alike=(), images=4):
    """Counts of people with some rate of errors; those `alike` make the same ones."""
    chance = np.random.default_rng(seed)
    people = tuple(Annotator(f"p{number}") for number in range(len(errors)))
    settings = CountSettings(people, ("object",), boundary=False)
    parts = []
    for place in range(images):
        truth = chance.integers(0, 4, 16)
        labels = [mistaken(truth, chance, rate) for rate in errors]
        for who in alike:
            labels[who] = labels[alike[0]]
        everybody = {who: drawn(own) for who, own in enumerate(labels)}
        parts.append(count_image(AnnotatedImage(place, f"{place}", (8, 8), everybody), settings))
    return concatenate(parts)


def worst_by_others(counts, n):
    """The lowest mean share of pixels on which somebody and the majority of the others agree."""
    rows = counts.others
    return min(range(n), key=lambda who: _mean(rows[rows["annotator"] == who], "any"))


def worst_by_agreement(counts, n):
    """The lowest mean over pairs of the mean agreement."""
    rows = counts.compared

    def of_pair(a, b):
        own = rows[(rows["a"] == min(a, b)) & (rows["b"] == max(a, b))]
        return np.mean(own["same"] / (own["valid"] - own["unlabelled"]))

    return min(range(n), key=lambda who: np.mean([of_pair(who, b) for b in range(n) if b != who]))


def _mean(rows, below):
    return np.mean(rows["same"] / rows[below])


def hits_of(trials, errors, *, bad, alike=()):
    """How often each order puts one of the `bad` last."""
    counts = [counts_of(seed, errors, alike=alike) for seed in range(trials)]
    return [
        sum(order(one, len(errors)) in bad for one in counts)
        for order in (worst_by_others, worst_by_agreement)
    ]


@pytest.mark.parametrize("errors", [[0.1, 0.1, 0.1, 0.1, 0.25], [0.05, 0.05, 0.3, 0.3, 0.45]])
def test_order_of_people_who_err_independently(errors):
    """Against the majority of the others or against each of them: equally good, up to chance."""
    others, plain = hits_of(12, errors, bad=[4])
    assert others >= plain - 2
    assert others >= 7


def test_order_where_two_share_their_errors():
    """They agree with one another, which hides them from a mean over pairs."""
    others, plain = hits_of(12, [0.05, 0.05, 0.05, 0.3, 0.4, 0.4], bad=[4, 5], alike=(4, 5))
    assert others >= 8
    assert others > plain
