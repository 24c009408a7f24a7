"""The figures of a pair that need sums label by label: over pixels, over matches, over segments.

The sums of every label are a row of one sparse table over images; labels are taken in chunks, and
what the figures need of a chunk is added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from conceptset.consistency.counts import Table
from conceptset.consistency.figures.chance import (
    ONE_LABEL,
    Margins,
    cohen_kappa,
    coincidences_of_two,
    gwet_ac1,
    krippendorff_alpha,
    margins,
)
from conceptset.consistency.figures.estimates import Estimate, ratio
from conceptset.consistency.figures.grouping import PairCounts
from conceptset.consistency.figures.ratios import (
    NO_COMMON_LABEL,
    NO_MATCH,
    NO_PIXEL,
    NO_SEGMENTS,
    Sums,
)
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.material import UNLABELLED

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHUNK = 2**23  # numbers in the sums of a chunk of labels: 64 MB

# What is summed for every label; places in the tables below.
(
    _PIXELS_A,
    _PIXELS_B,
    _PIXELS_SAME,
    _ALONE_A,  # a says the label, b nothing
    _ALONE_B,
    _MATCHES_A,
    _MATCHES_B,
    _MATCHES_SAME,
    _IOU,
    _SEGMENTS,
    _IMAGES_A,
    _IMAGES_B,
    _IMAGES_BOTH,
) = range(13)
_SUMS = 13


def positions(codes: NDArray[np.int32]) -> tuple[IntArray, IntArray]:
    """The different codes, rising, and the place of each among them; codes are small numbers.

    >>> [part.tolist() for part in positions(np.array([7, 3, 7], dtype=np.int32))]
    [[3, 7], [1, 0, 1]]
    """
    occurs = np.zeros(int(codes.max(initial=-1)) + 1, dtype=bool)
    occurs[codes] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]


class LabelSums(NamedTuple):
    """Sums of some labels in every resample.

    Attributes:
        codes: (labels,) rising; 0 is unlabelled.
        sums: (labels, _SUMS, rows).
    """

    codes: IntArray
    sums: FloatArray

    def of(self, place: int) -> FloatArray:
        """(labels, rows) of one sum."""
        return self.sums[:, place]

    @property
    def pixels_shared(self) -> FloatArray:
        """Pixels that both give the label, (labels, rows)."""
        return self.of(_PIXELS_SAME)

    @property
    def pixels_either(self) -> FloatArray:
        """Pixels that either gives the label."""
        return self.of(_PIXELS_A) + self.of(_PIXELS_B) - self.of(_PIXELS_SAME)

    def presence(self, images: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Cohen's kappa of `occurs in the image`, and where it is defined, (labels, rows).

        Args:
            images: (rows,) images of the pair in each resample.
        """
        in_a, in_b, both = self.of(_IMAGES_A), self.of(_IMAGES_B), self.of(_IMAGES_BOTH)
        neither = images - in_a - in_b + both
        table = margins(
            np.broadcast_to(images, in_a.shape),
            np.stack([both, neither], axis=-1),
            np.stack([in_a, images - in_a], axis=-1),
            np.stack([in_b, images - in_b], axis=-1),
        )
        kappa = cohen_kappa(table)
        return kappa, np.isfinite(kappa)


def _entries(counts: PairCounts) -> Iterator[tuple[int, Table, NDArray[np.int32], FloatArray]]:
    """(sum, rows, their label, their value) of all that is summed by label."""
    cells, matches, named = counts.cells, counts.matches, counts.named
    pixels = cells["pixels"].astype(np.float64)
    yield _PIXELS_A, cells, cells["name_a"], pixels
    yield _PIXELS_B, cells, cells["name_b"], pixels
    yield _PIXELS_SAME, cells, cells["name_a"], pixels * (cells["name_a"] == cells["name_b"])
    yield _ALONE_A, cells, cells["name_a"], pixels * (cells["name_b"] == UNLABELLED)
    yield _ALONE_B, cells, cells["name_b"], pixels * (cells["name_a"] == UNLABELLED)
    shared = matches["shared"].astype(np.float64)
    equal = (matches["name_a"] == matches["name_b"]).astype(np.float64)
    iou = equal * ratio(shared, matches["area_a"] + matches["area_b"] - shared)
    ones = np.ones(len(matches))
    yield _MATCHES_A, matches, matches["name_a"], ones
    yield _MATCHES_B, matches, matches["name_b"], ones
    yield _MATCHES_SAME, matches, matches["name_a"], equal
    yield _IOU, matches, matches["name_a"], iou
    in_a, in_b = named["segments_a"] > 0, named["segments_b"] > 0
    segments = (named["segments_a"] + named["segments_b"]).astype(np.float64)
    yield _SEGMENTS, named, named["concept"], segments
    yield _IMAGES_A, named, named["concept"], in_a.astype(np.float64)
    yield _IMAGES_B, named, named["concept"], in_b.astype(np.float64)
    yield _IMAGES_BOTH, named, named["concept"], (in_a & in_b).astype(np.float64)


def label_sums(counts: PairCounts, resamples: Resamples) -> Iterator[LabelSums]:
    """The sums of all labels that the pair used, some labels at a time."""
    entries = list(_entries(counts))
    names = np.concatenate([label for _, _, label, _ in entries])
    codes, labels = positions(names)
    sizes = [len(rows) for _, rows, _, _ in entries]
    places = labels * _SUMS + np.repeat([place for place, *_ in entries], sizes)
    images = np.concatenate([rows["image"] for _, rows, _, _ in entries])
    values = np.concatenate([value for *_, value in entries])
    held = values != 0
    table = sparse.coo_array(
        (values[held], (places[held], images[held])),
        shape=(len(codes) * _SUMS, resamples.images),
    ).tocsr()
    chunk = max(1, _CHUNK // (_SUMS * resamples.rows))
    for start in range(0, len(codes), chunk):
        part = codes[start : start + chunk]
        sums = resamples.label_totals(table[start * _SUMS : (start + chunk) * _SUMS])
        yield LabelSums(part, sums.reshape(len(part), _SUMS, resamples.rows))


class LabelFigures:
    """Kappa, alpha and AC1 over pixels and matches, and PQ, added up over chunks of labels.

    Args:
        sums: Of the pair.
    """

    def __init__(self, sums: Sums) -> None:
        self._totals = {"pixel": sums.valid, "labelled": sums.both, "match": sums.matches}
        self._margins: dict[str, Margins] = {}
        self._quality = np.zeros_like(sums.valid)
        self._concepts = np.zeros_like(sums.valid)

    def add(self, part: LabelSums) -> None:
        """Some more labels."""
        self._count("pixel", part.of(_PIXELS_SAME), part.of(_PIXELS_A), part.of(_PIXELS_B))
        named = part.codes != UNLABELLED
        self._count(
            "labelled",
            part.of(_PIXELS_SAME)[named],
            (part.of(_PIXELS_A) - part.of(_ALONE_A))[named],
            (part.of(_PIXELS_B) - part.of(_ALONE_B))[named],
        )
        self._count("match", part.of(_MATCHES_SAME), part.of(_MATCHES_A), part.of(_MATCHES_B))
        segments = part.of(_SEGMENTS)
        # Panoptic quality: TP + FP / 2 + FN / 2 is half of all segments of that name
        quality = ratio(2 * part.of(_IOU), segments)
        self._quality += np.nansum(quality, axis=0)
        self._concepts += (segments > 0).sum(axis=0)

    def _count(self, what: str, same: FloatArray, rows: FloatArray, columns: FloatArray) -> None:
        more = margins(self._totals[what], same.T, rows.T, columns.T)
        held = self._margins.get(what)
        self._margins[what] = more if held is None else held.plus(more)

    def estimates(self, images: dict[str, IntArray]) -> dict[str, Estimate]:
        """All figures.

        Args:
            images: What each rests on: by `pixel`, `labelled`, `match` and `pq`.
        """
        found = {
            "pq": Estimate(ratio(self._quality, self._concepts), images["pq"], NO_SEGMENTS),
        }
        nothing = {"pixel": NO_PIXEL, "labelled": NO_COMMON_LABEL, "match": NO_MATCH}
        for what, total in self._totals.items():
            reason = ONE_LABEL if total[0] > 0 else nothing[what]
            table = self._margins.get(what)
            if table is None:
                table = margins(total, *np.zeros((3, len(total), 0)))
            found[f"{what}_kappa"] = Estimate(cohen_kappa(table), images[what], reason)
            found[f"{what}_ac1"] = Estimate(gwet_ac1(table), images[what], reason)
            if what != "match":
                alpha = krippendorff_alpha(coincidences_of_two(table))
                found[f"{what}_alpha"] = Estimate(alpha, images[what], reason)
        return found
