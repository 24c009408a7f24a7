"""Votes on pixels, against a count in plain loops; and what every method keeps."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from conceptset.consensus import COMPARES_SEGMENTS, METHODS, Votes, decide, majority_tags
from conceptset.errors import UsageError

FEW = settings(max_examples=40)  # each of several methods


def counted(method, given_labels):
    """(label, undecided) of one pixel; None abstains."""
    voters = [label for label in given_labels if label is not None]
    if method == "ignore-unlabelled":
        named = [label for label in voters if label]
        if voters and not named:
            return 0, False
        voters = named
    votes = Counter(voters).most_common()
    if method == "plurality":
        wins = bool(votes) and (len(votes) == 1 or votes[0][1] > votes[1][1])
    else:
        wins = bool(votes) and votes[0][1] > len(voters) / 2
    return (votes[0][0], False) if wins else (0, True)


@st.composite
def some_votes(draw, segments=False):
    people = draw(st.integers(2, 6))
    shape = (people, draw(st.integers(1, 6)), draw(st.integers(1, 7)))
    top = draw(st.sampled_from([1, 3, 70_000]))
    labels = draw(arrays.arrays(np.int32, shape, elements=st.integers(0, top)))
    silent = draw(arrays.arrays(np.bool_, shape)) if draw(st.booleans()) else np.zeros(shape, bool)
    pieces = draw(arrays.arrays(np.int32, shape, elements=st.integers(0, 3)))
    apart = np.where(labels > 0, labels * 4 + pieces, 0).astype(np.int32) if segments else None
    return Votes(labels, silent, apart)


@pytest.mark.parametrize("method", ["majority", "plurality", "ignore-unlabelled"])
@FEW
@given(votes=some_votes())
def test_like_a_count_in_plain_loops(method, votes):
    decision = decide(method, votes)
    people, height, width = votes.labels.shape
    for row in range(height):
        for column in range(width):
            cell = [
                None if votes.abstained[k, row, column] else int(votes.labels[k, row, column])
                for k in range(people)
            ]
            found = int(decision.labels[row, column]), bool(decision.undecided[row, column])
            assert found == counted(method, cell)


@pytest.mark.parametrize("method", [one for one in METHODS if one not in COMPARES_SEGMENTS])
@FEW
@given(votes=some_votes(), seed=st.integers(0, 10))
def test_the_order_of_the_annotators_does_not_matter(method, votes, seed):
    order = np.random.default_rng(seed).permutation(len(votes.labels))
    one = decide(method, votes)
    other = decide(method, Votes(votes.labels[order], votes.abstained[order]))
    assert np.array_equal(one.labels, other.labels)
    assert np.array_equal(one.undecided, other.undecided)


@pytest.mark.parametrize("method", METHODS)
@FEW
@given(votes=some_votes(segments=True))
def test_people_who_agree_have_their_map(method, votes):
    labels, segments = votes.labels[0], votes.segments[0]
    same = np.repeat(labels[np.newaxis], 4, axis=0)
    apart = np.repeat(segments[np.newaxis], 4, axis=0)
    nobody_silent = np.zeros(same.shape, dtype=bool)
    for given_segments in (None, apart):
        decision = decide(method, Votes(same, nobody_silent, given_segments))
        assert np.array_equal(decision.labels, labels)
        assert not decision.undecided.any()
        assert decision.unnamed == ()


@pytest.mark.parametrize("method", METHODS)
@FEW
@given(votes=some_votes(segments=True))
def test_what_every_method_keeps(method, votes):
    """What nobody decided is unlabelled; labels are somebody's; silence of all decides nothing."""
    decision = decide(method, votes)
    labels = np.where(votes.abstained, -1, votes.labels)
    assert not decision.labels[decision.undecided].any()
    assert decision.undecided[votes.abstained.all(axis=0)].all()
    said = (labels == decision.labels).any(axis=0)
    if method not in COMPARES_SEGMENTS:  # there most of a thing name its every pixel
        assert said[~decision.undecided].all()
        alike = (votes.labels == votes.labels[0]).all(axis=0) & ~votes.abstained.any(axis=0)
        assert not decision.undecided[alike].any()
        assert np.array_equal(decision.labels[alike], votes.labels[0][alike])
    empty = (labels == 0).all(axis=0)
    assert not decision.undecided[empty].any()
    assert not decision.labels[empty].any()


@FEW
@given(votes=some_votes())
def test_a_majority_is_a_plurality(votes):
    majority, plurality = decide("majority", votes), decide("plurality", votes)
    decided = ~majority.undecided
    assert not plurality.undecided[decided].any()
    assert np.array_equal(plurality.labels[decided], majority.labels[decided])
    ignoring = decide("ignore-unlabelled", votes)
    named = decided & (majority.labels > 0)
    assert np.array_equal(ignoring.labels[named], majority.labels[named])


@pytest.mark.parametrize("method", METHODS)
def test_who_is_alone_decides_everything(method):
    labels = np.array([[[1, 0, 2]]], dtype=np.int32)
    decision = decide(method, Votes(labels, np.array([[[True, False, False]]])))
    assert decision.labels.tolist() == [[1, 0, 2]]
    assert not decision.undecided.any()


def test_who_abstains_is_not_counted():
    labels = np.array([[[1, 1, 0, 2]], [[2, 1, 0, 2]], [[2, 3, 5, 1]]], dtype=np.int32)
    silent = np.zeros(labels.shape, dtype=bool)
    decision = decide("majority", Votes(labels, silent))
    assert decision.labels.tolist() == [[2, 1, 0, 2]]
    assert not decision.undecided.any()
    silent[1] = True
    decision = decide("majority", Votes(labels, silent))
    assert decision.labels.tolist() == [[0, 0, 0, 0]]
    assert decision.undecided.all()


def test_many_annotators_with_many_labels():
    """More combinations than any table has room for."""
    labels = np.random.default_rng(0).integers(0, 2**30, (40, 9, 9)).astype(np.int32)
    labels[:21] = labels[0]
    decision = decide("majority", Votes(labels, np.zeros(labels.shape, dtype=bool)))
    assert np.array_equal(decision.labels, labels[0])


def test_bad_use():
    labels = np.zeros((2, 3, 4), dtype=np.int32)
    with pytest.raises(UsageError, match=r"no consensus 'mean'.*majority, plurality"):
        decide("mean", Votes(labels, labels > 0))
    with pytest.raises(ValueError, match="beside labels of"):
        Votes(labels, np.zeros((2, 3, 3), dtype=bool))
    with pytest.raises(ValueError, match=r"\(annotators, height, width\) was expected"):
        Votes(labels[:0], labels[:0] > 0)


def test_tags():
    assert majority_tags([[1, 2], [2], [3]]) == [2]
    assert majority_tags([[1], []]) == []
    assert majority_tags([]) == []
