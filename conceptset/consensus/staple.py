"""STAPLE: a probability for each concept and pixel, weighting annotators by how well they do.

S. K. Warfield, K. H. Zou, W. M. Wells: Simultaneous truth and performance level estimation
(STAPLE). IEEE Transactions on Medical Imaging 23(7), 2004, sections II-B and II-C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.special import expit

from conceptset.consensus.ballots import ABSTAINED, Ballots, cast_ballots, group_columns
from conceptset.consensus.votes import Decision, Votes
from conceptset.geometry import BoolArray, FloatArray, IntArray, bounding_box

BAND = 0.02  # of the diagonal: how far around a concept pixels are counted
_START = 0.99999
_STOP = 1e-7
_ROUNDS = 100
_SURE = 1e-12  # nobody's rates get closer to 0 and 1, so that logarithms are finite
_EVEN = 1e-9  # odds whose logarithms are closer are equal: sums depend on the order of annotators
_NEVER = -1e300  # log odds of what nobody says
_YES, _NO = 1, 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What STAPLE finds of one binary question.

    Attributes:
        log_odds: (patterns,) logarithm of the odds that the truth is yes.
        sensitivity: (annotators,) share of the true pixels that each says yes to.
        specificity: (annotators,) share of the others that each says no to.
        rounds: Rounds until nothing moved.
    """

    log_odds: FloatArray
    sensitivity: FloatArray
    specificity: FloatArray
    rounds: int


def estimate(patterns: NDArray[np.integer[Any]], counts: IntArray) -> Estimate:
    """Expectation maximisation over patterns of votes, each standing for many pixels.

    The prior is the share of yes among all votes. No spatial term.

    Args:
        patterns: (patterns, annotators): 1 yes, 0 no, -1 abstained.
        counts: (patterns,) pixels that have it.

    >>> patterns = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> found = estimate(patterns, np.array([80, 15, 5, 100]))
    >>> (found.log_odds > 0).tolist(), found.sensitivity.round(2).tolist()
    ([True, True, False, False], [1.0, 1.0, 0.84])
    """
    yes, no = (patterns == _YES).astype(float), (patterns == _NO).astype(float)
    weights = counts.astype(float)
    prior = float((weights @ yes).sum() / max(1.0, (weights @ (yes + no)).sum()))
    prior = min(max(prior, _SURE), 1 - _SURE)
    annotators = patterns.shape[1]
    rates = np.full((2, annotators), _START)
    log_odds, rounds, still = np.zeros(len(patterns)), 0, False
    while not still and rounds < _ROUNDS:
        rounds += 1
        sensitivity, specificity = rates
        said_yes = np.log(sensitivity) - np.log1p(-specificity)
        said_no = np.log1p(-sensitivity) - np.log(specificity)
        log_odds = np.log(prior) - np.log1p(-prior) + yes @ said_yes + no @ said_no
        true = weights * expit(log_odds)
        moved = np.stack(
            [
                _share(true @ yes, true @ no, sensitivity),
                _share((weights - true) @ no, (weights - true) @ yes, specificity),
            ]
        )
        still = bool(np.abs(moved - rates).max() < _STOP)
        rates = moved
    return Estimate(log_odds, rates[0], rates[1], rounds)


def _share(hits: FloatArray, misses: FloatArray, before: FloatArray) -> FloatArray:
    """hits / (hits + misses), as before where there is neither."""
    total = hits + misses
    share = np.divide(hits, total, out=before.copy(), where=total > 0)
    clipped: FloatArray = np.clip(share, _SURE, 1 - _SURE)
    return clipped


def weigh_pixels(votes: Votes) -> Decision:
    """The most probable concept of each pixel, if it is more probable than not.

    Each concept is one question, asked of the pixels that anyone gave it and of a band around
    those: a large background would drive everybody's specificity to 1. Whether a pixel is labelled
    at all is one more; it tells unlabelled pixels from those without consensus. A pixel gets no
    label that nobody gave it, and what everybody who votes says stands.
    """
    ballots = cast_ballots(votes)
    choices = ballots.choices
    best = np.full(len(choices), _NEVER)
    second = best.copy()
    label = np.zeros(len(choices), dtype=np.int32)
    for concept in np.unique(choices[choices > 0]).tolist():
        log_odds = _ask(ballots, choices == concept)
        ahead = log_odds > best
        second = np.maximum(second, np.where(ahead, best, log_odds))
        best, label = np.where(ahead, log_odds, best), np.where(ahead, concept, label)
    likely = best > _EVEN
    wins = likely & (best - second > _EVEN)
    unlabelled = (
        ~likely & (_ask(ballots, choices > 0) < -_EVEN) & (choices != ABSTAINED).any(axis=1)
    )
    agreed, unanimous = _unanimous(choices)
    decided = np.where(unanimous, agreed, np.where(wins, label, 0)).astype(np.int32)
    unclear = ~(wins | unlabelled | unanimous)
    return Decision(decided[ballots.of_pixel], unclear[ballots.of_pixel])


def _ask(ballots: Ballots, yes: BoolArray) -> FloatArray:
    """(ballots,) log odds of a question, `_NEVER` where nobody says yes."""
    result = np.full(len(yes), _NEVER)
    asked: BoolArray = np.any(yes, axis=1)
    if not asked.any():
        return result
    counts = _near(ballots, asked)
    patterns = np.where(ballots.choices == ABSTAINED, -1, np.where(yes, _YES, _NO))
    kept = np.flatnonzero(counts > 0)
    ranks, number = group_columns(patterns[kept].T)
    example = np.zeros(number, dtype=np.int64)
    example[ranks] = kept
    pixels = np.bincount(ranks, counts[kept], number).astype(np.int64)
    log_odds = estimate(patterns[example], pixels).log_odds
    result[kept] = log_odds[ranks]
    result[~asked] = _NEVER
    return result


def _near(ballots: Ballots, asked: BoolArray) -> IntArray:
    """(ballots,) pixels of each that are asked, or lie in the band around those that are."""
    here: BoolArray = asked[ballots.of_pixel]
    height, width = here.shape
    reach = max(1, round(BAND * float(np.hypot(height, width))))
    rows, columns = bounding_box(here)
    window = (
        slice(max(0, rows.start - reach), rows.stop + reach),
        slice(max(0, columns.start - reach), columns.stop + reach),
    )
    band = here[window].astype(np.uint8)
    for axis in (0, 1):
        band = maximum_filter1d(band, 2 * reach + 1, axis=axis, mode="constant")
    near = ballots.of_pixel[window][band > 0]
    return np.bincount(near, minlength=len(asked))


def _unanimous(choices: NDArray[np.int32]) -> tuple[NDArray[np.int32], BoolArray]:
    """The label that all who vote on a ballot give, and whether there is one."""
    highest = choices.max(axis=1)
    same: BoolArray = ((choices == ABSTAINED) | (choices == highest[:, np.newaxis])).all(axis=1)
    return highest, same & (highest != ABSTAINED)
