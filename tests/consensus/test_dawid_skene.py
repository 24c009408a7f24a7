"""Dawid-Skene against crowd-kit, against plain loops, and on planted confusions."""

from __future__ import annotations

import numpy as np
import pytest

from conceptset.consensus import Votes, dawid_skene, decide, learn_skills
from conceptset.consensus.dawid_skene import name_by_skills
from conceptset.errors import UsageError

# Four people name 86 things; 0 is no vote.
VOTES = """
1221 0123 2222 1221 1030 3323 1111 0111 3333 2111 3321 2222 0221 1121 2221 2220 2222 3303 2312 3133
0021 2202 1121 1101 2122 1202 3332 3333 1011 1100 1111 3131 3003 1110 1101 3122 1110 0331 0123 1220
1111 1100 1120 3333 2022 1113 1103 1110 3113 1123 3222 0101 1111 3302 1222 1211 1111 1112 0011 1111
0333 1111 1221 3211 1111 1121 2222 0330 1121 3203 1111 1121 1201 0211 3333 0111 0321 0311 2333 3133
1213 0111 1101 0202 1101 1131 2211
"""
# crowd-kit 1.4.2, DawidSkene(n_iter=4000, tol=-1)
PRIOR = [0.522231, 0.237433, 0.240336]
CONFUSION = [
    [[0.97263, 0.02737, 0.0], [0.23602, 0.613, 0.15098], [0.0, 0.06703, 0.93297]],
    [[0.83307, 0.15063, 0.0163], [0.10534, 0.80541, 0.08925], [0.25657, 0.05832, 0.68511]],
    [[0.62455, 0.32027, 0.05517], [0.2051, 0.7949, 0.0], [0.09102, 0.20291, 0.70607]],
    [[0.83141, 0.02691, 0.14168], [0.34009, 0.65991, 0.0], [0.19434, 0.12246, 0.68319]],
]
NAMES = "112113113132212223231211223311133112131211132111312113211111311211231311113131331112112"


def votes_of(text):
    return np.array([list(map(int, thing)) for thing in text.split()], dtype=np.int32)


def test_like_crowd_kit(monkeypatch):
    monkeypatch.setattr(dawid_skene, "LAPLACE", 1e-12)  # crowd-kit adds nothing
    monkeypatch.setattr(dawid_skene, "_STOP", 1e-9)
    names = votes_of(VOTES)
    skills = learn_skills(names)
    (group,) = skills.groups
    assert group.prior == pytest.approx(PRIOR, abs=2e-6)
    assert group.confusion == pytest.approx(np.array(CONFUSION), abs=1e-5)
    assert "".join(map(str, name_by_skills(skills, names))) == NAMES


def test_nothing_is_thought_impossible():
    (group,) = learn_skills(votes_of(VOTES)).groups
    assert group.confusion.min() > 0
    assert group.confusion.sum(axis=2) == pytest.approx(np.ones((4, 3)))


def planted(things, seed=0):
    """Votes of four people whose confusions are known; some did not look at some things."""
    random = np.random.default_rng(seed)
    confusion = np.array(
        [
            [[0.95, 0.03, 0.02], [0.05, 0.90, 0.05], [0.02, 0.03, 0.95]],
            [[0.70, 0.20, 0.10], [0.10, 0.80, 0.10], [0.15, 0.15, 0.70]],
            [[0.40, 0.60, 0.00], [0.05, 0.90, 0.05], [0.00, 0.05, 0.95]],
            [[0.85, 0.05, 0.10], [0.05, 0.85, 0.10], [0.10, 0.10, 0.80]],
        ]
    )
    truth = random.choice(3, things, p=[0.5, 0.3, 0.2])
    steps = confusion[:, truth].cumsum(axis=2)
    said = (random.random((4, things, 1)) > steps).sum(axis=2).T + 1
    said[random.random(said.shape) < 0.1] = 0
    return truth + 1, confusion, said.astype(np.int32)


def test_planted_confusions_are_found():
    truth, confusion, names = planted(20_000)
    skills = learn_skills(names)
    (group,) = skills.groups
    assert group.confusion == pytest.approx(confusion, abs=0.03)
    assert group.prior == pytest.approx([0.5, 0.3, 0.2], abs=0.02)
    right = (name_by_skills(skills, names) == truth).mean()
    majority = (dawid_skene.name_by_majority(names) == truth).mean()
    assert right > majority + 0.05


def test_the_same_in_plain_loops():
    names = planted(120, seed=5)[2]
    names = names[(names > 0).sum(axis=1) > 1]
    shares = np.array([[np.mean(row[row > 0] == label) for label in (1, 2, 3)] for row in names])
    for _ in range(400):
        prior = shares.mean(axis=0)
        rates = np.full((4, 3, 3), 0.01)
        for thing, person in zip(*np.nonzero(names), strict=True):
            rates[person, :, names[thing, person] - 1] += shares[thing]
        rates /= rates.sum(axis=2, keepdims=True)
        shares = np.tile(prior, (len(names), 1))
        for thing, person in zip(*np.nonzero(names), strict=True):
            shares[thing] *= rates[person, :, names[thing, person] - 1]
        shares /= shares.sum(axis=1, keepdims=True)
    skills = learn_skills(names)
    (group,) = skills.groups
    assert group.confusion == pytest.approx(rates, abs=1e-4)
    assert group.prior == pytest.approx(prior, abs=1e-4)
    assert np.array_equal(name_by_skills(skills, names), shares.argmax(axis=1) + 1)


def test_blocks_and_counts_change_nothing(monkeypatch):
    names = planted(500, seed=2)[2]
    (whole,) = learn_skills(names).groups
    rows, counts = np.unique(names, axis=0, return_counts=True)
    monkeypatch.setattr(dawid_skene, "_BLOCK", 10)
    (parts,) = learn_skills(rows, counts).groups
    assert parts.confusion == pytest.approx(whole.confusion, abs=1e-9)


def test_names_that_nobody_confuses_are_apart():
    names = votes_of("111 110 112 333 330 345 543 666 660 600 700")
    skills = learn_skills(names)
    assert [group.labels.tolist() for group in skills.groups] == [[1, 2], [3, 4, 5]]
    assert skills.things == 9
    assert name_by_skills(skills, votes_of("666 000 700")).tolist() == [6, 0, 7]
    assert name_by_skills(skills, votes_of("163 661")).tolist() == [0, 6]  # of two groups


def test_some_of_the_annotators():
    _, confusion, names = planted(5_000, seed=1)
    skills = learn_skills(names).of([2, 0])
    assert skills.annotators == 2
    assert skills.groups[0].confusion == pytest.approx(confusion[[2, 0]], abs=0.06)
    # the third calls most 1 a 2, the first is nearly always right
    assert name_by_skills(skills, np.array([[2, 1]], dtype=np.int32)).tolist() == [1]


def test_equal_votes_are_no_consensus():
    names = votes_of("120 210 " * 10)
    assert name_by_skills(learn_skills(names), votes_of("120")).tolist() == [0]


def test_nothing_to_learn_from():
    for names in (np.zeros((0, 3), dtype=np.int32), votes_of("100 020")):
        skills = learn_skills(names)
        assert (skills.groups, skills.things) == ((), 0)
        assert name_by_skills(skills, names).tolist() == names.max(axis=1, initial=0).tolist()


def test_more_names_than_memory(monkeypatch):
    monkeypatch.setattr(dawid_skene, "_MOST", 20)
    with pytest.raises(UsageError, match=r"3 names with each other for 4 annotators.*--taxonomy"):
        learn_skills(planted(100)[2])


def test_who_is_often_wrong_is_outvoted():
    """Two that call every bus a car against one who does not, as other things show."""
    rows = "111 111 222 222 " * 5 + "113 113 123 133 333 333 333 223 " * 2
    skills = learn_skills(votes_of(rows))
    labels = np.array([[[1, 1, 0]], [[1, 1, 0]], [[3, 3, 0]]], dtype=np.int32)
    votes = Votes(labels, np.zeros(labels.shape, dtype=bool))
    assert decide("segment-vote", votes).labels.tolist() == [[1, 1, 0]]
    named = decide("dawid-skene", votes, skills=skills).labels.tolist()
    expected = int(name_by_skills(skills, votes_of("113"))[0])
    assert named == [[expected, expected, 0]]


def test_without_skills_two_people_vote_on_pixels():
    labels = np.array([[[1, 1, 0, 2]], [[1, 0, 0, 3]]], dtype=np.int32)
    votes = Votes(labels, np.zeros(labels.shape, dtype=bool))
    decision = decide("dawid-skene", votes)
    assert decision.labels.tolist() == [[1, 0, 0, 0]]
    assert decision.undecided.tolist() == [[False, True, False, True]]
    three = Votes(labels[[0, 0, 1]], np.zeros((3, 1, 4), dtype=bool))
    assert decide("dawid-skene", three).labels.tolist() == [[1, 1, 0, 2]]
