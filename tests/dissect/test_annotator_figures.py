"""Figures over several annotators, against plain loops over pixels and against known answers."""

from __future__ import annotations

import csv
import json
import tempfile
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import plain_run

from conceptset.consistency.intervals import percentile_interval
from dissect.analysis import Vocabulary
from dissect.annotators.basis import choose_basis
from dissect.annotators.document import UNIT_COLUMNS, AnnotatorReport
from dissect.annotators.ranks import rank_stability
from dissect.annotators.reading import read_report
from dissect.annotators.reference import check_ceiling
from dissect.annotators.scoring import Scores, count_detectors, find_modal, nominal_alpha
from dissect.annotators.writing import write_annotators
from dissect.counts import (
    Agreement,
    Counts,
    Without,
    write_agreement,
    write_counts,
    write_without,
)
from dissect.errors import BoundError
from dissect.intervals import Resamples
from dissect.state import (
    AnnotatorRecord,
    DetectorCounts,
    LayerRecord,
    LeaveOneOut,
    RunConfig,
    RunCounts,
    RunLayout,
)

NAMES = {1: "wheel", 2: "car", 3: "door", 4: "bell"}
WORDS = Vocabulary(NAMES, ("object", "part"), {1: "object", 2: "object", 3: "part", 4: "part"})
CATEGORIES = ((1, 2), (3, 4))
SIDE = 8
THRESHOLD = 0.25


@dataclass
class World:
    """Masks (units, images, pixels) and maps by annotator (images, categories, pixels)."""

    masks: np.ndarray
    maps: list[np.ndarray]
    worked: np.ndarray

    @property
    def images(self):
        return self.masks.shape[1]


def make_world(seed, *, images=14, people=3, units=6, absent=0.0):
    """Units follow one label each; people move the outlines of a common truth, or miss a thing."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]

    def draw(shift):
        planes = np.zeros((2, SIDE * SIDE), int)
        for category, labels in enumerate(CATEGORIES):
            for label, (top, left, size) in zip(labels, spots[category], strict=True):
                if size and rng.random() > 0.1:
                    a, b = top + shift[0], left + shift[1]
                    inside = (y >= a) & (y < a + size) & (x >= b) & (x < b + size)
                    planes[category][inside.ravel()] = label
        return planes

    maps = [np.zeros((images, 2, SIDE * SIDE), int) for _ in range(people)]
    masks = np.zeros((units, images, SIDE * SIDE), bool)
    for image in range(images):
        spots = [
            [(*rng.integers(0, 5, 2), int(rng.integers(2, 5)) * (rng.random() < 0.7)) for _ in own]
            for own in CATEGORIES
        ]
        for own in maps:
            own[image] = draw(rng.integers(-1, 2, 2))
        truth = draw((0, 0))
        for unit in range(units - 1):  # the last one is dead
            masks[unit, image] = (truth == unit % 4 + 1).any(axis=0) ^ (rng.random(64) < 0.05)
    worked = rng.random((people, images)) >= absent
    for a, own in enumerate(maps):
        own[~worked[a]] = 0
    return World(masks, maps, worked)


def count(world, maps, rows):
    """`Counts` of an index by plain loops."""
    shared, area, truth = [], [], []
    for i in rows:
        for label in NAMES:
            of_label = maps[i, 0 if label < 3 else 1] == label
            if of_label.any():
                truth.append([i, label, of_label.sum()])
            for unit, mask in enumerate(world.masks[:, i]):
                both = (mask & of_label).sum()
                if both:
                    shared.append([i, unit, label, both])
        area += [[i, u, m.sum()] for u, m in enumerate(world.masks[:, i]) if m.any()]
    tables = [
        np.array(sorted(table), np.int64).reshape(-1, width)
        for table, width in ((shared, 4), (area, 3), (truth, 3))
    ]
    return Counts(*tables, np.array([[i, SIDE * SIDE] for i in rows], np.int64).reshape(-1, 2))


def majority(maps, worked):
    """The label map of the consensus: more than half of those who worked on the image."""
    consensus = np.zeros_like(maps[0])
    for i in range(len(consensus)):
        voters = [own[i] for own, there in zip(maps, worked[:, i], strict=True) if there]
        for label in NAMES:
            votes = sum((own == label).astype(int) for own in voters) if voters else 0
            consensus[i][2 * votes > len(voters)] = label
    return consensus


def agree(world):
    shared, worked = [], []
    for i in range(world.images):
        there = np.flatnonzero(world.worked[:, i]).tolist()
        worked += [[i, a, SIDE * SIDE] for a in there]
        for label in NAMES:
            for k, a in enumerate(there):
                for b in there[k:]:
                    both = (world.maps[a][i] == label) & (world.maps[b][i] == label)
                    if both.any():
                        shared.append([i, label, a, b, both.sum()])
    return Agreement(
        np.array(sorted(shared), np.int64).reshape(-1, 5), np.array(worked, np.int64).reshape(-1, 3)
    )


def write_world(root, world, *, records=None, union="annotated"):
    """A run's counts on disk; (layout, run)."""
    layout = RunLayout(root)
    people, units = len(world.maps), len(world.masks)
    records = records or tuple(
        AnnotatorRecord(
            name=f"Person {a}",
            session=1,
            kind="person",
            directory=f"p{a}",
            images=int(world.worked[a].sum()),
            votes=int(world.worked[a].sum()),
        )
        for a in range(people)
    )
    everything = range(world.images)
    layout.layer("l").mkdir(parents=True)
    root_counts = count(world, majority(world.maps, world.worked), everything)
    write_counts(layout.counts("l"), root_counts, {})
    for a, record in enumerate(records):
        folder = record.directory
        layout.layer("l", annotator=folder).mkdir(parents=True)
        own = count(world, world.maps[a], np.flatnonzero(world.worked[a]).tolist())
        write_counts(layout.counts("l", annotator=folder), own, {})
        if record.votes is not None:
            others = world.worked.copy()
            others[a] = False
            voted = np.flatnonzero(world.worked[a])
            left = [i for i in voted.tolist() if others[:, i].any()]
            without = count(world, majority(world.maps, others), left)
            path = layout.without("l", annotator=folder)
            write_without(path, Without(without, voted[:, None].astype(np.int64)), {})
    write_agreement(layout.agreement, agree(world), {})
    none = {"detectors": 0, "unique_concepts": 0, "unique_by_category": 0}
    shares = {f"{name}_share": 0.0 for name in none}
    record = LayerRecord(
        name="l",
        directory="l",
        units=units,
        map_size=(SIDE, SIDE),
        kind="maps",
        thresholds_dtype="float32",
        samples=1,
        detectors=DetectorCounts(**none, **shares, categories={}),
    )
    run = plain_run(
        config=RunConfig(layers=("l",), union=union, iou_threshold=THRESHOLD),
        counts=RunCounts(images=world.images, labels=4, categories=WORDS.categories),
        layers=(record,),
        annotators=records,
        leave_one_out=LeaveOneOut(
            method="majority", root_method="majority", base="root", reason=""
        ),
    )
    return layout, run


# ---- the definitions by plain loops over pixels -------------------------------------------------


def category_of(label):
    return 0 if label < 3 else 1


def images_for(world, label, people):
    """Images that some people worked on and anybody labelled in the concept's category."""
    category = category_of(label)
    return [
        i
        for i in range(world.images)
        if world.worked[list(people), i].all()
        and any((own[i, category] > 0).any() for own in world.maps)
    ]


def iou_plainly(mask, region):
    either = (mask | region).sum()
    return (mask & region).sum() / either if either else None


def unit_iou(world, maps, unit, label, images, union="annotated"):
    mask = np.concatenate([world.masks[unit, i] for i in images]) if images else np.zeros(0, bool)
    region = [maps[i, category_of(label)] == label for i in images]
    if union == "lite":
        kept = [
            world.masks[unit, i] & ((maps[i, category_of(label)] > 0) & world.masks[unit, i]).any()
            for i in images
        ]
        mask = np.concatenate(kept) if images else mask
    region = np.concatenate(region) if images else np.zeros(0, bool)
    return iou_plainly(mask, region)


def pair_iou(world, a, b, label, images):
    ours, theirs = (
        np.concatenate([world.maps[who][i, category_of(label)] == label for i in images] or [[]])
        for who in (a, b)
    )
    return iou_plainly(ours.astype(bool), theirs.astype(bool))


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def ious_plainly(world, unit, label, union):
    """([per annotator], mean, human reference) by section 8."""
    people = range(len(world.maps))
    common = images_for(world, label, people)
    pairs = list(combinations(people, 2))
    if len(common) >= 10 or len(world.maps) == 2:
        own = [unit_iou(world, world.maps[a], unit, label, common, union) for a in people]
        return own, mean(own), mean(pair_iou(world, a, b, label, common) for a, b in pairs)
    by_pair, humans = {}, []
    for a, b in pairs:
        images = images_for(world, label, (a, b))
        if images:
            humans.append(pair_iou(world, a, b, label, images))
            for who, other in ((a, b), (b, a)):
                by_pair[who, other] = unit_iou(world, world.maps[who], unit, label, images, union)
    own = [mean(by_pair.get((a, b)) for b in people) for a in people]
    over = mean(mean([by_pair.get((a, b)), by_pair.get((b, a))]) for a, b in pairs)
    return own, over, mean(humans)


def best_plainly(ious):
    label = max(NAMES, key=lambda n: (ious[n] or 0.0, -n))
    return label if (ious[label] or 0.0) > THRESHOLD else 0


def read_units(layout):
    with layout.unit_figures("l").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def number(cell):
    return float(cell) if cell else None


@pytest.mark.parametrize("union", ["annotated", "lite"])
@pytest.mark.parametrize(
    ("seed", "people", "absent"), [(0, 3, 0.0), (1, 3, 0.35), (2, 4, 0.3), (3, 2, 0.3)]
)
def test_figures_of_units_are_the_definitions(tmp_path, seed, people, absent, union):
    world = make_world(seed, people=people, absent=absent)
    layout, run = write_world(tmp_path / "run", world, union=union)
    report = write_annotators(
        layout, run, WORDS, samples=Resamples.draw(np.arange(14), resamples=40)
    )
    rows = read_units(layout)
    assert tuple(rows[0]) == UNIT_COLUMNS
    if absent and people > 2:
        assert {basis.mode for basis in report.basis} == {"pairs"}
    human = {entry.label_number: entry for entry in report.concepts}
    for unit, row in enumerate(rows):
        own, over, reference = {}, {}, {}
        for label in NAMES:
            own[label], over[label], reference[label] = ious_plainly(world, unit, label, union)
        said = [best_plainly({n: own[n][a] for n in NAMES}) for a in range(people)]
        order = sorted(set(said), key=lambda n: (-said.count(n), n == 0, NAMES.get(n, "")))
        modal = order[0]
        assert row["concept"] == NAMES.get(modal, "")
        assert number(row["label_stability"]) == said.count(modal) / people
        if not modal:
            assert row["iou_mean"] == row["human_reference"] == ""
            continue
        defined = [value for value in own[modal] if value is not None]
        assert number(row["iou_min"]) == pytest.approx(min(defined), abs=1e-14)
        assert number(row["iou_max"]) == pytest.approx(max(defined), abs=1e-14)
        assert number(row["iou_mean"]) == pytest.approx(over[modal], abs=1e-14)
        h = reference[modal]
        assert number(row["human_reference"]) == pytest.approx(h, abs=1e-14)
        assert number(row["annotator_ceiling"]) == pytest.approx((1 + h) / 2)
        assert number(row["relative_iou"]) == pytest.approx(over[modal] / h)
        assert human[modal].human_reference.value == number(row["human_reference"])
        if union == "annotated":
            assert over[modal] <= (1 + h) / 2 + 1e-12
    assert "" in {row["concept"] for row in rows}  # the dead unit


def test_resamples_of_figures_are_the_figures_of_resamples(tmp_path):
    """The intervals of counts, alpha, H and mean IoUs, from sets that were drawn and written."""
    world = make_world(4, images=12, people=3)
    layout, run = write_world(tmp_path / "run", world)
    draws = 25
    samples = Resamples.draw(np.arange(12), resamples=draws)
    report = write_annotators(layout, run, WORDS, samples=samples)
    rows = read_units(layout)
    layer = report.layers[0]
    detectors, unique, alphas = [], [], []
    humans: dict[int, list[float]] = {label: [] for label in NAMES}
    means: dict[int, list[float]] = {unit: [] for unit in range(6)}
    for draw in range(draws):
        order = np.repeat(np.arange(12), samples.weights[:, draw].astype(int))
        drawn = World(world.masks[:, order], [m[order] for m in world.maps], world.worked[:, order])
        best = np.zeros((3, 6), int)
        for unit, row in enumerate(rows):
            tables = {label: ious_plainly(drawn, unit, label, "annotated") for label in NAMES}
            for a in range(3):
                best[a, unit] = best_plainly({n: tables[n][0][a] for n in NAMES})
            if row["concept"]:
                label = next(n for n, name in NAMES.items() if name == row["concept"])
                means[unit].append(tables[label][1])
        for label in NAMES:
            humans[label].append(ious_plainly(drawn, 0, label, "annotated")[2])
        detectors.append((best > 0).sum(axis=1))
        unique.append([len(set(own) - {0}) for own in best.tolist()])
        alphas.append(alpha_plainly(best))
    for a, entry in enumerate(layer.annotators):
        for figure, table in ((entry.detectors, detectors), (entry.unique_concepts, unique)):
            plain = percentile_interval(np.array(table, float)[:, a], images=12)
            assert (figure.low, figure.high) == pytest.approx((plain.low, plain.high))
    plain = percentile_interval(np.array(alphas), images=12)
    figure = layer.label_agreement
    assert (figure.low, figure.high) == pytest.approx((plain.low, plain.high))
    for entry in report.concepts:
        plain = percentile_interval(np.array(humans[entry.label_number]), images=12)
        figure = entry.human_reference
        assert (figure.low, figure.high) == pytest.approx((plain.low, plain.high))
    for unit, row in enumerate(rows):
        if row["concept"]:
            plain = percentile_interval(np.array(means[unit]), images=12)
            assert (number(row["iou_low"]), number(row["iou_high"])) == pytest.approx(
                (plain.low, plain.high)
            )


@pytest.mark.parametrize("absent", [0.0, 0.35])
def test_neither_blocks_nor_parts_nor_threads_can_be_seen_in_the_comparison(
    tmp_path, monkeypatch, absent
):
    world = make_world(1, images=25, people=3, absent=absent)
    found = []
    for name, workers in (("whole", 1), ("cut", 3)):
        if name == "cut":
            monkeypatch.setattr("dissect.rows.BLOCK", 17)
            monkeypatch.setattr("dissect.intervals._ENTRIES", 200)
        layout, run = write_world(tmp_path / name, world)
        write_annotators(layout, run, WORDS, workers=workers)
        paths = sorted(path for path in layout.root.rglob("*") if path.is_file())
        found.append({path.relative_to(layout.root): path.read_bytes() for path in paths})
    assert found[0] == found[1]


def label_by(world, maps, unit, images_of):
    ious = {label: unit_iou(world, maps, unit, label, images_of(label)) for label in NAMES}
    return best_plainly(ious)


@pytest.mark.parametrize(("people", "absent"), [(3, 0.0), (2, 0.0), (3, 0.3)])
def test_leaving_a_person_out(tmp_path, people, absent):
    world = make_world(6, people=people, absent=absent)
    world.worked[0, :2] = True  # images of the first person alone
    world.worked[1:, :2] = False
    for own in world.maps[1:]:
        own[:2] = 0
    layout, run = write_world(tmp_path / "run", world)
    report = write_annotators(layout, run, WORDS)
    consensus = majority(world.maps, world.worked)
    rows = read_units(layout)
    expected: list[list[str]] = [[] for _ in rows]
    for a in range(people):
        others = world.worked.copy()
        others[a] = False
        without = majority(world.maps, others)

        def others_saw(label, others=others, a=a):
            return [i for i in images_for(world, label, ()) if others[:, i].any()]

        def own_saw(label, a=a):
            return images_for(world, label, (a,))

        left_out = {
            change.unit: change for change in report.layers[0].annotators[a].left_out.changes
        }
        against = report.layers[0].annotators[a].against_consensus
        changed = {change.unit: change for change in against.changes}
        for unit in range(len(rows)):
            before = label_by(world, consensus, unit, others_saw)
            after = label_by(world, without, unit, others_saw)
            assert (before != after) == (unit in left_out)
            if before != after:
                expected[unit].append(f"p{a}")
                assert left_out[unit].concept == NAMES.get(before)
                assert left_out[unit].other_concept == NAMES.get(after)
            mine = label_by(world, world.maps[a], unit, own_saw)
            theirs = label_by(world, consensus, unit, own_saw)
            assert (mine != theirs) == (unit in changed)
        detectors = [label_by(world, world.maps[a], u, own_saw) > 0 for u in range(len(rows))]
        assert against.other_detectors == sum(detectors)
        assert against.detectors + against.gained - against.lost == against.other_detectors
        assert against.gained + against.lost + against.renamed == len(against.changes)
    assert [row["depends_on"] for row in rows] == [";".join(who) for who in expected]
    assert report.layers[0].dependent_units == sum(map(bool, expected))


def alpha_plainly(values, gap=-1):
    """Krippendorff's alpha from a coincidence matrix, as his book computes it."""
    cells: dict[tuple[int, int], float] = {}
    for unit in np.asarray(values).T.tolist():
        said = [value for value in unit if value != gap]
        for i, c in enumerate(said):
            for j, k in enumerate(said):
                if i != j:
                    cells[c, k] = cells.get((c, k), 0) + 1 / (len(said) - 1)
    n = sum(cells.values())
    own: dict[int, float] = {}
    for (c, _), value in cells.items():
        own[c] = own.get(c, 0) + value
    expected = sum(own[c] * own[k] for c in own for k in own if c != k)
    if not expected:
        return np.nan
    return 1 - (n - 1) * sum(v for (c, k), v in cells.items() if c != k) / expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 4), st.integers(1, 9))
def test_alpha(seed, people, units):
    values = np.random.default_rng(seed).integers(0, 3, (people, units, 4))
    found = nominal_alpha(values)
    expected = [alpha_plainly(values[:, :, k]) if people > 1 else np.nan for k in range(4)]
    assert found == pytest.approx(expected, nan_ok=True)
    gap = np.full((1, units, 4), -1)
    assert nominal_alpha(np.concatenate([values, gap])) == pytest.approx(expected, nan_ok=True)


def test_alpha_of_a_published_example():
    """Krippendorff 2011 ("Computing Krippendorff's Alpha-Reliability"), part B, two observers and
    four names: 0.692."""
    a = ["a", "a", "b", "b", "d", "c", "c", "c", "e", "d", "d", "a"]
    b = ["b", "a", "b", "b", "b", "c", "c", "c", "e", "d", "d", "d"]
    values = np.array([["abcde".index(name) for name in row] for row in (a, b)])
    assert nominal_alpha(values[:, :, None])[0] == pytest.approx(0.692, abs=5e-4)


def test_modal_concepts():
    best = np.array([[1, 2, 0, 3, -1, 0, 2], [1, 1, 3, 2, -1, 0, 2], [2, -1, -1, 1, 4, 0, 2]])
    modal = find_modal(best, NAMES)
    # wheel wins; car before wheel by name; door before none; bell < car < door < wheel
    assert modal.label.tolist() == [1, 2, 3, 2, 4, 0, 2]
    assert modal.stability[:4].tolist() == [2 / 3, 1 / 2, 1 / 2, 1 / 3]
    assert np.isnan(modal.stability[4])  # one person is no company
    assert modal.stability[5:].tolist() == [1.0, 1.0]


def test_detectors_are_counted():
    best = np.array([[[1, 0], [1, 2], [3, -1]], [[0, 0], [0, 0], [0, 4]]])
    detectors, unique = count_detectors(best)
    assert detectors.tolist() == [[3, 1], [0, 1]]
    assert unique.tolist() == [[2, 1], [0, 1]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_rank_stability(points):
    a, b = (np.array(side, float) for side in zip(*points, strict=True))
    same = apart = ties_a = ties_b = 0
    for i, j in combinations(range(len(a)), 2):
        product = np.sign(a[i] - a[j]) * np.sign(b[i] - b[j])
        same, apart = same + (product > 0), apart + (product < 0)
        ties_a, ties_b = ties_a + (a[i] == a[j]), ties_b + (b[i] == b[j])
    pairs = len(a) * (len(a) - 1) // 2
    below = np.sqrt(float((pairs - ties_a) * (pairs - ties_b)))
    expected = (same - apart) / below if below else np.nan
    assert rank_stability(a, b) == pytest.approx(expected, nan_ok=True)


def test_the_images_to_compare_on():
    worked = np.ones((3, 30), bool)
    labelled = np.ones((2, 30), bool)
    labelled[1, 9:] = False  # nine images of the second category
    worked[2, 25:] = False
    basis = choose_basis(worked, labelled, np.arange(30))
    assert basis.modes == ("all", "pairs")
    assert basis.images.tolist() == [25, 9]
    assert [view.members for view in basis.views] == [(0, 1, 2), (0, 1), (0, 2), (1, 2)]
    assert not basis.views[0].carried[1].any()
    assert not basis.views[1].carried[0].any()
    worked[:] = np.repeat(np.eye(3, dtype=bool), 10, axis=1)
    basis = choose_basis(worked, labelled, np.arange(30))
    assert basis.modes == ("none", "none")
    assert not basis.seen(3).any()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([0.0, 0.4]))
def test_no_world_breaks_the_ceiling(seed, absent):
    """The bound holds for any masks; the run itself checks it."""
    world = make_world(seed, people=3, images=11, units=4, absent=absent)
    with tempfile.TemporaryDirectory() as folder:
        layout, run = write_world(Path(folder) / "run", world)
        write_annotators(layout, run, WORDS, samples=Resamples.draw(np.arange(11), resamples=2))


def test_a_broken_ceiling_is_our_bug():
    iou = np.full((2, 3, 5), 0.5)
    iou[:, 1, 2] = 0.9
    scores = Scores(iou, iou.mean(axis=0))
    reference = np.array([np.nan, 0.5, 0.7, 0.5, 0.5])
    with pytest.raises(BoundError, match=r"unit 1 label 2.*0\.9.*above 0\.85") as caught:
        check_ceiling(scores, reference, np.ones(5, bool), layer="l")
    assert caught.value.exit_code == 70
    once = np.ones(5, bool)
    once[2] = False  # two maps give the label to one pixel: there is no bound
    check_ceiling(scores, reference, once, layer="l")
    check_ceiling(scores, np.full(5, 0.8), np.ones(5, bool), layer="l")


def record(name, session=1, kind="person", votes=None):
    return AnnotatorRecord(
        name=name,
        session=session,
        kind=kind,
        directory=f"{name}-{session}",
        images=14,
        votes=votes,
    )


def test_models_and_further_sessions_stand_beside(tmp_path):
    world = make_world(8, people=4)
    records = (
        record("ada", votes=14),
        record("ada", session=2),
        record("ben", votes=14),
        record("net", kind="model"),
    )
    layout, run = write_world(tmp_path / "run", world, records=records)
    report = write_annotators(layout, run, WORDS)
    assert [one.compared for one in report.annotators] == [True, False, True, False]
    assert {(pair.a, pair.b) for pair in report.layers[0].pairs} == {("ada-1", "ben-1")}
    entries = report.layers[0].annotators
    assert [entry.detectors is not None for entry in entries] == [True, False, True, False]
    assert [entry.left_out is not None for entry in entries] == [True, False, True, False]
    assert all(entry.against_consensus.n_images for entry in entries)
    two = World(world.masks, [world.maps[0], world.maps[2]], world.worked[[0, 2]])
    plain = ious_plainly(two, 0, 1, "annotated")[2]
    assert report.concepts[0].human_reference.value == pytest.approx(plain)


def test_one_annotator_and_strangers(tmp_path):
    world = make_world(9, people=1)
    layout, run = write_world(tmp_path / "one", world)
    report = write_annotators(layout, run, WORDS)
    assert report.layers[0].label_agreement.value is None
    assert report.layers[0].label_agreement.reason
    assert report.layers[0].label_stability is None
    assert report.concepts == ()
    assert "agreement between people needs two" in report.notes[0]
    world = make_world(9, people=2)
    world.worked[0, :7] = False
    world.worked[1, 7:] = False
    for a, own in enumerate(world.maps):
        own[~world.worked[a]] = 0
    layout, run = write_world(tmp_path / "two", world)
    report = write_annotators(layout, run, WORDS)
    assert [basis.mode for basis in report.basis] == ["none", "none"]
    assert all(entry.detectors.value is None for entry in report.layers[0].annotators)
    assert {row["concept"] for row in read_units(layout)} == {""}
    assert any("No two annotators share an image" in note for note in report.notes)


def test_the_same_counts_give_the_same_bytes_and_a_valid_document(tmp_path):
    world = make_world(10)
    contents = []
    for name in ("a", "b"):
        layout, run = write_world(tmp_path / name, world)
        report = write_annotators(layout, run, WORDS)
        contents.append((layout.comparison.read_bytes(), layout.unit_figures("l").read_bytes()))
        assert read_report(layout) == report
    assert contents[0] == contents[1]
    assert b"NaN" not in contents[0][0]
    jsonschema.validate(json.loads(contents[0][0]), AnnotatorReport.model_json_schema())
    assert read_report(RunLayout(tmp_path)) is None


def test_many_annotators(tmp_path, monkeypatch):
    """Beyond a number of pairs there are no intervals, and it is said; the figures stay."""
    world = make_world(11, people=4, absent=0.3)
    layout, run = write_world(tmp_path / "run", world)
    full = write_annotators(layout, run, WORDS)
    rows = read_units(layout)
    monkeypatch.setattr("dissect.annotators.comparing.MAX_PAIRS", 5)
    report = write_annotators(layout, run, WORDS)
    assert any("pairs of annotators" in note for note in report.notes)
    assert report.layers[0].pairs == ()
    assert report.concepts[0].pairs == ()
    for entry, other in zip(report.concepts, full.concepts, strict=True):
        assert entry.human_reference.value == other.human_reference.value
        assert entry.human_reference.low is None
        assert "pairs of annotators" in entry.human_reference.reason
    names = [name for name in UNIT_COLUMNS if name not in ("iou_low", "iou_high")]
    for row, other in zip(read_units(layout), rows, strict=True):
        assert [row[name] for name in names] == [other[name] for name in names]
        assert row["iou_low"] == ""
