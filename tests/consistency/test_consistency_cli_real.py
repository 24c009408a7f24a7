"""Real annotators: what is said of them against their files, filled and counted here once more."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from xml.etree import ElementTree

import numpy as np
import pytest

from conceptset import measure_consistency
from conceptset.consistency.options import ConsistencyOptions

pytestmark = pytest.mark.real

QUICK = ConsistencyOptions(resamples=0, boundary=False)


@pytest.fixture
def samples(shared):
    return shared / "samples"


def fill(rings, size):
    """Pixels whose centre lies inside, even-odd over all rings; on a left edge counts as inside."""
    crossings = np.zeros((size[0], size[1] + 1), dtype=int)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
            low, high = sorted([y0, y1])
            rows = np.arange(max(0, np.ceil(low - 0.5)), min(size[0], np.ceil(high - 0.5))).astype(
                int
            )
            at = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0) if len(rows) else rows
            columns = np.clip(np.ceil(at - 0.5).astype(int), 0, size[1])
            np.add.at(crossings, (rows, columns), 1)
    return crossings.cumsum(axis=1)[:, :-1] % 2 == 1


def paint(shapes, size):
    """Larger shapes first; the name of every pixel, '' where there is none."""
    masks = [(name, fill(rings, size)) for name, rings in shapes]
    names = ["", *sorted({name for name, _ in masks})]
    labels = np.zeros(size, dtype=int)
    for name, mask in sorted(masks, key=lambda one: -one[1].sum()):
        labels[mask] = names.index(name)
    return np.array(names, dtype=object)[labels]


def agreement(one, other):
    """Of the pixels that either labelled; NaN where neither labelled any."""
    either = (one != "") | (other != "")
    return (one == other)[either].mean() if either.any() else np.nan


def mean_agreements(painted):
    """By pair of people: the mean over the images that both painted."""
    found = {}
    for a, b in itertools.combinations(sorted(painted), 2):
        shared = painted[a].keys() & painted[b].keys()
        shares = [agreement(painted[a][image], painted[b][image]) for image in shared]
        found[a, b] = np.nanmean(shares) if not np.isnan(shares).all() else None
    return found


def figures(pairs):
    return {(one.a, one.b): one.pixels.any.mean.agreement.value for one in pairs}


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for pair, value in theirs.items():
        assert ours[pair] == (None if value is None else pytest.approx(value, abs=1e-12)), pair


def test_four_people_and_their_cars(samples):
    """LabelMe's web tool: every crop by everybody; one of them calls each car by its number."""
    home = samples / "labelme_xml/multi_annotator_cars"
    painted = defaultdict(dict)
    for path in sorted(home.glob("Annotations/*/*.xml")):
        shapes = [
            (
                element.findtext("name").strip(),
                [[(float(p.findtext("x")), float(p.findtext("y"))) for p in element.iter("pt")]],
            )
            for element in ElementTree.parse(path).getroot().iter("object")
            if element.findtext("deleted") != "1"
        ]
        painted[path.parent.name.removeprefix("w55-e04-")][path.stem] = paint(shapes, (64, 64))
    comparison = measure_consistency(home, ConsistencyOptions(boundary=False))
    report = comparison.report
    assert (report.n_images, report.shared_images) == (10, 10)
    assert report.annotators_listed == ["ecyou", "mhsieh2", "sngandhi", "ylp"]
    assert comparison.left_out == {"objects deleted in the tool": 6}
    assert_equal(figures(report.pairs), mean_agreements(painted))
    numbered = next(one for one in report.pairs if one.b == "sngandhi")
    assert numbered.figures["name_agreement"].value == 0
    assert numbered.pixels.any.mean.naming.value > 0.8
    verdict = next(one for one in report.verdicts if one.about == "sngandhi")
    assert verdict.topic in ("agreement", "naming")


def test_eight_dermatologists_some_images_twice(samples):
    """Darwin files, without the photographs, which may not be passed on."""
    home = samples / "dermx/annotations"
    painted = defaultdict(dict)
    for path in sorted(home.glob("*.json")):
        document = json.loads(path.read_bytes())
        size = (document["image"]["height"], document["image"]["width"])
        label, image = path.stem.split("_")
        digits = label.removeprefix("labeller")
        shapes = []
        for entry in document["annotations"]:
            rings = [entry["polygon"]["path"]] if "polygon" in entry else None
            rings = entry["complex_polygon"]["path"] if "complex_polygon" in entry else rings
            if rings is not None:
                points = [[(point["x"], point["y"]) for point in ring] for ring in rings]
                shapes.append((entry["name"], points))
        who = f"labeller{digits[0]}" + ("#2" if len(digits) == 2 else "")
        if who.partition("#")[0] in ("labeller1", "labeller4"):  # a quarter of the work
            painted[who][image] = paint(shapes, size)
    comparison = measure_consistency(home, QUICK)
    report = comparison.report
    assert (report.n_images, report.shared_images) == (5, 5)
    assert len(report.annotators_listed) == 16
    assert (len(report.pairs), len(report.intra)) == (8 * 7 // 2, 8)
    assert {(one.a, one.b) for one in report.intra} == {
        (f"labeller{number}", f"labeller{number}#2") for number in range(1, 9)
    }
    ours = figures(report.pairs) | figures(report.intra)
    theirs = mean_agreements(painted)
    wanted = [
        ("labeller1", "labeller4"),
        ("labeller1", "labeller1#2"),
        ("labeller4", "labeller4#2"),
    ]
    assert_equal({pair: ours[pair] for pair in wanted}, {pair: theirs[pair] for pair in wanted})
    assert "photographs of 5 of 5 images are missing" in comparison.notes[0]


def points_of(ring):
    return list(zip(ring[::2], ring[1::2], strict=True))


@pytest.mark.parametrize("name", ["fruits", "landscape_annotations"])
def test_three_people_in_one_coco_file(samples, name):
    path = samples / f"coco/multi_annotator/{name}.json"
    document = json.loads(path.read_bytes())
    names = {one["id"]: one["name"] for one in document["categories"]}
    painted = {}
    for image in document["images"]:
        shapes = [
            (names[one["category_id"]], list(map(points_of, one["segmentation"])))
            for one in document["annotations"]
            if one["image_id"] == image["id"]
        ]
        size = (image["height"], image["width"])
        painted[image["annotator"]] = {"one": paint(shapes, size)}
    report = measure_consistency(path, QUICK).report
    assert (report.n_images, len(report.annotators_listed)) == (1, 3)
    assert_equal(figures(report.pairs), mean_agreements(painted))
