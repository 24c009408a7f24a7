"""From counts to figures: sums over images first, one division at the end. No files, no state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from dissect.counts import Counts, IntArray
from dissect.intervals import LayerSampler, Resamples, bound_ious, carrying
from dissect.state import CategoryCount, DetectorCounts, Union
from dissect.upsample import FloatArray

SCORE_COLUMNS = (
    "layer",
    "unit",
    "rank",
    "label_number",
    "concept",
    "category",
    "iou",
    "intersection",
    "activation",
    "truth",
    "precision",
    "recall",
    "f1",
    "size_ceiling",
    "lift",
    "detector",
)
INTERVAL_COLUMNS = ("iou_low", "iou_high", "detector_probability")
_PEER_EPSILON = 1e-10  # in the peers' denominator; it decides which of two equal ratios is first


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What labels mean.

    Attributes:
        names: Label number to concept.
        categories: Those enabled, in the set's order.
        primary: Label number to its primary category, one of `categories`.
    """

    names: Mapping[int, str]
    categories: tuple[str, ...]
    primary: Mapping[int, str]

    def places(self) -> IntArray:
        """(largest label + 1,) place of each label's primary category; the last for label 0."""
        order = {category: place for place, category in enumerate(self.categories)}
        table = np.full(max(self.primary, default=0) + 1, len(order) - 1, dtype=np.int64)
        for label, category in self.primary.items():
            table[label] = order[category]
        return table


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts summed over images.

    Attributes:
        intersection: (units, labels) int64; column = label number.
        activation: (units, categories) int64, under the union rule asked for.
        truth: (labels,) int64.
        place: (labels,) int64, the primary category of each label, as a place.
    """

    intersection: IntArray
    activation: IntArray
    truth: IntArray
    place: IntArray

    @property
    def union(self) -> IntArray:
        """(units, labels) int64, pixels in the mask or in the label."""
        return self.activation[:, self.place] + self.truth - self.intersection


def sum_counts(counts: Counts, vocabulary: Vocabulary, *, units: int, union: Union) -> Totals:
    """Sums over all images of a record.

    Args:
        counts: The record; take rows out of it to look at fewer images.
        vocabulary: Names and primary categories of all labels that occur.
        units: Units of the layer.
        union: `annotated`: a unit's mask counts on the images in which a label of the category
            occurs; `lite`: only on those where one lies under the mask.
    """
    place = vocabulary.places()
    truth = np.zeros(len(place), dtype=np.int64)
    np.add.at(truth, counts.truth[:, 1], counts.truth[:, 2])
    intersection = np.zeros((units, len(place)), dtype=np.int64)
    rows = counts.intersection
    np.add.at(intersection, (rows[:, 1], rows[:, 2]), rows[:, 3])
    activation = np.zeros((units, len(vocabulary.categories)), dtype=np.int64)
    carried = _carried(counts, place, len(vocabulary.categories), union)
    for category, area in enumerate(carried):
        np.add.at(activation[:, category], area[:, 1], area[:, 2])
    return Totals(intersection, activation, truth, place)


def _carried(counts: Counts, place: IntArray, categories: int, union: Union) -> list[IntArray]:
    """For each category, the rows of `area` that count for it."""
    area, result = counts.area, []
    if union == "annotated":
        images = [counts.truth[place[counts.truth[:, 1]] == c, 0] for c in range(categories)]
        return [area[np.isin(area[:, 0], np.unique(found))] for found in images]
    width = int(area[:, 1].max(initial=0)) + 1
    keys = area[:, 0] * width + area[:, 1]
    shared = counts.intersection
    touched = shared[:, 0] * width + shared[:, 1]
    of_pair = place[shared[:, 2]]
    for category in range(categories):
        found = np.unique(touched[of_pair == category])
        result.append(area[np.searchsorted(keys, found)])
    return result


def expect_intersection(counts: Counts, *, units: int, labels: int) -> FloatArray:
    """(units, labels) float64: the sum over images of area * truth / pixels, what chance gives.

    Args:
        counts: The record.
        units: Units of the layer.
        labels: Largest label number + 1.
    """
    images, pixels = counts.pixels.T
    of_area = np.searchsorted(images, counts.area[:, 0])
    of_truth = np.searchsorted(images, counts.truth[:, 0])
    expected = np.zeros((units, labels))
    for size in np.unique(pixels).tolist():  # integers first, one division for each size
        masked, labelled = pixels[of_area] == size, pixels[of_truth] == size
        _, unit, area = counts.area[masked].T
        masks = sparse.csr_array(
            (area, (unit, of_area[masked])), shape=(units, len(images)), dtype=np.int64
        )
        _, label, truth = counts.truth[labelled].T
        things = sparse.csr_array(
            (truth, (of_truth[labelled], label)), shape=(len(images), labels), dtype=np.int64
        )
        expected += (masks @ things).toarray() / size
    return expected


def score_units(
    totals: Totals,
    vocabulary: Vocabulary,
    expected: FloatArray,
    *,
    layer: str,
    iou_threshold: float,
) -> pd.DataFrame:
    """Every unit and concept with a pixel in common, with the columns of scores.csv.

    Rows are sorted by unit and rank. `detector` is True in the row of the best concept (rank 1)
    of a unit whose IoU with it is above `iou_threshold`.
    """
    unit, label = np.nonzero(totals.intersection)
    shared = totals.intersection[unit, label]
    active = totals.activation[unit, totals.place[label]]
    truth = totals.truth[label]
    iou = shared / (active + truth - shared)
    order = np.lexsort((label, -iou, unit))
    unit, label, shared = unit[order], label[order], shared[order]
    active, truth, iou = active[order], truth[order], iou[order]
    first = np.searchsorted(unit, unit)
    rank = np.arange(len(unit)) - first + 1
    categories = np.asarray(vocabulary.categories, dtype=object)
    return pd.DataFrame(
        {
            "layer": layer,
            "unit": unit,
            "rank": rank,
            "label_number": label,
            "concept": [vocabulary.names[number] for number in label.tolist()],
            "category": categories[totals.place[label]],
            "iou": iou,
            "intersection": shared,
            "activation": active,
            "truth": truth,
            "precision": shared / active,
            "recall": shared / truth,
            "f1": 2 * shared / (active + truth),
            "size_ceiling": np.minimum(active, truth) / np.maximum(active, truth),
            "lift": shared / expected[unit, label],
            "detector": (rank == 1) & (iou > iou_threshold),
        },
        columns=list(SCORE_COLUMNS),
    )


def add_intervals(
    scores: pd.DataFrame,
    counts: Counts,
    vocabulary: Vocabulary,
    samples: Resamples,
    *,
    units: int,
    union: Union,
    iou_threshold: float,
) -> pd.DataFrame:
    """The scores with INTERVAL_COLUMNS: how far they would move on other images.

    `iou_low` and `iou_high` are empty for a concept whose category fewer than 10 images carry.
    `detector_probability` is the share of the resamples in which the concept is the unit's best
    and above the threshold; over the rows of a unit it adds up to the probability that the unit
    is a detector. It is empty with fewer than 10 images.

    Args:
        scores: As `score_units` gives them, from the same counts.
        counts: The record.
        vocabulary: Names and primary categories.
        samples: Resamples of the images of the run; those of another index are the same.
        units: Units of the layer.
        union: Which images an activation is summed on.
        iou_threshold: What a detector's IoU exceeds.
    """
    place = vocabulary.places()
    carried = carrying(counts, place, len(vocabulary.categories), samples.rows)
    sampler = LayerSampler(counts, place, carried, samples, units=units, union=union)
    bounds = bound_ious(sampler, iou_threshold=iou_threshold)
    keys = bounds.unit * len(place) + bounds.label
    wanted = scores["unit"].to_numpy() * len(place) + scores["label_number"].to_numpy()
    found = np.searchsorted(keys, wanted)
    columns = zip(INTERVAL_COLUMNS, (bounds.low, bounds.high, bounds.probability), strict=True)
    return scores.assign(**{name: values[found] for name, values in columns})


def count_detectors(
    scores: pd.DataFrame, categories: Sequence[str], *, units: int, iou_threshold: float
) -> DetectorCounts:
    """The three counts that go by the name of unique detectors.

    Args:
        scores: As `score_units` gives them, of one layer.
        categories: Those enabled, in order.
        units: Units of the layer.
        iou_threshold: What an IoU must exceed.
    """
    best = scores[scores["detector"]]
    above = scores[scores["iou"] > iou_threshold]
    of_category = above.drop_duplicates(["unit", "category"])  # the first is the best
    per_category = {
        category: CategoryCount(
            detectors=int((best["category"] == category).sum()),
            unique=int(
                of_category.loc[of_category["category"] == category, "label_number"].nunique()
            ),
        )
        for category in categories
    }
    numbers = {
        "detectors": len(best),
        "unique_concepts": int(best["label_number"].nunique()),
        "unique_by_category": sum(count.unique for count in per_category.values()),
    }
    shares = {f"{name}_share": number / units for name, number in numbers.items()}
    return DetectorCounts.model_validate({**numbers, **shares, "categories": per_category})


def tally_table(totals: Totals, vocabulary: Vocabulary) -> pd.DataFrame:
    """The peers' table: one row per unit, by falling score; `unit` runs from 1 here.

    Per category the label of that primary category with the largest IoU, the lowest number on a
    tie; where no label has a pixel in common, label 0, whose name is empty and whose activation
    is that of the last category. The best category is the later one on a tie. The peers add
    1e-10 to the denominator; so does this table, and no other.
    """
    units, last = len(totals.intersection), len(vocabulary.categories) - 1
    iou = totals.intersection / (totals.union + _PEER_EPSILON)
    everyone = np.arange(units)
    names = np.asarray(
        [vocabulary.names.get(label, "") if label else "" for label in range(len(totals.place))],
        dtype=object,
    )
    columns: dict[str, object] = {}
    best = np.zeros((units, last + 1))
    labels = np.zeros((units, last + 1), dtype=np.int64)
    for place, category in enumerate(vocabulary.categories):
        own = np.where(totals.place == place, iou, 0.0)
        label = own.argmax(axis=1)
        best[:, place], labels[:, place] = own[everyone, label], label
        columns[f"{category}-label"] = names[label]
        columns[f"{category}-truth"] = totals.truth[label].astype(np.float64)
        active = totals.activation[everyone, totals.place[label]]
        columns[f"{category}-activation"] = active.astype(np.float64)
        columns[f"{category}-intersect"] = totals.intersection[everyone, label].astype(np.float64)
        columns[f"{category}-iou"] = best[:, place]
    chosen = last - best[:, ::-1].argmax(axis=1)
    keys = {
        "unit": everyone + 1,
        "category": np.asarray(vocabulary.categories, dtype=object)[chosen],
        "label": names[labels[everyone, chosen]],
        "score": best[everyone, chosen],
    }
    order = np.argsort(-keys["score"], kind="stable")
    return pd.DataFrame({**keys, **columns}).iloc[order].reset_index(drop=True)


def format_frame(frame: pd.DataFrame) -> bytes:
    r"""The bytes of a CSV: `\n`, UTF-8, floats by `repr`, no index."""
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8")
