"""CVAT's and datumaro's own files against a decoder that is not ours."""

from __future__ import annotations

import csv
import json
from collections import Counter

import cvat_decoder as decoder
import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.formats import detect
from conceptset.formats.base import Candidate
from conceptset.formats.cvat import FORMAT
from conceptset.raster import rasterize
from conceptset.records import Person
from conceptset.validate import validate

pytestmark = pytest.mark.real

MARKS = ("polyline", "points", "skeleton")


@pytest.fixture
def samples(shared):
    return shared / "samples/cvat"


def compare(records, path):
    """Every region with the decoder's; how many of each element there were."""
    listed = list(decoder.images(path))
    assert len(records) == len(listed)
    kinds = Counter()
    for record, (subset, name, size, shapes) in zip(records, listed, strict=True):
        assert record.image == (f"{subset}/{name}" if subset else name)
        assert record.size == size
        named = [shape for shape in shapes if shape.get("label")]
        assert len(record.regions) == len(named)
        for region, shape in zip(record.regions, named, strict=True):
            assert decoder.at(path, region.origin.pointer).attrib == shape.attrib
            assert region.name == shape.get("label")
            assert region.z_order == int(shape.get("z_order", 0))
            kinds[shape.tag, region.kind] += 1
            if region.geometry is None:
                assert region.kind == ("tag" if shape.tag == "tag" else "mark")
                continue
            expected = decoder.mask_of(shape, size)
            assert np.array_equal(rasterize(region.geometry, size), expected)
    return kinds


def test_the_example_of_the_documentation(samples, read_format, save, tmp_path):
    path = samples / "cvat_docs/annotations_images.xml"
    save(tmp_path / "filename000.jpg", (1200, 1600))
    assert FORMAT.detect(Candidate(path)).people == ("meta/task/owner: admin, no assignee is named")
    records, findings = read_format(FORMAT, path, tmp_path, on_error="raise")
    assert compare(records, path) == {
        ("box", "box"): 1,
        ("polygon", "region"): 1,
        ("polyline", "mark"): 2,
        ("points", "mark"): 1,
        ("tag", "tag"): 1,
        ("skeleton", "mark"): 1,
        ("mask", "region"): 1,
    }
    assert [(f.code, f.pointer) for f in findings] == [("SRC043", "/image[1]/tag[1]")]
    assert records[0].workers == (Person("admin"),)
    counts = {
        (region.name, region.kind): int(rasterize(region.geometry, records[0].size).sum())
        for region in records[0].regions
        if region.geometry is not None
    }
    # 5+7+9+11+11+12+12+26+12+12+11+9+7+5, every second run as it stands in the file
    assert counts["car", "region"] == 149


def test_a_project_with_one_name_in_three_subsets(samples, read_format):
    home = samples / "datumaro_for_images/export_project"
    path = home / "annotations.xml"
    records, findings = read_format(FORMAT, path, home / "images", on_error="raise")
    assert not findings
    assert compare(records, path) == {
        ("box", "box"): 3,
        ("polyline", "mark"): 3,
        ("polygon", "region"): 3,
        ("points", "mark"): 3,
    }
    assert {record.workers for record in records} == {(Person("tester"),)}
    assert FORMAT.detect(Candidate(path)).people == (
        "meta/project/tasks/task/owner: tester, no assignee is named"
    )
    boxes = [r.geometry for record in records for r in record.regions if r.kind == "box"]
    assert [int(rasterize(box, (8, 8)).sum()) for box in boxes] == [8, 8, 8]


def test_a_task_with_shapes_that_have_no_label(samples, read_format):
    home = samples / "datumaro_for_images/export_task"
    path = home / "train.xml"
    records, findings = read_format(FORMAT, path, home / "images")
    assert compare(records, path) == {("box", "box"): 1, ("points", "mark"): 1}
    assert [(f.code, f.pointer) for f in findings] == [
        ("SRC010", "/image[1]/polyline[1]"),
        ("SRC010", "/image[2]/polygon[1]"),
    ]
    assert [record.workers for record in records] == [(), ()]
    assert FORMAT.detect(Candidate(path)).people is None


def test_a_video(samples, read_format):
    home = samples / "datumaro_for_video"
    path = home / "annotations.xml"
    records, findings = read_format(FORMAT, path, home / "images", on_error="raise")
    assert not findings
    # frames 10, 13, 16, 19 belong to the task, of the last one there is no image
    assert [record.image for record in records] == [
        "frame_000010.png",
        "frame_000013.png",
        "frame_000016.png",
    ]
    assert {record.size for record in records} == {(20, 25)}
    assert {record.workers for record in records} == {(Person("max"),)}
    shown = []
    for record in records:
        for region in record.regions:
            element = decoder.at(path, region.origin.pointer)
            assert element.get("outside") == "0"
            assert record.image == f"frame_{int(element.get('frame')):06d}.png"
            shown.append((record.image[-6:-4], element.tag, region.name, region.interpolated))
            if element.tag == "box":
                ours = rasterize(region.geometry, record.size)
                assert np.array_equal(ours, decoder.mask_of(element, record.size))
                assert int(ours.sum()) == 7
    assert shown == [
        ("10", "box", "II", False),
        ("10", "points", "klhg", False),
        ("13", "polyline", "II", False),
    ]


@pytest.mark.parametrize(
    ("name", "images", "labels", "codes"),
    [
        ("datumaro_for_images/export_project", 6, {"label1"}, []),
        ("datumaro_for_images/export_task", 2, {"label1"}, ["IDX014"]),
        ("datumaro_for_video", 3, {"II"}, ["IDX014", "IDX014"]),
    ],
)
def test_from_the_export_to_a_set(samples, tmp_path, name, images, labels, codes):
    """The photographs of the samples are blank and alike, so others take their place here."""
    random = np.random.default_rng(0)
    for photograph in sorted((samples / name / "images").rglob("*.*")):
        copy = tmp_path / "images" / photograph.relative_to(samples / name / "images")
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(photograph) as image:
            noise = random.integers(0, 256, (image.height, image.width), dtype=np.uint8)
        Image.fromarray(noise).save(copy)
    options = BuildOptions(
        boxes=True, on_error="collect", annotator="somebody", images=tmp_path / "images"
    )
    report = build_set([samples / name], tmp_path / "set", options)
    assert report.manifest.counts.images == images
    # an image that somebody had before them and left empty
    assert [finding.code for finding in validate(tmp_path / "set").findings] == codes
    with (tmp_path / "set/label.csv").open(newline="") as stream:
        assert {row["name"] for row in csv.DictReader(stream)} == labels


def test_every_case_of_the_servers_own_tests(samples, read_format, save, tmp_path):
    """Their annotations have no label ids: the test fills them in, as theirs does."""
    cases = json.loads((samples / "cvat_rest/annotations.json").read_bytes())
    tasks = json.loads((samples / "cvat_rest/tasks.json").read_bytes())
    labels = [
        {"id": number, "name": label["name"]}
        for number, label in enumerate(tasks["main"]["labels"], start=7)
    ]
    total = Counter()
    for place, case in enumerate(cases.values()):
        home = tmp_path / str(place)
        home.mkdir()
        expected = Counter()
        for one in [*case["tags"], *case["shapes"], *case["tracks"]]:
            one["label_id"] = 7
        for tag in case["tags"]:
            expected[tag["frame"], "tag"] += 1
        for shape in case["shapes"]:
            expected[shape["frame"], shape["type"]] += 1
        last = 12
        for track in case["tracks"]:
            keys = {shape["frame"]: shape for shape in track["shapes"]}
            now = None
            for frame in range(last + 1):
                now = keys.get(frame, now)
                if now is not None and not now["outside"]:
                    expected[frame, now["type"]] += 1
        (home / "annotations.json").write_text(json.dumps(case))
        (home / "labels.json").write_text(json.dumps({"results": labels}))
        frames = [{"name": f"i/{n}.png", "width": 200, "height": 300} for n in range(last + 1)]
        meta = {"size": len(frames), "start_frame": 0, "frames": frames}
        (home / "meta.json").write_text(json.dumps(meta))
        for frame in frames:
            save(home / frame["name"], (300, 200))
        found = [one.format for one in detect(home / "annotations.json") if one.matches]
        assert found == ["cvat"]
        records, findings = read_format(FORMAT, home / "annotations.json", home)
        assert not findings, case
        kinds = {"rectangle": "box", "cuboid": "box", "polygon": "region", "tag": "tag"}
        theirs, ours = Counter(), Counter()
        for (frame, what), count in expected.items():
            theirs[frame, kinds.get(what, "mark")] += count
        for frame, record in enumerate(records):
            assert record.image == f"i/{frame}.png"
            ours.update((frame, region.kind) for region in record.regions)
            assert {region.name for region in record.regions} <= {"car"}
        assert ours == theirs
        total.update(what for _, what in expected)
    assert set(total) >= {"tag", "rectangle", "polygon", "polyline", "points", "cuboid"}
