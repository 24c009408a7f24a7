"""Krippendorff's alpha and Fleiss' kappa over pixels: of all persons, and without each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from conceptset.consistency.chance import (
    ONE_LABEL,
    Coincidences,
    coincidences,
    fleiss_kappa,
    krippendorff_alpha,
)
from conceptset.consistency.counts import Table
from conceptset.consistency.estimates import Estimate
from conceptset.consistency.resampling import Resamples

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NO_TWO_VALUES = "no pixel that two persons saw"
NO_TWO_LABELS = "no pixel labelled by two persons"
UNEQUAL_NUMBERS = "images differ in the number of annotators (alpha allows for that)"
ABSTENTIONS = "some pixels are ignored, so their number of annotators differs (alpha allows that)"

_FIELDS = ("same", "values", "labelled_same", "labelled_values")


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
        worked = self._drawn["image"][self._drawn["annotator"] == annotator]
        kept = self._everybody[~np.isin(self._everybody["image"], worked)]
        return np.concatenate([kept, changed[np.isin(changed["image"], worked)]])

    def _sums(
        self, rows: Table, resamples: Resamples
    ) -> tuple[Coincidences, Coincidences, IntArray, IntArray]:
        labels, places = np.unique(rows["concept"], return_inverse=True)
        kinds = len(_FIELDS)
        values = np.concatenate([rows[field] for field in _FIELDS])
        where = (
            np.concatenate([places * kinds + kind for kind in range(kinds)]),
            np.tile(rows["image"], kinds),
        )
        held = values != 0
        table = sparse.coo_array(
            (values[held], (where[0][held], where[1][held])),
            shape=(len(labels) * kinds, resamples.images),
        ).tocsr()
        sums = resamples.label_totals(table).reshape(len(labels), kinds, -1)
        same, all_values, labelled_same, labelled_values = (sums[:, k].T for k in range(kinds))
        return (
            coincidences(same, all_values),
            coincidences(labelled_same, labelled_values),
            np.unique(rows["image"][rows["values"] > 0]).astype(np.int64),
            np.unique(rows["image"][rows["labelled_values"] > 0]).astype(np.int64),
        )

    def everybody(self) -> dict[str, Estimate]:
        """`alpha`, `labelled_alpha` and `fleiss` of all persons."""
        values, labelled, images, labelled_images = self._sums(self._everybody, self._resamples)
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
        values, _, images, _ = self._sums(self._rows_without(annotator), self._resamples)
        return Estimate(krippendorff_alpha(values), images, _reason(values, NO_TWO_VALUES))

    def without_each(self, annotators: tuple[int, ...]) -> dict[str, FloatArray]:
        """The coefficients of all others, for the jackknife: (annotators,) by name."""
        point = Resamples(self._resamples.images, resamples=0)
        found: dict[str, list[float]] = {"alpha": [], "labelled_alpha": []}
        for annotator in annotators:
            values, labelled, _, _ = self._sums(self._rows_without(annotator), point)
            found["alpha"].append(krippendorff_alpha(values)[0])
            found["labelled_alpha"].append(krippendorff_alpha(labelled)[0])
        return {name: np.array(values) for name, values in found.items()}


def _reason(pairs: Coincidences, nothing: str) -> str:
    return ONE_LABEL if pairs.total[0] > 0 else nothing
