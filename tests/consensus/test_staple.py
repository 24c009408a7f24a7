"""STAPLE against SimpleITK, and what it does with several concepts."""

from __future__ import annotations

import numpy as np
import pytest

from conceptset.consensus import Votes, decide, staple


def outlines():
    """A disc, one drawn too small, a coarse box, and half of the disc."""
    rows, columns = np.mgrid[:24, :30]
    disc = (rows - 11) ** 2 + (columns - 14) ** 2 < 49
    small = (rows - 11) ** 2 + (columns - 13) ** 2 < 36
    box = (abs(rows - 11) < 7) & (abs(columns - 16) < 8)
    return disc, small, box, disc & (columns < 15)


def patterns_of(maps):
    stack = np.stack(maps).reshape(len(maps), -1).T.astype(int)
    return np.unique(stack, axis=0, return_counts=True)


# SimpleITK 2.5.7 (ITK's STAPLEImageFilter): sensitivities, specificities, probabilities of the
# patterns in rising order
GOLDEN = {
    "three": (
        (0, 1, 2),
        [0.9999999841, 0.751724126, 0.9517241379],
        [1.0, 1.0, 0.9008695686],
        [1e-10, 9.9e-09, 1.0, 1.0, 1.0],
    ),
    "four": (
        (0, 1, 2, 3),
        [1.0, 0.751724156, 0.9517241368, 0.5448275993],
        [0.9999999939, 1.0, 0.9008695597, 1.0],
        [0.0, 0.0, 0.999999975, 1.0, 1.0, 1.0, 1.0],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_like_simpleitk(name):
    who, sensitivity, specificity, probability = GOLDEN[name]
    patterns, counts = patterns_of([outlines()[k] for k in who])
    found = staple.estimate(patterns, counts)
    assert found.sensitivity == pytest.approx(sensitivity, abs=2e-7)
    assert found.specificity == pytest.approx(specificity, abs=2e-7)
    assert 1 / (1 + np.exp(-found.log_odds)) == pytest.approx(probability, abs=2e-7)


def test_like_simpleitk_itself():
    itk = pytest.importorskip("SimpleITK", reason="SimpleITK is an oracle (extra `oracles`)")
    random = np.random.default_rng(7)
    for people in (3, 4, 6):
        truth = np.zeros((40, 40), dtype=bool)
        truth[8:30, 10:28] = True
        rates = random.uniform(0.02, 0.25, (people, 2))
        maps = [
            np.where(truth, random.random(truth.shape) > miss, random.random(truth.shape) < wrong)
            for miss, wrong in rates
        ]
        judge = itk.STAPLEImageFilter()
        judge.SetForegroundValue(1)
        weights = itk.GetArrayFromImage(
            judge.Execute([itk.GetImageFromArray(own.astype(np.uint8)) for own in maps])
        )
        patterns, rank, counts = np.unique(
            np.stack(maps).reshape(people, -1).T.astype(int),
            axis=0,
            return_inverse=True,
            return_counts=True,
        )
        found = staple.estimate(patterns, counts)
        assert found.sensitivity == pytest.approx(judge.GetSensitivity(), abs=1e-4)
        assert found.specificity == pytest.approx(judge.GetSpecificity(), abs=1e-4)
        ours = 1 / (1 + np.exp(-found.log_odds[rank.reshape(truth.shape)]))
        assert ours == pytest.approx(weights, abs=1e-3)


def test_rates_that_were_planted_are_found():
    random = np.random.default_rng(3)
    truth = random.random(200_000) < 0.3
    sensitivity, specificity = [0.95, 0.8, 0.7, 0.9], [0.99, 0.9, 0.95, 0.85]
    maps = [
        np.where(truth, random.random(truth.size) < hit, random.random(truth.size) > reject)
        for hit, reject in zip(sensitivity, specificity, strict=True)
    ]
    found = staple.estimate(*patterns_of(maps))
    assert found.sensitivity == pytest.approx(sensitivity, abs=0.01)
    assert found.specificity == pytest.approx(specificity, abs=0.01)


def test_who_abstains_is_not_held_to_it():
    """A third who voted on half of the pixels: the rates are those of that half."""
    patterns, counts = patterns_of(outlines()[:3])
    silent = np.concatenate([patterns, np.where([False, False, True], -1, patterns)])
    found = staple.estimate(silent, np.concatenate([counts, counts]))
    whole = staple.estimate(patterns, 2 * counts)
    assert found.specificity[2] == pytest.approx(whole.specificity[2], abs=0.02)
    assert found.sensitivity[2] == pytest.approx(whole.sensitivity[2], abs=0.02)


def all_yes_or_all_no(value):
    return staple.estimate(np.full((1, 3), value), np.array([50]))


def test_questions_with_one_answer():
    assert (all_yes_or_all_no(1).log_odds > 0).all()
    assert (all_yes_or_all_no(0).log_odds < 0).all()


def votes_from(*maps):
    labels = np.stack([np.asarray(own) for own in maps]).astype(np.int32)
    return Votes(labels, np.zeros(labels.shape, dtype=bool))


def test_a_careless_annotator_weighs_less():
    """Two careful people against two that err alike nowhere: a plain majority has ties."""
    disc = outlines()[0]
    shifted = [np.roll(disc, (step, -step), axis=(0, 1)) for step in (4, -4)]
    votes = votes_from(disc, disc, *shifted)
    assert decide("majority", votes).undecided.any()
    decision = decide("staple", votes)
    assert np.array_equal(decision.labels > 0, disc)
    assert not decision.undecided.any()


def test_the_background_does_not_count():
    """The same drawing on a canvas with fifty times as many pixels gives the same labels."""
    maps = [own * 3 for own in outlines()]
    small = decide("staple", votes_from(*(np.pad(own, 5) for own in maps))).labels
    large = decide("staple", votes_from(*(np.pad(own, 105) for own in maps))).labels
    assert np.array_equal(small, large[100:-100, 100:-100])
    assert large.sum() == small.sum()


def test_three_names_for_one_thing_are_no_consensus():
    disc = outlines()[0]
    decision = decide("staple", votes_from(disc * 1, disc * 2, disc * 3))
    assert np.array_equal(decision.undecided, disc)
    assert not decision.labels.any()


def test_each_concept_by_itself():
    """Two concepts that touch: what most say of each is kept, and nothing is both."""
    left = np.zeros((20, 20), int)
    left[4:16, 2:10], left[4:16, 10:18] = 1, 2
    moved = np.roll(left, 1, axis=1)
    decision = decide("staple", votes_from(left, left, moved))
    assert np.array_equal(decision.labels, left)
    assert not decision.undecided.any()
