"""Krippendorff's alpha and Fleiss' kappa over pixels: of all persons, and without each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from conceptset.consistency.counts import Table
from conceptset.consistency.figures.chance import (
    ONE_LABEL,
    Coincidences,
    coincidences,
    fleiss_kappa,
    krippendorff_alpha,
)
from conceptset.consistency.figures.estimates import Estimate
from conceptset.consistency.figures.labels import positions
from conceptset.consistency.figures.resampling import Resamples

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NO_TWO_VALUES = "no pixel that two persons saw"
NO_TWO_LABELS = "no pixel labelled by two persons"
UNEQUAL_NUMBERS = "images differ in the number of annotators (alpha allows for that)"
ABSTENTIONS = "some pixels are ignored, so their number of annotators differs (alpha allows that)"


class Alphas:
    """The coefficients over pixels in one category.

    Args:
        rows: Of COINCIDENCES, of the category.
        drawn: Of DRAWN, of the category and of persons' first sessions.
        resamples: Of the images of the material.
    """

    def __init__(self, rows: Table, drawn: Table, resamples: Resamples) -> None:
        self._everybody = rows[rows["without"] < 0]
        self._rows = rows
        self._drawn = drawn
        self._resamples = resamples
        self._order = np.argsort(rows["without"], kind="stable")
        self._without = rows["without"][self._order]

    def _rows_without(self, annotator: int) -> Table:
        """All rows as if one annotator had drawn nothing anywhere.

        Where that annotator did not work, everybody's rows stand as they are.
        """
        low, high = np.searchsorted(self._without, [annotator, annotator + 1])
        changed = self._rows[self._order[low:high]]
        worked = np.zeros(self._resamples.images, dtype=bool)
        worked[self._drawn["image"][self._drawn["annotator"] == annotator]] = True
        kept = self._everybody[~worked[self._everybody["image"]]]
        return np.concatenate([kept, changed[worked[changed["image"]]]])

    def _sums(
        self, rows: Table, resamples: Resamples, prefix: str = ""
    ) -> tuple[Coincidences, IntArray]:
        """Sums over images, and the images that have any; prefix `labelled_`: without 0."""
        same, values = rows[f"{prefix}same"], rows[f"{prefix}values"]
        labels, places = positions(rows["concept"])
        numbers = np.concatenate([same, values])
        where = (np.concatenate([2 * places, 2 * places + 1]), np.tile(rows["image"], 2))
        table = sparse.coo_array((numbers, where), shape=(2 * len(labels), resamples.images))
        sums = resamples.label_totals(table.tocsr())
        images = positions(rows["image"][values > 0])[0]
        return coincidences(sums[::2].T, sums[1::2].T), images

    def everybody(self) -> dict[str, Estimate]:
        """`alpha`, `labelled_alpha` and `fleiss` of all persons."""
        values, images = self._sums(self._everybody, self._resamples)
        labelled, labelled_images = self._sums(self._everybody, self._resamples, "labelled_")
        why_not = self._unequal(images)
        kappa = fleiss_kappa(values)
        nothing = _reason(values, NO_TWO_VALUES)
        return {
            "alpha": Estimate(krippendorff_alpha(values), images, nothing),
            "labelled_alpha": Estimate(
                krippendorff_alpha(labelled), labelled_images, _reason(labelled, NO_TWO_LABELS)
            ),
            "fleiss": Estimate(
                np.full_like(kappa, np.nan) if why_not else kappa, images, why_not or nothing
            ),
        }

    def _unequal(self, images: IntArray) -> str:
        """Why Fleiss' kappa does not apply to these images; empty if it does."""
        rows = self._drawn[np.isin(self._drawn["image"], images)]
        _, numbers = np.unique(rows["image"], return_counts=True)
        if len(np.unique(numbers)) > 1:
            return UNEQUAL_NUMBERS
        return ABSTENTIONS if rows["ignored"].any() else ""

    def without(self, annotator: int) -> Estimate:
        """Alpha of all others."""
        values, images = self._sums(self._rows_without(annotator), self._resamples)
        return Estimate(krippendorff_alpha(values), images, _reason(values, NO_TWO_VALUES))

    def without_each(self, annotators: tuple[int, ...]) -> dict[str, FloatArray]:
        """The coefficients of all others, for the jackknife: (annotators,) by name."""
        point = Resamples(self._resamples.images, resamples=0)
        found: dict[str, list[float]] = {"alpha": [], "labelled_alpha": []}
        for annotator in annotators:
            rows = self._rows_without(annotator)
            for name, values in found.items():
                sums, _ = self._sums(rows, point, name.removesuffix("alpha"))
                values.append(krippendorff_alpha(sums)[0])
        return {name: np.array(values) for name, values in found.items()}


def _reason(pairs: Coincidences, nothing: str) -> str:
    return ONE_LABEL if pairs.total[0] > 0 else nothing
