"""Objects that several people drew, what each called them, and how far that agrees beyond chance.

An object is a group of segments, at most one of each person, that were matched with one another;
who worked on the image and drew none of it left it out, which is a value like a name. So what was
left out counts as much as what was called otherwise, while outlines only decide what is matched.
The figure is Krippendorff's alpha over these (Tschirschwitz and Rodehorst, KaLOS finds consensus,
CVPR 2026, whose greedy matching by overlap alone this is).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import sparse

from conceptset.consensus import join_segments
from conceptset.consistency.counting.flattening import Flat
from conceptset.consistency.counting.overlay import overlay, sum_by
from conceptset.consistency.counting.rows import Rows
from conceptset.consistency.counts import OBJECTS, Table
from conceptset.consistency.figures.chance import coincidences, krippendorff_alpha, reason_undefined
from conceptset.consistency.figures.estimates import Estimate
from conceptset.consistency.figures.resampling import FloatArray, IntArray, Resamples
from conceptset.consistency.material import UNLABELLED

LEFT_OUT = UNLABELLED  # the value of who drew nothing there

Drawing = tuple[int, int]  # annotator, order of the segment


def count_objects(key: tuple[int, int], layers: Mapping[int, Flat], matches: Table) -> Table:
    """The values of every object in one layer of one image.

    Somebody who ignores more than half of what the others drew of an object has no value for it.
    Where nobody drew anything there is one object that all left out.

    Args:
        key: Image and category.
        layers: What each person shows who worked on the image, first sessions only.
        matches: Rows of MATCHES of this image and category; other people's are passed over.

    Returns:
        Rows of OBJECTS; objects numbered by their first drawing, each in the order of `layers`.
    """
    rows = Rows(OBJECTS, keys=2)
    if len(layers) < 2:
        return rows.table()
    concepts = {
        (annotator, int(order)): int(concept)
        for annotator, flat in layers.items()
        for order, concept in zip(flat.orders[1:], flat.concepts[1:], strict=True)
    }
    groups = _group(sorted(concepts), layers, matches)
    silent = _ignoring(layers)
    for item, group in enumerate(groups or [[]]):
        drawn = {annotator: concepts[annotator, order] for annotator, order in group}
        people = [a for a in layers if a in drawn or not _is_silent(a, group, silent)]
        values = [drawn.get(annotator, LEFT_OUT) for annotator in people]
        rows.add(key, [item] * len(people), people, values)
    return rows.table()


def _group(
    drawings: list[Drawing], layers: Mapping[int, Flat], matches: Table
) -> list[list[Drawing]]:
    """Drawings of one object each, joined in falling overlap; in the order of their first drawing.

    Equal overlaps go by annotator, then by order, of the first and then of the second.
    """
    shared = matches["shared"].astype(np.float64)
    iou = shared / (matches["area_a"] + matches["area_b"] - shared)
    fields = ("a", "b", "order_a", "order_b")
    a, b, order_a, order_b = (matches[name].astype(np.int64) for name in fields)
    place_of = {drawing: place for place, drawing in enumerate(drawings)}
    pairs = [
        (place_of[int(a[row]), int(order_a[row])], place_of[int(b[row]), int(order_b[row])])
        for row in np.lexsort((order_b, order_a, b, a, -iou)).tolist()
        if int(a[row]) in layers and int(b[row]) in layers
    ]
    groups = join_segments([annotator for annotator, _ in drawings], pairs)
    return [[drawings[place] for place in group] for group in sorted(groups, key=min)]


def _ignoring(layers: Mapping[int, Flat]) -> dict[tuple[int, Drawing], float]:
    """The share of each segment that somebody else ignores, by who ignores and the segment."""
    shares: dict[tuple[int, Drawing], float] = {}
    abstaining = [who for who, flat in layers.items() if flat.areas()[-1] > 0]
    for who in abstaining:
        for other, flat in layers.items():
            if other == who:
                continue
            both = overlay([layers[who], flat])
            hidden = both.regions[0] == layers[who].count + 1
            size = flat.count + 2
            lost = sum_by(both.regions[1][hidden], both.pixels[hidden], size)
            share = lost / np.maximum(1, flat.areas())
            for region in range(1, flat.count + 1):
                shares[who, (other, int(flat.orders[region]))] = float(share[region])
    return shares


def _is_silent(who: int, group: list[Drawing], shares: Mapping[tuple[int, Drawing], float]) -> bool:
    """Whether somebody ignores most of an object, drawings of it counting alike."""
    if not shares or not group:
        return False
    return sum(shares.get((who, drawing), 0.0) for drawing in group) > len(group) / 2


class ObjectSums(NamedTuple):
    """Coincidences of the values of objects, per image and concept.

    Attributes:
        images: (n,) place of the image.
        concepts: (n,) the value; `LEFT_OUT` is one.
        same: (n,) coincidences of the value with itself.
        values: (n,) how often it was given to objects with two values or more.
    """

    images: IntArray
    concepts: IntArray
    same: FloatArray
    values: FloatArray


def sum_objects(objects: Table) -> ObjectSums:
    """What alpha needs of the objects of one category, image by image.

    Krippendorff, Content Analysis (2004), section 11.3: an object with m values adds
    n (n - 1) / (m - 1) coincidences of a value that n people gave.

    Args:
        objects: Rows of OBJECTS of one category, in any order.
    """
    images, items = objects["image"].astype(np.int64), objects["item"].astype(np.int64)
    concepts = objects["concept"].astype(np.int64)
    _, unit = np.unique(np.stack([images, items]), axis=1, return_inverse=True)
    together = np.bincount(unit.ravel())
    told, given = np.unique(np.stack([unit.ravel(), images, concepts]), axis=1, return_counts=True)
    n = given.astype(np.float64)
    m = together[told[0]]
    paired = m > 1
    same = np.where(paired, n * (n - 1) / np.maximum(1, m - 1), 0.0)
    cells, place = np.unique(told[1:], axis=1, return_inverse=True)
    size = cells.shape[1]
    return ObjectSums(
        cells[0],
        cells[1],
        sum_by(place.ravel(), same, size),
        sum_by(place.ravel(), np.where(paired, n, 0.0), size),
    )


def objects_alpha(objects: Table, resamples: Resamples) -> Estimate:
    """Krippendorff's alpha over all objects of one category, in every resample of the images.

    Args:
        objects: Rows of OBJECTS of one category.
        resamples: Of the images.
    """
    sums = sum_objects(objects)
    codes, label = np.unique(sums.concepts, return_inverse=True)
    tables = [
        sparse.coo_array(
            (counts, (label.ravel(), sums.images)), shape=(len(codes), resamples.images)
        ).tocsr()
        for counts in (sums.same, sums.values)
    ]
    same, values = (resamples.label_totals(table).T for table in tables)
    pairs = coincidences(same, values)
    alpha = np.asarray(krippendorff_alpha(pairs))
    rests_on = np.unique(sums.images[sums.values > 0])
    return Estimate(alpha, rests_on, reason_undefined(float(pairs.total[0])))


def alphas_by_image(objects: Table) -> dict[int, float]:
    """Alpha of every image by itself; NaN where all values are equal.

    Args:
        objects: Rows of OBJECTS of one category.
    """
    sums = sum_objects(objects)
    images, place = np.unique(sums.images, return_inverse=True)
    codes, label = np.unique(sums.concepts, return_inverse=True)
    tables = np.zeros((2, len(images), len(codes)))
    tables[0, place.ravel(), label.ravel()] = sums.same
    tables[1, place.ravel(), label.ravel()] = sums.values
    alphas = krippendorff_alpha(coincidences(*tables))
    return dict(zip(images.tolist(), alphas.tolist(), strict=True))
