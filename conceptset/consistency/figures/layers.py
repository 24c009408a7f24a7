"""What holds for all persons together in one category, and how much it hangs on each of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counts import Table
from conceptset.consistency.document import LAYER_FIGURES, LayerEntry
from conceptset.consistency.figures.alphas import Alphas
from conceptset.consistency.figures.estimates import Estimate, MeanOver, ratio, to_figures
from conceptset.consistency.figures.ratios import PARTS, Ratio, mean_over_images
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.intervals import jackknife

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NO_PAIR = "no image that two persons worked on"
PARTITIONS = ("covering", "rand", "vi", "gce", "lce")
VARIANCES = ("segments", "concepts")


class PairMeans:
    """The mean over pairs of persons of the parts of the split.

    Args:
        rows: Of every estimate.
        images: Of the material.
    """

    def __init__(self, rows: int, images: int) -> None:
        self._means = {part: MeanOver(rows, images) for part in PARTS}
        self._pairs: list[tuple[int, int]] = []
        self._values: list[list[float]] = []

    def add(self, a: int, b: int, estimates: Mapping[str, Estimate]) -> None:
        """One more pair, each pair equal."""
        for part, mean in self._means.items():
            mean.add(estimates[f"any.mean.{part}"])
        self._pairs.append((a, b))
        self._values.append([float(estimates[f"any.mean.{part}"].values[0]) for part in PARTS])

    def estimates(self) -> dict[str, Estimate]:
        """By part."""
        return {part: mean.estimate(NO_PAIR) for part, mean in self._means.items()}

    def without_each(self, annotators: tuple[int, ...]) -> dict[str, FloatArray]:
        """The same without the pairs of each annotator, (annotators,) by part."""
        values = np.array(self._values, dtype=np.float64).reshape(-1, len(PARTS))
        pairs = np.array(self._pairs, dtype=np.int64).reshape(-1, 2)
        found = []
        for annotator in annotators:
            kept = values[(pairs != annotator).all(axis=1)]
            kept = kept[np.isfinite(kept).all(axis=1)]
            found.append(kept.mean(axis=0) if len(kept) else np.full(len(PARTS), np.nan))
        return dict(zip(PARTS, np.array(found).reshape(-1, len(PARTS)).T, strict=True))


class ImageMeans:
    """Figures that are formed in every image over its annotators or pairs, then averaged.

    Variances are those of a sample (divided by annotators - 1). Coverings are taken both ways.

    Args:
        drawn: Of DRAWN, of one category and of persons' first sessions.
        compared: Of COMPARED, of their pairs.
        images: Of the material.
    """

    def __init__(self, drawn: Table, compared: Table, images: int) -> None:
        self._drawn = drawn
        self._images = images
        values = {name: compared[name] for name in PARTITIONS[1:]}
        values["covering"] = (compared["covering_a"] + compared["covering_b"]) / 2
        finite = np.isfinite(np.stack([values[name] for name in PARTITIONS])).all(axis=0)
        self._compared = compared[finite]
        self._partitions = {name: values[name][finite] for name in PARTITIONS}

    def ratios(self, without: int | None = None) -> dict[str, Ratio]:
        """As means over images, (images,) each; without one annotator if told."""
        found = {}
        drawn = self._drawn[self._drawn["annotator"] != (-1 if without is None else without)]
        for name in VARIANCES:
            variance = self._variance(drawn["image"], drawn[name].astype(np.float64))
            found[f"{name}_variance"] = mean_over_images(variance, NO_PAIR)
        rows = self._compared
        kept = np.ones(len(rows), dtype=bool)
        if without is not None:
            kept = (rows["a"] != without) & (rows["b"] != without)
        places = rows["image"][kept]
        pairs = np.bincount(places, minlength=self._images).astype(np.float64)
        for name, values in self._partitions.items():
            sums = np.bincount(places, values[kept], self._images).astype(np.float64)
            found[name] = mean_over_images(ratio(sums, pairs), NO_PAIR)
        return found

    def _variance(self, places: NDArray[np.int32], values: FloatArray) -> FloatArray:
        count = np.bincount(places, minlength=self._images).astype(np.float64)
        mean = ratio(np.bincount(places, values, self._images).astype(np.float64), count)
        squares = np.bincount(places, (values - mean[places]) ** 2, self._images)
        return ratio(squares.astype(np.float64), np.maximum(count - 1, 0))

    def estimates(self, resamples: Resamples) -> dict[str, Estimate]:
        """In every resample."""
        ratios = self.ratios()
        columns = [column for one in ratios.values() for column in (one.above, one.below)]
        sums = resamples.totals(np.arange(self._images), np.stack(columns, axis=1))
        return {
            name: Estimate(ratio(above, below), np.flatnonzero(one.below), one.reason)
            for (name, one), above, below in zip(ratios.items(), sums[::2], sums[1::2], strict=True)
        }

    def without_each(self, annotators: tuple[int, ...]) -> dict[str, FloatArray]:
        """Without each annotator, (annotators,) by name."""
        found = [self.ratios(without=annotator) for annotator in annotators]
        return {name: np.array([_mean(ratios[name]) for ratios in found]) for name in self.ratios()}


def _mean(one: Ratio) -> float:
    defined = float(one.below.sum())
    return float(one.above.sum()) / defined if defined else np.nan


def layer_entry(
    category: str,
    estimates: Mapping[str, Estimate],
    persons: tuple[int, ...],
    *,
    pairs: PairMeans,
    images: ImageMeans,
    alphas: Alphas,
) -> LayerEntry:
    """The entry of a category.

    Args:
        category: Its name.
        estimates: Of the figures.
        persons: Who is left out in turn, if there are three or more.
        pairs: Of the category.
        images: Likewise.
        alphas: Likewise.
    """
    figures = to_figures(estimates)
    left_out: dict[str, FloatArray] = {}
    if len(persons) >= 3:
        left_out = (
            pairs.without_each(persons)
            | images.without_each(persons)
            | alphas.without_each(persons)
        )
    spread = {name: jackknife(values) for name, values in left_out.items()}
    return LayerEntry(
        category=category,
        figures={name: figures[name] for name in LAYER_FIGURES if name in figures},
        jackknife={
            name: (low, high, None if np.isnan(error) else error)
            for name, (low, high, error) in sorted(spread.items())
            if not np.isnan(low)
        },
    )
