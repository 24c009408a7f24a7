"""What a report lists of annotators, concepts, images and layers, against plain recomputation."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_counts import made, material

from conceptset.consistency.counts import Counts, concatenate
from conceptset.consistency.document import (
    ANNOTATOR_FIGURES,
    CONCEPT_FIGURES,
    LAYER_FIGURES,
    ConsistencyReport,
    Settings,
)
from conceptset.consistency.figures.report import compute
from conceptset.consistency.intervals import draw_resamples, percentile_interval
from conceptset.consistency.material import Annotator

PARTS = ("agreement", "quality", "naming", "quantity")


@pytest.fixture(scope="module")
def three():
    """Three people, 14 images, two layers."""
    world = material(["A", "B", "C"], images=14, concepts=3, categories=("object", "part"))
    counts = made(world, seed=3)
    return world, counts, compute(counts, world, resamples=40)


def of(entries, **wanted):
    found = [e for e in entries if all(getattr(e, k) == v for k, v in wanted.items())]
    assert len(found) == 1
    return found[0]


def rows_of(table, **wanted):
    keep = np.ones(len(table), bool)
    for name, value in wanted.items():
        keep &= table[name] == value
    return table[keep]


def mean(values):
    values = [value for value in values if value is not None and not math.isnan(value)]
    return math.fsum(values) / len(values) if values else None


def test_all_names(three):
    _, _, entries = three
    assert {(p.a, p.b, p.category) for p in entries.pairs} == {
        (a, b, c) for a, b in combinations("ABC", 2) for c in ("object", "part")
    }
    assert all(set(one.figures) == set(ANNOTATOR_FIGURES) for one in entries.annotators)
    assert all(set(one.figures) == set(CONCEPT_FIGURES) for one in entries.concepts)
    assert all(set(one.figures) <= set(LAYER_FIGURES) for one in entries.layers)
    assert all(set(LAYER_FIGURES) - set(e.figures) <= {"objects_alpha"} for e in entries.layers)


def test_the_document_takes_it(three):
    world, _, entries = three
    report = ConsistencyReport(
        generator="conceptset",
        title=world.title,
        settings=Settings(
            threshold=0.5,
            sensitivity=[0.25, 0.75],
            overlap="area",
            resamples=40,
            seed=1,
            level=0.95,
            boundary=True,
            taxonomy=None,
        ),
        annotators_listed=[str(one) for one in world.annotators],
        n_images=len(world.images),
        shared_images=entries.shared_images,
        **{
            name: getattr(entries, name)
            for name in ("layers", "pairs", "annotators", "concepts", "images", "alone", "intra")
        },
        **{name: getattr(entries, name) for name in ("consensus", "clusters", "verdicts", "notes")},
    )
    text = report.model_dump_json()
    assert "NaN" not in text
    assert ConsistencyReport.model_validate_json(text) == report


def figures_in(entries):
    for entry in [*entries.pairs, *entries.annotators, *entries.concepts, *entries.layers]:
        yield from entry.figures.values()


def test_null_only_with_a_reason(three):
    _, _, entries = three
    for figure in figures_in(entries):
        assert figure.value is not None or figure.reason
        assert (figure.low is None) == (figure.high is None)
        assert figure.low is not None or figure.reason
        if figure.low is not None:
            assert figure.low <= figure.high


AS_A = {
    "sq": "sq",
    "rq": "rq",
    "outline_bias": "outline_bias",
    "surface_distance": "surface_distance",
    "name_agreement": "name_agreement",
    "miss_rate": "miss_rate_a",
    "not_found": "not_found_a",
    "extra": "not_found_b",
}
TURNED = {"_a": "_b", "_b": "_a"}


def seen_by(pair, who, name):
    """The value of a pair's figure as it is for one of the two."""
    if pair.a == who:
        return pair.figures[name].value
    turned = name[:-2] + TURNED[name[-2:]] if name[-2:] in TURNED else name
    value = pair.figures[turned].value
    return -value if name == "outline_bias" and value is not None else value


def test_an_annotator_is_the_mean_of_the_pairs(three):
    _, counts, entries = three
    for entry in entries.annotators:
        pairs = [
            p
            for p in entries.pairs
            if p.category == entry.category and entry.annotator in (p.a, p.b)
        ]
        assert len(pairs) == 2
        for name, as_a in AS_A.items():
            expected = mean([seen_by(pair, entry.annotator, as_a) for pair in pairs])
            assert entry.figures[name].value == pytest.approx(expected, abs=1e-12)
        for part in PARTS:
            expected = mean([getattr(p.pixels.any.mean, part).value for p in pairs])
            assert getattr(entry.pixels, part).value == pytest.approx(expected, abs=1e-12)
        assert entry.figures["agreement"] == entry.pixels.agreement
        who = "ABC".index(entry.annotator)
        layer = ("object", "part").index(entry.category)
        drawn = rows_of(counts.drawn, annotator=who, category=layer)
        assert entry.n_images == len(drawn)
        assert entry.figures["segments"].value == pytest.approx(drawn["segments"].mean())
        assert entry.figures["concepts"].value == pytest.approx(drawn["concepts"].mean())
        others = rows_of(counts.others, annotator=who, category=layer)
        others = others[others["any"] > 0]
        assert entry.figures["others"].value == pytest.approx(
            (others["same"] / others["any"]).mean()
        )
        shared = {
            int(row["image"])
            for row in counts.compared
            if who in (row["a"], row["b"]) and row["category"] == layer
        }
        assert entry.shared_images == len(shared)


def alpha_of(rows, prefix=""):
    """As it is written down, from the sums per concept."""
    same, values = Counter(), Counter()
    for row in rows:
        same[int(row["concept"])] += float(row[f"{prefix}same"])
        values[int(row["concept"])] += float(row[f"{prefix}values"])
    n = sum(values.values())
    unequal = sum(values[c] - same[c] for c in values)
    apart = sum(values[c] * values[d] for c in values for d in values if c != d)
    return 1 - (n - 1) * unequal / apart


def rows_without(counts, layer, who):
    """Rows of everybody where one annotator did not work, rows without that annotator elsewhere."""
    worked = set(rows_of(counts.drawn, annotator=who, category=layer)["image"].tolist())
    return [
        row
        for row in rows_of(counts.coincidences, category=layer)
        if row["without"] == (who if int(row["image"]) in worked else -1)
    ]


def test_alpha_and_vitality(three):
    _, counts, entries = three
    for layer, name in enumerate(("object", "part")):
        everybody = alpha_of(rows_of(counts.coincidences, category=layer, without=-1))
        figures = of(entries.layers, category=name).figures
        assert figures["alpha"].value == pytest.approx(everybody, abs=1e-12)
        labelled = alpha_of(
            rows_of(counts.coincidences, category=layer, without=-1), prefix="labelled_"
        )
        assert figures["labelled_alpha"].value == pytest.approx(labelled, abs=1e-12)
        without = []
        for who in range(3):
            rest = alpha_of(rows_without(counts, layer, who))
            entry = of(entries.annotators, category=name, annotator="ABC"[who])
            assert entry.figures["alpha_without"].value == pytest.approx(rest, abs=1e-12)
            assert entry.figures["vitality"].value == pytest.approx(everybody - rest, abs=1e-12)
            without.append(rest)
        low, high, error = of(entries.layers, category=name).jackknife["alpha"]
        assert (low, high) == pytest.approx((min(without), max(without)), abs=1e-12)
        assert error is None  # three annotators are too few


def test_a_layer_by_hand(three):
    _, counts, entries = three
    for layer, name in enumerate(("object", "part")):
        entry = of(entries.layers, category=name)
        pairs = [p for p in entries.pairs if p.category == name]
        for part in PARTS:
            each = [getattr(p.pixels.any.mean, part).value for p in pairs]
            assert entry.figures[part].value == pytest.approx(mean(each), abs=1e-12)
            # without one of three there is one pair left
            assert entry.jackknife[part][:2] == pytest.approx((min(each), max(each)), abs=1e-12)
        numbers = defaultdict(list)
        for row in rows_of(counts.drawn, category=layer):
            numbers[int(row["image"])].append(float(row["segments"]))
        expected = mean([np.var(v, ddof=1) for v in numbers.values() if len(v) > 1])
        assert entry.figures["segments_variance"].value == pytest.approx(expected)
        per_image = defaultdict(list)
        for row in rows_of(counts.compared, category=layer):
            per_image[int(row["image"])].append((row["covering_a"] + row["covering_b"]) / 2)
        expected = mean([mean(values) for values in per_image.values()])
        assert entry.figures["covering"].value == pytest.approx(expected)
        assert entry.figures["covering"].n_images == len(per_image)


def test_concepts_by_hand(three):
    world, counts, entries = three
    for layer, name in enumerate(("object", "part")):
        for code, concept in enumerate(world.concepts, start=1):
            entry = of(entries.concepts, category=name, concept=concept)
            ious, dice, kappas = [], [], []
            kinds, names, images = Counter(), Counter(), set()
            for a, b in combinations(range(3), 2):
                cells = rows_of(counts.cells, category=layer, a=a, b=b)
                union = cells[(cells["name_a"] == code) | (cells["name_b"] == code)]
                both = union[union["name_a"] == union["name_b"]]
                whole = union["pixels"].sum()
                if whole:
                    ious.append(both["pixels"].sum() / whole)
                    dice.append(2 * ious[-1] / (1 + ious[-1]))
                images |= set(union["image"].tolist())
                kinds["agreement"] += both["pixels"].sum()
                kinds["all"] += whole
                for kind in PARTS[1:]:
                    kinds[kind] += union[kind].sum()
                for cell in union[union["naming"] > 0]:
                    other = cell["name_b"] if cell["name_a"] == code else cell["name_a"]
                    names[world.concepts[other - 1]] += int(cell["naming"])
                kappas.append(presence_kappa(counts, layer, a, b, code))
            assert entry.figures["iou"].value == pytest.approx(mean(ious))
            assert entry.figures["iou_min"].value == pytest.approx(min(ious))
            assert entry.figures["iou_max"].value == pytest.approx(max(ious))
            assert entry.figures["dice"].value == pytest.approx(mean(dice))
            assert entry.figures["presence_kappa"].value == pytest.approx(mean(kappas))
            assert entry.n_images == len(images)
            for part in PARTS:
                share = getattr(entry.split, part).value
                assert share == pytest.approx(kinds[part] / kinds["all"])
            found = [(other.name, other.pixels) for other in entry.other_names]
            assert found == sorted(names.items(), key=lambda one: (-one[1], one[0]))


def presence_kappa(counts, layer, a, b, code):
    images = rows_of(counts.compared, category=layer, a=a, b=b)["image"].tolist()
    named = {
        int(row["image"]): (row["segments_a"] > 0, row["segments_b"] > 0)
        for row in rows_of(counts.named, category=layer, a=a, b=b, concept=code)
    }
    units = [named.get(image, (False, False)) for image in images]
    n = len(units)
    observed = sum(one == other for one, other in units) / n
    first, second = (sum(unit[side] for unit in units) / n for side in (0, 1))
    expected = first * second + (1 - first) * (1 - second)
    return (observed - expected) / (1 - expected) if expected < 1 else math.nan


def test_images_by_hand(three):
    world, counts, entries = three
    assert entries.shared_images == len({e.image for e in entries.images})
    ranks = [(e.agreement is None, e.agreement or 0, -e.disputed) for e in entries.images]
    assert ranks == sorted(ranks)
    for entry in entries.images:
        image, layer = world.images.index(entry.image), ("object", "part").index(entry.category)
        rows = rows_of(counts.compared, image=image, category=layer)
        labelled = rows["valid"] - rows["unlabelled"]
        assert entry.disputed == (labelled - rows["same"]).sum()
        rows, labelled = rows[labelled > 0], labelled[labelled > 0]
        assert entry.agreement == pytest.approx(mean((rows["same"] / labelled).tolist()))
        for kind in PARTS[1:]:
            share = mean((rows[kind][:, 0] / labelled).tolist())
            assert getattr(entry, kind) == pytest.approx(share)
        drawn = rows_of(counts.drawn, image=image, category=layer)
        assert [one.segments for one in entry.annotators] == drawn["segments"].tolist()
        assert [one.annotator for one in entry.annotators] == ["ABC"[a] for a in drawn["annotator"]]
    workers = Counter(row["image"].item() for row in rows_of(counts.drawn, category=0))
    assert entries.alone == [world.images[i] for i, count in workers.items() if count == 1]


def test_intervals_of_means_over_pairs():
    """An annotator's interval from resamples recomputed image by image."""
    world = material(["A", "B", "C"], images=25)
    counts = made(world, seed=3)
    entry = compute(counts, world, resamples=40).annotators[1]
    estimates = []
    for weights in draw_resamples(25, resamples=40):
        values = []
        for a, b in ((0, 1), (1, 2)):
            rows = rows_of(counts.compared, a=a, b=b)
            labelled = rows["valid"] - rows["unlabelled"]
            kept = labelled > 0
            share, w = rows["same"][kept] / labelled[kept], weights[rows["image"][kept]]
            values.append((share * w).sum() / w.sum())
        estimates.append(np.mean(values))
    figure = entry.figures["agreement"]
    expected = percentile_interval(np.array(estimates), images=figure.n_images)
    assert (figure.low, figure.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_differences_between_annotators(three):
    _, _, entries = three
    held = entries.estimates
    found = held.difference("object", "A", "miss_rate", ["B", "C"])
    own = held.held["object", "A", "miss_rate"].values
    rest = (
        held.held["object", "B", "miss_rate"].values + held.held["object", "C", "miss_rate"].values
    ) / 2
    assert found.value == pytest.approx(own[0] - rest[0])
    expected = percentile_interval((own - rest)[1:], images=found.n_images)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    layer = of(entries.layers, category="object").figures["alpha"]
    assert held.figure("object", "", "alpha") == layer


def test_same_counts_same_bytes(three):
    world, counts, entries = three
    again = compute(counts, world, resamples=40)
    for name in ("pairs", "annotators", "concepts", "layers", "images"):
        one, two = ([e.model_dump_json() for e in getattr(x, name)] for x in (entries, again))
        assert one == two


def test_people_models_and_sessions():
    people = [Annotator("A"), Annotator("A", 2), Annotator("B"), Annotator("net", kind="model")]
    world = material(people, images=12)
    entries = compute(made(world, skip=0), world, resamples=20)
    assert [(p.a, p.b, p.kind) for p in entries.pairs] == [
        ("A", "B", "people"),
        ("A", "net", "model"),
        ("B", "net", "model"),
    ]
    assert [(p.a, p.b, p.kind) for p in entries.intra] == [("A", "A#2", "sessions")]
    assert entries.intra[0].n_images == 12
    assert [e.annotator for e in entries.annotators] == ["A", "B", "net"]
    person, model = entries.annotators[0], entries.annotators[2]
    pair = entries.pairs[0]
    assert person.figures["sq"].value == pytest.approx(pair.figures["sq"].value)
    assert model.figures["sq"].value == pytest.approx(
        (entries.pairs[1].figures["sq"].value + entries.pairs[2].figures["sq"].value) / 2
    )
    assert model.kind == "model"
    assert model.figures["vitality"].reason == "a model has no vote among persons"
    (layer,) = entries.layers
    assert layer.figures["agreement"].value == pytest.approx(pair.pixels.any.mean.agreement.value)
    assert not layer.jackknife  # two persons


def test_a_later_session_alone_is_the_persons_first():
    world = material([Annotator("A", 2), Annotator("B")], images=6)
    entries = compute(made(world, skip=0), world, resamples=0)
    assert [(p.a, p.b, p.kind) for p in entries.pairs] == [("A#2", "B", "people")]
    assert not entries.intra


def test_pairs_with_few_images_are_left_out_and_named():
    world = material(["A", "B", "C"], images=20)
    counts = made(world, skip=0)
    kept = {}
    for name in Counts.__dataclass_fields__:
        table = getattr(counts, name)
        if {"a", "b"} <= set(table.dtype.names or ()):  # B and C share four images, A and C all
            table = table[(table["a"] != 1) | (table["b"] != 2) | (table["image"] < 4)]
        kept[name] = table
    entries = compute(Counts(**kept), world, resamples=20)
    first, second, third = entries.annotators
    assert (first.left_out, second.left_out, third.left_out) == ([], ["C"], ["B"])
    ab, ac, bc = entries.pairs
    assert bc.n_images == 4
    assert second.figures["sq"].value == pytest.approx(ab.figures["sq"].value)
    assert third.figures["sq"].value == pytest.approx(ac.figures["sq"].value)
    assert bc.figures["sq"].reason == "fewer than 10 images (4)" or bc.figures["sq"].n_images < 4
    assert second.shared_images == 20


def test_pairs_without_shared_images_are_listed():
    world = material(["A", "B"], images=4)
    counts = made(world, skip=0)
    nothing = {
        name: getattr(counts, name)[:0]
        for name in Counts.__dataclass_fields__
        if name not in ("drawn", "others")
    }
    entries = compute(
        Counts(drawn=counts.drawn, others=counts.others[:0], **nothing), world, resamples=20
    )
    (pair,) = entries.pairs
    assert pair.n_images == 0
    assert all(figure.value is None for figure in pair.figures.values())
    assert {figure.reason for figure in pair.figures.values()} == {"no shared images"}
    assert pair.pixels.any.mean.quality.reason == "no shared images"
    assert entries.notes == [
        "No image was annotated by two persons, so nothing can be said about agreement."
    ]
    assert entries.annotators[0].left_out == ["B"]
    assert entries.annotators[0].figures["sq"].value is None
    assert entries.annotators[0].figures["segments"].value is not None
    assert entries.layers[0].figures["agreement"].value is None


@pytest.mark.parametrize(("images", "people"), [(0, 0), (0, 2), (1, 1), (9, 1), (1, 2), (2, 3)])
def test_next_to_nothing(images, people):
    world = material([f"P{i}" for i in range(people)], images=images)
    counts = made(world, skip=0) if images and people else concatenate([])
    entries = compute(counts, world, resamples=15)
    assert len(entries.annotators) == people
    assert len(entries.layers) == 1
    assert len(entries.notes) == 1
    for figure in figures_in(entries):
        assert figure.value is not None or figure.reason
        assert figure.low is None
    if people == 1:
        assert entries.notes[0].startswith("Only one person")
        assert len(entries.alone) == images
        assert entries.annotators[0].figures["segments"].value is not None


def test_nobody_drew_anything():
    """Two who looked at every image and found nothing: agreement of all pixels, no split."""
    world = material(["A", "B"], images=12)
    counts = made(world, skip=0, empty=1.0)
    entries = compute(counts, world, resamples=20)
    (pair,) = entries.pairs
    assert pair.pixels.any.mean.agreement.value is None
    assert pair.pixels.any.mean.agreement.reason == "neither labelled anything"
    assert pair.pixels.all.mean.agreement.value == 1
    assert pair.figures["rq"].reason == "no segments"
    assert pair.figures["sq"].reason == "no matched segments"
    assert pair.figures["pixel_kappa"].reason.startswith("one label only")
    assert pair.figures["labelled_kappa"].reason == "no pixel labelled by both"
    assert pair.figures["segments_difference"].value == 0
    assert all(entry.agreement is None for entry in entries.images)
    assert not entries.concepts


def test_fleiss_only_with_equal_numbers():
    world = material(["A", "B", "C"], images=12)
    counts = made(world, skip=0)
    rows = counts.coincidences[counts.coincidences["without"] == -1]
    figures = compute(counts, world, resamples=10).layers[0].figures
    same, n = rows["same"].sum(), rows["values"].sum()
    shares = np.bincount(rows["concept"], rows["values"]) / n
    expected = (same / n - (shares**2).sum()) / (1 - (shares**2).sum())
    assert figures["fleiss"].value == pytest.approx(expected)
    drawn = counts.drawn[(counts.drawn["image"] > 0) | (counts.drawn["annotator"] > 0)]
    fewer = Counts(**{**as_dict(counts), "drawn": drawn})
    assert "differ" in compute(fewer, world, resamples=0).layers[0].figures["fleiss"].reason
    counts.drawn["ignored"][5] = 3
    assert "ignored" in compute(counts, world, resamples=0).layers[0].figures["fleiss"].reason


def as_dict(counts):
    return {name: getattr(counts, name) for name in Counts.__dataclass_fields__}


def test_two_hundred_annotators():
    """Most of whom never met: each worked on one image in thirty."""
    world = material([f"P{i:03d}" for i in range(200)], images=8, concepts=2)
    entries = compute(made(world, skip=0.97, cells=2, matches=1), world, resamples=5)
    assert len(entries.pairs) == 19_900
    assert len(entries.annotators) == 200
    assert sum(pair.n_images == 0 for pair in entries.pairs) > 19_000
    assert len(entries.annotators[0].left_out) == 199  # nobody shares five images
    assert entries.layers[0].figures["agreement"].value is not None


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), people=st.integers(1, 4), images=st.integers(0, 12))
def test_whatever_is_counted(seed, people, images):
    world = material([f"P{i}" for i in range(people)], images=images, concepts=2)
    counts = made(world, seed=seed, skip=0.4, empty=0.4) if images else concatenate([])
    entries = compute(counts, world, resamples=10)
    for figure in figures_in(entries):
        assert figure.value is None or math.isfinite(figure.value)
        assert figure.value is not None or figure.reason
    for pair in entries.pairs:
        for aggregate in (pair.pixels.any.mean, pair.pixels.all.mean, pair.pixels.all.pooled):
            values = [getattr(aggregate, part).value for part in PARTS]
            if None not in values:
                assert math.fsum(values) == pytest.approx(1, abs=1e-12)
    for concept in entries.concepts:
        low, middle, high = (concept.figures[n].value for n in ("iou_min", "iou", "iou_max"))
        assert 0 <= low <= middle + 1e-12 <= high + 2e-12 <= 1 + 3e-12
