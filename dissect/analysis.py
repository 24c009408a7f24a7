"""From counts to figures: sums over images first, one division at the end. No files, no state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dissect.compiling import compiled
from dissect.counts import Counts, IntArray
from dissect.intervals import LayerSampler, Resamples, bound_ious, carrying
from dissect.rows import as_array, side_by_side
from dissect.state import CategoryCount, DetectorCounts, Union
from dissect.totals import Totals, add_up
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
_TABLES = 1 << 25  # numbers, 8 bytes each, of what chance gives for images of each size
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


def sum_counts(counts: Counts, vocabulary: Vocabulary, *, units: int, union: Union) -> Totals:
    """Sums over all images of a record.

    Args:
        counts: The record; take rows out of it to look at fewer images.
        vocabulary: Names and primary categories of all labels that occur.
        units: Units of the layer.
        union: `annotated`: a unit's mask counts on the images in which a label of the category
            occurs; `lite`: only on those where one lies under the mask.
    """
    place, rows = vocabulary.places(), counts.images
    carried = carrying(counts, place, len(vocabulary.categories), rows)
    return add_up(counts, place, carried, rows, units=units, union=union)


def expect_intersection(counts: Counts, *, units: int, labels: int) -> FloatArray:
    """(units, labels) float64: the sum over images of area * truth / pixels, what chance gives.

    Args:
        counts: The record.
        units: Units of the layer.
        labels: Largest label number + 1.

    Raises:
        IndexError: There are more units or labels.
    """
    sizes = np.unique(as_array(counts.pixels)[:, 1])
    expected = np.zeros((units, labels))
    together = max(1, _TABLES // max(1, units * labels))
    for begin in range(0, len(sizes), together):
        part = sizes[begin : begin + together]
        products = np.zeros((len(part), units, labels), dtype=np.int64)
        for area, truth, pixels in side_by_side([counts.area, counts.truth, counts.pixels]):
            table = np.searchsorted(part, pixels[:, 1])
            table[part[np.minimum(table, len(part) - 1)] != pixels[:, 1]] = -1
            for numbers, known in ((area[:, 1], units), (truth[:, 1], labels)):
                if numbers.min(initial=0) < 0 or numbers.max(initial=0) >= known:
                    raise IndexError("the counts hold a unit or a label that is not known")
            _multiply(area, truth, pixels, table, products)
        for size, product in zip(part.tolist(), products, strict=True):
            expected += product / size  # integers first, one division for each size
    return expected


@compiled
def _multiply(
    area: IntArray, truth: IntArray, pixels: IntArray, table: IntArray, products: IntArray
) -> None:
    """Add area * truth of every image, unit and label to the image's table; -1: to none."""
    of_area, of_truth = 0, 0
    for place in range(len(pixels)):
        image = pixels[place, 0]
        while of_truth < len(truth) and truth[of_truth, 0] < image:
            of_truth += 1
        begin = of_truth
        while of_truth < len(truth) and truth[of_truth, 0] == image:
            of_truth += 1
        while of_area < len(area) and area[of_area, 0] <= image:
            if table[place] >= 0 and area[of_area, 0] == image:
                own = products[table[place], area[of_area, 1]]
                for row in range(begin, of_truth):
                    own[truth[row, 1]] += area[of_area, 2] * truth[row, 2]
            of_area += 1


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
    workers: int = 1,
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
        workers: Threads; the outcome does not depend on them.
    """
    place = vocabulary.places()
    carried = carrying(counts, place, len(vocabulary.categories), samples.rows)
    sampler = LayerSampler(counts, place, carried, samples, units=units, union=union)
    bounds = bound_ious(sampler, iou_threshold=iou_threshold, workers=workers)
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
