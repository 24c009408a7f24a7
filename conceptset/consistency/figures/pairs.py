"""One pair in one category: all its figures with all resamples, and the entry of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counts import THRESHOLDS
from conceptset.consistency.document import (
    PAIR_FIGURES,
    AgreementAggregates,
    Confusion,
    Figure,
    PairEntry,
    PixelSplits,
    Split,
    SplitAggregates,
)
from conceptset.consistency.figures.estimates import Estimate, null_figure, to_figures
from conceptset.consistency.figures.grouping import PairCounts, count_names
from conceptset.consistency.figures.labels import LabelFigures, LabelSums, label_sums
from conceptset.consistency.figures.ratios import (
    NO_MATCH,
    PARTS,
    REASONS,
    Shares,
    Sums,
    estimate_ratios,
)
from conceptset.consistency.figures.resampling import Resamples, Values
from conceptset.consistency.figures.roster import PairKind

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NO_SHARED_IMAGES = "no shared images"

LabelVisitor = Callable[[LabelSums, Sums], None]


def _medians(counts: PairCounts, shares: Shares, resamples: Resamples) -> dict[str, Estimate]:
    """Medians over images of the splits, and over matches of the log ratio of areas."""
    asked: dict[str, tuple[Values, str]] = {}
    for denominator, reason in REASONS.items():
        for part, share in shares[denominator].items():
            defined = np.isfinite(share)
            values = Values(counts.images[defined], share[defined])
            asked[f"{denominator}.median.{part}"] = values, reason
    matches = counts.matches
    bias = np.log(matches["area_a"] / matches["area_b"])
    asked["outline_bias"] = Values(matches["image"].astype(np.int64), bias), NO_MATCH
    found = resamples.medians([values for values, _ in asked.values()])
    return {
        name: Estimate(row, np.unique(values.images), reason)
        for row, (name, (values, reason)) in zip(found, asked.items(), strict=True)
    }


def _supports(counts: PairCounts) -> dict[str, IntArray]:
    """The images that figures over labels rest on."""
    rows, images = counts.compared, counts.images
    return {
        "pixel": images[rows["valid"] > 0],
        "labelled": images[rows["both"] > 0],
        "match": images[rows["matches"][:, 0] > 0],
        "pq": images[(rows["segments_a"] > 0) | (rows["segments_b"] > 0)],
    }


def estimate_pair(
    counts: PairCounts, resamples: Resamples, visit: LabelVisitor | None = None
) -> dict[str, Estimate]:
    """Every figure of a pair that shares an image or more.

    Args:
        counts: Of the pair, in one category.
        resamples: Of the images of the material.
        visit: Is handed the sums of labels on the way (for figures of concepts).

    Returns:
        By the names of PAIR_FIGURES; parts of splits as `any.mean.quality`, sensitivity as
        `0.25.quality`.
    """
    shares = Shares(counts.compared)
    estimates, sums = estimate_ratios(counts, shares, resamples)
    estimates |= _medians(counts, shares, resamples)
    over_labels = LabelFigures(sums)
    for part in label_sums(counts, resamples):
        over_labels.add(part)
        if visit is not None:
            visit(part, sums)
    return estimates | over_labels.estimates(_supports(counts))


def split_of(figures: Mapping[str, Figure], prefix: str) -> Split:
    """The four parts whose names begin so."""
    return Split(**{part: figures[f"{prefix}.{part}"] for part in PARTS})


def _splits(figures: Mapping[str, Figure]) -> PixelSplits:
    aggregates = ("mean", "median", "pooled")
    any_, all_ = (
        SplitAggregates(**{how: split_of(figures, f"{what}.{how}") for how in aggregates})
        for what in ("any", "all")
    )
    both = AgreementAggregates(**{how: figures[f"both.{how}.agreement"] for how in aggregates})
    return PixelSplits(any=any_, all=all_, both=both)


def pair_entry(
    names: tuple[str, str],
    category: str,
    kind: PairKind,
    estimates: Mapping[str, Estimate],
    *,
    images: int,
    confusions: list[Confusion],
) -> PairEntry:
    """The entry of a pair.

    Args:
        names: Of a and b.
        category: Label layer.
        kind: Of the pair.
        estimates: As `estimate_pair` gives them.
        images: How many both worked on.
        confusions: As `confusions_of` gives them.
    """
    figures = to_figures(estimates)
    return PairEntry(
        a=names[0],
        b=names[1],
        category=category,
        kind=kind,
        n_images=images,
        pixels=_splits(figures),
        sensitivity={str(t): split_of(figures, str(t)) for t in THRESHOLDS[1:]},
        figures={name: figures[name] for name in PAIR_FIGURES},
        confusions=confusions,
    )


@cache
def _nothing() -> tuple[PixelSplits, dict[str, Split], dict[str, Figure]]:
    """Shared by all pairs without shared images: of 200 annotators these are thousands."""
    null = null_figure(NO_SHARED_IMAGES)
    split = Split(agreement=null, quality=null, naming=null, quantity=null)
    aggregates = SplitAggregates(mean=split, median=split, pooled=split)
    both = AgreementAggregates(mean=null, median=null, pooled=null)
    pixels = PixelSplits(any=aggregates, all=aggregates, both=both)
    return pixels, {str(t): split for t in THRESHOLDS[1:]}, dict.fromkeys(PAIR_FIGURES, null)


def empty_entry(names: tuple[str, str], category: str, kind: PairKind) -> PairEntry:
    """The entry of a pair that shares no image."""
    pixels, sensitivity, figures = _nothing()
    return PairEntry(
        a=names[0],
        b=names[1],
        category=category,
        kind=kind,
        n_images=0,
        pixels=pixels,
        sensitivity=sensitivity,
        figures=figures,
        confusions=[],
    )


def confusions_of(counts: PairCounts, concepts: tuple[str, ...]) -> list[Confusion]:
    """Different names for the same thing, the most frequent first.

    Pixels are those where the two names meet and disagree in nothing but the name.

    Args:
        counts: Of the pair.
        concepts: Of the material; code 1 is the first.
    """
    tally: dict[tuple[int, int], list[int]] = {}
    cells = counts.cells[counts.cells["naming"] > 0]
    for place, rows, weights in (
        (0, counts.matches, None),
        (1, counts.renamed, None),
        (2, cells, cells["naming"]),
    ):
        differ = rows["name_a"] != rows["name_b"]
        weight = None if weights is None else weights[differ]
        counted = count_names(rows["name_a"][differ], rows["name_b"][differ], weight)
        for names, count in counted.items():
            tally.setdefault(names, [0, 0, 0])[place] = count
    found_names = [
        Confusion(
            name_a=concepts[first - 1],
            name_b=concepts[second - 1],
            matches=matches,
            regions=regions,
            pixels=pixels,
        )
        for (first, second), (matches, regions, pixels) in tally.items()
        if matches or regions
    ]
    return sorted(
        found_names, key=lambda c: (-c.matches, -c.regions, -c.pixels, c.name_a, c.name_b)
    )
