"""Every figure of a pair against plain Python that walks through the images one by one.

The plain version is run on the images of the material and on those of some resamples, written out
with repetitions: so sums, medians, labels and what is undefined are all recomputed another way.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_counts import made, material

from conceptset.consistency.counting.checks import check_counts, check_splits
from conceptset.consistency.counts import Counts
from conceptset.consistency.document import PAIR_FIGURES
from conceptset.consistency.figures.estimates import Estimate
from conceptset.consistency.figures.grouping import GroupedCounts
from conceptset.consistency.figures.pairs import confusions_of, estimate_pair
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.intervals import draw_resamples
from conceptset.errors import ConceptsetError

RESAMPLES = 8
PARTS = ("agreement", "quality", "naming", "quantity")


def by_image(table):
    rows = defaultdict(list)
    for row in table:
        rows[int(row["image"])].append({name: row[name].tolist() for name in table.dtype.names})
    return rows


def quotient(above, below):
    return above / below if below else math.nan


def mean(values):
    values = [value for value in values if not math.isnan(value)]
    return math.fsum(values) / len(values) if values else math.nan


def median(values):
    values = [value for value in values if not math.isnan(value)]
    return statistics.median(values) if values else math.nan


class Plain:
    """The figures of a pair over a list of images, in which an image can stand several times."""

    def __init__(self, tables, images):
        compared, cells, matches, named = tables
        self.rows = [compared[image][0] for image in images]
        self.cells = [cell for image in images for cell in cells[image]]
        self.matches = [match for image in images for match in matches[image]]
        self.named = [named[image] for image in images]

    def total(self, field, threshold=None):
        values = [row[field] for row in self.rows]
        return sum(value if threshold is None else value[threshold] for value in values)

    def splits(self):
        found = {}
        for threshold, prefix in ((0, None), (1, "0.25"), (2, "0.75")):
            shares = defaultdict(list)
            pooled = Counter()
            for row in self.rows:
                parts = {kind: row[kind][threshold] for kind in PARTS[1:]}
                labelled = row["valid"] - row["unlabelled"]
                for what, whole, agreement in (
                    ("any", labelled, row["same"]),
                    ("all", row["valid"], row["same"] + row["unlabelled"]),
                    ("both", row["both"], row["same"]),
                ):
                    kinds = {} if what == "both" else parts
                    pooled[what] += whole
                    for part, pixels in {"agreement": agreement, **kinds}.items():
                        shares[what, part].append(quotient(pixels, whole))
                        pooled[what, part] += pixels
            for (what, part), values in shares.items():
                if prefix is None:
                    found[f"{what}.mean.{part}"] = mean(values)
                    found[f"{what}.median.{part}"] = median(values)
                    found[f"{what}.pooled.{part}"] = quotient(pooled[what, part], pooled[what])
                elif what == "any":
                    found[f"{prefix}.{part}"] = mean(values)
        return found

    def over_matches(self):
        iou = [m["shared"] / (m["area_a"] + m["area_b"] - m["shared"]) for m in self.matches]
        return {
            "sq": mean(iou),
            "boundary_iou": mean([m["band_shared"] / m["band_union"] for m in self.matches]),
            "outline_bias": median([math.log(m["area_a"] / m["area_b"]) for m in self.matches]),
            "surface_distance": mean([m["distance"] for m in self.matches]),
            "name_agreement": mean([float(m["name_a"] == m["name_b"]) for m in self.matches]),
        }

    def segments(self):
        n_a, n_b = self.total("segments_a"), self.total("segments_b")
        m = self.total("matches", 0)
        differences = [row["segments_a"] - row["segments_b"] for row in self.rows]
        concepts = [row["concepts_a"] - row["concepts_b"] for row in self.rows]
        return {
            "rq": quotient(2 * m, n_a + n_b),
            "miss_rate_a": quotient(n_b - m, n_b),
            "miss_rate_b": quotient(n_a - m, n_a),
            "not_found_a": quotient(self.total("not_found_b", 0), n_b),
            "not_found_b": quotient(self.total("not_found_a", 0), n_a),
            "segments_difference": mean(differences),
            "segments_absolute": mean([abs(value) for value in differences]),
            "concepts_difference": mean(concepts),
            "concepts_absolute": mean([abs(value) for value in concepts]),
            "concept_sets": mean(
                [
                    quotient(
                        row["concepts_shared"],
                        row["concepts_a"] + row["concepts_b"] - row["concepts_shared"],
                    )
                    for row in self.rows
                ]
            ),
            **{
                name: mean([row[name] for row in self.rows])
                for name in ("covering_a", "covering_b", "rand", "vi", "gce", "lce")
            },
        }

    def pq(self):
        iou, positives, segments = Counter(), Counter(), Counter()
        for m in self.matches:
            if m["name_a"] == m["name_b"]:
                iou[m["name_a"]] += m["shared"] / (m["area_a"] + m["area_b"] - m["shared"])
                positives[m["name_a"]] += 1
        for rows in self.named:
            for row in rows:
                segments[row["concept"], "a"] += row["segments_a"]
                segments[row["concept"], "b"] += row["segments_b"]
        values = []
        for concept in {concept for concept, _ in segments}:
            true = positives[concept]
            false_positive = segments[concept, "a"] - true
            false_negative = segments[concept, "b"] - true
            values.append(quotient(iou[concept], true + false_positive / 2 + false_negative / 2))
        return {"pq": mean(values)}

    def chance(self):
        found = {}
        for what, units in (
            ("pixel", [(c["name_a"], c["name_b"], c["pixels"]) for c in self.cells]),
            (
                "labelled",
                [
                    (c["name_a"], c["name_b"], c["pixels"])
                    for c in self.cells
                    if c["name_a"] and c["name_b"]
                ],
            ),
            ("match", [(m["name_a"], m["name_b"], 1) for m in self.matches]),
        ):
            figures = textbook(units)
            found |= {f"{what}_{name}": value for name, value in figures.items()}
        del found["match_alpha"]
        return found

    def all(self):
        return {
            **self.splits(),
            **self.over_matches(),
            **self.segments(),
            **self.pq(),
            **self.chance(),
        }


def textbook(units):
    """Kappa, AC1 and alpha from (label of a, label of b, number), as they are written down."""
    n = sum(number for *_, number in units)
    first, second, joint = Counter(), Counter(), Counter()
    for a, b, number in units:
        first[a] += number
        second[b] += number
        joint[a, b] += number
    labels = set(first) | set(second)
    if len(labels) < 2:
        return dict.fromkeys(("kappa", "ac1", "alpha"), math.nan)
    observed = sum(joint[c, c] for c in labels) / n
    expected = sum(first[c] * second[c] for c in labels) / n**2
    share = {c: (first[c] + second[c]) / (2 * n) for c in labels}
    gwet = sum(p * (1 - p) for p in share.values()) / (len(labels) - 1)
    both = {c: first[c] + second[c] for c in labels}
    apart = sum(both[c] * both[d] for c in labels for d in labels if c != d)
    unequal = 2 * (n - sum(joint[c, c] for c in labels))
    return {
        "kappa": (observed - expected) / (1 - expected),
        "ac1": (observed - gwet) / (1 - gwet),
        "alpha": 1 - (2 * n - 1) * unequal / apart,
    }


def one_pair(seed, *, images=9, **options):
    world = material(["A", "B"], images=images, concepts=3)
    counts = made(world, seed=seed, **options)
    check_counts(counts, world)
    return GroupedCounts(counts, 2).pair(0, 0, 1)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    cells=st.integers(1, 8),
    matches=st.integers(0, 4),
    empty=st.sampled_from([0.0, 0.3, 1.0]),
    skip=st.sampled_from([0.0, 0.4]),
)
def test_every_figure_in_every_resample(seed, cells, matches, empty, skip):
    counts = one_pair(seed, cells=cells, matches=matches, empty=empty, skip=skip)
    if not len(counts.images):
        return
    estimates = estimate_pair(counts, Resamples(9, resamples=RESAMPLES))
    drawn = draw_resamples(9, resamples=RESAMPLES).astype(int)
    tables = [
        by_image(table) for table in (counts.compared, counts.cells, counts.matches, counts.named)
    ]
    for row in range(RESAMPLES + 1):
        weights = np.ones(9, dtype=int) if row == 0 else drawn[row - 1]
        images = [image for image in counts.images.tolist() for _ in range(weights[image])]
        plain = Plain(tables, images).all()
        assert set(plain) == set(estimates) or not images
        for name, estimate in estimates.items():
            value = plain.get(name, math.nan)  # no image is drawn: nothing is defined
            assert estimate.values[row] == pytest.approx(value, abs=1e-10, nan_ok=True), (name, row)


def test_named_as_the_document_says():
    estimates = estimate_pair(one_pair(0), Resamples(9, resamples=0))
    assert set(PAIR_FIGURES) <= set(estimates)


TURNED = {"_a": "_b", "_b": "_a"}


def turn(table):
    """The same rows with a and b exchanged."""
    turned = table.copy()
    for name in table.dtype.names:
        if name[-2:] in TURNED:
            turned[name] = table[name[:-2] + TURNED[name[-2:]]]
    return turned


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_exchange_of_a_and_b(seed):
    world = material(["A", "B"], images=9, concepts=3)
    counts = made(world, seed=seed, skip=0)
    turned = Counts(**{name: turn(getattr(counts, name)) for name in Counts.__dataclass_fields__})
    resamples = Resamples(9, resamples=8)
    one, two = (
        estimate_pair(GroupedCounts(c, 2).pair(0, 0, 1), resamples) for c in (counts, turned)
    )
    for name, estimate in one.items():
        other = two[name[:-2] + TURNED[name[-2:]] if name[-2:] in TURNED else name].values
        sign = -1 if name in {"outline_bias", "segments_difference", "concepts_difference"} else 1
        np.testing.assert_allclose(estimate.values, sign * other, atol=1e-12, err_msg=name)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_parts_are_one_together(seed):
    estimates = estimate_pair(one_pair(seed), Resamples(9, resamples=8))
    check_splits(estimates, "A and B")
    for split in ("any.mean", "any.pooled", "all.mean", "all.pooled", "0.25", "0.75"):
        whole = sum(estimates[f"{split}.{part}"].values for part in PARTS)
        np.testing.assert_allclose(whole[np.isfinite(whole)], 1, atol=1e-9)
        assert whole[0] == pytest.approx(1, abs=1e-12, nan_ok=True)


def with_oneself(world, seed):
    """Counts of somebody compared with an exact copy of the same drawings."""
    counts = made(world, seed=seed, skip=0, empty=0.2)
    cells = counts.cells[counts.cells["name_a"] == counts.cells["name_b"]]
    for kind in PARTS[1:]:
        counts.compared[kind] = cells[kind] = 0
    keys = {(row["image"], row["category"]): place for place, row in enumerate(counts.compared)}
    rows = np.array([keys[c["image"], c["category"]] for c in cells], dtype=int)
    for field, chosen in (
        ("valid", np.ones(len(cells), bool)),
        ("unlabelled", cells["name_a"] == 0),
        ("same", cells["name_a"] > 0),
        ("both", cells["name_a"] > 0),
    ):
        counts.compared[field] = np.bincount(
            rows[chosen], cells["pixels"][chosen], len(counts.compared)
        )
    return Counts(**{n: getattr(counts, n) for n in Counts.__dataclass_fields__} | {"cells": cells})


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15)
def test_somebody_against_the_same_drawings(seed):
    world = material(["A", "B"], images=9, concepts=3)
    counts = with_oneself(world, seed)
    check_counts(counts, world)
    pair = GroupedCounts(counts, 2).pair(0, 0, 1)
    estimates = estimate_pair(pair, Resamples(9, resamples=8))
    for split in ("any.mean", "any.median", "any.pooled", "all.mean", "0.25", "0.75"):
        for part in PARTS:
            values = estimates[f"{split}.{part}"].values
            expected = 1.0 if part == "agreement" else 0.0
            assert (np.isnan(values) | (values == expected)).all(), (split, part)
    for name in ("pixel_kappa", "pixel_alpha", "pixel_ac1", "labelled_kappa"):
        values = estimates[name].values
        assert (np.isnan(values) | (values == 1)).all(), name


def test_images_that_figures_rest_on():
    counts = one_pair(4, images=30, empty=0.5, skip=0)
    estimates = estimate_pair(counts, Resamples(30, resamples=0))
    rows = counts.compared
    labelled = rows["valid"] > rows["unlabelled"]
    assert 0 < labelled.sum() < 30
    assert len(estimates["any.mean.agreement"].images) == labelled.sum()
    assert len(estimates["all.mean.agreement"].images) == 30
    assert len(estimates["sq"].images) == (rows["matches"][:, 0] > 0).sum()
    assert len(estimates["outline_bias"].images) == (rows["matches"][:, 0] > 0).sum()
    assert len(estimates["miss_rate_a"].images) == (rows["segments_b"] > 0).sum()
    assert len(estimates["segments_difference"].images) == 30


def test_boundaries_that_were_not_measured():
    counts = one_pair(1)
    counts.matches["band_shared"] = counts.matches["band_union"] = -1
    counts.matches["distance"] = np.nan
    estimates = estimate_pair(counts, Resamples(9, resamples=3))
    for name in ("boundary_iou", "surface_distance"):
        assert np.isnan(estimates[name].values).all()
        assert "not measured" in estimates[name].reason
        assert not len(estimates[name].images)
    assert np.isfinite(estimates["sq"].values[0])


def test_confusions_by_hand():
    counts = one_pair(6, images=20, skip=0, matches=4)
    found = {(c.name_a, c.name_b): c for c in confusions_of(counts, ("zebra", "quagga", "horse"))}
    names = ("", "zebra", "quagga", "horse")
    differing = Counter(
        (names[m["name_a"]], names[m["name_b"]])
        for m in counts.matches
        if m["name_a"] != m["name_b"]
    )
    assert differing
    regions = Counter((names[r["name_a"]], names[r["name_b"]]) for r in counts.renamed)
    assert set(found) == set(differing) | set(regions)
    for key, confusion in found.items():
        assert confusion.matches == differing[key]
        assert confusion.regions == regions[key]
        assert confusion.pixels == sum(
            int(cell["naming"])
            for cell in counts.cells
            if (names[cell["name_a"]], names[cell["name_b"]]) == key
        )
    order = [c.matches for c in confusions_of(counts, names[1:])]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("field", ["quality", "same", "valid", "both", "unlabelled"])
def test_counts_that_do_not_add_up(field):
    world = material(["A", "B"], images=4)
    counts = made(world, skip=0, empty=0)
    check_counts(counts, world)
    counts.compared[field][2] += 1
    with pytest.raises(
        ConceptsetError, match=r"photos/00002\.jpg, object: A and B: the counts"
    ) as e:
        check_counts(counts, world)
    assert e.value.exit_code == 70


def test_parts_that_do_not_add_up():
    parts = {
        f"{split}.{part}": Estimate(np.array([0.25]), np.arange(1), "")
        for split in ("any.mean", "any.pooled", "all.mean", "all.pooled")
        for part in PARTS
    }
    check_splits(parts, "A and B")
    parts["any.mean.quality"] = Estimate(np.array([0.25 + 1e-11]), np.arange(1), "")
    with pytest.raises(ConceptsetError, match=r"`any\.mean` are 1\.0"):
        check_splits(parts, "A and B")
