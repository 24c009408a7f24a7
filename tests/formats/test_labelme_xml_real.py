"""The LabelMe XML samples: xml.etree for what they say, exact fractions and Pillow for pixels."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter, defaultdict
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.formats.base import Candidate
from conceptset.formats.labelme_xml import FORMAT
from conceptset.geometry import BinaryMask
from conceptset.io.images import read_codes
from conceptset.raster import rasterize
from conceptset.records import Person
from conceptset.validate import validate

pytestmark = pytest.mark.real

PEOPLE = ("ecyou", "mhsieh2", "sngandhi", "ylp")


@pytest.fixture
def samples(shared):
    return shared / "samples/labelme_xml"


def objects(path):
    """The `<object>` elements of a file."""
    return ElementTree.parse(path).getroot().findall("object")


def points_of(element):
    return [
        (Fraction(point.findtext("x")), Fraction(point.findtext("y")))
        for point in element.findall("polygon/pt")
    ]


def fill(points, size):
    """Pixels whose centre is inside, a centre on a left or top edge included; no rounding."""
    mask = np.zeros(size, dtype=bool)
    half = Fraction(1, 2)
    for row in range(size[0]):
        y = row + half
        crossings = [
            x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True)
            if (y0 <= y) != (y1 <= y)
        ]
        if crossings:
            mask[row] = [
                sum(cross <= column + half for cross in crossings) % 2 for column in range(size[1])
            ]
    return mask


def opaque(path):
    with Image.open(path) as image:
        return np.asarray(image.getchannel("A")) > 0


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_polygon_and_a_mask_by_two_people(samples, read_format):
    home = samples / "tool_example"
    path = home / "Annotations/example_folder/img1.xml"
    found = FORMAT.detect(Candidate(path))
    assert found.matches
    assert found.people == 'username of each object: "admin", "brussell"'
    (record,), findings = read_format(FORMAT, path, home / "Images", on_error="raise")
    assert not findings
    assert record.image == "example_folder/img1.jpg"
    assert record.size == (1920, 2560)
    assert record.workers == (Person("admin"), Person("brussell"))
    window, plate = record.regions
    assert (window.name, window.kind, window.person) == ("window", "region", Person("admin"))
    assert (plate.name, plate.kind, plate.person) == ("license plate", "region", Person("brussell"))
    outline = objects(path)[0]
    moved = [(x - 1078, y - 854) for x, y in points_of(outline)]
    drawn = rasterize(window.geometry, record.size)
    assert np.array_equal(drawn[854:940, 1078:1126], fill(moved, (86, 48)))
    assert drawn.sum() == drawn[854:940, 1078:1126].sum() == 3841
    assert isinstance(plate.geometry, BinaryMask)
    theirs = opaque(home / "Masks/example_folder/img1_mask_1.png")
    assert np.array_equal(rasterize(plate.geometry, record.size), theirs)
    assert theirs.sum() == 3414  # the scribble beside it has 1603


def test_parts_boxes_and_masks(samples, read_format):
    home = samples / "datumaro_labelme_dataset"
    path = home / "Annotations/subset1/img1.xml"
    (record,), findings = read_format(FORMAT, path, home / "Images", on_error="raise")
    assert not findings
    assert record.size == (77, 102)
    assert set(record.workers) == {Person(n) for n in ("admin", "brussell", "anonymous")}
    elements = objects(path)
    assert [r.name for r in record.regions] == [e.findtext("name") for e in elements]
    assert [r.person.name for r in record.regions] == [e.findtext("*/username") for e in elements]
    ids = [element.findtext("id") for element in elements]
    wholes = [element.findtext("parts/ispartof") for element in elements]
    assert [r.part_of for r in record.regions] == [ids.index(w) if w else None for w in wholes]
    assert [r.kind for r in record.regions] == ["region"] * 4 + ["box"] + ["region"] * 2
    for region, element in zip(record.regions, elements, strict=True):
        if element.find("segm") is not None:
            theirs = opaque(home / "Masks/subset1" / element.findtext("segm/mask"))
        else:
            theirs = fill(points_of(element), record.size)
        assert np.array_equal(rasterize(region.geometry, record.size), theirs), region.name


def test_the_same_crops_by_four_people(samples, read_format):
    home = samples / "multi_annotator_cars"
    files = sorted(home.glob("Annotations/*/*.xml"))
    assert len(files) == 40
    kinds, images = Counter(), defaultdict(set)
    for path in files:
        name = path.parent.name.removeprefix("w55-e04-")
        assert FORMAT.detect(Candidate(path)).people == f'username of each object: "{name}"'
        (record,), findings = read_format(FORMAT, path, home / "Images", on_error="raise")
        assert not findings
        assert record.workers == (Person(name),)
        images[name].add(record.image)
        for region, element in zip(record.regions, objects(path), strict=True):
            assert region.name == element.findtext("name").strip()
            assert region.person == Person(element.findtext("polygon/username")) == Person(name)
            gone = element.findtext("deleted") == "1"
            assert (region.kind == "deleted") == gone == (region.geometry is None)
            kinds[name, region.kind] += 1
            if not gone:
                ours = rasterize(region.geometry, (64, 64))
                assert np.array_equal(ours, fill(points_of(element), (64, 64)))
    assert set(images) == set(PEOPLE)
    assert all(len(names) == 10 for names in images.values())
    assert kinds == Counter(
        (element.findtext("polygon/username"), ["region", "deleted"][deleted])
        for path in files
        for element in objects(path)
        for deleted in [element.findtext("deleted") == "1"]
    )
    assert sum(count for (_, kind), count in kinds.items() if kind == "deleted") == 6


def test_four_people_on_ten_images_build(samples, tmp_path):
    home, out = samples / "multi_annotator_cars", tmp_path / "set"
    options = BuildOptions(image_size=None, segmentation_size=(64, 64))
    report = build_set([home], out, options)
    assert not report.findings
    assert not [f for f in validate(out).findings if f.severity == "error"]
    counts = report.manifest.counts
    assert (counts.images, counts.annotators, counts.segments) == (10, 4, 40)
    assert counts.left_out == {"objects deleted in the tool": 6}
    people = rows_of(out / "annotators.csv")
    assert [(p["annotator"], p["images"], p["segments"]) for p in people] == [
        (name, "10", "10") for name in PEOPLE
    ]
    names = {row["number"]: row["name"] for row in rows_of(out / "label.csv")}
    for person in people:
        index = rows_of(out / "annotators" / person["directory"] / "index.csv")
        assert len(index) == 10
        for row in index:
            stem = row["image"].rpartition("/")[2].removesuffix(".jpg")
            path = home / f"Annotations/w55-e04-{person['annotator']}/{stem}.xml"
            (element,) = [e for e in objects(path) if e.findtext("deleted") != "1"]
            labels = read_codes(out / "images" / row["object"])
            (number,) = set(np.unique(labels)) - {0}
            assert names[str(number)] == element.findtext("name").strip()
            assert np.array_equal(labels == number, fill(points_of(element), (64, 64)))


def test_the_whole_of_a_part_is_kept_in_the_set(samples, tmp_path):
    home, out = tmp_path / "world", tmp_path / "set"
    shutil.copytree(samples / "datumaro_labelme_dataset", home)
    build_set([home], out, BuildOptions(image_size=None, boxes=True))
    lines = [
        json.loads(text)
        for file in sorted(out.glob("annotators/*/segments.jsonl"))
        for text in file.read_text().splitlines()
        if file.parent.name == "anonymous"
    ]
    name_of = {line["order"]: line["name"] for line in lines}
    said = {line["name"]: (line["category"], name_of.get(line["part_of"])) for line in lines}
    assert said == {
        "o1": ("object", None),
        "q1": ("part", "o1"),
        "b1": ("part", "o1"),
        "m1": ("object", None),
        "hg": ("part", "m1"),
    }
    assert not [f for f in validate(out).findings if f.severity == "error"]
