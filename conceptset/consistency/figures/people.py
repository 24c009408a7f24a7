"""One annotator beside all others, in one category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counts import Table
from conceptset.consistency.document import ANNOTATOR_FIGURES, AnnotatorEntry
from conceptset.consistency.figures.alphas import Alphas
from conceptset.consistency.figures.estimates import Estimate, MeanOver, ratio, to_figures
from conceptset.consistency.figures.pairs import split_of
from conceptset.consistency.figures.ratios import PARTS, Ratio, mean_over_images
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.figures.roster import Roster

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_SHARED = 5  # images, for a pair to count in an annotator's means

NO_OTHERS = f"no other person with {MIN_SHARED} shared images or more"
NO_IMAGES = "worked on no image"
NO_MAJORITY = "no image where the others have a majority and anything is labelled"
NOT_A_PERSON = "a model has no vote among persons"

# Figure of an annotator: the pair's figure where the annotator is a, where b, and the sign there.
_FROM_PAIRS = {
    **{f"split.{part}": (f"any.mean.{part}", f"any.mean.{part}", 1) for part in PARTS},
    "sq": ("sq", "sq", 1),
    "outline_bias": ("outline_bias", "outline_bias", -1),
    "surface_distance": ("surface_distance", "surface_distance", 1),
    "name_agreement": ("name_agreement", "name_agreement", 1),
    "rq": ("rq", "rq", 1),
    "miss_rate": ("miss_rate_a", "miss_rate_b", 1),
    "not_found": ("not_found_a", "not_found_b", 1),
    "extra": ("not_found_b", "not_found_a", 1),
}


class Beside:
    """One annotator's means over the pairs with other persons.

    Args:
        rows: Of every estimate.
        images: Of the material.
    """

    def __init__(self, rows: int, images: int) -> None:
        self._means = {name: MeanOver(rows, images) for name in _FROM_PAIRS}
        self._shared = np.zeros(images, dtype=bool)
        self.left_out: list[str] = []

    def add(
        self, other: str, estimates: Mapping[str, Estimate], images: IntArray, *, is_a: bool
    ) -> None:
        """One more pair.

        Args:
            other: The other's name.
            estimates: Of the pair; empty without shared images.
            images: That both worked on.
            is_a: Whether the annotator is the pair's a.
        """
        self._shared[images] = True
        if len(images) < MIN_SHARED:
            self.left_out.append(other)
            return
        for name, (as_a, as_b, sign) in _FROM_PAIRS.items():
            self._means[name].add(estimates[as_a if is_a else as_b], sign=1 if is_a else sign)

    @property
    def shared_images(self) -> int:
        """Images that another person worked on too."""
        return int(self._shared.sum())

    def estimates(self) -> dict[str, Estimate]:
        """All figures that are means over pairs."""
        found = {name: mean.estimate(NO_OTHERS) for name, mean in self._means.items()}
        return found | {"agreement": found["split.agreement"]}


class LayerTables(NamedTuple):
    """What is needed of one category besides pairs: rows of DRAWN and OTHERS."""

    drawn: Table
    others: Table


def _own(
    tables: LayerTables, annotator: int, resamples: Resamples, *, person: bool
) -> dict[str, Estimate]:
    """Means over the annotator's own images, and the agreement with the majority of the others."""
    rows = tables.drawn[tables.drawn["annotator"] == annotator]
    others = tables.others[tables.others["annotator"] == annotator]
    places = np.concatenate([rows["image"], others["image"]]).astype(np.int64)
    mine = np.concatenate([np.ones(len(rows)), np.zeros(len(others))])
    share = ratio(others["same"].astype(np.float64), others["any"].astype(np.float64))
    reason = NO_MAJORITY if person else NOT_A_PERSON
    against = mean_over_images(np.concatenate([np.full(len(rows), np.nan), share]), reason)
    ratios = {"others": against}
    for name in ("segments", "concepts"):
        counts = np.concatenate([rows[name], np.zeros(len(others))]).astype(np.float64)
        ratios[name] = Ratio(counts, mine, NO_IMAGES)
    columns = [column for one in ratios.values() for column in (one.above, one.below)]
    sums = resamples.totals(places, np.stack(columns, axis=1))
    return {
        name: Estimate(ratio(above, below), places[one.below > 0], one.reason)
        for (name, one), above, below in zip(ratios.items(), sums[::2], sums[1::2], strict=True)
    }


def _vitality(alphas: Alphas, whole: Estimate, annotator: int) -> dict[str, Estimate]:
    """Alpha without the annotator, and how much lower it is than everybody's."""
    rest = alphas.without(annotator)
    gain = whole.values - rest.values
    reason = whole.reason if np.isnan(whole.values[0]) else rest.reason
    return {"alpha_without": rest, "vitality": Estimate(gain, whole.images, reason)}


def _no_vote(rows: int) -> dict[str, Estimate]:
    nothing = Estimate(np.full(rows, np.nan), np.zeros(0, dtype=np.int64), NOT_A_PERSON)
    return {"alpha_without": nothing, "vitality": nothing}


def estimate_annotator(
    annotator: int,
    roster: Roster,
    beside: Beside,
    tables: LayerTables,
    *,
    alphas: Alphas,
    alpha: Estimate,
    resamples: Resamples,
) -> dict[str, Estimate]:
    """Every figure of one annotator; the split's parts as `split.quality` and so on.

    Args:
        annotator: Place among all.
        roster: Who is who.
        beside: Means over the pairs.
        tables: Of the category.
        alphas: Likewise.
        alpha: Of everybody.
        resamples: Of the images of the material.
    """
    person = annotator in roster.persons
    found = beside.estimates() | _own(tables, annotator, resamples, person=person)
    if person:
        return found | _vitality(alphas, alpha, annotator)
    return found | _no_vote(resamples.rows)


def annotator_entry(
    annotator: int,
    roster: Roster,
    category: str,
    estimates: Mapping[str, Estimate],
    beside: Beside,
) -> AnnotatorEntry:
    """The entry of one annotator."""
    figures = to_figures(estimates)
    return AnnotatorEntry(
        annotator=roster.name(annotator),
        kind=roster.annotators[annotator].kind,
        category=category,
        n_images=figures["segments"].n_images,
        shared_images=beside.shared_images,
        pixels=split_of(figures, "split"),
        figures={name: figures[name] for name in ANNOTATOR_FIGURES},
        left_out=sorted(beside.left_out),
    )
