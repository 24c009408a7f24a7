"""The figures of a pair that are quotients of two sums over images.

A mean over images is one too: what is averaged, 0 where it is undefined, over the images where it
is defined. So one matrix product gives them all, in every resample.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counts import THRESHOLDS, Table
from conceptset.consistency.figures.estimates import Estimate, ratio
from conceptset.consistency.figures.grouping import PairCounts
from conceptset.consistency.figures.resampling import Resamples

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NOTHING_LABELLED = "neither labelled anything"
NO_COMMON_LABEL = "no pixel labelled by both"
NO_PIXEL = "no valid pixel"
NO_MATCH = "no matched segments"
NO_SEGMENTS = "no segments"
NO_CONCEPTS = "no concepts"
NOT_MEASURED = "boundaries were not measured, or nothing is matched"
PARTS = ("agreement", "quality", "naming", "quantity")


class Ratio(NamedTuple):
    """One figure.

    Attributes:
        above: (images,) finite.
        below: (images,) at least 0.
        reason: Why it is undefined where the sum of `below` is 0.
    """

    above: FloatArray
    below: FloatArray
    reason: str


class Sums(NamedTuple):
    """What else needs the sums of a pair: (rows,) each, over its images."""

    images: FloatArray
    valid: FloatArray
    both: FloatArray
    matches: FloatArray


def mean_over_images(values: FloatArray, reason: str) -> Ratio:
    """The mean of what is defined.

    >>> mean_over_images(np.array([1.0, np.nan]), "").below.tolist()
    [1.0, 0.0]
    """
    finite = np.isfinite(values)
    return Ratio(np.where(finite, values, 0.0), finite.astype(np.float64), reason)


def split_pixels(rows: Table, denominator: str, threshold: int) -> dict[str, FloatArray]:
    """Pixels of each kind and of all together (`whole`), (images,) each.

    Args:
        rows: Of COMPARED.
        denominator: `any`, `all` or `both`; `both` has agreement alone.
        threshold: Place in THRESHOLDS.
    """
    same, unlabelled = rows["same"].astype(np.float64), rows["unlabelled"].astype(np.float64)
    valid = rows["valid"].astype(np.float64)
    if denominator == "both":
        return {"whole": rows["both"].astype(np.float64), "agreement": same}
    kinds = {kind: rows[kind][:, threshold].astype(np.float64) for kind in PARTS[1:]}
    if denominator == "any":
        return {"whole": valid - unlabelled, "agreement": same, **kinds}
    return {"whole": valid, "agreement": same + unlabelled, **kinds}


def split_shares(rows: Table, denominator: str, threshold: int = 0) -> dict[str, FloatArray]:
    """Shares of each kind per image, NaN where there is no pixel to speak of."""
    pixels = split_pixels(rows, denominator, threshold)
    whole = pixels.pop("whole")
    return {kind: ratio(count, whole) for kind, count in pixels.items()}


REASONS = {"any": NOTHING_LABELLED, "all": NO_PIXEL, "both": NO_COMMON_LABEL}


class Shares(dict[str, dict[str, FloatArray]]):
    """Shares per image of a pair at the first threshold, by denominator and part."""

    def __init__(self, rows: Table) -> None:
        super().__init__({name: split_shares(rows, name) for name in REASONS})


def _split_ratios(rows: Table, shares: Shares) -> dict[str, Ratio]:
    ratios = {}
    for denominator, reason in REASONS.items():
        pixels = split_pixels(rows, denominator, 0)
        whole = pixels.pop("whole")
        for part, count in pixels.items():
            share = shares[denominator][part]
            ratios[f"{denominator}.pooled.{part}"] = Ratio(count, whole, reason)
            ratios[f"{denominator}.mean.{part}"] = mean_over_images(share, reason)
    for place, threshold in enumerate(THRESHOLDS[1:], start=1):
        for part, share in split_shares(rows, "any", place).items():
            ratios[f"{threshold}.{part}"] = mean_over_images(share, NOTHING_LABELLED)
    return ratios


def _match_ratios(counts: PairCounts) -> dict[str, Ratio]:
    rows, matches = counts.compared, counts.matches
    number = rows["matches"][:, 0].astype(np.float64)
    banded = (matches["band_shared"] >= 0) & (matches["band_union"] > 0)
    union = np.where(banded, matches["band_union"], 0).astype(np.float64)
    bands = np.where(banded, ratio(matches["band_shared"].astype(np.float64), union), 0.0)
    measured = np.isfinite(matches["distance"])
    distances = np.where(measured, matches["distance"], 0.0)

    def each(values: NDArray[np.float64]) -> FloatArray:
        return counts.per_image(matches, values)

    return {
        "sq": Ratio(rows["iou"][:, 0], number, NO_MATCH),
        "name_agreement": Ratio(rows["equal"][:, 0].astype(np.float64), number, NO_MATCH),
        "boundary_iou": Ratio(each(bands), each(banded.astype(np.float64)), NOT_MEASURED),
        "surface_distance": Ratio(each(distances), each(measured.astype(np.float64)), NOT_MEASURED),
    }


def _segment_ratios(rows: Table) -> dict[str, Ratio]:
    of_a, of_b = rows["segments_a"].astype(np.float64), rows["segments_b"].astype(np.float64)
    matches = rows["matches"][:, 0].astype(np.float64)
    concepts_a = rows["concepts_a"].astype(np.float64)
    concepts_b = rows["concepts_b"].astype(np.float64)
    shared = rows["concepts_shared"].astype(np.float64)
    ones = np.ones(len(rows))
    a_lacks = rows["not_found_b"][:, 0].astype(np.float64)  # segments of b that a has not
    b_lacks = rows["not_found_a"][:, 0].astype(np.float64)
    return {
        "rq": Ratio(2 * matches, of_a + of_b, NO_SEGMENTS),
        "miss_rate_a": Ratio(of_b - matches, of_b, NO_SEGMENTS),
        "miss_rate_b": Ratio(of_a - matches, of_a, NO_SEGMENTS),
        "not_found_a": Ratio(a_lacks, of_b, NO_SEGMENTS),
        "not_found_b": Ratio(b_lacks, of_a, NO_SEGMENTS),
        "segments_difference": Ratio(of_a - of_b, ones, ""),
        "segments_absolute": Ratio(np.abs(of_a - of_b), ones, ""),
        "concepts_difference": Ratio(concepts_a - concepts_b, ones, ""),
        "concepts_absolute": Ratio(np.abs(concepts_a - concepts_b), ones, ""),
        "concept_sets": mean_over_images(
            ratio(shared, concepts_a + concepts_b - shared), NO_CONCEPTS
        ),
    }


def pair_ratios(counts: PairCounts, shares: Shares) -> dict[str, Ratio]:
    """All of them, by name; parts of splits as `any.mean.quality`, `0.25.naming` and so on."""
    partitions = {
        name: mean_over_images(counts.compared[name], NO_PIXEL)
        for name in ("covering_a", "covering_b", "rand", "vi", "gce", "lce")
    }
    return {
        **_split_ratios(counts.compared, shares),
        **_match_ratios(counts),
        **_segment_ratios(counts.compared),
        **partitions,
    }


def estimate_ratios(
    counts: PairCounts, shares: Shares, resamples: Resamples
) -> tuple[dict[str, Estimate], Sums]:
    """All quotients in every resample, and the sums that other figures of the pair start from."""
    rows, ratios = counts.compared, pair_ratios(counts, shares)
    sheet = _Sheet(resamples, counts.images)
    further = [
        sheet.put(column.astype(np.float64))
        for column in (np.ones(len(rows)), rows["valid"], rows["both"], rows["matches"][:, 0])
    ]
    above = [sheet.put(one.above) for one in ratios.values()]
    below = [sheet.put(one.below) for one in ratios.values()]
    sums = sheet.totals()
    quotients = ratio(sums[above], sums[below])
    estimates = {
        name: Estimate(quotient, sheet.images_with(place), one.reason)
        for (name, one), quotient, place in zip(ratios.items(), quotients, below, strict=True)
    }
    return estimates, Sums(*(sums[place] for place in further))


class _Sheet:
    """Columns to be summed, equal ones once."""

    def __init__(self, resamples: Resamples, images: IntArray) -> None:
        self._resamples = resamples
        self._images = images
        self._columns: list[FloatArray] = []
        self._known: dict[bytes, int] = {}
        self._with: dict[int, IntArray] = {}

    def put(self, column: FloatArray) -> int:
        """Its place among the sums."""
        place = self._known.setdefault(column.tobytes(), len(self._columns))
        if place == len(self._columns):
            self._columns.append(column)
        return place

    def images_with(self, place: int) -> IntArray:
        """The images where a column is not 0."""
        if place not in self._with:
            self._with[place] = self._images[self._columns[place] != 0]
        return self._with[place]

    def totals(self) -> FloatArray:
        """(columns, rows) sums in every resample."""
        return self._resamples.totals(self._images, np.stack(self._columns, axis=1))
