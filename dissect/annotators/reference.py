"""How well people agree on the pixels of a concept: what a unit's IoU is set beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from dissect.annotators.basis import Basis
from dissect.annotators.scoring import Scores
from dissect.counts import IntArray
from dissect.entries import BoolArray, find_places
from dissect.errors import BoundError
from dissect.intervals import Resamples
from dissect.rows import Rows, pieces
from dissect.upsample import FloatArray

LOWEST = 0.04  # below it a ratio to the reference says nothing
_SLACK = 1e-12


@dataclass(frozen=True, slots=True)
class Reference:
    """Mean IoU of two annotators with one another, by label.

    Attributes:
        mean: (labels, resamples) float64, mean over pairs; NaN where no pair used the label.
        pairs: By pair of annotators, (labels,) float64 with every image once; NaN where neither
            used the label.
    """

    mean: FloatArray
    pairs: Mapping[tuple[int, int], FloatArray]


def agree_on_concepts(
    shared: IntArray, place: IntArray, basis: Basis, samples: Resamples
) -> Reference:
    """The human reference H(c), pooled over the images that units are scored on.

    Of a pair a, b: pixels that both called c, divided by pixels that either did, both summed over
    the images first.

    Args:
        shared: (n, 5) int64 rows (image, label, a, b, pixels); a <= b, places of annotators in
            the basis, a = b: all pixels that a gave the label.
        place: (labels,) primary category of each label.
        basis: Annotators are compared on its images.
        samples: Resamples of its rows.
    """
    rows_of = _split_by_pair(shared)
    weights = samples.weights.astype(np.float64)
    total = np.zeros((len(place), weights.shape[1]))
    times = np.zeros_like(total)
    found: dict[tuple[int, int], FloatArray] = {}
    once = np.ones((len(weights), 1))
    for view in basis.views:
        for a, b in view.pairs:
            tables = [
                _sum_table(rows_of.get(pair, shared[:0]), place, view.carried, samples)
                for pair in ((a, a), (b, b), (a, b))
            ]
            resampled = _divide(*(np.asarray(table @ weights) for table in tables))
            total += np.nan_to_num(resampled)
            times += np.isfinite(resampled)
            own = _divide(*(np.asarray(table @ once) for table in tables))[:, 0]
            known = found.get((a, b), np.full(len(place), np.nan))
            found[a, b] = np.where(np.isfinite(own), own, known)
    with np.errstate(invalid="ignore"):
        return Reference(total / times, found)


def _split_by_pair(shared: IntArray) -> dict[tuple[int, int], IntArray]:
    """The rows of each pair that has any."""
    ordered = shared[np.lexsort((shared[:, 3], shared[:, 2]))]
    pairs, starts = np.unique(ordered[:, 2:4], axis=0, return_index=True)
    parts = np.split(ordered, starts[1:])
    return {(a, b): part for (a, b), part in zip(pairs.tolist(), parts, strict=False)}


def _sum_table(
    shared: IntArray, place: IntArray, carried: BoolArray, samples: Resamples
) -> sparse.csr_array:
    """(labels, columns) pixels that both of a pair gave the label, from the pair's rows."""
    image, label, _, _, pixels = shared.T
    places = find_places(samples.rows, image)
    kept = carried[place[label], places]
    return sparse.coo_array(
        (pixels[kept].astype(np.float64), (label[kept], samples.columns(places[kept]))),
        shape=(len(place), len(samples.weights)),
    ).tocsr()


def _divide(a: FloatArray, b: FloatArray, both: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return np.asarray(both / (a + b - both))


def labels_counted_once(truths: Mapping[int, Rows], shared: IntArray, labels: int) -> BoolArray:
    """(labels,) whether no pixel of a label counts twice because two maps give it.

    Args:
        truths: By annotator, (n, 3) rows (image, label, pixels) with multiplicity.
        shared: As for `agree_on_concepts`; there a pixel counts once.
        labels: Largest label number + 1.
    """
    once = np.ones(labels, dtype=np.bool_)
    for annotator, truth in truths.items():
        own = shared[(shared[:, 2] == annotator) & (shared[:, 3] == annotator)]
        counted = np.zeros(labels)
        for rows in pieces(truth):
            counted += np.bincount(rows[:, 1], weights=rows[:, 2], minlength=labels)
        once &= counted == np.bincount(own[:, 1], weights=own[:, 4], minlength=labels)
    return once


def check_ceiling(scores: Scores, reference: FloatArray, once: BoolArray, *, layer: str) -> None:
    """Hold every unit's mean IoU against the annotator ceiling (1 + H) / 2.

    1 - IoU is a metric (Levandowsky and Winter, Nature 234, 1971), so that for a mask U and two
    people's pixels A and B: 1 - IoU(A, B) <= (1 - IoU(U, A)) + (1 - IoU(U, B)).

    Args:
        scores: On the images of a basis, activations summed on all of them (`annotated`).
        reference: (labels,) H on the same images.
        once: (labels,) only labels whose pixels count once have the bound.
        layer: Its name, for the message.

    Raises:
        BoundError: A unit is above it: the counts contradict one another.
    """
    ceiling = (1 + reference) / 2
    above = np.where(once, scores.mean - ceiling, -1.0) > _SLACK
    if above.any():
        unit, label = (int(index[0]) for index in np.nonzero(above))
        raise BoundError(
            f"the mean IoU {float(scores.mean[unit, label])!r} over annotators is above "
            f"{float(ceiling[label])!r}, which nothing can be",
            pointer=f"layer {layer} unit {unit} label {label}",
        )
