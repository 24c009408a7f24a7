"""Dawid and Skene: which name is right, weighting annotators by what they confuse.

A. P. Dawid, A. M. Skene: Maximum likelihood estimation of observer error-rates using the EM
algorithm. Applied Statistics 28(1), 1979, section 3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import softmax

from conceptset.consensus.segment_vote import name_by_majority
from conceptset.errors import UsageError
from conceptset.geometry import FloatArray, IntArray

IDENTIFIABLE = 3  # annotators from which on the votes tell who is wrong
LAPLACE = 0.01  # votes that every confusion is given beforehand
_STOP = 1e-6
_ROUNDS = 1000
_EVEN = 1e-9  # probabilities whose logarithms are closer are equal: sums depend on the order
_MOST = 10**8  # entries of the confusion matrices that are kept in memory
_BLOCK = 10**7  # probabilities that are computed at a time
_NEVER = 1e-300  # a prior that has a logarithm


@dataclass(frozen=True, slots=True)
class Confusable:
    """Names that people give the same things, and how often.

    Attributes:
        labels: (names,) int64, rising.
        prior: (names,) share of the things that are each.
        confusion: (annotators, names, names): the probability that an annotator gives a thing the
            third, as places in `labels`, if it is the second.
    """

    labels: IntArray
    prior: FloatArray
    confusion: FloatArray


@dataclass(frozen=True, slots=True)
class Skills:
    """What is known of a group of annotators: their confusions of names.

    Attributes:
        annotators: How many there are.
        groups: Names that hang together because some thing got several of them; nobody confuses
            names of different groups.
        things: How many things with two names or more it was learned from.
    """

    annotators: int
    groups: tuple[Confusable, ...]
    things: int

    def of(self, annotators: Sequence[int]) -> Skills:
        """Those of some of the annotators, in the order given."""
        chosen = list(annotators)
        groups = [Confusable(g.labels, g.prior, g.confusion[chosen]) for g in self.groups]
        return Skills(len(chosen), tuple(groups), self.things)


def learn_skills(names: NDArray[np.int32], counts: IntArray | None = None) -> Skills:
    """Estimate everybody's confusions from the names that several people gave the same things.

    Starts at the shares of the votes, and alternates confusion matrices (with `LAPLACE` added to
    each count) and probabilities of names until no probability moves by more than 1e-6. Things
    that got one name only say nothing of confusions and are left out. Equal votes are counted
    together, and groups of names that no thing connects are estimated one by one.

    Args:
        names: (things, annotators) int32 labels; 0: did not draw it.
        counts: (things,) how many things each row stands for; one without.

    Raises:
        UsageError: There are too many names for confusion matrices.

    >>> names = np.array([[1, 1, 1]] * 20 + [[2, 2, 2]] * 10 + [[2, 2, 1]] * 10, dtype=np.int32)
    >>> (group,) = learn_skills(names).groups
    >>> group.confusion[2].round(2).tolist()  # the third calls half of all 2 a 1
    [[1.0, 0.0], [0.5, 0.5]]
    """
    several = (names > 0).sum(axis=1) > 1
    patterns, rank = np.unique(names[several], axis=0, return_inverse=True)
    weights = np.ones(len(names), dtype=np.int64) if counts is None else counts
    things = np.bincount(rank.ravel(), weights[several], len(patterns)).astype(np.int64)
    annotators = names.shape[1]
    groups = []
    for labels, rows in _confusable(patterns):
        if annotators * len(labels) ** 2 > _MOST:
            raise UsageError(
                f"--consensus dawid-skene would compare {len(labels):,} names with each other for "
                f"{annotators} annotators, more than memory holds",
                hint="Unite names with --taxonomy, or take --consensus segment-vote.",
            )
        votes = np.where(patterns[rows] > 0, np.searchsorted(labels, patterns[rows]), -1)
        groups.append(Confusable(labels, *_maximise(votes, things[rows], len(labels))))
    return Skills(annotators, tuple(groups), int(things.sum()))


def _confusable(patterns: NDArray[np.int32]) -> list[tuple[IntArray, IntArray]]:
    """(labels, rows of the patterns) of every group of two labels or more that hang together."""
    if not patterns.size:
        return []
    size = int(patterns.max()) + 1
    first = patterns.max(axis=1)  # some label of the thing, which all others are tied to
    row, annotator = np.nonzero(patterns)
    ties = (np.ones(len(row)), (first[row], patterns[row, annotator]))
    _, component = connected_components(sparse.coo_array(ties, (size, size)))
    used = np.unique(patterns[patterns > 0]).astype(np.int64)
    groups = []
    for group in np.unique(component[used]):
        labels = used[component[used] == group]
        if len(labels) > 1:
            groups.append((labels, np.flatnonzero(component[first] == group)))
    return groups


def _maximise(votes: IntArray, counts: IntArray, names: int) -> tuple[FloatArray, FloatArray]:
    """Prior and confusion matrices of one group.

    Args:
        votes: (patterns, annotators) places of names, -1 for none.
        counts: (patterns,) things.
        names: How many there are.
    """
    annotators = votes.shape[1]
    thing, annotator = np.nonzero(votes >= 0)
    places = annotator * names + votes[thing, annotator]
    shape = (len(votes), annotators * names)
    said = sparse.csr_array((np.ones(len(thing)), (thing, places)), shape)
    per_name = np.tile(np.eye(names), (annotators, 1))
    blocks = [
        (said[start : start + step], counts[start : start + step].astype(float))
        for step in [max(1, _BLOCK // names)]
        for start in range(0, len(votes), step)
    ]

    def count(right: Callable[[sparse.csr_array], FloatArray]) -> tuple[FloatArray, FloatArray]:
        prior, table = np.zeros(names), np.zeros((annotators * names, names))
        for own, things in blocks:
            weights = things[:, np.newaxis] * right(own)
            prior += weights.sum(axis=0)
            table += own.T @ weights
        rates = table.reshape(annotators, names, names).transpose(0, 2, 1) + LAPLACE
        return prior / counts.sum(), rates / rates.sum(axis=2, keepdims=True)

    def shares(own: sparse.csr_array) -> FloatArray:
        given = own @ per_name
        result: FloatArray = given / given.sum(axis=1, keepdims=True)
        return result

    prior, confusion = count(shares)
    for _ in range(_ROUNDS):
        before = (prior, confusion)
        weights = np.log(confusion).transpose(0, 2, 1).reshape(-1, names)
        prior, confusion = count(functools.partial(_probabilities, prior, weights))
        moved = [np.abs(prior - before[0]).max(), np.abs(confusion - before[1]).max()]
        if max(moved) < _STOP:
            break
    return prior, confusion


def _probabilities(prior: FloatArray, weights: FloatArray, said: sparse.csr_array) -> FloatArray:
    """(things, names) the probability that each is right.

    Args:
        prior: (names,) share of things.
        weights: (annotators * names, names) logarithm of the probability of each vote.
        said: (things, annotators * names) 1 for each vote.
    """
    scores = np.log(np.maximum(prior, _NEVER)) + said @ weights
    result: FloatArray = softmax(scores, axis=1)
    return result


def name_by_skills(skills: Skills, names: NDArray[np.int32]) -> NDArray[np.int32]:
    """The most probable name of each thing, 0 where two are equally so.

    Names of which nothing is known, because nobody ever confused them, go by majority.

    Args:
        skills: Of these annotators.
        names: (things, annotators) int32 labels; 0: did not draw it.
    """
    result = name_by_majority(names)
    for group in skills.groups:
        known = (names > 0) & np.isin(names, group.labels)
        things = np.flatnonzero(known.any(axis=1) & (known == (names > 0)).all(axis=1))
        scores = np.tile(np.log(np.maximum(group.prior, _NEVER)), (len(things), 1))
        for annotator, own in enumerate(names[things].T):
            votes = np.flatnonzero(own)
            said = np.searchsorted(group.labels, own[votes])
            scores[votes] += np.log(group.confusion[annotator].T[said])
        ordered = np.sort(scores, axis=1)
        clear = ordered[:, -1] - ordered[:, -2] > _EVEN
        result[things] = np.where(clear, group.labels[scores.argmax(axis=1)], 0)
    return result
